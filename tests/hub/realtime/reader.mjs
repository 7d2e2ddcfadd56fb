// A client on the official JS SDK that subscribes with options: prints what its app would see.
// node reader.mjs URL json|protobuf CHANNEL SUBSCRIPTION_OPTIONS
import readline from 'node:readline'

const [url, format, channel, options] = process.argv.slice(2)
const { Centrifuge } = await import(format === 'protobuf' ? 'centrifuge/build/protobuf' : 'centrifuge')
const tell = (event, fields = {}) => console.log(JSON.stringify({ event, ...fields }))
const read = (data) => (format === 'protobuf' ? JSON.parse(new TextDecoder().decode(data)) : data)

const client = new Centrifuge(url, { token: 'ann', minReconnectDelay: 10, maxReconnectDelay: 100 })
client.on('error', (context) => tell('error', { code: context.error.code }))
const subscription = client.newSubscription(channel, JSON.parse(options))
subscription.on('subscribed', (context) => tell('subscribed', { recovered: context.recovered }))
subscription.on('error', (context) => tell('error', { code: context.error.code }))
subscription.on('publication', (context) => {
  tell('publication', { channel, data: read(context.data), tags: context.tags })
})
subscription.on('unsubscribed', (context) => tell('unsubscribed', { code: context.code }))
subscription.subscribe()
client.connect()
readline.createInterface({ input: process.stdin }).on('line', () => tell('stats', subscription.deltaStats()))
  .on('close', () => process.exit(0))

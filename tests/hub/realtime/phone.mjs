// A phone on the official JS SDK: prints what its user would see, one JSON line per event.
// node phone.mjs URL ROOM TOKEN [NEXT_TOKEN…]: a further token each time the SDK asks for one.
import readline from 'node:readline'
import { Centrifuge } from 'centrifuge'

const [url, room, ...tokens] = process.argv.slice(2)
const tell = (event, fields = {}) => console.log(JSON.stringify({ event, ...fields }))

const client = new Centrifuge(url, {
  minReconnectDelay: 10,
  maxReconnectDelay: 100,
  token: tokens.shift(),
  getToken: async () => {
    tell('token')
    return tokens.length > 1 ? tokens.shift() : tokens[0]
  },
})
client.on('connected', () => tell('connected'))
client.on('connecting', (context) => tell('connecting', { code: context.code }))
client.on('disconnected', (context) => tell('disconnected', { code: context.code }))
client.on('error', (context) => tell('error', { code: context.error.code }))
client.on('subscribed', (context) => {
  if (context.wasRecovering) tell('recovering', { channel: context.channel, recovered: context.recovered })
})
client.on('publication', (context) => tell('publication', { channel: context.channel, data: context.data }))

if (room) {
  const subscription = client.newSubscription(room)
  subscription.on('subscribed', (context) => {
    tell('subscribed', { channel: room })
    if (context.wasRecovering) tell('recovering', { channel: room, recovered: context.recovered })
  })
  subscription.on('unsubscribed', (context) => tell('unsubscribed', { code: context.code }))
  subscription.on('publication', (context) => tell('publication', { channel: room, data: context.data }))
  subscription.subscribe()
}

client.connect()
readline.createInterface({ input: process.stdin }).on('close', () => process.exit(0))

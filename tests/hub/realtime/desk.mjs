// The official JS SDK at a desk: does what the test writes, prints what its app would see.
// node --experimental-eventsource desk.mjs; each line of input is {id, call, …}. `open` makes a
// client that takes the place of the one before: {app, format, transports, emulation, tokens}, where
// transports is an address or a list of {transport, endpoint}, emulation the address for commands,
// and the next of the tokens is taken each time the SDK asks.
import readline from 'node:readline'
import * as json from 'centrifuge'
import * as protobuf from 'centrifuge/build/protobuf'

const info = (item) => ({ user: item.user, client: item.client })
const next = (list) => (list.length > 1 ? list.shift() : list[0])
const print = (fields) => console.log(JSON.stringify(fields))

function open({ app, format, transports, emulation, tokens }) {
  const tell = (event, fields = {}) => print({ app, event, ...fields })
  const isBinary = format === 'protobuf'
  const read = (data) => (isBinary && data ? JSON.parse(new TextDecoder().decode(data)) : data)
  const pack = (data) => (isBinary ? new TextEncoder().encode(JSON.stringify(data)) : data)
  const getToken = async () => (tell('token'), next(tokens))
  const options = { token: next(tokens), getToken, minReconnectDelay: 10, maxReconnectDelay: 100 }
  if (emulation) options.emulationEndpoint = emulation
  const client = new (isBinary ? protobuf : json).Centrifuge(transports, options)
  const onSubscribed = (channel, { wasRecovering, recovered }) => {
    tell('subscribed', { channel, wasRecovering, recovered })
  }
  const onPublication = (channel, { data, info: by }) => {
    tell('publication', { channel, data: read(data), info: by && info(by) })
  }
  client.on('connected', (context) => tell('connected', { client: context.client, transport: context.transport }))
  client.on('connecting', (context) => tell('connecting', { code: context.code }))
  client.on('disconnected', (context) => tell('disconnected', { code: context.code }))
  client.on('error', (context) => tell('error', { type: context.type, code: context.error.code }))
  client.on('message', (context) => tell('message', { data: read(context.data) }))
  client.on('subscribed', (context) => onSubscribed(context.channel, context))
  client.on('publication', (context) => onPublication(context.channel, context))

  function subscribe({ channel, tokens: own, positions, ...rest }) {
    if (own) rest.getToken = async () => (tell('subscriptionToken', { channel }), next(own))
    if (positions) rest.getState = async () => (tell('state', { channel }), next(positions))
    const subscription = client.newSubscription(channel, rest)
    subscription.on('subscribed', (context) => onSubscribed(channel, context))
    subscription.on('unsubscribed', (context) => tell('unsubscribed', { channel, code: context.code }))
    subscription.on('error', (context) => tell('refused', { channel, type: context.type, code: context.error.code }))
    subscription.on('publication', (context) => onPublication(channel, context))
    subscription.on('join', (context) => tell('join', { channel, info: info(context.info) }))
    subscription.on('leave', (context) => tell('leave', { channel, info: info(context.info) }))
    subscription.subscribe()
  }

  client.connect()
  return {
    close: () => client.disconnect(),
    subscribe,
    unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
    publish: ({ channel, data }) => client.publish(channel, pack(data)),
    presence: async ({ channel }) => Object.values((await client.presence(channel)).clients).map(info),
    presenceStats: ({ channel }) => client.presenceStats(channel),
    history: async ({ channel, ...rest }) => {
      const result = await client.history(channel, rest)
      return { ...result, publications: result.publications.map((item) => read(item.data)) }
    },
    rpc: async ({ method, data }) => read((await client.rpc(method, pack(data))).data),
    send: ({ data }) => client.send(pack(data)),
    deltaStats: ({ channel }) => client.getSubscription(channel).deltaStats(),
  }
}

let calls = { close: () => {} }

async function run(line) {
  const { id, call, ...rest } = JSON.parse(line)
  try {
    if (call === 'open') {
      calls.close()
      calls = open(rest)
      print({ id })
    } else {
      print({ id, result: (await calls[call](rest)) ?? null })
    }
  } catch (error) {
    print({ id, error: { code: error.code, message: error.message } })
  }
}

readline.createInterface({ input: process.stdin }).on('line', run).on('close', () => process.exit(0))

// ws with a Redis subscriber: PORT REDIS_PORT
const { createClient } = require('redis')
const { WebSocketServer, WebSocket } = require('ws')

const [port, redisPort] = process.argv.slice(2).map(Number)
const subscribers = new Map()

async function main() {
  const redis = createClient({ url: `redis://127.0.0.1:${redisPort}` })
  await redis.connect()
  await redis.pSubscribe('*', (message, channel) => {
    for (const client of subscribers.get(channel) ?? []) {
      if (client.readyState === WebSocket.OPEN) client.send(message)
    }
  })
  const server = new WebSocketServer({ host: '127.0.0.1', port })
  server.on('connection', (client, request) => {
    const channel = request.url.slice(1)
    if (!subscribers.has(channel)) subscribers.set(channel, new Set())
    subscribers.get(channel).add(client)
    client.on('error', () => client.terminate())
    client.on('close', () => subscribers.get(channel).delete(client))
  })
}

main()

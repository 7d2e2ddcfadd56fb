// Socket.IO with the Redis adapter: PORT REDIS_PORT
const { createServer } = require('node:http')
const { createAdapter } = require('@socket.io/redis-adapter')
const { createClient } = require('redis')
const { Server } = require('socket.io')

const [port, redisPort] = process.argv.slice(2).map(Number)

async function main() {
  const publisher = createClient({ url: `redis://127.0.0.1:${redisPort}` })
  const subscriber = publisher.duplicate()
  await Promise.all([publisher.connect(), subscriber.connect()])
  const http = createServer()
  const io = new Server(http, { adapter: createAdapter(publisher, subscriber) })
  io.on('connection', (socket) => {
    socket.on('join', (room, acknowledge) => {
      socket.join(room)
      acknowledge()
    })
  })
  http.listen(port, '127.0.0.1')
}

main()

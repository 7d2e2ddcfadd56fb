// The JS server library against the API whose address and key are given; prints what it got.
import { CentClient } from 'cent.js'

const [url, apiKey] = process.argv.slice(2)
const client = new CentClient({ url, apiKey })
const published = await client.publish({ channel: 'room:a', data: { n: 1 } })
const history = await client.getHistory({ channel: 'room:a', limit: 10 })
const channels = await client.getChannels({ pattern: '*' })
const refused = await client.publish({ channel: 'nowhere:x', data: {} }).catch((error) => error.constructor.name)
await client.disconnect({ user: 'ann', client: 'c' })
const command = { method: 'publish', params: { channel: 'room:a', data: {} } }
const pipeline = await client.pipeline([command, command])
console.log(JSON.stringify({ published, history, channels, refused, pipeline }))

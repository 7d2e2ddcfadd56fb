-- Publishes once: stores under the next offset, remembers the key, delivers. All keys of a channel share
-- a hash tag. KEYS: stream, meta, known keys of the stream, result (without history). ARGV: payload,
-- pub/sub channel, history size, history ttl s, meta ttl s, epoch for a new stream,
-- idempotency key, idempotency ttl s (0: no key), how many keys a stream remembers.
-- Returns {offset, epoch, 1 if it was published before}.
local payload, channel, size = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = ARGV[7]
local idempotent = ARGV[8] ~= "0"

if size == 0 then
  if idempotent and not redis.call("SET", KEYS[4], "", "NX", "EX", ARGV[8]) then
    return { 0, "", 1 }
  end
  redis.call("PUBLISH", channel, "0::" .. payload)
  return { 0, "", 0 }
end

local epoch = redis.call("HGET", KEYS[2], "e")
if not epoch then
  -- Meta may be gone before the stream: its leftovers must not join the new epoch. HSET comes first:
  -- a Redis out of memory refuses a script only before its first write.
  epoch = ARGV[6]
  redis.call("HSET", KEYS[2], "e", epoch)
  redis.call("DEL", KEYS[1], KEYS[3])
elseif idempotent then
  local first = redis.call("ZSCORE", KEYS[3], key)
  if first then
    return { tonumber(first), epoch, 1 }
  end
end
local offset = redis.call("HINCRBY", KEYS[2], "s", 1)
redis.call("EXPIRE", KEYS[2], ARGV[5])
redis.call("XADD", KEYS[1], "MAXLEN", size, string.format("%d", offset) .. "-0", "d", payload)
redis.call("EXPIRE", KEYS[1], ARGV[4])
if idempotent then
  -- By count, not each by its time: they cost a bounded memory, and outlive what the stream shows.
  redis.call("ZADD", KEYS[3], offset, key)
  redis.call("ZREMRANGEBYSCORE", KEYS[3], "-inf", offset - tonumber(ARGV[9]))
  redis.call("EXPIRE", KEYS[3], ARGV[8])
end
redis.call("PUBLISH", channel, string.format("%d", offset) .. ":" .. epoch .. ":" .. payload)
return { offset, epoch, 0 }

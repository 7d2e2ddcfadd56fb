-- Publishes once: stores under the next offset, remembers the result, delivers. All keys of a channel
-- share a hash tag. KEYS: stream, meta, result. ARGV: payload, pub/sub channel, history size,
-- history ttl s, meta ttl s, epoch for a new stream, idempotency ttl s (0: no key).
-- Returns {offset, epoch, 1 if it was published before}.
local payload, channel, size = ARGV[1], ARGV[2], tonumber(ARGV[3])
local idempotent = ARGV[7] ~= "0"

if idempotent then
  local first = redis.call("HMGET", KEYS[3], "s", "e")
  if first[1] then
    return { tonumber(first[1]), first[2], 1 }
  end
end

local offset, epoch = 0, ""
if size > 0 then
  epoch = redis.call("HGET", KEYS[2], "e")
  if not epoch then
    -- Meta may be gone before the stream: its leftovers must not join the new epoch. HSET comes first:
    -- a Redis out of memory refuses a script only before its first write.
    epoch = ARGV[6]
    redis.call("HSET", KEYS[2], "e", epoch)
    redis.call("DEL", KEYS[1])
  end
  offset = redis.call("HINCRBY", KEYS[2], "s", 1)
  redis.call("EXPIRE", KEYS[2], ARGV[5])
  redis.call("XADD", KEYS[1], "MAXLEN", size, string.format("%d", offset) .. "-0", "d", payload)
  redis.call("EXPIRE", KEYS[1], ARGV[4])
end
if idempotent then
  redis.call("HSET", KEYS[3], "s", offset, "e", epoch)
  redis.call("EXPIRE", KEYS[3], ARGV[7])
end
redis.call("PUBLISH", channel, string.format("%d", offset) .. ":" .. epoch .. ":" .. payload)
return { offset, epoch, 0 }

-- Publishes once: stores under the next offset, remembers key and version, delivers. All keys of a channel
-- share a hash tag. KEYS: stream, meta, known keys of the stream, result (without history). ARGV: payload,
-- pub/sub channel, history size, history ttl s, meta ttl s, epoch for a new stream,
-- idempotency key, idempotency ttl s (0: no key), how many keys a stream remembers,
-- version (0: none), version epoch, run of this Redis ("": unknown).
-- Meta: e epoch, s top, v and ve the newest version, r run of the last write, b the top when r began.
-- Returns {offset, epoch, 1 if it was published before, 2 if something newer was}.
local payload, channel, size = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, version, run = ARGV[7], ARGV[10], ARGV[12]
local idempotent = ARGV[8] ~= "0"

if size == 0 then
  if idempotent and not redis.call("SET", KEYS[4], "", "NX", "EX", ARGV[8]) then
    return { 0, "", 1 }
  end
  redis.call("PUBLISH", channel, "0::" .. payload)
  return { 0, "", 0 }
end

local meta = redis.call("HMGET", KEYS[2], "e", "s", "r", "v", "ve")
local epoch, top = meta[1], tonumber(meta[2] or "0")
if not epoch then
  -- Meta may be gone before the stream: its leftovers must not join the new epoch. HSET comes first:
  -- a Redis out of memory refuses a script only before its first write.
  epoch = ARGV[6]
  redis.call("HSET", KEYS[2], "e", epoch)
  redis.call("DEL", KEYS[1], KEYS[3])
else
  local first = idempotent and redis.call("ZSCORE", KEYS[3], key)
  if first then
    return { tonumber(first), epoch, 1 }
  end
  local newest = meta[4]
  -- As text, because a number in Lua cannot hold all of 64 bits.
  if
    version ~= "0"
    and newest
    and (ARGV[11] == "" or ARGV[11] == meta[5])
    and (#version < #newest or (#version == #newest and version <= newest))
  then
    return { top, epoch, 2 }
  end
end
if run ~= "" and run ~= meta[3] then
  redis.call("HSET", KEYS[2], "r", run, "b", top)
end
if version ~= "0" then
  redis.call("HSET", KEYS[2], "v", version, "ve", ARGV[11])
end
local offset = redis.call("HINCRBY", KEYS[2], "s", 1)
redis.call("EXPIRE", KEYS[2], ARGV[5])
local id = string.format("%d", offset)
redis.call("XADD", KEYS[1], "MAXLEN", size, id .. "-0", "d", payload)
redis.call("EXPIRE", KEYS[1], ARGV[4])
if idempotent then
  -- By count, not each by its time: they cost a bounded memory, and outlive what the stream shows.
  redis.call("ZADD", KEYS[3], offset, key)
  redis.call("ZREMRANGEBYSCORE", KEYS[3], "-inf", offset - tonumber(ARGV[9]))
  redis.call("EXPIRE", KEYS[3], ARGV[8])
end
redis.call("PUBLISH", channel, id .. ":" .. epoch .. ":" .. payload)
return { offset, epoch, 0 }

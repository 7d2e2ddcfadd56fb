-- Who is in a channel; what has expired is let go of first, whatever is asked.
-- KEYS: entries (hash: client -> "length:user" and the rest), expiries (zset: client -> ms), users
-- (hash: user -> number of clients). ARGV: verb, then
--   add: ttl s, client, entry, client, entry, …   remove: client
--   get: returns {client, entry, …}               stats: returns {clients, users}
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function user_of(entry)
  local length, start = string.match(entry, "^(%d+):()")
  return string.sub(entry, start, start + length - 1)
end

local function drop(client)
  local entry = redis.call("HGET", KEYS[1], client)
  if entry then
    redis.call("HDEL", KEYS[1], client)
    local user = user_of(entry)
    if redis.call("HINCRBY", KEYS[3], user, -1) <= 0 then
      redis.call("HDEL", KEYS[3], user)
    end
  end
  redis.call("ZREM", KEYS[2], client)
end

for _, client in ipairs(redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", now_ms)) do
  drop(client)
end

local verb = ARGV[1]
if verb == "get" then
  return redis.call("HGETALL", KEYS[1])
elseif verb == "stats" then
  return { redis.call("HLEN", KEYS[1]), redis.call("HLEN", KEYS[3]) }
elseif verb == "remove" then
  drop(ARGV[2])
  return {}
end
for index = 3, #ARGV, 2 do
  local client, entry = ARGV[index], ARGV[index + 1]
  if redis.call("HGET", KEYS[1], client) ~= entry then
    drop(client)
    redis.call("HSET", KEYS[1], client, entry)
    redis.call("HINCRBY", KEYS[3], user_of(entry), 1)
  end
  redis.call("ZADD", KEYS[2], now_ms + ARGV[2] * 1000, client)
end
for _, key in ipairs(KEYS) do
  redis.call("EXPIRE", key, ARGV[2])
end
return {}

-- Reads the top and a range in one step. A channel without a stream gets an epoch here.
-- KEYS: stream, meta, keys. ARGV: since offset ("" for none), limit (0: top only, <0: all), reverse (0/1),
-- meta ttl s, epoch for a new stream. Returns {top offset, epoch, {offset, payload, …}}.
local limit, reverse = tonumber(ARGV[2]), ARGV[3] == "1"
local meta = redis.call("HMGET", KEYS[2], "e", "s")
local epoch, top = meta[1], tonumber(meta[2] or "0")
if not epoch then
  epoch, top = ARGV[5], 0
  redis.call("HSET", KEYS[2], "e", epoch)
  redis.call("DEL", KEYS[1], KEYS[3])
end
redis.call("EXPIRE", KEYS[2], ARGV[4])

local found = {}
if limit ~= 0 and top > 0 then
  local command, from, to = "XRANGE", "-", "+"
  if reverse then
    command, from, to = "XREVRANGE", "+", "-"
  end
  if ARGV[1] ~= "" then
    from = "(" .. ARGV[1] .. "-0"
    if reverse and ARGV[1] == "0" then
      return { top, epoch, found }
    end
  end
  local entries
  if limit > 0 then
    entries = redis.call(command, KEYS[1], from, to, "COUNT", limit)
  else
    entries = redis.call(command, KEYS[1], from, to)
  end
  for _, entry in ipairs(entries) do
    found[#found + 1] = string.match(entry[1], "^%d+")
    found[#found + 1] = entry[2][2]
  end
end
return { top, epoch, found }

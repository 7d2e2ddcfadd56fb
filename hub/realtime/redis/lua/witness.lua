-- Ends an epoch in which this Redis has lost something that a witness saw before Redis was started anew.
-- KEYS: stream, meta, keys. ARGV: offset and epoch that were seen, run of this Redis. Returns 1 if it ended.
local meta = redis.call("HMGET", KEYS[2], "e", "s", "r", "b")
if meta[1] ~= ARGV[2] then
  return 0
end
-- What this run has added says nothing about what came back with it.
local restored = meta[3] == ARGV[3] and meta[4] or meta[2] or "0"
if tonumber(restored) >= tonumber(ARGV[1]) then
  return 0
end
return redis.call("DEL", KEYS[1], KEYS[2], KEYS[3]) > 0 and 1 or 0

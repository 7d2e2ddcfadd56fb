-- Forgets a stream, only in the given epoch unless that is "". KEYS: stream, meta, keys. ARGV: epoch.
if ARGV[1] ~= "" and redis.call("HGET", KEYS[2], "e") ~= ARGV[1] then
  return 0
end
return redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])

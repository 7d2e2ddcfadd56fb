-- Forgets a stream if it is in the given epoch. KEYS: stream, meta, keys. ARGV: epoch.
if redis.call("HGET", KEYS[2], "e") ~= ARGV[1] then
  return 0
end
return redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])

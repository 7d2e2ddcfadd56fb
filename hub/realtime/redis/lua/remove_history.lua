-- Forgets the publications; the stream goes on where it was. KEYS: stream.
return redis.call("DEL", KEYS[1])

-- A write that changes nothing: replicas that have it have all that came before.
-- KEYS a shard's e
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('INCRBY', KEYS[1], 0) end
return 1

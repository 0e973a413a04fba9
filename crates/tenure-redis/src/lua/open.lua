-- A shard takes over what was decided for its namespace, if it is newer; says what it has now.
-- KEYS e, n; ARGV hooks, stamp
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SET', KEYS[1], 0) end
local stamp = redis.call('HGET', KEYS[2], 'stamp')
if not stamp or tonumber(stamp) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[2], 'hooks', ARGV[1], 'stamp', ARGV[2])
end
return redis.call('HMGET', KEYS[2], 'hooks', 'stamp')

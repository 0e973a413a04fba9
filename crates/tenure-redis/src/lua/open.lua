-- A shard takes over what was decided for its namespace, if it is newer.
-- KEYS e, n; ARGV hooks, stamp
redis.call('SETNX', KEYS[1], 0)
local stamp = redis.call('HGET', KEYS[2], 'stamp')
if not stamp or tonumber(stamp) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[2], 'hooks', ARGV[1], 'stamp', ARGV[2])
end
return 1

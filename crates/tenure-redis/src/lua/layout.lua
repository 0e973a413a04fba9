-- Notes the layout of what is stored here, if nobody has yet; says which it is.
-- KEYS layout; ARGV version, shards
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], 'version', ARGV[1], 'shards', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'version', 'shards')

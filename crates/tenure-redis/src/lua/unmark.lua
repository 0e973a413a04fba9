-- Takes back a log-in's mark, if it is still its own.
-- KEYS m; ARGV principal, mark
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
    redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1

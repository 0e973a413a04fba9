-- Begins a shard's next epoch, if its present one is still the one that was read.
-- KEYS e, n, d, o:<epoch>; ARGV epoch, now
local epoch = redis.call('GET', KEYS[1])
if not epoch then return -1 end
if epoch ~= ARGV[1] then return 0 end
redis.call('INCR', KEYS[1])
if redis.call('EXISTS', KEYS[3]) == 1 then
    redis.call('HSET', KEYS[2], 'r' .. epoch, ARGV[2])
    redis.call('RENAME', KEYS[3], KEYS[4])
end
return 1

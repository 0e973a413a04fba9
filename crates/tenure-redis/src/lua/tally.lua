-- How long a shard's queues are. A pure read.
-- KEYS n, d, w, h, x; ARGV now. Returns the notes; how many of d there are; of w; of h that
-- are held, and that are not; of x; when the first of w and of h is due.
local now = ARGV[1]
local beyond = string.format('%.0f', horizon_at(tonumber(now)))
local function first(key)
    return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or 'inf'
end
return {
    redis.call('HGETALL', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]),
    redis.call('ZCOUNT', KEYS[4], '(' .. now, beyond),
    redis.call('ZCOUNT', KEYS[4], '-inf', now) + redis.call('ZCOUNT', KEYS[4], '(' .. beyond, '+inf'),
    redis.call('ZCARD', KEYS[5]), first(KEYS[3]), first(KEYS[4]),
}

-- A log-in leaves its mark on a shard; on its own, after a look at its session. Returns the
-- places of the first of the principal's sessions there.
-- KEYS e, m, p and on its own shard s; ARGV principal, mark, limit, now, expected
local epoch = redis.call('GET', KEYS[1])
if KEYS[4] then
    local head = header(KEYS[4])
    if not epoch or head == '' then return 0 end
    if not readable(head) then return redis.error_reply(DAMAGED) end
    if not live(tonumber(epoch), head, tonumber(ARGV[4])) then return 0 end
    if head:sub(73, 80) ~= ARGV[5] then return 2 end
end
if epoch then redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return redis.call('ZRANGEBYLEX', KEYS[3], '[' .. ARGV[1] .. '\0', '(' .. ARGV[1] .. '\1',
    'LIMIT', 0, ARGV[3])

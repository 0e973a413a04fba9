-- A log-in leaves its mark on a shard; on its own, after a look at its session. Returns the
-- places of the newest of the principal's sessions there.
-- KEYS e, m, p and on its own shard s; ARGV principal, mark, limit, now, expected
local HOUR = 3600000
local epoch, now = redis.call('GET', KEYS[1]), tonumber(ARGV[4])
if KEYS[4] then
    local head = header(KEYS[4])
    if not epoch or head == '' then return 0 end
    if not readable(head) then return redis.error_reply(DAMAGED) end
    if not live(tonumber(epoch), head, now) then return 0 end
    if head:sub(73, 80) ~= ARGV[5] then return 2 end
end
if epoch then
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    -- Some that others left, who could not take them back: as many go as come, and more.
    local some = redis.call('HRANDFIELD', KEYS[2], 4, 'WITHVALUES')
    for i = 1, #some, 2 do
        if #some[i + 1] == 16 and now - struct.unpack('>i8', some[i + 1], 9) > HOUR then
            redis.call('HDEL', KEYS[2], some[i])
        end
    end
end
return redis.call('ZREVRANGEBYLEX', KEYS[3], '(' .. ARGV[1] .. '\1', '[' .. ARGV[1] .. '\0',
    'LIMIT', 0, ARGV[3])

-- Ends those of a principal's sessions that are live and still theirs; says how many.
-- KEYS e, d, w, c, p, records; ARGV now, reason, keep (0: no tombstone), principal, places
local now, reason, principal = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[4]
local epoch, ended = tonumber(redis.call('GET', KEYS[1]) or -1), 0
for i = 6, #KEYS do
    local key, its_place = KEYS[i], ARGV[i - 1]
    local id, head = its_place:sub(9), header(key)
    if head == '' then
        redis.call('ZREM', KEYS[5], named(principal, its_place))
    elseif readable(head) and live(epoch, head, now) and principal_of(key, head) == principal then
        if ARGV[3] == '0' then
            redis.call('ZREM', KEYS[2], id)
            forget(key, head, id, KEYS[4], KEYS[5])
        else
            redis.call('SETRANGE', key, 0, with(head, WAITING, reason, now, now, 0, 0, 0))
            redis.call('ZREM', KEYS[2], id)
            redis.call('ZADD', KEYS[3], now, id)
        end
        ended = ended + 1
    end
end
return ended

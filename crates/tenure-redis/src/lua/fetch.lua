-- Records as they lie there, with what is needed to judge them. A pure read.
-- KEYS e, n, records; ARGV the last byte wanted of each, how many bytes in all. Returns
-- epoch, notes and each record: empty if there is none, nothing if it was one too many.
local budget, answer = tonumber(ARGV[2]), {}
for i = 3, #KEYS do
    if budget > 0 then
        local record = redis.call('GETRANGE', KEYS[i], 0, ARGV[1])
        budget = budget - #record
        answer[i - 2] = record
    else
        answer[i - 2] = false
    end
end
return { redis.call('GET', KEYS[1]), redis.call('HGETALL', KEYS[2]), answer }

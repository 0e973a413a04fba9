-- Which of these sessions are live and of this principal: 1 or 0 for each.
-- KEYS e, records; ARGV now, principal
local now, answer = tonumber(ARGV[1]), {}
local epoch = tonumber(redis.call('GET', KEYS[1]) or -1)
for i = 2, #KEYS do
    local head = header(KEYS[i])
    local lives = readable(head) and live(epoch, head, now)
        and principal_of(KEYS[i], head) == ARGV[2]
    answer[i - 1] = lives and 1 or 0
end
return answer

-- How many of these sessions are over, and since when the first of them is. A pure read.
-- KEYS e, records; ARGV now, when their epoch was reset (empty: it is the present one)
local epoch, now = tonumber(redis.call('GET', KEYS[1]) or -1), tonumber(ARGV[1])
-- It is dead all the same should the note of its reset have been lost.
local reset = tonumber(ARGV[2]) or now
local over, first = 0, nil
for i = 2, #KEYS do
    local head = header(KEYS[i])
    if readable(head) and head:byte(2) == RUNNING then
        local _, at = expiry(head)
        local is_over = at and at <= now
        if epoch_of(head) ~= epoch then is_over, at = true, math.min(at or reset, reset) end
        if is_over then
            over, first = over + 1, math.min(first or at, at)
        end
    end
end
return { over, first and string.format('%.0f', first) or 'inf' }

-- The first that are due of each of a shard's queues; nothing if the shard is not opened. A
-- pure read.
-- KEYS e, n, d, w, h, one old queue for each epoch; ARGV now, limit, up to when a waiting
-- tombstone is due, most epochs, the epochs. What waits beyond the horizon is due now. Returns whether hooks are expected, how many
-- resets are remembered, the first of them; and if those are the given epochs, for each
-- queue the ids and dues, and when the next is due.
if not redis.call('GET', KEYS[1]) then return false end
local notes = redis.call('HGETALL', KEYS[2])
local hooks, epochs, at = '0', {}, {}
for i = 1, #notes, 2 do
    local epoch = string.match(notes[i], '^r(%d+)$')
    if epoch then
        epochs[#epochs + 1] = epoch
        at[epoch] = tonumber(notes[i + 1])
    elseif notes[i] == 'hooks' then
        hooks = notes[i + 1]
    end
end
table.sort(epochs, function(one, other) return tonumber(one) < tonumber(other) end)
local first, same = {}, true
for i = 1, math.min(#epochs, tonumber(ARGV[4])) do
    first[i] = epochs[i]
end
for i = 1, math.max(#first, #ARGV - 4) do
    same = same and first[i] == ARGV[4 + i]
end
if not same then return { hooks, #epochs, first } end

local function queue(key, upto, beyond)
    local due = redis.call('ZRANGEBYSCORE', key, '-inf', upto, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
    local room = tonumber(ARGV[2]) - #due / 2
    if beyond and room > 0 then
        local wrong = redis.call('ZRANGEBYSCORE', key, '(' .. beyond, '+inf', 'LIMIT', 0, room)
        for _, id in ipairs(wrong) do
            due[#due + 1], due[#due + 2] = id, ARGV[1]
        end
        room = room - #wrong
    end
    local after = {}
    if room > 0 then
        after = redis.call('ZRANGEBYSCORE', key, '(' .. upto, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    end
    return { due, after[2] or 'inf' }
end
local beyond = string.format('%.0f', horizon_at(tonumber(ARGV[1])))
local queues = {
    queue(KEYS[3], ARGV[1]),
    queue(KEYS[4], ARGV[3], ARGV[3] == ARGV[1] and beyond),
    queue(KEYS[5], ARGV[1], beyond),
}
for i = 1, #first do
    -- All of them are over, but not before their reset.
    local due, reset = redis.call('ZRANGE', KEYS[5 + i], 0, ARGV[2] - 1, 'WITHSCORES'), at[first[i]]
    for j = 2, #due, 2 do
        if tonumber(due[j]) > reset then due[j] = string.format('%.0f', reset) end
    end
    queues[3 + i] = { due, 'inf' }
end
return { hooks, #epochs, first, unpack(queues) }

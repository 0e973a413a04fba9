-- What claim and purge share: what a candidate turns out to be, and resets that are through.
-- KEYS e, n, d, w, h, c, p, one old queue for each epoch, one record for each candidate;
-- ARGV now, until, budget, number of epochs, the epochs, then id and number of the queue
-- it was found in for each candidate.
local GONE, LATER, AGAIN, RIPE = 0, 1, 2, 3
local DUE, HOMES = KEYS[3], { [WAITING] = KEYS[4], [HELD] = KEYS[5] }
local now, till, epochs = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local epoch = tonumber(redis.call('GET', KEYS[1]) or -1)
local old, resets = {}, {}
for i = 1, epochs do
    local number = tonumber(ARGV[4 + i])
    old[number] = KEYS[7 + i]
    resets[number] = tonumber(redis.call('HGET', KEYS[2], 'r' .. ARGV[4 + i]) or nil)
end
local candidates = #KEYS - 7 - epochs

local function candidate(i)
    local id, found = ARGV[3 + epochs + 2 * i], KEYS[tonumber(ARGV[4 + epochs + 2 * i])]
    return id, found, KEYS[7 + epochs + i]
end

-- Puts it into the queue where it belongs.
local function move(id, found, home, due)
    redis.call('ZADD', home, due, id)
    if found ~= home then redis.call('ZREM', found, id) end
end

-- What it is, and: if later, from when; if ripe, header, reason, instant and counters. A
-- waiting tombstone is ripe from `horizon` on.
local function look(id, found, key, horizon)
    local head = header(key)
    if head == '' then
        redis.call('ZREM', found, id)
        return GONE
    end
    if not readable(head) then
        return RIPE
    end
    if head:byte(2) == RUNNING then
        local own = epoch_of(head)
        if own ~= epoch and not old[own]
            and redis.call('HEXISTS', KEYS[2], 'r' .. string.format('%.0f', own)) == 1 then
            -- Reset since it was found here: it is in another queue.
            return AGAIN
        end
        local reason, at = expiry(head)
        if own ~= epoch then
            -- It is dead all the same should the note of its reset have been lost.
            local reset = resets[own] or now
            if not at or at > reset then reason, at = RESET, reset end
            return RIPE, head, reason, at, 0, 0, 0
        end
        if at and at <= now then
            return RIPE, head, reason, at, 0, 0, 0
        end
        move(id, found, DUE, at or '+inf')
        return LATER, at or 'inf'
    end
    local ended, due, claims, failures, unsettled = struct.unpack('>i8i8I4I4I4', head, 81)
    local home = HOMES[head:byte(2)]
    local upto = head:byte(2) == WAITING and horizon or now
    if not home or home ~= found or due > upto and due <= horizon_at(now) then
        -- Somebody else was here meanwhile, or it is in a queue where it does not belong.
        if found ~= home then redis.call('ZREM', found, id) end
        return AGAIN
    end
    return RIPE, head, head:byte(4), ended, claims, failures, unsettled
end

-- A reset of which no session is left need not be remembered.
local function forget_resets()
    for i = 1, epochs do
        if redis.call('EXISTS', KEYS[7 + i]) == 0 then
            redis.call('HDEL', KEYS[2], 'r' .. ARGV[4 + i])
        end
    end
end

-- Holds what is over or waiting among the candidates, whose keys and arguments `due.lua`
-- names. Returns for each what it turned out to be, and its record or from when it is due.
local budget, answers, full = tonumber(ARGV[3]), {}, false
for i = 1, candidates do
    local id, found, key = candidate(i)
    local what, head, reason, at, claims, failures, unsettled = AGAIN
    if not full then
        what, head, reason, at, claims, failures, unsettled = look(id, found, key, now)
    end
    if what ~= RIPE then
        answers[i] = { what, head }
    elseif not head then
        -- Damaged: the others' turn must come, and perhaps somebody mends it.
        move(id, found, found == HOMES[WAITING] and found or DUE, till)
        answers[i] = { LATER, till }
    else
        local record = redis.call('GET', key)
        budget = budget - #record
        full = budget < 0
        head = with(head, HELD, reason, at, till, math.min(claims + 1, 4294967295), failures,
            math.min(unsettled + 1, 4294967295))
        redis.call('SETRANGE', key, 0, head)
        move(id, found, HOMES[HELD], till)
        answers[i] = { RIPE, head .. record:sub(HEADER + 1) }
    end
end
forget_resets()
return answers

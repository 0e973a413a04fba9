-- Removes what is over or not held among the candidates, whose keys and arguments `due.lua`
-- names; refused while hooks are expected. Returns for each what it turned out to be, and
-- from when it is due.
if redis.call('HGET', KEYS[2], 'hooks') == '1' then return false end
local answers = {}
for i = 1, candidates do
    local id, found, key = candidate(i)
    local what, head = look(id, found, key, MAX)
    if what ~= RIPE then
        answers[i] = { what, head }
    else
        redis.call('ZREM', found, id)
        if head then
            forget(key, head, id, KEYS[6], KEYS[7])
        else
            redis.call('DEL', key)
        end
        answers[i] = { RIPE }
    end
end
forget_resets()
return answers

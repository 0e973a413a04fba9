-- Says how attempts came out, where the claim is the latest; says how many were.
-- KEYS w, h, x, c, p, records; ARGV for each id, claim, outcome, due, what it said
local DONE, RELEASE, BURY = '0', '1', '3'
local settled = 0
for i = 6, #KEYS do
    local key, a = KEYS[i], 5 * (i - 6)
    local id, claim, outcome = ARGV[a + 1], tonumber(ARGV[a + 2]), ARGV[a + 3]
    local head = header(key)
    local held = readable(head) and head:byte(2) == HELD
    local at, _, claims, failures, unsettled = struct.unpack('>i8i8I4I4I4', held and head
        or string.rep('\0', HEADER), 81)
    if held and claims == claim then
        if outcome == DONE then
            redis.call('ZREM', KEYS[2], id)
            forget(key, head, id, KEYS[4], KEYS[5])
        else
            local phase, due = outcome == BURY and DEAD or WAITING, tonumber(ARGV[a + 4])
            unsettled = math.max(unsettled - 1, 0)
            if outcome == RELEASE then
                redis.call('SETRANGE', key, 0,
                    with(head, phase, head:byte(4), at, due, claims, failures, unsettled))
            else
                local record, said = redis.call('GET', key), ARGV[a + 5]
                local principal, before = struct.unpack('>I2I2', head, 109)
                local flags = head:byte(3)
                head = with(head, phase, head:byte(4), at, due, claims,
                    math.min(failures + 1, 4294967295), unsettled)
                redis.call('SET', key, head:sub(1, 2)
                    .. string.char(flags + (1 - math.floor(flags / 2) % 2) * 2)
                    .. head:sub(4, 110) .. struct.pack('>I2', #said)
                    .. record:sub(HEADER + 1, HEADER + principal) .. said
                    .. record:sub(HEADER + principal + before + 1))
            end
            redis.call('ZREM', KEYS[2], id)
            redis.call('ZADD', KEYS[phase == DEAD and 3 or 1], due, id)
        end
        settled = settled + 1
    end
end
return settled

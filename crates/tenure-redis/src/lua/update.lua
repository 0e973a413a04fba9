-- Changes a live session that has the expected version and, if it is asked for, whose
-- principal's mark still stands.
-- KEYS e, s, d, p, m; ARGV id, now, expected, version, counts, idle, life, leaves,
-- rotation, previous, payload, principal, mark. What is empty stays as it is; `-` takes a
-- time away; `=` goes before bytes.
local GONE, DONE, CHANGED, OVERTAKEN = 0, 1, 2, 3
local id, now = ARGV[1], tonumber(ARGV[2])
local epoch, head = redis.call('GET', KEYS[1]), header(KEYS[2])
if not epoch or head == '' then return GONE end
if not readable(head) then return redis.error_reply(DAMAGED) end
if not live(tonumber(epoch), head, now) then return GONE end
if head:sub(73, 80) ~= ARGV[3] then return CHANGED end
local next_principal = ARGV[12]:sub(2)
if ARGV[13] ~= '' and redis.call('HGET', KEYS[5], next_principal) ~= ARGV[13] then
    return OVERTAKEN
end

local flags, reason, own, created, last, accesses, idle, life, leaves, rotation, previous =
    struct.unpack('>BBi8i8i8i8i8i8i8I4i8', head, 3)
local leaving, reads = flags % 2 == 1, math.floor(flags / 4) % 2 == 1
if ARGV[5] == '1' then
    last, accesses, leaving = math.max(last, now), accesses + 1, false
end
local function time(argument, value)
    if argument == '' then return value end
    return argument == '-' and 0 or tonumber(argument)
end
idle, life = time(ARGV[6], idle), time(ARGV[7], life)
if ARGV[8] ~= '' then
    leaving, leaves = ARGV[8] ~= '-', time(ARGV[8], leaves)
end
if ARGV[9] ~= '' then
    rotation, reads, previous = tonumber(ARGV[9]), ARGV[10] ~= '-', time(ARGV[10], previous)
end
flags = (leaving and 1 or 0) + math.floor(flags / 2) % 2 * 2 + (reads and 4 or 0)
local after = string.char(head:byte(1), head:byte(2))
    .. struct.pack('>BBi8i8i8i8i8i8i8I4i8', flags, reason, own, created, last, accesses, idle,
        life, leaves, rotation, previous)
    .. ARGV[4] .. head:sub(81)

if ARGV[11] == '' and ARGV[12] == '' then
    redis.call('SETRANGE', KEYS[2], 0, after)
else
    local before = principal_of(KEYS[2], head)
    local principal = before
    if ARGV[12] ~= '' then
        principal = next_principal ~= '' and next_principal or nil
    end
    local tail = HEADER + #(before or '')
    local rest
    if ARGV[11] ~= '' then
        local failure = struct.unpack('>I2', head, 111)
        rest = failure > 0 and redis.call('GETRANGE', KEYS[2], tail, tail + failure - 1) or ''
        rest = rest .. ARGV[11]:sub(2)
    else
        rest = redis.call('GETRANGE', KEYS[2], tail, -1)
    end
    after = after:sub(1, 108) .. struct.pack('>I2', #(principal or '')) .. after:sub(111)
    if SHRINKS and (principal and principal ~= before
        or #after + #(principal or '') + #rest > redis.call('STRLEN', KEYS[2])) then
        return redis.error_reply(FULL)
    end
    redis.call('SET', KEYS[2], after .. (principal or '') .. rest)
    if principal ~= before then
        if before then redis.call('ZREM', KEYS[4], named(before, place(head, id))) end
        if principal then redis.call('ZADD', KEYS[4], 0, named(principal, place(head, id))) end
    end
end
-- Only ever lower: what ends later is put off when a reaper gets there.
if ARGV[6] ~= '' or ARGV[7] ~= '' or ARGV[8] ~= '' then
    local _, at = expiry(after)
    if at then redis.call('ZADD', KEYS[3], 'LT', at, id) end
end
if ARGV[13] ~= '' then redis.call('HDEL', KEYS[5], next_principal) end
return DONE

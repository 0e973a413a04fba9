-- Ends a live session; returns its record as it was.
-- KEYS e, s, d, the queue it goes to, c, p; ARGV id, now, reason, phase (0: none), due,
-- the rotation that it must have (-1: any)
local id, now, phase = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local epoch, head = redis.call('GET', KEYS[1]), header(KEYS[2])
if not epoch or head == '' then return false end
if not readable(head) then return redis.error_reply(DAMAGED) end
if not live(tonumber(epoch), head, now) then return false end
local rotation = tonumber(ARGV[6])
if rotation >= 0 and rotation ~= struct.unpack('>I4', head, 61) then return false end
local record = redis.call('GET', KEYS[2])
if phase == RUNNING then
    redis.call('ZREM', KEYS[3], id)
    forget(KEYS[2], head, id, KEYS[5], KEYS[6])
else
    local due, claims = tonumber(ARGV[5]), phase == HELD and 1 or 0
    redis.call('SETRANGE', KEYS[2], 0,
        with(head, phase, tonumber(ARGV[3]), now, due, claims, 0, claims))
    redis.call('ZREM', KEYS[3], id)
    redis.call('ZADD', KEYS[4], due, id)
end
return record

-- An operator's decision on a tombstone that nobody holds.
-- KEYS s, w, h, x, c, p; ARGV id, now, requeue (0: discard)
local id, now, head = ARGV[1], tonumber(ARGV[2]), header(KEYS[1])
if head == '' then return 0 end
if not readable(head) then return redis.error_reply(DAMAGED) end
local phase = head:byte(2)
local at, due, claims = struct.unpack('>i8i8I4', head, 81)
if phase == RUNNING or phase == HELD and now < due and due <= horizon_at(now) then return 0 end
if ARGV[3] == '0' then
    redis.call('ZREM', KEYS[1 + phase], id)
    forget(KEYS[1], head, id, KEYS[5], KEYS[6])
else
    redis.call('SETRANGE', KEYS[1], 0, with(head, WAITING, head:byte(4), at, now, claims, 0, 0))
    redis.call('ZREM', KEYS[1 + phase], id)
    redis.call('ZADD', KEYS[2], now, id)
end
return 1

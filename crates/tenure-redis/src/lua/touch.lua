-- Notes an access to a live session. No queue moves.
-- KEYS e, s; ARGV now
local epoch, head, now = redis.call('GET', KEYS[1]), header(KEYS[2]), tonumber(ARGV[1])
if not epoch or head == '' then return 0 end
if not readable(head) then return redis.error_reply(DAMAGED) end
if not live(tonumber(epoch), head, now) then return 0 end
local last, accesses = struct.unpack('>i8i8', head, 21)
redis.call('SETRANGE', KEYS[2], 20, struct.pack('>i8i8', math.max(last, now), accesses + 1))
local flags = head:byte(3)
if flags % 2 == 1 then
    redis.call('SETRANGE', KEYS[2], 2, string.char(flags - 1))
end
return 1

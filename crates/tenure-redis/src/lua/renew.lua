-- Lets leases run on where nobody else has claimed since; says how many.
-- KEYS h, records; ARGV until, then id and claim for each
local till, renewed = tonumber(ARGV[1]), 0
for i = 2, #KEYS do
    local head = header(KEYS[i])
    if readable(head) and head:byte(2) == HELD
        and struct.unpack('>I4', head, 97) == tonumber(ARGV[2 * i - 1]) then
        redis.call('SETRANGE', KEYS[i], 88, struct.pack('>i8', till))
        redis.call('ZADD', KEYS[1], till, ARGV[2 * i - 2])
        renewed = renewed + 1
    end
end
return renewed

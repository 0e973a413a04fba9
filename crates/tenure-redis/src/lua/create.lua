-- Stores a session if its id is free, in the present epoch; which has to be the given one
-- if there is one.
-- KEYS e, s, the queue of its phase, c, p; ARGV id, record, due, epoch or empty
local epoch = redis.call('GET', KEYS[1])
if not epoch then return -1 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if ARGV[4] ~= '' and ARGV[4] ~= epoch then return 2 end
local id, record = ARGV[1], ARGV[2]
redis.call('SET', KEYS[2],
    record:sub(1, 4) .. struct.pack('>i8', tonumber(epoch)) .. record:sub(13))
redis.call('ZADD', KEYS[3], ARGV[3], id)
redis.call('ZADD', KEYS[4], 0, place(record, id))
local principal = principal_of(KEYS[2], record)
if principal then
    redis.call('ZADD', KEYS[5], 0, named(principal, place(record, id)))
end
return 1

-- A namespace is on the list, and whether hooks are expected is decided here.
-- KEYS namespaces; ARGV namespace, hooks: 1, 0 or empty for no word; a stamp to go beyond
local known = redis.call('HGET', KEYS[1], ARGV[1])
local hooks, stamp = string.match(known or '0:0', '^(%d):(%d+)$')
local wanted = ARGV[2] ~= '' and ARGV[2] or hooks
local floor = tonumber(ARGV[3])
if known and wanted == hooks and tonumber(stamp) > floor then
    return { hooks, stamp }
end
stamp = string.format('%.0f', math.max(tonumber(stamp), floor) + 1)
redis.call('HSET', KEYS[1], ARGV[1], wanted .. ':' .. stamp)
return { wanted, stamp }

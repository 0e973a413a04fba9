-- What every script begins with: how a record's header is read, and whether its session
-- is live. Numbers are doubles, exact up to 2^53; versions are compared as bytes. Strings
-- are compared for equality alone: the order that Lua gives them is the locale's.
local HEADER = 112
local MAX = 9007199254740992
-- How far ahead a tombstone may be told to wait, as the contract says.
local LONGEST_WAIT, SKEW = 3600000, 30000
local RUNNING, WAITING, HELD, DEAD = 0, 1, 2, 3
local LEFT, IDLE, LIFETIME, RESET = 4, 2, 3, 5
local DAMAGED = 'CORRUPT a session has a header that cannot be read'

-- The header; empty if there is no record.
local function header(key)
    return redis.call('GETRANGE', key, 0, HEADER - 1)
end

local function readable(head)
    return #head == HEADER and head:byte(1) == 1 and head:byte(2) <= DEAD
end

local function epoch_of(head)
    return (struct.unpack('>i8', head, 5))
end

-- Why and when a session runs out by its own times; nothing if it never does.
local function expiry(head)
    local flags, _, _, created, last, _, idle, life, leaves =
        struct.unpack('>BBi8i8i8i8i8i8i8', head, 3)
    local reason, at
    local function cause(its_reason, its_at)
        if not at or its_at < at then
            reason, at = its_reason, its_at
        end
    end
    if flags % 2 == 1 then cause(LEFT, leaves) end
    if idle > 0 then cause(IDLE, math.min(last + idle, MAX)) end
    if life > 0 then cause(LIFETIME, math.min(created + life, MAX)) end
    return reason, at
end

local function live(epoch, head, now)
    if head:byte(2) ~= RUNNING or epoch_of(head) ~= epoch then
        return false
    end
    local _, at = expiry(head)
    return not at or now < at
end

-- The last instant that a tombstone can be told to wait for: what is beyond was written by
-- a clock that was ahead, and is due.
local function horizon_at(now)
    return now + LONGEST_WAIT + SKEW
end

-- The principal; nothing if nobody logged in.
local function principal_of(key, head)
    local length = struct.unpack('>I2', head, 109)
    if length > 0 then
        return redis.call('GETRANGE', key, HEADER, HEADER + length - 1)
    end
end

-- Where a session is in a list, as bytes in that order: created, id.
local function place(head, id)
    return string.char((head:byte(13) + 128) % 256) .. head:sub(14, 20) .. id
end

local function named(principal, place)
    return principal .. '\0' .. place
end

-- The header of the same session with another tombstone.
local function with(head, phase, reason, at, due, claims, failures, unsettled)
    return head:sub(1, 1) .. string.char(phase) .. head:sub(3, 3) .. string.char(reason)
        .. head:sub(5, 80)
        .. struct.pack('>i8i8I4I4I4', at, due, claims, failures, unsettled)
        .. head:sub(109)
end

-- Nothing is left of the session but its place in a queue, which the caller knows.
local function forget(key, head, id, by_creation, by_principal)
    local principal = principal_of(key, head)
    redis.call('DEL', key)
    redis.call('ZREM', by_creation, place(head, id))
    if principal then
        redis.call('ZREM', by_principal, named(principal, place(head, id)))
    end
end

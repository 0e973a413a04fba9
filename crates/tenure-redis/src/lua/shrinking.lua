-- A full server lets this in: so it takes no more room than there was.
local SHRINKS = true
local FULL = 'OOM the session would be larger than it is'

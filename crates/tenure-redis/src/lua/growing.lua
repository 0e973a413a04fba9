-- A full server refuses the script by itself.
local SHRINKS = false

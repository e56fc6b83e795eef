-- Reads entries in the order of their keys, and drops the names of those that have expired.
--
-- KEYS: the index of all keys.
-- ARGV: what the names of entries begin with, where to begin, where to end, how many names to look at.
-- Answers the last name looked at, or nothing where there are no more, and the entries found.
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local found = {}
for _, name in ipairs(names) do
    local entry = ARGV[1] .. name
    local kind = redis.call('TYPE', entry).ok
    if kind == 'string' then
        table.insert(found, { name, redis.call('GET', entry) })
    elseif kind == 'none' then
        redis.call('ZREM', KEYS[1], name)
    else
        table.insert(found, { name, '' })
    end
end
local last = names[tonumber(ARGV[4])] or false
return { last, found }

-- Swaps an entry, atomically. Bytes are compared, never numbers: those of Lua are doubles.
--
-- KEYS: the entry; the index of all keys.
-- ARGV: the expected version (empty: absent), the new entry (empty: removed), its lifetime in milliseconds (empty:
-- for ever), the key's name in the index, the channel, what the names of entries begin with, the known form.
-- Answers 1 (done), 0 (not as expected), or the entry as it is, where it cannot be told which version it is.
local held = redis.call('GET', KEYS[1])
if held then
    if #held < 13 or string.byte(held, 1) ~= tonumber(ARGV[7]) then return held end
    if string.sub(held, 6, 13) ~= ARGV[1] then return 0 end
elseif ARGV[1] ~= '' then
    return 0
end
-- The index first: a script that fails is not undone, and an index entry too many does no harm.
if ARGV[2] == '' then
    redis.call('ZREM', KEYS[2], ARGV[4])
    redis.call('DEL', KEYS[1])
else
    redis.call('ZADD', KEYS[2], 0, ARGV[4])
    if ARGV[3] == '' then
        redis.call('SET', KEYS[1], ARGV[2])
    else
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        -- What expires leaves its name in the index. Two names are looked at for each that will be left, so that the
        -- index stays below twice what it must be, whether or not anybody scans.
        for _, name in ipairs(redis.call('ZRANDMEMBER', KEYS[2], 2)) do
            if redis.call('EXISTS', ARGV[6] .. name) == 0 then redis.call('ZREM', KEYS[2], name) end
        end
    end
end
redis.call('PUBLISH', ARGV[5], ARGV[4])
return 1

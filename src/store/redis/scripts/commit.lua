#!lua
-- One step of the store's port: compares, then applies all or nothing, and gives the commit its number.
--
-- The first line makes Redis 7 check before the first write that the script may write at all (memory, replica,
-- min-replicas-to-write): without it a write in the middle could be refused after others were done. What takes rights
-- away, and what only appends to the log, is sent with "flags=allow-oom" there: it is written past maxmemory too.
--
-- KEYS[1]   counter of commits
-- KEYS[2]   log stream
-- KEYS[3..] in this order: checked records, records to put, records to remove, indexes to link in, indexes to unlink
--           from, records to raise, records to raise to a version of their own
--
-- ARGV[1]   number of checks
-- ARGV[2]   number of puts
-- ARGV[3]   number of removals
-- ARGV[4]   number of links
-- ARGV[5]   number of unlinks
-- ARGV[6]   number of raises
-- ARGV[7]   number of raises to a version
-- ARGV[8]   number of log events
-- ARGV[9]   entries that the log keeps at least
-- ARGV[10]  milliseconds for which the log keeps entries
-- ARGV[11]  number that no version by the clock passes
-- ARGV[12..] in this order: per check the version expected, 0 for no record; per put its JSON and its expiry (ms since
--           the epoch, empty for none); per link the member; per unlink the member; per raise to a version that
--           version; per event its JSON
--
-- Returns an error NOPERM, and has written nothing, where the user may not run what the step needs; {0, n} when the n-th check failed, else {1, version, position of each event ...}. The version is text: Lua
-- would print a large number in exponents, and Redis' protocol would cut it to an integer.

local checks, puts, removals = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local links, unlinks, raises = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local raise_tos, events = tonumber(ARGV[7]), tonumber(ARGV[8])
local key, arg = 2, 11

local function next_key()
  key = key + 1
  return KEYS[key]
end

local function next_arg()
  arg = arg + 1
  return ARGV[arg]
end

for n = 1, checks do
  local record = redis.call('GET', next_key())
  local version = record and string.match(record, '^%d+') or '0'
  if version ~= next_arg() then
    return {0, n}
  end
end

-- A user who may not run one of these would be stopped halfway, with some of the step written.
local writes = {SET = 1, DEL = removals, ZADD = links, ZREM = unlinks, XADD = events, XTRIM = events}
for command, uses in pairs(writes) do
  if uses > 0 and not redis.acl_check_cmd(command, KEYS[1]) then
    return redis.error_reply('NOPERM the user may not run ' .. command)
  end
end

local version = tonumber(redis.call('GET', KEYS[1]) or 0) + 1
local time = redis.call('TIME')
local by_clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
if by_clock <= tonumber(ARGV[11]) then
  version = math.max(version, by_clock)
end
local first_floor = arg + 2 * puts + links + unlinks
for n = first_floor + 1, first_floor + raise_tos do
  version = math.max(version, tonumber(ARGV[n]) + 1)
end
version = string.format('%.0f', version)
redis.call('SET', KEYS[1], version)

for _ = 1, puts do
  local name, json, expiry = next_key(), next_arg(), next_arg()
  if expiry == '' then
    redis.call('SET', name, version .. '|' .. json)
  else
    redis.call('SET', name, version .. '|' .. json, 'PXAT', expiry)
  end
end

for _ = 1, removals do
  redis.call('DEL', next_key())
end

for _ = 1, links do
  redis.call('ZADD', next_key(), 0, next_arg())
end

for _ = 1, unlinks do
  redis.call('ZREM', next_key(), next_arg())
end

-- `floor` is text, so that a number that is kept is kept digit by digit.
local function raise(name, floor)
  local record = redis.call('GET', name)
  local bar = record and string.find(record, '|', 1, true)
  local present = record and string.sub(record, 1, bar - 1) or '0'
  local json = record and string.sub(record, bar + 1) or '{}'
  local raised = tonumber(present) > tonumber(floor) and present or floor
  redis.call('SET', name, raised .. '|' .. json, 'KEEPTTL')
end

for _ = 1, raises do
  raise(next_key(), version)
end

for _ = 1, raise_tos do
  raise(next_key(), next_arg())
end

local result = {1, version}
for n = 1, events do
  result[n + 2] = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[9], '*', 'v', version, 'e', next_arg())
end
if events > 0 then
  local now = tonumber(string.match(result[3], '^%d+'))
  redis.call('XTRIM', KEYS[2], 'MINID', '~', string.format('%.0f', now - tonumber(ARGV[10])))
end
return result

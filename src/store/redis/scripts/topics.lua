#!lua
-- Messages of topics, in namespaces of one shard. The first line makes Redis check before the first write that the
-- script may write at all.
--
-- A namespace has four keys: a hash with its epoch, its last sequence and the server's replication id; a stream of its
-- newest messages, whose ids are SEQUENCE-0; a hash of the last value of topics; a sorted set of these topics by the time at which the value ends (ms).
--
-- ARGV[1]   what to do
-- ARGV[2]   a new epoch, for a namespace that has none
-- ARGV[3]   milliseconds for which an unused namespace keeps its epoch
--
-- "publish"   KEYS[1] channel; for each message the four keys of its namespace. ARGV[4] messages that the stream keeps,
--             ARGV[5] milliseconds for which it is kept after its last message, ARGV[6] last values that are kept; for each
--             message its topic, its text, and the milliseconds for which it is the last value: empty for none, 0 to remove
--             the last value. Returns {epoch, sequence, ...}. The channel gets "EPOCH SEQUENCE TEXT".
-- "position"  KEYS[1..4] the namespace. ARGV[4..5] the position that is known, or two empty texts. If the namespace is
--             behind it, the server has lost messages, and a new epoch begins. Returns {epoch, sequence}.
-- "history"   KEYS[1..4] the namespace. ARGV[4] the epoch, ARGV[5..6] the first and the last sequence. Returns the
--             entries of the stream, or nothing if the epoch is another one.
-- "topics"    KEYS[1..4] the namespace. Returns the topics that have a last value.
-- "values"    KEYS[1..4] the namespace. ARGV[4..] topics. Returns the last value of each as "EPOCH SEQUENCE TEXT", or
--             nothing in its place.
--
-- Sequences are text: Lua would print a large number in exponents.
--
-- Redis has another replication id after each restart and each failover. Both may have lost messages, whose sequences
-- would be given again, and nobody else need remember them. So a new epoch begins with each id.

local action, new_epoch, kept_ms = ARGV[1], ARGV[2], ARGV[3]

-- Empty if the server does not tell.
local function replication_id()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''
end
local server = replication_id()

local function begin_epoch(meta, stream)
  redis.call('DEL', stream)
  redis.call('HSET', meta, 'e', new_epoch, 's', '0', 'r', server)
  return new_epoch
end

-- Nil if there is none, or it is from before a restart or a failover.
local function present_epoch(meta)
  local known = redis.call('HMGET', meta, 'e', 'r')
  return known[2] == server and known[1] or nil
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function drop(values, ends, topics)
  for _, topic in ipairs(topics) do
    redis.call('HDEL', values, topic)
    redis.call('ZREM', ends, topic)
  end
end

local function keep(values, ends, topic, value, ms, most)
  local now = now_ms()
  local ends_at = now + ms
  drop(values, ends, redis.call('ZRANGE', ends, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, 100))
  redis.call('HSET', values, topic, value)
  redis.call('ZADD', ends, string.format('%.0f', ends_at), topic)
  local surplus = redis.call('ZCARD', ends) - most
  if surplus > 0 then
    drop(values, ends, redis.call('ZRANGE', ends, 0, surplus - 1))
  end
  for _, key in ipairs({ values, ends }) do
    local left = redis.call('PTTL', key)
    if left >= -1 and left < ms then
      redis.call('PEXPIRE', key, string.format('%.0f', ms))
    end
  end
end

if action == 'publish' then
  local positions = {}
  for message = 1, (#ARGV - 6) / 3 do
    local meta, stream = KEYS[4 * message - 2], KEYS[4 * message - 1]
    local values, ends = KEYS[4 * message], KEYS[4 * message + 1]
    local topic, text, retain = ARGV[3 * message + 4], ARGV[3 * message + 5], ARGV[3 * message + 6]
    local epoch = present_epoch(meta) or begin_epoch(meta, stream)
    local sequence = string.format('%.0f', redis.call('HINCRBY', meta, 's', 1))
    local whole = epoch .. ' ' .. sequence .. ' ' .. text
    redis.call('PEXPIRE', meta, kept_ms)
    if ARGV[4] ~= '0' then
      redis.call('XADD', stream, 'MAXLEN', '~', ARGV[4], sequence .. '-0', 'm', text)
      redis.call('PEXPIRE', stream, ARGV[5])
    end
    if retain == '0' then
      drop(values, ends, { topic })
    elseif retain ~= '' then
      keep(values, ends, topic, whole, tonumber(retain), tonumber(ARGV[6]))
    end
    redis.call('SPUBLISH', KEYS[1], whole)
    positions[2 * message - 1] = epoch
    positions[2 * message] = sequence
  end
  return positions
end

local meta, stream, values, ends = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

if action == 'topics' then
  return redis.call('ZRANGE', ends, '(' .. string.format('%.0f', now_ms()), '+inf', 'BYSCORE')
end

if action == 'values' then
  local found, now = {}, now_ms()
  for place = 4, #ARGV do
    local ends_at = tonumber(redis.call('ZSCORE', ends, ARGV[place]) or 0)
    found[place - 3] = ends_at > now and redis.call('HGET', values, ARGV[place])
  end
  return found
end

local epoch = present_epoch(meta)

if action == 'position' then
  local sequence = redis.call('HGET', meta, 's') or '0'
  if not epoch or (epoch == ARGV[4] and tonumber(sequence) < tonumber(ARGV[5])) then
    epoch = begin_epoch(meta, stream)
    sequence = '0'
  end
  redis.call('PEXPIRE', meta, kept_ms)
  return { epoch, sequence }
end

if epoch ~= ARGV[4] then
  return false
end
return redis.call('XRANGE', stream, ARGV[5] .. '-0', ARGV[6] .. '-0')

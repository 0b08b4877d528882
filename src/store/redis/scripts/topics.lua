#!lua
-- Messages of topics, in namespaces of one shard. The first line makes Redis check before the first write that the
-- script may write at all.
--
-- A namespace has four keys: a hash with its epoch, its last sequence and the server's replication id; a stream of its
-- newest messages, whose ids are SEQUENCE-0; a hash of the last value of topics; a sorted set of these topics by the time at which the value ends (ms).
-- Nothing is written for a namespace in which nothing was published: whoever may read could fill Redis with names.
-- All of these have one epoch, with which a namespace also begins at its first message, so whoever asked before that
-- message has missed none. If any namespace is forgotten, that epoch ends: the forgotten one must not begin with it again.
--
-- KEYS[1]   channel
-- KEYS[2]   hash: the epoch of the namespaces that have none of their own, and the server's replication id
-- KEYS[3]   sorted set: the namespaces that have an epoch of their own, by the time at which they are forgotten (ms)
-- KEYS[4..] the four keys of a namespace, or of each
-- ARGV[1]   what to do
-- ARGV[2]   a random word, from which new epochs are made
-- ARGV[3]   milliseconds for which an unused namespace keeps its epoch
-- ARGV[4]   how the keys of all namespaces begin, up to the number of the shard
-- ARGV[5]   namespaces that keep their epoch. Beyond it the one is forgotten that was used least recently
--
-- "publish"   ARGV[6] messages that the stream keeps, ARGV[7] milliseconds for which it is kept after its last message,
--             ARGV[8] last values that are kept; for each message its topic, its text, and the milliseconds for which it
--             is the last value: empty for none, 0 to remove the last value. Returns {epoch, sequence, ...}. The channel
--             gets "EPOCH SEQUENCE TEXT".
-- "position"  ARGV[6] the namespace. ARGV[7..8] the position that is known, or two empty texts. If the namespace is
--             behind it, the server has lost messages, and a new epoch begins. Returns {epoch, sequence}.
-- "history"   ARGV[6] the epoch, ARGV[7..8] the first and the last sequence. Returns the entries of the stream, or
--             nothing if the epoch is another one.
-- "topics"    Returns the topics that have a last value.
-- "values"    ARGV[6..] topics. Returns the last value of each as "EPOCH SEQUENCE TEXT", or nothing in its place.
--
-- Sequences are text: Lua would print a large number in exponents.
--
-- Redis has another replication id after each restart and each failover. Both may have lost messages, whose sequences
-- would be given again, and nobody else need remember them. So a new epoch begins with each id.

local action, random_word, kept_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local shared, positions = KEYS[2], KEYS[3]
-- Namespaces that one call forgets because their time is over.
local slice = 100
-- A position's key stays for longer than its entry in the sorted set, ms: where the entry is read, a key that is gone
-- means an entry that is over, although Redis compares the two with clocks of its own.
local margin_ms = 60000

-- Empty if the server does not tell.
local function replication_id()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''
end
local server = replication_id()

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local now = now_ms()

local function text_of(number)
  return string.format('%.0f', number)
end

local function namespace_of(topic)
  return string.match(topic, '^[^/]*')
end

-- As shardOf in redis-topic-broker.ts and redisKeys in keys.ts. Of namespaces that a call forgets and was not told of:
-- in a Cluster they are of the same shard, and so of the slot of the keys that it was told.
local function key_of(kind, namespace)
  local shard = tonumber(string.sub(redis.sha1hex(namespace), 1, 2), 16) % 16
  return ARGV[4] .. shard .. '}:' .. kind .. ':' .. namespace
end

local epochs_begun = 0
-- Another one each time, also within one call.
local function begin_shared_epoch()
  epochs_begun = epochs_begun + 1
  local epoch = string.sub(redis.sha1hex(random_word .. epochs_begun), 1, 12)
  redis.call('HSET', shared, 'e', epoch, 'r', server)
  return epoch
end

local function forget(namespaces)
  for _, namespace in ipairs(namespaces) do
    redis.call('DEL', key_of('position', namespace), key_of('history', namespace))
    redis.call('ZREM', positions, namespace)
  end
  if #namespaces > 0 then
    begin_shared_epoch()
  end
end

-- A namespace whose key has expired by itself is still in the sorted set. So it cannot get the epoch that it had.
local function shared_epoch()
  forget(redis.call('ZRANGE', positions, '-inf', text_of(now), 'BYSCORE', 'LIMIT', 0, slice))
  local known = redis.call('HMGET', shared, 'e', 'r')
  return known[1] and known[2] == server and known[1] or begin_shared_epoch()
end

-- Nil if there is none, or it is from before a restart or a failover.
local function present_epoch(meta)
  local known = redis.call('HMGET', meta, 'e', 'r')
  return known[2] == server and known[1] or nil
end

local function begin_namespace(namespace, meta, stream)
  redis.call('ZREM', positions, namespace)
  -- Before others are forgotten for it: those who looked at it while it was empty have missed nothing.
  local epoch = shared_epoch()
  local surplus = redis.call('ZCARD', positions) + 1 - tonumber(ARGV[5])
  if surplus > 0 then
    forget(redis.call('ZRANGE', positions, 0, surplus - 1))
  end
  redis.call('DEL', stream)
  redis.call('HSET', meta, 'e', epoch, 's', '0', 'r', server)
  return epoch
end

local function keep_position(namespace, meta)
  local ends_at = now + kept_ms
  redis.call('ZADD', positions, text_of(ends_at), namespace)
  redis.call('PEXPIREAT', meta, text_of(ends_at + margin_ms))
end

local function drop(values, ends, topics)
  for _, topic in ipairs(topics) do
    redis.call('HDEL', values, topic)
    redis.call('ZREM', ends, topic)
  end
end

local function keep(values, ends, topic, value, ms, most)
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

local function publish(topic, text, retain, keys)
  local namespace = namespace_of(topic)
  local meta, stream, values, ends = unpack(keys)
  local epoch = present_epoch(meta) or begin_namespace(namespace, meta, stream)
  local sequence = text_of(redis.call('HINCRBY', meta, 's', 1))
  local whole = epoch .. ' ' .. sequence .. ' ' .. text
  keep_position(namespace, meta)
  if ARGV[6] ~= '0' then
    redis.call('XADD', stream, 'MAXLEN', '~', ARGV[6], sequence .. '-0', 'm', text)
    redis.call('PEXPIRE', stream, ARGV[7])
  end
  if retain == '0' then
    drop(values, ends, { topic })
  elseif retain ~= '' then
    keep(values, ends, topic, whole, tonumber(retain), tonumber(ARGV[8]))
  end
  redis.call('SPUBLISH', KEYS[1], whole)
  return epoch, sequence
end

if action == 'publish' then
  local answer = {}
  for message = 1, (#ARGV - 8) / 3 do
    local keys = { unpack(KEYS, 4 * message, 4 * message + 3) }
    local topic, text, retain = unpack(ARGV, 3 * message + 6, 3 * message + 8)
    answer[2 * message - 1], answer[2 * message] = publish(topic, text, retain, keys)
  end
  return answer
end

local meta, stream, values, ends = unpack(KEYS, 4, 7)

if action == 'topics' then
  return redis.call('ZRANGE', ends, '(' .. text_of(now), '+inf', 'BYSCORE')
end

if action == 'values' then
  local found = {}
  for place = 6, #ARGV do
    local ends_at = tonumber(redis.call('ZSCORE', ends, ARGV[place]) or 0)
    found[place - 5] = ends_at > now and redis.call('HGET', values, ARGV[place])
  end
  return found
end

local epoch = present_epoch(meta)

if action == 'position' then
  local namespace, known_epoch, known_sequence = ARGV[6], ARGV[7], tonumber(ARGV[8]) or 0
  local sequence = tonumber(redis.call('HGET', meta, 's') or 0)
  if epoch and epoch == known_epoch and sequence < known_sequence then
    forget({ namespace })
    epoch = nil
  end
  if epoch then
    keep_position(namespace, meta)
    return { epoch, text_of(sequence) }
  end
  epoch = shared_epoch()
  if epoch == known_epoch and known_sequence > 0 then
    epoch = begin_shared_epoch()
  end
  return { epoch, '0' }
end

if epoch ~= ARGV[6] then
  return false
end
return redis.call('XRANGE', stream, ARGV[7] .. '-0', ARGV[8] .. '-0')

#!lua
-- Messages of topics, in namespaces of one shard. The first line makes Redis check before the first write that the
-- script may write at all.
--
-- A namespace has four keys: a hash with its epoch, its last sequence, the server's replication id and two sums, "b" the
-- bytes of all its messages and "c" those of the messages that the stream has no more; a stream of its
-- newest messages, whose ids are SEQUENCE-0, with the sum "b" of then; a hash of the last value of topics; a sorted set of these topics by the time at which the value ends (ms).
-- Nothing is written for a namespace in which nothing was published: whoever may read could fill Redis with names.
-- All of these have one epoch, with which a namespace also begins at its first message, so whoever asked before that
-- message has missed none. If any namespace is forgotten, that epoch ends: the forgotten one must not begin with it again.
--
-- KEYS[1]   channel
-- KEYS[2]   hash: the epoch of the namespaces that have none of their own, and the server's replication id
-- KEYS[3]   sorted set: the namespaces that have an epoch of their own, by the time at which they are forgotten (ms)
-- KEYS[4]   sorted set: the namespaces that have a stream, by the time at which it ends (ms)
-- KEYS[5]   hash: the bytes that are counted for each of them, and as the field "" for all
-- KEYS[6..7] the same of the topics that have a last value
-- KEYS[8..] the four keys of a namespace, or of each
-- ARGV[1]   what to do
-- ARGV[2]   a random word, from which new epochs are made
-- ARGV[3]   milliseconds for which an unused namespace keeps its epoch
-- ARGV[4]   how the keys of all namespaces begin, up to the number of the shard
-- ARGV[5]   namespaces that keep their epoch. Beyond it the one is forgotten that was used least recently
-- ARGV[6]   bytes of all streams. Beyond it the oldest messages go of the namespace that was published to least recently
-- ARGV[7]   bytes of all last values. Beyond it those go that would end first
--
-- "publish"   ARGV[8] messages that the stream keeps, ARGV[9] milliseconds for which it is kept after its last message,
--             ARGV[10] last values that are kept; for each message its topic, its text, and the milliseconds for which it
--             is the last value: empty for none, 0 to remove the last value. Returns {epoch, sequence, ...}. The channel
--             gets "EPOCH SEQUENCE TEXT".
-- "position"  ARGV[8] the namespace. ARGV[9..10] the position that is known, or two empty texts. If the namespace is
--             behind it, the server has lost messages, and a new epoch begins. Returns {epoch, sequence}.
-- "history"   ARGV[8] the epoch, ARGV[9..10] the first and the last sequence. Returns the entries of the stream, or
--             nothing if the epoch is another one.
-- "topics"    Returns the topics that have a last value.
-- "values"    ARGV[8..] topics. Returns the last value of each as "EPOCH SEQUENCE TEXT", or nothing in its place.
--
-- Sequences are text: Lua would print a large number in exponents.
--
-- Redis has another replication id after each restart and each failover. Both may have lost messages, whose sequences
-- would be given again, and nobody else need remember them. So a new epoch begins with each id.

local action, random_word, kept_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local shared, positions = KEYS[2], KEYS[3]
local all_streams = { ends = KEYS[4], sizes = KEYS[5], most = tonumber(ARGV[6]) }
local all_values = { ends = KEYS[6], sizes = KEYS[7], most = tonumber(ARGV[7]) }
-- What Redis needs beside the text, bytes: of a message, of a stream, and of a last value that is alone in its namespace.
local message_bytes, stream_bytes, value_bytes = 256, 4608, 1024
-- A topic is in four keys, and its namespace in the names of two.
local topic_copies = 6
-- Of each kind, what one call removes because its time is over.
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

-- What is counted is removed from the sum only here, whether its own key is still there or has expired. So the sum is always that
-- of the fields. Both keys end at one time, after everything that they count.
local function uncount(all, member)
  local bytes = redis.call('HGET', all.sizes, member)
  redis.call('ZREM', all.ends, member)
  if bytes then
    redis.call('HDEL', all.sizes, member)
    redis.call('HINCRBY', all.sizes, '', '-' .. bytes)
  end
end

local function recount(all, member, bytes)
  local before = tonumber(redis.call('HGET', all.sizes, member) or 0)
  redis.call('HSET', all.sizes, member, text_of(bytes))
  redis.call('HINCRBY', all.sizes, '', text_of(bytes - before))
end

local function count(all, member, bytes, ends_at)
  redis.call('ZADD', all.ends, text_of(ends_at), member)
  recount(all, member, bytes)
  local last_end = tonumber(redis.call('ZRANGE', all.ends, -1, -1, 'WITHSCORES')[2])
  redis.call('PEXPIREAT', all.ends, text_of(last_end + margin_ms))
  redis.call('PEXPIREAT', all.sizes, text_of(last_end + margin_ms))
end

local function over(all)
  return redis.call('ZRANGE', all.ends, '-inf', text_of(now), 'BYSCORE', 'LIMIT', 0, slice)
end

-- The one that ends first, if all are too many. What one message adds is bounded, and each that goes frees more than
-- nothing, so a loop with it is short.
local function surplus_of(all)
  local sum = tonumber(redis.call('HGET', all.sizes, '') or 0)
  return sum > all.most and redis.call('ZRANGE', all.ends, 0, 0)[1] or nil
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
    uncount(all_streams, namespace)
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
  uncount(all_streams, namespace)
  redis.call('HSET', meta, 'e', epoch, 's', '0', 'r', server, 'b', '0', 'c', '0')
  return epoch
end

local function keep_position(namespace, meta)
  local ends_at = now + kept_ms
  redis.call('ZADD', positions, text_of(ends_at), namespace)
  redis.call('PEXPIREAT', meta, text_of(ends_at + margin_ms))
end

-- Returns the bytes of what the stream has.
local function measure(meta, stream)
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][2]
  local gone = first[4] and tonumber(first[4]) - #first[2] - message_bytes or 0
  redis.call('HSET', meta, 'c', text_of(gone))
  return tonumber(redis.call('HGET', meta, 'b')) - gone + stream_bytes
end

local function drop_stream(namespace)
  redis.call('DEL', key_of('history', namespace))
  uncount(all_streams, namespace)
end

-- Its oldest quarter, as the broker in process does.
local function shorten_stream(namespace)
  local meta, stream = key_of('position', namespace), key_of('history', namespace)
  local left = math.floor(redis.call('XLEN', stream) * 3 / 4)
  if left == 0 or redis.call('EXISTS', meta) == 0 then
    return drop_stream(namespace)
  end
  redis.call('XTRIM', stream, 'MAXLEN', left)
  recount(all_streams, namespace, measure(meta, stream))
end

local function keep_message(namespace, meta, stream, sequence, text)
  for _, ended in ipairs(over(all_streams)) do
    drop_stream(ended)
  end
  local ends_at = now + tonumber(ARGV[9])
  local sum = redis.call('HINCRBY', meta, 'b', #text + message_bytes)
  redis.call('XADD', stream, sequence .. '-0', 'm', text, 'b', text_of(sum))
  redis.call('PEXPIREAT', stream, text_of(ends_at))
  local has_lost = redis.call('XTRIM', stream, 'MAXLEN', '~', ARGV[8]) > 0
  local bytes
  -- A stream of one message may have had others before it expired.
  if has_lost or redis.call('XLEN', stream) == 1 then
    bytes = measure(meta, stream)
  else
    bytes = sum - tonumber(redis.call('HGET', meta, 'c') or 0) + stream_bytes
  end
  count(all_streams, namespace, bytes, ends_at)
  local surplus = surplus_of(all_streams)
  while surplus do
    shorten_stream(surplus)
    surplus = surplus_of(all_streams)
  end
end

local function drop_values(topics)
  for _, topic in ipairs(topics) do
    local namespace = namespace_of(topic)
    redis.call('HDEL', key_of('last-values', namespace), topic)
    redis.call('ZREM', key_of('last-value-ends', namespace), topic)
    uncount(all_values, topic)
  end
end

local function keep_value(values, ends, topic, value, ms, most)
  local ends_at = now + ms
  drop_values(over(all_values))
  redis.call('HSET', values, topic, value)
  redis.call('ZADD', ends, text_of(ends_at), topic)
  count(all_values, topic, #value + topic_copies * #topic + value_bytes, ends_at)
  local too_many = redis.call('ZCARD', ends) - most
  if too_many > 0 then
    drop_values(redis.call('ZRANGE', ends, 0, too_many - 1))
  end
  for _, key in ipairs({ values, ends }) do
    local left = redis.call('PTTL', key)
    if left >= -1 and left < ms then
      redis.call('PEXPIRE', key, text_of(ms))
    end
  end
  local surplus = surplus_of(all_values)
  while surplus do
    drop_values({ surplus })
    surplus = surplus_of(all_values)
  end
end

local function publish(topic, text, retain, keys)
  local namespace = namespace_of(topic)
  local meta, stream, values, ends = unpack(keys)
  local epoch = present_epoch(meta) or begin_namespace(namespace, meta, stream)
  local sequence = text_of(redis.call('HINCRBY', meta, 's', 1))
  local whole = epoch .. ' ' .. sequence .. ' ' .. text
  keep_position(namespace, meta)
  if ARGV[8] ~= '0' then
    keep_message(namespace, meta, stream, sequence, text)
  end
  if retain == '0' then
    drop_values({ topic })
  elseif retain ~= '' then
    keep_value(values, ends, topic, whole, tonumber(retain), tonumber(ARGV[10]))
  end
  redis.call('SPUBLISH', KEYS[1], whole)
  return epoch, sequence
end

if action == 'publish' then
  local answer = {}
  for message = 1, (#ARGV - 10) / 3 do
    local keys = { unpack(KEYS, 4 * message + 4, 4 * message + 7) }
    local topic, text, retain = unpack(ARGV, 3 * message + 8, 3 * message + 10)
    answer[2 * message - 1], answer[2 * message] = publish(topic, text, retain, keys)
  end
  return answer
end

local meta, stream, values, ends = unpack(KEYS, 8, 11)

if action == 'topics' then
  return redis.call('ZRANGE', ends, '(' .. text_of(now), '+inf', 'BYSCORE')
end

if action == 'values' then
  local found = {}
  for place = 8, #ARGV do
    local ends_at = tonumber(redis.call('ZSCORE', ends, ARGV[place]) or 0)
    found[place - 7] = ends_at > now and redis.call('HGET', values, ARGV[place])
  end
  return found
end

local epoch = present_epoch(meta)

if action == 'position' then
  local namespace, known_epoch, known_sequence = ARGV[8], ARGV[9], tonumber(ARGV[10]) or 0
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

if epoch ~= ARGV[8] then
  return false
end
return redis.call('XRANGE', stream, ARGV[9] .. '-0', ARGV[10] .. '-0')

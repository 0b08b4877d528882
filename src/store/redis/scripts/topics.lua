#!lua
-- Messages of topics, in namespaces of one shard. The first line makes Redis check before the first write that the
-- script may write at all.
--
-- A namespace has two keys: a hash with its epoch and its last sequence, and a stream of its newest messages, whose ids
-- are SEQUENCE-0.
--
-- ARGV[1]   what to do
-- ARGV[2]   a new epoch, for a namespace that has none
-- ARGV[3]   milliseconds for which an unused namespace keeps its epoch
--
-- "publish"   KEYS[1] channel; for each message the two keys of its namespace. ARGV[4] messages that the stream keeps,
--             ARGV[5] milliseconds for which it is kept after its last message; per message its text.
--             Returns {epoch, sequence, ...}. The channel gets "EPOCH SEQUENCE TEXT".
-- "position"  KEYS[1..2] the namespace. ARGV[4..5] the position that is known, or two empty texts. If the namespace is
--             behind it, the server has lost messages, and a new epoch begins. Returns {epoch, sequence}.
-- "history"   KEYS[1..2] the namespace. ARGV[4] the epoch, ARGV[5..6] the first and the last sequence. Returns the
--             entries of the stream, or nothing if the epoch is another one.
--
-- Sequences are text: Lua would print a large number in exponents.

local action, new_epoch, kept_ms = ARGV[1], ARGV[2], ARGV[3]

local function begin_epoch(meta, stream)
  redis.call('DEL', stream)
  redis.call('HSET', meta, 'e', new_epoch, 's', '0')
  return new_epoch
end

if action == 'publish' then
  local positions = {}
  for message = 1, #ARGV - 5 do
    local meta, stream, text = KEYS[2 * message], KEYS[2 * message + 1], ARGV[5 + message]
    local epoch = redis.call('HGET', meta, 'e') or begin_epoch(meta, stream)
    local sequence = string.format('%.0f', redis.call('HINCRBY', meta, 's', 1))
    redis.call('PEXPIRE', meta, kept_ms)
    if ARGV[4] ~= '0' then
      redis.call('XADD', stream, 'MAXLEN', '~', ARGV[4], sequence .. '-0', 'm', text)
      redis.call('PEXPIRE', stream, ARGV[5])
    end
    redis.call('SPUBLISH', KEYS[1], epoch .. ' ' .. sequence .. ' ' .. text)
    positions[2 * message - 1] = epoch
    positions[2 * message] = sequence
  end
  return positions
end

local meta, stream = KEYS[1], KEYS[2]
local epoch = redis.call('HGET', meta, 'e')

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

#!lua
-- Renews the lease of one part of the presence list, and claims parts whose lease is over.
--
-- KEYS[1] sorted set: part, with the end of its lease (Redis' clock, ms) as score
-- KEYS[2] sorted set: part that is over, with the end of the claim of who removes it (ms) as score
-- ARGV[1] the part: its node and a random word; "" for none
-- ARGV[2] length of a lease, ms
-- ARGV[3] length of a claim, ms: if its holder dies, another node claims the part after it
-- ARGV[4] parts that are claimed at once; 0 for a caller who removes none
-- ARGV[5] 1 if the part is new; otherwise it gets no lease again after its lease was over
--
-- Answers whether the part had a lease (1 or 0), and the parts that were claimed for the caller to remove.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local had = 0
if ARGV[1] ~= '' then
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if ends and tonumber(ends) >= now then had = 1 end
  if had == 1 or ARGV[5] == '1' then redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1]) end
end
for _, part in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)) do
  redis.call('ZREM', KEYS[1], part)
  redis.call('ZADD', KEYS[2], 0, part)
end
local claimed = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. now, 'LIMIT', 0, ARGV[4])
for _, part in ipairs(claimed) do redis.call('ZADD', KEYS[2], now + ARGV[3], part) end
return {had, claimed}

/**
 * The scripts of the store: `core/fleet/table.ts` in Lua, one for each of its operations. They run on Redis 6.2 and later.
 *
 * Numbers are passed as text with 17 digits, because Redis cuts off the fraction of a number that a script returns. The clock is
 * that of Redis. The first write of a script is one that Redis refuses when it is out of memory, so a refused script has changed
 * nothing.
 */
import { createHash } from "node:crypto"
import { graceMillis, longestMillis, memoryMillis } from "../../core/fleet/table.js"

export interface Script {
  readonly text: string
  /** What Redis knows the script by once it has seen it. */
  readonly digest: string
}

const script = (body: string): Script => {
  const text = shared + body
  return { text, digest: createHash("sha1").update(text).digest("hex") }
}

const shared = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function number(value)
  if value == math.huge then return 'Infinity' end
  return string.format('%.17g', value)
end
-- A time to live in whole milliseconds.
local function lasting(millis)
  return string.format('%.0f', math.ceil(math.max(1, math.min(millis, ${longestMillis}))))
end
-- Keeps a key for at least so long.
local function keep(key, millis)
  if redis.call('PTTL', key) < millis then redis.call('PEXPIRE', key, lasting(millis)) end
end
-- A number that no other call has had, not even before the data was lost.
local function unique(last)
  return string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
end
`

/**
 * KEYS: the living processes, the last sequence of this one; for each report its breaker, failing processes and probes.
 * ARGV: instance, incarnation, sequence, time to live, channel; for each report its parts, as `reportArguments` writes them.
 */
export const exchange = script(`
local at = 5
local function argument()
  at = at + 1
  return ARGV[at]
end
local instance, incarnation, sequence, timeToLive, channel =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local known = -math.huge
local last = redis.call('GET', KEYS[2])
if last then
  local colon = string.find(last, ':', 1, true)
  if string.sub(last, colon + 1) == incarnation then known = tonumber(string.sub(last, 1, colon - 1)) end
end
local isNew = sequence > known
redis.call('SET', KEYS[2], number(math.max(sequence, known)) .. ':' .. incarnation, 'PX', lasting(timeToLive))
redis.call('ZADD', KEYS[1], number(now + timeToLive), instance)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', number(now))
keep(KEYS[1], timeToLive)

local answer = { redis.call('ZCARD', KEYS[1]) }
for index = 3, #KEYS, 3 do
  local key, failing, leases = KEYS[index], KEYS[index + 1], KEYS[index + 2]
  local parts = argument()
  local function has(part) return string.find(parts, part, 1, true) end

  local breaker = redis.call('HMGET', key, 'epoch', 'successes', 'failures', 'slow', 'generation', 'state', 'until',
    'settings', 'version', 'worked', 'failed', 'run')
  local epoch = breaker[1]
  if not epoch then
    epoch = unique(0)
    redis.call('HSET', key, 'epoch', epoch, 'lease', epoch)
  end
  if redis.call('PTTL', key) < ${memoryMillis - 60_000} then redis.call('PEXPIRE', key, ${memoryMillis}) end
  local successes, failures, slow = breaker[2] or '0', breaker[3] or '0', breaker[4] or '0'
  local generation, state, openUntil = tonumber(breaker[5] or 0), breaker[6] or 'closed', tonumber(breaker[7] or 0)
  local settings, version = breaker[8], tonumber(breaker[9] or 0)
  local worked, failed, run = tonumber(breaker[10] or 0), tonumber(breaker[11] or 0), tonumber(breaker[12] or 0)
  local announce, granted = false, false

  if has('e') then
    local more, bad, late, window = argument(), argument(), argument(), tonumber(argument())
    if isNew then
      if more ~= '0' then successes = redis.call('HINCRBY', key, 'successes', more) end
      if bad ~= '0' then failures = redis.call('HINCRBY', key, 'failures', bad) end
      if more ~= '0' or bad ~= '0' then
        run = more == '0' and run + tonumber(bad) or 0
        redis.call('HSET', key, 'run', number(run))
      end
      if late ~= '0' then slow = redis.call('HINCRBY', key, 'slow', late) end
      if bad ~= '0' or late ~= '0' then
        redis.call('ZADD', failing, number(now + window), instance)
        redis.call('ZREMRANGEBYSCORE', failing, '-inf', number(now))
        keep(failing, window)
      end
    end
  end

  if has('d') then
    for _ = 1, tonumber(argument()) do
      local of, lease, outcome = tonumber(argument()), argument(), argument()
      if isNew and of == generation then
        local leasedUntil = redis.call('ZSCORE', leases, lease)
        if leasedUntil and tonumber(leasedUntil) > now then
          redis.call('ZREM', leases, lease)
          if outcome == 'success' then worked = redis.call('HINCRBY', key, 'worked', 1) end
          if outcome == 'failure' then failed = redis.call('HINCRBY', key, 'failed', 1) end
        end
      end
    end
  end

  local label = (has('s') or has('c')) and argument()
  if has('s') then
    local text = argument()
    if isNew then
      settings = text
      version = version + 1
      redis.call('HSET', key, 'settings', settings, 'version', number(version))
      announce = true
    end
  end

  if has('c') then
    local next, remaining, expected = argument(), tonumber(argument()), tonumber(argument())
    if isNew and (not expected or generation <= expected) then
      generation = math.max(generation, expected or 0) + 1
      state, openUntil, worked, failed, run = next, now + remaining, 0, 0, 0
      redis.call('HSET', key, 'generation', number(generation), 'state', state, 'until', number(openUntil),
        'worked', 0, 'failed', 0, 'run', 0)
      redis.call('DEL', leases)
      announce = true
    end
  end

  if has('p') then
    local of, permits, span = tonumber(argument()), tonumber(argument()), tonumber(argument())
    if isNew and of == generation and redis.call('ZCOUNT', leases, '(' .. number(now), '+inf') < permits then
      granted = string.format('%.0f', redis.call('HINCRBY', key, 'lease', 1))
      redis.call('ZREMRANGEBYSCORE', leases, '-inf', number(now))
      redis.call('ZADD', leases, number(now + span), granted)
      keep(leases, span)
    end
  end

  local remaining = number(state == 'open' and math.max(0, openUntil - now) or 0)
  if announce then
    redis.call('PUBLISH', channel, cjson.encode({ label, number(generation), state, remaining, settings or '', number(version) }))
  end
  answer[#answer + 1] = { epoch, successes, failures, slow, redis.call('ZCOUNT', failing, '(' .. number(now), '+inf'),
    number(generation), state, remaining, settings, number(version), granted, worked, failed,
    number(run) }
end
return answer
`)

/** KEYS: the rate. ARGV: limit, per, burst, permits, at least, spent, receipt. */
export const take = script(`
local limit, per, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local permits, atLeast, spent, receipt = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local interval = per / limit

-- The arrival time and the time of the last grant are relative to now, and stored with it: as times of the clock they would have
-- more digits than a number.
local ahead, last, since, issued = 0, 0, false, 0
local known = redis.call('GET', KEYS[1])
if known then
  local seconds, micros, arrival, grant, start, count = unpack(cjson.decode(known))
  local gone = (time[1] - seconds) * 1000 + (time[2] - micros) / 1000
  if arrival > gone then ahead, last, since, issued = arrival - gone, grant - gone, start, count end
end
since = since or unique(0)

local from = ahead + spent * interval
if spent > 0 then last = 0 end
issued = issued + spent
local granted, after = 0, from
if permits < 0 then
  local worth = 0
  local colon = string.find(receipt, ':', 1, true)
  if colon and string.sub(receipt, 1, colon - 1) == since then
    local later = issued - tonumber(string.sub(receipt, colon + 1))
    worth = math.min(-permits * interval, math.max(0, from - last - later * interval))
  end
  after = math.max(0, from - worth)
  granted = 0 - math.floor((from - after) / interval + 1e-6)
else
  local free = math.floor((burst * interval - from) / interval + 1e-6)
  if free >= atLeast then granted = math.min(permits, free) end
  after = from + granted * interval
  issued = issued + granted
  if granted > 0 then last = 0 end
end
if after > 0 then
  local stored = '[' .. table.concat({ time[1], time[2], number(after), number(last), '"' .. since .. '"', number(issued) }, ',') .. ']'
  redis.call('SET', KEYS[1], stored, 'PX', lasting(after + 1))
elseif known then
  redis.call('DEL', KEYS[1])
end
local remaining = math.max(0, math.floor((burst * interval - after) / interval + 1e-6))
local retryAfter = granted == 0 and math.max(0, from + (atLeast - burst) * interval) or 0
return { number(granted), number(remaining), number(retryAfter), number(after), since .. ':' .. number(issued) }
`)

const value = `
local known = redis.call('HMGET', KEYS[1], 'token', 'holder', 'leasedUntil', 'fence')
local token, holder, leasedUntil, fence = known[1], known[2], tonumber(known[3] or 0), tonumber(known[4] or 0)
`

/** KEYS: the value. ARGV: stale after, time to live of a lease, holder. */
export const read = script(`${value}
local staleAfter, timeToLive = tonumber(ARGV[1]), tonumber(ARGV[2])
local entry = redis.call('HMGET', KEYS[1], 'value', 'at', 'until')
local stored, age, left = false, 0, 0
if entry[1] and tonumber(entry[3]) > now then
  stored, age, left = entry[1], now - entry[2], entry[3] - now
  if age < staleAfter then return { stored, number(age), false, '0' } end
end
if leasedUntil > now and holder ~= ARGV[3] then return { stored, number(age), false, number(leasedUntil - now) } end
local lease = unique(tonumber(token or 0))
redis.call('HSET', KEYS[1], 'token', lease, 'holder', ARGV[3], 'leasedUntil', number(now + timeToLive))
if not token then redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', lease - 1)) end
if entry[1] and not stored then redis.call('HDEL', KEYS[1], 'value', 'at', 'until') end
redis.call('PEXPIRE', KEYS[1], lasting(math.max(left, timeToLive + ${graceMillis})))
return { stored, number(age), lease, '0' }
`)

/** KEYS: the value. ARGV: lease, or nothing by hand; value, or nothing to forget it; time to live. */
export const write = script(`${value}
local lease, timeToLive = tonumber(ARGV[1]), tonumber(ARGV[3])
if lease and (not token or lease <= fence) then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
  return 1
end
-- By hand every lease so far is over.
local fenced = lease and ARGV[1] or unique(tonumber(token or 0))
local left = timeToLive
redis.call('HSET', KEYS[1], 'fence', fenced, 'value', ARGV[2], 'at', number(now), 'until', number(now + timeToLive))
if lease and token ~= ARGV[1] then
  left = math.max(left, leasedUntil + ${graceMillis} - now)
else
  redis.call('HSET', KEYS[1], 'token', fenced, 'holder', '', 'leasedUntil', 0)
end
redis.call('PEXPIRE', KEYS[1], lasting(left))
return 1
`)

/** KEYS: the value. ARGV: holder. */
export const release = script(`
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('HSET', KEYS[1], 'leasedUntil', 0) end
return 0
`)

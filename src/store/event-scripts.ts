import { createHash } from "node:crypto";
import { SIGNALS_KEPT } from "./event-store.ts";
import type { Script } from "./scripts.ts";

/**
 * Counts a batch of events, all of it or nothing: what could fail is looked at before anything is written. Sums are read once, carried on in doubles
 * as JavaScript would, and written once, so a batch costs a few commands an event.
 *
 * KEYS: changed, the days of ids (the first is written to), minutes, users and moments of each rollout, lanes of signals.
 * ARGV: the plan as JSON: days, idsMs, minutes [number, milliseconds to live], rollouts, idleMs, lanes, changedMs, and events: each
 * [digest, number of its minute, of its rollout, of its lane (0: none), user, signal, [label, y, n, 1 if it counts over users only ...]].
 * Answer: for each event 1 if it counted, 0 if its id was known.
 */
export const ADD_EVENTS = script(`
local function check(key, wanted)
  local is = redis.call('TYPE', key).ok
  if is == 'none' or is == wanted then return end
  return redis.error_reply('WRONGKIND ' .. key .. ' holds a ' .. is .. ' where a ' .. wanted .. ' belongs')
end
local function text(number) return string.format('%.17g', number) end
local plan = cjson.decode(ARGV[1])
local days, minutes = 1, 1 + plan.days
local rollouts = minutes + #plan.minutes
local lanes = rollouts + 2 * plan.rollouts
for i, key in ipairs(KEYS) do
  local wanted = i == 1 and 'zset' or i <= minutes and 'set' or i <= lanes and 'hash' or 'stream'
  local bad = check(key, wanted)
  if bad then return bad end
end

local ids, known, answer = {}, {}, {}
for i, event in ipairs(plan.events) do ids[i] = event[1] end
for day = 1, plan.days do
  for i, there in ipairs(redis.call('SMISMEMBER', KEYS[days + day], unpack(ids))) do
    if there == 1 then known[ids[i]] = true end
  end
end

local function sums(cache, key, label)
  local hash = cache[key]
  if not hash then hash = {}; cache[key] = hash end
  local held = hash[label]
  if held then return held end
  held = {}
  for number in string.gmatch(redis.call('HGET', key, label) or '0 0 0 0 0 0', '%S+') do held[#held + 1] = tonumber(number) end
  hash[label] = held
  return held
end
local function add(held, count, y, n, yy, nn, yn)
  held[1] = held[1] + count
  held[2] = held[2] + y
  held[3] = held[3] + n
  held[4] = held[4] + yy
  held[5] = held[5] + nn
  held[6] = held[6] + yn
end
local people = {}
local function person(key, user)
  local hash = people[key]
  if not hash then hash = {}; people[key] = hash end
  local said = hash[user]
  if said then return said end
  said = {}
  for label, y, n in string.gmatch(redis.call('HGET', key, user) or '', '([^=;]+)=([^,;]+),([^;]+)') do
    said[label] = { tonumber(y), tonumber(n) }
  end
  hash[user] = said
  return said
end

local byMinute, moments, touched, signals, counted = {}, {}, {}, {}, {}
for i, event in ipairs(plan.events) do
  local id, minute, rollout, lane, user, signal, adds = unpack(event)
  answer[i] = known[id] and 0 or 1
  if not known[id] then
    known[id] = true
    counted[#counted + 1] = id
    if lane > 0 then signals[#signals + 1] = { KEYS[lanes + lane], signal } end
    for at = 1, #adds, 4 do
      local label, y, n = adds[at], adds[at + 1], adds[at + 2]
      if minute > 0 and adds[at + 3] == 0 then
        add(sums(byMinute, KEYS[minutes + minute], label), 1, y, n, y * y, n * n, y * n)
        touched[minute] = true
      end
      if rollout > 0 and user ~= '' then
        local said = person(KEYS[rollouts + rollout], user)
        local before = said[label]
        local was = before or { 0, 0 }
        local is = { was[1] + y, was[2] + n }
        said[label] = is
        add(sums(moments, KEYS[rollouts + plan.rollouts + rollout], label), before and 0 or 1, y, n,
          is[1] * is[1] - was[1] * was[1], is[2] * is[2] - was[2] * was[2], is[1] * is[2] - was[1] * was[2])
      end
    end
  end
end
if #counted == 0 then return answer end

redis.call('SADD', KEYS[days + 1], unpack(counted))
redis.call('PEXPIRE', KEYS[days + 1], plan.idsMs)
for _, cache in ipairs({ byMinute, moments }) do
  for key, hash in pairs(cache) do
    for label, held in pairs(hash) do
      for i = 1, 6 do held[i] = text(held[i]) end
      redis.call('HSET', key, label, table.concat(held, ' '))
    end
    if cache == moments then redis.call('PEXPIRE', key, plan.idleMs) end
  end
end
for key, hash in pairs(people) do
  for user, said in pairs(hash) do
    local parts = {}
    for label, held in pairs(said) do parts[#parts + 1] = label .. '=' .. text(held[1]) .. ',' .. text(held[2]) end
    redis.call('HSET', key, user, table.concat(parts, ';'))
  end
  redis.call('PEXPIRE', key, plan.idleMs)
end
for _, signal in ipairs(signals) do
  redis.call('XADD', signal[1], 'MAXLEN', '~', ${SIGNALS_KEPT}, '*', 'signal', signal[2])
  redis.call('PEXPIRE', signal[1], plan.idleMs)
end

-- A version grows even where the clock was set back, and is rarely lower after another server has taken over.
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local version = text(math.max(micros, 1 + (redis.call('ZSCORE', KEYS[1], '*') or 0)))
redis.call('ZADD', KEYS[1], version, '*')
for minute in pairs(touched) do
  redis.call('PEXPIRE', KEYS[minutes + minute], plan.minutes[minute][2])
  redis.call('ZADD', KEYS[1], version, text(plan.minutes[minute][1]))
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(micros - plan.changedMs * 1000))
redis.call('PEXPIRE', KEYS[1], plan.changedMs)
return answer
`);

/** KEYS: changed. ARGV: a version. Answer: the version now, then the minutes that have changed since. */
export const CHANGES = script(`
local version = redis.call('ZSCORE', KEYS[1], '*')
if not version then return { '0' } end
local changed = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf')
table.insert(changed, 1, version)
return changed
`);

/** KEYS: hashes. Answer: all of each. */
export const ALL_OF = script(`
local all = {}
for i, key in ipairs(KEYS) do all[i] = redis.call('HGETALL', key) end
return all
`);

function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

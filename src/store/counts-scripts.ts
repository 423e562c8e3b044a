import { createHash } from "node:crypto";
import type { Script } from "./scripts.ts";

/**
 * Adds a writer's counts, all of them or nothing, and once: what could fail is looked at before anything is written, and a number that was written
 * before is known.
 *
 * KEYS: the last number of the writer, changed, hours.
 * ARGV: number, milliseconds to keep an hour, then for each hour how many fields, its own number, and field and text of each.
 * Answer: 1 if it counted, 0 if it was known.
 */
export const ADD_COUNTS = script(`
local function check(key, wanted)
  local is = redis.call('TYPE', key).ok
  if is == 'none' or is == wanted then return end
  return redis.error_reply('WRONGKIND ' .. key .. ' holds a ' .. is .. ' where a ' .. wanted .. ' belongs')
end
for i, key in ipairs(KEYS) do
  local bad = check(key, i == 1 and 'string' or i == 2 and 'zset' or 'hash')
  if bad then return bad end
end
if (tonumber(redis.call('GET', KEYS[1]) or '') or -1) >= tonumber(ARGV[1]) then return 0 end

local function covered(before, more)
  if #before ~= #more then return more end
  local marks = {}
  for i = 1, #more do marks[i] = (before:sub(i, i) == '1' or more:sub(i, i) == '1') and '1' or '0' end
  return table.concat(marks)
end
local function added(before, more)
  local order, sums = {}, {}
  for _, text in ipairs({ before, more }) do
    for name, count in string.gmatch(text, '([^ =]+)=(%d+)') do
      if not sums[name] then order[#order + 1] = name end
      sums[name] = (sums[name] or 0) + tonumber(count)
    end
  end
  for i, name in ipairs(order) do order[i] = name .. '=' .. string.format('%.0f', sums[name]) end
  return table.concat(order, ' ')
end

local hours, at = {}, 3
for i = 3, #KEYS do
  local fields, hour = tonumber(ARGV[at]), ARGV[at + 1]
  at = at + 2
  for _ = 1, fields do
    local field, text = ARGV[at], ARGV[at + 1]
    at = at + 2
    local before = redis.call('HGET', KEYS[i], field) or ''
    redis.call('HSET', KEYS[i], field, field == 'covered' and covered(before, text) or added(before, text))
  end
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
  hours[#hours + 1] = hour
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])

-- A version grows even where the clock was set back, and is rarely lower after another server has taken over.
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local version = string.format('%.0f', math.max(micros, 1 + (redis.call('ZSCORE', KEYS[2], '*') or 0)))
redis.call('ZADD', KEYS[2], version, '*')
for _, hour in ipairs(hours) do redis.call('ZADD', KEYS[2], version, hour) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', micros - ARGV[2] * 1000))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
`);

function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

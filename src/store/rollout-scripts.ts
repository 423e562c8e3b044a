import { script, type Script } from "./scripts.ts";

/** Ticks are kept for so long, by the server's clock, and all of them go when nobody publishes any more. */
const WINDOW_MS = 900_000;
const WINDOWS_MS = 1_200_000;
/** Of the ticks of all instances, whatever the clock does: those of 200 instances that publish every second, or of 20 that do so ten times. */
const MOST_TICKS = 200_000;
/** Entries kept of a rollout's record, about: a minute each, more than a month. */
export const RECORD_LENGTH = 50_000;
/** Of all their texts together, in bytes; beyond it the oldest go, but never the last one. */
const RECORD_BYTES = 64 * 1_048_576;
/** A record that nobody has written for so long is forgotten. */
const RECORD_MS = 60 * 86_400_000;
/** Entries that one that is appended may push out at most, lest the server be held up; those that are over then go with the next ones. */
const MOST_DROPPED = 500;

/**
 * Hands out the lease, or prolongs it for its holder. A lease is `number:holder`. The number is greater than every one before it that the
 * store, the document or the caller knows, and not less than the server's time in microseconds, so that it grows also where all was lost.
 * KEYS: lease, fence, rollout. ARGV: holder, milliseconds, the highest number that the caller has seen. Answer: 1, the number and the server's
 * time in milliseconds; or 0 and the lease that somebody else has.
 */
export const LEAD = script(`
local bad = wrong(KEYS[1], 'string') or wrong(KEYS[2], 'string')
if bad then return bad end
local function number(text)
  local n = tonumber(text)
  return n and n < 9007199254740991 and n or 0
end
local time = redis.call('TIME')
local now = time[1] .. string.format('%03d', math.floor(time[2] / 1000))
local last = redis.call('GET', KEYS[2]) or ''
local lease = redis.call('GET', KEYS[1])
-- One that never ends was not handed out by us.
if lease and redis.call('PTTL', KEYS[1]) >= 0 then
  local held, holder = string.match(lease, '^(%d+):(.*)$')
  if holder ~= ARGV[1] then return { 0, lease } end
  if lease == last then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return { 1, held, now }
  end
end
local written = kind(KEYS[3]) == 'hash' and redis.call('HGET', KEYS[3], 'fence')
local before = math.max(number(string.match(last, '^(%d+):')), number(written), number(ARGV[3]))
local fence = string.format('%.0f', math.max(time[1] * 1000000 + time[2], before + 1))
redis.call('SET', KEYS[2], fence .. ':' .. ARGV[1])
redis.call('SET', KEYS[1], fence .. ':' .. ARGV[1], 'PX', ARGV[2])
return { 1, fence, now }
`);

/** Gives a lease back; from then on it is good for nothing. KEYS: lease, fence. ARGV: lease. */
export const RESIGN = script(`
local bad = wrong(KEYS[1], 'string') or wrong(KEYS[2], 'string')
if bad then return bad end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('SET', KEYS[2], string.match(ARGV[1], '^%d+:')) end
return 1
`);

/** A text of ours. KEYS: its key. */
export const TEXT = script(`
return wrong(KEYS[1], 'string') or redis.call('GET', KEYS[1])
`);

/** Appends a tick. KEYS: windows. ARGV: instance, text. */
export const PUBLISH = script(`
local bad = wrong(KEYS[1], 'stream')
if bad then return bad end
local time = redis.call('TIME')
local oldest = string.format('%.0f', time[1] * 1000 - ${WINDOW_MS})
redis.call('XADD', KEYS[1], 'MINID', '~', oldest, '*', 'i', ARGV[1], 't', ARGV[2])
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ${MOST_TICKS})
redis.call('PEXPIRE', KEYS[1], ${WINDOWS_MS})
return 1
`);

/**
 * Appends to the record, if the lease is the last one handed out. KEYS: record, fence. ARGV: lease, text. Each entry says how many bytes were
 * recorded up to its end, so that the first and the last one tell how many there are.
 */
export const RECORD = script(`
local bad = wrong(KEYS[1], 'stream') or wrong(KEYS[2], 'string')
if bad then return bad end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local function bytes(entry)
  for i = 1, #entry[2], 2 do if entry[2][i] == 'b' then return tonumber(entry[2][i + 1]) or 0 end end
  return 0
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local total = (last and bytes(last) or 0) + #ARGV[2]
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ${RECORD_LENGTH}, '*', 't', ARGV[2], 'b', string.format('%.0f', total))
for _ = 1, ${MOST_DROPPED} do
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  local before = bytes(first)
  if before >= total or total - before + #first[2][2] <= ${RECORD_BYTES} then break end
  redis.call('XDEL', KEYS[1], first[1])
end
redis.call('PEXPIRE', KEYS[1], ${RECORD_MS})
return 1
`);

/** Puts up what the leader sees, likewise. KEYS: show, fence. ARGV: lease, text, milliseconds. */
export const SHOW = script(`
local bad = wrong(KEYS[1], 'string') or wrong(KEYS[2], 'string')
if bad then return bad end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`);

export const ROLLOUT_SCRIPTS: readonly Script[] = [LEAD, RESIGN, TEXT, PUBLISH, RECORD, SHOW];

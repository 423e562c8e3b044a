import { script, type Script } from "./scripts.ts";

/** Ticks of so many seconds are kept of each instance, and all of them go when nobody publishes any more. */
const WINDOW_LENGTH = 900;
const WINDOWS_MS = 1_200_000;
/** More instances than any fleet has; a hash that somebody else has filled must not make the stream endless. */
const MOST_INSTANCES = 200;
/** Entries kept of a rollout's record, about: a minute each, more than a month. */
export const RECORD_LENGTH = 50_000;

/**
 * Hands out the lease, or prolongs it for its holder. A lease is `number:holder`. The number is greater than every one before it that the
 * store, the document or the caller knows, and not less than the server's time in microseconds, so that it grows also where all was lost.
 * KEYS: lease, fence, rollout. ARGV: holder, milliseconds, the highest number that the caller has seen. Answer: number, or the lease that
 * somebody else has.
 */
export const LEAD = script(`
local bad = wrong(KEYS[1], 'string') or wrong(KEYS[2], 'string')
if bad then return bad end
local function number(text)
  local n = tonumber(text)
  return n and n < 9007199254740991 and n or 0
end
local last = redis.call('GET', KEYS[2]) or ''
local lease = redis.call('GET', KEYS[1])
-- One that never ends was not handed out by us.
if lease and redis.call('PTTL', KEYS[1]) >= 0 then
  local held, holder = string.match(lease, '^(%d+):(.*)$')
  if holder ~= ARGV[1] then return { 0, lease } end
  if lease == last then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return { 1, held }
  end
end
local written = kind(KEYS[3]) == 'hash' and redis.call('HGET', KEYS[3], 'fence')
local before = math.max(number(string.match(last, '^(%d+):')), number(written), number(ARGV[3]))
local time = redis.call('TIME')
local fence = string.format('%.0f', math.max(time[1] * 1000000 + time[2], before + 1))
redis.call('SET', KEYS[2], fence .. ':' .. ARGV[1])
redis.call('SET', KEYS[1], fence .. ':' .. ARGV[1], 'PX', ARGV[2])
return { 1, fence }
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

/** Appends a tick. KEYS: windows, instances. ARGV: instance, text. */
export const PUBLISH = script(`
local bad = wrong(KEYS[1], 'stream') or wrong(KEYS[2], 'hash')
if bad then return bad end
local instances = math.min(${MOST_INSTANCES}, math.max(1, redis.call('HLEN', KEYS[2])))
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ${WINDOW_LENGTH} * instances, '*', 'i', ARGV[1], 't', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ${WINDOWS_MS})
return 1
`);

/** Appends to the record, if the lease is the last one handed out. KEYS: record, fence. ARGV: lease, text. */
export const RECORD = script(`
local bad = wrong(KEYS[1], 'stream') or wrong(KEYS[2], 'string')
if bad then return bad end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ${RECORD_LENGTH}, '*', 't', ARGV[2])
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

import { createHash } from "node:crypto";
import { MOST_DOCUMENT_BYTES } from "./rollout-document.ts";

/**
 * The Lua that Redis runs for us. Each takes every key through KEYS and every value through ARGV and builds no name.
 * Whatever must be true at one instant is decided in here; what a value means is decided in TypeScript.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** Entries kept in the audit stream, about. */
export const AUDIT_LENGTH = 10_000;

/** More than any flag needs; beyond it the hash is something else than settings and is left alone, or every look would stall the server. */
const MOST_FIELDS = 1_000;
const MOST_BYTES = 65_536;

const PRELUDE = `
local function kind(key) return redis.call('TYPE', key).ok end
local function wrong(key, wanted)
  local is = kind(key)
  if is == 'none' or is == wanted then return nil end
  return redis.error_reply('WRONGKIND ' .. key .. ' holds a ' .. is .. ' where a ' .. wanted .. ' belongs')
end
local function sorted(flat)
  local names, values = {}, {}
  for i = 1, #flat, 2 do names[#names + 1] = flat[i]; values[flat[i]] = flat[i + 1] end
  table.sort(names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = #name .. ':' .. name .. #values[name] .. ':' .. values[name] end
  return table.concat(parts, ',')
end
local function large(key)
  if redis.call('HLEN', key) > ${MOST_FIELDS} then return true end
  local bytes = 0
  for _, name in ipairs(redis.call('HKEYS', key)) do bytes = bytes + #name + redis.call('HSTRLEN', key, name) end
  return bytes > ${MOST_BYTES}
end
local function ident(key)
  if kind(key) ~= 'hash' then return '' end
  local has = redis.call('HMGET', key, 'version', 'fence', 'digest')
  return (has[1] or '') .. ':' .. (has[2] or '') .. ':' .. (has[3] or '')
end
local function fingerprint(raw, seen) return redis.sha1hex(sorted(raw) .. ';' .. sorted(seen)) end
`;

/**
 * Everything about a flag at one instant. KEYS: flags, seen, accepted, revision, digests, rollout, fence, then the sets. ARGV: version, fence
 * and digest of the document that is known. Answer: kind of the flags key ("large" for a hash of too many fields or bytes), fingerprint,
 * revision, raw, seen, accepted, digests, kind and size of each set, then kind of the document's key, what names the document, and its text
 * if it is not the known one; last the fence.
 */
export const READ = script(`
local bad = wrong(KEYS[2], 'hash') or wrong(KEYS[3], 'hash') or wrong(KEYS[4], 'string') or wrong(KEYS[5], 'hash')
if bad then return bad end
local is = kind(KEYS[1])
if is == 'hash' and large(KEYS[1]) then is = 'large' end
local raw = {}
if is == 'hash' then raw = redis.call('HGETALL', KEYS[1]) end
local seen = redis.call('HGETALL', KEYS[2])
local sets = {}
for i = 8, #KEYS do
  local set = kind(KEYS[i])
  sets[#sets + 1] = set
  sets[#sets + 1] = set == 'set' and redis.call('SCARD', KEYS[i]) or 0
end
local document = { kind(KEYS[6]) }
if document[1] == 'hash' then
  local bytes = redis.call('HSTRLEN', KEYS[6], 'text')
  if bytes == 0 or bytes > ${MOST_DOCUMENT_BYTES} then
    document[1] = 'other'
  else
    local has = redis.call('HMGET', KEYS[6], 'version', 'fence', 'digest')
    document[2] = { 'version', has[1] or '', 'fence', has[2] or '', 'digest', has[3] or '' }
    if ident(KEYS[6]) ~= ARGV[1] then document[3] = redis.call('HGET', KEYS[6], 'text') end
  end
end
local fence = kind(KEYS[7]) == 'string' and redis.call('GET', KEYS[7]) or ''
return { is, fingerprint(raw, seen), redis.call('GET', KEYS[4]) or '', raw, seen, redis.call('HGETALL', KEYS[3]),
  redis.call('HGETALL', KEYS[5]), sets, document, fence }
`);

/**
 * Carries out what was decided on the state that READ gave, if that is still the state: writes the flags, keeps the copy, the accepted
 * fields and the revision, writes the rollout's document, and records it; all of it or nothing. KEYS: flags, seen, accepted, revision, audit,
 * rollout, fence. ARGV: revision and fingerprint as READ gave them, plan as JSON; and where the document is written, the lease under which
 * that is allowed (empty: under any), what names the document that stands there now, and version, fence, digest and text of the new one.
 * A plan without `accepted` leaves the settings alone; one that is not `guarded` does not depend on them either. Answer: "done";
 * "unrecorded" (done, but the audit could not be written, which only a plan that is not `mustRecord` bears); or why nothing was done: "moved" (the
 * settings have), "conflict" (the document has), "fenced" (the lease is no longer the last one).
 */
export const COMMIT = script(`
local plan = cjson.decode(ARGV[3])
local bad = plan.guarded and wrong(KEYS[1], 'hash')
local unrecorded = #plan.audit > 0 and wrong(KEYS[5], 'stream')
if plan.mustRecord then bad = bad or unrecorded end
if ARGV[4] then bad = bad or wrong(KEYS[6], 'hash') end
if ARGV[4] and ARGV[4] ~= '' then bad = bad or wrong(KEYS[7], 'string') end
if bad then return bad end
if ARGV[4] then
  if ARGV[4] ~= '' and redis.call('GET', KEYS[7]) ~= ARGV[4] then return 'fenced' end
  if ident(KEYS[6]) ~= ARGV[5] then return 'conflict' end
end
if plan.guarded then
  if (redis.call('GET', KEYS[4]) or '') ~= ARGV[1] or large(KEYS[1]) then return 'moved' end
  if fingerprint(redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])) ~= ARGV[2] then return 'moved' end
end
-- First, for it is the only write that may fail: a stream that somebody has spoiled takes no entry.
for _, entry in ipairs(unrecorded and {} or plan.audit) do
  local added = redis.pcall('XADD', KEYS[5], 'MAXLEN', '~', ${AUDIT_LENGTH}, '*', 'who', entry.who, 'reason', entry.reason,
    'revision', entry.revision, 'status', entry.status, 'changes', entry.changes)
  if type(added) == 'table' and added.err then
    if plan.mustRecord then return added end
    unrecorded = added
  end
end
if plan.accepted then
  for _, name in ipairs(plan.remove) do redis.call('HDEL', KEYS[1], name) end
  for i = 1, #plan.write, 2 do redis.call('HSET', KEYS[1], plan.write[i], plan.write[i + 1]) end
  local seen = plan.seen or redis.call('HGETALL', KEYS[1])
  redis.call('DEL', KEYS[2], KEYS[3])
  for i = 1, #seen, 2 do redis.call('HSET', KEYS[2], seen[i], seen[i + 1]) end
  for i = 1, #plan.accepted, 2 do redis.call('HSET', KEYS[3], plan.accepted[i], plan.accepted[i + 1]) end
  redis.call('SET', KEYS[4], plan.revision)
end
if ARGV[4] then
  redis.call('HSET', KEYS[6], 'version', ARGV[6], 'fence', ARGV[7], 'digest', ARGV[8], 'text', ARGV[9])
end
return unrecorded and 'unrecorded' or 'done'
`);

/**
 * Numbers the content of a set, once over all instances. KEYS: set, digests, revision, audit. ARGV: name of the set, its
 * digest ('' when empty), its size, revision as READ gave it, the next revision, its number, what changed as JSON.
 * Answer: 1 when the content is numbered now, 0 when the set or the revision has moved on and nothing was done.
 */
export const NUMBER_SET = script(`
local bad = wrong(KEYS[1], 'set') or wrong(KEYS[2], 'hash') or wrong(KEYS[3], 'string') or wrong(KEYS[4], 'stream')
if bad then return bad end
if redis.call('SCARD', KEYS[1]) ~= tonumber(ARGV[3]) then return 0 end
if redis.call('HGET', KEYS[2], ARGV[1]) == ARGV[2] then return 1 end
if (redis.call('GET', KEYS[3]) or '') ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('SET', KEYS[3], ARGV[5])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ${AUDIT_LENGTH}, '*', 'who', 'redis', 'reason', '',
  'revision', ARGV[6], 'status', 'accepted', 'changes', ARGV[7])
return 1
`);

/**
 * Puts a set that was built aside in the place of a lost one, unless somebody has begun it anew meanwhile. KEYS: built,
 * set, digests. ARGV: name of the set, digest, size that the set has now (0: absent).
 */
export const PLACE_SET = script(`
local bad = wrong(KEYS[2], 'set') or wrong(KEYS[3], 'hash')
if bad then return bad end
if redis.call('SCARD', KEYS[2]) ~= tonumber(ARGV[3]) then redis.call('DEL', KEYS[1]) return 0 end
redis.call('PERSIST', KEYS[1])
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
return 1
`);

/**
 * Says that an instance is alive and which revision it runs, by the server's clock, and forgets those long silent.
 * KEYS: instances. ARGV: instance, revision, milliseconds after which an entry is forgotten.
 */
export const HEARTBEAT = script(`
local bad = wrong(KEYS[1], 'hash')
if bad then return bad end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({ revision = tonumber(ARGV[2]), at = now }))
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local ok, entry = pcall(cjson.decode, all[i + 1])
  local at = ok and type(entry) == 'table' and tonumber(entry.at)
  -- An entry of the future was written before the clock was set back; whoever lives writes it anew.
  if not at or math.abs(now - at) > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i]) end
end
return 1
`);

/** Who runs what. KEYS: instances. Answer: the server's time in milliseconds, then the hash. */
export const INSTANCES = script(`
local bad = wrong(KEYS[1], 'hash')
if bad then return bad end
local time = redis.call('TIME')
return { time[1] .. string.format('%03d', math.floor(time[2] / 1000)), redis.call('HGETALL', KEYS[1]) }
`);

/** Those of the settings. */
export const SCRIPTS: readonly Script[] = [READ, COMMIT, NUMBER_SET, PLACE_SET, HEARTBEAT, INSTANCES];

export function script(body: string): Script {
  const lua = PRELUDE + body;
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

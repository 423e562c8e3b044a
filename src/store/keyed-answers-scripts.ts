import { createHash } from "node:crypto";
import type { Script } from "./scripts.ts";

/**
 * A key is one hash: `state` (busy, kept, unkept), `token` of whoever claimed it, `fingerprint` of the request and, once kept, `head` and `body` of
 * the answer. Its time to live is the claim's lease, then that of the answer. Nothing is written over another's claim.
 */
const PRELUDE = `
local key = KEYS[1]
local is = redis.call('TYPE', key).ok
if is ~= 'none' and is ~= 'hash' then
  return redis.error_reply('WRONGKIND ' .. key .. ' holds a ' .. is .. ' where a hash belongs')
end
local held = redis.call('HMGET', key, 'state', 'token', 'fingerprint')
local state, token, fingerprint = held[1], held[2], held[3]
`;

/** KEYS: the key. ARGV: token, fingerprint, lease in milliseconds. Answer: kind of the claim, then head and body of an answer that is kept. */
export const CLAIM = script(`
if not state then
  redis.call('HSET', key, 'state', 'busy', 'token', ARGV[1], 'fingerprint', ARGV[2])
  redis.call('PEXPIRE', key, ARGV[3])
  return { 'new' }
end
if fingerprint ~= ARGV[2] then return { 'mismatch' } end
if state ~= 'kept' then return { state } end
return { state, redis.call('HGET', key, 'head'), redis.call('HGET', key, 'body') }
`);

/** Makes a claim last longer, and again if its key was lost. KEYS, ARGV: as in CLAIM. Answer: 1, or 0 when the key is another's or settled. */
export const RENEW = script(`
if state and (state ~= 'busy' or token ~= ARGV[1]) then return 0 end
redis.call('HSET', key, 'state', 'busy', 'token', ARGV[1], 'fingerprint', ARGV[2])
redis.call('PEXPIRE', key, ARGV[3])
return 1
`);

/**
 * Ends a claim with an answer that was served. KEYS: the key. ARGV: token, fingerprint, milliseconds that the answer is remembered, state, head,
 * body. Answer: 1, or 0 when the key is another's by now.
 */
export const KEEP = script(`
if state and token ~= ARGV[1] then return 0 end
redis.call('DEL', key)
redis.call('HSET', key, 'state', ARGV[4], 'token', ARGV[1], 'fingerprint', ARGV[2], 'head', ARGV[5], 'body', ARGV[6])
redis.call('PEXPIRE', key, ARGV[3])
return 1
`);

/** Ends a claim as if it had never been made. KEYS: the key. ARGV: token. Answer: 1, or 0 when there was no such claim. */
export const FREE = script(`
if state ~= 'busy' or token ~= ARGV[1] then return 0 end
return redis.call('DEL', key)
`);

function script(body: string): Script {
  const lua = PRELUDE + body;
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

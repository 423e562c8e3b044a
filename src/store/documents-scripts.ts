import { MOST_DOCUMENT_BYTES } from "./rollout-document.ts";
import { script, type Script } from "./scripts.ts";

/**
 * A document at one instant. KEYS: document, fence. ARGV: version, fence and digest of the one that is known. Answer: kind of the document's
 * key, its version, fence, digest and history, its text if it is not the known one; last the fence.
 */
export const READ_DOCUMENT = script(`
local document = { kind(KEYS[1]) }
if document[1] == 'hash' then
  local bytes = redis.call('HSTRLEN', KEYS[1], 'text')
  if bytes == 0 or bytes > ${MOST_DOCUMENT_BYTES} then
    document[1] = 'other'
  else
    local has = redis.call('HMGET', KEYS[1], 'version', 'fence', 'digest', 'history')
    document[2] = { 'version', has[1] or '', 'fence', has[2] or '', 'digest', has[3] or '', 'history', has[4] or '' }
    if ident(KEYS[1]) ~= ARGV[1] then document[3] = redis.call('HGET', KEYS[1], 'text') end
  end
end
return { document, kind(KEYS[2]) == 'string' and redis.call('GET', KEYS[2]) or '' }
`);

/**
 * Writes a document whole, or nothing of it. KEYS: document, fence. ARGV: the lease under which that is allowed (empty: under any), what names
 * the document that stands there now, and version, fence, digest, history and text of the new one. Answer: "done"; or why nothing was done:
 * "conflict" (another document stands there), "fenced" (the lease is no longer the last one).
 */
export const WRITE_DOCUMENT = script(`
local bad = wrong(KEYS[1], 'hash') or (ARGV[1] ~= '' and wrong(KEYS[2], 'string'))
if bad then return bad end
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'fenced' end
if ident(KEYS[1]) ~= ARGV[2] then return 'conflict' end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'fence', ARGV[4], 'digest', ARGV[5], 'history', ARGV[6], 'text', ARGV[7])
return 'done'
`);

export const DOCUMENT_SCRIPTS: readonly Script[] = [READ_DOCUMENT, WRITE_DOCUMENT];

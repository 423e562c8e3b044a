import { createHash } from "node:crypto";
import { type Claim, type KeptAnswer, SCOPE_SEPARATOR } from "../store/keyed-answers.ts";

export type { Claim, KeptAnswer } from "../store/keyed-answers.ts";

/**
 * One answer per idempotency key (draft-ietf-httpapi-idempotency-key-header): whoever repeats a request gets the answer that was served, never the
 * other arm's.
 */
export interface KeyedAnswers {
  /**
   * Asks for a key. `scope` is made by {@link scopeOf}, so that the keys of two users never meet, `fingerprint` by {@link fingerprintOf}. Calls back
   * once, perhaps at once; also when the store hangs: `unavailable` after 250 ms. After `new` and after `unavailable` the caller must call
   * `settle` exactly once, whatever becomes of the request: until then the key is busy.
   */
  claim(scope: string, key: string, fingerprint: string, done: (claim: Claim) => void): void;
  /**
   * Remembers the answer served, in a copy of its body. undefined: nothing was answered that must be kept (a failure of ours, the client left
   * before anything was sent): the key is free again. Never throws.
   */
  settle(scope: string, key: string, answer: KeptAnswer | undefined): void;
}

/** A string as structured fields have it (RFC 9651), between its quotes. */
const STRING = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/;

/**
 * The key that an Idempotency-Key field names. A structured-field string stands for its content; tokens, and what is neither (a bare UUID that
 * begins with a digit, as many clients send it), for themselves. undefined: it names none.
 */
export function keyOf(value: string): string | undefined {
  const text = value.trim();
  const [, content] = text.length <= LONGEST_KEY + 2 ? (STRING.exec(text) ?? []) : [];
  const key = content === undefined ? text : content.replace(/\\(.)/g, "$1");
  return key === "" ? undefined : key;
}

/** Longest content of a structured-field string that is looked into; what is longer is a key as it stands. */
const LONGEST_KEY = 255;

/**
 * Whose a key is. `user` is what the split goes by, `credentials` the Authorization field, "" without: a kept answer is given out without any
 * backend looking who asks, so it goes to nobody who could not have asked for it.
 */
export function scopeOf(route: string, user: string, credentials: string): string {
  return route + SCOPE_SEPARATOR + createHash("sha256").update(`${user.length}:${user}${credentials}`).digest("base64url");
}

/** Tells two requests under one key apart. */
export function fingerprintOf(method: string, target: string, body: Uint8Array | undefined): string {
  const hash = createHash("sha256").update(`${method} ${target}\n`);
  if (body !== undefined) hash.update(body);
  return hash.digest("base64url");
}

/**
 * Whether an answer is the last word on a request. Those that ask for another try with the same key (who are you, too early, too often, not now)
 * are not: kept, they would stand in the way of that try.
 */
export function isFinal(status: number): boolean {
  return !NOT_FINAL.has(status);
}

const NOT_FINAL: ReadonlySet<number> = new Set([401, 407, 408, 409, 421, 425, 429, 502, 503, 504]);

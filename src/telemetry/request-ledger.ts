import type { Arm } from "../core/words.ts";

/**
 * The last requests of one worker, by id: which arm the split assigned, who answered, for whom. So that what is said later of an answer can be
 * counted for the arm that gave it. A table of fixed size in shared memory: writing an entry allocates nothing and sends nothing.
 *
 * Entries of 32 bytes in buckets of eight. A request goes into the bucket of its digest, over the oldest there; the places of a bucket are taken in
 * turn, so nothing is searched and one line of memory is written. The last word of an entry is a checksum of the others, so a reader on another thread
 * takes no entry that is half written; it finds nothing then.
 */
const WORDS = 8;
const WAYS = 8;
/** Words of an entry. */
const ID_LOW = 0;
const ID_HIGH = 1;
const USER_LOW = 2;
const USER_HIGH = 3;
const PLACE = 4;
const SECONDS = 5;
const DETAIL = 6;
const CHECK = 7;

/** A request as the ledger knows it. */
export interface KnownRequest {
  /** When it was recorded: at its end. Epoch milliseconds. */
  readonly at: number;
  /** Number in the configuration; -1: none. */
  readonly route: number;
  readonly assigned: Arm;
  readonly served: Arm;
  /** Number in the flag's list; -1: none. */
  readonly segment: number;
  /** Digest as {@link userDigest} makes it; undefined: nobody in particular. */
  readonly user: string | undefined;
}

/** Entries that a ledger for `entries` has room for: the next power of two, 8 at least. */
function capacityOf(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(WAYS, entries)));
}

/** Bytes of shared memory for a ledger of at least `entries` requests. */
export function ledgerBytes(entries: number): number {
  return capacityOf(entries) * WORDS * 4;
}

const ARM_NAMES: readonly Arm[] = ["none", "stable", "candidate"];

function numberOf(arm: Arm): number {
  return arm === "candidate" ? 2 : arm === "stable" ? 1 : 0;
}

/** Two sums of 32 bits, spread well enough that they stand for the text; not against somebody who looks for two equal ones. */
let low = 0;
let high = 0;

function digest(text: string): void {
  let a = 0x811c9dc5;
  let b = 0x9747b28c ^ text.length;
  const pairs = text.length & ~1;
  for (let i = 0; i < pairs; i += 2) {
    const two = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16);
    a = Math.imul(a ^ two, 0x85ebca6b);
    a ^= a >>> 15;
    b = Math.imul((b << 13) | (b >>> 19), 5) ^ Math.imul(two, 0xcc9e2d51);
  }
  if (pairs < text.length) {
    const one = text.charCodeAt(pairs);
    a = Math.imul(a ^ one, 0x85ebca6b);
    b = Math.imul((b << 13) | (b >>> 19), 5) ^ Math.imul(one, 0xcc9e2d51);
  }
  low = mix(a ^ b);
  high = mix(b + Math.imul(low, 0x9e3779b1));
  // Nothing at all is written as two zeros.
  if ((low | high) === 0) low = 1;
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** What stands for a user where sums over users are kept: the same on every instance. */
export function userDigest(user: string): string {
  digest(user);
  return hex(low, high);
}

function hex(a: number, b: number): string {
  return (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0");
}

/** The writing side. One thread alone may write into a buffer at a time. */
export class RequestLedger {
  readonly #words: Int32Array;
  readonly #bucketMask: number;
  /** Place of the next entry in each bucket; wraps around. */
  readonly #turns: Uint8Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#bucketMask = bucketMask(buffer);
    this.#turns = new Uint8Array(this.#bucketMask + 1);
  }

  /** `now`: epoch milliseconds. */
  record(requestId: string, now: number, route: number, assigned: Arm, served: Arm, segment: number, user: string | undefined): void {
    const words = this.#words;
    let userLow = 0;
    let userHigh = 0;
    if (user !== undefined) {
      digest(user);
      userLow = low;
      userHigh = high;
    }
    digest(requestId);
    const bucket = low & this.#bucketMask;
    const turn = this.#turns[bucket] ?? 0;
    this.#turns[bucket] = turn + 1;
    const at = (bucket * WAYS + (turn & (WAYS - 1))) * WORDS;
    const seconds = Math.floor(now / 1_000);
    const place = ((route + 1) & 0xffff) | ((segment + 1) << 16);
    const detail = (Math.floor(now) - seconds * 1_000) | (numberOf(assigned) << 10) | (numberOf(served) << 12);
    words[at + ID_LOW] = low;
    words[at + ID_HIGH] = high;
    words[at + USER_LOW] = userLow;
    words[at + USER_HIGH] = userHigh;
    words[at + PLACE] = place;
    words[at + SECONDS] = seconds;
    words[at + DETAIL] = detail;
    words[at + CHECK] = checksum(low, high, userLow, userHigh, place, seconds, detail);
  }
}

/** Looks a request up in the ledgers of all workers; of several with the same id, the last one. */
export function findRequest(buffers: readonly SharedArrayBuffer[], requestId: string): KnownRequest | undefined {
  digest(requestId);
  const idLow = low;
  const idHigh = high;
  let found: KnownRequest | undefined;
  for (const buffer of buffers) {
    const words = new Int32Array(buffer);
    const first = (idLow & bucketMask(buffer)) * (WORDS * WAYS);
    for (let at = first; at < first + WORDS * WAYS; at += WORDS) {
      const entry = words.slice(at, at + WORDS);
      if (entry[ID_LOW] !== idLow || entry[ID_HIGH] !== idHigh) continue;
      const known = read(entry);
      if (known !== undefined && (found === undefined || known.at > found.at)) found = known;
    }
  }
  return found;
}

function read(entry: Int32Array): KnownRequest | undefined {
  const [idLow = 0, idHigh = 0, userLow = 0, userHigh = 0, place = 0, seconds = 0, detail = 0, check = 0] = entry;
  if (checksum(idLow, idHigh, userLow, userHigh, place, seconds, detail) !== check) return undefined;
  return {
    at: (seconds >>> 0) * 1_000 + (detail & 1_023),
    route: (place & 0xffff) - 1,
    assigned: ARM_NAMES[(detail >>> 10) & 3] ?? "none",
    served: ARM_NAMES[(detail >>> 12) & 3] ?? "none",
    segment: (place >>> 16) - 1,
    user: (userLow | userHigh) === 0 ? undefined : hex(userLow, userHigh),
  };
}

/** Each word in another turn, so that words of two entries do not make up for each other. */
function checksum(a: number, b: number, c: number, d: number, e: number, f: number, g: number): number {
  let sum = Math.imul(a ^ 0x5bd1e995, 0x9e3779b1) ^ b;
  sum = Math.imul(sum ^ (sum >>> 15), 0x85ebca6b) ^ c;
  sum = Math.imul(sum ^ (sum >>> 13), 0xc2b2ae35) ^ d;
  sum = Math.imul(sum ^ (sum >>> 15), 0x85ebca6b) ^ e;
  sum = Math.imul(sum ^ (sum >>> 13), 0xc2b2ae35) ^ f;
  sum = Math.imul(sum ^ (sum >>> 15), 0x9e3779b1) ^ g;
  return sum ^ (sum >>> 16);
}

function bucketMask(buffer: SharedArrayBuffer): number {
  return buffer.byteLength / (WORDS * 4 * WAYS) - 1;
}

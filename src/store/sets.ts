import { buildStringSet, StringSet } from "../core/string-set.ts";
import type { Session } from "./session.ts";
import type { SetId } from "./keys.ts";
import { PLACE_SET } from "./scripts.ts";

/** Members asked for at a time: large enough to be quick, small enough that a command never waits long behind one. */
const BATCH = 5_000;

/** A set of users as this instance holds it. */
export interface HeldSet {
  /** Equal for equal members, on every instance. Empty for the empty set, which Redis does not tell from an absent one. */
  readonly digest: string;
  /** As Redis counts. */
  readonly size: number;
  readonly buffer: SharedArrayBuffer;
}

export const EMPTY_SET: HeldSet = { digest: "", size: 0, buffer: buildStringSet([]) };

/**
 * Two 32-bit sums over all members, so that their order does not matter; they tell edits apart, not an attacker's. All
 * instances must compute the same, so a change of it needs another form of digest in Redis.
 */
class Digest {
  #first = 0;
  #second = 0;
  #count = 0;

  add(member: string): void {
    let first = 0x811c9dc5;
    let second = 0x9747b28c;
    for (let i = 0; i < member.length; i++) {
      const code = member.charCodeAt(i);
      first = Math.imul(first ^ code, 0x01000193);
      second = Math.imul(second ^ code, 0x85ebca6b);
      second = (second << 13) | (second >>> 19);
    }
    this.#first = (this.#first + mix(first)) | 0;
    this.#second = (this.#second + mix(second ^ member.length)) | 0;
    this.#count++;
  }

  toString(): string {
    if (this.#count === 0) return "";
    return `${this.#count}-${(this.#first >>> 0).toString(16)}-${(this.#second >>> 0).toString(16)}`;
  }
}

function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** Reads a whole set of `size` members without blocking the server. */
export async function readSet(session: Session, key: string, size: number): Promise<HeldSet> {
  // A scan may give a member twice.
  const unique = new Set<string>();
  const digest = new Digest();
  let cursor = "0";
  do {
    const [next, members] = parseScan(await session.command("SSCAN", key, cursor, "COUNT", BATCH));
    for (const member of members) {
      if (unique.has(member)) continue;
      unique.add(member);
      digest.add(member);
    }
    cursor = next;
  } while (cursor !== "0");
  return { digest: digest.toString(), size, buffer: buildStringSet(unique) };
}

/**
 * Writes a set back that the store has lost, with what was added to it since: built aside, then put in place at once, so that nobody reads half of it.
 * `present` is the size the set was found with; if it has another by then, nothing is done.
 */
export async function restoreSet(
  session: Session,
  keys: { readonly set: string; readonly aside: string; readonly digests: string },
  id: SetId,
  held: HeldSet,
  added: Iterable<string>,
  present: number,
): Promise<void> {
  await session.command("DEL", keys.aside);
  let batch: string[] = [];
  let first = true;
  const send = async (): Promise<void> => {
    await session.command("SADD", keys.aside, ...batch);
    // Should this instance die halfway, the unfinished copy goes by itself.
    if (first) await session.command("EXPIRE", keys.aside, 600);
    first = false;
    batch = [];
  };
  for (const members of [new StringSet(held.buffer).values(), added]) {
    for (const member of members) {
      batch.push(member);
      if (batch.length === BATCH) await send();
    }
  }
  if (batch.length > 0) await send();
  await session.run(PLACE_SET, [keys.aside, keys.set, keys.digests], [id, held.digest, present]);
}

function parseScan(reply: unknown): readonly [string, readonly string[]] {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw new Error("SSCAN gave an answer of another form");
  return [String(reply[0]), reply[1].map(String)];
}

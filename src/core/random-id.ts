import { randomFillSync } from "node:crypto";

/** Random ids are cut from a pool of random bytes, refilled in one call: a system call every few hundred ids, not each. */
const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

/** `bytes` random bytes in lower-case hex; `bytes` at most 64. Never all zero (a trace id must not be). */
export function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString("hex", used, used + bytes);
  used += bytes;
  return /[1-9a-f]/.test(id) ? id : randomHex(bytes);
}

import { randomFillSync } from "node:crypto";

/**
 * Random ids are cut from a long text of random digits, made anew in one go: a system call and a conversion every hundred requests, not three
 * of each a request. An id keeps the text that it was cut from alive, so one that is kept for long should not be one of many.
 */
const pool = Buffer.allocUnsafeSlow(4096);
let digits = "";
let used = 0;

const ZERO = 0x30;

/** `bytes` random bytes in lower-case hex; `bytes` at most 64. Never all zero (a trace id must not be). */
export function randomHex(bytes: number): string {
  const end = used + 2 * bytes;
  if (end > digits.length) {
    digits = randomFillSync(pool).toString("hex");
    used = 0;
    return randomHex(bytes);
  }
  const id = digits.slice(used, end);
  used = end;
  return id.charCodeAt(0) === ZERO && /^0+$/.test(id) ? randomHex(bytes) : id;
}

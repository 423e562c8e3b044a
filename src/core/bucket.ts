import murmurhash from "murmurhash";

/** Number of buckets a user can fall into; one bucket is one basis point of traffic. */
export const BUCKETS = 10_000;

const encoder = new TextEncoder();
/** Filled anew for each key: murmurhash would make an encoder and a buffer for every string it is given. */
let scratch = new Uint8Array(512);

/**
 * The bucket of a user, 0..9999: MurmurHash3 x86 32-bit (Austin Appleby, seed 0) of the UTF-8 bytes of
 * `salt + ":" + key`, modulo 10,000. It depends on nothing else, so every instance, worker and restart, and any
 * other program, computes the same. docs/bucketing.md holds test vectors.
 */
export function bucketOf(salt: string, key: string): number {
  const most = (salt.length + key.length) * 3 + 1;
  if (most > scratch.length) scratch = new Uint8Array(most);
  let length = write(salt, 0);
  scratch[length++] = 0x3a;
  length = write(key, length);
  return murmurhash.v3(scratch.subarray(0, length), 0) % BUCKETS;
}

/** Writes the text's UTF-8 bytes from `at` on; returns where they end. ASCII, the usual case, needs no encoder. */
function write(text: string, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return at + encoder.encodeInto(text, scratch.subarray(at)).written;
    scratch[at + i] = code;
  }
  return at + text.length;
}

/**
 * An immutable set of strings in one SharedArrayBuffer: built once on the control side, read by every worker without
 * a copy. Open addressing over 32-bit offsets into a blob of UTF-8 bytes, at most half full, so a lookup costs the same
 * in a set of ten as in a set of a million, allocates nothing for ASCII keys and compares whole keys, not digests.
 *
 * Layout (Int32): [count, slots, offset of blob, ...slots], then the blob: per key its byte length (4 bytes) and bytes.
 * A slot holds the key's offset in the blob plus 1; 0 is empty.
 */
const HEADER = 3;
const encoder = new TextEncoder();

/** FNV-1a over bytes with a final mix: fast on short keys, spread well enough for linear probing. */
function hashBytes(bytes: Uint8Array, start: number, length: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < start + length; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

/** Packs strings into a buffer for {@link StringSet}. Duplicates are dropped. */
export function buildStringSet(keys: Iterable<string>): SharedArrayBuffer {
  const unique = keys instanceof Set ? keys : new Set(keys);
  let blobBytes = 0;
  for (const key of unique) blobBytes += 4 + Buffer.byteLength(key);
  let slots = 8;
  while (slots < unique.size * 2) slots *= 2;
  const blobStart = (HEADER + slots) * 4;
  const buffer = new SharedArrayBuffer(blobStart + blobBytes);
  const ints = new Int32Array(buffer, 0, HEADER + slots);
  const blob = Buffer.from(buffer, blobStart);
  ints[0] = unique.size;
  ints[1] = slots;
  ints[2] = blobStart;
  let offset = 0;
  for (const key of unique) {
    const length = blob.write(key, offset + 4);
    blob.writeUInt32LE(length, offset);
    let slot = hashBytes(blob, offset + 4, length) & (slots - 1);
    while (ints[HEADER + slot] !== 0) slot = (slot + 1) & (slots - 1);
    ints[HEADER + slot] = offset + 1;
    offset += 4 + length;
  }
  return buffer;
}

export class StringSet {
  readonly buffer: SharedArrayBuffer;
  readonly size: number;
  readonly #slots: Int32Array;
  readonly #blob: Uint8Array;
  readonly #mask: number;
  #scratch = new Uint8Array(256);

  constructor(buffer: SharedArrayBuffer) {
    const header = new Int32Array(buffer, 0, HEADER);
    this.buffer = buffer;
    this.size = header[0] ?? 0;
    const slots = header[1] ?? 0;
    this.#slots = new Int32Array(buffer, HEADER * 4, slots);
    this.#mask = slots - 1;
    this.#blob = new Uint8Array(buffer, header[2] ?? 0);
  }

  has(key: string): boolean {
    if (this.size === 0) return false;
    const length = this.#encode(key);
    const wanted = this.#scratch;
    const blob = this.#blob;
    for (let slot = hashBytes(wanted, 0, length) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0) return false;
      const at = entry - 1;
      const stored = (blob[at] ?? 0) | ((blob[at + 1] ?? 0) << 8) | ((blob[at + 2] ?? 0) << 16) | ((blob[at + 3] ?? 0) << 24);
      if (stored !== length) continue;
      let i = 0;
      while (i < length && blob[at + 4 + i] === wanted[i]) i++;
      if (i === length) return true;
    }
  }

  /** Every key, for those who must write the set out again. */
  *values(): Generator<string> {
    const decoder = new TextDecoder();
    for (const entry of this.#slots) {
      if (entry === 0) continue;
      const view = new DataView(this.#blob.buffer, this.#blob.byteOffset);
      const length = view.getUint32(entry - 1, true);
      yield decoder.decode(this.#blob.slice(entry + 3, entry + 3 + length));
    }
  }

  /** Writes the key's UTF-8 bytes into the scratch buffer; returns how many. */
  #encode(key: string): number {
    if (key.length * 3 > this.#scratch.length) this.#scratch = new Uint8Array(key.length * 3);
    const scratch = this.#scratch;
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i);
      if (code > 0x7f) return encoder.encodeInto(key, scratch).written;
      scratch[i] = code;
    }
    return key.length;
  }
}

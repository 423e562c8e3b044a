/** Field names as octets: what may stand in them, and how to find one among many without making strings. */

const TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** In lower case what may stand in a token (RFC 9110, 5.6.2), 0 for everything else. */
export const LOWER = new Uint8Array(256);

/** Like {@link LOWER}, with `-` for `_`, as gateways of the CGI family read it. */
export const PLAIN = new Uint8Array(256);

for (const octet of Buffer.from(TOKEN, "latin1")) {
  const lower = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
  LOWER[octet] = lower;
  PLAIN[octet] = lower === 0x5f ? 0x2d : lower;
}

/** A name to look for. */
export interface Name {
  readonly key: number;
  /** In lower case. */
  readonly octets: Uint8Array;
}

/** Of an octet what is the same in both cases of a letter, and in `-` and `_`; of four octets at once. */
const SHARED = 0x0d0d0d0d;
const WORD = 4;

/** A number by which most names differ, from their length and both ends; spellings that differ by case, or `_` and `-`, share it. */
export function keyOf(view: DataView, start: number, end: number): number {
  const length = end - start;
  if (length < WORD) return keyOfShort(view, start, length);
  const ends = ((view.getInt32(start) & SHARED) << 4) | (view.getInt32(end - WORD) & SHARED);
  return ends ^ Math.imul(length, 0x9e3779b1);
}

function keyOfShort(view: DataView, start: number, length: number): number {
  let key = length;
  for (let i = 0; i < length; i++) key = (key << 8) | (view.getUint8(start + i) & SHARED & 0xff);
  return key;
}

export function nameOf(lower: string): Name {
  const octets = Buffer.from(lower, "latin1");
  return { key: keyOf(new DataView(octets.buffer, octets.byteOffset, octets.length), 0, octets.length), octets };
}

/** Whether the octets are the name, apart from case. */
export function isName(bytes: Uint8Array, start: number, end: number, octets: Uint8Array): boolean {
  const length = octets.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (LOWER[bytes[start + i] ?? 0] !== octets[i]) return false;
  return true;
}

/** Whether the octets begin with `octets`, `_` counting as `-`. */
export function plainStartsWith(bytes: Uint8Array, start: number, end: number, octets: Uint8Array): boolean {
  const length = octets.length;
  if (end - start < length) return false;
  for (let i = 0; i < length; i++) if (PLAIN[bytes[start + i] ?? 0] !== octets[i]) return false;
  return true;
}

/** A set of names, `_` counting as `-`: open addressing by key, at most a quarter full, so that a miss is one look. */
export class NameSet {
  readonly #mask: number;
  readonly #keys: Int32Array;
  readonly #names: (Uint8Array | undefined)[];

  /** `names` in lower case, with `-` for `_`. */
  constructor(names: Iterable<string>) {
    const all = [...new Set(names)].filter((name) => name !== "");
    let slots = 16;
    while (slots < all.length * 4) slots *= 2;
    this.#mask = slots - 1;
    this.#keys = new Int32Array(slots);
    this.#names = Array.from({ length: slots }, () => undefined);
    for (const text of all) {
      const { key, octets } = nameOf(text);
      let slot = slotOf(key) & this.#mask;
      while (this.#names[slot] !== undefined) slot = (slot + 1) & this.#mask;
      this.#keys[slot] = key;
      this.#names[slot] = octets;
    }
  }

  has(bytes: Uint8Array, start: number, end: number, key: number): boolean {
    let slot = slotOf(key) & this.#mask;
    for (;;) {
      const octets = this.#names[slot];
      if (octets === undefined) return false;
      if (this.#keys[slot] === key && end - start === octets.length && plainStartsWith(bytes, start, end, octets)) return true;
      slot = (slot + 1) & this.#mask;
    }
  }
}

function slotOf(key: number): number {
  return Math.imul(key, 0x9e3779b1) >>> 16;
}

/** Names that somebody asked for. They come from the configuration and the program, so there are few; the bound is for the other case. */
const ASKED_LIMIT = 1024;
const asked = new Map<string, Name>();

/** In front of the map, which costs as much as the search in a head: names are the program's constants, and comparing those is comparing pointers. */
const RECENT = 64;
const recentTexts: string[] = Array.from({ length: RECENT }, () => "");
const recentNames: Name[] = Array.from({ length: RECENT }, () => nameOf(""));

export function askedName(lower: string): Name {
  const length = lower.length;
  const place = (length * 5 + lower.charCodeAt(0) + lower.charCodeAt(length >> 1)) % RECENT;
  if (recentTexts[place] === lower) return recentNames[place] ?? nameOf(lower);
  const name = rememberedName(lower);
  recentTexts[place] = lower;
  recentNames[place] = name;
  return name;
}

function rememberedName(lower: string): Name {
  const known = asked.get(lower);
  if (known !== undefined) return known;
  if (asked.size >= ASKED_LIMIT) asked.clear();
  const name = nameOf(lower);
  asked.set(lower, name);
  return name;
}

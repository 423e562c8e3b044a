import { elementPlace, namedEdge, type Edge, type Place, type Plan } from "./json-plan.ts";
import {
  bareEnd,
  BLANK,
  blanksEnd,
  blanksStart,
  byteAt,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  stringEnd,
} from "./json-text.ts";

const ROOM = 64;
/** Room for more finds than that is not kept from one document to the next. */
const KEPT_ROOM = 16_384;

/** Where the values stand that a plan looks for: for each slot the places of their first bytes, in order. Filled anew by each scan. */
export class Finds {
  readonly counts: Int32Array;
  readonly #starts: Int32Array[];

  constructor(plan: Plan) {
    this.counts = new Int32Array(plan.slots);
    this.#starts = Array.from(this.counts, () => new Int32Array(ROOM));
  }

  /** 0 for a slot of -1, where nothing is looked for. */
  count(slot: number): number {
    return this.counts[slot] ?? 0;
  }

  start(slot: number, index: number): number {
    return this.#starts[slot]?.[index] ?? 0;
  }

  clear(): void {
    const starts = this.#starts;
    for (let slot = 0; slot < starts.length; slot++) {
      this.counts[slot] = 0;
      if ((starts[slot]?.length ?? 0) > KEPT_ROOM) starts[slot] = new Int32Array(ROOM);
    }
  }

  add(slot: number, at: number): void {
    const count = this.counts[slot] ?? 0;
    let starts = this.#starts[slot];
    if (starts === undefined) return;
    if (count === starts.length) {
      const grown = new Int32Array(count * 2);
      grown.set(starts);
      this.#starts[slot] = starts = grown;
    }
    starts[count] = at;
    this.counts[slot] = count + 1;
  }

  /** Forgets what was found from there on. */
  forget(slot: number, from: number): void {
    let count = this.counts[slot] ?? 0;
    while (count > 0 && this.start(slot, count - 1) >= from) count--;
    this.counts[slot] = count;
  }
}

// No read below goes beyond the end, or every later one of its line would be slower, by two times and more: the document is known to end
// in a bracket or brace, in which no number, literal, escape or blank goes on. Strings look where the end is, and so does whoever has just
// read a container: it may have been the last thing.

/** Brackets and braces close two places behind where they open. */
const CLOSES = 2;

/**
 * Finds what the plan looks for in one pass over the bytes, without building the document; false if they are not JSON. Of members of one
 * name the last counts, as everywhere, but `*` counts them all, in the order in which they stand. Depth is no limit.
 */
export function scan(bytes: Uint8Array, plan: Plan, finds: Finds): boolean {
  finds.clear();
  const start = blanksEnd(bytes, 0);
  const first = byteAt(bytes, start);
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) return parses(bytes);
  const end = blanksStart(bytes);
  const document = end === bytes.length ? bytes : bytes.subarray(0, end);
  return document[end - 1] === first + CLOSES && placeEnd(document, start, plan.root, finds) === end;
}

/** For a document that is a single figure or word, which is rare and holds nothing that anyone looks for. */
function parses(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
    return true;
  } catch {
    return false;
  }
}

/** Goes as deep as pointers lead: what lies beyond is skipped without recursion. */
function placeEnd(bytes: Uint8Array, at: number, place: Place, finds: Finds): number {
  const { slots } = place;
  for (let i = 0; i < slots.length; i++) finds.add(slots[i] ?? 0, at);
  if (!place.last) {
    const first = bytes[at] ?? 0;
    if (first === OPEN_OBJECT) return objectEnd(bytes, at, place, finds);
    if (first === OPEN_ARRAY) return arrayEnd(bytes, at, place, finds);
  }
  return valueEnd(bytes, at);
}

function objectEnd(bytes: Uint8Array, start: number, place: Place, finds: Finds): number {
  let at = start + 1;
  if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
  if (bytes[at] === CLOSE_OBJECT) return at + 1;
  for (;;) {
    if (bytes[at] !== QUOTE) return 0;
    const end = stringEnd(bytes, at);
    if (end === 0) return 0;
    const edge = namedEdge(place, bytes, at, end);
    const to = edge === undefined ? place.others : edge.to;
    if (edge !== undefined) forgetEarlier(edge, start, finds);
    at = end < 0 ? -end : end;
    if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
    if (bytes[at] !== COLON) return 0;
    at++;
    if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
    at = to === undefined ? valueEnd(bytes, at) : placeEnd(bytes, at, to, finds);
    if (at === 0 || at === bytes.length) return 0;
    if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
    const next = bytes[at] ?? 0;
    at++;
    if (next === CLOSE_OBJECT) return at;
    if (next !== COMMA) return 0;
    if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
  }
}

/** `from` is where the object began: another member of the name may have come before in it. */
function forgetEarlier({ named }: Edge, from: number, finds: Finds): void {
  for (let i = 0; i < named.length; i++) finds.forget(named[i] ?? 0, from);
}

function arrayEnd(bytes: Uint8Array, start: number, place: Place, finds: Finds): number {
  let at = start + 1;
  if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
  if (bytes[at] === CLOSE_ARRAY) return at + 1;
  for (let index = 0; ; index++) {
    const to = elementPlace(place, index);
    at = to === undefined ? valueEnd(bytes, at) : placeEnd(bytes, at, to, finds);
    if (at === 0 || at === bytes.length) return 0;
    if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
    const next = bytes[at] ?? 0;
    at++;
    if (next === CLOSE_ARRAY) return at;
    if (next !== COMMA) return 0;
    if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
  }
}

/** Where the value that begins at `at` ends; 0 if there is none. */
function valueEnd(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first === QUOTE) {
    const end = stringEnd(bytes, at);
    return end < 0 ? -end : end;
  }
  return first === OPEN_OBJECT || first === OPEN_ARRAY ? containerEnd(bytes, at) : bareEnd(bytes, at, first);
}

/** How the containers around the one being skipped close, outermost first; filled anew for each. */
let outer = new Uint8Array(256);

function containerEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  let depth = 0;
  let closing = 0;
  for (;;) {
    const first = bytes[at] ?? 0;
    if (first === QUOTE) {
      at = stringEnd(bytes, at);
      if (at <= 0) {
        if (at === 0) return 0;
        at = -at;
      }
    } else if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      if (depth === outer.length) makeRoom();
      outer[depth] = closing;
      depth++;
      closing = first + CLOSES;
      at++;
      if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
      if (bytes[at] !== closing) {
        if (closing === CLOSE_OBJECT) {
          at = memberStart(bytes, at);
          if (at === 0) return 0;
        }
        continue;
      }
      // It is empty, and its closing is read below.
    } else {
      at = bareEnd(bytes, at, first);
      if (at === 0) return 0;
    }
    for (;;) {
      if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
      const next = bytes[at] ?? 0;
      if (next === COMMA) break;
      if (next !== closing) return 0;
      at++;
      depth--;
      if (depth === 0) return at;
      if (at === bytes.length) return 0;
      closing = outer[depth] ?? 0;
    }
    at++;
    if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
    if (closing === CLOSE_OBJECT) {
      at = memberStart(bytes, at);
      if (at === 0) return 0;
    }
  }
}

/** Where the value of the member begins whose name begins at `start`. */
function memberStart(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== QUOTE) return 0;
  const end = stringEnd(bytes, start);
  if (end === 0) return 0;
  let at = end < 0 ? -end : end;
  if ((bytes[at] ?? 0) <= BLANK) at = blanksEnd(bytes, at);
  if (bytes[at] !== COLON) return 0;
  at++;
  return (bytes[at] ?? 0) <= BLANK ? blanksEnd(bytes, at) : at;
}

function makeRoom(): void {
  const grown = new Uint8Array(outer.length * 2);
  grown.set(outer);
  outer = grown;
}

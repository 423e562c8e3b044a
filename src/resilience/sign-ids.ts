import type { Finds } from "./json-scan.ts";
import { bareEnd, isNumber, isWhole, numberOf, QUOTE, stringEnd, textOf } from "./json-text.ts";

/** Of more ids than that nothing is said, so that a judgement takes a bounded time. */
const MOST_IDS = 10_000;
/** Ids that crowd in one corner of the table, as none do by chance, are not told apart. */
const MOST_PROBES = 64;
/** A table for so many ids is there from the beginning. */
const LEAST_ROOM = 32;
/** Odd, with bits all over: what multiplies by it spreads what came in the low bits to the high ones. */
const SPREAD = 0x9e3779b1;

const double = new Float64Array(1);
const halves = new Int32Array(double.buffer);

/** An id as it stands in a document: "7" is not 7, but 7.0 is, and `"\u0041"` is "A". Moved from one to the next, to leave nothing behind. */
class Id {
  #bytes: Uint8Array = new Uint8Array(0);
  #from = 0;
  #to = 0;
  #kind: "text" | "whole" | "number" = "text";
  #value = 0;

  /** False if what stands there is neither a string nor a number. */
  moveTo(bytes: Uint8Array, at: number): boolean {
    const first = bytes[at] ?? 0;
    this.#bytes = bytes;
    this.#from = at;
    if (first === QUOTE) {
      this.#kind = "text";
      const end = stringEnd(bytes, at);
      if (end < 0) {
        this.#bytes = Buffer.from(textOf(bytes, at, end));
        this.#from = 0;
        this.#to = this.#bytes.length;
      } else {
        this.#from = at + 1;
        this.#to = end - 1;
      }
      return true;
    }
    if (!isNumber(first)) return false;
    this.#to = bareEnd(bytes, at, first);
    // Of whole numbers every digit counts, also of those that are too long for a number here.
    this.#kind = isWhole(bytes, at, this.#to) ? "whole" : "number";
    // Zero has one sign.
    this.#value = numberOf(bytes, at, this.#to) + 0;
    return true;
  }

  get hash(): number {
    let hash = 0;
    if (this.#kind === "text") {
      for (let at = this.#from; at < this.#to; at++) hash = Math.imul(hash ^ (this.#bytes[at] ?? 0), SPREAD) ^ (hash >>> 15);
    } else {
      double[0] = this.#value;
      hash = Math.imul(halves[0] ?? 0, SPREAD) ^ (halves[1] ?? 0);
    }
    hash = Math.imul(hash ^ (hash >>> 16), SPREAD);
    return hash ^ (hash >>> 13);
  }

  equals(other: Id): boolean {
    if ((this.#kind === "text") !== (other.#kind === "text")) return false;
    if (this.#kind === "number" || other.#kind === "number") return this.#value === other.#value;
    const length = this.#to - this.#from;
    if (other.#to - other.#from !== length) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[this.#from + i] !== other.#bytes[other.#from + i]) return false;
    return true;
  }
}

/** How the ids of an answer go together with those that were asked for. */
export interface Comparison {
  /** Different ids that were asked for. */
  readonly asked: number;
  /** Those of them that are answered. */
  readonly met: number;
  /** Answered without having been asked for. */
  readonly foreign: number;
  /** Things answered that bear no id, or none that can be read. */
  readonly nameless: number;
}

/** Compares ids by their bytes. One comparison at a time: what it works on is kept for the next. */
export class IdComparer {
  readonly #id = new Id();
  readonly #other = new Id();
  /** For each place of the table, the number of the id asked for, from 1; 0 for none. */
  #table = new Int32Array(LEAST_ROOM * 2);
  #mask = 0;
  #starts = new Int32Array(LEAST_ROOM);
  #hashes = new Int32Array(LEAST_ROOM);
  #met = new Uint8Array(LEAST_ROOM);
  #asked = 0;

  /**
   * Undefined where that cannot be told: too many ids, or asked things without a plain id of their own. `things` are how many things the
   * request asks about, and `answered` how many the answer is about.
   */
  compare(
    request: Uint8Array,
    ids: { readonly finds: Finds; readonly slot: number; readonly things: number },
    answer: Uint8Array,
    answers: { readonly finds: Finds; readonly slot: number; readonly things: number },
  ): Comparison | undefined {
    const asked = ids.finds.count(ids.slot);
    const answered = answers.finds.count(answers.slot);
    if (asked === 0 || asked !== ids.things || asked > MOST_IDS || answered > MOST_IDS) return undefined;
    this.#clear(asked);
    for (let i = 0; i < asked; i++) {
      const at = ids.finds.start(ids.slot, i);
      if (!this.#id.moveTo(request, at)) return undefined;
      const { hash } = this.#id;
      const place = this.#placeOf(hash, request);
      if (place < 0) return undefined;
      if (this.#table[place] !== 0) continue;
      this.#starts[this.#asked] = at;
      this.#hashes[this.#asked] = hash;
      this.#asked++;
      this.#table[place] = this.#asked;
    }
    let met = 0;
    let foreign = 0;
    let nameless = Math.max(0, answers.things - answered);
    for (let i = 0; i < answered; i++) {
      if (!this.#id.moveTo(answer, answers.finds.start(answers.slot, i))) {
        nameless++;
        continue;
      }
      const place = this.#placeOf(this.#id.hash, request);
      if (place < 0) return undefined;
      const number = (this.#table[place] ?? 0) - 1;
      if (number < 0) foreign++;
      else if (this.#met[number] === 0) {
        this.#met[number] = 1;
        met++;
      }
    }
    return { asked: this.#asked, met, foreign, nameless };
  }

  #clear(count: number): void {
    let room = LEAST_ROOM;
    while (room < count) room *= 2;
    if (room > this.#starts.length) {
      this.#table = new Int32Array(room * 2);
      this.#starts = new Int32Array(room);
      this.#hashes = new Int32Array(room);
      this.#met = new Uint8Array(room);
    }
    this.#mask = room * 2 - 1;
    this.#table.fill(0, 0, room * 2);
    this.#met.fill(0, 0, room);
    this.#asked = 0;
  }

  /** Where {@link #id} stands in the table, or is to stand; -1 if it is not to be found in time. */
  #placeOf(hash: number, request: Uint8Array): number {
    const mask = this.#mask;
    for (let probe = 0; probe < MOST_PROBES; probe++) {
      const place = (hash + probe) & mask;
      const number = (this.#table[place] ?? 0) - 1;
      if (number < 0) return place;
      if (this.#hashes[number] !== hash) continue;
      this.#other.moveTo(request, this.#starts[number] ?? 0);
      if (this.#id.equals(this.#other)) return place;
    }
    return -1;
  }
}

import type { AssignedArm } from "../core/words.ts";
import {
  type ArmPlace,
  armKey,
  ATTEMPT_ENDS,
  type AttemptEnd,
  GROUP,
  keyCount,
  othersKey,
  ROW,
  rowsOffset,
  SLOTS_AT,
} from "./arm-layout.ts";
import { slotOf } from "./latency-layout.ts";

/**
 * The counting side of {@link ArmPlace}; at most one may be alive for a buffer. Whatever is counted falls into exactly one of several
 * counters, never into a total besides, so that a reader never sees parts that do not add up. A group's sum is written before its slot:
 * a reader that comes between the two looks again.
 */
export class ArmWriter {
  readonly #place: ArmPlace;
  readonly #used: Int32Array;
  readonly #keys: Int32Array;
  readonly #rows: Uint32Array;
  readonly #doubles: Float64Array;
  /** Split routes by the number of the route; -1 for others. */
  readonly #splits: Int32Array;
  /** Where the row of a key begins, in numbers of 32 bits; -1 while it has none. */
  readonly #starts: Int32Array;

  constructor(buffer: SharedArrayBuffer, place: ArmPlace, routes: number) {
    this.#place = place;
    this.#used = new Int32Array(buffer, place.offset, 1);
    this.#keys = new Int32Array(buffer, place.offset + 4, place.rows + 2);
    this.#rows = new Uint32Array(buffer, rowsOffset(place), (place.rows + 2) * ROW.length);
    this.#doubles = new Float64Array(buffer, rowsOffset(place), ((place.rows + 2) * ROW.length) / 2);
    this.#splits = new Int32Array(routes).fill(-1);
    for (const [split, route] of place.routes.entries()) this.#splits[route] = split;
    this.#starts = new Int32Array(keyCount(place)).fill(-1);
    const used = Atomics.load(this.#used, 0);
    for (let row = 0; row < used; row++) {
      const start = row * ROW.length;
      this.#starts[this.#keys[row] ?? 0] = start;
      // A writer that was ended in the middle of the three left it odd.
      const turn = this.#rows[start + ROW.qualityTurn] ?? 0;
      if (turn % 2 === 1) Atomics.store(this.#rows, start + ROW.qualityTurn, turn + 1);
    }
  }

  /** False: there is no such route or segment, so nothing was counted. */
  request(route: number, arm: AssignedArm, segment: number, failed: boolean, byOther: boolean, ms: number): boolean {
    const start = this.#start(route, arm, segment);
    if (start < 0) return false;
    this.#add(start + ROW.requestEnds + (failed ? 2 : 0) + (byOther ? 1 : 0));
    this.#duration(start + ROW.waits, ms);
    return true;
  }

  attempt(route: number, arm: AssignedArm, segment: number, end: AttemptEnd, ms: number): boolean {
    const start = this.#start(route, arm, segment);
    if (start < 0) return false;
    this.#add(start + ROW.attemptEnds + ATTEMPT_ENDS.indexOf(end));
    if (end !== "unreachable") this.#duration(start + ROW.latencies, ms);
    return true;
  }

  quality(route: number, arm: AssignedArm, segment: number, ratio: number): boolean {
    const start = this.#start(route, arm, segment);
    if (start < 0 || !(ratio >= 0 && ratio <= 1)) return false;
    const turn = (this.#rows[start + ROW.qualityTurn] ?? 0) + 1;
    const at = (start + ROW.quality) / 2;
    const doubles = this.#doubles;
    Atomics.store(this.#rows, start + ROW.qualityTurn, turn);
    doubles[at] = (doubles[at] ?? 0) + 1;
    doubles[at + 1] = (doubles[at + 1] ?? 0) + ratio;
    doubles[at + 2] = (doubles[at + 2] ?? 0) + ratio * ratio;
    Atomics.store(this.#rows, start + ROW.qualityTurn, turn + 1);
    return true;
  }

  #add(at: number): void {
    this.#rows[at] = (this.#rows[at] ?? 0) + 1;
  }

  #duration(at: number, ms: number): void {
    const slot = slotOf(ms);
    this.#add(at + ((slot / GROUP) | 0));
    this.#add(at + SLOTS_AT + slot);
  }

  #start(route: number, arm: AssignedArm, segment: number): number {
    const split = this.#splits[route] ?? -1;
    if (split < 0 || segment < -1 || segment + 1 >= this.#place.segments) return -1;
    const side = arm === "stable" ? 0 : 1;
    const key = armKey(this.#place, split, side, segment + 1);
    const start = this.#starts[key] ?? -1;
    return start >= 0 ? start : this.#open(key, side);
  }

  #open(key: number, side: number): number {
    const used = Atomics.load(this.#used, 0);
    const others = othersKey(this.#place, side);
    // The last two rows are kept for the others of either arm.
    const others0 = othersKey(this.#place, 0);
    const own = this.#keys.subarray(0, used).filter((each) => each < others0).length;
    const taken = own < this.#place.rows ? key : others;
    let start = this.#starts[taken] ?? -1;
    if (start < 0) {
      start = used * ROW.length;
      this.#keys[used] = taken;
      Atomics.store(this.#used, 0, used + 1);
      this.#starts[taken] = start;
    }
    this.#starts[key] = start;
    return start;
  }
}

import { LATENCY_SLOTS, slotOf, upperEdgeMs } from "../telemetry/latency-layout.ts";
import type { Latencies } from "./figures.ts";

/** Slot and count by turns, slots rising, no count zero. */
export type SlotCounts = Uint16Array | Uint32Array | Float64Array;

/** Room for so many numbers, as narrow as the highest count allows: sketches are kept by the hundred thousand. */
export function slotCounts(length: number, most: number): SlotCounts {
  if (most <= 0xffff) return new Uint16Array(length);
  return most <= 0xffff_ffff ? new Uint32Array(length) : new Float64Array(length);
}

/**
 * Durations as counts of the slots that hold any. Merging adds the counts, so it does not matter who merges what first. Its quantiles are
 * upper edges of slots: never less than the true one, and more by 0.1 ms at most up to 204.8 ms, by 0.1 % at most above.
 */
export class Sketch implements Latencies {
  readonly slots: SlotCounts;
  readonly count: number;

  constructor(slots: SlotCounts) {
    this.slots = slots;
    let count = 0;
    for (let at = 1; at < slots.length; at += 2) count += slots[at] ?? 0;
    this.count = count;
  }

  /** Where `ms` is no edge, the nearest edge counts. */
  over(ms: number): number {
    const from = firstSlotOver(ms);
    let over = 0;
    for (let at = this.slots.length - 2; at >= 0 && (this.slots[at] ?? 0) >= from; at -= 2) over += this.slots[at + 1] ?? 0;
    return over;
  }

  quantile(q: number): number {
    if (this.count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(q * this.count - ROUNDING));
    let below = 0;
    for (let at = 0; at < this.slots.length; at += 2) {
      below += this.slots[at + 1] ?? 0;
      if (below >= rank) return upperEdgeMs(this.slots[at] ?? 0);
    }
    return upperEdgeMs(this.slots.at(-2) ?? 0);
  }

  /** From the middles of the slots. */
  mean(): number {
    let sum = 0;
    for (let at = 0; at < this.slots.length; at += 2) {
      const slot = this.slots[at] ?? 0;
      sum += (this.slots[at + 1] ?? 0) * (upperEdgeMs(slot) + (slot === 0 ? 0 : upperEdgeMs(slot - 1)));
    }
    return sum / 2 / this.count;
  }
}

/** 0.95 of 20 is the 19th, though 0.95 * 20 may come out as a little more than 19. */
const ROUNDING = 1e-9;

export const NO_LATENCIES = new Sketch(new Uint32Array(0));

function firstSlotOver(ms: number): number {
  if (!(ms > 0)) return 0;
  const slot = slotOf(ms);
  const lower = slot === 0 ? 0 : upperEdgeMs(slot - 1);
  return ms - lower < upperEdgeMs(slot) - ms ? slot : slot + 1;
}

/** Where sketches are added up; all zeros between two uses. */
const sums = new Float64Array(LATENCY_SLOTS);

export function mergeSketches(sketches: readonly Sketch[]): Sketch {
  const [first, ...others] = sketches.filter(({ count }) => count > 0);
  if (first === undefined) return NO_LATENCIES;
  if (others.length === 0) return first;
  let used = 0;
  let low = LATENCY_SLOTS;
  let high = -1;
  let most = 0;
  for (const { slots } of [first, ...others]) {
    low = Math.min(low, slots[0] ?? 0);
    high = Math.max(high, slots.at(-2) ?? 0);
    for (let at = 0; at < slots.length; at += 2) {
      const slot = slots[at] ?? 0;
      const before = sums[slot] ?? 0;
      const after = before + (slots[at + 1] ?? 0);
      if (before === 0) used++;
      if (after > most) most = after;
      sums[slot] = after;
    }
  }
  const merged = slotCounts(2 * used, most);
  for (let slot = low, at = 0; slot <= high; slot++) {
    const count = sums[slot] ?? 0;
    if (count === 0) continue;
    merged[at++] = slot;
    merged[at++] = count;
  }
  sums.fill(0, low, high + 1);
  return new Sketch(merged);
}

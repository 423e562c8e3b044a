import type { Tick } from "./tick.ts";
import type { TimeSpan } from "./windows-stretch.ts";

export interface ClockOff {
  readonly instance: string;
  /** Its clock less the store's; positive where it is ahead. */
  readonly offMs: number;
}

interface Heard {
  /** Of its last tick: number, end by its own clock, end by the store's. */
  readonly seq: number;
  readonly to: number;
  readonly placedTo: number;
  /** When the store had it; epoch milliseconds of the store. */
  readonly at: number;
  /** How much later the store had its last ticks than they ended by its own clock. */
  readonly lags: readonly number[];
  /** What is added to its instants. */
  readonly shift: number;
}

/** Clocks that differ by no more are taken to agree. */
const OFF_MS = 2_000;
/** A clock is judged by so many of its last ticks. */
const LAGS = 10;
/** One that came late may have waited for the store; so many in a row are of a clock that is behind. */
const LATE_IN_A_ROW = 3;
/** Whoever was heard of within that time is there. */
const PRESENT_MS = 60_000;

/**
 * What is known of each instance by what it published. Instants are the store's: a tick whose instance has another time is shifted by the
 * difference, which is how much later the store had the promptest of its last ticks than it ended. Nothing takes less than no time, so a tick
 * that ends after the store had it is of a clock that is ahead.
 */
export class Instances {
  readonly #heard = new Map<string, Heard>();

  /** Where a tick belongs that the store had at an instant (undefined: not known); undefined: it has been taken already. */
  place(instance: string, { seq, from, to }: Tick, at = to): TimeSpan | undefined {
    const before = this.#heard.get(instance);
    if (before?.seq === seq) {
      this.#heard.set(instance, { ...before, at: Math.max(before.at, at) });
      return undefined;
    }
    // Numbers begin with the clock: lower ones are of another run whose clock was set back meanwhile.
    const isSame = before !== undefined && seq > before.seq && to >= before.to;
    const lags = [...(isSame ? before.lags : []), at - to].slice(-LAGS);
    const least = Math.min(...lags);
    const isOff = least < -OFF_MS || (least > OFF_MS && lags.length >= LATE_IN_A_ROW);
    const shift = isOff ? least : 0;
    const placedTo = to + shift;
    // A clock that was set forward within the tick has made it longer than it was.
    const isStretched = isSame && seq === before.seq + 1 && shift < before.shift - OFF_MS;
    const placedFrom = isStretched ? Math.min(placedTo, Math.max(from + shift, before.placedTo)) : from + shift;
    this.#heard.set(instance, { seq, to, placedTo, at, lags, shift });
    return [placedFrom, placedTo];
  }

  off(now: number): readonly ClockOff[] {
    return [...this.#heard]
      .filter(([, { shift, at }]) => shift !== 0 && at >= now - PRESENT_MS)
      .map(([instance, { shift }]) => ({ instance, offMs: -shift }))
      .sort((one, other) => (one.instance < other.instance ? -1 : 1));
  }

  /** Of these instances those that were not heard of since. */
  silent(known: readonly string[], since: number): readonly string[] {
    return known.filter((instance) => (this.#heard.get(instance)?.at ?? -Infinity) < since);
  }

  forget(before: number): void {
    for (const [instance, { at }] of this.#heard) if (at < before) this.#heard.delete(instance);
  }
}

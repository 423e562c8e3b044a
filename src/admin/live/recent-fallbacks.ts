import { FALLBACK_REASONS } from "../../core/words.ts";

type Counts = Readonly<Record<string, number>>;

const WINDOW_MS = 60_000;

/** How often which reason occurred in the last minute, out of counts that only rise. */
export class RecentFallbacks {
  /** In order of time. The first may be older than the window: it is where that begins. */
  #samples: { readonly at: number; readonly counts: Counts }[] = [];

  /** Counts since the start, as of `at` (steady clock, milliseconds). */
  take(at: number, counts: Counts): void {
    this.#samples.push({ at, counts });
    while ((this.#samples[1]?.at ?? Infinity) <= at - WINDOW_MS) this.#samples.shift();
  }

  /** Of the last minute, or of the time since the first sample where that is shorter. Reasons that did not occur are 0. */
  get lastMinute(): Counts {
    const before = this.#samples[0]?.counts ?? {};
    const now = this.#samples.at(-1)?.counts ?? {};
    return Object.fromEntries(FALLBACK_REASONS.map((reason) => [reason, (now[reason] ?? 0) - (before[reason] ?? 0)]));
  }
}

export interface LiveQuantileOptions {
  /** Recent is what came in this stretch of time and the one before it. 5,000 unless given. */
  readonly stretchMs?: number;
}

/** Latencies below the first edge count as it, those above the last as that. */
const LOWEST_MS = 0.1;
const HIGHEST_MS = 100_000;
/** The ratio of a bucket's edges. What is said of a bucket is its geometric middle, so at most 4 % beside the truth. */
const RATIO = 1.08;
const PER_LOG = 1 / Math.log(RATIO);
const BUCKETS = Math.ceil(Math.log(HIGHEST_MS / LOWEST_MS) * PER_LOG);
const FEWEST = 20;
const CACHE_MS = 100;

/**
 * A quantile of recent latencies, for one worker alone. Two histograms with logarithmic buckets take turns: one is filled,
 * the other holds the stretch of time before. Observing allocates nothing.
 */
export class LiveQuantile {
  readonly #stretchMs: number;
  #filling = new Uint32Array(BUCKETS);
  #before = new Uint32Array(BUCKETS);
  #filled = 0;
  #filledBefore = 0;
  #until = -Infinity;
  // The last answer, as long as it holds.
  #share = -1;
  #answer: number | undefined;
  #answeredAt = -Infinity;

  constructor({ stretchMs = 5000 }: LiveQuantileOptions = {}) {
    this.#stretchMs = stretchMs;
  }

  /** What is no latency (negative, not finite) is left out. */
  observe(ms: number, now: number): void {
    if (!(ms >= 0 && ms < Infinity)) return;
    if (now >= this.#until) this.#turn(now);
    const bucket = ms <= LOWEST_MS ? 0 : Math.min(BUCKETS - 1, (Math.log(ms / LOWEST_MS) * PER_LOG) | 0);
    this.#filling[bucket] = (this.#filling[bucket] ?? 0) + 1;
    this.#filled++;
  }

  /**
   * The latency, in milliseconds, that this share (0..1) of the recent ones did not pass, within 4 % from 0.1 ms to 100 s.
   * Undefined while there are fewer than 20. Computed at most every 100 ms.
   */
  quantile(share: number, now: number): number | undefined {
    if (share === this.#share && now - this.#answeredAt < CACHE_MS) return this.#answer;
    if (now >= this.#until) this.#turn(now);
    this.#share = share;
    this.#answeredAt = now;
    this.#answer = this.#compute(share);
    return this.#answer;
  }

  #compute(share: number): number | undefined {
    const total = this.#filled + this.#filledBefore;
    if (total < FEWEST) return undefined;
    let left = Math.max(1, Math.ceil(share * total));
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= (this.#filling[bucket] ?? 0) + (this.#before[bucket] ?? 0);
      if (left <= 0) return LOWEST_MS * RATIO ** (bucket + 0.5);
    }
    return HIGHEST_MS;
  }

  #turn(now: number): void {
    const isNext = now < this.#until + this.#stretchMs;
    const emptied = this.#before;
    this.#before = this.#filling;
    this.#filledBefore = this.#filled;
    this.#filling = emptied.fill(0);
    this.#filled = 0;
    if (!isNext) {
      this.#before.fill(0);
      this.#filledBefore = 0;
    }
    this.#until = (Math.floor(now / this.#stretchMs) + 1) * this.#stretchMs;
  }
}

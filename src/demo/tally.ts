/** What one request of the demo's traffic came to, as its answer's headers say. */
export interface Seen {
  /** Milliseconds on the clock of the tally. */
  readonly at: number;
  readonly segment: string;
  readonly ms: number;
  /** 0 where there was no answer. */
  readonly status: number;
  readonly arm: string | undefined;
  readonly servedBy: string | undefined;
  readonly fallback: string | undefined;
  readonly reason: string | undefined;
}

/** The last while of traffic, added up. */
export interface Recent {
  /** How long the while is by now, at most the window. */
  readonly seconds: number;
  readonly requests: number;
  /** Not answered, or answered with a 5xx. */
  readonly failed: number;
  readonly byArm: Readonly<Record<string, number>>;
  readonly byServed: Readonly<Record<string, number>>;
  readonly byReason: Readonly<Record<string, number>>;
  readonly fallbacks: Readonly<Record<string, number>>;
  readonly bySegment: readonly { readonly segment: string; readonly stable: number; readonly candidate: number }[];
  /** What clients waited, in milliseconds; NaN without requests. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Remembers what was seen for `windowMs`, and no longer. */
export class Tally {
  readonly #windowMs: number;
  readonly #began: number;
  #seen: Seen[] = [];

  constructor(windowMs: number, now: number) {
    this.#windowMs = windowMs;
    this.#began = now;
  }

  add(seen: Seen): void {
    this.#seen.push(seen);
  }

  recent(now: number): Recent {
    this.#seen = this.#seen.filter((seen) => seen.at > now - this.#windowMs);
    const answered = this.#seen.filter((seen) => seen.status !== 0);
    const durations = Float64Array.from(answered, (seen) => seen.ms).sort();
    const at = (share: number): number => durations[Math.ceil(durations.length * share) - 1] ?? Number.NaN;
    const segments = [...new Set(this.#seen.map((seen) => seen.segment))].toSorted();
    return {
      seconds: Math.min(this.#windowMs, now - this.#began) / 1000,
      requests: this.#seen.length,
      failed: this.#seen.filter((seen) => seen.status === 0 || seen.status >= 500).length,
      byArm: countsOf(answered, (seen) => seen.arm),
      byServed: countsOf(answered, (seen) => seen.servedBy),
      byReason: countsOf(answered, (seen) => seen.reason),
      fallbacks: countsOf(answered, (seen) => seen.fallback),
      bySegment: segments.map((segment) => {
        const arms = countsOf(
          this.#seen.filter((seen) => seen.segment === segment),
          (seen) => seen.arm,
        );
        return { segment, stable: arms["stable"] ?? 0, candidate: arms["candidate"] ?? 0 };
      }),
      p50: at(0.5),
      p95: at(0.95),
      p99: at(0.99),
    };
  }
}

function countsOf(seen: readonly Seen[], key: (seen: Seen) => string | undefined): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const one of seen) {
    const name = key(one);
    if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

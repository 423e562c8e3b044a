/**
 * Figures of the two arms over some time, wherever they come from: the workers of this fleet or Prometheus. What was served and what was
 * measured are two series: a request that fell back counts for the arm that the split assigned, an attempt for the arm that it was sent to.
 */

/** Durations, mergeable. Milliseconds. */
export interface Latencies {
  readonly count: number;
  /** How many took longer than `ms`; exact where an edge stands on `ms`, as one does on every threshold. */
  over(ms: number): number;
  /** The duration below which a share of `q` (0..1) lies; NaN without data. */
  quantile(q: number): number;
  /** NaN without data. */
  mean(): number;
}

/** Sums of a figure from which mean and variance follow. */
export interface Moments {
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
}

export interface ArmFigures {
  /** Requests that the split assigned here, as their clients saw them; without those whose client left (499). */
  readonly requests: number;
  /** Of these, answered with a 5xx or not at all. */
  readonly failed: number;
  /** Of these, answered by the other arm. */
  readonly fellBack: number;
  /** How long the clients of these requests waited. */
  readonly waits: Latencies;
  /** Attempts sent to this arm, whoever they were for, without those that say nothing of it (its client left, nobody was reached through our own fault). */
  readonly attempts: number;
  /** Of these, without a good answer: no answer, 5xx, or a failure sign. */
  readonly errors: number;
  /** Of these, without any answer or with a 5xx. */
  readonly unavailable: number;
  /** What these truly took, those that lost the race too. */
  readonly latencies: Latencies;
  /** What answers of this arm said of their own quality, 0..1. */
  readonly quality: Moments;
}

/** One route and segment ("none" for users in no segment). */
export interface Cell {
  readonly route: string;
  readonly segment: string;
  readonly stable: ArmFigures;
  readonly candidate: ArmFigures;
}

export interface FiguresTable {
  /** Epoch milliseconds, half-open. What was asked for. */
  readonly from: number;
  readonly to: number;
  /** Of this span, how many milliseconds are covered by figures of at least one instance. */
  readonly coveredMs: number;
  /** Instances that contributed. */
  readonly instances: readonly string[];
  readonly cells: readonly Cell[];
}

/** Where the control side reads figures. It does not know which kind it has. */
export interface FiguresSource {
  /** Fetches what is new. Resolves with the instant up to which figures are there (epoch ms; undefined: none yet). Rejects when they cannot be had. */
  refresh(now: number): Promise<number | undefined>;
  /** Figures of a span, as of the last refresh. */
  between(from: number, to: number): Promise<FiguresTable>;
}

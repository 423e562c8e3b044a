import type { AssignedArm } from "../core/words.ts";

/** What people made of the answers. Each is a ratio of two sums over users: `y` over `n`. */
export const BUSINESS_METRICS = ["accuracy", "satisfaction", "conversion", "revenue"] as const;
/**
 * accuracy: matches confirmed over matches judged · satisfaction: sum of ratings (0..1) over ratings ·
 * conversion: conversions over matches judged · revenue: amount over matches judged (revenue per match).
 */
export type BusinessMetric = (typeof BUSINESS_METRICS)[number];

/**
 * Sums over users (the unit that the split assigns, so what one user says is one observation): number of users, their y and n, and the
 * sums of squares and products of these per-user totals. In sliding windows every event stands for a user of its own.
 */
export interface Clustered {
  readonly users: number;
  readonly y: number;
  readonly n: number;
  readonly yy: number;
  readonly nn: number;
  readonly yn: number;
}

export const NO_CLUSTERS: Clustered = { users: 0, y: 0, n: 0, yy: 0, nn: 0, yn: 0 };

export interface BusinessCell {
  readonly arm: AssignedArm;
  /** "none" for users in no segment. */
  readonly segment: string;
  readonly metric: BusinessMetric;
  readonly sums: Clustered;
}

/** What other systems report of themselves. */
export const SIGNAL_KINDS = ["data_integrity", "sync_lag", "sessions_lost", "security"] as const;
/** data_integrity: ratio 0..1 · sync_lag: seconds · sessions_lost: how many since the last report · security: an incident, value 0 for P0, 1 for P1 ... 3 for P3. */
export type SignalKind = (typeof SIGNAL_KINDS)[number];

export interface Signal {
  readonly kind: SignalKind;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly value: number;
  /** When it was counted here, by the store's clock; epoch milliseconds. Undefined: not known, then it is as if it had come at once. */
  readonly arrivedAt?: number;
  /** In the words of who sent it; may be empty. */
  readonly note: string;
}

export interface BusinessFigures {
  readonly from: number;
  readonly to: number;
  readonly cells: readonly BusinessCell[];
  /** In order of time. */
  readonly signals: readonly Signal[];
}

/** Where the control side reads business figures. */
export interface BusinessSource {
  refresh(now: number): Promise<void>;
  /** Sliding: by the time of the events, event by event. Steps of a minute at the far end. */
  between(from: number, to: number): BusinessFigures;
  /** Signals of one kind, by their own time, `to` left out, in order of time. Without it those of {@link between} are taken. */
  signalsOf?(kind: SignalKind, from: number, to: number): readonly Signal[];
  /** Growing: everything that is attributed to these steps of the rollout, user by user. A stratum a step, for shares differ between steps. */
  steps(): readonly { readonly step: number; readonly assigned: readonly BusinessCell[]; readonly served: readonly BusinessCell[] }[];
  /**
   * The same by assignment over all steps (from 0 on) together, user by user: one total for a user who was there at several. Says how much users
   * who come back repeat themselves; without it they are taken to repeat themselves wholly.
   */
  overall?(): readonly BusinessCell[];
}

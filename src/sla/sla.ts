/** What was promised, and what was kept. Shares are 0..1, instants epoch milliseconds; NaN (null in JSON) where nothing is known. */

export const PROMISES = ["availability", "response_time", "errors", "accuracy"] as const;
export type SlaPromise = (typeof PROMISES)[number];

export const SLA_STATES = ["met", "warning", "breached", "no-data"] as const;
export type SlaState = (typeof SLA_STATES)[number];

/** One promise, for one version (or all) and one segment (or all). */
export interface SlaRow {
  readonly promise: SlaPromise;
  /** Upstream that answered: v1, v2, ...; "all". */
  readonly version: string;
  /** "all", "none" for users in no segment, or a segment. */
  readonly segment: string;
  /** availability: share answered without 5xx. response_time: share answered within `limitMs`. errors: share with a 5xx or none. accuracy: share of judged matches that users confirmed. */
  readonly value: number;
  readonly target: number;
  /** Whether the value must stay above or below the target. */
  readonly direction: "at-least" | "at-most";
  readonly limitMs: number | undefined;
  /** Of the durations, milliseconds; of response_time only. */
  readonly p95: number | undefined;
  readonly windowMs: number;
  /** How much of the window is covered by figures. */
  readonly coveredMs: number;
  readonly sample: number;
  /** What of the error budget is left: 1 all of it, 0 none, negative when overdrawn. */
  readonly budgetLeft: number;
  readonly state: SlaState;
  /** Since when it is so. */
  readonly since: number;
  /** Of a breached promise whose value is back where it must be: since when. It counts as recovered when that has lasted. */
  readonly keptAgainSince?: number;
}

/** As `GET /api/sla` and the live view show it. */
export interface SlaView {
  readonly flag: string;
  readonly at: number;
  readonly rows: readonly SlaRow[];
}

/** A time in which a promise was not kept. */
export interface SlaBreach {
  readonly promise: SlaPromise;
  readonly version: string;
  readonly segment: string;
  readonly from: number;
  /** When it counted as recovered; undefined: it has not. */
  readonly to: number | undefined;
  /** The value farthest from the target. */
  readonly worst: number;
}

/** As `GET /api/sla/report` gives it, and what the files that people keep are made of. */
export interface SlaReport extends SlaView {
  /** Share of the error budget that may be spent before it is a warning, 0..1. */
  readonly warnAt: number;
  readonly recoveredAfterMs: number;
  /** The last ones, newest first. */
  readonly breaches: readonly SlaBreach[];
  /** The first hour of which there are figures; undefined: there are none. */
  readonly countedFrom: number | undefined;
}

/** What is known of the promises at any time, without asking anybody. @throws RangeError where there is no such flag. */
export interface SlaOperations {
  /** As of the last look, some seconds ago; without rows before the first. */
  view(flag: string): SlaView;
  report(flag: string): SlaReport;
}

import { BUSINESS_METRICS, SIGNAL_KINDS } from "./business.ts";

/**
 * What a trigger or a gate looks at. errors, availability, p50, p95, p99: true figures of the candidate's attempts · fallbacks: share of the
 * requests assigned to the candidate that the stable arm answered · quality: mean of what answers say of themselves · requests: how many were
 * assigned to the candidate · the business metrics · the signals.
 */
export const METRICS = [
  "errors",
  "availability",
  "p50",
  "p95",
  "p99",
  "fallbacks",
  "quality",
  "requests",
  ...BUSINESS_METRICS,
  ...SIGNAL_KINDS,
] as const;
export type Metric = (typeof METRICS)[number];

/** Which stretch of time. `step` and `start` grow while one looks at them, so they are judged by bounds that are valid at every look. */
export type Window =
  | { readonly kind: "last"; readonly ms: number }
  /** Since the present step began. */
  | { readonly kind: "step" }
  /** Since the rollout began. */
  | { readonly kind: "start" };

/**
 * The limit within which all is well. The value is the candidate's own (`of: "candidate"`), its quotient by the stable arm's in the same
 * time (`ratio`: 1.10 is ten per cent more), or its difference from it (`difference`). Shares are 0..1, durations milliseconds, `sync_lag` seconds.
 */
export interface Check {
  readonly name: string;
  readonly metric: Metric;
  readonly of: "candidate" | "ratio" | "difference";
  readonly limit: { readonly kind: "at-most" | "at-least"; readonly value: number };
  readonly window: Window;
  /** Triggers only: how long it must have lasted; 0: one look is enough. */
  readonly forMs: number;
  /** Observations of the candidate (and of the stable arm, where it is compared with) below which there is no verdict. At least 1. */
  readonly minSample: number;
  /** How often at most a verdict may be wrong, 0..1, on each side. */
  readonly risk: number;
  /** Judged for each route or segment by itself, or over all of them. */
  readonly each: "all" | "route" | "segment";
  readonly route: string | undefined;
  readonly segment: string | undefined;
  /** Triggers only: whether no-data and inconclusive hold the rollout. False where silence is normal (security, sessions_lost). */
  readonly required: boolean;
}

export const VERDICTS = ["pass", "fail", "inconclusive", "no-data"] as const;
/** pass: surely within the limit · fail: surely beyond it · inconclusive: enough data, not sure · no-data: not enough. */
export type VerdictWord = (typeof VERDICTS)[number];

export interface Verdict {
  readonly verdict: VerdictWord;
  /** Estimate, in the unit of the limit; undefined without data. */
  readonly value: number | undefined;
  /** Bounds of the value at the check's risk on each side; undefined where unknown. */
  readonly low: number | undefined;
  readonly high: number | undefined;
  /** Observations of the candidate. */
  readonly sample: number;
  /** One sentence for people, with figures and units. */
  readonly why: string;
}

/** A check with its verdict; `scope` names the route or segment where the check is made for each. */
export interface Judged {
  readonly check: Check;
  readonly scope: string | undefined;
  readonly verdict: Verdict;
}

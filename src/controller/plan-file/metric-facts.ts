import type { Check, Metric, Window } from "../../analysis/check.ts";

/** What is true of a metric wherever a plan names it: its unit, which way is good, and what a check of it defaults to. */
export interface MetricFacts {
  /** share: 0..1, written in % · ms and seconds: written as durations · count: whole · amount: a plain number. */
  readonly unit: "share" | "ms" | "seconds" | "count" | "amount";
  readonly better: "lower" | "higher";
  /** Which `of` make sense. */
  readonly of: readonly Check["of"][];
  readonly byRoute: boolean;
  readonly bySegment: boolean;
  readonly family: "traffic" | "people" | "signal";
  readonly minSample: { readonly gate: number; readonly trigger: number };
  /** Of triggers. */
  readonly required: boolean;
  /** What an observation is, in the plural. */
  readonly observations: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const ALL = ["candidate", "ratio", "difference"] as const;
const ALONE = ["candidate"] as const;

const TRAFFIC = { family: "traffic", byRoute: true, bySegment: true, required: true, of: ALL, observations: "attempts" } as const;
const PEOPLE = {
  family: "people",
  byRoute: false,
  bySegment: true,
  required: true,
  of: ALL,
  better: "higher",
  minSample: { gate: 100, trigger: 50 },
  observations: "users with feedback",
} as const;
const SIGNAL = {
  family: "signal",
  byRoute: false,
  bySegment: false,
  of: ALONE,
  minSample: { gate: 1, trigger: 1 },
  observations: "reports",
} as const;

export const METRIC_FACTS: Readonly<Record<Metric, MetricFacts>> = {
  errors: { ...TRAFFIC, unit: "share", better: "lower", minSample: { gate: 100, trigger: 20 } },
  availability: { ...TRAFFIC, unit: "share", better: "higher", minSample: { gate: 100, trigger: 20 } },
  p50: { ...TRAFFIC, unit: "ms", better: "lower", minSample: { gate: 50, trigger: 20 } },
  p95: { ...TRAFFIC, unit: "ms", better: "lower", minSample: { gate: 100, trigger: 50 } },
  p99: { ...TRAFFIC, unit: "ms", better: "lower", minSample: { gate: 500, trigger: 200 } },
  fallbacks: {
    ...TRAFFIC,
    unit: "share",
    better: "lower",
    of: ALONE,
    minSample: { gate: 100, trigger: 20 },
    observations: "requests",
  },
  quality: {
    ...TRAFFIC,
    unit: "share",
    better: "higher",
    minSample: { gate: 50, trigger: 20 },
    observations: "answers with a quality figure",
  },
  requests: { ...TRAFFIC, unit: "count", better: "higher", of: ALONE, minSample: { gate: 1, trigger: 1 }, observations: "requests" },
  accuracy: { ...PEOPLE, unit: "share" },
  satisfaction: { ...PEOPLE, unit: "share" },
  conversion: { ...PEOPLE, unit: "share" },
  revenue: { ...PEOPLE, unit: "amount" },
  data_integrity: { ...SIGNAL, unit: "share", better: "higher", required: true },
  sync_lag: { ...SIGNAL, unit: "seconds", better: "lower", required: true },
  sessions_lost: { ...SIGNAL, unit: "count", better: "lower", required: false },
  security: { ...SIGNAL, unit: "count", better: "lower", required: false },
};

/** How often a verdict may be wrong, on each side. Triggers are looked at all the time, so each look may err far more seldom. */
export const RISK = { gate: 0.05, trigger: 0.001 } as const;

/** The window of a check that names none. */
export function defaultWindow(kind: "gate" | "trigger", metric: Metric, forMs: number): Window {
  const { family } = METRIC_FACTS[metric];
  // It may be found out hours later, in another step.
  if (metric === "sessions_lost" || metric === "security") return { kind: "last", ms: DAY_MS };
  if (kind === "gate" || family === "people") return { kind: "step" };
  if (metric === "data_integrity") return { kind: "last", ms: Math.max(forMs, 5 * MINUTE_MS) };
  // A trigger that must last is also looked at piece by piece.
  return { kind: "last", ms: forMs === 0 ? MINUTE_MS : Math.min(forMs, MINUTE_MS) };
}

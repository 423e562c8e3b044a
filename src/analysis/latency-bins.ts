import type { Check } from "./check.ts";
import type { Latencies } from "./figures.ts";

/** Steps of 5 ms where answers should be, wider ones above. Milliseconds. */
const LADDER_MS: readonly number[] = [
  ...Array.from({ length: 20 }, (_, index) => 5 * (index + 1)),
  125,
  150,
  175,
  200,
  250,
  300,
  400,
  500,
  750,
  1_000,
  2_000,
  5_000,
  10_000,
];

/** Edges of bins, rising and distinct: a ladder, and every threshold, so that what lies beyond one is a sum of bins. What is no duration above 0 is left out. */
export function binEdges(thresholdsMs: readonly number[]): readonly number[] {
  const own = thresholdsMs.filter((ms) => Number.isFinite(ms) && ms > 0);
  return [...new Set([...LADDER_MS, ...own])].sort((one, other) => one - other);
}

/** Limits of durations of the candidate that these checks have. */
export function thresholdsOf(checks: readonly Check[]): readonly number[] {
  return checks
    .filter(({ metric, of }) => of === "candidate" && (metric === "p50" || metric === "p95" || metric === "p99"))
    .map(({ limit }) => limit.value);
}

/**
 * How many of the durations lie between the edges: the first count is of those up to the first edge, the last of those above the last one. As exact as
 * the durations are known at the edges; together as many as there are.
 */
export function binLatencies(parts: readonly Latencies[], edgesMs: readonly number[]): readonly number[] {
  const over = edgesMs.map((ms) => parts.reduce((sum, part) => sum + part.over(ms), 0));
  const all = parts.reduce((sum, { count }) => sum + count, 0);
  return Array.from({ length: edgesMs.length + 1 }, (_, bin) => (over[bin - 1] ?? all) - (over[bin] ?? 0));
}

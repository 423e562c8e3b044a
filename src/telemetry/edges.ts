import type { Config } from "../config/config.ts";

/** Fine enough around every figure of a plan that a percentile can be read off by interpolation. Milliseconds. */
const LADDER_MS: readonly number[] = [
  1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 100, 125, 150, 175, 200, 250, 300, 400, 500, 750, 1_000, 2_000, 5_000, 10_000,
  30_000, 60_000,
];

const QUALITY_STEPS = 20;

/** Basis points in the whole. */
const WHOLE_BP = 10_000;

/**
 * Upper edges of the duration buckets, in milliseconds, ascending and distinct: the ladder, and every duration that the
 * configuration file compares with. A share "at or below the threshold" is then a count, not an estimate.
 */
export function durationEdges(config: Pick<Config, "routes" | "flags"> & Partial<Pick<Config, "sla">>): Float64Array {
  const thresholds = [
    ...config.flags.map((flag) => flag.settings.fallback.responseTimeMs),
    ...config.routes.map((route) => route.timeoutMs),
    ...(config.sla?.promises ?? []).map(({ withinMs }) => withinMs ?? 0),
  ];
  return ascending([...LADDER_MS, ...thresholds.filter(isSet)]);
}

/** Upper edges of the quality buckets, 0..1, ascending and distinct: steps of 0.05, and every floor in the configuration file. */
export function qualityEdges(config: Pick<Config, "flags">): Float64Array {
  const steps = Array.from({ length: QUALITY_STEPS + 1 }, (_, step) => step / QUALITY_STEPS);
  const floors = config.flags.map((flag) => flag.settings.fallback.accuracyBp / WHOLE_BP);
  return ascending([...steps, ...floors.filter(isSet)]);
}

/** Position of the bucket that holds `value`: the first edge at or above it, or `edges.length` beyond the last. */
export function bucketAt(edges: Float64Array, value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((edges[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A threshold of zero is one that is switched off; it makes no edge. */
function isSet(threshold: number): boolean {
  return threshold > 0 && Number.isFinite(threshold);
}

function ascending(edges: readonly number[]): Float64Array {
  return Float64Array.from(new Set(edges)).sort();
}

import type { BusinessMetric } from "../business.ts";
import type { Check } from "../check.ts";
import { isSignal } from "../evidence.ts";
import type { Latencies } from "../figures.ts";
import { rangeOf } from "../judge-samples.ts";
import { assess, lookAt, wordOf } from "./assess.ts";
import { normalQuantile, normalTail } from "./distributions.ts";
import type { Sample, Stratum } from "./samples.ts";

/** What the truth is taken to be, in the units of the check's metric (shares 0..1, ms). */
export interface Assumed {
  readonly candidate: number;
  /** Needed where the check compares with it. */
  readonly stable: number | undefined;
  /** Share of the candidate, 0..1. */
  readonly share: number;
  /** Standard deviation of the logarithm of durations; default 0.5. */
  readonly logDeviation?: number;
  /** Standard deviation of one observation of quality (0.15), satisfaction (0.25), revenue (1.5 times its mean). */
  readonly deviation?: number;
}

export interface Needed {
  /** Observations of the candidate: attempts, requests, or users (of one event each). Infinity: never. */
  readonly candidate: number;
  /** Of the stable arm in the same time; 0 where it is not compared with. */
  readonly stable: number;
}

const NEVER: Needed = { candidate: Infinity, stable: Infinity };
/** More than anybody will see. */
const MOST = 2 ** 36;

/**
 * How many observations until the check passes, if the truth is `assumed` and the data are just what is to be expected of it: the verdict's
 * own bounds on expected counts. Chance makes it sooner in half of all cases and later in the other half. Durations are taken to be
 * lognormal. Signals take one report.
 */
export function observationsNeeded(check: Check, assumed: Assumed): Needed {
  const { metric, limit } = check;
  const stableOf = (candidate: number): number =>
    check.of === "candidate" ? 0 : Math.ceil((candidate * (1 - assumed.share)) / assumed.share);
  if (isSignal(metric)) return wordOf(limit, exactly(assumed.candidate)) === "pass" ? { candidate: 1, stable: 0 } : NEVER;
  if (metric === "requests") return limit.kind === "at-least" ? { candidate: limit.value, stable: 0 } : { candidate: 0, stable: 0 };
  if (!(assumed.share > 0) || (check.of !== "candidate" && !(assumed.share < 1 && assumed.stable !== undefined))) return NEVER;

  const passes = (candidate: number): boolean => {
    const stable = (candidate * (1 - assumed.share)) / assumed.share;
    const sample = (value: number, count: number): Sample => expected(metric, value, count, assumed);
    const stratum: Stratum = { candidate: sample(assumed.candidate, candidate), stable: sample(assumed.stable ?? 0, stable) };
    return assess({ ...check, minSample: 1 }, [stratum], lookAt(check)).word === "pass";
  };
  const least = Math.max(1, check.minSample, check.of === "candidate" ? 0 : (check.minSample * assumed.share) / (1 - assumed.share));
  let enough = Math.ceil(least);
  let short = 0;
  while (!passes(enough)) {
    short = enough;
    enough *= 2;
    if (enough > MOST) return NEVER;
  }
  while (short > 0 && enough - short > Math.max(1, enough / 1_000)) {
    const middle = Math.ceil((enough + short) / 2);
    if (passes(middle)) enough = middle;
    else short = middle;
  }
  return { candidate: enough, stable: stableOf(enough) };
}

function exactly(value: number): { readonly value: number; readonly low: number; readonly high: number } {
  return { value, low: value, high: value };
}

type Measured = "errors" | "availability" | "fallbacks" | "quality" | "p50" | "p95" | "p99" | BusinessMetric;

const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;

/** What so many observations are expected to be. */
function expected(metric: Measured, value: number, count: number, { deviation, logDeviation = 0.5 }: Assumed): Sample {
  switch (metric) {
    case "errors":
    case "availability":
    case "fallbacks":
      return { kind: "share", share: { hits: value * count, trials: count } };
    case "quality": {
      const squares = value ** 2 + (deviation ?? 0.15) ** 2;
      return { kind: "mean", moments: { count, sum: value * count, squares: Math.min(squares, value) * count } };
    }
    case "p50":
    case "p95":
    case "p99":
      return { kind: "quantile", latencies: lognormal(count, QUANTILES[metric], value, logDeviation), q: QUANTILES[metric] };
    default:
      return { kind: "sums", sums: sumsOf(metric, value, count, deviation), range: rangeOf(metric) };
  }
}

/** Users of one event each. */
function sumsOf(metric: BusinessMetric, value: number, users: number, deviation: number | undefined): (Sample & { kind: "sums" })["sums"] {
  const byDefault = { accuracy: undefined, conversion: undefined, satisfaction: 0.25, revenue: 1.5 * value }[metric];
  const spread = deviation ?? byDefault;
  // Yes or no: its square is itself.
  const yy = spread === undefined ? value : value ** 2 + spread ** 2;
  const most = rangeOf(metric) === "share" ? value : Infinity;
  return { users, y: value * users, n: users, yy: Math.min(yy, most) * users, nn: users, yn: value * users };
}

/** Durations as they are expected, of which a share of `q` is below `value`. */
function lognormal(count: number, q: number, value: number, deviation: number): Latencies {
  const centre = Math.log(value) - deviation * normalQuantile(1 - q);
  return {
    count,
    over: (ms) => (ms <= 0 ? count : count * normalTail((Math.log(ms) - centre) / deviation)),
    quantile: (share) => Math.exp(centre + deviation * normalQuantile(1 - Math.min(Math.max(share, 1e-9), 1 - 1e-9))),
    mean: () => Math.exp(centre + deviation ** 2 / 2),
  };
}

import type { Clustered } from "../business.ts";
import type { Latencies, Moments } from "../figures.ts";
import { compareClustered, type Range, ratioOfSums, sumClustered } from "./clustered.ts";
import type { Estimate, Look } from "./estimate.ts";
import { meanBounds } from "./means.ts";
import { joinLatencies, quantileBounds } from "./quantiles.ts";
import { compareShares, NOTHING_KNOWN, type Share, shareBounds } from "./shares.ts";

/** What was observed of one arm. */
export type Sample =
  | { readonly kind: "share"; readonly share: Share }
  | { readonly kind: "quantile"; readonly latencies: Latencies; readonly q: number }
  | { readonly kind: "mean"; readonly moments: Moments }
  | { readonly kind: "sums"; readonly sums: Clustered; readonly range: Range };

/** Both arms over the same time at the same split. */
export interface Stratum {
  readonly candidate: Sample;
  readonly stable: Sample;
}

/** Observations: trials, values, or users. */
export function sizeOf(sample: Sample): number {
  switch (sample.kind) {
    case "share":
      return sample.share.trials;
    case "quantile":
      return sample.latencies.count;
    case "mean":
      return sample.moments.count;
    case "sums":
      return sample.sums.users;
  }
}

/** Bounds of what one arm's figure truly is. */
export function boundsOf(sample: Sample, risk: number, look: Look): Estimate {
  switch (sample.kind) {
    case "share":
      return shareBounds(sample.share, risk, look);
    case "quantile":
      return quantileBounds(sample.latencies, sample.q, risk, look);
    case "mean":
      return meanBounds(sample.moments, risk);
    case "sums":
      return sumsBounds(sample.sums, sample.range, risk, look);
  }
}

/** Where each user said one thing that lies between 0 and 1 there is an exact bound, and no need of one that large numbers make true. */
function sumsBounds(sums: Clustered, range: Range, risk: number, look: Look): Estimate {
  const isSingle = range === "share" && sums.n === sums.users && sums.nn === sums.users && sums.y >= 0;
  if (isSingle && sums.yy === sums.y) return shareBounds({ hits: sums.y, trials: sums.n }, risk, look);
  if (isSingle && sums.yy <= sums.y) return meanBounds({ count: sums.n, sum: sums.y, squares: sums.yy }, risk);
  return ratioOfSums(sums, risk, look, range);
}

/** Several strata of one arm thrown together. Undefined if they are of different kinds or none. */
export function joinSamples(samples: readonly Sample[]): Sample | undefined {
  const [first] = samples;
  if (first === undefined || samples.length === 1) return first;
  switch (first.kind) {
    case "share": {
      const all = samples.flatMap((sample) => (sample.kind === "share" ? [sample.share] : []));
      return { kind: "share", share: { hits: total(all, ({ hits }) => hits), trials: total(all, ({ trials }) => trials) } };
    }
    case "quantile":
      return { ...first, latencies: joinLatencies(samples.flatMap((sample) => (sample.kind === "quantile" ? [sample.latencies] : []))) };
    case "mean":
      return { kind: "mean", moments: sumMoments(samples.flatMap((sample) => (sample.kind === "mean" ? [sample.moments] : []))) };
    case "sums":
      return { ...first, sums: sumClustered(samples.flatMap((sample) => (sample.kind === "sums" ? [sample.sums] : []))) };
  }
}

export function sumMoments(all: readonly Moments[]): Moments {
  return {
    count: total(all, ({ count }) => count),
    sum: total(all, ({ sum }) => sum),
    squares: total(all, ({ squares }) => squares),
  };
}

export function total<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((sum, one) => sum + of(one), 0);
}

export interface Compared extends Estimate {
  /** Each arm's own figure, standardised where there are several strata. */
  readonly candidate: number | undefined;
  readonly stable: number | undefined;
}

export interface CompareOptions {
  readonly as: "ratio" | "difference";
  readonly risk: number;
  readonly look: Look;
  /** Sums of both arms, user by user, over all strata. */
  readonly overall?: Stratum | undefined;
}

/**
 * Bounds of the candidate's figure against the stable arm's, stratum by stratum. Shares in one stratum by their exact bounds, in several as
 * clusters of one trial; durations and means by their own bounds with the risk halved, standardised to common weights.
 */
export function compareSamples(strata: readonly Stratum[], options: CompareOptions): Compared {
  const { as, risk, look } = options;
  const used = strata.filter(({ candidate, stable }) => sizeOf(candidate) > 0 && sizeOf(stable) > 0);
  const [only] = used;
  if (only === undefined) return { value: undefined, candidate: undefined, stable: undefined, ...NOTHING_KNOWN[as] };
  if (used.length === 1 && only.candidate.kind === "share" && only.stable.kind === "share") {
    const [a, b] = [only.candidate.share, only.stable.share];
    return { ...compareShares(a, b, as, risk, look), candidate: a.hits / a.trials, stable: b.hits / b.trials };
  }
  const clusters = used.flatMap(clustersOf);
  if (clusters.length === used.length) {
    const range = rangeOf(only.candidate);
    const overall = options.overall === undefined ? undefined : clustersOf(options.overall)[0];
    return compareClustered(clusters, { as, risk, look, range, overall: only.candidate.kind === "share" ? "independent" : overall });
  }
  const sizes = used.map(({ candidate, stable }) => (sizeOf(candidate) * sizeOf(stable)) / (sizeOf(candidate) + sizeOf(stable)));
  const each = risk / (2 * used.length);
  const candidate = weighted(
    used.map((stratum) => boundsOf(stratum.candidate, each, look)),
    sizes,
  );
  const stable = weighted(
    used.map((stratum) => boundsOf(stratum.stable, each, look)),
    sizes,
  );
  return { ...against(candidate, stable, as), candidate: candidate.value, stable: stable.value };
}

function clustersOf({ candidate, stable }: Stratum): readonly { readonly candidate: Clustered; readonly stable: Clustered }[] {
  const [a, b] = [clusterOf(candidate), clusterOf(stable)];
  return a === undefined || b === undefined ? [] : [{ candidate: a, stable: b }];
}

function clusterOf(sample: Sample): Clustered | undefined {
  if (sample.kind === "sums") return sample.sums;
  if (sample.kind !== "share") return undefined;
  const { hits, trials } = sample.share;
  return { users: trials, y: hits, n: trials, yy: hits, nn: trials, yn: hits };
}

function rangeOf(sample: Sample): Range {
  return sample.kind === "sums" ? sample.range : "share";
}

function weighted(estimates: readonly Estimate[], sizes: readonly number[]): Estimate {
  const all = total(sizes, (size) => size);
  const mean = (of: (estimate: Estimate) => number): number =>
    estimates.reduce((sum, estimate, index) => sum + ((sizes[index] ?? 0) / all) * of(estimate), 0);
  return { value: mean(({ value }) => value ?? 0), low: mean(({ low }) => low), high: mean(({ high }) => high) };
}

/** Of two figures that are not negative, with bounds that both hold. */
function against(candidate: Estimate, stable: Estimate, as: "ratio" | "difference"): Estimate {
  const [a = 0, b = 0] = [candidate.value, stable.value];
  if (as === "difference") return { value: a - b, low: candidate.low - stable.high, high: candidate.high - stable.low };
  return {
    value: b > 0 ? a / b : undefined,
    low: stable.high > 0 ? candidate.low / stable.high : 0,
    high: stable.low > 0 ? candidate.high / stable.low : Infinity,
  };
}

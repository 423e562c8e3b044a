import { lowerBound, lowerTail, upperBound, upperTail } from "../../resilience/binomial.ts";
import { betaBelow, logBeta } from "./distributions.ts";
import type { Estimate, Look } from "./estimate.ts";
import { boundary } from "./search.ts";

/** Counts of independent trials of which each is a hit or not. Fractions are taken as they are, for expected counts. */
export interface Share {
  readonly hits: number;
  readonly trials: number;
}

/**
 * Bounds of a rate.
 * once: Clopper and Pearson, Biometrika 26 (1934): exact for every number of trials.
 * always: those rates that the mixture of {@link logEvidence} does not rule out (Robbins, Ann. Math. Stat. 41, 1970; Howard et al.,
 * Time-uniform, nonparametric, nonasymptotic confidence sequences, Ann. Stat. 49, 2021): exact at every look.
 */
export function shareBounds({ hits, trials }: Share, risk: number, look: Look): Estimate {
  if (trials <= 0) return { value: undefined, low: 0, high: 1 };
  const value = hits / trials;
  if (look === "once") return { value, low: lowerBound(hits, trials, risk), high: upperBound(hits, trials, risk) };
  return { value, low: lowAlways(hits, trials, risk), high: 1 - lowAlways(trials - hits, trials, risk) };
}

function lowAlways(hits: number, trials: number, risk: number): number {
  const wanted = -Math.log(risk);
  return hits <= 0 ? 0 : boundary(0, hits / trials, (rate) => rate <= 0 || logEvidence(hits, trials, rate) >= wanted);
}

/** Whether counts rule out, at that risk, that the rate is `rate` or less. */
export function isSurelyAbove({ hits, trials }: Share, rate: number, risk: number, look: Look): boolean {
  if (trials <= 0 || hits <= rate * trials) return false;
  return look === "once" ? upperTail(hits, trials, rate) < risk : logEvidence(hits, trials, rate) >= -Math.log(risk);
}

/** Whether counts rule out, at that risk, that the rate is `rate` or more. */
export function isSurelyBelow({ hits, trials }: Share, rate: number, risk: number, look: Look): boolean {
  if (trials <= 0 || hits >= rate * trials) return false;
  return look === "once" ? lowerTail(hits, trials, rate) < risk : logEvidence(trials - hits, trials, 1 - rate) >= -Math.log(risk);
}

/**
 * Logarithm of the evidence that the true rate is above `rate`: the likelihood ratio of all greater rates to it, averaged by a Beta(1/2, 1/2)
 * density cut off below. Under every true rate up to `rate` each of these ratios, and so their mean, is a supermartingale that starts at 1:
 * it ever reaches 1 / risk with a probability of at most the risk (Ville).
 */
function logEvidence(hits: number, trials: number, rate: number): number {
  const misses = trials - hits;
  const weight = 1 - (2 / Math.PI) * Math.asin(Math.sqrt(rate));
  if (weight <= 0) return 0;
  const above = betaBelow(1 - rate, misses + 0.5, hits + 0.5);
  return logMarginal(hits, misses) - logLikelihood(hits, misses, rate) + Math.log(above) - Math.log(weight);
}

/** Logarithm of the likelihood averaged over all rates by a Beta(1/2, 1/2) density. */
function logMarginal(hits: number, misses: number): number {
  return logBeta(hits + 0.5, misses + 0.5) - Math.log(Math.PI);
}

function logLikelihood(hits: number, misses: number, rate: number): number {
  return (hits > 0 ? hits * Math.log(rate) : 0) + (misses > 0 ? misses * Math.log1p(-rate) : 0);
}

/**
 * Candidate's rate against stable's.
 * once: both bounds of Clopper and Pearson at half the risk; exact.
 * always: the better one of two, each at half the risk. One is the bounds of both arms. The other is the averaged likelihood of both arms over
 * the greatest that they can have under the hypothesis (Wasserman, Ramdas and Balakrishnan, Universal inference, PNAS 117, 2020): an
 * e-process, in which the arms' deviations add up in squares. The first is better where the candidate's counts are small, the second where
 * both arms are of a size. Exact at every look.
 */
export function compareShares(candidate: Share, stable: Share, as: "ratio" | "difference", risk: number, look: Look): Estimate {
  if (candidate.trials <= 0 || stable.trials <= 0) return { value: undefined, ...NOTHING_KNOWN[as] };
  const ofStable = stable.hits / stable.trials;
  const found = candidate.hits / candidate.trials;
  const share = look === "once" ? risk / 2 : risk / 4;
  const [a, b] = [shareBounds(candidate, share, look), shareBounds(stable, share, look)];
  if (as === "difference") {
    const apart = { value: found - ofStable, low: a.low - b.high, high: a.high - b.low };
    if (look === "once") return apart;
    const low = Math.max(apart.low, lowDifference(candidate, stable, risk / 2));
    return { ...apart, low, high: Math.min(apart.high, -lowDifference(stable, candidate, risk / 2)) };
  }
  const apart = { value: ofStable > 0 ? found / ofStable : undefined, low: a.low / b.high, high: a.high / b.low };
  if (look === "once") return apart;
  const low = Math.max(apart.low, lowRatio(candidate, stable, risk / 2));
  return { ...apart, low, high: Math.min(apart.high, 1 / lowRatio(stable, candidate, risk / 2)) };
}

export const NOTHING_KNOWN = { ratio: { low: 0, high: Infinity }, difference: { low: -1, high: 1 } } as const;

function lowDifference(a: Share, b: Share, risk: number): number {
  const found = a.hits / a.trials - b.hits / b.trials;
  return boundary(-1, found, (by) => by <= -1 || isRuledOut(a, b, risk, { slope: 1, by }));
}

/** Ratios beyond a million either way are as good as none. */
const FARTHEST = Math.log(1e6);

function lowRatio(a: Share, b: Share, risk: number): number {
  if (a.hits <= 0) return 0;
  const found = b.hits > 0 ? Math.log((a.hits * b.trials) / (a.trials * b.hits)) : FARTHEST;
  const log = boundary(-FARTHEST, found, (x) => isRuledOut(a, b, risk, { slope: Math.exp(x), by: 0 }));
  return log <= -FARTHEST ? 0 : Math.exp(log);
}

/** Whether it is ruled out that a's rate is at most `slope` times b's plus `by`, where the rates that were found are beyond. */
function isRuledOut(a: Share, b: Share, risk: number, line: { readonly slope: number; readonly by: number }): boolean {
  const [aMisses, bMisses] = [a.trials - a.hits, b.trials - b.hits];
  // The greatest likelihood stands on the line itself, and it is concave along it.
  const growth = (rate: number): number => {
    const other = line.slope * rate + line.by;
    return line.slope * (a.hits / other - aMisses / (1 - other)) + b.hits / rate - bMisses / (1 - rate);
  };
  const from = Math.max(0, -line.by);
  const to = Math.min(1, (1 - line.by) / line.slope);
  const rate = boundary(from, to, (x) => growth(x) > 0);
  const inside = Math.min(Math.max(rate, from + 1e-15), to - 1e-15);
  const other = Math.min(Math.max(line.slope * inside + line.by, 1e-15), 1 - 1e-15);
  const greatest = logLikelihood(a.hits, aMisses, other) + logLikelihood(b.hits, bMisses, inside);
  return logMarginal(a.hits, aMisses) + logMarginal(b.hits, bMisses) - greatest >= -Math.log(risk);
}

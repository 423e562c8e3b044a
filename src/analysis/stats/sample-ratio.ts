import { chiSquareTail, logGamma } from "./distributions.ts";

export interface Mismatch {
  /** How likely counts that differ as much are if the split does what it says, 0..1. */
  readonly p: number;
  /** What the counts should be. */
  readonly expected: readonly number[];
}

/** `counts`: users of each arm · `expectedShares`: what the split says, in the same order, of any sum. */
export interface SplitCounts {
  readonly counts: readonly number[];
  readonly expectedShares: readonly number[];
}

/** Pearson's chi-square test, for one look (Fabijan et al., Diagnosing sample ratio mismatch, KDD 2019). */
export function sampleRatioMismatch(counts: readonly number[], expectedShares: readonly number[]): Mismatch {
  const all = sum(counts);
  const shares = normalised(expectedShares);
  const expected = shares.map((share) => share * all);
  if (all <= 0) return { p: 1, expected };
  if (isImpossible(counts, shares)) return { p: 0, expected };
  const open = expected.filter((count) => count > 0).length;
  const statistic = sum(expected.map((count, arm) => (count > 0 ? ((counts[arm] ?? 0) - count) ** 2 / count : 0)));
  return { p: open < 2 ? 1 : chiSquareTail(statistic, open - 1), expected };
}

/** Concentrations of the prior around the split: from gross faults to a loss of one in a hundred. */
const CONCENTRATIONS = [10, 100, 1_000, 10_000];

/**
 * May be looked at all the time: an alarm at p < 0.001 is false in at most one of 1,000 rollouts. One over the Bayes factor of a Dirichlet
 * prior around the split against the split itself (Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022),
 * averaged over priors from wide to narrow. Strata (steps with their own split) are averaged too, not multiplied: users come back, so what
 * one stratum says the next one repeats, and a mean of such factors holds however they hang together.
 */
export function sampleRatioMismatchAlways(strata: readonly SplitCounts[]): { readonly p: number } {
  const logs = strata.flatMap((stratum) => CONCENTRATIONS.map((concentration) => logFactor(stratum, concentration)));
  if (logs.length === 0) return { p: 1 };
  const greatest = Math.max(...logs);
  if (greatest === Infinity) return { p: 0 };
  const evidence = greatest + Math.log(sum(logs.map((log) => Math.exp(log - greatest))) / logs.length);
  return { p: Math.min(1, Math.exp(-evidence)) };
}

function logFactor({ counts, expectedShares }: SplitCounts, concentration: number): number {
  const shares = normalised(expectedShares);
  const all = sum(counts);
  if (all <= 0) return 0;
  if (isImpossible(counts, shares)) return Infinity;
  const arms = shares.map((share, arm) => {
    const count = counts[arm] ?? 0;
    return share > 0 ? logGamma(concentration * share + count) - logGamma(concentration * share) - count * Math.log(share) : 0;
  });
  return sum(arms) - logGamma(concentration + all) + logGamma(concentration);
}

/** Somebody in an arm that nobody is sent to. */
function isImpossible(counts: readonly number[], shares: readonly number[]): boolean {
  return counts.some((count, arm) => count > 0 && !((shares[arm] ?? 0) > 0));
}

function normalised(shares: readonly number[]): readonly number[] {
  const all = sum(shares);
  return shares.map((share) => (all > 0 ? share / all : 0));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

import { normalTail, studentQuantile } from "./distributions.ts";
import type { Look } from "./estimate.ts";
import { boundary } from "./search.ts";

/** Ten thousand users in halves. */
export const TIGHT_AT = 2_500;

export interface MultiplierOptions {
  /** One-sided. */
  readonly risk: number;
  readonly look: Look;
  /** Observations of equal worth so far; for two arms 1 / (1 / candidate + 1 / stable). */
  readonly effective: number;
  /** always: at how many of them the bound is to be as narrow as can be. */
  readonly tightAt: number;
  /** Degrees of freedom of the standard error. */
  readonly df: number;
}

/**
 * By what a standard error is multiplied for a one-sided bound.
 * once: Student's quantile.
 * always: an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and
 * asymptotic confidence sequences, Ann. Stat. 52, 2024): a half-normal mixture of the likelihood ratios of normal sums, solved as it is and
 * not by its closed bound. As the standard error is estimated, the normal deviate is replaced by Student's of the same tail.
 */
export function multiplierOf({ risk, look, effective, tightAt, df }: MultiplierOptions): number {
  if (!(effective > 0) || !(df > 0)) return Infinity;
  if (look === "once") return studentQuantile(risk, df);
  const k = variance(risk, tightAt) * effective;
  const wanted = 0.5 * Math.log1p(k) - Math.log(risk);
  const deviate = boundary(40, 0, (x) => (x * x) / 2 + Math.log(2 * (1 - normalTail(x))) >= wanted);
  return studentized(deviate, df) * Math.sqrt((1 + k) / k);
}

/** Of the mixture: what makes it narrowest at `tightAt` observations (the paper's section 3.5, with twice the one-sided risk). */
function variance(risk: number, tightAt: number): number {
  const twice = -2 * Math.log(Math.min(2 * risk, 0.9));
  return (twice + Math.log1p(twice)) / tightAt;
}

/** Beyond here normal and Student's deviates are the same to four digits, and the tails are too small to be told apart. */
const MANY = 100_000;

function studentized(deviate: number, df: number): number {
  if (df > MANY || deviate > 7) return deviate;
  return studentQuantile(normalTail(deviate), df);
}

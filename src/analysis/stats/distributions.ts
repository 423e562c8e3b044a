// @ts-expect-error: the package brings no types; what is used of it stands below.
import jstat from "jstat";
import { upperTail } from "../../resilience/binomial.ts";

/**
 * Quantiles and tails, from jStat where it is exact enough. Checked against SciPy and mpmath: normal quantiles to 1e-9 down to a risk of
 * 1e-12, Student's to 1e-7 of their value, logarithms of the gamma function to 1e-12, chi-square tails to an absolute 1e-12. Its incomplete
 * beta function stops after 100 terms and is wrong by 5 % where counts go into the millions, so that one comes from the exact binomial tail.
 */
interface Distributions {
  readonly normal: { inv(p: number, mean: number, deviation: number): number; cdf(x: number, mean: number, deviation: number): number };
  readonly studentt: { inv(p: number, df: number): number };
  readonly chisquare: { cdf(x: number, df: number): number };
  gammaln(z: number): number;
}

// The one place that calls it.
const { jStat } = jstat as { readonly jStat: Distributions };

/** The value that a standard normal variable exceeds with probability `risk` (0..1). */
export function normalQuantile(risk: number): number {
  return -jStat.normal.inv(risk, 0, 1);
}

/** The probability that a standard normal variable exceeds `x`; exact to nine digits up to x = 5, to two up to 8. */
export function normalTail(x: number): number {
  return jStat.normal.cdf(-x, 0, 1);
}

/** The value that Student's t with `df` degrees of freedom exceeds with probability `risk`. Degrees need not be whole. */
export function studentQuantile(risk: number, df: number): number {
  return -jStat.studentt.inv(risk, df);
}

/** The probability that a chi-square variable exceeds `x`. */
export function chiSquareTail(x: number, df: number): number {
  return x <= 0 ? 1 : Math.max(0, 1 - jStat.chisquare.cdf(x, df));
}

export function logGamma(z: number): number {
  return jStat.gammaln(z);
}

export function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** The probability that a beta variable is below `x`; both parameters above 0, whole or not, of any size. */
export function betaBelow(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (b >= 1) return upperTail(a, a + b - 1, x);
  // The tail of a binomial count knows b from 1 on; DLMF 8.17.21 leads there.
  const step = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - Math.log(b) - logBeta(a, b));
  return Math.max(0, upperTail(a, a + b, x) - step);
}

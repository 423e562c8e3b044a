/**
 * What a count of hits says for certain about the rate behind it: exact tails of the binomial distribution and the bounds
 * of Clopper and Pearson (Biometrika 26, 1934), which hold for every number of trials, however small.
 * The tail is the regularised incomplete beta function, taken from its continued fraction (DLMF 8.17.22) by the modified
 * method of Lentz (Press et al., Numerical Recipes, "Evaluation of Continued Fractions").
 */

/** The probability of `hits` or more in `trials`, each a hit with probability `rate`. */
export function upperTail(hits: number, trials: number, rate: number): number {
  if (hits <= 0) return 1;
  if (hits > trials || rate <= 0) return 0;
  if (rate >= 1) return 1;
  return incompleteBeta(rate, hits, trials - hits + 1);
}

/** The probability of `hits` or fewer in `trials`. */
export function lowerTail(hits: number, trials: number, rate: number): number {
  return upperTail(trials - hits, trials, 1 - rate);
}

/** The rate below which so many hits, or more, have a probability of less than `risk` (one-sided; 0.001 is a bound at 99.9 %). */
export function lowerBound(hits: number, trials: number, risk: number): number {
  if (hits <= 0 || trials <= 0) return 0;
  let below = 0;
  let above = 1;
  for (;;) {
    const middle = (below + above) / 2;
    if (middle <= below || middle >= above) return below;
    if (upperTail(hits, trials, middle) < risk) below = middle;
    else above = middle;
    // Half the distance each time: some 50 rounds, more only for a rate next to nothing.
    if (above - below < above * 1e-14) return below;
  }
}

/** The rate above which so few hits, or fewer, have a probability of less than `risk`. */
export function upperBound(hits: number, trials: number, risk: number): number {
  return 1 - lowerBound(trials - hits, trials, risk);
}

function incompleteBeta(x: number, a: number, b: number): number {
  // The fraction converges fast on this side of the mean only; the other side is its mirror image (DLMF 8.17.4).
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  return Math.min(1, front * continuedFraction(x, a, b));
}

/** Its terms needed are about the root of a + b, so the limit lies far beyond all counts that a window can hold. */
const MOST_TERMS = 100_000;
const TINY = 1e-300;

/** 1 / (1 + d1 / (1 + d2 / (1 + ...))) */
function continuedFraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = awayFromZero(1 - ((a + b) * x) / (a + 1));
  d = 1 / d;
  let value = d;
  for (let m = 1; m < MOST_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / awayFromZero(1 + even * d);
    c = awayFromZero(1 + even / c);
    value *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / awayFromZero(1 + odd * d);
    c = awayFromZero(1 + odd / c);
    value *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return value;
}

function awayFromZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

/** Stirling's series (DLMF 5.11.1), after steps up to where six of its terms are exact to the last digit. */
function logGamma(z: number): number {
  let shifted = z;
  let product = 1;
  while (shifted < 10) product *= shifted++;
  const square = 1 / (shifted * shifted);
  let series = 0;
  for (const term of STIRLING) series = series * square + term;
  return (shifted - 0.5) * Math.log(shifted) - shifted + 0.5 * Math.log(2 * Math.PI) + series / shifted - Math.log(product);
}

/** Bernoulli number B(2k) / (2k (2k - 1)), k from 6 down to 1. */
const STIRLING = [-691 / 360_360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12];

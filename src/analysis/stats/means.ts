import type { Moments } from "../figures.ts";
import type { Estimate } from "./estimate.ts";
import { boundary } from "./search.ts";

/**
 * Bounds of the mean of values between 0 and 1, whatever their distribution, at every look (and so at one).
 * For values x with a mean of at most m and 0 < b < 1, exp(b (x - m) - p(b) (x - m)^2) with p(b) = -log(1 - b) - b has an expectation of at
 * most 1 (Fan, Grama and Liu, Electron. J. Probab. 20, 2015; as used by Waudby-Smith and Ramdas, Estimating means of bounded random
 * variables by betting, JRSS B 86, 2024). The product over all values is a supermartingale that needs only their sum and squares; a mean
 * over bets b of all sizes is one too, and by Ville it ever reaches 1 / risk with a probability of at most the risk. For one look alone it
 * still is narrower than the empirical bound of Maurer and Pontil (2009) up to tens of thousands of values.
 */
export function meanBounds({ count, sum, squares }: Moments, risk: number): Estimate {
  if (count <= 0) return { value: undefined, low: 0, high: 1 };
  return {
    value: sum / count,
    low: lowMean(count, sum, squares, risk),
    high: 1 - lowMean(count, count - sum, count - 2 * sum + squares, risk),
  };
}

/** No bet is above 0.58: up to there the product falls as m grows, so what is ruled out has one end. */
const BETS = Array.from({ length: 26 }, (_, index) => 0.58 * 2 ** (-index / 2));
const PRICES = BETS.map((bet) => -Math.log1p(-bet) - bet);

function lowMean(count: number, sum: number, squares: number, risk: number): number {
  const wanted = -Math.log(risk) + Math.log(BETS.length);
  const isRuledOut = (mean: number): boolean => {
    const gain = sum - count * mean;
    const spread = squares - 2 * mean * sum + count * mean * mean;
    const logs = BETS.map((bet, index) => bet * gain - (PRICES[index] ?? 0) * spread);
    const greatest = Math.max(...logs);
    return greatest + Math.log(logs.reduce((total, log) => total + Math.exp(log - greatest), 0)) >= wanted;
  };
  return isRuledOut(0) ? boundary(0, sum / count, isRuledOut) : 0;
}

import type { Latencies } from "../figures.ts";
import { mergeSketches, Sketch } from "../latencies.ts";
import type { Estimate, Look } from "./estimate.ts";
import { boundary, least } from "./search.ts";
import { isSurelyAbove, isSurelyBelow } from "./shares.ts";

/**
 * Bounds of a quantile from ranks, whatever the distribution: the true quantile is above x as surely as more than a share of 1 - q takes
 * longer than x (Thompson, Ann. Math. Stat. 7, 1936). always: by the same share's bound that holds at every look (as Howard and Ramdas,
 * Sequential estimation of quantiles, Bernoulli 28, 2022, for one quantile).
 */
export function quantileBounds(latencies: Latencies, q: number, risk: number, look: Look): Estimate {
  const trials = latencies.count;
  if (trials <= 0) return { value: undefined, low: 0, high: Infinity };
  const tooMany = least(Math.floor(trials * (1 - q)), trials, (hits) => isSurelyAbove({ hits, trials }, 1 - q, risk, look));
  const tooFew = least(Math.floor(trials * q), trials, (rest) => isSurelyBelow({ hits: trials - rest, trials }, 1 - q, risk, look));
  return {
    value: latencies.quantile(q),
    low: tooMany === undefined ? 0 : latencies.quantile(1 - tooMany / trials),
    high: tooFew === undefined ? Infinity : latencies.quantile(tooFew / trials),
  };
}

/** All of these together. */
export function joinLatencies(parts: readonly Latencies[]): Latencies {
  const filled = parts.filter(({ count }) => count > 0);
  const [only] = filled;
  if (filled.length === 1 && only !== undefined) return only;
  const sketches = filled.filter((part) => part instanceof Sketch);
  if (sketches.length === filled.length) return mergeSketches(sketches);
  const count = filled.reduce((sum, part) => sum + part.count, 0);
  const over = (ms: number): number => filled.reduce((sum, part) => sum + part.over(ms), 0);
  return {
    count,
    over,
    quantile: (q) => {
      if (count === 0) return Number.NaN;
      const each = filled.map((part) => part.quantile(q));
      const rest = (1 - q) * count;
      // Seen from above: the least duration over which there are no more than may be.
      return boundary(Math.max(...each), Math.min(...each) * 0.999 - 0.1, (ms) => over(ms) <= rest, 30);
    },
    mean: () => filled.reduce((sum, part) => sum + part.count * part.mean(), 0) / count,
  };
}

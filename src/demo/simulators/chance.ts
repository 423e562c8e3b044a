/** Numbers in [0, 1) from a seed (mulberry32): the same seed gives the same run. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The 95th percentile of the standard normal distribution. */
const Z95 = 1.6449;

/** One draw of a log-normal duration whose median is `p50` and whose 95th percentile is `p50 * (1 + jitter)`. */
export function drawDuration(random: () => number, p50: number, jitter: number): number {
  if (p50 === 0 || jitter === 0) return p50;
  const sigma = Math.log(1 + jitter) / Z95;
  // Box-Muller; 1 - random() is never 0, of which there is no logarithm.
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return p50 * Math.exp(sigma * normal);
}

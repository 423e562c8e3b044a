import type { Latencies, Moments } from "./figures.ts";

/** A histogram with few edges, as Prometheus keeps it: counts by upper edge, and the sum. */
export interface Buckets {
  /** Ascending, in the unit of the values; the last one is Infinity. */
  readonly edges: readonly number[];
  /** How many lie at or below each edge; never falling. */
  readonly atMost: readonly number[];
  readonly sum: number;
}

/** Counts by `le` as they came, in any order: made to rise, since increases of series that were born meanwhile may be off by rounding. */
export function bucketsOf(counts: ReadonlyMap<number, number>, sum: number): Buckets {
  const edges = [...counts.keys()].sort((a, b) => a - b);
  if (edges.at(-1) !== Infinity) edges.push(Infinity);
  let highest = 0;
  const atMost = edges.map((edge) => (highest = Math.max(highest, counts.get(edge) ?? 0)));
  return { edges, atMost, sum };
}

/** `over` is a count where an edge stands on the threshold, and by interpolation between edges else; so is `quantile`. */
export function bucketLatencies({ edges, atMost, sum }: Buckets): Latencies {
  const count = atMost.at(-1) ?? 0;
  return {
    count,
    over(ms) {
      const at = edges.findIndex((edge) => edge >= ms);
      const above = edges[at] ?? Infinity;
      const upTo = atMost[at] ?? count;
      if (above === ms) return count - upTo;
      const before = atMost[at - 1] ?? 0;
      // Nothing is known of how far the last bucket reaches: whoever is in it counts as over.
      if (above === Infinity) return count - before;
      const below = edges[at - 1] ?? 0;
      return count - before - (upTo - before) * ((Math.max(ms, 0) - below) / (above - below));
    },
    quantile(q) {
      if (count <= 0) return Number.NaN;
      const rank = Math.min(Math.max(q, 0), 1) * count;
      const at = atMost.findIndex((upTo) => upTo >= rank && upTo > 0);
      const above = edges[at] ?? Infinity;
      const below = edges[at - 1] ?? 0;
      if (above === Infinity) return below;
      const before = atMost[at - 1] ?? 0;
      const inside = (atMost[at] ?? 0) - before;
      return inside <= 0 ? above : below + (above - below) * ((rank - before) / inside);
    },
    mean: () => (count > 0 ? sum / count : Number.NaN),
  };
}

/** Sum is exact; squares are those of the buckets' middles, never less than the sum allows. Values are 0..1. */
export function bucketMoments({ edges, atMost, sum }: Buckets): Moments {
  const count = atMost.at(-1) ?? 0;
  let squares = 0;
  let before = 0;
  for (const [at, upTo] of atMost.entries()) {
    const below = Math.max(0, edges[at - 1] ?? 0);
    const above = Math.min(1, edges[at] ?? 1);
    squares += (upTo - before) * ((below + above) / 2) ** 2;
    before = upTo;
  }
  return { count, sum, squares: count > 0 ? Math.max(squares, sum ** 2 / count) : 0 };
}

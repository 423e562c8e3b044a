import type { HourCounts } from "../store/counts.ts";
import { HOUR_MS } from "../store/counts-text.ts";
import { bucketAt } from "../telemetry/edges.ts";

/** Counts of a window, by version and segment. */

export const ALL = "all";

export interface Sums {
  readonly version: string;
  readonly segment: string;
  failed: number;
  /** By duration, as the edges of the window's {@link WindowSums} have it, without those that failed. */
  readonly answered: Float64Array;
}

export interface WindowSums {
  /** Upper edges in milliseconds, ascending. */
  readonly edges: Float64Array;
  readonly coveredMs: number;
  /** Each version and each segment by itself, and all of them. */
  readonly sums: readonly Sums[];
}

const MINUTE_MS = 60_000;

/** The hour in which a window begins that ends now; it counts as a whole. */
export function firstHour(now: number, windowMs: number): number {
  return Math.floor((now - windowMs) / HOUR_MS);
}

/** Counts of another ladder of edges are filed under the next edge above theirs, so that nothing looks faster than it was. */
export function sumHours(hours: readonly HourCounts[], edges: Float64Array, from: number): WindowSums {
  const cells = new Map<string, Sums>();
  let coveredMs = 0;
  for (const counts of hours) {
    if (counts.hour < from) continue;
    coveredMs += counts.covered.size * MINUTE_MS;
    for (const { key, version, segment, failed, answered } of filedUnder(edges, counts)) {
      let sums = cells.get(key);
      if (sums === undefined) cells.set(key, (sums = { version, segment, failed: 0, answered: new Float64Array(answered.length) }));
      sums.failed += failed;
      for (let at = 0; at < answered.length; at++) sums.answered[at] = (sums.answered[at] ?? 0) + (answered[at] ?? 0);
    }
  }
  return { edges, coveredMs, sums: withMargins([...cells.values()], edges.length + 1) };
}

interface Filed extends Sums {
  readonly key: string;
}

/** Of hours that are looked at again and again: filing 30 days anew at each look took 20 ms of the control thread, adding them up takes 2 to 3. */
const filed = new WeakMap<HourCounts, { readonly edges: Float64Array; readonly cells: readonly Filed[] }>();

function filedUnder(edges: Float64Array, counts: HourCounts): readonly Filed[] {
  const known = filed.get(counts);
  if (known?.edges === edges) return known.cells;
  const cells = counts.cells.map(({ version, segment, failed, answered }): Filed => {
    const buckets = new Float64Array(edges.length + 1);
    for (const [edge, count] of answered) {
      const at = bucketAt(edges, edge);
      buckets[at] = (buckets[at] ?? 0) + count;
    }
    return { key: `${version}:${segment}`, version, segment, failed, answered: buckets };
  });
  filed.set(counts, { edges, cells });
  return cells;
}

function withMargins(cells: readonly Sums[], length: number): readonly Sums[] {
  const all = new Map<string, Sums>();
  for (const cell of cells) {
    // Requests for which no upstream was asked count for all of them together only.
    for (const version of cell.version === "" ? [ALL] : new Set([ALL, cell.version])) {
      for (const segment of new Set([ALL, cell.segment])) {
        const into = sumsOf(all, version, segment, length);
        into.failed += cell.failed;
        for (let at = 0; at < length; at++) into.answered[at] = (into.answered[at] ?? 0) + (cell.answered[at] ?? 0);
      }
    }
  }
  sumsOf(all, ALL, ALL, length);
  return [...all.values()];
}

function sumsOf(map: Map<string, Sums>, version: string, segment: string, length: number): Sums {
  const key = `${version}:${segment}`;
  const known = map.get(key);
  if (known !== undefined) return known;
  const sums = { version, segment, failed: 0, answered: new Float64Array(length) };
  map.set(key, sums);
  return sums;
}

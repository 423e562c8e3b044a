import type { MetricName } from "./names.ts";
import { blockLength, unpack, type TablePlace, type TableTotals } from "./series.ts";
import type { EdgeLabels, MetricText } from "./text-format.ts";

/** Blocks of a table that share their exported labels, added up. */
export interface Group {
  readonly labels: readonly string[];
  readonly block: Float64Array;
}

/**
 * Groups a table by label values. `labelsOf` turns the indices of a series into its exported labels, or undefined to leave
 * it out. `initial` names groups that exist without a record: a counter that first appears with a one has no rise that
 * `increase()` could see.
 */
export function groupTable(
  place: TablePlace,
  totals: TableTotals,
  labelsOf: (indices: readonly number[]) => readonly string[] | undefined,
  initial: readonly (readonly string[])[] = [],
): Group[] {
  const groups = new Map<string, Group>();
  for (const labels of initial) groups.set(labels.join("\0"), { labels, block: new Float64Array(blockLength(place)) });
  for (const [key, block] of totals.blocks) {
    const labels = labelsOf(unpack(place.sizes, key));
    if (labels === undefined) continue;
    const name = labels.join("\0");
    const group = groups.get(name);
    if (group === undefined) groups.set(name, { labels, block: block.slice() });
    else for (let at = 0; at < block.length; at++) group.block[at] = (group.block[at] ?? 0) + (block[at] ?? 0);
  }
  return [...groups.values()];
}

export function writeCounters(text: MetricText, metric: MetricName, groups: readonly Group[]): void {
  text.metric(metric);
  for (const { labels, block } of groups) text.sample(metric, labels, block[0] ?? 0);
}

export function writeHistograms(text: MetricText, metric: MetricName, edges: EdgeLabels, groups: readonly Group[]): void {
  text.metric(metric);
  for (const { labels, block } of groups) text.histogram(metric, labels, edges, block);
}

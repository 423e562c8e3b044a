import type { FiguresTable } from "./figures.ts";
import { mergeCells, type TickCell } from "./tick.ts";

/** Figures of a stretch of time, over all instances. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  /** The times that figures are there for: rising, apart from each other. */
  readonly covered: readonly TimeSpan[];
  readonly instances: readonly string[];
  readonly cells: readonly TickCell[];
}

/** Epoch milliseconds, half-open. */
export type TimeSpan = readonly [from: number, to: number];

/** A stretch of time counts where its middle lies, so that what is apart adds up to the whole. */
export function middleOf({ from, to }: { readonly from: number; readonly to: number }): number {
  return (from + to) / 2;
}

export function isWithin(stretch: { readonly from: number; readonly to: number }, from: number, to: number): boolean {
  const middle = middleOf(stretch);
  return middle >= from && middle < to;
}

export function mergeStretches(stretches: readonly Stretch[]): Stretch | undefined {
  const [first] = stretches;
  if (first === undefined || stretches.length === 1) return first;
  return {
    from: Math.min(...stretches.map(({ from }) => from)),
    to: Math.max(...stretches.map(({ to }) => to)),
    covered: union(stretches.flatMap(({ covered }) => covered)),
    instances: [...new Set(stretches.flatMap(({ instances }) => instances))].sort(),
    cells: mergeCells(stretches.map(({ cells }) => cells)),
  };
}

/** The same time, as spans that rise and do not touch. */
function union(spans: readonly TimeSpan[]): readonly TimeSpan[] {
  const merged: [number, number][] = [];
  for (const [from, to] of spans.toSorted(([one], [other]) => one - other)) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else if (to > from) merged.push([from, to]);
  }
  return merged;
}

/** How many milliseconds of a span lie in any of these. */
function coveredWithin(spans: readonly TimeSpan[], from: number, to: number): number {
  return union(spans).reduce((sum, span) => sum + Math.max(0, Math.min(span[1], to) - Math.max(span[0], from)), 0);
}

/** What was asked for, out of what lies within. */
export function tableOf(stretches: readonly Stretch[], from: number, to: number): FiguresTable {
  const all = mergeStretches(stretches);
  if (all === undefined) return { from, to, coveredMs: 0, instances: [], cells: [] };
  return { from, to, coveredMs: coveredWithin(all.covered, from, to), instances: all.instances, cells: all.cells };
}

import type { LatencyBins } from "../../admin/live/view.ts";

/** Two histograms as step lines over the same edges. */
export interface Steps {
  /** Where each bin begins, milliseconds; the last one is where the last bounded bin ends. */
  readonly from: readonly number[];
  /** Share of the arm's attempts per {@link WIDTH_MS}, 0..1, so that bins of different width can be compared; the last one is null and ends the line. */
  readonly stable: readonly (number | null)[];
  readonly candidate: readonly (number | null)[];
  /** Right edge of what is worth showing. */
  readonly to: number;
}

export const WIDTH_MS = 5;
/** So much of either arm may lie beyond the right edge; it is told in words. */
const HIDDEN = 0.01;
/** Further than so many times the quicker arm the picture does not go: what it is about would be pressed to the left. */
const FAR = 2.5;

export function stepsOf({ edgesMs, stable, candidate }: LatencyBins, thresholds: readonly number[]): Steps {
  const from = [0, ...edgesMs];
  return {
    from,
    stable: densities(edgesMs, stable),
    candidate: densities(edgesMs, candidate),
    to: rightEdge(edgesMs, [stable, candidate], thresholds),
  };
}

function densities(edges: readonly number[], counts: readonly number[]): readonly (number | null)[] {
  const all = countOf(counts);
  const shares = edges.map((edge, index) => {
    const width = edge - (edges[index - 1] ?? 0);
    return all === 0 || width <= 0 ? null : ((counts[index] ?? 0) / all) * (WIDTH_MS / width);
  });
  return [...shares, null];
}

/** Most of both arms lies left of it, unless one is far slower than the other; so does every threshold that is not far off. */
function rightEdge(edges: readonly number[], arms: readonly (readonly number[])[], thresholds: readonly number[]): number {
  const needed = arms.filter((counts) => countOf(counts) > 0).map((counts) => edgeOf(edges, counts));
  const far = FAR * Math.max(Math.min(...needed), 40);
  const near = thresholds.filter((value) => value < far).map((value) => value * 1.15);
  return Math.max(50, ...near, Math.min(Math.max(...needed), far));
}

function edgeOf(edges: readonly number[], counts: readonly number[]): number {
  const all = countOf(counts);
  let beyond = all;
  for (const [index, edge] of edges.entries()) {
    beyond -= counts[index] ?? 0;
    if (beyond <= all * HIDDEN) return edge;
  }
  return edges.at(-1) ?? 100;
}

/** Whether so much lies beyond the edge that the picture itself must say so. */
export function isMuch(shareBeyondEdge: number): boolean {
  return shareBeyondEdge > HIDDEN;
}

export function countOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Share of an arm's attempts that took longer than `ms`; exact where an edge stands there. NaN without attempts. */
export function shareBeyond({ edgesMs }: Pick<LatencyBins, "edgesMs">, counts: readonly number[], ms: number): number {
  const beyond = counts.reduce((sum, count, index) => (index > 0 && (edgesMs[index - 1] ?? 0) >= ms ? sum + count : sum), 0);
  return beyond / countOf(counts);
}

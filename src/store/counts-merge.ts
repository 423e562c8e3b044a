import type { CountCell, HourCounts } from "./counts.ts";
import { cellField } from "./counts-text.ts";

/** Two parts of what was counted in the same hour, in whichever order. */
export function mergeHours(one: HourCounts, other: HourCounts): HourCounts {
  const cells = new Map(one.cells.map((cell) => [cellField(cell), cell]));
  for (const cell of other.cells) {
    const before = cells.get(cellField(cell));
    cells.set(cellField(cell), before === undefined ? cell : mergeCells(before, cell));
  }
  return { hour: one.hour, covered: new Set([...one.covered, ...other.covered]), cells: [...cells.values()] };
}

/** Names are those of the first. */
function mergeCells(one: CountCell, other: CountCell): CountCell {
  const answered = new Map(one.answered);
  for (const [edge, count] of other.answered) answered.set(edge, (answered.get(edge) ?? 0) + count);
  return { version: one.version, segment: one.segment, failed: one.failed + other.failed, answered };
}

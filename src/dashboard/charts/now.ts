import type { ArmPoint } from "../../admin/live/view.ts";
import { type Arm, type ColumnName, newestPlace, pointsRevision, valueOf } from "../live/points.ts";

/** A figure of the newest point; NaN while there is none. Whoever reads it in a component is drawn anew with each point. */
export function latest(arm: Arm, name: keyof ArmPoint): number {
  const place = pointsRevision.value === 0 ? undefined : newestPlace();
  const column: ColumnName = `${arm}.${name}`;
  return place === undefined ? Number.NaN : valueOf(column, place);
}

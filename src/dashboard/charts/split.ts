import type { LiveView } from "../../admin/live/view.ts";

/** Requests of the last ten seconds, over the fleet, by the arm that the split assigned. */
export interface Split {
  readonly stable: number;
  readonly candidate: number;
}

/** Undefined: nobody could say. */
export function splitOf({ figures }: Pick<LiveView, "figures">, segment?: string): Split | undefined {
  if (figures === undefined) return undefined;
  const rows = figures.rows.filter((row) => segment === undefined || row.segment === segment);
  const requests = (arm: "stable" | "candidate"): number => rows.reduce((sum, row) => sum + row[arm].requests, 0);
  return { stable: requests("stable"), candidate: requests("candidate") };
}

/** Of both arms together, the candidate's; NaN without requests. */
export function candidateShare(split: Split | undefined): number {
  return split === undefined ? Number.NaN : split.candidate / (split.stable + split.candidate);
}

import type { SlaRow, SlaState } from "../../sla/sla.ts";

/** The worst first. */
const ORDER: readonly SlaState[] = ["breached", "warning", "met", "no-data"];

/** Rows in the order in which they are read. */
export interface SlaParts {
  /** Every promise as a whole, and what is worse than its whole: a version or a segment for which it is not kept. */
  readonly first: readonly SlaRow[];
  readonly rest: readonly SlaRow[];
}

export function slaParts(rows: readonly SlaRow[]): SlaParts {
  const sorted = rows.toSorted((one, other) => rank(one) - rank(other));
  const whole = new Map(rows.filter(isWhole).map((row) => [row.promise, rank(row)]));
  const isFirst = (row: SlaRow): boolean =>
    isWhole(row) || (isTrouble(row) && rank(row) < (whole.get(row.promise) ?? Number.POSITIVE_INFINITY));
  return { first: sorted.filter(isFirst), rest: sorted.filter((row) => !isFirst(row)) };
}

function isWhole({ version, segment }: SlaRow): boolean {
  return version === "all" && segment === "all";
}

export function isTrouble({ state }: Pick<SlaRow, "state">): boolean {
  return state === "breached" || state === "warning";
}

function rank({ state }: SlaRow): number {
  return ORDER.indexOf(state);
}

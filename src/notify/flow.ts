import type { Notifications } from "../config/config-told.ts";
import type { KeptNotice } from "./state.ts";

/** A moment of the rollback flow that is to be told now. */
export interface DueMoment {
  /** From 0. */
  readonly index: number;
  readonly dueAt: number;
  readonly channels: readonly string[];
}

function hasFlow({ kind, severity }: KeptNotice): boolean {
  return kind === "rollout-rolling-back" && severity !== "info";
}

/** Of the moments that are due the last, unless it was told. An acknowledgement does not end the flow, nor does the end of the trouble. */
export function dueMoment(notice: KeptNotice, flow: Notifications["rollbackFlow"], now: number): DueMoment | undefined {
  if (!hasFlow(notice)) return undefined;
  const due = flow.toSorted((a, b) => a.afterMs - b.afterMs).filter(({ afterMs }) => notice.openedAt + afterMs <= now);
  const last = due.at(-1);
  if (last === undefined || due.length <= notice.flow) return undefined;
  return { index: due.length - 1, dueAt: notice.openedAt + last.afterMs, channels: last.channels };
}

/** Rollbacks whose flow has given way to that of a newer one of the same flag. */
export function replaced(notices: readonly KeptNotice[]): ReadonlySet<string> {
  const newest = new Map<string | undefined, KeptNotice>();
  for (const notice of notices) {
    if (!hasFlow(notice)) continue;
    const other = newest.get(notice.flag);
    if (other === undefined || other.openedAt <= notice.openedAt) newest.set(notice.flag, notice);
  }
  return new Set(notices.filter((notice) => hasFlow(notice) && newest.get(notice.flag) !== notice).map(({ id }) => id));
}

import type { Escalation, Notifications } from "../config/config-told.ts";
import type { KeptNotice } from "./state.ts";

/** A level that is to be called now. */
export interface DueLevel {
  readonly policy: string;
  /** From 1. */
  readonly level: number;
  readonly dueAt: number;
  readonly channels: readonly string[];
}

/** Nobody looks after it, and it lasts. */
function mayCall({ severity, acknowledged, resolvedAt }: KeptNotice): boolean {
  return severity !== "info" && acknowledged === undefined && resolvedAt === undefined;
}

/**
 * Of each escalation the highest level that is due and was not called yet. Lower ones whose time has passed unseen are left out: whoever comes late
 * calls once.
 */
export function dueLevels(notice: KeptNotice, escalations: readonly Escalation[], now: number): readonly DueLevel[] {
  if (!mayCall(notice)) return [];
  return escalations.flatMap(({ name, severities, levels }) => {
    if (!severities.some((severity) => severity === notice.severity)) return [];
    const due = levels.toSorted((a, b) => a.afterMs - b.afterMs).filter(({ afterMs }) => notice.openedAt + afterMs <= now);
    const last = due.at(-1);
    if (last === undefined || due.length <= calledLevels(notice, name)) return [];
    return [{ policy: name, level: due.length, dueAt: notice.openedAt + last.afterMs, channels: last.channels }];
  });
}

/** How many levels of an escalation were called, or passed. */
function calledLevels({ levels }: KeptNotice, policy: string): number {
  return Object.hasOwn(levels, policy) ? (levels[policy] ?? 0) : 0;
}

/** The repetition that is due: the latest multiple of the interval since it was opened that was not told. Earlier ones are left out. */
export function dueReminder(
  notice: KeptNotice,
  reminders: Notifications["reminders"],
  now: number,
): { readonly index: number; readonly dueAt: number } | undefined {
  const { severity, openedAt, remindedAt } = notice;
  if (!mayCall(notice) || severity === "info") return undefined;
  const every = reminders[severity];
  if (every === undefined || every <= 0) return undefined;
  const index = Math.floor((now - openedAt) / every);
  const dueAt = openedAt + index * every;
  return index >= 1 && dueAt > remindedAt ? { index, dueAt } : undefined;
}

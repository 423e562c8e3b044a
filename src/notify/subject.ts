import type { Language } from "../incidents/incident.ts";
import type { KeptNotice } from "./state.ts";
import { wordsOf } from "./words.ts";

/** A notice in one line, as its first message would be headed. */
export function subjectOf(notice: KeptNotice, language: Language, now: number): string {
  const delivery = {
    id: "",
    notice: notice.id,
    channel: "",
    part: "first",
    index: 0,
    dueAt: notice.openedAt,
    tries: 0,
    nextAt: now,
    status: "waiting",
    detail: "",
    createdAt: notice.openedAt,
    policy: "",
  } as const;
  return wordsOf(notice, delivery, language, { acknowledge: undefined, dashboard: undefined }, now).subject;
}

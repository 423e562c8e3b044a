import type { NoticeKind } from "../core/words.ts";
import type { Language, Priority } from "../incidents/incident.ts";

/** What people are told of, and how far that has come. Instants are epoch milliseconds. */

export { NOTICE_KINDS, type NoticeKind } from "../core/words.ts";

/** `info` is told once and never escalates. */
export type Severity = Priority | "info";

/** Something that happened, before it is decided who hears of it. */
export interface Happening {
  readonly kind: NoticeKind;
  readonly severity: Severity;
  readonly at: number;
  /** Equal for what is the same trouble: repeated ones are grouped under the first. */
  readonly group: string;
  readonly flag: string | undefined;
  /** What the templates fill in: step, percentage, reason, trigger, who, title, target, value ... Texts as they are shown. */
  readonly facts: Readonly<Record<string, string>>;
  /** Ends the trouble of `group`: what was open is closed, nothing of it escalates any more. */
  readonly resolves: boolean;
}

/** A trouble as people see it: opened by the first happening of its group. */
export interface Notice {
  /** `ntc-` and a number that rises. */
  readonly id: string;
  readonly kind: NoticeKind;
  readonly severity: Severity;
  readonly group: string;
  readonly flag: string | undefined;
  readonly facts: Readonly<Record<string, string>>;
  readonly openedAt: number;
  readonly lastAt: number;
  /** How many happenings were grouped here. */
  readonly count: number;
  readonly acknowledged: { readonly by: string; readonly at: number; readonly via: "link" | "cli" | "dashboard" } | undefined;
  readonly resolvedAt: number | undefined;
  /** Per escalation policy: how many of its levels have been called. */
  readonly levels: Readonly<Record<string, number>>;
}

/** One message to one channel, on its way or done. */
export interface Delivery {
  readonly id: string;
  readonly notice: string;
  readonly channel: string;
  /** What this message is: the first word, how it went on, a reminder, a level of an escalation, a moment of the rollback flow, the last word. */
  readonly part: "first" | "news" | "again" | "level" | "flow" | "end";
  /** Level from 1, moment of the flow from 0, number of the news or reminder from 1; else 0. */
  readonly index: number;
  readonly dueAt: number;
  readonly tries: number;
  /** When it may be tried next. */
  readonly nextAt: number;
  readonly status: "waiting" | "sent" | "failed";
  /** Why the last try failed; "" when none did. No secret of the channel's. */
  readonly detail: string;
}

/** As `GET /api/notices` and the live view show it. */
export interface NoticesView {
  /** The instance that sends; undefined: nobody at present. */
  readonly sender: string | undefined;
  /** Newest first. */
  readonly notices: readonly Notice[];
  readonly channels: readonly ChannelView[];
  /** The last ones, newest first. */
  readonly deliveries: readonly Delivery[];
}

export interface ChannelView {
  readonly name: string;
  readonly kind: "slack" | "email" | "webhook";
  readonly language: Language;
  readonly waiting: number;
  readonly sentAt: number | undefined;
  /** Since when every try has failed; undefined: the last one did not, or there was none. */
  readonly failingSince: number | undefined;
  readonly lastError: string;
}

import type { Notifications } from "../config/config-told.ts";
import { cleanText } from "./clean.ts";
import type { SeenMemory } from "./happenings.ts";
import type { ChannelView, Delivery, Notice, NoticeKind, NoticesView } from "./notice.ts";

/** A notice with what it takes to go on telling of it. */
export interface KeptNotice extends Notice {
  /** Kind of the last happening that was news; its facts are among `facts`. */
  readonly latest: NoticeKind;
  /** What ended it; undefined: it lasts, it needs no end (`info`), or something worse took its place. */
  readonly ended: { readonly kind: NoticeKind; readonly facts: Readonly<Record<string, string>> } | undefined;
  /** Channels that were sent anything of it. */
  readonly heard: readonly string[];
  /** What those who hear of it were told last, and when: that it is so, or that it is over. */
  readonly told: "open" | "over";
  readonly toldAt: number;
  /** Instant for which the last reminder was due; 0: none was. */
  readonly remindedAt: number;
  /** Moments of the rollback flow that were told or left out. */
  readonly flow: number;
  /** Instant of the flow's last moment; 0: it has none. */
  readonly flowEndsAt: number;
  /** How many deliveries were made of it; numbers them. */
  readonly made: number;
  /** How many of them were news. */
  readonly news: number;
}

export interface KeptDelivery extends Delivery {
  readonly createdAt: number;
  /** Of the part `level`: which escalation; else "". */
  readonly policy: string;
}

export interface ChannelHealth {
  readonly sentAt: number | undefined;
  readonly failingSince: number | undefined;
  /** "" when the last try did not fail. */
  readonly lastError: string;
}

/** The document "notices": everything that must outlive whoever sends. Bounded (bounded.ts). */
export interface NoticeState {
  /** Number of the next notice. */
  readonly next: number;
  /** What was last seen; undefined: nobody ever looked. */
  readonly seen: SeenMemory | undefined;
  /** Oldest first. */
  readonly notices: readonly KeptNotice[];
  /** In the order in which they were made. */
  readonly deliveries: readonly KeptDelivery[];
  /** By name. */
  readonly channels: Readonly<Record<string, ChannelHealth>>;
  /** What had to go for want of room, since ever. */
  readonly dropped: { readonly notices: number; readonly deliveries: number };
}

export const NO_NOTICES: NoticeState = {
  next: 1,
  seen: undefined,
  notices: [],
  deliveries: [],
  channels: {},
  dropped: { notices: 0, deliveries: 0 },
};

/** Most bytes of the text that {@link encodeNotices} (state-text.ts) makes of a state. */
export const MOST_STATE_BYTES = 256 * 1_024;
/** Notices that are over are shown so long, milliseconds. */
export const KEEP_MS = 7 * 86_400_000;
/** A delivery that has failed for so long is given up, milliseconds. */
const GIVE_UP_MS = 24 * 3_600_000;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 300_000;
const MOST_RETRY_AFTER_MS = 3_600_000;
const MOST_DETAIL = 300;

/** What became of a try. `detail` holds no secret of the channel's. */
export type Outcome =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly detail: string;
      /** The receiver asked to be left alone for so long. */
      readonly retryAfterMs?: number | undefined;
    };

/**
 * Deliveries that may be tried now, in order. Of one notice to one channel only the oldest that waits, so that they arrive in order; whoever sends
 * leaves out those that it is sending already.
 */
export function dueDeliveries({ deliveries }: NoticeState, now: number): readonly KeptDelivery[] {
  const first = new Set<string>();
  return deliveries.filter(({ status, notice, channel, nextAt }) => {
    if (status !== "waiting") return false;
    const line = `${notice} ${channel}`;
    if (first.has(line)) return false;
    first.add(line);
    // Nothing is put off for so long: the clock went back.
    return nextAt <= now || nextAt - now > MOST_RETRY_AFTER_MS;
  });
}

/** What a try came to. A delivery that is no longer there, for its notice is acknowledged or over, only counts for the channel's health. */
export function delivered(state: NoticeState, id: string, channel: string, outcome: Outcome, now: number): NoticeState {
  const before = Object.hasOwn(state.channels, channel) ? state.channels[channel] : undefined;
  const health: ChannelHealth = outcome.ok
    ? { sentAt: now, failingSince: undefined, lastError: "" }
    : { sentAt: before?.sentAt, failingSince: before?.failingSince ?? now, lastError: cleanText(outcome.detail, MOST_DETAIL) };
  return {
    ...state,
    deliveries: state.deliveries.map((delivery) =>
      delivery.id === id && delivery.status === "waiting" ? tried(delivery, outcome, now) : delivery,
    ),
    channels: { ...state.channels, [channel]: health },
  };
}

function tried(delivery: KeptDelivery, outcome: Outcome, now: number): KeptDelivery {
  const tries = delivery.tries + 1;
  if (outcome.ok) return { ...delivery, tries, status: "sent", detail: "", nextAt: now };
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(10, tries - 1));
  const asked = Math.min(MOST_RETRY_AFTER_MS, Math.max(0, outcome.retryAfterMs ?? 0));
  const nextAt = now + Math.max(pause, asked);
  const detail = cleanText(outcome.detail, MOST_DETAIL);
  return { ...delivery, tries, detail, nextAt, status: nextAt - delivery.createdAt > GIVE_UP_MS ? "failed" : "waiting" };
}

/** Somebody looks after it: it is not told again and calls nobody else. Refused with what is the matter instead. */
export function acknowledge(
  state: NoticeState,
  id: string,
  by: string,
  via: NonNullable<Notice["acknowledged"]>["via"],
  now: number,
): { readonly state: NoticeState; readonly notice: KeptNotice } | { readonly refused: string } {
  const notice = state.notices.find((one) => one.id === id);
  if (notice === undefined)
    return { refused: `there is no notice ${JSON.stringify(id)}; \`crossfade notices list\` shows those there are` };
  // Who came first stays.
  if (notice.acknowledged !== undefined) return { state, notice };
  if (notice.severity === "info") return { refused: `${id} only tells something and asks for no acknowledgement` };
  if (notice.resolvedAt !== undefined) return { refused: `${id} is over since ${new Date(notice.resolvedAt).toISOString()}` };
  const acknowledged: KeptNotice = { ...notice, acknowledged: { by: cleanText(by, MOST_DETAIL), at: now, via } };
  return {
    notice: acknowledged,
    state: withoutCalls({ ...state, notices: state.notices.map((one) => (one.id === id ? acknowledged : one)) }, id),
  };
}

/** Without reminders and levels of a notice that still wait: nobody is called any more. */
export function withoutCalls(state: NoticeState, id: string): NoticeState {
  const calls = (one: KeptDelivery): boolean =>
    one.notice === id && one.status === "waiting" && (one.part === "again" || one.part === "level");
  return state.deliveries.some(calls) ? { ...state, deliveries: state.deliveries.filter((one) => !calls(one)) } : state;
}

/** As it is shown. */
export function viewOfNotices(state: NoticeState, { channels }: Notifications, sender: string | undefined): NoticesView {
  const waiting = Map.groupBy(
    state.deliveries.filter(({ status }) => status === "waiting"),
    ({ channel }) => channel,
  );
  return {
    sender,
    notices: state.notices.toReversed(),
    channels: channels.map(({ name, kind, language }): ChannelView => {
      const health = Object.hasOwn(state.channels, name) ? state.channels[name] : undefined;
      return {
        name,
        kind,
        language,
        waiting: waiting.get(name)?.length ?? 0,
        sentAt: health?.sentAt,
        failingSince: health?.failingSince,
        lastError: health?.lastError ?? "",
      };
    }),
    deliveries: state.deliveries.toReversed(),
  };
}

import { encodeNotices } from "./state-text.ts";
import { KEEP_MS, type KeptDelivery, type KeptNotice, MOST_STATE_BYTES, type NoticeState } from "./state.ts";
import { rankOf } from "./route.ts";

const MOST_NOTICES = 200;
/** Waiting for one channel: one that is dead must not take the room of the others. */
const MOST_WAITING = 60;
/** Sent or given up, to be shown. */
const MOST_DONE = 100;

/** Without what is too old to be shown, and of a size that a document may have. What waits and what lasts go last. */
export function bounded(state: NoticeState, now: number): NoticeState {
  let kept = withoutOld(state, now);
  kept = { ...kept, deliveries: fewer(kept) };
  while (kept.notices.length > MOST_NOTICES) kept = withoutLeast(kept);
  while (Buffer.byteLength(encodeNotices(kept)) > MOST_STATE_BYTES && kept.notices.length > 0) {
    // A tenth at a time, for to measure costs more than to drop.
    for (let i = Math.ceil(kept.notices.length / 10); i > 0; i--) kept = withoutLeast(kept);
  }
  const lost =
    state.deliveries.filter(({ status }) => status === "waiting").length -
    kept.deliveries.filter(({ status }) => status === "waiting").length;
  return lost === 0 ? kept : { ...kept, dropped: { ...kept.dropped, deliveries: kept.dropped.deliveries + lost } };
}

/** Those that are over for long, and have nothing more to say. */
function withoutOld(state: NoticeState, now: number): NoticeState {
  const waiting = new Set(state.deliveries.filter(({ status }) => status === "waiting").map(({ notice }) => notice));
  const old = ({ id, resolvedAt, flowEndsAt }: KeptNotice): boolean =>
    resolvedAt !== undefined && Math.max(resolvedAt, flowEndsAt) + KEEP_MS < now && !waiting.has(id);
  const gone = new Set(state.notices.filter(old).map(({ id }) => id));
  return gone.size === 0 ? state : withoutNotices(state, gone);
}

function withoutNotices(state: NoticeState, gone: ReadonlySet<string>): NoticeState {
  return {
    ...state,
    notices: state.notices.filter(({ id }) => !gone.has(id)),
    deliveries: state.deliveries.filter(({ notice }) => !gone.has(notice)),
    dropped: { ...state.dropped, notices: state.dropped.notices + gone.size },
  };
}

/** Over before lasting, then what matters less, then what is older. */
function withoutLeast(state: NoticeState): NoticeState {
  const worth = ({ resolvedAt, severity }: KeptNotice): number => (resolvedAt === undefined ? 10 : 0) + rankOf(severity);
  const least = state.notices.reduce<KeptNotice | undefined>(
    (found, one) => (found === undefined || worth(one) < worth(found) ? one : found),
    undefined,
  );
  return least === undefined ? state : withoutNotices(state, new Set([least.id]));
}

function fewer({ deliveries, notices }: NoticeState): readonly KeptDelivery[] {
  const info = new Set(notices.filter(({ severity }) => severity === "info").map(({ id }) => id));
  const gone = new Set<string>();
  const waiting = Map.groupBy(
    deliveries.filter(({ status }) => status === "waiting"),
    ({ channel }) => channel,
  );
  for (const own of waiting.values()) {
    const leastFirst = own.toSorted((a, b) => Number(info.has(b.notice)) - Number(info.has(a.notice)));
    for (const { id } of leastFirst.slice(0, Math.max(0, own.length - MOST_WAITING))) gone.add(id);
  }
  const done = deliveries.filter(({ status }) => status !== "waiting");
  for (const { id } of done.slice(0, Math.max(0, done.length - MOST_DONE))) gone.add(id);
  return gone.size === 0 ? deliveries : deliveries.filter(({ id }) => !gone.has(id));
}

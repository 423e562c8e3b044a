import type { Notifications } from "../config/config-told.ts";
import { bounded } from "./bounded.ts";
import { cleanFacts, cleanText } from "./clean.ts";
import { dueLevels, dueReminder } from "./escalate.ts";
import { dueMoment, replaced } from "./flow.ts";
import { observe, type SeenWorld } from "./happenings.ts";
import type { Happening } from "./notice.ts";
import { channelsFor, existing, rankOf } from "./route.ts";
import { type KeptDelivery, type KeptNotice, type NoticeState, withoutCalls } from "./state.ts";
import { deliveryOf, type Want, withWants } from "./wants.ts";

/** One look, from what is seen to what is to be sent: to be called about once a second, and its result kept before anything of it is sent. */
export function look(state: NoticeState, world: SeenWorld, now: number, notifications: Notifications): NoticeState {
  const { memory, happenings } = observe(state.seen, world);
  return { ...planNotices(state, happenings, now, notifications), seen: memory };
}

/**
 * Opens, groups and closes notices, and makes the deliveries that are due.
 *
 * - A happening of a group of which a notice is open, or was until `groupForMs` ago, is counted there and told by the next reminder. Of another kind it is news, and
 *   told. A worse one opens a notice of its own in the place of the other.
 * - What ends and comes again within `groupForMs` of the last word is told when that time is over, if it still lasts then.
 * - A channel is told one thing of a notice at a time: a level of an escalation before a moment of the flow, that before the first word, that before news, that before a reminder.
 * - Who comes late sends what is due now once, the highest level and the last moment, and says by how much.
 * - Nobody is called and nothing is repeated after an acknowledgement or the end. The flow goes on until a newer rollback of the flag takes its place.
 * - Without channels notices are kept all the same.
 *
 * The same state is given back where nothing changes.
 */
export function planNotices(state: NoticeState, happenings: readonly Happening[], now: number, notifications: Notifications): NoticeState {
  const plan = new Planning(state, now, notifications);
  for (const happening of happenings) plan.take(happening, happenings);
  plan.reconcile();
  const planned = plan.done();
  return planned === state ? state : bounded(planned, now);
}

/** A message that belongs to no trouble, to see whether a channel works. It is not kept. */
export function testOf(channel: string, by: string, now: number): { readonly notice: KeptNotice; readonly delivery: KeptDelivery } {
  const id = `test-${now}`;
  const facts = { by, channel };
  const notice = opened(
    { kind: "test", severity: "info", at: now, group: id, flag: undefined, facts, resolves: false },
    id,
    now,
    [channel],
    0,
  );
  const want: Want = { notice: id, part: "first", index: 0, dueAt: now, channels: [channel], policy: "" };
  return { notice, delivery: deliveryOf(want, channel, `${id}.1`, now) };
}

class Planning {
  readonly #now: number;
  readonly #notifications: Notifications;
  readonly #wants: Want[] = [];
  #state: NoticeState;

  constructor(state: NoticeState, now: number, notifications: Notifications) {
    this.#now = now;
    this.#notifications = notifications;
    this.#state = state;
  }

  take(happening: Happening, all: readonly Happening[]): void {
    const facts = cleanFacts(happening.facts);
    const known = this.#state.notices.findLast(({ group, severity }) => group === happening.group && severity !== "info");
    if (happening.resolves) {
      if (known !== undefined && known.resolvedAt === undefined) this.#close(known, { ...happening, facts }, all);
      // Who was told of it by the way is told of its end by the way.
      else if (this.#state.notices.some(({ group, severity }) => group === happening.group && severity === "info"))
        this.#open(happening, []);
    } else if (happening.severity === "info" && known?.resolvedAt !== undefined) this.#tell(happening);
    else if (known === undefined) this.#tell(happening);
    else if (rankOf(happening.severity) > rankOf(known.severity)) this.#replace(known, happening);
    else if (known.resolvedAt === undefined) this.#goOn(known, { ...happening, facts });
    else if (happening.at - known.resolvedAt < this.#notifications.groupForMs) this.#reopen(known, { ...happening, facts });
    else this.#open(happening, []);
  }

  /** Opens one, unless it only tells what was told just now. */
  #tell(happening: Happening): void {
    const { kind, group, severity, at } = happening;
    const facts = JSON.stringify(cleanFacts(happening.facts));
    const same =
      severity === "info"
        ? this.#state.notices.findLast((one) => one.kind === kind && one.group === group && JSON.stringify(one.facts) === facts)
        : undefined;
    if (same === undefined || at - same.lastAt >= this.#notifications.groupForMs) this.#open(happening, []);
    else this.#put({ ...same, count: same.count + 1, lastAt: Math.max(same.lastAt, at) });
  }

  #open(happening: Happening, heard: readonly string[]): void {
    const { rollbackFlow } = this.#notifications;
    const at = Math.min(happening.at, this.#now);
    const id = `ntc-${this.#state.next}`;
    const flowMs = happening.kind === "rollout-rolling-back" ? Math.max(0, ...rollbackFlow.map(({ afterMs }) => afterMs)) : 0;
    const notice = opened({ ...happening, at }, id, this.#now, heard, flowMs === 0 ? 0 : at + flowMs);
    this.#state = { ...this.#state, next: this.#state.next + 1, notices: [...this.#state.notices, notice] };
    this.#want(notice, { part: "first", index: 0, dueAt: at, channels: channelsFor(this.#notifications, notice.severity, notice.kind) });
  }

  #close(notice: KeptNotice, { kind, facts, at, flag }: Happening, all: readonly Happening[]): void {
    const resolvedAt = Math.max(notice.openedAt, Math.min(at, this.#now));
    const ended = { kind, facts };
    const closed = { ...notice, resolvedAt, lastAt: Math.max(notice.lastAt, resolvedAt), ended };
    this.#put(notice.told === "over" ? closed : { ...closed, told: "over", toldAt: this.#now });
    this.#state = withoutCalls(this.#state, notice.id);
    // It came again and went again before anybody was told.
    if (notice.told === "over") return;
    // The same is told as something of its own as well: who hears that needs no second word of it.
    const companions = all.filter((one) => !one.resolves && one.kind === kind && one.flag === flag && one.at === at);
    const others = new Set(companions.flatMap((one) => channelsFor(this.#notifications, one.severity, one.kind)));
    const channels = this.#heard(notice).filter((channel) => !others.has(channel));
    this.#want(notice, { part: "end", index: 0, dueAt: resolvedAt, channels });
  }

  #replace(notice: KeptNotice, happening: Happening): void {
    if (notice.resolvedAt === undefined) {
      this.#put({ ...notice, resolvedAt: this.#now, told: "over", toldAt: this.#now });
      this.#state = withoutCalls(this.#state, notice.id);
      // Those who heard of the lesser one hear when the worse one is over.
      this.#open(happening, this.#heard(notice));
    } else this.#open(happening, []);
  }

  #goOn(notice: KeptNotice, { kind, facts, at }: Happening): void {
    const lastAt = Math.max(notice.lastAt, Math.min(at, this.#now));
    const merged = cleanFacts({ ...notice.facts, ...facts });
    if (kind === notice.latest) {
      this.#put({ ...notice, count: notice.count + (kind === notice.kind ? 1 : 0), lastAt, facts: merged });
      if (kind === notice.kind || JSON.stringify(merged) === JSON.stringify(notice.facts)) return;
    }
    const news = notice.news + 1;
    this.#put({ ...notice, latest: kind, facts: merged, lastAt, news });
    const channels = [...new Set([...this.#heard(notice), ...channelsFor(this.#notifications, notice.severity, kind)])];
    this.#want(notice, { part: "news", index: news, dueAt: lastAt, channels });
  }

  #reopen(notice: KeptNotice, { facts, at, kind }: Happening): void {
    const lastAt = Math.max(notice.lastAt, Math.min(at, this.#now));
    const again = { resolvedAt: undefined, ended: undefined, latest: kind, count: notice.count + 1 };
    this.#put({ ...notice, ...again, lastAt, facts: cleanFacts({ ...notice.facts, ...facts }) });
  }

  /** What time alone makes due. */
  reconcile(): void {
    const old = replaced(this.#state.notices);
    for (const notice of this.#state.notices) {
      if (notice.severity === "info") continue;
      if (old.has(notice.id)) this.#endFlow(notice);
      else this.#flow(notice);
      this.#levels(notice);
      this.#again(notice);
    }
  }

  #flow(notice: KeptNotice): void {
    const due = dueMoment(notice, this.#notifications.rollbackFlow, this.#now);
    if (due === undefined) return;
    this.#change(notice.id, { flow: due.index + 1 });
    this.#want(notice, { part: "flow", ...due });
  }

  #endFlow({ id, flowEndsAt }: KeptNotice): void {
    if (flowEndsAt === 0) return;
    this.#change(id, { flow: Number.MAX_SAFE_INTEGER, flowEndsAt: 0 });
    const { deliveries } = this.#state;
    this.#state = {
      ...this.#state,
      deliveries: deliveries.filter(({ notice, part, status }) => notice !== id || part !== "flow" || status !== "waiting"),
    };
  }

  #levels(notice: KeptNotice): void {
    for (const { policy, level, dueAt, channels } of dueLevels(notice, this.#notifications.escalations, this.#now)) {
      const { levels = {} } = this.#state.notices.find(({ id }) => id === notice.id) ?? {};
      this.#change(notice.id, { levels: { ...levels, [policy]: level } });
      this.#want(notice, { part: "level", index: level, dueAt, channels, policy });
    }
  }

  #again(notice: KeptNotice): void {
    const { reminders, groupForMs } = this.#notifications;
    const channels = channelsFor(this.#notifications, notice.severity, notice.kind);
    const cameAgain = notice.resolvedAt === undefined && notice.told === "over" && this.#now - notice.toldAt >= groupForMs;
    if (cameAgain) {
      this.#change(notice.id, { told: "open", toldAt: this.#now });
      this.#want(notice, {
        part: "again",
        index: notice.count,
        dueAt: notice.toldAt + groupForMs,
        channels: [...channels, ...notice.heard],
      });
    }
    const reminder = dueReminder(notice, reminders, this.#now);
    if (reminder === undefined) return;
    this.#change(notice.id, { remindedAt: reminder.dueAt });
    // A repetition of what they believe to be over would say too little: it comes with the word that it came again.
    if (notice.told === "open") this.#want(notice, { part: "again", ...reminder, channels });
  }

  done(): NoticeState {
    const { channels } = this.#notifications;
    const gone = this.#state.deliveries.some(({ channel, status }) => status === "waiting" && existing(channels, [channel]).length === 0);
    if (gone) {
      const deliveries = this.#state.deliveries.filter(
        ({ channel, status }) => status !== "waiting" || existing(channels, [channel]).length > 0,
      );
      this.#state = { ...this.#state, deliveries };
    }
    return withWants(this.#state, this.#wants, this.#now);
  }

  /** Who was sent anything of it, or will be by this look. */
  #heard({ id, heard }: KeptNotice): readonly string[] {
    return [...new Set([...heard, ...this.#wants.filter(({ notice }) => notice === id).flatMap(({ channels }) => channels)])];
  }

  #want({ id }: KeptNotice, want: Omit<Want, "notice" | "policy"> & { readonly policy?: string }): void {
    const channels = existing(this.#notifications.channels, want.channels);
    this.#wants.push({ policy: "", ...want, notice: id, channels });
  }

  #change(id: string, change: Partial<KeptNotice>): void {
    const notice = this.#state.notices.find((one) => one.id === id);
    if (notice !== undefined) this.#put({ ...notice, ...change });
  }

  #put(notice: KeptNotice): void {
    this.#state = { ...this.#state, notices: this.#state.notices.map((one) => (one.id === notice.id ? notice : one)) };
  }
}

/** `info` is over as soon as it is told. */
function opened(
  { kind, severity, group, flag, facts, at }: Happening,
  id: string,
  now: number,
  heard: readonly string[],
  flowEndsAt: number,
): KeptNotice {
  return {
    id,
    kind,
    severity,
    group: cleanText(group, 300),
    flag,
    facts: cleanFacts(facts),
    openedAt: at,
    lastAt: at,
    count: 1,
    acknowledged: undefined,
    resolvedAt: severity === "info" ? at : undefined,
    levels: {},
    latest: kind,
    ended: undefined,
    heard,
    told: "open",
    toldAt: now,
    remindedAt: 0,
    flow: 0,
    flowEndsAt,
    made: 0,
    news: 0,
  };
}

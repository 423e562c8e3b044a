import { setTimeout as delay } from "node:timers/promises";
import type { Channel, Notifications } from "../config/config-told.ts";
import { Refused } from "../controller/desk.ts";
import { randomHex } from "../core/random-id.ts";
import type { DocumentStore } from "../store/documents.ts";
import { DocumentConflict, Fenced, type Lease } from "../store/rollout-store.ts";
import { type StoreHealth, StoreUnavailable } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import { readLink } from "./ack-link.ts";
import type { Send } from "./channels/message.ts";
import type { SeenWorld } from "./happenings.ts";
import { KeptNotices } from "./kept.ts";
import { LostStore } from "./lost-store.ts";
import type { Notice, NoticesView } from "./notice.ts";
import type { LinkCheck, NoticeOperations, TestResult, Via } from "./operations.ts";
import { type Ended, messageId, Outbox } from "./outbox.ts";
import { look, testOf } from "./plan-notices.ts";
import { acknowledge, delivered, dueDeliveries, type KeptDelivery, type KeptNotice, type NoticeState, viewOfNotices } from "./state.ts";
import { subjectOf } from "./subject.ts";

export interface NoticeDeskParts {
  readonly instance: string;
  readonly notifications: Notifications;
  readonly documents: DocumentStore;
  /** Of this instance. */
  readonly storeHealth: () => StoreHealth;
  /** What is to be seen. Without a store: what can be seen without it. */
  readonly look: (now: number) => Promise<Omit<SeenWorld, "store">>;
  /** Of the links by which people acknowledge. */
  readonly key: Uint8Array;
  readonly log: Log;
  readonly create?: (channel: Channel) => Send;
  readonly now?: () => number;
  /** Time between two looks. Default: 1 s. */
  readonly everyMs?: number;
  /** How long whoever sends is taken to be alive without a sign. Default: 5 s. */
  readonly leaseMs?: number;
}

const EVERY_MS = 1_000;
const LEAST_PAUSE_MS = 10;
const LEASE_MS = 5_000;
/** The document is written at least so often, so that the next one to send knows until when was looked. */
const WRITE_EVERY_MS = 30_000;
/** How old what is known may be on an instance that does not send. */
const FOLLOW_MS = 5_000;
/** At the end: for messages under way, then for what is left to be written. */
const CLOSE_MS = 2_000;
const LAST_WORDS_MS = 1_000;

/**
 * Sees what happens, decides who is told, and sees to it that they are. Of all instances one does, under the lease of the document "notices"; every
 * step is written before anything of it is sent, so whoever sends next goes on from there. Without the store the one that sent goes on in memory.
 */
export class NoticeDesk implements NoticeOperations {
  readonly #parts: NoticeDeskParts;
  readonly #now: () => number;
  readonly #kept: KeptNotices;
  readonly #outbox: Outbox;
  readonly #lost: LostStore;
  readonly #closing = new AbortController();
  #wanted = false;
  #lease: Lease | undefined;
  /** What it came to since the store was last there; only on the instance that sent then. */
  #memory: NoticeState | undefined;
  /** Of the document from which the memory goes on. */
  #memoryOf = 0;
  /** What of it is in the memory already. */
  #inMemory = new Set<Ended>();
  /** Acknowledged in memory, and not yet in the document: whoever sends by then must know. */
  #promised: readonly { readonly notice: Pick<Notice, "id" | "openedAt">; readonly who: string; readonly via: Via; readonly at: number }[] =
    [];
  #away = false;
  #turn: Promise<unknown> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  #nudged: () => void = () => undefined;

  constructor(parts: NoticeDeskParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.#kept = new KeptNotices(parts, this.#now);
    const { notifications, key, log, create } = parts;
    const shared = { notifications, key, log, now: this.#now, onEnd: () => this.#nudged(), ...(create === undefined ? {} : { create }) };
    this.#outbox = new Outbox(shared);
    this.#lost = new LostStore({ ...shared, instance: parts.instance });
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends soon, whatever is under way: what was not sent is sent by the next one. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await Promise.all([this.#outbox.close(CLOSE_MS), this.#lost.close(CLOSE_MS)]);
    const last = this.#alone(async () => {
      await this.#recordAsGuest();
      if (this.#lease !== undefined) await this.#parts.documents.resign("notices", this.#lease);
    }).catch(() => undefined);
    const over = new AbortController();
    await Promise.race([last, delay(LAST_WORDS_MS, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
  }

  view(flag?: string): NoticesView {
    this.#wanted = true;
    const { instance, notifications } = this.#parts;
    const sender = this.#lease !== undefined ? instance : this.#away ? undefined : this.#kept.sender;
    const view = viewOfNotices(this.#state, notifications, sender);
    if (flag === undefined) return view;
    const notices = view.notices.filter((notice) => notice.flag === undefined || notice.flag === flag);
    const ids = new Set(notices.map(({ id }) => id));
    return { ...view, notices, deliveries: view.deliveries.filter(({ notice }) => ids.has(notice)) };
  }

  async refresh(): Promise<void> {
    if (this.#lease !== undefined) return;
    await this.#alone(() => this.#kept.load()).catch(() => undefined);
  }

  acknowledge(id: string, { who, reason }: { readonly who: string; readonly reason: string }, via: Via): Promise<Notice> {
    return this.#alone(async () => {
      const change = (before: NoticeState): { readonly state: NoticeState; readonly result: Notice } => {
        const answer = acknowledge(before, id, who, via, this.#now());
        if ("refused" in answer) throw new Refused(sentence(answer.refused));
        return { state: answer.state, result: answer.notice };
      };
      const { log } = this.#parts;
      const done = (notice: Notice): Notice => {
        if (notice.acknowledged?.by === who) log.info({ notice: id, kind: notice.kind, by: who, via, reason }, "notice acknowledged");
        this.#nudged();
        return notice;
      };
      if (this.#memory !== undefined) {
        const { state, result } = change(this.#memory);
        if (state !== this.#memory) this.#promised = [...this.#promised, { notice: result, who, via, at: this.#now() }];
        this.#memory = state;
        return done(result);
      }
      return done(await this.#kept.change(change));
    });
  }

  async test(name: string, by: string): Promise<TestResult> {
    const { notifications } = this.#parts;
    const now = this.#now();
    const { delivery, notice } = testOf(name, by, now);
    const began = performance.now();
    const sent = await this.#outbox.once(name, delivery, notice, `test-${randomHex(6)}.${now}`);
    if (sent === undefined) {
      const known = notifications.channels.map((channel) => channel.name).join(", ") || "none; define it under notifications.channels";
      throw new Refused(`There is no channel ${JSON.stringify(name.slice(0, 100))}, or it is off. Known: ${known}.`);
    }
    this.#parts.log.info({ channel: name, by, ok: sent.ok }, "a channel was tested");
    return { channel: name, ok: sent.ok, detail: sent.ok ? (sent.remark ?? "") : sent.detail, ms: Math.round(performance.now() - began) };
  }

  async checkLink(id: string, query: URLSearchParams): Promise<LinkCheck> {
    const find = (): KeptNotice | undefined => this.#state.notices.find((notice) => notice.id === id);
    // It may have been made by another instance a moment ago, and acknowledged by a third.
    if (this.#kept.isOlder(FOLLOW_MS) || find() === undefined) await this.refresh();
    const notice = find();
    if (notice === undefined) return { kind: "wrong" };
    const read = readLink(notice, query, this.#parts.key, this.#now());
    if (typeof read === "string") return { kind: read };
    return { kind: "good", by: read.by, notice, subject: subjectOf(notice, query.get("lang") === "fr" ? "fr" : "en", this.#now()) };
  }

  /** What is known best. */
  get #state(): NoticeState {
    return this.#memory ?? this.#kept.state;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const nudge = Promise.withResolvers<void>();
      this.#nudged = nudge.resolve;
      await this.#alone(() => this.#once()).catch((error: unknown) => {
        this.#parts.log.error({ err: error }, "notices could not be looked after this time; it is tried again");
      });
      const over = new AbortController();
      const pause = delay(this.#parts.everyMs ?? EVERY_MS, undefined, { signal: AbortSignal.any([signal, over.signal]) }).catch(
        () => undefined,
      );
      await Promise.race([pause, nudge.promise]);
      over.abort();
      // However much there is to do, others have their turn.
      await delay(LEAST_PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One thing at a time may change what is kept. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #once(): Promise<void> {
    const { documents, leaseMs = LEASE_MS } = this.#parts;
    const now = this.#now();
    try {
      const lease = await documents.lead("notices", leaseMs);
      const led = this.#lease !== undefined;
      this.#lease = lease;
      if (lease === undefined) await this.#follow();
      else await this.#leadOn(lease, !led, now);
      this.#lost.storeIsBack(now);
      this.#away = false;
    } catch (error) {
      // It may be there for everything else: then only the error says what is the matter.
      if (error instanceof StoreUnavailable) await this.#goOnAlone(this.#parts.storeHealth().message || error.message, now);
      else if (error instanceof Fenced || error instanceof DocumentConflict) this.#dropWhatIsStale(error);
      else throw error;
    }
  }

  /** Somebody else wrote: looked at again in the next turn, which comes at once. */
  #dropWhatIsStale(error: Fenced | DocumentConflict): void {
    if (error instanceof Fenced) this.#lease = undefined;
    this.#nudged();
  }

  /** Another instance sends. */
  async #follow(): Promise<void> {
    this.#memory = undefined;
    this.#inMemory.clear();
    if (this.#outbox.ended.length > 0 || this.#promised.length > 0) await this.#recordAsGuest();
    else if (this.#wanted || this.#kept.isOlder(FOLLOW_MS)) await this.#kept.load();
    this.#wanted = false;
  }

  async #leadOn(lease: Lease, isNew: boolean, now: number): Promise<void> {
    if (!(await this.#kept.load())) {
      // Whoever understands the document shall look after it.
      this.#lease = undefined;
      await this.#parts.documents.resign("notices", lease);
      return;
    }
    // If somebody else has written meanwhile, that counts, and what was sent here is recorded in it.
    const mine = this.#memoryOf === this.#kept.version ? this.#memory : undefined;
    const base = this.#kept.state;
    const ended = this.#outbox.ended;
    const recorded =
      mine === undefined
        ? this.#keepPromises(this.#record(base, ended))
        : this.#record(
            mine,
            ended.filter((one) => !this.#inMemory.has(one)),
          );
    const { state, begin } = await this.#plan(recorded, now, { up: true, message: "" });
    if (isNew || this.#memory !== undefined || ended.length > 0 || differs(base, state) || this.#kept.isUnwritten(WRITE_EVERY_MS))
      await this.#kept.write(state, lease);
    this.#memory = undefined;
    this.#inMemory.clear();
    this.#promised = [];
    this.#outbox.forget(ended);
    begin();
  }

  /** The one that sent when the store was there last goes on in memory; any other tells of nothing but the store. */
  async #goOnAlone(why: string, now: number): Promise<void> {
    this.#away = true;
    if (this.#lease === undefined) {
      this.#lost.storeIsLost(why, now);
      return;
    }
    if (this.#memory === undefined) this.#memoryOf = this.#kept.version;
    const fresh = this.#outbox.ended.filter((one) => !this.#inMemory.has(one));
    const { state, begin } = await this.#plan(this.#record(this.#state, fresh), now, { up: false, message: why });
    this.#memory = state;
    for (const one of fresh) this.#inMemory.add(one);
    begin();
  }

  /** What follows from what is seen. `begin` sends what is due; before that the state must be kept. */
  async #plan(
    state: NoticeState,
    now: number,
    store: SeenWorld["store"],
  ): Promise<{ readonly state: NoticeState; readonly begin: () => void }> {
    const { notifications } = this.#parts;
    const planned = look(state, { ...(await this.#parts.look(now)), store }, now, notifications);
    const noticeOf = ({ notice }: KeptDelivery): KeptNotice | undefined => planned.notices.find(({ id }) => id === notice);
    const chosen = this.#closing.signal.aborted ? [] : this.#outbox.startable(dueDeliveries(planned, now), noticeOf);
    const begin = (): void => {
      for (const delivery of chosen) {
        const notice = noticeOf(delivery);
        if (notice !== undefined) this.#outbox.begin(delivery, notice);
      }
    };
    return { state: this.#outbox.claim(planned, chosen, now), begin };
  }

  #record(state: NoticeState, ended: readonly Ended[]): NoticeState {
    const openedAt = new Map(state.notices.map((notice) => [notice.id, notice]));
    return ended.reduce((before, { id, channel, message, outcome, at }) => {
      const delivery = before.deliveries.find((one) => one.id === id);
      const notice = delivery && openedAt.get(delivery.notice);
      const same = delivery !== undefined && notice !== undefined && messageId(delivery, notice) === message;
      // One that is gone, or another's of the same number, only tells how the channel is.
      return delivered(before, same ? id : "", channel, outcome, at);
    }, state);
  }

  #keepPromises(state: NoticeState): NoticeState {
    return this.#promised.reduce((before, { notice: { id, openedAt }, who, via, at }) => {
      const isThere = before.notices.some((notice) => notice.id === id && notice.openedAt === openedAt);
      const answer = isThere ? acknowledge(before, id, who, via, at) : { refused: "" };
      // What is over by now needs nobody who looks after it.
      return "refused" in answer ? before : answer.state;
    }, state);
  }

  /** What this instance sent and promised when it still was the one that does, or at its end. */
  async #recordAsGuest(): Promise<void> {
    const ended = this.#outbox.ended;
    if (ended.length === 0 && this.#promised.length === 0) return;
    await this.#kept.change((state) => ({ state: this.#keepPromises(this.#record(state, ended)), result: undefined }));
    this.#outbox.forget(ended);
    this.#promised = [];
  }
}

function differs(before: NoticeState, after: NoticeState): boolean {
  if (before.notices !== after.notices || before.deliveries !== after.deliveries || before.channels !== after.channels) return true;
  return JSON.stringify(before.seen) !== JSON.stringify(after.seen);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

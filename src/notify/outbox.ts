import type { Channel, Notifications } from "../config/config-told.ts";
import type { Log } from "../telemetry/log.ts";
import { ackLink } from "./ack-link.ts";
import { createSend } from "./channels/create.ts";
import type { Message, Send, Sent } from "./channels/message.ts";
import type { KeptDelivery, KeptNotice, NoticeState, Outcome } from "./state.ts";
import { wordsOf } from "./words.ts";

export interface OutboxParts {
  readonly notifications: Notifications;
  /** Of links by which people acknowledge. */
  readonly key: Uint8Array;
  readonly log: Log;
  readonly now: () => number;
  readonly create?: (channel: Channel) => Send;
  /** Some message has come to an end. */
  readonly onEnd: () => void;
}

/** What became of a message, not yet in the document. */
export interface Ended {
  /** Of the delivery. */
  readonly id: string;
  readonly channel: string;
  /** Tells it from a delivery of the same number in another document. */
  readonly message: string;
  readonly outcome: Outcome;
  readonly at: number;
}

/** Messages to one channel under way at a time: a slow one keeps its own line waiting, and nobody else. */
const AT_A_TIME = 2;
const EVERYWHERE = 32;
/** A message that was begun and of which nothing is known is begun again so long after its time limit. */
const CLAIM_MARGIN_MS = 5_000;

/** Equal for the same message in every try, on whichever instance. */
export function messageId({ id }: Pick<KeptDelivery, "id">, { openedAt }: Pick<KeptNotice, "openedAt">): string {
  return `${id.replaceAll(/[^\w.-]/g, "-")}.${openedAt}`;
}

/** Messages on their way. Each is sent in the background; none keeps another channel's waiting. */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #channels: ReadonlyMap<string, { readonly channel: Channel; readonly send: Send }>;
  readonly #underWay = new Map<string, { readonly channel: string; readonly end: Promise<void> }>();
  readonly #closing = new AbortController();
  readonly #failing = new Set<string>();
  #ended: readonly Ended[] = [];

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    const create = parts.create ?? createSend;
    this.#channels = new Map(parts.notifications.channels.map((channel) => [channel.name, { channel, send: create(channel) }]));
  }

  /** What came to an end and is not in the document yet, in order. */
  get ended(): readonly Ended[] {
    return this.#ended;
  }

  /** They are in the document, or mean nothing to it. */
  forget(those: readonly Ended[]): void {
    this.#ended = this.#ended.filter((one) => !those.includes(one));
  }

  get busy(): boolean {
    return this.#underWay.size > 0;
  }

  /** Which of these may be begun now: those that are neither under way nor ended, as many as each channel takes at a time. */
  startable(due: readonly KeptDelivery[], noticeOf: (delivery: KeptDelivery) => KeptNotice | undefined): readonly KeptDelivery[] {
    const counts = new Map<string, number>();
    for (const { channel } of this.#underWay.values()) counts.set(channel, (counts.get(channel) ?? 0) + 1);
    let all = this.#underWay.size;
    return due.filter((delivery) => {
      const notice = noticeOf(delivery);
      const count = counts.get(delivery.channel) ?? 0;
      if (notice === undefined || count >= AT_A_TIME || all >= EVERYWHERE) return false;
      const message = messageId(delivery, notice);
      if (this.#underWay.has(message) || this.#ended.some((one) => one.message === message)) return false;
      counts.set(delivery.channel, count + 1);
      all++;
      return true;
    });
  }

  /** The state in which these are being sent, so that whoever takes over leaves them alone until their time is over. */
  claim(state: NoticeState, those: readonly KeptDelivery[], now: number): NoticeState {
    if (those.length === 0) return state;
    const ids = new Set(those.map(({ id }) => id));
    const until = (name: string): number => now + (this.#channels.get(name)?.channel.timeoutMs ?? 0) + CLAIM_MARGIN_MS;
    return {
      ...state,
      deliveries: state.deliveries.map((delivery) => (ids.has(delivery.id) ? { ...delivery, nextAt: until(delivery.channel) } : delivery)),
    };
  }

  begin(delivery: KeptDelivery, notice: KeptNotice): void {
    const message = messageId(delivery, notice);
    const end = this.#send(delivery, notice, message).then((outcome) => {
      this.#underWay.delete(message);
      // Never changed in place: whoever writes some of them down forgets those, and no later ones.
      this.#ended = [...this.#ended, { id: delivery.id, channel: delivery.channel, message, outcome, at: this.#parts.now() }];
      this.#parts.onEnd();
    });
    this.#underWay.set(message, { channel: delivery.channel, end });
  }

  /** Lets what is under way end for so long, then calls it off. */
  async close(graceMs: number): Promise<void> {
    const all = Promise.all([...this.#underWay.values()].map(({ end }) => end));
    const timer = setTimeout(() => this.#closing.abort(), graceMs);
    await all;
    clearTimeout(timer);
    this.#closing.abort();
  }

  /** One message to one channel beside all others. Undefined: there is no such channel. */
  async once(name: string, delivery: KeptDelivery, notice: KeptNotice, id: string): Promise<Sent | undefined> {
    const found = this.#channels.get(name);
    return found && (await this.#try(found, delivery, notice, id));
  }

  async #send(delivery: KeptDelivery, notice: KeptNotice, id: string): Promise<Outcome> {
    const found = this.#channels.get(delivery.channel);
    if (found === undefined) return { ok: false, detail: "there is no such channel any more, or it is off" };
    const sent = await this.#try(found, delivery, notice, id);
    this.#tell(delivery, notice, sent);
    return sent.ok ? { ok: true } : { ok: false, detail: sent.detail, retryAfterMs: sent.retryAfterMs };
  }

  async #try(
    { channel, send }: { readonly channel: Channel; readonly send: Send },
    delivery: KeptDelivery,
    notice: KeptNotice,
    id: string,
  ): Promise<Sent> {
    const { log, now } = this.#parts;
    try {
      return await send(this.#message(channel, delivery, notice, id, now()), this.#closing.signal);
    } catch (error) {
      // The error may quote what it could not handle, so it is named by its kind alone.
      const kind = error instanceof Error ? error.name : typeof error;
      log.error({ notice: notice.id, kind: notice.kind, channel: channel.name, error: kind }, "a message could not be made or sent");
      return { ok: false, detail: `the message could not be made or sent (${kind})` };
    }
  }

  #message(channel: Channel, delivery: KeptDelivery, notice: KeptNotice, id: string, at: number): Message {
    const { notifications, key } = this.#parts;
    const { url } = notifications;
    const { name: by, language } = channel;
    const open =
      notice.severity !== "info" && notice.acknowledged === undefined && notice.resolvedAt === undefined && notice.kind !== "test";
    const link = url !== undefined && open ? ackLink(notice, { url, key, by, language }, at) : undefined;
    const words = wordsOf(notice, delivery, language, { acknowledge: link, dashboard: url === undefined ? undefined : `${url}/` }, at);
    return { id, words, notice, delivery, link, at };
  }

  #tell({ channel, part, tries }: KeptDelivery, notice: KeptNotice, sent: Sent): void {
    const { log } = this.#parts;
    const about = { channel, notice: notice.id, kind: notice.kind, part, try: tries + 1 };
    if (sent.ok) {
      const again = this.#failing.delete(channel);
      if (sent.remark === undefined) log.info(about, again ? "notice sent: the channel works again" : "notice sent");
      else log.warn({ ...about, detail: sent.remark }, "notice sent, but not to everybody");
      return;
    }
    // A dead channel is shown, and told of once.
    if (this.#failing.has(channel)) return;
    this.#failing.add(channel);
    log.warn({ ...about, detail: sent.detail }, "a notice could not be sent; it is tried again");
  }
}

import type { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Operations, Status } from "../operations.ts";
import { Composer, type Recent } from "./compose.ts";
import { History, pointsBefore, STEP_MS } from "./history.ts";
import { pointOf, unknownPoint } from "./point.ts";
import { RecentFallbacks } from "./recent-fallbacks.ts";
import type { LivePoint } from "./view.ts";
import { eventOf, Viewers } from "./viewers.ts";

/** Told of what nobody foresaw. */
export type OnError = (error: unknown, request: string) => void;

const EVERY_MS = 1_000;
/** The figures of a second are on their way for so long, and the leader needs a moment to look at them. */
const ARRIVAL_MS = 120;
/** Between two views, however much happens. */
const LEAST_GAP_MS = 100;
/** What was seen last is given to whoever comes within that time. */
const FRESH_MS = 1_500;
/** Newest figures are that old at most where clocks agree. */
const NEAR_MS = 5_000;

/** Looks at one flag every second while somebody is looking, else just often enough to know the last hour when somebody comes. */
export class LiveFeed {
  readonly #operations: Operations;
  readonly #flag: string;
  readonly #onError: OnError;
  readonly #composer: Composer;
  readonly #viewers = new Viewers();
  readonly #history = new History();
  readonly #fallbacks = new RecentFallbacks();
  readonly #routes: ReadonlySet<string>;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** What the viewers were given last, and when that was; steady clock. */
  #last: { readonly bytes: Buffer; readonly at: number } | undefined;
  #hour: { readonly newest: number; readonly bytes: Buffer } | undefined;
  /** Of the last point; of the store's clock. */
  #second = -Infinity;
  /** The store's clock less this one's. */
  #clockOffMs = 0;
  #isFilled = false;
  /** There has been a first look, and with it the history of before. */
  readonly #begun = Promise.withResolvers<void>();
  #arriving = 0;
  #isWanted = false;
  #wake: (() => void) | undefined;
  #trouble = "";

  constructor(operations: Operations, flag: string, onError: OnError) {
    this.#operations = operations;
    this.#flag = flag;
    this.#onError = onError;
    this.#composer = new Composer(operations, flag);
    const { routes } = operations.config;
    this.#routes = new Set(routes.filter(({ action }) => action.kind === "split" && action.flag === flag).map(({ name }) => name));
    this.#running = this.#run();
  }

  get viewers(): number {
    return this.#viewers.count + this.#arriving;
  }

  /** The response is given the last hour, what was seen last, and from then on what is seen. */
  add(response: ServerResponse): void {
    this.#arriving++;
    void this.#begun.promise.then(() => {
      this.#arriving--;
      this.#greet(response);
    });
  }

  #greet(response: ServerResponse): void {
    const isFresh = this.#last !== undefined && performance.now() - this.#last.at < FRESH_MS;
    this.#viewers.add(response, [this.#hourAsEvent(), ...(isFresh && this.#last !== undefined ? [this.#last.bytes] : [])]);
    if (!isFresh) this.nudge();
  }

  /** Looks at once, if anybody is looking. */
  nudge(): void {
    if (this.#viewers.count === 0) return;
    this.#isWanted = true;
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#viewers.end();
    this.#wake?.();
    await this.#running;
    // Whoever came in the meantime.
    this.#viewers.end();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const began = performance.now();
      this.#isWanted = false;
      await this.#lookSafely();
      this.#begun.resolve();
      await this.#pause();
      const rest = LEAST_GAP_MS - (performance.now() - began);
      if (rest > 0) await delay(rest, undefined, { signal }).catch(() => {});
    }
  }

  /** Until just after the next whole second of the wall clock, by which all instances publish, or until it is nudged. */
  async #pause(): Promise<void> {
    if (this.#isWanted || this.#closing.signal.aborted) return;
    const everyMs = this.#viewers.count > 0 ? EVERY_MS : STEP_MS;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    // A timer may be early by a millisecond.
    const timer = setTimeout(resolve, everyMs - ((Date.now() - ARRIVAL_MS) % everyMs) + 1);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }

  async #lookSafely(): Promise<void> {
    try {
      if (this.#viewers.count > 0) await this.#look();
      else await this.#glance();
      this.#trouble = "";
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error);
      // What nobody has asked for is nobody's request that failed.
      if (trouble !== this.#trouble && this.#viewers.count > 0) this.#onError(error, `GET /api/live?flag=${this.#flag}`);
      this.#trouble = trouble;
    }
  }

  async #look(): Promise<void> {
    const { view, recent } = await this.#composer.view((status) => this.#countFallbacks(status));
    const point = await this.#point(recent);
    const text = eventOf("view", view) + (point === undefined ? "" : eventOf("point", point));
    const bytes = Buffer.from(text);
    this.#last = { bytes, at: performance.now() };
    this.#viewers.send(bytes);
  }

  async #glance(): Promise<void> {
    this.#countFallbacks(this.#operations.status());
    await this.#point(await this.#composer.recent());
  }

  /** Of the second that is just over; undefined where it has been told already. */
  async #point(recent: Recent | undefined): Promise<LivePoint | undefined> {
    if (recent !== undefined && !this.#isFilled) {
      this.#isFilled = true;
      this.#history.putBefore(await pointsBefore(recent.to, this.#operations, this.#flag, this.#closing.signal));
      this.#hour = undefined;
    }
    const now = Date.now();
    // Instants are the store's, whoever's clock differs.
    if (recent !== undefined) this.#clockOffMs = Math.abs(recent.to - now) < NEAR_MS ? 0 : recent.to - now;
    const at = recent?.to ?? Math.floor((now + this.#clockOffMs) / EVERY_MS) * EVERY_MS;
    // Figures end a moment before or after the whole second.
    const second = Math.round(at / EVERY_MS);
    if (second <= this.#second) return undefined;
    this.#second = second;
    const percentage = (this.#operations.flag(this.#flag)?.settings.weightBp ?? Number.NaN) / 100;
    const point = recent === undefined ? unknownPoint(at, percentage) : pointOf(recent.tenSeconds, at, percentage);
    this.#history.add(point);
    return point;
  }

  #countFallbacks({ traffic }: Status): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { route, fallbacks } of traffic) {
      if (!this.#routes.has(route)) continue;
      for (const [reason, count] of Object.entries(fallbacks)) counts[reason] = (counts[reason] ?? 0) + count;
    }
    this.#fallbacks.take(performance.now(), counts);
    return this.#fallbacks.lastMinute;
  }

  /** The same bytes for everybody who comes before the next point. */
  #hourAsEvent(): Buffer {
    const { newest } = this.#history;
    if (this.#hour?.newest !== newest) {
      const points = this.#history.since(Date.now() + this.#clockOffMs);
      this.#hour = { newest, bytes: Buffer.from(eventOf("history", points)) };
    }
    return this.#hour.bytes;
  }
}

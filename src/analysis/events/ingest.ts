import { setImmediate as othersFirst } from "node:timers/promises";
import type { Flag } from "../../config/config.ts";
import type { FlagState } from "../../rollout/flag-state.ts";
import type { CountedEvent, EventStore } from "../../store/event-store.ts";
import { SparseLog } from "../../store/keyed-answers-log.ts";
import type { StoreLog } from "../../store/log.ts";
import type { AuditEntry } from "../../store/store.ts";
import type { KnownRequest } from "../../telemetry/request-ledger.ts";
import { attribute, type Attribution, type Surroundings } from "./attribute.ts";
import type { BusinessEvent, Refusal } from "./event.ts";
import { HistoryKeeper } from "./history-keeper.ts";
import { Inbox } from "./inbox.ts";
import { isOfSystems, parseEvents, type ParseOptions } from "./parse.ts";
import { Turns } from "./turns.ts";
import { wireOf } from "./wire.ts";

export interface DeskOptions {
  readonly flag: Flag;
  readonly store: EventStore;
  /** The settings in force now: `SettingsStore.states`. */
  readonly state: () => FlagState;
  /** The newest first: `SettingsStore.audit`. */
  readonly audit: (count: number) => Promise<readonly AuditEntry[]>;
  /** The request of that id, if this instance knows it: `findRequest` over the workers' ledgers. */
  readonly findRequest: (requestId: string) => KnownRequest | undefined;
  /** Names of the flags of the configuration's routes, by the route's number; undefined where a route is not split. */
  readonly routeFlags: readonly (string | undefined)[];
  /** Rollout and step at an instant; undefined outside of any rollout. */
  readonly stepAt: (ms: number) => { readonly rollout: string; readonly step: number } | undefined;
  /** Values of a user key that mean nobody in particular, in lower case. */
  readonly ignoredUsers: readonly string[];
  readonly log: StoreLog;
  /** Brings up to date what `stepAt` and `state` say. Run for each batch in its turn, not before, so that many batches cost the store no more than few. */
  readonly prepare?: () => Promise<void>;
  /** How long after its time an event is accepted. Default: 7 days. */
  readonly lateMs?: number;
  /** How long an event waits for an instance that knows its request. Default: 60 s. */
  readonly waitMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** accepted + duplicates + passedOn + refused.length is the number of events that were sent. */
export interface IngestReport {
  readonly accepted: number;
  readonly duplicates: number;
  /** Of requests that this instance does not know: other instances are asked. */
  readonly passedOn: number;
  /** Of the refused: too old. */
  readonly late: number;
  /** Of the refused: nobody can say which arm they belong to. */
  readonly unattributed: number;
  readonly refused: readonly Refusal[];
}

/** So many batches of this flag are under way and waiting that another one has no place; nothing of it was counted. */
export class TooBusy extends Error {
  override readonly name = "TooBusy";
  /** After how long it is worth trying again, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(flag: string, retryAfterMs: number) {
    super(`Too many batches of events of ${flag} are waiting; send it again in ${Math.ceil(retryAfterMs / 1_000)} s`);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * A batch is some hundredths of a second of work for this program and for the store, where rollouts are judged and settings are kept: a flood of them
 * must leave both room. Reports of systems have places of their own, for a rollback may hang on them.
 */
const PEOPLE_TURNS = { atOnce: 2, waiting: 8 };
const SYSTEM_TURNS = { atOnce: 1, waiting: 8 };
const RETRY_AFTER_MS = 1_000;
/** Events that are looked at in one go, so that nothing else waits long. */
const SLICE = 100;

const DAY_MS = 86_400_000;
const LATE_MS = 7 * DAY_MS;
const WAIT_MS = 60_000;

/** Takes events in and counts each once, for the arm that it belongs to. */
export class EventDesk {
  readonly #options: DeskOptions;
  readonly #now: () => number;
  readonly #lateMs: number;
  readonly #segments: readonly string[];
  readonly #history: HistoryKeeper;
  readonly #inbox: Inbox;
  readonly #log: SparseLog;
  readonly #people = new Turns(PEOPLE_TURNS);
  readonly #systems = new Turns(SYSTEM_TURNS);
  #polling: Promise<IngestReport> | undefined;

  constructor(options: DeskOptions) {
    const { flag, store, state, audit, log, lateMs = LATE_MS, waitMs = WAIT_MS, now = Date.now } = options;
    this.#options = options;
    this.#now = now;
    this.#lateMs = lateMs;
    this.#segments = flag.settings.segments.map(({ name }) => name);
    this.#history = new HistoryKeeper({ flag, state, audit, lateMs });
    this.#inbox = new Inbox({ store, flag: flag.name, waitMs });
    this.#log = new SparseLog(log);
  }

  /**
   * Takes the body of `POST /api/events`. Rejects with {@link TooBusy} when too many are waiting, and else only when the store cannot be had; some of
   * it may have been counted then, and what is sent again with its id, time or request does not count twice.
   */
  async take(body: unknown, who: string): Promise<IngestReport> {
    const turns = isOfSystems(body) ? this.#systems : this.#people;
    if (turns.full) throw new TooBusy(this.#options.flag.name, RETRY_AFTER_MS);
    return turns.run(() => this.#take(body, who));
  }

  async #take(body: unknown, who: string): Promise<IngestReport> {
    await this.#options.prepare?.();
    const now = this.#now();
    const { events, refused } = parseEvents(body, this.#parsing(now));
    const around = await this.#surroundings(
      now,
      events.map(({ event }) => event),
    );
    const counted: CountedEvent[] = [];
    const unknown: BusinessEvent[] = [];
    const all = [...refused];
    for (const [place, { index, event }] of events.entries()) {
      if (place % SLICE === 0) await othersFirst();
      const result = attribute(event, around);
      if (result.kind === "counted") counted.push(result.event);
      else if (result.kind === "unknown-request") unknown.push(event);
      else all.push({ index, ...refusalOf(event, result, `events[${index}]: `) });
    }
    const { accepted, duplicates } = await this.#add(counted);
    const passed = unknown.map((event) => ({ text: JSON.stringify(wireOf(event)), as: event.id }));
    if (passed.length > 0) await this.#options.store.passOn(this.#options.flag.name, passed);
    all.sort((a, b) => (a.index ?? -1) - (b.index ?? -1));
    return this.#report({ accepted, duplicates, passedOn: passed.length, refused: all }, { who });
  }

  /** Takes what other programs and instances put in the stream. Resolves with what became of it; a call while one is under way shares it. */
  async poll(): Promise<IngestReport> {
    this.#polling ??= this.#poll().finally(() => (this.#polling = undefined));
    return this.#polling;
  }

  async #poll(): Promise<IngestReport> {
    const now = this.#now();
    this.#history.look(now);
    const { events, refused, finish, moreWaiting } = await this.#inbox.read(now, this.#parsing(now));
    const around = await this.#surroundings(
      now,
      events.map(({ event }) => event),
    );
    const counted: { readonly entry: string; readonly event: CountedEvent }[] = [];
    const wrong = [...refused];
    for (const { entry, event, hasWaited } of events) {
      const result = attribute(event, around);
      if (result.kind === "counted") counted.push({ entry, event: result.event });
      else if (result.kind !== "unknown-request") wrong.push({ entry, refusal: { index: undefined, ...refusalOf(event, result, "") } });
      else if (hasWaited) wrong.push({ entry, refusal: { index: undefined, ...refusalOf(event, NOBODY_KNOWS, "") } });
      else moreWaiting(entry, event);
    }
    const { accepted, duplicates } = await this.#add(counted.map(({ event }) => event));
    const mine = await finish(
      counted.map(({ entry }) => entry),
      wrong,
    );
    return this.#report({ accepted, duplicates, passedOn: 0, refused: mine }, {});
  }

  async #add(events: readonly CountedEvent[]): Promise<{ readonly accepted: number; readonly duplicates: number }> {
    if (events.length === 0) return { accepted: 0, duplicates: 0 };
    // What is accepted may be sent again for as long as it would not be too late.
    const results = await this.#options.store.add(this.#options.flag.name, events, this.#lateMs + DAY_MS);
    const accepted = results.filter((result) => result === "accepted").length;
    return { accepted, duplicates: results.length - accepted };
  }

  async #surroundings(now: number, events: readonly BusinessEvent[]): Promise<Surroundings> {
    const { flag, findRequest, routeFlags, stepAt } = this.#options;
    // The audit is asked for only where somebody's arm hangs on it.
    const byUser = events.some((event) => event.kind === "user" && event.user !== undefined);
    const history = byUser ? await this.#history.get(now) : { at: () => undefined };
    return { flag: flag.name, segments: this.#segments, history, findRequest, routeFlags, stepAt, now, lateMs: this.#lateMs };
  }

  #parsing(now: number): ParseOptions {
    return { now, segments: this.#segments, ignoredUsers: this.#options.ignoredUsers };
  }

  #report(figures: Omit<IngestReport, "late" | "unattributed">, by: { readonly who?: string }): IngestReport {
    const { refused } = figures;
    const first = refused[0];
    if (first !== undefined) {
      const { field, kind } = first;
      this.#log.warn(
        { flag: this.#options.flag.name, ...by, refused: refused.length, field, kind },
        `events were refused; the first: ${first.message}`,
      );
    }
    return {
      ...figures,
      late: refused.filter(({ kind }) => kind === "late").length,
      unattributed: refused.filter(({ kind }) => kind === "unattributed").length,
    };
  }
}

type Refused = Extract<Attribution, { readonly field: string }>;

const NOBODY_KNOWS: Refused = {
  kind: "unattributed",
  field: "request_id",
  why: "is a request that no instance remembers; send user, or send the event sooner",
};

function refusalOf(event: BusinessEvent, { kind, field, why }: Refused, place: string): Omit<Refusal, "index"> {
  const value = field === "at" ? new Date(event.at).toISOString() : event.kind === "user" ? (event.requestId ?? "") : "";
  return { kind, field, value, message: `${place}${field}: ${value} ${why}` };
}

import { setTimeout as delay } from "node:timers/promises";
import type { Flag } from "../config/config.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { CountStore } from "./counts.ts";
import { createRedisCounts } from "./counts-redis.ts";
import { killField, validate } from "./decide.ts";
import { createKeptDocuments, type KeptDocuments } from "./documents-kept.ts";
import { RedisDocuments } from "./documents-redis.ts";
import { DOCUMENT_SCRIPTS } from "./documents-scripts.ts";
import type { DocumentStore } from "./documents.ts";
import type { EventStore } from "./event-store.ts";
import { EventConnection } from "./event-connection.ts";
import { createRedisEvents } from "./event-store-redis.ts";
import { describeFault, faultCode, isRefusal, NoAnswer, storeAddress } from "./faults.ts";
import { FlagFollower, run } from "./flag-follower.ts";
import { FROM_FILE, type Held, sameState, stateOf } from "./held.ts";
import { beat, listInstances, readAudit, withdraw } from "./instances.ts";
import { DEFAULT_PREFIX, flagKeys, followedPrefixes } from "./keys.ts";
import { ROLLOUT_SCRIPTS } from "./rollout-scripts.ts";
import { DocumentConflict, Fenced, type RolloutStore } from "./rollout-store.ts";
import { RedisRollouts } from "./rollout-store-redis.ts";
import { type RedisStoreOptions, TIMING } from "./redis-store-options.ts";
import { SCRIPTS } from "./scripts.ts";
import { openSession, type Session } from "./session.ts";
import {
  type AuditEntry,
  type Author,
  type InstanceState,
  InvalidSettings,
  RevisionConflict,
  type SettingsStore,
  type StoreHealth,
  type StoreListener,
  StoreUnavailable,
  type Rejection,
} from "./store.ts";
import type { Fields } from "./view.ts";

/** Every so many polls the smaller sets are read again. */
const THOROUGH_EVERY = 10;

/** What is thrown on purpose, and is no fault of the store's. */
const ANSWERS = [InvalidSettings, RevisionConflict, StoreUnavailable, Fenced, DocumentConflict];

/** Live settings in Redis, single or behind Sentinels. */
export function createRedisStore(options: RedisStoreOptions): SettingsStore {
  return new RedisStore(options);
}

class RedisStore implements SettingsStore {
  readonly rollouts: RolloutStore;
  readonly events: EventStore;
  readonly counts: CountStore;
  readonly documents: DocumentStore;
  readonly #documents: RedisDocuments;
  readonly #kept: KeptDocuments;
  readonly #options: RedisStoreOptions;
  readonly #timing: typeof TIMING;
  readonly #address: string;
  readonly #closing = new AbortController();
  /** Of their own, so that a flood of events holds up no setting and no rollout. */
  readonly #eventLine: EventConnection;
  readonly #acknowledged = new Map<string, number>();
  #followers: readonly FlagFollower[];
  #states: FlagState[];
  #health: StoreHealth;
  #listener: StoreListener | undefined;
  #session: Session | undefined;
  #following: Promise<void> = Promise.resolve();
  /** Ends the waiting of `start`. */
  #begun: { opened(): void; done(): void } | undefined;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#address = storeAddress(options.config.store);
    this.#followers = options.config.flags.map((flag, index) => this.#follower(flag, index, FROM_FILE));
    this.#states = options.config.flags.map((flag) => stateOf(flag, FROM_FILE));
    this.#health = { kind: "redis", up: false, message: `Not yet connected to ${this.#address}.`, origin: "file" };
    this.rollouts = new RedisRollouts({
      instance: options.instance,
      log: options.log,
      using: (work) => this.#asking(work),
      find: (flag) => this.#find(flag),
    });
    this.#kept = options.kept ?? createKeptDocuments({ directory: undefined, prefix: "", log: options.log });
    this.#documents = new RedisDocuments({
      instance: options.instance,
      prefix: options.prefix ?? DEFAULT_PREFIX,
      log: options.log,
      kept: this.#kept,
      using: (work) => this.#asking(work),
    });
    this.documents = this.#documents;
    this.#eventLine = new EventConnection({ store: options.config.store, instance: options.instance });
    this.events = createRedisEvents({
      using: this.#eventLine.using,
      ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
    });
    this.counts = createRedisCounts({
      using: this.#eventLine.using,
      ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
    });
  }

  async start(listener: StoreListener): Promise<void> {
    const { config, lastGood } = this.#options;
    const kept = await lastGood.load();
    await this.#documents.start();
    this.#followers = config.flags.map((flag, index) => this.#follower(flag, index, kept.get(flag.name) ?? FROM_FILE));
    this.#states = this.#followers.map(({ flag, held }) => stateOf(flag, held));
    const initial: StoreHealth = { ...this.#health, origin: this.#origin() };
    this.#health = initial;

    await new Promise<void>((resolve) => {
      let timer = setTimeout(resolve, this.#timing.start);
      this.#begun = {
        opened: () => {
          clearTimeout(timer);
          timer = setTimeout(resolve, this.#timing.firstRead);
        },
        done: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      this.#following = this.#follow();
    });
    this.#begun = undefined;
    if (this.#health === initial) this.#down(new NoAnswer(`nothing within ${this.#timing.start} ms`));
    this.#listener = listener;
    listener.onHealth(this.#health);
    for (const state of this.#states) listener.onState(state);
    for (const follower of this.#followers) for (const rejection of follower.rejections) listener.onRejected(rejection);
  }

  get states(): readonly FlagState[] {
    return this.#states;
  }

  get rejections(): readonly Rejection[] {
    return this.#followers.flatMap((follower) => follower.rejections);
  }

  get health(): StoreHealth {
    return this.#health;
  }

  async change(flag: string, fields: Readonly<Record<string, string | null>>, by: Author, ifRevision?: number): Promise<number> {
    const follower = this.#find(flag);
    validate(follower.flag, fields);
    return this.#using((session) => follower.change(session, fields, by, ifRevision));
  }

  fields(flag: string): Fields {
    return this.#find(flag).held.accepted;
  }

  async kill(flag: string, killed: boolean, by: Author): Promise<{ readonly revision: number; readonly shared: boolean }> {
    const follower = this.#find(flag);
    const mark = { killed, who: by.who, reason: by.reason, revision: follower.held.revision };
    // A kill is in force here before anybody is asked; a revival waits for the store's word if there is a store.
    follower.mark(killed ? mark : undefined);
    const kept = this.#options.lastGood.settle();
    try {
      const revision = await this.change(flag, killField(follower.flag, killed), by);
      follower.mark(undefined);
      return { revision, shared: true };
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) {
        this.#options.log.warn(
          { flag, killed, err: error },
          "the kill switch could not be written to the store; it is in force on this instance alone",
        );
      }
      follower.mark(mark);
      return { revision: follower.held.revision, shared: false };
    } finally {
      await kept;
      await this.#options.lastGood.settle();
    }
  }

  acknowledge(flag: string, revision: number): void {
    const { keys } = this.#find(flag);
    this.#acknowledged.set(flag, revision);
    const session = this.#session;
    if (session) run(session, beat(session, keys, this.#options.instance, revision));
  }

  async instances(flag: string): Promise<readonly InstanceState[]> {
    const { keys } = this.#find(flag);
    return this.#using((session) => listInstances(session, keys));
  }

  async audit(flag: string, count: number): Promise<readonly AuditEntry[]> {
    const { keys } = this.#find(flag);
    return this.#using((session) => readAudit(session, keys, count));
  }

  async close(): Promise<void> {
    const session = this.#session;
    if (session) {
      const leaving = this.#followers.map(({ keys }) => withdraw(session, keys, this.#options.instance));
      await Promise.race([Promise.allSettled(leaving), session.ended]);
    }
    this.#closing.abort();
    this.#eventLine.close();
    await this.#following;
    await Promise.all([this.#options.lastGood.settle(), this.#kept.settle()]);
  }

  #follower(flag: Flag, index: number, held: Held): FlagFollower {
    const { prefix = DEFAULT_PREFIX, instance, log, lastGood } = this.#options;
    return new FlagFollower({
      flag,
      keys: flagKeys(
        prefix,
        flag.name,
        flag.settings.segments.map(({ name }) => name),
      ),
      instance,
      log,
      held,
      onHeld: (next) => {
        lastGood.keep(flag.name, next);
        const state = stateOf(flag, next);
        const before = this.#states[index];
        if (before && sameState(before, state)) return;
        this.#states = this.#states.with(index, state);
        this.#listener?.onState(state);
      },
      onRejected: (rejection) => this.#listener?.onRejected(rejection),
      onRestored: (session) => run(session, this.#beat(session)),
    });
  }

  #find(flag: string): FlagFollower {
    const follower = this.#followers.find((one) => one.flag.name === flag);
    if (!follower)
      throw new RangeError(`there is no flag ${JSON.stringify(flag)}; known: ${this.#followers.map((one) => one.flag.name).join(", ")}`);
    return follower;
  }

  /** Session after session until the store is closed. */
  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      const reason = await this.#oneSession(() => (failures = 0));
      if (signal.aborted) return;
      this.#down(reason);
      const wait = Math.min(this.#timing.longestRetry, this.#timing.firstRetry * 2 ** failures++);
      await delay(wait, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves with why it is over. */
  async #oneSession(ready: () => void): Promise<unknown> {
    const { config, instance, prefix = DEFAULT_PREFIX } = this.#options;
    let session: Session | undefined;
    try {
      session = await openSession(
        {
          store: config.store,
          name: instance,
          prefixes: config.flags.flatMap((flag) => followedPrefixes(prefix, flag.name)),
          connectTimeoutMs: this.#timing.connect,
          answerTimeoutMs: this.#timing.answer,
          onChanged: (keys) => {
            for (const follower of this.#followers) if (session) follower.changed(session, keys);
          },
        },
        this.#closing.signal,
      );
    } catch (error) {
      return error;
    }
    this.#begun?.opened();
    run(session, this.#serve(session, ready));
    const reason = await session.ended;
    this.#session = undefined;
    return reason;
  }

  async #serve(session: Session, ready: () => void): Promise<void> {
    const { signal } = session;
    // Loaded beforehand, no edit waits for it. A user without the right to do so sends each script when it is first needed.
    await Promise.all([...SCRIPTS, ...ROLLOUT_SCRIPTS, ...DOCUMENT_SCRIPTS].map(({ lua }) => session.command("SCRIPT", "LOAD", lua))).catch(
      (error: unknown) => {
        if (faultCode(error) !== "NOPERM") throw error;
      },
    );
    // Writing first: a replica gives itself away before any of its settings is believed.
    await this.#beat(session);
    await Promise.all([...this.#followers.map((follower) => follower.synchronize(session)), this.#documents.poll(session)]);
    if (signal.aborted) return;
    this.#session = session;
    ready();
    this.#up(session);
    let nextBeat = performance.now() + this.#timing.heartbeat;
    for (let polls = 1; ; polls++) {
      await delay(this.#timing.poll, undefined, { signal });
      const thorough = polls % THOROUGH_EVERY === 0;
      await Promise.all([
        session.ping(),
        ...this.#followers.map((follower) => follower.poll(session, thorough)),
        this.#documents.poll(session),
      ]);
      if (thorough) void Promise.all([this.#options.lastGood.settle(), this.#kept.settle()]); // Writes only what a full or failing disk has refused before.
      if (performance.now() < nextBeat) continue;
      nextBeat = performance.now() + this.#timing.heartbeat;
      await this.#beat(session);
    }
  }

  async #beat(session: Session): Promise<void> {
    await Promise.all(
      this.#followers.map(({ flag, keys }) => beat(session, keys, this.#options.instance, this.#acknowledged.get(flag.name) ?? 0)),
    );
  }

  /** Runs what somebody asked of the store and waits for; everything that is the store's fault becomes StoreUnavailable. */
  async #using<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = this.#session;
    if (!session) throw new StoreUnavailable(this.#health.message);
    try {
      return await work(session);
    } catch (error) {
      if (ANSWERS.some((answer) => error instanceof answer)) throw error;
      session.end(error);
      const told = `${describeFault(error, this.#address)} A change may have been made all the same: read the settings before trying again.`;
      throw new StoreUnavailable(told, { cause: error });
    }
  }

  /** As {@link #using}; but what the server refuses for this work alone is no reason to begin the following of the settings anew. */
  async #asking<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#using((session) =>
      work(session).catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
        throw new StoreUnavailable(describeFault(error, this.#address), { cause: error });
      }),
    );
  }

  #up(session: Session): void {
    const slow = `Redis at ${this.#address} does not tell of changes (it needs version 6.2 or later and the right to CLIENT TRACKING, LIST and ID, and to SUBSCRIBE); edits are seen within ${this.#timing.poll / 1_000} s instead of at once.`;
    this.#report({ kind: "redis", up: true, message: session.tracking ? "" : slow, origin: "store" });
    this.#begun?.done();
  }

  #down(reason: unknown): void {
    const origin = this.#origin();
    const serving = {
      store: "the settings last read from it go on",
      disk: "the last good settings, kept on disk, serve",
      file: "the settings of the configuration file serve",
    }[origin];
    this.#report({
      kind: "redis",
      up: false,
      message: `${describeFault(reason, this.#address)} Meanwhile ${serving}, a kill works on this instance, and the connection is tried again every second.`,
      origin,
    });
    this.#begun?.done();
  }

  #report(health: StoreHealth): void {
    const before = this.#health;
    this.#health = health;
    if (before.up !== health.up || before.message !== health.message || before.origin !== health.origin) this.#listener?.onHealth(health);
  }

  #origin(): StoreHealth["origin"] {
    return this.#followers.find(({ held }) => held.origin !== "store")?.held.origin ?? "store";
  }
}

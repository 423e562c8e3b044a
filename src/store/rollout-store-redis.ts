import { validate } from "./decide.ts";
import { faultCode } from "./faults.ts";
import type { FlagFollower } from "./flag-follower.ts";
import { Leases } from "./leases.ts";
import type { StoreLog } from "./log.ts";
import { PUBLISH, RECORD, SHOW, TEXT } from "./rollout-scripts.ts";
import {
  checkAfter,
  checkText,
  type DocumentWrite,
  Fenced,
  type Lease,
  type Published,
  type RolloutStore,
  type StoredDocument,
} from "./rollout-store.ts";
import type { Script } from "./scripts.ts";
import type { Session } from "./session.ts";
import { StoreUnavailable } from "./store.ts";
import { parseFields } from "./view.ts";

/** Entries asked for at a time: a long answer would keep everything else waiting, and one that takes too long ends the session. */
const BATCH = 500;

interface RedisRolloutsOptions {
  readonly instance: string;
  readonly log: StoreLog;
  /** Runs work on the session of the settings. */
  readonly using: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
  /** @throws where there is no such flag. */
  readonly find: (flag: string) => FlagFollower;
}

/** What rollouts keep in Redis, beside the settings and over their connections. */
export class RedisRollouts implements RolloutStore {
  readonly #options: RedisRolloutsOptions;
  readonly #leases: Leases;
  /** Keys that were complained of, as long as nobody has seen them well. */
  readonly #spoiled = new Set<string>();

  constructor(options: RedisRolloutsOptions) {
    this.#options = options;
    this.#leases = new Leases(options.instance);
  }

  async lead(flag: string, ttlMs: number): Promise<Lease | undefined> {
    const { find, using } = this.#options;
    const follower = find(flag);
    const { lease, fence, rollout: document } = follower.keys;
    return using((session) => this.#leases.take(session, { lease, fence, document }, ttlMs, follower.fence));
  }

  async resign(flag: string, lease: Lease): Promise<void> {
    const { keys } = this.#options.find(flag);
    await this.#options.using((session) => this.#leases.giveBack(session, { ...keys, document: keys.rollout }, lease));
  }

  async leader(flag: string): Promise<Omit<Lease, "at"> | undefined> {
    const { keys } = this.#options.find(flag);
    const text = await this.#text(keys.lease);
    const [, fence, instance] = /^(\d{1,16}):[^:]*:(.*)$/s.exec(text ?? "") ?? [];
    return instance === undefined ? undefined : { instance, fence: Number(fence) };
  }

  async load(flag: string): Promise<StoredDocument | undefined> {
    const follower = this.#options.find(flag);
    return this.#options.using((session) => follower.load(session));
  }

  async save(flag: string, write: DocumentWrite): Promise<{ readonly version: number; readonly revision: number }> {
    const follower = this.#options.find(flag);
    checkText(write.text);
    if (write.fields !== undefined) validate(follower.flag, write.fields);
    const lease = write.lease === undefined ? "" : this.#leases.written(write.lease);
    return this.#options.using((session) => follower.save(session, write, lease));
  }

  async publish(flag: string, text: string): Promise<void> {
    const { keys } = this.#options.find(flag);
    await this.#options.using((session) => session.run(PUBLISH, [keys.windows], [this.#options.instance, text]));
  }

  async published(flag: string, after: string, count: number): Promise<readonly Published[]> {
    const { keys } = this.#options.find(flag);
    const entries = await this.#entries(keys.windows, after, count);
    return entries.map(({ id, fields }) => ({ id, instance: fields["i"] ?? "", text: fields["t"] ?? "" }));
  }

  async record(flag: string, lease: Lease, text: string): Promise<void> {
    const { keys } = this.#options.find(flag);
    await this.#fenced(flag, RECORD, [keys.record, keys.fence], [this.#leases.written(lease), text]);
  }

  async recorded(flag: string, after: string, count: number): Promise<readonly { readonly id: string; readonly text: string }[]> {
    const { keys } = this.#options.find(flag);
    const entries = await this.#entries(keys.record, after, count);
    return entries.map(({ id, fields }) => ({ id, text: fields["t"] ?? "" }));
  }

  async show(flag: string, lease: Lease, text: string, ttlMs: number): Promise<void> {
    const { keys } = this.#options.find(flag);
    await this.#fenced(flag, SHOW, [keys.show, keys.fence], [this.#leases.written(lease), text, Math.max(1, Math.round(ttlMs))]);
  }

  async shown(flag: string): Promise<string | undefined> {
    return this.#text(this.#options.find(flag).keys.show);
  }

  async #fenced(flag: string, script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<void> {
    const done = await this.#options.using((session) => session.run(script, keys, args));
    if (done !== 1) throw new Fenced(`this instance does not lead the rollout of ${flag} any more`);
  }

  /** What is only shown to people, who must not be kept from acting by a key that somebody has overwritten. */
  async #text(key: string): Promise<string | undefined> {
    return this.#options.using(async (session) => {
      try {
        const text = await session.run(TEXT, [key], []);
        this.#spoiled.delete(key);
        return typeof text === "string" ? text : undefined;
      } catch (error) {
        if (faultCode(error) !== "WRONGKIND") throw error;
        if (!this.#spoiled.has(key))
          this.#options.log.warn({ key }, `${key} holds something else than a text of ours; delete or rename it`);
        this.#spoiled.add(key);
        return undefined;
      }
    });
  }

  async #entries(
    key: string,
    after: string,
    count: number,
  ): Promise<readonly { readonly id: string; readonly fields: Readonly<Record<string, string>> }[]> {
    checkAfter(after);
    return this.#options.using(async (session) => {
      const found: { readonly id: string; readonly fields: Readonly<Record<string, string>> }[] = [];
      for (let last = after; found.length < count;) {
        const wanted = Math.min(BATCH, count - found.length);
        const reply = await session.command("XRANGE", key, last === "" ? "-" : `(${last}`, "+", "COUNT", wanted).catch((error: unknown) => {
          if (faultCode(error) !== "WRONGTYPE") throw error;
          throw new StoreUnavailable(`A key of crossfade's own has been overwritten (${key} holds no stream); delete or rename it.`);
        });
        const entries = Array.isArray(reply)
          ? reply.map((entry: unknown) => (Array.isArray(entry) ? entry.map((part: unknown) => part) : []))
          : [];
        for (const [id, fields] of entries) found.push({ id: String(id), fields: parseFields(fields) });
        if (entries.length < wanted) break;
        last = found.at(-1)?.id ?? last;
      }
      return found;
    });
  }
}

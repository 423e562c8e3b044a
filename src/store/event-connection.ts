import { Redis } from "ioredis";
import type { Config } from "../config/config.ts";
import { SENTINEL_MS } from "./address.ts";
import type { WithSession } from "./event-store.ts";
import { describeFault, faultCode, isRefusal, NoAnswer, storeAddress } from "./faults.ts";
import { oneLifeOptions } from "./one-life.ts";
import type { Script } from "./scripts.ts";
import { StoreUnavailable } from "./store.ts";

export interface EventConnectionOptions {
  readonly store: Exclude<Config["store"], { kind: "memory" }>;
  /** Name of this program among those that share the store. */
  readonly instance: string;
  /** Longest wait for an answer, after which the connection is given up. Default: 2 s. */
  readonly answerMs?: number;
}

/** Milliseconds. */
const CONNECT_MS = 2_000;
const ANSWER_MS = 2_000;
/** After a failure nobody connects again for so long. */
const REST_MS = 250;

type Line = Parameters<Parameters<WithSession>[0]>[0];

interface Open {
  readonly redis: Redis;
  /** Rejects when there is no connection to be had. */
  readonly line: Promise<Line>;
}

/**
 * A connection of its own for business events, so that one of their commands that is slow, or never answered, costs the settings and the rollout
 * nothing. It is made when it is needed, and made anew after it was lost.
 */
export class EventConnection {
  readonly #options: EventConnectionOptions;
  readonly #address: string;
  #open: Open | undefined;
  #failed: { readonly error: unknown; readonly at: number } | undefined;
  #closed = false;

  constructor(options: EventConnectionOptions) {
    this.#options = options;
    this.#address = storeAddress(options.store);
  }

  /** Runs work on the connection; rejects with StoreUnavailable when there is none, or when it or the server fails. */
  readonly using: WithSession = async (work) => {
    const open = this.#opened();
    try {
      return await work(await open.line);
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      const told = describeFault(error, this.#address);
      if (!isRefusal(error)) this.#give(open, error);
      throw new StoreUnavailable(told, { cause: error });
    }
  };

  close(): void {
    this.#closed = true;
    if (this.#open !== undefined) this.#give(this.#open, new Error("the store was closed"));
  }

  #opened(): Open {
    if (this.#open !== undefined) return this.#open;
    if (this.#closed) throw new StoreUnavailable("The store was closed.");
    if (this.#failed !== undefined && performance.now() - this.#failed.at < REST_MS)
      throw new StoreUnavailable(describeFault(this.#failed.error, this.#address));
    const redis = new Redis(oneLifeOptions(this.#options, "events", CONNECT_MS));
    let fault: unknown;
    redis.on("error", (error: unknown) => (fault = error));
    redis.on("sentinelError", (error: unknown) => (fault = error));
    const open: Open = { redis, line: this.#connect(redis, () => fault) };
    this.#open = open;
    redis.on("end", () => this.#give(open, fault ?? new Error("it has closed the connection")));
    return open;
  }

  async #connect(redis: Redis, fault: () => unknown): Promise<Line> {
    const { store, answerMs = ANSWER_MS } = this.#options;
    // The last Sentinel of the list must have its turn, also when none before it answers.
    const asking = store.kind === "sentinel" ? store.sentinels.length * SENTINEL_MS : 0;
    await within(redis.connect(), CONNECT_MS + asking, "connecting").catch((error: unknown) => {
      throw error instanceof NoAnswer ? error : (fault() ?? error);
    });
    const command: Line["command"] = (name, ...args) => within(redis.call(name, ...args), answerMs, name);
    const run = async ({ lua, sha }: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> => {
      try {
        return await command("EVALSHA", sha, keys.length, ...keys, ...args);
      } catch (error) {
        if (faultCode(error) !== "NOSCRIPT") throw error;
        return command("EVAL", lua, keys.length, ...keys, ...args);
      }
    };
    return { command, run };
  }

  /** Whatever is still under way on it fails. */
  #give(open: Open, error: unknown): void {
    if (this.#open !== open) return;
    this.#open = undefined;
    this.#failed = { error, at: performance.now() };
    open.redis.disconnect();
  }
}

async function within<T>(answer: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(`${what}: nothing within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

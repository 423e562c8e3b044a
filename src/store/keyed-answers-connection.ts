import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Config } from "../config/config.ts";
import { SENTINEL_MS } from "./address.ts";
import { faultCode, NoAnswer } from "./faults.ts";
import { oneLifeOptions } from "./one-life.ts";
import type { Script } from "./scripts.ts";

export interface AnswersConnectionOptions {
  readonly store: Exclude<Config["store"], { kind: "memory" }>;
  /** Name of this program among those that share the store. */
  readonly instance: string;
  /** The server answers (again): what waited for it may be sent. */
  readonly onUp: () => void;
}

/** Milliseconds. */
const CONNECT_MS = 2_000;
const FIRST_RETRY_MS = 25;
const LONGEST_RETRY_MS = 1_000;
/** A server that owes an answer for so long is not asked anything else. */
const STALLED_MS = 250;
/** After so long without an answer the connection is given up. */
const LOST_MS = 2_000;
/** Between two looks at a connection that nobody uses. */
const LOOK_MS = 500;

/** These say that another server is meant: a name looked up again may lead there. */
const WRONG_SERVER: ReadonlySet<string> = new Set(["READONLY", "MASTERDOWN", "LOADING"]);

interface Line {
  readonly redis: Redis;
  /** When the questions were sent that are not answered yet, the oldest first: Redis answers in order. */
  readonly owed: number[];
  /** The last thing that went wrong. */
  fault: unknown;
  answers: boolean;
}

/**
 * A connection of its own, so that long answers do not stand in the way of the settings. It says at once whether it can be used, and whoever
 * cannot use it does not wait.
 */
export class AnswersConnection {
  readonly #options: AnswersConnectionOptions;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #line: Line | undefined;
  #fault: unknown = new NoAnswer("not yet connected");

  constructor(options: AnswersConnectionOptions) {
    this.#options = options;
    this.#following = this.#follow();
  }

  /** A question would be answered soon, as far as one can know. */
  get up(): boolean {
    const line = this.#line;
    return line !== undefined && line.answers && !owes(line, STALLED_MS);
  }

  /** Why it cannot be used. */
  get fault(): unknown {
    const line = this.#line;
    return line !== undefined && owes(line, STALLED_MS) ? new NoAnswer(`nothing within ${STALLED_MS} ms`) : this.#fault;
  }

  /** Rejects at once when it is not {@link up}; texts in the answer are bytes. */
  async run({ lua, sha }: Script, key: string, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    const line = this.#line;
    if (line === undefined || !this.up) throw this.fault;
    try {
      return await this.#ask(line, "EVALSHA", [sha, 1, key, ...args]).catch((error: unknown) => {
        if (faultCode(error) !== "NOSCRIPT") throw error;
        return this.#ask(line, "EVAL", [lua, 1, key, ...args]);
      });
    } catch (error) {
      if (WRONG_SERVER.has(faultCode(error))) hangUp(line, error);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#line !== undefined) hangUp(this.#line, new Error("the store was closed"));
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      const answered = await this.#oneLine();
      if (answered) failures = 0;
      const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures++);
      await delay(wait, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves when the connection is over: whether it was of any use. */
  async #oneLine(): Promise<boolean> {
    const line: Line = {
      redis: new Redis(oneLifeOptions(this.#options, "answers", CONNECT_MS)),
      owed: [],
      fault: undefined,
      answers: false,
    };
    const { redis } = line;
    this.#line = line;
    redis.on("error", (error: unknown) => (line.fault ??= error));
    redis.on("sentinelError", (error: unknown) => (line.fault ??= error));
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    redis.on("end", () => resolve());
    const looking = setInterval(() => {
      if (owes(line, LOST_MS)) hangUp(line, new NoAnswer(`nothing within ${LOST_MS} ms`));
      else if (line.answers && line.owed.length === 0) void this.#ask(line, "PING", []).catch(() => {});
    }, LOOK_MS);
    // Counted as owed from here on, so that a server that takes connections and says nothing is given up like one that falls silent.
    line.owed.push(performance.now() + (this.#options.store.kind === "sentinel" ? this.#options.store.sentinels.length * SENTINEL_MS : 0));
    try {
      await redis.connect();
      line.owed.length = 0;
      await this.#ask(line, "PING", []);
      line.answers = true;
      this.#options.onUp();
      await ended;
    } catch (error) {
      hangUp(line, error);
    }
    clearInterval(looking);
    const { answers } = line;
    this.#fault = line.fault ?? new Error("it has closed the connection");
    this.#line = undefined;
    return answers;
  }

  async #ask(line: Line, command: string, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    line.owed.push(performance.now());
    try {
      return await line.redis.callBuffer(command, ...args);
    } finally {
      const stalled = owes(line, STALLED_MS);
      line.owed.shift();
      if (stalled && this.up) this.#options.onUp();
    }
  }
}

function owes(line: Line, ms: number): boolean {
  const oldest = line.owed[0];
  return oldest !== undefined && performance.now() - oldest >= ms;
}

function hangUp(line: Line, fault: unknown): void {
  line.fault ??= fault;
  line.answers = false;
  line.redis.disconnect();
}

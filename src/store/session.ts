import { Redis, type RedisOptions } from "ioredis";
import { randomHex } from "../core/random-id.ts";
import type { Config } from "../config/config.ts";
import { addressOf, SENTINEL_MS } from "./address.ts";
import { faultCode, NoAnswer, WrongServer } from "./faults.ts";
import { INVALIDATION_CHANNEL } from "./keys.ts";
import type { Script } from "./scripts.ts";

/**
 * Two connections that live and die together: one for data, one on which Redis says which keys changed. They never
 * reconnect by themselves. Whoever loses a session opens a new one and reads everything again: so there is no state in
 * which one half is new and the other old, and no message that could have been missed unnoticed.
 */
export interface Session {
  /** False: the server refuses to tell of changes, and only polling sees them. */
  readonly tracking: boolean;
  /** Settles when the session is over; with why. */
  readonly ended: Promise<unknown>;
  /** Aborted at the same moment, for those who wait for something else. */
  readonly signal: AbortSignal;
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Fails the session unless both connections answer. */
  ping(): Promise<void>;
  end(reason: unknown): void;
}

interface SessionOptions {
  readonly store: Exclude<Config["store"], { kind: "memory" }>;
  readonly name: string;
  /** Beginnings of the keys to be told of. */
  readonly prefixes: readonly string[];
  /** Keys that changed; undefined means any may have (the database was flushed). */
  readonly onChanged: (keys: readonly string[] | undefined) => void;
  readonly connectTimeoutMs: number;
  /** Longest wait for an answer; after it the session is over. */
  readonly answerTimeoutMs: number;
}

/** Opens a session, unless `closing` is aborted, which also ends one that is open. */
export async function openSession(options: SessionOptions, closing: AbortSignal): Promise<Session> {
  const label = `crossfade:${options.name.replace(/[^!-~]/g, "_")}:${randomHex(4)}`;
  const data = connection(options, `${label}:data`);
  const subscriber = connection(options, `${label}:changes`);
  const both = [data, subscriber];
  const over = new AbortController();
  const { promise: ended, resolve } = Promise.withResolvers<unknown>();
  const abort = (): void => end(new Error("the store was closed"));
  const end = (reason: unknown): void => {
    // Everything that waits for a store that does not answer says so, one after the other.
    if (over.signal.aborted) return;
    closing.removeEventListener("abort", abort);
    resolve(reason);
    over.abort();
    for (const { redis } of both) redis.disconnect();
  };
  closing.addEventListener("abort", abort, { once: true });
  for (const { redis, fault } of both) redis.on("end", () => end(fault()));
  const bounded = <T>(answer: Promise<T>, what: string): Promise<T> => withDeadline(answer, options.answerTimeoutMs, what, end);
  // The last Sentinel of the list must have its turn, also when none before it answers.
  const asking = options.store.kind === "sentinel" ? options.store.sentinels.length * SENTINEL_MS : 0;
  const connected = (redis: Redis): Promise<void> => withDeadline(redis.connect(), options.answerTimeoutMs + asking, "connecting", end);

  try {
    closing.throwIfAborted();
    await Promise.all(
      both.map(({ redis, fault }) =>
        connected(redis).catch((error: unknown) => Promise.reject(error instanceof NoAnswer ? error : fault())),
      ),
    );
    subscriber.redis.on("messageBuffer", (channel: Buffer, keys: unknown) => {
      if (channel.toString() === INVALIDATION_CHANNEL) options.onChanged(changedKeys(keys));
    });
    const tracking = await track(data.redis, subscriber.redis, `${label}:changes`, options.prefixes, bounded);
    const command = (name: string, ...args: readonly (string | number)[]): Promise<unknown> =>
      bounded(data.redis.call(name, ...args), name);
    return {
      tracking,
      ended,
      signal: over.signal,
      command,
      end,
      run: async ({ lua, sha }, keys, args) => {
        try {
          return await command("EVALSHA", sha, keys.length, ...keys, ...args);
        } catch (error) {
          if (faultCode(error) !== "NOSCRIPT") throw error;
          return command("EVAL", lua, keys.length, ...keys, ...args);
        }
      },
      ping: async () => {
        await Promise.all([command("PING"), bounded(subscriber.redis.ping(), "PING")]);
      },
    };
  } catch (error) {
    end(error);
    throw error;
  }
}

/** Asks to be told of changes. Refused for want of a right or of the command: false. */
async function track(
  data: Redis,
  subscriber: Redis,
  name: string,
  prefixes: readonly string[],
  bounded: <T>(answer: Promise<T>, what: string) => Promise<T>,
): Promise<boolean> {
  try {
    const id = await bounded(subscriber.client("ID"), "CLIENT ID");
    await bounded(subscriber.subscribe(INVALIDATION_CHANNEL), "SUBSCRIBE");
    // Two connections made by one name may end at two servers (a failover in between, a balancer in front), and there the
    // number means somebody else's connection. So see that it is ours.
    const listed = String(await bounded(data.call("CLIENT", "LIST", "ID", id), "CLIENT LIST"));
    if (!listed.includes(` name=${name} `)) throw new WrongServer("The address leads to more than one Redis server");
    const asked = prefixes.flatMap((prefix) => ["PREFIX", prefix]);
    await bounded(data.call("CLIENT", "TRACKING", "ON", "REDIRECT", id, "BCAST", ...asked), "CLIENT TRACKING");
    return true;
  } catch (error) {
    if (["NOPERM", "ERR"].includes(faultCode(error))) return false;
    throw error;
  }
}

interface Connection {
  readonly redis: Redis;
  /** The last thing that went wrong on it. */
  readonly fault: () => unknown;
}

function connection(options: SessionOptions, name: string): Connection {
  const settings: RedisOptions & { readonly replyMapping: "legacy" } = {
    ...addressOf(options.store),
    // With version 3 of the protocol the client library drops the messages that tracking sends.
    protocol: 2,
    replyMapping: "legacy",
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: null,
    connectTimeout: options.connectTimeoutMs,
    disconnectTimeout: 200,
    connectionName: name,
  };
  const redis = new Redis(settings);
  let last: unknown;
  redis.on("error", (error: unknown) => (last = error));
  redis.on("sentinelError", (error: unknown) => (last = error));
  return { redis, fault: () => last ?? new Error("it has closed the connection") };
}

/** Redis names the keys in an array, where its clients usually find text; nothing at all means every key. */
function changedKeys(payload: unknown): readonly string[] | undefined {
  return Array.isArray(payload) ? payload.map(String) : undefined;
}

function withDeadline<T>(answer: Promise<T>, ms: number, what: string, end: (reason: unknown) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new NoAnswer(`${what}: nothing within ${ms} ms`);
      end(error);
      reject(error);
    }, ms);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

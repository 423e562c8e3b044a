import type { Test } from "tap";
import { createMemoryEvents } from "../../src/store/event-store-memory.ts";
import { createRedisEvents } from "../../src/store/event-store-redis.ts";
import type { CountedEvent, EventStore, WithSession } from "../../src/store/event-store.ts";
import { openSession, type Session } from "../../src/store/session.ts";
import { StoreUnavailable } from "../../src/store/store.ts";
import { type RedisServer, startRedis } from "./redis.ts";

/** A session that is opened when it is needed, and anew after it was lost. */
export function sessions(t: Test, redis: RedisServer): WithSession {
  const closing = new AbortController();
  let session: Promise<Session> | undefined;
  t.teardown(() => closing.abort());
  const open = (): Promise<Session> => {
    session ??= openSession(
      {
        store: { kind: "redis", url: redis.url },
        name: "events",
        prefixes: ["unused:"],
        onChanged: () => {},
        connectTimeoutMs: 2_000,
        answerTimeoutMs: 2_000,
      },
      closing.signal,
    ).then((opened) => {
      void opened.ended.then(() => (session = undefined));
      return opened;
    });
    session.catch(() => (session = undefined));
    return session;
  };
  return async (work) => {
    try {
      return await work(await open());
    } catch (error) {
      throw new StoreUnavailable(String(error), { cause: error });
    }
  };
}

export async function redisFor(t: Test, args: readonly string[] = []): Promise<RedisServer> {
  const redis = await startRedis({ args });
  t.teardown(() => redis.stop());
  return redis;
}

export interface Clock {
  now: number;
}

interface Stores {
  /** Stores that share what they hold, as instances do. */
  readonly store: EventStore;
  readonly other: EventStore;
}

let prefixes = 0;

/** One test for each kind of store, each with a store of its own; the clock stands still unless it is moved. */
export function withEachStore(t: Test, name: string, test: (t: Test, stores: Stores, clock: Clock) => Promise<void>): void {
  t.test(`${name} (memory)`, async (t) => {
    const clock = { now: Date.now() };
    const store = createMemoryEvents({ now: () => clock.now });
    await test(t, { store, other: store }, clock);
  });
  t.test(`${name} (Redis)`, async (t) => {
    const redis = await sharedRedis();
    const clock = { now: Date.now() };
    const options = { prefix: `test${prefixes++}:`, now: () => clock.now };
    const open = (): EventStore => createRedisEvents({ ...options, using: sessions(t, redis) });
    await test(t, { store: open(), other: open() }, clock);
  });
}

let shared: Promise<RedisServer> | undefined;

/** One server for a file; it ends with the process. */
async function sharedRedis(): Promise<RedisServer> {
  return (shared ??= startRedis());
}

export async function stopSharedRedis(): Promise<void> {
  await (await shared)?.stop();
}

export function countedEvent(changes: Partial<CountedEvent> = {}): CountedEvent {
  return {
    id: "e1",
    minute: Math.floor(Date.now() / 60_000),
    user: "u1",
    rollout: "r1",
    adds: [{ label: "assigned:stable:none:accuracy:0", y: 1, n: 1 }],
    signal: undefined,
    ...changes,
  };
}

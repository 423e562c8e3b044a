import { randomUUID } from "node:crypto";
import type { Test } from "tap";
import { createLastGood } from "../../src/store/last-good.ts";
import { createRedisStore } from "../../src/store/redis-store.ts";
import type { SettingsStore } from "../../src/store/store.ts";
import type { RedisServer } from "./redis.ts";
import { flagOf, recordLog, type RecordedLog, type StoreWatch, watchStore } from "./store-watch.ts";

export interface OpenedStore {
  readonly store: SettingsStore;
  readonly watch: StoreWatch;
}

/** Names of their own in a Redis that is shared with other tests. */
export interface StoreWorld {
  readonly prefix: string;
  /** A store of the flag `f` that follows it, until the test is over. */
  readonly open: (instance: string, log?: RecordedLog) => Promise<OpenedStore>;
}

export function storeWorld(t: Test, redis: RedisServer): StoreWorld {
  const prefix = `test-${randomUUID()}:`;
  return {
    prefix,
    open: async (instance, log = recordLog()) => {
      const store = createRedisStore({
        config: { store: { kind: "redis", url: redis.url }, flags: [flagOf()] },
        instance,
        log,
        prefix,
        lastGood: createLastGood({ directory: undefined, prefix, log }),
      });
      t.teardown(() => store.close());
      const watch = watchStore();
      await store.start(watch);
      return { store, watch };
    },
  };
}

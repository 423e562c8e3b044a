import type { RedisOptions } from "ioredis";
import type { Store } from "../config/config.ts";

/** Longest wait for one Sentinel, which may be gone with its machine, before the next one is asked. */
export const SENTINEL_MS = 1_000;

/** Where the client library finds the server that the configuration names. */
export function addressOf(store: Exclude<Store, { kind: "memory" }>): RedisOptions {
  if (store.kind === "sentinel") {
    const { master, username, password, sentinelPassword, db } = store;
    const sentinels = store.sentinels.map(({ host, port }) => ({ host, port }));
    const asking = { sentinelRetryStrategy: () => null, sentinelCommandTimeout: SENTINEL_MS };
    return { sentinels, name: master, username, password, sentinelPassword, db, ...asking };
  }
  const { hostname, port, username, password, pathname, protocol } = new URL(store.url);
  const db = Number(pathname.slice(1));
  return {
    host: hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
    port: port === "" ? 6379 : Number(port),
    username: decodeURIComponent(username) || undefined,
    password: decodeURIComponent(password) || undefined,
    db: Number.isInteger(db) ? db : 0,
    ...(protocol === "rediss:" ? { tls: {} } : {}),
  };
}

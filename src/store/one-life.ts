import type { RedisOptions } from "ioredis";
import type { Config } from "../config/config.ts";
import { addressOf } from "./address.ts";

/**
 * Settings of a connection that lives once: it neither waits for a server nor sends anything again nor comes back by itself. Whoever owns it
 * knows when to open another, and what of the old one's work is still wanted.
 */
export function oneLifeOptions(
  { store, instance }: { readonly store: Exclude<Config["store"], { readonly kind: "memory" }>; readonly instance: string },
  purpose: string,
  connectTimeout: number,
): RedisOptions & { readonly replyMapping: "legacy" } {
  return {
    ...addressOf(store),
    protocol: 2,
    replyMapping: "legacy",
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: null,
    connectTimeout,
    disconnectTimeout: 200,
    connectionName: `crossfade:${instance.replace(/[^!-~]/g, "_")}:${purpose}`,
  };
}

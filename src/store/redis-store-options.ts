import type { Config, Flag } from "../config/config.ts";
import type { KeptDocuments } from "./documents-kept.ts";
import type { LastGood } from "./last-good.ts";
import type { StoreLog } from "./log.ts";

export interface RedisStoreOptions {
  readonly config: { readonly store: Exclude<Config["store"], { kind: "memory" }>; readonly flags: readonly Flag[] };
  /** Name of this program among those that share the store; unique among them. */
  readonly instance: string;
  readonly log: StoreLog;
  readonly prefix?: string;
  readonly lastGood: LastGood;
  /** Where documents are kept besides. Default: nowhere. */
  readonly kept?: KeptDocuments;
  readonly timing?: Partial<typeof TIMING>;
}

/** Milliseconds. */
export const TIMING = {
  /** Longest wait of `start` for a server that does not answer. */
  start: 1_000,
  /** Longest wait of `start` for a server that does, while it is being read. */
  firstRead: 10_000,
  connect: 2_000,
  answer: 2_000,
  /** Between two looks without a cause. */
  poll: 1_000,
  heartbeat: 2_000,
  firstRetry: 25,
  longestRetry: 1_000,
};

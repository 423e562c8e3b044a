import type { Config } from "../config/config.ts";
import { createKeptDocuments } from "./documents-kept.ts";
import type { AnswerStore } from "./keyed-answers.ts";
import { createMemoryAnswers } from "./keyed-answers-memory.ts";
import { createRedisAnswers } from "./keyed-answers-redis.ts";
import { DEFAULT_PREFIX } from "./keys.ts";
import { createLastGood } from "./last-good.ts";
import type { StoreLog } from "./log.ts";
import { createMemoryStore } from "./memory-store.ts";
import { createRedisStore } from "./redis-store.ts";
import type { SettingsStore } from "./store.ts";

interface StoreOptions {
  readonly config: Pick<Config, "store" | "flags" | "stateDirectory">;
  /** Name of this program among those that share the store; unique among them. */
  readonly instance: string;
  readonly log: StoreLog;
  /** Begins every name in Redis; `crossfade:` unless given. */
  readonly prefix?: string;
}

/** The store that the configuration names. Nothing happens before its `start`. */
export function createStore({ config, instance, log, prefix = DEFAULT_PREFIX }: StoreOptions): SettingsStore {
  const { store, flags, stateDirectory } = config;
  const kept = store.kind === "memory" ? "memory" : prefix;
  const directory = stateDirectory || undefined;
  const lastGood = createLastGood({ directory, prefix: kept, log });
  const documents = createKeptDocuments({ directory, prefix: kept, log });
  if (store.kind === "memory") return createMemoryStore({ config, instance, lastGood, kept: documents, directory, log });
  return createRedisStore({ config: { store, flags }, instance, log, prefix, lastGood, kept: documents });
}

interface AnswerStoreOptions {
  readonly config: Pick<Config, "store" | "routes">;
  /** How long an answer is remembered. */
  readonly ttlMs: number;
  readonly instance: string;
  readonly log: StoreLog;
}

/** Where answers under idempotency keys are held: with the settings. */
export function createAnswerStore({ config: { store, routes }, ttlMs, instance, log }: AnswerStoreOptions): AnswerStore {
  // Where no route has a use for them nothing is ever asked, and no connection need be held.
  const used = ttlMs > 0 && routes.some(({ idempotent, action }) => !idempotent && action.kind === "split");
  if (store.kind === "memory" || !used) return createMemoryAnswers({ ttlMs, log });
  return createRedisAnswers({ store, instance, ttlMs, log });
}

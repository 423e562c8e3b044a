import type { FlagState } from "../rollout/flag-state.ts";
import type { CountStore } from "./counts.ts";
import type { DocumentStore } from "./documents.ts";
import type { EventStore } from "./event-store.ts";
import type { RolloutStore } from "./rollout-store.ts";

/** Where the live settings come from. Implementations: Redis (single, Sentinel) and memory. */
export interface SettingsStore {
  /**
   * Begins to follow the settings. Resolves when the first state of every flag is known: from the store, else from the last
   * good copy on disk, else from the configuration file. It never fails for want of a store.
   */
  start(listener: StoreListener): Promise<void>;
  /** The states now in force, one per flag, in the order of the configuration. */
  readonly states: readonly FlagState[];
  readonly health: StoreHealth;
  /** Values that stand in the store and are refused. */
  readonly rejections: readonly Rejection[];
  /**
   * Writes fields of a flag's hash; null removes one. All or nothing: an invalid value throws {@link InvalidSettings} and
   * changes nothing. Throws {@link StoreUnavailable} without a store, {@link RevisionConflict} when `ifRevision` is not the
   * current one. Resolves with the new revision (or the current one, when nothing differed).
   */
  change(flag: string, fields: Readonly<Record<string, string | null>>, by: Author, ifRevision?: number): Promise<number>;
  /** The fields in force that do not come from the file, as the store would hold them. */
  fields(flag: string): Readonly<Record<string, string>>;
  /** Kills or revives a flag on this instance at once and, as soon as there is a store, everywhere. Survives restarts. */
  kill(flag: string, killed: boolean, by: Author): Promise<{ readonly revision: number; readonly shared: boolean }>;
  /** Says that every worker of this instance now runs `revision`. */
  acknowledge(flag: string, revision: number): void;
  instances(flag: string): Promise<readonly InstanceState[]>;
  audit(flag: string, count: number): Promise<readonly AuditEntry[]>;
  /** What rollouts keep, over the same connections as the settings. */
  readonly rollouts: RolloutStore;
  /** Business events, likewise. */
  readonly events: EventStore;
  /** What clients got, by the hour. */
  readonly counts: CountStore;
  /** Small documents beside the rollouts, likewise. */
  readonly documents: DocumentStore;
  /** Withdraws this instance from the list and closes every connection. */
  close(): Promise<void>;
}

export interface StoreListener {
  onState(state: FlagState): void;
  /** A value was refused; the old revision goes on. */
  onRejected(rejection: Rejection): void;
  onHealth(health: StoreHealth): void;
}

export interface StoreHealth {
  readonly kind: "memory" | "redis";
  readonly up: boolean;
  /** One sentence for people: what is wrong and what serves meanwhile. Empty when all is well. */
  readonly message: string;
  /** Where the settings in force came from. */
  readonly origin: "store" | "disk" | "file";
}

export interface Author {
  readonly who: string;
  readonly reason: string;
}

export interface Rejection {
  readonly flag: string;
  readonly field: string;
  readonly value: string;
  /** Closed set, for the metric. */
  readonly kind: "invalid-value" | "unknown-field" | "wrong-type";
  /** What was wrong and what would be right. */
  readonly message: string;
}

export interface InstanceState {
  readonly instance: string;
  readonly revision: number;
  /** When it said so, ISO 8601. */
  readonly at: string;
  /** It has been heard of within the heartbeat's time. */
  readonly alive: boolean;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly who: string;
  readonly reason: string;
  readonly revision: number;
  readonly status: "accepted" | "refused" | "restored";
  readonly changes: readonly { readonly field: string; readonly from: string | null; readonly to: string | null }[];
}

export class InvalidSettings extends Error {
  override readonly name = "InvalidSettings";
  readonly rejections: readonly Rejection[];
  constructor(rejections: readonly Rejection[]) {
    super(rejections.map((r) => r.message).join("; "));
    this.rejections = rejections;
  }
}

export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

export class RevisionConflict extends Error {
  override readonly name = "RevisionConflict";
  readonly current: number;
  constructor(current: number) {
    super(`the settings are at revision ${current} by now`);
    this.current = current;
  }
}

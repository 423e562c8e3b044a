import type { Lease, StoredDocument } from "./rollout-store.ts";

/** Small documents beside the rollouts: what people are told, and what they were told. One key each, named in `DOCUMENTS`. Texts are opaque here. */
export const DOCUMENTS = ["incidents", "notices", "sla"] as const;
export type DocumentName = (typeof DOCUMENTS)[number];

export interface DocumentStore {
  /** Undefined before the first. The newest that this instance has seen comes back into a store that has lost it. */
  load(name: DocumentName): Promise<StoredDocument | undefined>;
  /** The newest that was seen here, without asking: for while there is no store. */
  held(name: DocumentName): StoredDocument | undefined;
  /**
   * Writes the document whole and returns its new version. Throws `DocumentConflict` when the store has another version than `version`
   * (0: there is none yet), `Fenced` when `lease` is given and is no longer the last one handed out, `StoreUnavailable`. A text is 1 byte to 1 MiB long.
   * After `StoreUnavailable` it may have been written all the same: load it before going on.
   */
  save(name: DocumentName, write: { readonly version: number; readonly text: string; readonly lease: Lease | undefined }): Promise<number>;
  /** Takes the leadership over a document for `ttlMs`, or prolongs it. Undefined: another instance has it. As `RolloutStore.lead`. */
  lead(name: DocumentName, ttlMs: number): Promise<Lease | undefined>;
  resign(name: DocumentName, lease: Lease): Promise<void>;
}

import { MOST_DOCUMENT_BYTES } from "./rollout-document.ts";
import type { Author } from "./store.ts";

/** What the rollout of a flag keeps in the store: its document, who leads it, and the figures of the fleet. Texts are opaque here. */
export interface RolloutStore {
  /**
   * Takes the leadership of a flag for `ttlMs`, or prolongs it. Undefined: another instance has it. The time counts from before the call. Who
   * prolongs it keeps the fence, unless the store has lost the lease meanwhile: the lease that is returned is the one that counts.
   */
  lead(flag: string, ttlMs: number): Promise<Lease | undefined>;
  /** Gives it up at once; nothing can be saved under it from then on. */
  resign(flag: string, lease: Lease): Promise<void>;
  leader(flag: string): Promise<Omit<Lease, "at"> | undefined>;

  /** The document; undefined before the first. */
  load(flag: string): Promise<StoredDocument | undefined>;
  /**
   * Writes document, settings and audit in one atomic step, or nothing of it. Throws {@link Fenced} when `lease` is given and is no longer the
   * last one handed out, {@link DocumentConflict} when the document has another version than `version` (0: there is none yet),
   * `RevisionConflict` when `ifRevision` is given and the settings have another revision, and whatever else `SettingsStore.change` throws. Without a lease it is a person's act, guarded by the version alone. A text is 1 byte to 1 MiB long.
   * After `StoreUnavailable` it may have been written all the same: load it before going on.
   */
  save(flag: string, write: DocumentWrite): Promise<{ readonly version: number; readonly revision: number }>;

  /** What this instance counted lately. Entries are forgotten after some minutes. */
  publish(flag: string, text: string): Promise<void>;
  /** What all instances published after the entry `after` ("" for everything that is kept), in order, at most `count`. */
  published(flag: string, after: string, count: number): Promise<readonly Published[]>;
  /** Appends to the record of the whole rollout; fenced. */
  record(flag: string, lease: Lease, text: string): Promise<void>;
  /** Of the record, in order of time: entries after `after`, at most `count`. */
  recorded(flag: string, after: string, count: number): Promise<readonly { readonly id: string; readonly text: string }[]>;
  /** What the leader last saw, for the other instances to show; forgotten after `ttlMs`. */
  show(flag: string, lease: Lease, text: string, ttlMs: number): Promise<void>;
  shown(flag: string): Promise<string | undefined>;
}

export interface Lease {
  readonly instance: string;
  /** Grows with every change of leadership. */
  readonly fence: number;
  /** When it was handed out or prolonged, by the store's clock, epoch milliseconds. */
  readonly at: number;
}

export interface StoredDocument {
  readonly version: number;
  readonly text: string;
}

export interface DocumentWrite {
  readonly lease: Lease | undefined;
  readonly version: number;
  readonly text: string;
  /** Settings to write with it, as `SettingsStore.change` takes them; undefined: none. */
  readonly fields: Readonly<Record<string, string | null>> | undefined;
  /** The revision that the settings must have; what raises a share is decided on one, and must not overwrite a later hand. Undefined: any. */
  readonly ifRevision?: number | undefined;
  /**
   * It takes users off the candidate, as a rollback does. Then a share that is lower by now stays as low; the settings get a new revision even
   * where nothing changes, so that whoever has put something aside sees it; and where the audit cannot be written it is left out.
   */
  readonly lowers?: boolean | undefined;
  /** Goes into the audit, also where no setting changes. Undefined: only a change of settings is recorded, as the instance's own. */
  readonly by: Author | undefined;
}

export interface Published {
  readonly id: string;
  readonly instance: string;
  readonly text: string;
}

/** Somebody else leads by now. */
export class Fenced extends Error {
  override readonly name = "Fenced";
}

export class DocumentConflict extends Error {
  override readonly name = "DocumentConflict";
}

/** @throws RangeError where a text cannot be a document. */
export function checkText(text: string, what = "a rollout's document"): void {
  const bytes = Buffer.byteLength(text);
  if (bytes < 1 || bytes > MOST_DOCUMENT_BYTES)
    throw new RangeError(`${what} has 1 to ${MOST_DOCUMENT_BYTES} bytes; this one has ${bytes}`);
}

/** @throws RangeError where it is neither empty nor the id of an entry. */
export function checkAfter(after: string): void {
  if (!/^(?:\d{1,16}-\d{1,16})?$/.test(after)) throw new RangeError(`${JSON.stringify(after)} is not the id of an entry`);
}

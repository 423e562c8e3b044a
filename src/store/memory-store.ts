import type { Flag } from "../config/config.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { CountStore } from "./counts.ts";
import { createMemoryCounts } from "./counts-memory.ts";
import { killField, planChange, type PlannedEntry, planSave, validate } from "./decide.ts";
import { createKeptDocuments, type KeptDocuments } from "./documents-kept.ts";
import { MemoryDocuments } from "./documents-memory.ts";
import type { DocumentStore } from "./documents.ts";
import type { EventStore } from "./event-store.ts";
import { createMemoryEvents } from "./event-store-memory.ts";
import { FROM_FILE, type Held, sameState, stateOf } from "./held.ts";
import type { LastGood } from "./last-good.ts";
import type { StoreLog } from "./log.ts";
import { DocumentConflict, type DocumentWrite, type RolloutStore } from "./rollout-store.ts";
import { MemoryRollouts } from "./rollout-store-memory.ts";
import { AUDIT_LENGTH } from "./scripts.ts";
import {
  type AuditEntry,
  type Author,
  type InstanceState,
  RevisionConflict,
  type SettingsStore,
  type StoreHealth,
  type StoreListener,
  type Rejection,
} from "./store.ts";
import type { Fields, View } from "./view.ts";

interface MemoryStoreOptions {
  readonly config: { readonly flags: readonly Flag[] };
  readonly instance: string;
  readonly lastGood: LastGood;
  /** Where documents are kept besides. Default: nowhere. */
  readonly kept?: KeptDocuments;
  /** Where the record of a rollout is kept; undefined: in memory. */
  readonly directory: string | undefined;
  readonly log: StoreLog;
  readonly now?: () => number;
}

/** Live settings of one program alone: from the file, changed through the admin API, kept on disk. */
export function createMemoryStore(options: MemoryStoreOptions): SettingsStore {
  return new MemoryStore(options);
}

interface Entry {
  readonly flag: Flag;
  readonly index: number;
  readonly audit: AuditEntry[];
  held: Held;
  acknowledged: { readonly revision: number; readonly at: number } | undefined;
}

class MemoryStore implements SettingsStore {
  readonly rollouts: RolloutStore;
  readonly events: EventStore;
  readonly counts: CountStore;
  readonly documents: DocumentStore;
  readonly #documents: MemoryDocuments;
  readonly #options: MemoryStoreOptions;
  readonly #now: () => number;
  readonly #entries: readonly Entry[];
  #states: FlagState[];
  #listener: StoreListener | undefined;
  #audited = 0;

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#entries = options.config.flags.map((flag, index) => ({ flag, index, audit: [], held: FROM_FILE, acknowledged: undefined }));
    this.#states = this.#entries.map(({ flag, held }) => stateOf(flag, held));
    this.events = createMemoryEvents({ now: this.#now });
    this.counts = createMemoryCounts({ now: this.#now });
    const kept = options.kept ?? createKeptDocuments({ directory: undefined, prefix: "", log: options.log });
    this.#documents = new MemoryDocuments({ instance: options.instance, kept, now: this.#now });
    this.documents = this.#documents;
    this.rollouts = new MemoryRollouts({
      instance: options.instance,
      directory: options.directory,
      log: options.log,
      now: this.#now,
      document: (flag) => this.#find(flag).held.document,
      write: (flag, write, fence) => this.#save(flag, write, fence),
    });
  }

  async start(listener: StoreListener): Promise<void> {
    const kept = await this.#options.lastGood.load();
    await this.#documents.start();
    for (const entry of this.#entries) entry.held = kept.get(entry.flag.name) ?? FROM_FILE;
    this.#states = this.#entries.map(({ flag, held }) => stateOf(flag, held));
    this.#listener = listener;
    listener.onHealth(this.health);
    for (const state of this.#states) listener.onState(state);
  }

  get states(): readonly FlagState[] {
    return this.#states;
  }

  /** Values are judged before they are taken: none can stand refused. */
  get rejections(): readonly Rejection[] {
    return [];
  }

  get health(): StoreHealth {
    const fromDisk = this.#entries.some(({ held }) => held.origin === "disk");
    return { kind: "memory", up: true, message: "", origin: fromDisk ? "disk" : "file" };
  }

  async change(flag: string, fields: Readonly<Record<string, string | null>>, by: Author, ifRevision?: number): Promise<number> {
    const entry = this.#find(flag);
    validate(entry.flag, fields);
    const { revision } = entry.held;
    if (ifRevision !== undefined && ifRevision !== revision) throw new RevisionConflict(revision);
    const commit = planChange(entry.flag, viewOf(entry.held), fields, by);
    if (!commit) return revision;
    this.#record(entry, commit.audit);
    this.#hold(entry, { ...entry.held, accepted: commit.accepted, revision: commit.revision, history: commit.history });
    return commit.revision;
  }

  fields(flag: string): Fields {
    return this.#find(flag).held.accepted;
  }

  async kill(flag: string, killed: boolean, by: Author): Promise<{ readonly revision: number; readonly shared: boolean }> {
    const revision = await this.change(flag, killField(this.#find(flag).flag, killed), by);
    await this.#options.lastGood.settle();
    return { revision, shared: true };
  }

  acknowledge(flag: string, revision: number): void {
    this.#find(flag).acknowledged = { revision, at: this.#now() };
  }

  async instances(flag: string): Promise<readonly InstanceState[]> {
    const { acknowledged } = this.#find(flag);
    if (!acknowledged) return [];
    return [
      { instance: this.#options.instance, revision: acknowledged.revision, at: new Date(acknowledged.at).toISOString(), alive: true },
    ];
  }

  async audit(flag: string, count: number): Promise<readonly AuditEntry[]> {
    return this.#find(flag).audit.toReversed().slice(0, count);
  }

  async close(): Promise<void> {
    await this.#options.lastGood.settle();
  }

  /** On disk too when it resolves; settings and document in one file, so that a crash leaves both or neither. */
  async #save(flag: string, write: DocumentWrite, fence: number): Promise<{ readonly version: number; readonly revision: number }> {
    const entry = this.#find(flag);
    if (write.fields !== undefined) validate(entry.flag, write.fields);
    const version = entry.held.document?.version ?? 0;
    if (version !== write.version) throw new DocumentConflict(`the document of ${flag} is at version ${version} by now`);
    const current = entry.held.revision;
    if (write.ifRevision !== undefined && write.ifRevision !== current) throw new RevisionConflict(current);
    const { settings, audit, document } = planSave(entry.flag, viewOf(entry.held), write, this.#options.instance);
    const { accepted, revision, history } = settings ?? entry.held;
    this.#record(entry, audit);
    this.#hold(entry, { ...entry.held, accepted, revision, history, document: { ...document, fence } });
    await this.#options.lastGood.settle();
    return { version: document.version, revision };
  }

  #record(entry: Entry, audit: readonly PlannedEntry[]): void {
    for (const planned of audit) {
      const at = this.#now();
      entry.audit.push({ ...planned, id: `${at}-${this.#audited++}`, at: new Date(at).toISOString() });
    }
    if (entry.audit.length > AUDIT_LENGTH) entry.audit.splice(0, entry.audit.length - AUDIT_LENGTH);
  }

  #find(flag: string): Entry {
    const entry = this.#entries.find((one) => one.flag.name === flag);
    if (!entry)
      throw new RangeError(`there is no flag ${JSON.stringify(flag)}; known: ${this.#entries.map((one) => one.flag.name).join(", ")}`);
    return entry;
  }

  #hold(entry: Entry, held: Held): void {
    entry.held = held;
    this.#options.lastGood.keep(entry.flag.name, held);
    const state = stateOf(entry.flag, held);
    const before = this.#states[entry.index];
    if (before && sameState(before, state)) return;
    this.#states = this.#states.with(entry.index, state);
    this.#listener?.onState(state);
  }
}

/** What a store would hold: here nobody edits behind our back, so the hash is what is in force. */
function viewOf(held: Held): View {
  return {
    kind: "hash",
    fingerprint: "",
    revisionText: "",
    revision: held.revision,
    history: held.history,
    raw: held.accepted,
    seen: held.accepted,
    accepted: held.accepted,
    digests: {},
    sets: [],
    document: { kind: "none" },
    fence: "",
  };
}

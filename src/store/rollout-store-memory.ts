import type { StoreLog } from "./log.ts";
import { createRecordLog, idAfter, isAfter, type RecordEntry, type RecordLog } from "./record-log.ts";
import {
  checkAfter,
  checkText,
  type DocumentWrite,
  Fenced,
  type Lease,
  type Published,
  type RolloutStore,
  type StoredDocument,
} from "./rollout-store.ts";

/** What was published is kept for so long. */
const WINDOWS_MS = 900_000;
const MOST_PUBLISHED = 9_000;

interface MemoryRolloutsOptions {
  readonly instance: string;
  /** Where the record is kept; undefined: in memory. */
  readonly directory: string | undefined;
  readonly log: StoreLog;
  readonly now: () => number;
  /** The settings' side of it. Each throws where there is no such flag. */
  readonly document: (flag: string) => (StoredDocument & { readonly fence: number }) | undefined;
  readonly write: (flag: string, write: DocumentWrite, fence: number) => Promise<{ readonly version: number; readonly revision: number }>;
}

interface Kept {
  readonly record: RecordLog;
  /** Number of the last lease, and whether it is held still. */
  fence: number;
  led: boolean;
  published: Published[];
  shown: { readonly text: string; readonly until: number } | undefined;
}

/** What rollouts keep where one program is alone: it always leads. The record survives a restart, as the document does with the settings. */
export class MemoryRollouts implements RolloutStore {
  readonly #options: MemoryRolloutsOptions;
  readonly #kept = new Map<string, Kept>();

  constructor(options: MemoryRolloutsOptions) {
    this.#options = options;
  }

  async lead(flag: string): Promise<Lease | undefined> {
    const kept = this.#of(flag);
    if (!kept.led) kept.fence = Math.max(this.#options.now() * 1_000, kept.fence + 1, (this.#options.document(flag)?.fence ?? 0) + 1);
    kept.led = true;
    return { instance: this.#options.instance, fence: kept.fence, at: this.#options.now() };
  }

  async resign(flag: string, lease: Lease): Promise<void> {
    const kept = this.#of(flag);
    if (this.#leads(kept, lease)) kept.led = false;
  }

  async leader(flag: string): Promise<Omit<Lease, "at"> | undefined> {
    const { led, fence } = this.#of(flag);
    return led ? { instance: this.#options.instance, fence } : undefined;
  }

  async load(flag: string): Promise<StoredDocument | undefined> {
    const document = this.#options.document(flag);
    return document && { version: document.version, text: document.text };
  }

  async save(flag: string, write: DocumentWrite): Promise<{ readonly version: number; readonly revision: number }> {
    checkText(write.text);
    if (write.lease !== undefined) this.#mustLead(flag, write.lease);
    return this.#options.write(flag, write, this.#of(flag).fence);
  }

  async publish(flag: string, text: string): Promise<void> {
    const kept = this.#of(flag);
    const now = this.#options.now();
    kept.published.push({ id: idAfter(kept.published.at(-1)?.id ?? "", now), instance: this.#options.instance, text });
    const oldest = `${now - WINDOWS_MS}-0`;
    const first = kept.published.findIndex(({ id }) => isAfter(id, oldest));
    const surplus = Math.max(first, kept.published.length - MOST_PUBLISHED);
    if (surplus > 0) kept.published = kept.published.slice(surplus);
  }

  async published(flag: string, after: string, count: number): Promise<readonly Published[]> {
    checkAfter(after);
    return this.#of(flag)
      .published.filter(({ id }) => isAfter(id, after))
      .slice(0, count);
  }

  async record(flag: string, lease: Lease, text: string): Promise<void> {
    this.#mustLead(flag, lease);
    await this.#of(flag).record.append(text);
  }

  async recorded(flag: string, after: string, count: number): Promise<readonly RecordEntry[]> {
    checkAfter(after);
    return this.#of(flag).record.read(after, count);
  }

  async show(flag: string, lease: Lease, text: string, ttlMs: number): Promise<void> {
    this.#mustLead(flag, lease);
    this.#of(flag).shown = { text, until: this.#options.now() + ttlMs };
  }

  async shown(flag: string): Promise<string | undefined> {
    const { shown } = this.#of(flag);
    return shown !== undefined && this.#options.now() < shown.until ? shown.text : undefined;
  }

  #leads({ led, fence }: Kept, lease: Lease): boolean {
    return led && lease.fence === fence && lease.instance === this.#options.instance;
  }

  #mustLead(flag: string, lease: Lease): void {
    if (!this.#leads(this.#of(flag), lease)) throw new Fenced(`this instance does not lead the rollout of ${flag} any more`);
  }

  #of(flag: string): Kept {
    const known = this.#kept.get(flag);
    if (known !== undefined) return known;
    const { directory, log, now, document } = this.#options;
    document(flag);
    const kept: Kept = { record: createRecordLog({ directory, flag, log, now }), fence: 0, led: false, published: [], shown: undefined };
    this.#kept.set(flag, kept);
    return kept;
  }
}

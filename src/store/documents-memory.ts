import type { KeptDocuments } from "./documents-kept.ts";
import type { DocumentName, DocumentStore } from "./documents.ts";
import { digestOf, type HeldDocument } from "./rollout-document.ts";
import { checkText, DocumentConflict, Fenced, type Lease, type StoredDocument } from "./rollout-store.ts";

interface MemoryDocumentsOptions {
  readonly instance: string;
  readonly kept: KeptDocuments;
  readonly now: () => number;
}

/** Documents of one program alone: it always leads. They survive a restart where there is a state directory. */
export class MemoryDocuments implements DocumentStore {
  readonly #options: MemoryDocumentsOptions;
  readonly #held = new Map<DocumentName, HeldDocument>();
  /** Number of the last lease, and whether it is held still. */
  readonly #leases = new Map<DocumentName, { readonly fence: number; readonly led: boolean }>();

  constructor(options: MemoryDocumentsOptions) {
    this.#options = options;
  }

  /** Takes what was kept on disk. */
  async start(): Promise<void> {
    for (const [name, document] of await this.#options.kept.load()) this.#held.set(name, document);
  }

  held(name: DocumentName): StoredDocument | undefined {
    const held = this.#held.get(name);
    return held && { version: held.version, text: held.text };
  }

  async load(name: DocumentName): Promise<StoredDocument | undefined> {
    return this.held(name);
  }

  /** On disk too when it resolves. */
  async save(
    name: DocumentName,
    { version, text, lease }: { readonly version: number; readonly text: string; readonly lease: Lease | undefined },
  ): Promise<number> {
    checkText(text, `the document ${name}`);
    if (lease !== undefined && !this.#leads(name, lease)) throw new Fenced(`this instance does not lead the document ${name} any more`);
    const stored = this.#held.get(name)?.version ?? 0;
    if (stored !== version) throw new DocumentConflict(`the document ${name} is at version ${stored} by now`);
    const fence = this.#leases.get(name)?.fence ?? 0;
    const document = { version: version + 1, fence, text, digest: digestOf(text), history: "" };
    this.#held.set(name, document);
    this.#options.kept.keep(name, document);
    await this.#options.kept.settle();
    return document.version;
  }

  async lead(name: DocumentName): Promise<Lease | undefined> {
    const { instance, now } = this.#options;
    const last = this.#leases.get(name);
    const next = Math.max(now() * 1_000, (last?.fence ?? 0) + 1, (this.#held.get(name)?.fence ?? 0) + 1);
    const fence = last?.led === true ? last.fence : next;
    this.#leases.set(name, { fence, led: true });
    return { instance, fence, at: now() };
  }

  async resign(name: DocumentName, lease: Lease): Promise<void> {
    if (this.#leads(name, lease)) this.#leases.set(name, { fence: lease.fence, led: false });
  }

  #leads(name: DocumentName, lease: Lease): boolean {
    const last = this.#leases.get(name);
    return last?.led === true && last.fence === lease.fence && lease.instance === this.#options.instance;
  }
}

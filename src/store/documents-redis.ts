import { randomHex } from "../core/random-id.ts";
import { READ_DOCUMENT, WRITE_DOCUMENT } from "./documents-scripts.ts";
import type { KeptDocuments } from "./documents-kept.ts";
import { type DocumentName, DOCUMENTS, type DocumentStore } from "./documents.ts";
import { isRefusal } from "./faults.ts";
import { type DocumentKeys, documentKeys } from "./keys.ts";
import { Leases } from "./leases.ts";
import type { StoreLog } from "./log.ts";
import { digestOf, documentAfter, type HeldDocument, identOf, reconcile } from "./rollout-document.ts";
import { checkText, DocumentConflict, Fenced, type Lease, type StoredDocument } from "./rollout-store.ts";
import type { Session } from "./session.ts";
import { StoreUnavailable } from "./store.ts";
import { type DocumentView, parseDocument, parseFields } from "./view.ts";

/** How often a look is taken anew because somebody else wrote first. */
const MOST_TRIES = 100;

interface RedisDocumentsOptions {
  readonly instance: string;
  readonly prefix: string;
  readonly log: StoreLog;
  readonly kept: KeptDocuments;
  /** Runs work on the session of the settings. */
  readonly using: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
}

/** What this instance knows of one document. */
interface Known {
  readonly name: DocumentName;
  readonly keys: DocumentKeys;
  held: HeldDocument | undefined;
  /** The highest number of a lease that was seen. */
  fence: number;
  /** It has been complained of, and not been seen well since. */
  spoiled: boolean;
  queue: Promise<unknown>;
}

interface DocumentLook {
  readonly document: DocumentView;
  readonly history: string;
  /** The last lease handed out, as the scripts compare it. */
  readonly fence: string;
}

/** Documents in Redis, beside the settings and over their connections. Each is followed as a rollout's is, and written back where it was lost. */
export class RedisDocuments implements DocumentStore {
  readonly #options: RedisDocumentsOptions;
  readonly #leases: Leases;
  readonly #known: ReadonlyMap<DocumentName, Known>;

  constructor(options: RedisDocumentsOptions) {
    this.#options = options;
    this.#leases = new Leases(options.instance);
    this.#known = new Map(
      DOCUMENTS.map((name) => {
        const keys = documentKeys(options.prefix, name);
        return [name, { name, keys, held: undefined, fence: 0, spoiled: false, queue: Promise.resolve() }];
      }),
    );
  }

  /** Takes what was kept on disk. */
  async start(): Promise<void> {
    for (const [name, document] of await this.#options.kept.load()) this.#of(name).held = document;
  }

  /** A look at all, which writes back what was lost. What the server refuses for a document alone is told and keeps nothing else from working. */
  async poll(session: Session): Promise<void> {
    await Promise.all(
      [...this.#known.values()].map(async (known) => {
        try {
          const { document } = await exclusive(known, () => this.#settle(session, known));
          this.#tell(known, document.kind === "other" ? new StoreUnavailable(overwritten(known)) : undefined);
        } catch (error) {
          if (!isRefusal(error)) throw error;
          this.#tell(known, error);
        }
      }),
    );
  }

  held(name: DocumentName): StoredDocument | undefined {
    const { held } = this.#of(name);
    return held && { version: held.version, text: held.text };
  }

  async load(name: DocumentName): Promise<StoredDocument | undefined> {
    const known = this.#of(name);
    return this.#options.using((session) =>
      exclusive(known, async () => {
        const { document } = await this.#settle(session, known);
        if (document.kind === "other") throw new StoreUnavailable(overwritten(known));
        return this.held(name);
      }),
    );
  }

  async save(
    name: DocumentName,
    { version, text, lease }: { readonly version: number; readonly text: string; readonly lease: Lease | undefined },
  ): Promise<number> {
    checkText(text, `the document ${name}`);
    const known = this.#of(name);
    const under = lease === undefined ? "" : this.#leases.written(lease);
    return this.#options.using((session) =>
      exclusive(known, async () => {
        for (let tries = 0; tries < MOST_TRIES; tries++) {
          const look = await this.#settle(session, known);
          if (under !== "" && look.fence !== under) throw new Fenced(`this instance does not lead the document ${name} any more`);
          if (look.document.kind === "other") throw new StoreUnavailable(overwritten(known));
          const stored = look.document.kind === "none" ? 0 : look.document.version;
          if (stored !== version) throw new DocumentConflict(`the document ${name} is at version ${stored} by now`);
          const written = {
            version: version + 1,
            fence: lease?.fence ?? known.fence,
            text,
            digest: digestOf(text),
            // Made with the first version: a store that was begun anew, and has a document, counts anew.
            history: look.history || randomHex(4),
          };
          if (!(await this.#write(session, known, look, under, written))) continue;
          this.#hold(known, written);
          return written.version;
        }
        throw new StoreUnavailable(`the document ${name} changes too fast to be written; try again`);
      }),
    );
  }

  async lead(name: DocumentName, ttlMs: number): Promise<Lease | undefined> {
    const known = this.#of(name);
    return this.#options.using((session) => this.#leases.take(session, known.keys, ttlMs, Math.max(known.fence, known.held?.fence ?? 0)));
  }

  async resign(name: DocumentName, lease: Lease): Promise<void> {
    await this.#options.using((session) => this.#leases.giveBack(session, this.#of(name).keys, lease));
  }

  /** Brings Redis and this instance to agree; resolves with what they agree on. */
  async #settle(session: Session, known: Known): Promise<DocumentLook> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const look = await this.#read(session, known);
      const step = reconcile(known.held, look.document, look.history, `the document ${known.name}`);
      if (step.kind !== "restore") {
        this.#hold(known, documentAfter(known.held, look));
        return look;
      }
      const document = step.document.history === "" ? { ...step.document, history: randomHex(4) } : step.document;
      if (!(await this.#write(session, known, look, "", document))) continue;
      this.#options.log.warn({ document: known.name, version: document.version }, `${step.why}; it was written back`);
    }
    throw new StoreUnavailable(`the document ${known.name} changes too fast to be read`);
  }

  async #read(session: Session, known: Known): Promise<DocumentLook> {
    const { document, fence } = known.keys;
    const reply = await session.run(READ_DOCUMENT, [document, fence], [identOf(known.held)]);
    if (!Array.isArray(reply)) throw new Error("the script gave an answer of another form");
    const [found, last] = reply.map((part: unknown) => part);
    const fields = Array.isArray(found) ? parseFields(found[1]) : {};
    const number = Number(String(last).split(":", 1)[0]);
    if (Number.isSafeInteger(number)) known.fence = Math.max(known.fence, number);
    return { document: parseDocument(found), history: fields["history"] ?? "", fence: String(last) };
  }

  async #write(session: Session, { keys }: Known, look: DocumentLook, lease: string, written: HeldDocument): Promise<boolean> {
    const { version, fence, digest, history, text } = written;
    const args = [lease, identOf(look.document), version, fence, digest, history, text];
    // "fenced" and "conflict": another look says which of the two it was, and what is there now.
    return (await session.run(WRITE_DOCUMENT, [keys.document, keys.fence], args)) === "done";
  }

  #hold(known: Known, document: HeldDocument | undefined): void {
    if (document === known.held) return;
    known.held = document;
    if (document !== undefined) this.#options.kept.keep(known.name, document);
  }

  #tell(known: Known, fault: unknown): void {
    if (fault !== undefined && !known.spoiled) {
      this.#options.log.warn({ document: known.name, err: fault }, `the document ${known.name} cannot be followed; the settings go on`);
    }
    known.spoiled = fault !== undefined;
  }

  #of(name: DocumentName): Known {
    const known = this.#known.get(name);
    if (known === undefined) throw new RangeError(`there is no document ${JSON.stringify(name)}`);
    return known;
  }
}

function overwritten({ keys, name }: Known): string {
  return `${keys.document} is not the document ${name}; delete or rename it, and the last one that was seen is written back`;
}

/** What reads and then writes goes one after the other, so that an answer is never judged by a newer state. */
async function exclusive<T>(known: Known, work: () => Promise<T>): Promise<T> {
  const result = known.queue.then(work);
  known.queue = result.catch(() => {});
  return result;
}

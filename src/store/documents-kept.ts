import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type DocumentName, DOCUMENTS } from "./documents.ts";
import { replaceFile } from "./files.ts";
import type { StoreLog } from "./log.ts";
import { digestOf, type HeldDocument } from "./rollout-document.ts";

/** The newest of each document on disk, so that a store which has lost it gets it back also after a restart. */
export interface KeptDocuments {
  /** What was kept. A file that cannot be understood is reported and left out. */
  load(): Promise<ReadonlyMap<DocumentName, HeldDocument>>;
  /** Keeps it soon; of several in quick succession only the last is written. */
  keep(name: DocumentName, document: HeldDocument): void;
  /** Resolves when all that was to be kept is on disk, or has been reported. What could not be written before is tried again. */
  settle(): Promise<void>;
}

const VERSION = 1;

/** Without a directory nothing is kept. `prefix` keeps documents of differently named stores apart. */
export function createKeptDocuments(options: {
  readonly directory: string | undefined;
  readonly prefix: string;
  readonly log: StoreLog;
}): KeptDocuments {
  const { directory, prefix, log } = options;
  if (directory === undefined) return { load: async () => new Map(), keep() {}, settle: async () => {} };

  const wanted = new Map<DocumentName, HeldDocument>();
  let complained = false;
  let writing: Promise<void> | undefined;
  const pathOf = (name: DocumentName): string => join(directory, `document-${name}.json`);

  const write = async (): Promise<void> => {
    // The turn lets several changes of one moment go into one write.
    await Promise.resolve();
    for (const [name, document] of wanted) {
      try {
        await replaceFile(pathOf(name), `${JSON.stringify({ version: VERSION, prefix, document })}\n`);
        if (wanted.get(name) === document) wanted.delete(name);
        complained = false;
      } catch (error) {
        if (!complained) {
          const what =
            "a document cannot be kept on disk; make the state directory writable. Until then a store that loses it may not get it back";
          log.warn({ directory, document: name, err: error }, what);
        }
        complained = true;
        return;
      }
    }
  };
  const settle = async (): Promise<void> => {
    if (writing !== undefined) await writing;
    if (wanted.size === 0) return;
    await (writing ??= write().finally(() => (writing = undefined)));
    // What came while it was being written; a disk that refuses is tried again with the next one.
    if (wanted.size > 0 && !complained) await settle();
  };

  return {
    settle,
    keep: (name, document) => {
      wanted.set(name, document);
      void settle();
    },
    load: async () => {
      const found = new Map<DocumentName, HeldDocument>();
      for (const name of DOCUMENTS) {
        try {
          const document = decode(JSON.parse(await readFile(pathOf(name), "utf8")), prefix);
          if (document !== undefined) found.set(name, document);
        } catch (error) {
          if (error instanceof Error && "code" in error && error.code === "ENOENT") continue;
          log.warn(
            { path: pathOf(name), err: error },
            "a document on disk cannot be read and is ignored; it is written anew with the next change",
          );
        }
      }
      return found;
    },
  };
}

/** @throws when it is not what is written above. Undefined: of another store. */
function decode(json: unknown, prefix: string): HeldDocument | undefined {
  const file = record(json);
  if (file["version"] !== VERSION) throw new Error(`version is ${String(file["version"])} where ${VERSION} is understood`);
  if (file["prefix"] !== prefix) return undefined;
  const { version, fence, text, history } = record(file["document"]);
  if (typeof text !== "string" || text === "" || typeof history !== "string") throw new Error("it has no text or history");
  if (!isNumber(version) || !isNumber(fence)) throw new Error("its version or fence is no whole number");
  return { version, fence, text, digest: digestOf(text), history };
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("it is not an object");
  return Object.fromEntries(Object.entries(value));
}

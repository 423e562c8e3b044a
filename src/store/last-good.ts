import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { randomHex } from "../core/random-id.ts";
import { StringSet } from "../core/string-set.ts";
import { replaceFile } from "./files.ts";
import type { Held, KillMark } from "./held.ts";
import type { SetId } from "./keys.ts";
import type { StoreLog } from "./log.ts";
import { digestOf, type HeldDocument } from "./rollout-document.ts";
import type { HeldSet } from "./sets.ts";
import type { Fields } from "./view.ts";

/**
 * The last good settings of every flag on disk, so that a restart without a store serves as before. One small file holds
 * all but the sets, and with the settings the rollout's document, so that there is never the one without the other; each set has a file of its own, named by its content, and is written only when that changes.
 */
export interface LastGood {
  /** What was kept, by flag. A file that cannot be understood is reported and left out. */
  load(): Promise<ReadonlyMap<string, Held>>;
  /** Keeps it soon; of several in quick succession only the last is written. */
  keep(flag: string, held: Held): void;
  /**
   * Resolves when all that was to be kept is on disk; false when it cannot be written (which has been reported). What could
   * not be written before is tried again.
   */
  settle(): Promise<boolean>;
}

const FILE = "last-good.json";
const VERSION = 1;
/** Of the set files: raise it when the layout or the hash of core/string-set.ts changes. */
const SET_MAGIC = Buffer.from("crossfade-set-1\n");

/** Without a directory nothing is kept. `prefix` keeps settings of differently named stores apart. */
export function createLastGood(options: {
  readonly directory: string | undefined;
  readonly prefix: string;
  readonly log: StoreLog;
}): LastGood {
  const { directory, prefix, log } = options;
  if (directory === undefined) return { load: async () => new Map(), keep: () => {}, settle: async () => false };

  const path = join(directory, FILE);
  const writer = randomHex(8);
  const kept = new Map<string, Held>();
  /** Set files known to be on disk. */
  const written = new Set<string>();
  let wanted = 0;
  let done = 0;
  let complained = false;
  let writing: Promise<void> | undefined;
  let begun = false;
  let shared = false;

  /** Of two that write to one directory each may remove what the other needs, and the file holds what the last one said. */
  const lookForOthers = async (): Promise<void> => {
    const last = begun ? await writerOf(path) : writer;
    if (last === writer) return;
    written.clear();
    if (last === undefined || shared) return;
    shared = true;
    log.warn(
      { directory },
      "another running instance keeps its settings in this state directory; give each a state_directory of its own. Until then a restart without a store may begin with the other's settings",
    );
  };

  const writeOnce = async (): Promise<void> => {
    await lookForOthers();
    const flags = [...kept];
    const inUse = new Set<string>();
    for (const [flag, held] of flags) {
      for (const [id, set] of Object.entries(held.sets)) {
        if (set.size === 0) continue;
        const name = setFile(flag, id, set.digest);
        inUse.add(name);
        if (written.has(name)) continue;
        await replaceFile(join(directory, name), encodeSet(set.buffer));
        written.add(name);
      }
    }
    await replaceFile(path, JSON.stringify(encode(prefix, writer, flags), null, 2) + "\n");
    begun = true;
    for (const name of written) {
      if (inUse.has(name)) continue;
      written.delete(name);
      await rm(join(directory, name), { force: true });
    }
  };

  const write = async (): Promise<void> => {
    // The turn lets several changes of one moment go into one write.
    await Promise.resolve();
    const goal = wanted;
    try {
      await writeOnce();
      complained = false;
    } catch (error) {
      if (!complained) {
        log.warn(
          { directory, err: error },
          "the last good settings cannot be kept on disk; make the state directory writable. Until then a restart without a store begins with the configuration file, and a kill lasts only as long as this process",
        );
      }
      complained = true;
    } finally {
      done = goal;
      writing = undefined;
    }
  };

  const writeAll = async (): Promise<boolean> => {
    for (;;) {
      if (done >= wanted) return !complained;
      await (writing ??= write());
    }
  };

  return {
    settle: async () => {
      if (complained) wanted++;
      return writeAll();
    },
    keep: (flag, held) => {
      kept.set(flag, held);
      wanted++;
      void writeAll();
    },
    load: async () => {
      const found = new Map<string, Held>();
      try {
        const flags = decode(JSON.parse(await readFile(path, "utf8")), prefix);
        for (const [flag, entry] of flags) {
          found.set(flag, { ...entry, origin: "disk", sets: await loadSets(directory, flag, entry.sets, written, log) });
        }
        for (const [flag, held] of found) kept.set(flag, held);
        await forgetStrays(directory, written);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) {
          log.warn(
            { path, err: error },
            "the last good settings on disk cannot be read and are ignored; they are written anew with the next change",
          );
        }
      }
      return found;
    },
  };
}

interface Entry {
  readonly revision: number;
  readonly history: string;
  readonly accepted: Fields;
  readonly mark: KillMark | undefined;
  readonly document: HeldDocument | undefined;
  readonly sets: Readonly<Record<SetId, string>>;
}

function encode(prefix: string, writer: string, flags: readonly (readonly [string, Held])[]): object {
  const entries = flags.map(([flag, held]) => {
    const sets = Object.entries(held.sets).flatMap(([id, set]) => (set.size === 0 ? [] : [[id, set.digest] as const]));
    const { revision, history, accepted, mark, document } = held;
    return [flag, { revision, history, accepted, mark, document, sets: Object.fromEntries(sets) }] as const;
  });
  return { version: VERSION, prefix, writer, flags: Object.fromEntries(entries) };
}

/** @throws when it is not what {@link encode} makes. */
function decode(json: unknown, prefix: string): Map<string, Entry> {
  const file = record(json, "the file");
  if (file["version"] !== VERSION) throw new Error(`version is ${String(file["version"])} where ${VERSION} is understood`);
  const found = new Map<string, Entry>();
  if (file["prefix"] !== prefix) return found;
  for (const [flag, value] of Object.entries(record(file["flags"], "flags"))) {
    const entry = record(value, flag);
    const mark = entry["mark"] === undefined ? undefined : record(entry["mark"], "mark");
    found.set(flag, {
      revision: wholeNumber(entry["revision"]),
      history: historyOf(entry),
      accepted: textRecord(entry["accepted"], "accepted"),
      sets: textRecord(entry["sets"], "sets"),
      mark: mark && {
        killed: mark["killed"] === true,
        who: String(mark["who"]),
        reason: String(mark["reason"]),
        revision: wholeNumber(mark["revision"]),
      },
      document: entry["document"] === undefined ? undefined : decodeDocument(record(entry["document"], "document")),
    });
  }
  return found;
}

function decodeDocument({ version, fence, text, history }: Readonly<Record<string, unknown>>): HeldDocument {
  if (typeof text !== "string" || typeof history !== "string") throw new Error("a document has no text or history");
  return { version: wholeNumber(version), fence: wholeNumber(fence), text, digest: digestOf(text), history };
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${what} is not an object`);
  return Object.fromEntries(Object.entries(value));
}

function textRecord(value: unknown, what: string): Record<string, string> {
  const entries = Object.entries(record(value, what)).map(([name, text]) => {
    if (typeof text !== "string") throw new Error(`${what}.${name} is not a text`);
    return [name, text] as const;
  });
  return Object.fromEntries(entries);
}

function wholeNumber(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw new Error(`${String(value)} is no revision`);
  return value;
}

/** A number means nothing without the count that it belongs to. */
function historyOf({ revision, history }: Readonly<Record<string, unknown>>): string {
  if (typeof history !== "string" || (revision !== 0 && !/^\w+$/.test(history))) throw new Error("a revision has no history");
  return history;
}

/** Who wrote the settings last; undefined where that cannot be told. */
async function writerOf(path: string): Promise<unknown> {
  try {
    return record(JSON.parse(await readFile(path, "utf8")), "the file")["writer"];
  } catch {
    return undefined;
  }
}

function setFile(flag: string, id: SetId, digest: string): string {
  return `${encodeURIComponent(flag)}.${encodeURIComponent(id)}.${digest}.set`;
}

/** The shared memory as it is, behind a mark of its layout and a checksum. */
function encodeSet(buffer: SharedArrayBuffer): Uint8Array {
  const content = Buffer.from(buffer);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(content));
  return Buffer.concat([SET_MAGIC, checksum, content]);
}

async function loadSets(
  directory: string,
  flag: string,
  digests: Readonly<Record<SetId, string>>,
  written: Set<string>,
  log: StoreLog,
): Promise<Record<SetId, HeldSet>> {
  const sets: Record<SetId, HeldSet> = {};
  for (const [id, digest] of Object.entries(digests)) {
    const name = setFile(flag, id, digest);
    try {
      const buffer = decodeSet(await readFile(join(directory, name)));
      sets[id] = { digest, size: new StringSet(buffer).size, buffer };
      written.add(name);
    } catch (error) {
      log.warn(
        { path: join(directory, name), err: error },
        `the users of ${id} on disk cannot be read; until there is a store again the set counts as empty`,
      );
    }
  }
  return sets;
}

function decodeSet(file: Buffer): SharedArrayBuffer {
  const content = file.subarray(SET_MAGIC.length + 4);
  if (!file.subarray(0, SET_MAGIC.length).equals(SET_MAGIC)) throw new Error("it is of another kind or version");
  if (crc32(content) !== file.readUInt32LE(SET_MAGIC.length)) throw new Error("its checksum does not fit");
  const buffer = new SharedArrayBuffer(content.length);
  content.copy(Buffer.from(buffer));
  const set = new StringSet(buffer);
  const [member] = set.values();
  if (member === undefined || !set.has(member)) throw new Error("its layout is not the one in use");
  return buffer;
}

/** Set files that no settings name any more: left by a process that ended between two writes. */
async function forgetStrays(directory: string, inUse: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.endsWith(".set") && !inUse.has(name)) await rm(join(directory, name), { force: true });
  }
}

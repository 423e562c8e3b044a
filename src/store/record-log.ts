import { mkdir, open, readdir, readFile, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { StoreLog } from "./log.ts";
import { RECORD_LENGTH } from "./rollout-scripts.ts";

/** Entries of a file; the oldest file goes as a whole. */
const FILE_LENGTH = 2_500;
/** Of a record that is kept in memory for want of a directory. */
const MEMORY_BYTES = 64 * 1_048_576;

export interface RecordEntry {
  readonly id: string;
  readonly text: string;
}

/** The record of one rollout's flag, in order, the newest {@link RECORD_LENGTH} entries about. */
export interface RecordLog {
  append(text: string): Promise<void>;
  /** After the entry `after` ("" for the oldest), at most `count`. */
  read(after: string, count: number): Promise<readonly RecordEntry[]>;
}

/** In files of lines below `directory`, where appending costs a line and not the whole; in memory without one. */
export function createRecordLog(options: {
  readonly directory: string | undefined;
  readonly flag: string;
  readonly log: StoreLog;
  readonly now: () => number;
}): RecordLog {
  const { directory } = options;
  return directory === undefined ? new MemoryRecord(options.now) : new FileRecord({ ...options, directory });
}

/** Ids as Redis gives them: the time and a number, so that they grow also where the clock does not. */
export function idAfter(last: string, now: number): string {
  const [time = 0, number = 0] = last === "" ? [] : last.split("-").map(Number);
  return now > time ? `${now}-0` : `${time}-${number + 1}`;
}

/** Whether the entry `id` comes after the entry `after`; "" is before all. */
export function isAfter(id: string, after: string): boolean {
  if (after === "") return true;
  const [time = 0, number = 0] = id.split("-").map(Number);
  const [otherTime = 0, otherNumber = 0] = after.split("-").map(Number);
  return time > otherTime || (time === otherTime && number > otherNumber);
}

class MemoryRecord implements RecordLog {
  readonly #now: () => number;
  #entries: RecordEntry[] = [];
  #bytes = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  async append(text: string): Promise<void> {
    this.#entries.push({ id: idAfter(this.#entries.at(-1)?.id ?? "", this.#now()), text });
    this.#bytes += text.length;
    let dropped = 0;
    while (this.#entries.length - dropped > RECORD_LENGTH || (this.#bytes > MEMORY_BYTES && this.#entries.length - dropped > 1)) {
      this.#bytes -= this.#entries[dropped++]?.text.length ?? 0;
    }
    if (dropped > 0) this.#entries = this.#entries.slice(dropped);
  }

  async read(after: string, count: number): Promise<readonly RecordEntry[]> {
    return this.#entries.filter(({ id }) => isAfter(id, after)).slice(0, count);
  }
}

interface File {
  readonly path: string;
  /** Id of its first entry, which is in its name. */
  readonly first: string;
}

/**
 * Lines of JSON in files of {@link FILE_LENGTH}. What a crash leaves half written is the end of the last file; it is cut off at the next start,
 * and no reader takes it for an entry.
 */
class FileRecord implements RecordLog {
  readonly #directory: string;
  readonly #prefix: string;
  readonly #log: StoreLog;
  readonly #now: () => number;
  #files: File[] = [];
  /** Of the last file. */
  #length = 0;
  #last = "";
  #complained = false;
  #queue: Promise<unknown> = Promise.resolve();
  #opened = false;

  constructor(options: { readonly directory: string; readonly flag: string; readonly log: StoreLog; readonly now: () => number }) {
    this.#directory = options.directory;
    this.#prefix = `${encodeURIComponent(options.flag)}.record.`;
    this.#log = options.log;
    this.#now = options.now;
  }

  /** A disk that is full keeps no record, but does not stop a rollout: that could not be rolled back then. */
  async append(text: string): Promise<void> {
    await this.#inTurn(async () => {
      try {
        await this.#open();
        await this.#append(text);
        this.#complained = false;
      } catch (error) {
        // Whatever stands in the file is looked at anew before the next entry.
        this.#opened = false;
        if (this.#complained) return;
        this.#complained = true;
        const what = "the record of the rollout cannot be kept on disk; make room and the state directory writable. It will have a gap";
        this.#log.warn({ directory: this.#directory, err: error }, what);
      }
    });
  }

  async read(after: string, count: number): Promise<readonly RecordEntry[]> {
    return this.#inTurn(async () => {
      await this.#open();
      const next = this.#files.findIndex(({ first }) => isAfter(first, after));
      const from = next < 0 ? this.#files.length - 1 : Math.max(0, next - 1);
      const found: RecordEntry[] = [];
      for (const { path } of this.#files.slice(Math.max(0, from))) {
        for (const entry of parseLines(await readFile(path, "utf8"))) {
          if (found.length < count && isAfter(entry.id, after)) found.push(entry);
        }
        if (found.length >= count) break;
      }
      return found;
    });
  }

  async #append(text: string): Promise<void> {
    const id = idAfter(this.#last, this.#now());
    if (this.#files.length === 0 || this.#length >= FILE_LENGTH) {
      this.#files.push({ path: join(this.#directory, `${this.#prefix}${id}.log`), first: id });
      this.#length = 0;
    }
    const path = this.#files.at(-1)?.path ?? "";
    const file = await open(path, "a", 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ id, text })}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    this.#last = id;
    this.#length++;
    while (this.#files.length > RECORD_LENGTH / FILE_LENGTH + 1) await rm(this.#files.shift()?.path ?? "", { force: true });
  }

  /** Finds what is there, and cuts off what was never written to its end. */
  async #open(): Promise<void> {
    if (this.#opened) return;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const names = (await readdir(this.#directory)).filter((name) => name.startsWith(this.#prefix) && /\.\d+-\d+\.log$/.test(name));
    const files = names.map((name) => ({ path: join(this.#directory, name), first: name.slice(this.#prefix.length, -".log".length) }));
    this.#files = files.toSorted((a, b) => (isAfter(a.first, b.first) ? 1 : -1));
    this.#length = 0;
    this.#last = this.#files.at(-1)?.first ?? "";
    const newest = this.#files.at(-1);
    if (newest !== undefined) {
      const content = await readFile(newest.path);
      const end = content.lastIndexOf(0x0a) + 1;
      if (end < content.length) await truncate(newest.path, end);
      const entries = parseLines(content.toString("utf8", 0, end));
      this.#length = entries.length;
      this.#last = entries.at(-1)?.id ?? this.#last;
    }
    this.#opened = true;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }
}

/** Lines that are no entries are left out: something else has written there. */
function parseLines(text: string): RecordEntry[] {
  return text.split("\n").flatMap((line): RecordEntry[] => {
    try {
      const entry: unknown = line === "" ? undefined : JSON.parse(line);
      if (typeof entry !== "object" || entry === null || !("id" in entry) || !("text" in entry)) return [];
      const { id, text: kept } = entry;
      return typeof id === "string" && /^\d+-\d+$/.test(id) && typeof kept === "string" ? [{ id, text: kept }] : [];
    } catch {
      return [];
    }
  });
}

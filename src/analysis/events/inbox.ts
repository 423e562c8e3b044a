import type { EventStore, InboxEntry } from "../../store/event-store.ts";
import type { BusinessEvent, Refusal } from "./event.ts";
import { parseEvent, type ParseOptions } from "./parse.ts";

interface InboxOptions {
  readonly store: EventStore;
  readonly flag: string;
  /** How long an event waits for an instance that knows its request. */
  readonly waitMs: number;
}

interface Waiting {
  readonly event: BusinessEvent;
  readonly since: number;
}

interface Refused {
  readonly entry: string;
  readonly refusal: Refusal;
}

/** What was read of the stream. Nothing is gone from it before `finish`. */
export interface InboxBatch {
  /** What has come, and what has been waiting; `hasWaited`: for as long as it may. */
  readonly events: readonly { readonly entry: string; readonly event: BusinessEvent; readonly hasWaited: boolean }[];
  /** What cannot be read as an event. */
  readonly refused: readonly Refused[];
  /** This one is left for the other instances. */
  moreWaiting(entry: string, event: BusinessEvent): void;
  /** Takes the entries out of the stream. Resolves with those of the refused that no other instance had taken out before. */
  finish(counted: readonly string[], refused: readonly Refused[]): Promise<readonly Refusal[]>;
}

const PAGE = 500;
/** Most pages of one reading, so that it ends while others write. */
const PAGES = 4;
const MOST_WAITING = 10_000;
/** After so long it is read from the beginning again: an entry whose number is lower than the last one read is not missed for good. */
const REWIND_MS = 30_000;

/**
 * The stream of a flag, read by every instance. An entry stays until somebody has counted it; who dies in between has it counted again by another, who
 * finds that its id is known. An event of a request that this instance does not know is left there for a while for the others.
 */
export class Inbox {
  readonly #options: InboxOptions;
  /** By entry; the oldest first. */
  readonly #waiting = new Map<string, Waiting>();
  #cursor = "";
  #rewoundAt = -Infinity;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  async read(now: number, parsing: ParseOptions): Promise<InboxBatch> {
    if (now - this.#rewoundAt >= REWIND_MS || now < this.#rewoundAt) {
      this.#cursor = "";
      this.#rewoundAt = now;
    }
    const { entries, cursor } = await this.#pages();
    const tooMany = this.#waiting.size - MOST_WAITING;
    const events: { entry: string; event: BusinessEvent; hasWaited: boolean }[] = [...this.#waiting].map(
      ([entry, { event, since }], i) => ({
        entry,
        event,
        hasWaited: i < tooMany || now - since >= this.#options.waitMs,
      }),
    );
    const refused: Refused[] = [];
    for (const entry of entries) {
      if (this.#waiting.has(entry.id)) continue;
      const result = readEntry(entry, parsing);
      if ("event" in result) events.push({ entry: entry.id, event: result.event, hasWaited: false });
      else refused.push({ entry: entry.id, refusal: result.refusal });
    }
    const left = new Map<string, BusinessEvent>();
    return {
      events,
      refused,
      moreWaiting: (entry, event) => void left.set(entry, event),
      finish: async (counted, wrong) => {
        await this.#options.store.done(this.#options.flag, counted);
        for (const entry of counted) this.#waiting.delete(entry);
        const mine = await Promise.all(
          wrong.map(async ({ entry, refusal }) => {
            const isMine = (await this.#options.store.done(this.#options.flag, [entry])) > 0;
            this.#waiting.delete(entry);
            return isMine ? [refusal] : [];
          }),
        );
        for (const [entry, event] of left) if (!this.#waiting.has(entry)) this.#waiting.set(entry, { event, since: now });
        this.#cursor = cursor;
        return mine.flat();
      },
    };
  }

  async #pages(): Promise<{ readonly entries: readonly InboxEntry[]; readonly cursor: string }> {
    const entries: InboxEntry[] = [];
    let cursor = this.#cursor;
    for (let page = 0; page < PAGES; page++) {
      const read = await this.#options.store.inbox(this.#options.flag, PAGE, cursor);
      entries.push(...read);
      cursor = read.at(-1)?.id ?? cursor;
      if (read.length < PAGE) break;
    }
    return { entries, cursor };
  }
}

/** What has no id is known by its place in the stream, and happened when it was put there. */
function readEntry(
  { id, at, text, as }: InboxEntry,
  parsing: ParseOptions,
): { readonly event: BusinessEvent } | { readonly refusal: Refusal } {
  const wrong = (field: string, value: string, message: string): { refusal: Refusal } => ({
    refusal: { index: undefined, kind: "invalid", field, value, message: `entry ${id}: ${message}` },
  });
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return wrong("event", text.slice(0, 60), 'the field event is not JSON; XADD it as event {"type":"conversion","user":"u1"}');
  }
  const result = parseEvent(given, { ...parsing, now: at }, as ?? `stream:${id}`);
  if ("event" in result) return result;
  const first = result.faults[0];
  return wrong(first?.field ?? "", first?.value ?? "", result.faults.map(({ message }) => message).join("; "));
}

import { Refused } from "../controller/desk.ts";
import type { DocumentStore } from "../store/documents.ts";
import { DocumentConflict, type Lease, type StoredDocument } from "../store/rollout-store.ts";
import type { Log } from "../telemetry/log.ts";
import { decodeNotices, encodeNotices } from "./state-text.ts";
import { NO_NOTICES, type NoticeState } from "./state.ts";

/** The document "notices" as this instance last saw it. */
interface Kept {
  /** 0: there is none yet. */
  readonly version: number;
  readonly state: NoticeState;
  /** Who wrote it as the one that sends; undefined: not known. */
  readonly sender: string | undefined;
}

const NOTHING_KEPT: Kept = { version: 0, state: NO_NOTICES, sender: undefined };

/** One line says who sends, the rest is the state. */
function textOf(state: NoticeState, sender: string | undefined): string {
  return `${JSON.stringify({ sender: sender ?? null })}\n${encodeNotices(state)}`;
}

/**
 * `problem`: it cannot be read. Then it is begun anew, unless it is a newer program's (`newer`), which must not be written over.
 */
function readKept(
  stored: StoredDocument | undefined,
): Kept | { readonly problem: string; readonly newer: boolean; readonly version: number } {
  if (stored === undefined) return NOTHING_KEPT;
  const { version, text } = stored;
  const end = text.indexOf("\n");
  const decoded = decodeNotices(end < 0 ? text : text.slice(end + 1));
  return "state" in decoded
    ? { version, state: decoded.state, sender: senderOf(text.slice(0, Math.max(0, end))) }
    : { ...decoded, version };
}

function senderOf(line: string): string | undefined {
  try {
    const given: unknown = JSON.parse(line);
    return typeof given === "object" && given !== null && "sender" in given && typeof given.sender === "string" ? given.sender : undefined;
  } catch {
    return undefined;
  }
}

const MOST_TRIES = 10;

/** The document as this instance knows it, and how it is changed. */
export class KeptNotices {
  readonly #documents: DocumentStore;
  readonly #instance: string;
  readonly #log: Log;
  readonly #now: () => number;
  #kept: Kept = NOTHING_KEPT;
  #readAt = Number.NEGATIVE_INFINITY;
  #writtenAt = Number.NEGATIVE_INFINITY;
  /** Why it is left alone. */
  #problem = "";

  constructor(parts: { readonly documents: DocumentStore; readonly instance: string; readonly log: Log }, now: () => number) {
    this.#documents = parts.documents;
    this.#instance = parts.instance;
    this.#log = parts.log;
    this.#now = now;
  }

  get state(): NoticeState {
    return this.#kept.state;
  }

  get version(): number {
    return this.#kept.version;
  }

  get sender(): string | undefined {
    return this.#kept.sender;
  }

  /** Whether it was read, or written, longer ago; a clock that was set back counts as long. */
  isOlder(ms: number): boolean {
    return isPast(this.#readAt, ms, this.#now());
  }

  /** As {@link isOlder}, of the last time that this instance wrote it as the one that sends. */
  isUnwritten(ms: number): boolean {
    return isPast(this.#writtenAt, ms, this.#now());
  }

  /** False: what is there is not for this program to touch. */
  async load(): Promise<boolean> {
    const stored = await this.#documents.load("notices");
    this.#readAt = this.#now();
    if (stored !== undefined && stored.version === this.#kept.version) return this.#problem === "";
    const read = readKept(stored);
    if (!("problem" in read)) {
      this.#kept = read;
      this.#problem = "";
      return true;
    }
    const { version, problem, newer } = read;
    if (problem !== this.#problem)
      this.#log.warn(
        { version, problem },
        newer ? "notices are left to a newer program" : "what is kept of notices cannot be read; it is begun anew",
      );
    this.#problem = newer ? problem : "";
    this.#kept = { version, state: NO_NOTICES, sender: undefined };
    return !newer;
  }

  /** As the one that sends, under its lease; without one beside it. Throws what `DocumentStore.save` throws. */
  async write(state: NoticeState, lease: Lease | undefined): Promise<void> {
    const sender = lease === undefined ? this.#kept.sender : this.#instance;
    const version = await this.#documents.save("notices", { version: this.#kept.version, text: textOf(state, sender), lease });
    this.#kept = { version, state, sender };
    this.#readAt = this.#now();
    if (lease !== undefined) this.#writtenAt = this.#readAt;
  }

  /** Changes what is kept beside whoever sends. */
  async change<T>(change: (state: NoticeState) => { readonly state: NoticeState; readonly result: T }): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      if (!(await this.load())) throw new Refused("The notices are those of a newer program; ask an instance of that version.");
      const { state, result } = change(this.#kept.state);
      if (state === this.#kept.state) return result;
      try {
        await this.write(state, undefined);
        return result;
      } catch (error) {
        if (!(error instanceof DocumentConflict) || attempt === MOST_TRIES) throw error;
      }
    }
  }
}

function isPast(instant: number, ms: number, now: number): boolean {
  return now - instant >= ms || now < instant;
}

import { setTimeout as delay } from "node:timers/promises";
import { decodeFigures, type RecordFigures, stratumText } from "./recording.ts";
import { RecordHistory } from "./windows-history.ts";

/** Entries of the record after an entry ("": from the first), in order, at most so many. */
export type ReadRecord = (after: string, count: number) => Promise<readonly { readonly id: string; readonly text: string }[]>;

/** Entries read at a time. */
const PAGE = 100;
/** For so long at a time entries are added up, and for so long others have the thread. Milliseconds. */
const SLICE_MS = 10;

/**
 * The record of a rollout as far as it has been read. A record of weeks takes a while; it is read in slices beside everything else, and what is
 * made of it is there once it has been read to its end.
 */
export class RecordReader {
  readonly #read: ReadRecord;
  readonly #onChange: () => void;
  #history = new RecordHistory();
  #isWhole = false;
  #id = "";
  #until = -1;
  /** What was last recorded of each step's strata. */
  #strata = new Map<number, unknown>();
  #strataTexts: ReadonlyMap<number, string> | undefined;
  /** By instance: its last tick in the record, and when that was. */
  #taken = new Map<string, { readonly seq: number; readonly at: number }>();
  #reading: Promise<void> | undefined;
  #failure: unknown;
  #isClosed = false;

  /** `onChange` is called before anybody else can see what changed. */
  constructor(read: ReadRecord, onChange: () => void) {
    this.#read = read;
    this.#onChange = onChange;
  }

  /** Undefined: it has not been read to its end yet. */
  get history(): RecordHistory | undefined {
    return this.#isWhole ? this.#history : undefined;
  }

  /** Id of the last entry read; "": none. */
  get id(): string {
    return this.#id;
  }

  /** Where the last entry ends; -1: there is none. */
  get until(): number {
    return this.#until;
  }

  get upTo(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#taken].map(([instance, { seq }]) => [instance, seq]));
  }

  get strata(): ReadonlyMap<number, string> {
    this.#strataTexts ??= new Map([...this.#strata].map(([step, json]) => [step, stratumText(json)]));
    return this.#strataTexts;
  }

  /** Why it could not be read to its end when that was tried last. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whether the tick of that number is in the record. */
  holds(instance: string, seq: number): boolean {
    return seq <= (this.#taken.get(instance)?.seq ?? -1);
  }

  forget(before: number): void {
    for (const [instance, { at }] of this.#taken) if (at < before) this.#taken.delete(instance);
  }

  /** Reads on from where it stands. Whoever comes while that is under way waits for the same. Never rejects: see `failure`. */
  readOn(): Promise<void> {
    this.#reading ??= this.#readToEnd()
      .then(
        () => (this.#failure = undefined),
        (error: unknown) => (this.#failure = error ?? new Error("the record cannot be read")),
      )
      .then(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  /** Ends a reading that is under way after the entry it is at. */
  close(): void {
    this.#isClosed = true;
  }

  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  async #readToEnd(): Promise<void> {
    for (;;) {
      if (this.#isClosed) throw new Error("the record is not read any more");
      const page = await this.#read(this.#id, PAGE);
      const isComplete = await this.#takeAll(page);
      if (isComplete && page.length < PAGE) break;
    }
    this.#isWhole = true;
    this.#onChange();
  }

  /** False: the end has not been reached, however short the page. */
  async #takeAll(page: readonly { readonly id: string; readonly text: string }[]): Promise<boolean> {
    let begun = performance.now();
    for (const { id, text } of page) {
      const entry = decodeFigures(text);
      if (entry !== undefined && this.#isWhole && entry.after !== this.#id) {
        // Its writer had not seen what we have, a write that a failover lost perhaps: the record as it stands is what counts.
        this.#startOver();
        return false;
      }
      this.#id = id;
      if (entry !== undefined) this.#take(entry);
      if (performance.now() - begun < SLICE_MS) continue;
      this.#onChange();
      await delay(SLICE_MS);
      if (this.#isClosed) return false;
      begun = performance.now();
    }
    this.#onChange();
    return true;
  }

  #startOver(): void {
    this.#isWhole = false;
    this.#history = new RecordHistory();
    this.#id = "";
    this.#until = -1;
    this.#strata = new Map();
    this.#strataTexts = undefined;
    this.#taken = new Map();
    this.#onChange();
  }

  #take(entry: RecordFigures): void {
    this.#history.append(entry);
    this.#until = Math.max(this.#until, entry.to);
    for (const [step, json] of entry.strata) this.#strata.set(step, json);
    if (entry.strata.length > 0) this.#strataTexts = undefined;
    for (const [instance, seq] of Object.entries(entry.upTo)) {
      if (seq > (this.#taken.get(instance)?.seq ?? -1)) this.#taken.set(instance, { seq, at: entry.to });
    }
  }
}

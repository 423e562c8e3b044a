import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import type { Published } from "../store/rollout-store.ts";
import type { FiguresSource, FiguresTable } from "./figures.ts";
import { decodeTick } from "./tick.ts";
import { type ClockOff, Instances } from "./windows-instances.ts";
import { RecentTicks } from "./windows-recent.ts";
import { type ReadRecord, RecordReader } from "./windows-record.ts";
import type { PendingTick, RecordState } from "./windows-recording.ts";
import { isWithin, type Stretch, tableOf } from "./windows-stretch.ts";

export type { ClockOff } from "./windows-instances.ts";
export { recordingOf } from "./windows-recording.ts";

export interface WindowsOptions {
  /** What all instances published after an entry ("": from the first), in order; empty when there is no more. */
  readonly fetch: (after: string) => Promise<readonly Published[]>;
  /** The record, likewise. */
  readonly recorded: ReadRecord;
  /** How long single steps of time are kept. Default: 15 minutes. */
  readonly keepMs?: number;
  /** Steps of time within that. Default: 1 s. */
  readonly resolutionMs?: number;
}

const KEEP_MS = 900_000;
const RESOLUTION_MS = 1_000;
/** Clocks differ. */
const MARGIN_MS = 60_000;
/** What the record does not hold yet waits so long for whoever carries it on; then it is lost to windows that grow. */
const PENDING_MS = 3_600_000;
/** Where there is no record: long enough for one that begins just now. */
const UNRECORDED_MS = 180_000;
/** For so long after its last word an instance is known again by the number of its last tick. */
const REMEMBERED_MS = 86_400_000;
/** A refresh waits no longer for the record, which may take long to read: windows of the last minutes do not need it. */
const RECORD_WAIT_MS = 50;
/** For so long at a time ticks are decoded before others have the thread. */
const SLICE_MS = 10;

/**
 * Figures of the whole fleet. Windows within the last minutes are made of what instances publish, in steps of a second; longer ones of the
 * record and of what was published since. Every tick counts once: its instance and number say whether it was seen, and each entry of the
 * record says up to which tick of each instance it goes. So whoever takes over, at any time, adds up the same. What an instance publishes
 * late counts where the middle of its stretch of time lies. Instants are those of the store's clock.
 *
 * Until the record has been read to its end, which takes a new leader some time, nothing is known of spans that reach back beyond the last
 * minutes: they are covered by nothing.
 */
export class FleetWindows implements FiguresSource {
  readonly #options: WindowsOptions;
  readonly #tables = new Map<string, FiguresTable>();
  readonly #recent: RecentTicks;
  readonly #record: RecordReader;
  readonly #instances = new Instances();
  #published = "";
  #pending: PendingTick[] = [];
  #newest: number | undefined;
  #refreshing: Promise<unknown> = Promise.resolve();
  /** Entries that were made, and how many of them were when a reading of the record began that came to its end. */
  #handedOut = 0;
  #knownOf = -1;
  /** Somebody has asked where the record stands, or carries it on. */
  #isRecorded = false;

  constructor(options: WindowsOptions) {
    this.#options = options;
    const { keepMs = KEEP_MS } = options;
    this.#recent = new RecentTicks(keepMs + Math.min(MARGIN_MS, keepMs), options.resolutionMs ?? RESOLUTION_MS);
    this.#record = new RecordReader(options.recorded, () => this.#onRecord());
  }

  /**
   * Resolves once what was published is there, with the end of the newest of it by the store's clock. The record is read meanwhile; it is
   * waited for only shortly, see {@link caughtUp}.
   */
  refresh(_now: number): Promise<number | undefined> {
    const done = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = done.catch(() => {});
    return done;
  }

  /** Resolves once the record has been read to its end, or could not be, since the last refresh. */
  async caughtUp(): Promise<void> {
    await this.#refreshing;
    if (this.#record.isReading) await this.#record.readOn();
  }

  /** Ends what goes on beside a refresh. */
  close(): void {
    this.#record.close();
  }

  /** To be called after a refresh. */
  between(from: number, to: number): Promise<FiguresTable> {
    const key = `${from} ${to}`;
    const known = this.#tables.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const table = tableOf(this.#stretches(from, to), from, to);
    this.#tables.set(key, table);
    return Promise.resolve(table);
  }

  /** Instances whose clock is off the store's by more than two seconds. */
  clocksOff(): readonly ClockOff[] {
    return this.#instances.off(this.#newest ?? 0);
  }

  /** Of these instances those from which nothing came within so long before the newest that came from anybody. */
  silent(known: readonly string[], withinMs: number): readonly string[] {
    return this.#instances.silent(known, (this.#newest ?? Infinity) - withinMs);
  }

  /** @throws what the record could not be read for, if that is so. */
  recordState(): RecordState | undefined {
    this.#isRecorded = true;
    if (this.#record.failure !== undefined) throw this.#record.failure;
    if (this.#knownOf !== this.#handedOut) return undefined;
    const { id, until, upTo, strata } = this.#record;
    return { id, until: id === "" ? undefined : until, upTo, strata, pending: this.#pending };
  }

  handOut(): void {
    this.#handedOut++;
  }

  #stretches(from: number, to: number): readonly Stretch[] {
    if (from >= this.#recent.floor) return this.#recent.between(from, to);
    const { history } = this.#record;
    if (history === undefined) return [];
    return [...history.between(from, to), ...this.#pending.map(({ stretch }) => stretch).filter((stretch) => isWithin(stretch, from, to))];
  }

  async #refresh(): Promise<number | undefined> {
    await this.#readPublished();
    this.#recent.settle();
    this.#forget();
    this.#tables.clear();
    const waiting = new AbortController();
    await Promise.race([this.#readRecord(), delay(RECORD_WAIT_MS, undefined, { signal: waiting.signal }).catch(() => {})]);
    waiting.abort();
    return this.#newest;
  }

  /** A reading that began before an entry was made does not tell whether that was written. */
  async #readRecord(): Promise<void> {
    const known = this.#record.isReading ? this.#knownOf : this.#handedOut;
    await this.#record.readOn();
    if (this.#record.failure === undefined) this.#knownOf = Math.max(this.#knownOf, known);
  }

  #onRecord(): void {
    this.#pending = this.#pending.filter(({ instance, seq }) => !this.#record.holds(instance, seq));
    this.#tables.clear();
  }

  async #readPublished(): Promise<void> {
    let begun = performance.now();
    for (;;) {
      const page = await this.#options.fetch(this.#published);
      for (const entry of page) {
        this.#take(entry);
        this.#published = entry.id;
        if (performance.now() - begun < SLICE_MS) continue;
        this.#tables.clear();
        await nextTurn();
        begun = performance.now();
      }
      this.#tables.clear();
      if (page.length === 0) break;
    }
  }

  #take({ id, instance, text }: Published): void {
    const tick = decodeTick(text);
    if (tick === undefined) return;
    const at = storeTimeOf(id);
    const placed = this.#instances.place(instance, tick, at);
    if (placed === undefined) return;
    const [from, to] = placed;
    const stretch: Stretch = { from, to, covered: [placed], instances: [instance], cells: tick.cells };
    // Clocks that agree are not the same to the millisecond; nothing is newer than what the store has.
    this.#newest = Math.max(this.#newest ?? 0, Math.min(to, at ?? to));
    this.#recent.add(stretch, this.#newest);
    if (!this.#record.holds(instance, tick.seq)) this.#pending.push({ instance, seq: tick.seq, stretch });
  }

  #forget(): void {
    const newest = this.#newest ?? 0;
    const isRecorded = this.#isRecorded || this.#record.history === undefined || this.#record.until > newest - PENDING_MS;
    this.#isRecorded = false;
    const unrecorded = newest - UNRECORDED_MS;
    const oldest = isRecorded ? newest - PENDING_MS : unrecorded;
    // While nothing is counted nothing may be recorded either; what is empty need not wait for that.
    const isOld = ({ stretch }: PendingTick): boolean => stretch.to < oldest || (stretch.to < unrecorded && stretch.cells.length === 0);
    if (this.#pending.some(isOld)) this.#pending = this.#pending.filter((each) => !isOld(each));
    this.#instances.forget(newest - REMEMBERED_MS);
    this.#record.forget(newest - REMEMBERED_MS);
  }
}

/** Ids begin with the store's time, epoch milliseconds. */
function storeTimeOf(id: string): number | undefined {
  const [, ms] = /^(\d{1,15})-\d+$/.exec(id) ?? [];
  return ms === undefined ? undefined : Number(ms);
}

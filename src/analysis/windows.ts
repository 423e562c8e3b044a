import type { Published } from "../store/rollout-store.ts";
import type { FiguresSource, FiguresTable } from "./figures.ts";
import { decodeRecord, type RecordEntry } from "./recording.ts";
import { decodeTick } from "./tick.ts";
import { RecordHistory } from "./windows-history.ts";
import { RecentTicks } from "./windows-recent.ts";
import type { PendingTick, RecordState } from "./windows-recording.ts";
import { isWithin, type Stretch, tableOf } from "./windows-stretch.ts";

export { recordingOf } from "./windows-recording.ts";

export interface WindowsOptions {
  /** What all instances published after an entry ("": from the first), in order; empty when there is no more. */
  readonly fetch: (after: string) => Promise<readonly Published[]>;
  /** The record, likewise. */
  readonly recorded: (after: string, count: number) => Promise<readonly { readonly id: string; readonly text: string }[]>;
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
const PAGE = 500;

/**
 * Figures of the whole fleet. Windows within the last minutes are made of what instances publish, in steps of a second; longer ones of the
 * record and of what was published since. Every tick counts once: its instance and number say whether it was seen, and each entry of the
 * record says up to which tick of each instance it goes. So whoever takes over, at any time, adds up the same. What an instance publishes
 * late counts where the middle of its stretch of time lies.
 */
export class FleetWindows implements FiguresSource {
  readonly #options: WindowsOptions;
  readonly #tables = new Map<string, FiguresTable>();
  readonly #recent: RecentTicks;
  #history = new RecordHistory();
  #record = { id: "", until: -1, strata: new Map<number, string>() };
  /** By instance: its last tick in the record, and when that was. */
  #recorded = new Map<string, { readonly seq: number; readonly at: number }>();
  #published = "";
  readonly #seen = new Map<string, { readonly seq: number; readonly at: number }>();
  #pending: PendingTick[] = [];
  #newest: number | undefined;
  #refreshing: Promise<unknown> = Promise.resolve();
  #mayRecord = false;
  /** Somebody has asked where the record stands, or carries it on. */
  #isRecorded = false;

  constructor(options: WindowsOptions) {
    this.#options = options;
    const { keepMs = KEEP_MS } = options;
    this.#recent = new RecentTicks(keepMs + Math.min(MARGIN_MS, keepMs), options.resolutionMs ?? RESOLUTION_MS);
  }

  refresh(_now: number): Promise<number | undefined> {
    const done = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = done.catch(() => {});
    return done;
  }

  /** To be called after a refresh. */
  between(from: number, to: number): Promise<FiguresTable> {
    const key = `${from} ${to}`;
    const known = this.#tables.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const stretches =
      from >= this.#recent.floor
        ? this.#recent.between(from, to)
        : [
            ...this.#history.between(from, to),
            ...this.#pending.map(({ stretch }) => stretch).filter((stretch) => isWithin(stretch, from, to)),
          ];
    const table = tableOf(stretches, from, to);
    this.#tables.set(key, table);
    return Promise.resolve(table);
  }

  recordState(): RecordState | undefined {
    this.#isRecorded = true;
    if (!this.#mayRecord) return undefined;
    const { id, until, strata } = this.#record;
    const upTo = Object.fromEntries([...this.#recorded].map(([instance, { seq }]) => [instance, seq]));
    return { id, until: id === "" ? undefined : until, upTo, strata, pending: this.#pending };
  }

  handOut(): void {
    this.#mayRecord = false;
  }

  async #refresh(): Promise<number | undefined> {
    // What the record holds by then has been published before, so in this order nothing is taken for missing.
    await this.#readRecord();
    await this.#readPublished();
    this.#recent.settle();
    this.#forget();
    this.#tables.clear();
    this.#mayRecord = true;
    return this.#newest;
  }

  async #readRecord(): Promise<void> {
    let isWhole = this.#record.id === "";
    for (;;) {
      const page = await this.#options.recorded(this.#record.id, PAGE);
      for (const { id, text } of page) {
        const entry = decodeRecord(text);
        if (entry !== undefined && !isWhole && entry.after !== this.#record.id) {
          // Its writer had not seen what we have, a write that a failover lost perhaps: the record as it stands is what counts.
          isWhole = true;
          this.#startOver();
          break;
        }
        this.#record.id = id;
        if (entry !== undefined) this.#take(entry);
      }
      this.#tables.clear();
      if (page.length < PAGE && this.#record.id === (page.at(-1)?.id ?? this.#record.id)) break;
    }
    this.#pending = this.#pending.filter(({ instance, seq }) => seq > (this.#recorded.get(instance)?.seq ?? -1));
  }

  #startOver(): void {
    this.#history = new RecordHistory();
    this.#record = { id: "", until: -1, strata: new Map() };
    this.#recorded = new Map();
  }

  #take(entry: RecordEntry): void {
    this.#history.append(entry);
    this.#record.until = Math.max(this.#record.until, entry.to);
    for (const stratum of entry.strata) this.#record.strata.set(stratum.step, JSON.stringify(stratum));
    for (const [instance, seq] of Object.entries(entry.upTo)) {
      if (seq > (this.#recorded.get(instance)?.seq ?? -1)) this.#recorded.set(instance, { seq, at: entry.to });
    }
  }

  async #readPublished(): Promise<void> {
    for (;;) {
      const page = await this.#options.fetch(this.#published);
      for (const { id, instance, text } of page) {
        this.#published = id;
        const tick = decodeTick(text);
        if (tick === undefined || tick.seq <= (this.#seen.get(instance)?.seq ?? -1)) continue;
        const { seq, from, to, cells } = tick;
        this.#seen.set(instance, { seq, at: to });
        const stretch: Stretch = { from, to, covered: [[from, to]], instances: [instance], cells };
        this.#recent.add(stretch);
        if (seq > (this.#recorded.get(instance)?.seq ?? -1)) this.#pending.push({ instance, seq, stretch });
        this.#newest = Math.max(this.#newest ?? 0, to);
      }
      this.#tables.clear();
      if (page.length === 0) break;
    }
  }

  #forget(): void {
    const newest = this.#newest ?? 0;
    const isRecorded = this.#isRecorded || this.#record.until > newest - PENDING_MS;
    this.#isRecorded = false;
    const oldest = newest - (isRecorded ? PENDING_MS : UNRECORDED_MS);
    if (this.#pending.some(({ stretch }) => stretch.to < oldest))
      this.#pending = this.#pending.filter(({ stretch }) => stretch.to >= oldest);
    for (const known of [this.#seen, this.#recorded]) {
      for (const [instance, { at }] of known) if (at < newest - REMEMBERED_MS) known.delete(instance);
    }
  }
}

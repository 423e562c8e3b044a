import type { Config } from "../config/config.ts";
import type { CountBatch, CountCell, HourCounts } from "../store/counts.ts";
import { COUNTS_KEPT_MS } from "../store/counts.ts";
import { mergeHours } from "../store/counts-merge.ts";
import { HOUR_MS } from "../store/counts-text.ts";
import { meterLayout } from "../telemetry/meter-layout.ts";
import { segmentName } from "../telemetry/reading.ts";
import { readTable, type TablePlace, unpack } from "../telemetry/series.ts";

export interface SlaMeterOptions {
  readonly config: Config;
  readonly flag: string;
  /** The memory that workers count in or ever counted in. */
  readonly buffers: () => readonly SharedArrayBuffer[];
  /** A name that no other run of the program has. */
  readonly writer: string;
  /** Epoch milliseconds; counting begins here. */
  readonly now: number;
}

const MINUTE_MS = 60_000;
/** After a long absence of the store, so that no script holds it up. */
const HOURS_A_BATCH = 24;

/** What clients of one flag's routes got from this instance, filed by the hour until it has been written. */
export class SlaMeter {
  readonly #config: Config;
  readonly #flag: string;
  readonly #buffers: () => readonly SharedArrayBuffer[];
  readonly #writer: string;
  readonly #place: TablePlace;
  readonly #waiting = new Map<number, HourCounts>();
  #before: ReadonlyMap<number, Float64Array> = new Map();
  #last: number;
  #open: CountBatch | undefined;
  #seq = 0;

  constructor({ config, flag, buffers, writer, now }: SlaMeterOptions) {
    this.#config = config;
    this.#flag = flag;
    this.#buffers = buffers;
    this.#writer = writer;
    this.#place = meterLayout(config).tables.answers;
    this.#last = now;
  }

  /** Files what was counted since the last call under the hour of the middle of that time: a look that begins an hour is a little late. */
  take(now: number): void {
    // A clock that was set back makes a stretch without length.
    const from = Math.min(this.#last, now);
    this.#last = now;
    const { blocks } = readTable(this.#buffers(), this.#place);
    const cells = this.#cells(blocks);
    if (cells.length > 0) this.#file({ ...coveredAt((from + now) / 2), cells });
    for (let at = from; at < now; at = nextMinute(at)) this.#file({ ...coveredAt(at), cells: [] });
    this.#before = blocks;
    const oldest = (now - COUNTS_KEPT_MS) / HOUR_MS;
    for (const hour of this.#waiting.keys()) if (hour < oldest) this.#waiting.delete(hour);
  }

  /** What is to be written next; the same until it is {@link written}, for nobody knows how a write ended that failed. Undefined: nothing. */
  next(): CountBatch | undefined {
    if (this.#open !== undefined || this.#waiting.size === 0) return this.#open;
    const hours = [...this.#waiting.values()].slice(0, HOURS_A_BATCH);
    for (const { hour } of hours) this.#waiting.delete(hour);
    this.#open = { writer: this.#writer, seq: ++this.#seq, hours };
    return this.#open;
  }

  written(batch: CountBatch): void {
    if (this.#open === batch) this.#open = undefined;
  }

  #file(more: HourCounts): void {
    const before = this.#waiting.get(more.hour);
    this.#waiting.set(more.hour, before === undefined ? more : mergeHours(before, more));
  }

  #cells(blocks: ReadonlyMap<number, Float64Array>): readonly CountCell[] {
    const { sizes, edges = new Float64Array(0) } = this.#place;
    const cells: CountCell[] = [];
    for (const [key, block] of blocks) {
      const [route = 0, upstream = 0, segment = 0, failed = 0] = unpack(sizes, key);
      const action = this.#config.routes[route - 1]?.action;
      if (action?.kind !== "split" || action.flag !== this.#flag) continue;
      const before = this.#before.get(key);
      const counts = new Map<number, number>();
      for (let bucket = 0; bucket <= edges.length; bucket++) {
        const more = (block[bucket] ?? 0) - (before?.[bucket] ?? 0);
        if (more > 0) counts.set(edges[bucket] ?? Infinity, more);
      }
      if (counts.size === 0) continue;
      const names = { version: this.#config.upstreams[upstream - 1]?.name ?? "", segment: segmentName(this.#config, route, segment) };
      if (failed === 0) cells.push({ ...names, failed: 0, answered: counts });
      else cells.push({ ...names, failed: counts.values().reduce((sum, count) => sum + count, 0), answered: new Map() });
    }
    // Of several routes, answered and failed: the same version and segment may stand there more than once.
    return cells.length === 0
      ? cells
      : mergeHours({ hour: 0, covered: new Set(), cells: [] }, { hour: 0, covered: new Set(), cells }).cells;
  }
}

function coveredAt(at: number): Pick<HourCounts, "hour" | "covered"> {
  const hour = Math.floor(at / HOUR_MS);
  return { hour, covered: new Set([Math.floor((at - hour * HOUR_MS) / MINUTE_MS)]) };
}

function nextMinute(at: number): number {
  return (Math.floor(at / MINUTE_MS) + 1) * MINUTE_MS;
}

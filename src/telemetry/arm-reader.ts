import type { Config } from "../config/config.ts";
import type { AssignedArm } from "../core/words.ts";
import { type ArmPlace, GROUP, GROUP_COUNT, othersKey, ROW, rowsOffset, SLOTS_AT } from "./arm-layout.ts";
import { meterLayout } from "./meter-layout.ts";
import { routeName, segmentName } from "./reading.ts";

/** What was counted of one route, arm and segment since the last reading. */
export interface ArmRise {
  /** Both are "other" for what found no row of its own. */
  readonly route: string;
  readonly segment: string;
  readonly arm: AssignedArm;
  /** Answered, answered by the other arm, failed, failed with the other arm's answer. */
  readonly requestEnds: readonly number[];
  /** In the order of `ATTEMPT_ENDS`. */
  readonly attemptEnds: readonly number[];
  readonly quality: { readonly count: number; readonly sum: number; readonly squares: number };
  /** Slot and count by turns, slots rising. */
  readonly waits: Uint32Array;
  readonly latencies: Uint32Array;
}

/** A row in one worker's memory, and what was read of it. Counts go round at 2^32, so what was counted since is a difference modulo that. */
interface RowView {
  readonly rows: Uint32Array;
  readonly quality: Float64Array;
  readonly read: Uint32Array;
  readonly qualityRead: Float64Array;
}

/** A writer is between two figures of quality for some nanoseconds; one that was stopped there is looked at again next time. */
const PATIENCE = 1_000;

/**
 * Reads what the workers count of one flag's routes, each count once. Memory that comes along later begins at zero, and memory whose worker
 * has ended goes on to be read, so a replacement neither loses nor doubles anything.
 */
export class ArmReader {
  readonly #config: Config;
  readonly #flag: string;
  readonly #place: ArmPlace;
  readonly #buffers: () => readonly SharedArrayBuffer[];
  readonly #views = new Map<SharedArrayBuffer, RowView[]>();
  readonly #rises = new Uint32Array(2 * GROUP_COUNT * GROUP);

  constructor(config: Config, flag: string, buffers: () => readonly SharedArrayBuffer[]) {
    this.#config = config;
    this.#flag = flag;
    this.#place = meterLayout(config).arms;
    this.#buffers = buffers;
  }

  /** What has been counted since the last call, over all workers; without what nothing was counted of. */
  read(): ArmRise[] {
    const byKey = new Map<number, RowView[]>();
    for (const buffer of this.#buffers()) {
      const place = this.#place;
      const used = Atomics.load(new Int32Array(buffer, place.offset, 1), 0);
      const keys = new Int32Array(buffer, place.offset + 4, used);
      let views = this.#views.get(buffer);
      if (views === undefined) this.#views.set(buffer, (views = []));
      for (let row = views.length; row < used; row++) views.push(viewOf(buffer, place, row));
      for (const [row, key] of keys.entries()) {
        const view = views[row];
        if (view === undefined || !this.#isMine(key)) continue;
        const known = byKey.get(key);
        if (known === undefined) byKey.set(key, [view]);
        else known.push(view);
      }
    }
    return [...byKey]
      .sort(([one], [other]) => one - other)
      .flatMap(([key, views]) => {
        const rise = this.#rise(key, views);
        return isNothing(rise) ? [] : [rise];
      });
  }

  /** What has no row of its own is of any flag; it goes with the first, where it is counted once. */
  #isMine(key: number): boolean {
    const { routes, segments } = this.#place;
    const route = routes[Math.floor(key / (2 * segments))];
    if (route === undefined) return this.#config.flags[0]?.name === this.#flag;
    const action = this.#config.routes[route]?.action;
    return action?.kind === "split" && action.flag === this.#flag;
  }

  #rise(key: number, views: readonly RowView[]): ArmRise {
    const { segments, routes } = this.#place;
    const isOther = key >= othersKey(this.#place, 0);
    const route = (routes[Math.floor(key / (2 * segments))] ?? -1) + 1;
    const side = isOther ? key - othersKey(this.#place, 0) : Math.floor(key / segments) % 2;
    return {
      route: isOther ? "other" : routeName(this.#config, route),
      segment: isOther ? "other" : segmentName(this.#config, route, key % segments),
      arm: side === 0 ? "stable" : "candidate",
      requestEnds: [0, 1, 2, 3].map((end) => takeCount(views, ROW.requestEnds + end)),
      attemptEnds: [0, 1, 2, 3].map((end) => takeCount(views, ROW.attemptEnds + end)),
      quality: takeQuality(views),
      waits: this.#takeSlots(views, ROW.waits),
      latencies: this.#takeSlots(views, ROW.latencies),
    };
  }

  #takeSlots(views: readonly RowView[], at: number): Uint32Array {
    const rises = this.#rises;
    let length = 0;
    for (let group = 0; group < GROUP_COUNT; group++) {
      if (!hasChanged(views, at + group)) continue;
      const changed = views.filter(({ rows, read }) => rows[at + group] !== read[at + group]);
      const from = at + SLOTS_AT + group * GROUP;
      for (let slot = from; slot < from + GROUP; slot++) {
        const rise = takeCount(changed, slot);
        if (rise === 0) continue;
        rises[length++] = slot - at - SLOTS_AT;
        rises[length++] = rise;
      }
      for (const { read } of changed) {
        // What the slots said, not what the group says: where these differ it is looked at again.
        let sum = 0;
        for (let slot = from; slot < from + GROUP; slot++) sum += read[slot] ?? 0;
        read[at + group] = sum;
      }
    }
    return rises.slice(0, length);
  }
}

function viewOf(buffer: SharedArrayBuffer, place: ArmPlace, row: number): RowView {
  const offset = rowsOffset(place) + row * ROW.length * 4;
  return {
    rows: new Uint32Array(buffer, offset, ROW.length),
    quality: new Float64Array(buffer, offset + ROW.quality * 4, 3),
    read: new Uint32Array(ROW.length),
    qualityRead: new Float64Array(3),
  };
}

function hasChanged(views: readonly RowView[], at: number): boolean {
  for (const { rows, read } of views) if (rows[at] !== read[at]) return true;
  return false;
}

function takeCount(views: readonly RowView[], at: number): number {
  let rise = 0;
  for (const { rows, read } of views) {
    const now = rows[at] ?? 0;
    rise += (now - (read[at] ?? 0)) >>> 0;
    read[at] = now;
  }
  return rise;
}

function takeQuality(views: readonly RowView[]): ArmRise["quality"] {
  const rise = { count: 0, sum: 0, squares: 0 };
  for (const { rows, quality, qualityRead } of views) {
    for (let tries = 0; tries < PATIENCE; tries++) {
      const turn = Atomics.load(rows, ROW.qualityTurn);
      const [count = 0, sum = 0, squares = 0] = quality;
      if (turn % 2 === 1 || Atomics.load(rows, ROW.qualityTurn) !== turn) continue;
      rise.count += count - (qualityRead[0] ?? 0);
      rise.sum += sum - (qualityRead[1] ?? 0);
      rise.squares += squares - (qualityRead[2] ?? 0);
      qualityRead.set([count, sum, squares]);
      break;
    }
  }
  return rise;
}

function isNothing({ requestEnds, attemptEnds, quality, waits, latencies }: ArmRise): boolean {
  return waits.length + latencies.length + quality.count === 0 && [...requestEnds, ...attemptEnds].every((count) => count === 0);
}

import type { AssignedArm } from "../../core/words.ts";
import { type EventStore, type MinuteSums, MINUTES_KEPT, type SignalsRead, type UserSums } from "../../store/event-store.ts";
import {
  type BusinessCell,
  type BusinessFigures,
  type BusinessSource,
  type Clustered,
  NO_CLUSTERS,
  type Signal,
  SIGNAL_KINDS,
} from "../business.ts";
import { type Label, readLabel } from "./labels.ts";

export interface EventsSource extends BusinessSource {
  /** Users of whom anything was heard during the rollout, as of the last refresh. */
  adoption(): readonly Adoption[];
}

export interface Adoption {
  readonly arm: AssignedArm;
  readonly segment: string;
  readonly users: number;
}

const MINUTE_MS = 60_000;
const SIGNALS_AT_ONCE = 1_000;
/** Signals of one kind that are held; the oldest give way. */
const SIGNALS_HELD = 20_000;

/**
 * Business figures of one rollout out of the sums in the store. A refresh reads a version, and what has changed since the last one only. Without a
 * rollout nothing is known by steps.
 */
export function createBusinessSource(store: EventStore, flag: string, rolloutId: string | undefined): EventsSource {
  return new EventsFigures(store, flag, rolloutId);
}

/** A user who was moved from one arm to the other counts on both. */
function adoption(sums: readonly UserSums[]): readonly Adoption[] {
  return sums.flatMap(({ label, users }) => {
    const read = readLabel(label);
    return read?.by === "present" ? [{ arm: read.arm, segment: read.segment, users }] : [];
  });
}

class EventsFigures implements EventsSource {
  readonly #store: EventStore;
  readonly #flag: string;
  readonly #rollout: string | undefined;
  readonly #minutes = new Map<number, readonly Counted[]>();
  readonly #signals = new Map<Signal["kind"], Signal[]>();
  #version = 0;
  #cursor = "";
  #users: readonly UserSums[] = [];
  #refreshing: Promise<void> | undefined;

  constructor(store: EventStore, flag: string, rollout: string | undefined) {
    this.#store = store;
    this.#flag = flag;
    this.#rollout = rollout;
  }

  /** Calls while one is under way share it. */
  async refresh(now: number): Promise<void> {
    this.#refreshing ??= this.#read(now).finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  between(from: number, to: number): BusinessFigures {
    const first = Math.floor(from / MINUTE_MS);
    const sums = new Map<string, { readonly label: Metered; readonly held: Clustered }>();
    for (const [minute, counted] of this.#minutes) {
      if (minute < first || minute * MINUTE_MS >= to) continue;
      for (const { label, sums: more } of counted) {
        const key = `${label.arm}:${label.segment}:${label.metric}`;
        sums.set(key, { label, held: plus(sums.get(key)?.held ?? NO_CLUSTERS, more) });
      }
    }
    const start = first * MINUTE_MS;
    return {
      from: start,
      to,
      cells: [...sums.values()].map(({ label, held }) => cellOf(label, held)),
      signals: [...this.#signals.keys()].flatMap((kind) => this.signalsOf(kind, start, to)).toSorted((a, b) => a.at - b.at),
    };
  }

  signalsOf(kind: Signal["kind"], from: number, to: number): readonly Signal[] {
    const held = this.#signals.get(kind) ?? [];
    return held.filter(({ at }) => at >= from && at < to).toSorted((a, b) => a.at - b.at);
  }

  steps(): ReturnType<BusinessSource["steps"]> {
    const steps = new Map<number, { readonly step: number; readonly assigned: BusinessCell[]; readonly served: BusinessCell[] }>();
    for (const { label: text, ...sums } of this.#users) {
      const label = readLabel(text);
      if (label?.by !== "assigned" && label?.by !== "served") continue;
      const stratum = steps.get(label.step) ?? { step: label.step, assigned: [], served: [] };
      steps.set(label.step, stratum);
      stratum[label.by].push(cellOf(label, sums));
    }
    return [...steps.values()].toSorted((a, b) => a.step - b.step);
  }

  overall(): readonly BusinessCell[] {
    return this.#users.flatMap(({ label: text, ...sums }) => {
      const label = readLabel(text);
      return label?.by === "overall" ? [cellOf(label, sums)] : [];
    });
  }

  adoption(): readonly Adoption[] {
    return adoption(this.#users);
  }

  async #read(now: number): Promise<void> {
    let { version, minutes } = await this.#store.changes(this.#flag, this.#version);
    if (version === this.#version) return;
    if (version < this.#version) {
      // What is remembered here of a store that has lost it would no longer agree with what it counts from now on.
      this.#forget();
      ({ version, minutes } = await this.#store.changes(this.#flag, 0));
    }
    const oldest = Math.floor(now / MINUTE_MS) - MINUTES_KEPT;
    await this.#readMinutes(minutes.filter((minute) => minute >= oldest));
    if (this.#rollout !== undefined) this.#users = await this.#store.users(this.#flag, this.#rollout);
    await this.#readSignals();
    for (const minute of this.#minutes.keys()) if (minute < oldest) this.#minutes.delete(minute);
    // Last, so that what failed halfway is read again.
    this.#version = version;
  }

  async #readMinutes(minutes: readonly number[]): Promise<void> {
    for (const { from, to } of spansOf(minutes)) {
      const sums = await this.#store.minutes(this.#flag, from, to);
      for (let minute = from; minute <= to; minute++) this.#minutes.delete(minute);
      const byMinute = Map.groupBy(sums, ({ minute }) => minute);
      for (const [minute, found] of byMinute) this.#minutes.set(minute, found.flatMap(countedOf));
    }
  }

  async #readSignals(): Promise<void> {
    for (;;) {
      const { cursor, signals } = await this.#store.signalsAfter(this.#flag, this.#cursor, SIGNALS_AT_ONCE);
      for (const signal of signals.flatMap(readSignal)) {
        const held = this.#signals.get(signal.kind) ?? [];
        this.#signals.set(signal.kind, held);
        held.push(signal);
        if (held.length > SIGNALS_HELD * 1.1) held.splice(0, held.length - SIGNALS_HELD);
      }
      if (cursor === this.#cursor) return;
      this.#cursor = cursor;
    }
  }

  #forget(): void {
    this.#minutes.clear();
    this.#signals.clear();
    this.#users = [];
    this.#cursor = "";
    this.#version = 0;
  }
}

type Metered = Extract<Label, { readonly metric: unknown }>;

interface Counted {
  readonly label: Metered;
  readonly sums: Clustered;
}

/** Every event stands for a user of its own. */
function countedOf({ label: text, count, y, n, yy, nn, yn }: MinuteSums): Counted[] {
  const label = readLabel(text);
  return label?.by === "assigned" ? [{ label, sums: { users: count, y, n, yy, nn, yn } }] : [];
}

function cellOf({ arm, segment, metric }: Metered, { users, y, n, yy, nn, yn }: Clustered): BusinessCell {
  return { arm, segment, metric, sums: { users, y, n, yy, nn, yn } };
}

function plus(a: Clustered, b: Clustered): Clustered {
  return { users: a.users + b.users, y: a.y + b.y, n: a.n + b.n, yy: a.yy + b.yy, nn: a.nn + b.nn, yn: a.yn + b.yn };
}

/** Minutes in stretches without gaps, for those are read in one go. */
function spansOf(minutes: readonly number[]): readonly { readonly from: number; readonly to: number }[] {
  const spans: { from: number; to: number }[] = [];
  for (const minute of minutes.toSorted((a, b) => a - b)) {
    const last = spans.at(-1);
    if (last !== undefined && minute <= last.to + 1) last.to = minute;
    else spans.push({ from: minute, to: minute });
  }
  return spans;
}

/** A signal as the store keeps it; nothing, if it is none of ours. */
export function readSignal({ text, arrivedAt }: SignalsRead["signals"][number]): Signal[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  if (typeof value !== "object" || value === null || !("kind" in value && "at" in value && "value" in value)) return [];
  const kind = SIGNAL_KINDS.find((known) => known === value.kind);
  if (kind === undefined || typeof value.at !== "number" || typeof value.value !== "number") return [];
  return [{ kind, at: value.at, arrivedAt, value: value.value, note: "note" in value ? String(value.note) : "" }];
}

import type { BusinessSource } from "./business.ts";
import type { RecordEntry } from "./recording.ts";
import { mergeStretches, middleOf, type Stretch } from "./windows-stretch.ts";

/** What one instance published and the record does not hold yet. */
export interface PendingTick {
  readonly instance: string;
  readonly seq: number;
  readonly stretch: Stretch;
}

/** Where the record stands, for whoever carries it on. */
export interface RecordState {
  /** Id of the last entry; "" if there is none. */
  readonly id: string;
  /** Where the last entry ends; undefined if there is none. */
  readonly until: number | undefined;
  readonly upTo: Readonly<Record<string, number>>;
  /** What was last recorded of a step's strata, as text. */
  readonly strata: ReadonlyMap<number, string>;
  readonly pending: readonly PendingTick[];
}

/** Whatever the record is made of. */
export interface Recordable {
  /** Undefined: it is not known whether the entry that was made last has been written. */
  recordState(): RecordState | undefined;
  /** An entry was made of {@link recordState}; only the next refresh tells what became of it. */
  handOut(): void;
}

export interface RecordingOptions {
  /** Epoch milliseconds. */
  readonly now: number;
  /** How much time an entry covers, at most. */
  readonly periodMs: number;
  /** How long the ticks of all instances are waited for. Default: 3 s. */
  readonly settleMs?: number;
  /** Stays of the rollout in order of time, with the share in force. Nothing before the first is recorded. */
  readonly stays: readonly StayInForce[];
}

export interface StayInForce {
  readonly from: number;
  /** Undefined: it lasts. */
  readonly to?: number | undefined;
  readonly step: number;
  readonly percentageBp: number;
}

const SETTLE_MS = 3_000;

/**
 * The next entry of the record, which the leader is to append; undefined: it is not time yet. An entry ends where the step changes. To be
 * called after a refresh of the windows; once there was an entry there is no further one before the next refresh, for only that tells
 * whether it was written.
 */
export function recordingOf(
  windows: Recordable,
  business: BusinessSource,
  { now, periodMs, settleMs = SETTLE_MS, stays }: RecordingOptions,
): RecordEntry | undefined {
  const state = windows.recordState();
  const [start] = stays;
  if (state === undefined || start === undefined) return undefined;
  const { pending } = state;
  const isUnderWay = isOpen(stays.at(-1));
  const from = isUnderWay
    ? beginning(Math.max(start.from, state.until ?? 0), pending, periodMs, stays)
    : idleBeginning(Math.max(start.from, state.until ?? 0), pending, { periodMs, latest: now - settleMs - periodMs, stays });
  const stay = stays.findLast((each) => each.from <= from) ?? start;
  const to = Math.min(from + periodMs, ...stays.map((each) => each.from).filter((instant) => instant > from));
  if (to > now - settleMs) return undefined;

  const taken = takenBy(pending, to);
  const stretches = taken.map(({ stretch }) => stretch);
  const late = stretches
    .filter((stretch) => middleOf(stretch) < from && middleOf(stretch) >= start.from)
    .filter(({ cells: counted }) => isUnderWay || counted.length > 0);
  const { covered = [], instances = [], cells = [] } = mergeStretches(stretches.filter((stretch) => middleOf(stretch) >= from)) ?? {};
  const upTo: Record<string, number> = { ...state.upTo };
  for (const { instance, seq } of taken) upTo[instance] = seq;
  const figures = business.between(from, to);
  const strata = business.steps().filter((stratum) => state.strata.get(stratum.step) !== JSON.stringify(stratum));
  const own: Stretch = { from, to, covered, instances, cells };
  const counted = [cells, figures.cells, figures.signals, strata, late].some(({ length }) => length > 0);
  if (!isUnderWay && !counted) return undefined;
  windows.handOut();
  return {
    from,
    to,
    step: stay.step,
    percentageBp: stay.percentageBp,
    figures: [own, ...lateStretches(late, periodMs, stays)],
    business: figures.cells,
    signals: figures.signals,
    strata,
    upTo,
    after: state.id,
  };
}

/** Whether a step of the plan is in force, so that nothing counted is news too. */
function isOpen(stay: StayInForce | undefined): boolean {
  return stay !== undefined && stay.to === undefined && stay.step >= 0;
}

/** Time of which nobody said anything is left out. */
function beginning(from: number, pending: readonly PendingTick[], periodMs: number, stays: readonly StayInForce[]): number {
  const middles = pending.map(({ stretch }) => middleOf(stretch)).filter((middle) => middle >= from);
  const first = Math.floor(middles.reduce((least, middle) => Math.min(least, middle), Infinity));
  if (middles.length === 0 || first < from + periodMs) return from;
  // A step that began meanwhile is not cut where it did not begin.
  return Math.max(from, stays.findLast((stay) => stay.from <= first && stay.from > first - periodMs)?.from ?? first);
}

/** While no step is in force, only what was counted is recorded; where nothing was, the last period is looked at. */
function idleBeginning(
  from: number,
  pending: readonly PendingTick[],
  { periodMs, latest, stays }: { readonly periodMs: number; readonly latest: number; readonly stays: readonly StayInForce[] },
): number {
  const counted = pending.filter(({ stretch }) => stretch.cells.length > 0);
  if (counted.some(({ stretch }) => middleOf(stretch) >= from)) return beginning(from, counted, periodMs, stays);
  return Math.max(from, latest);
}

/** Of each instance the ticks up to the first that belongs to a later entry, in order of their numbers: an entry goes up to a number. */
function takenBy(pending: readonly PendingTick[], to: number): PendingTick[] {
  const ended = new Set<string>();
  return pending
    .toSorted((one, other) => one.seq - other.seq)
    .filter(({ instance, stretch }) => {
      if (middleOf(stretch) >= to) ended.add(instance);
      return !ended.has(instance);
    });
}

/** What came late, added up by the minute and the step that it is of; what stretches over more than that stands for itself. */
function lateStretches(late: readonly Stretch[], periodMs: number, stays: readonly StayInForce[]): readonly Stretch[] {
  const groups = new Map<string, Stretch[]>();
  for (const [index, stretch] of late.entries()) {
    const middle = middleOf(stretch);
    const stay = stays.findLastIndex((each) => each.from <= middle);
    const key = stretch.to - stretch.from > periodMs ? `${index}` : `${stay} ${Math.floor(middle / periodMs)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [stretch]);
    else group.push(stretch);
  }
  return [...groups.values()].flatMap((group) => mergeStretches(group) ?? []);
}

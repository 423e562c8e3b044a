import type { SlaSettings, SlaTarget } from "../config/config-told.ts";
import type { HourCounts } from "../store/counts.ts";
import { quantileOf } from "../telemetry/reading.ts";
import { NOTHING_REMEMBERED, remember, type SlaMemory } from "./memory.ts";
import type { SlaRow } from "./sla.ts";
import { ALL, firstHour, type Sums, sumHours, type WindowSums } from "./sums.ts";
import { directionOf, verdictOf } from "./verdict.ts";

/** What was counted, of one flag. */
export interface SlaCounts {
  readonly hours: readonly HourCounts[];
  /** Upper edges of the durations' buckets, milliseconds, ascending. */
  readonly edges: Float64Array;
  /** Of the window of accuracy. */
  readonly judgements: readonly Judgements[];
}

/** What users said of matches. */
export interface Judgements {
  readonly version: string;
  readonly segment: string;
  readonly confirmed: number;
  readonly judged: number;
}

export interface Assessment {
  readonly rows: readonly SlaRow[];
  readonly memory: SlaMemory;
}

/** Bad ones of a sample, by version and segment. */
interface Tally {
  readonly version: string;
  readonly segment: string;
  readonly bad: number;
  readonly sample: number;
  readonly p95: number | undefined;
}

const P95 = 0.95;

/** Whether every promise is kept, and since when. The memory that it returns is what it must be given the next time. */
export function assess(counts: SlaCounts, settings: SlaSettings, now: number, before: SlaMemory = NOTHING_REMEMBERED): Assessment {
  const windows = new Map<number, WindowSums>();
  const windowOf = (ms: number): WindowSums => {
    const known = windows.get(ms) ?? sumHours(counts.hours, counts.edges, firstHour(now, ms));
    windows.set(ms, known);
    return known;
  };
  const judged = settings.promises.flatMap((target) => {
    const window = windowOf(target.windowMs);
    const tallies =
      target.promise === "accuracy" ? accuracyOf(counts.judgements) : window.sums.map((sums) => tallyOf(target, sums, window));
    return tallies.toSorted(inOrder).map((tally) => ({
      promise: target.promise,
      version: tally.version,
      segment: tally.segment,
      target: target.targetBp / 10_000,
      direction: directionOf(target.promise),
      limitMs: target.withinMs,
      p95: tally.p95,
      windowMs: target.windowMs,
      coveredMs: Math.min(window.coveredMs, target.windowMs),
      sample: tally.sample,
      ...verdictOf(target, tally.bad, tally.sample, settings.warnAtBp),
    }));
  });
  return remember(judged, settings.recoveredAfterMs, now, before);
}

function tallyOf({ promise, withinMs = Infinity }: SlaTarget, { version, segment, failed, answered }: Sums, { edges }: WindowSums): Tally {
  let sample = failed;
  let inTime = 0;
  for (const [at, count] of answered.entries()) {
    sample += count;
    if ((edges[at] ?? Infinity) <= withinMs) inTime += count;
  }
  if (promise !== "response_time") return { version, segment, bad: failed, sample, p95: undefined };
  return { version, segment, bad: sample - inTime, sample, p95: quantileOf(edges, answered, P95) };
}

function accuracyOf(judgements: readonly Judgements[]): Tally[] {
  const tallies = new Map<string, Tally>([[`${ALL}:${ALL}`, { version: ALL, segment: ALL, bad: 0, sample: 0, p95: undefined }]]);
  for (const { version, segment, confirmed, judged } of judgements) {
    for (const byVersion of new Set([ALL, version])) {
      for (const bySegment of new Set([ALL, segment])) {
        const key = `${byVersion}:${bySegment}`;
        const { bad = 0, sample = 0 } = tallies.get(key) ?? {};
        const more = { bad: bad + judged - confirmed, sample: sample + judged };
        tallies.set(key, { version: byVersion, segment: bySegment, p95: undefined, ...more });
      }
    }
  }
  return [...tallies.values()];
}

/** All first, then by name. */
function inOrder(one: Tally, other: Tally): number {
  return byName(one.version, other.version) || byName(one.segment, other.segment);
}

function byName(one: string, other: string): number {
  if (one === other) return 0;
  if (one === ALL || other === ALL) return one === ALL ? -1 : 1;
  return one < other ? -1 : 1;
}

import type { Config } from "../config/config.ts";
import { LATENCY_SLOTS } from "./latency-layout.ts";

/**
 * What the arms of split routes are judged by, in shared memory: a row for each route, arm and segment that occurs, handed out in order and
 * never given back. Rows are wide but hardly touched: a row that is all zeros costs no memory, and of one that is used only the pages count
 * in which durations fall.
 */
export interface ArmPlace {
  readonly offset: number;
  /** Numbers of the split routes in the configuration. */
  readonly routes: readonly number[];
  readonly segments: number;
  /** Rows besides the two of {@link othersKey}. */
  readonly rows: number;
}

/**
 * How an attempt ended. defective: an answer that was none, by a failure sign · unavailable: no answer, or a 5xx · unreachable: no
 * connection, so that its duration says nothing.
 */
export const ATTEMPT_ENDS = ["ok", "defective", "unavailable", "unreachable"] as const;
export type AttemptEnd = (typeof ATTEMPT_ENDS)[number];

/** Most rows of one worker; what comes after them is added up in the row of its arm for all others. */
const MAX_ROWS = 128;

/** Slots are summed up in groups, by which a reader finds those that have changed. */
export const GROUP = 64;
const GROUPS = LATENCY_SLOTS / GROUP;

/** Where things lie in a row, in 32-bit numbers. */
export const ROW = {
  /** As clients of the arm that the split assigned saw it: answered, answered by the other arm, failed, failed with the other arm's answer. */
  requestEnds: 0,
  attemptEnds: 4,
  /** Odd while the three figures of quality are being written. */
  qualityTurn: 8,
  /** Count, sum and sum of squares, 64 bits each. */
  quality: 10,
  waits: 16,
  latencies: 16 + GROUPS + LATENCY_SLOTS,
  length: 16 + 2 * (GROUPS + LATENCY_SLOTS),
} as const;

/** Within `waits` and `latencies`: groups first, then slots. */
export const SLOTS_AT = GROUPS;
export const GROUP_COUNT = GROUPS;

/** Number of rows, then the key of each, both as 32-bit integers; padded so that rows begin at a multiple of 8. */
export function rowsOffset({ offset, rows }: ArmPlace): number {
  return offset + 8 * Math.ceil((1 + rows + 2) / 2);
}

export function armPlace(config: Config, offset: number): ArmPlace {
  const routes = config.routes.flatMap(({ action }, at) => (action.kind === "split" ? [at] : []));
  const segments = Math.max(0, ...config.flags.map((flag) => flag.settings.segments.length)) + 1;
  return { offset, routes, segments, rows: Math.min(routes.length * 2 * segments, MAX_ROWS) };
}

export function armBytes(place: ArmPlace): number {
  return rowsOffset(place) - place.offset + (place.rows + 2) * ROW.length * 4;
}

/** `split` counts split routes, `arm` is 0 for stable, `segment` 0 for none. */
export function armKey({ segments }: ArmPlace, split: number, arm: number, segment: number): number {
  return (split * 2 + arm) * segments + segment;
}

/** The key of what found no row of its own. */
export function othersKey(place: ArmPlace, arm: number): number {
  return place.routes.length * 2 * place.segments + arm;
}

export function keyCount(place: ArmPlace): number {
  return place.routes.length * 2 * place.segments + 2;
}

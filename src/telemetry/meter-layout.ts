import type { Config } from "../config/config.ts";
import { ARMS, ATTEMPT_KINDS, DEFECTS, FALLBACK_REASONS, OUTCOMES } from "../core/words.ts";
import { armBytes, type ArmPlace, armPlace } from "./arm-layout.ts";
import { durationEdges, qualityEdges } from "./edges.ts";
import { tableBytes, type TablePlace, type TableShape } from "./series.ts";

/** Where everything lies in a worker's buffer. A function of the configuration alone, so both sides compute the same. */
export interface MeterLayout {
  readonly bytes: number;
  readonly tables: Readonly<Record<TableName, TablePlace>>;
  /** Finer figures of split routes, from which windows of time are made. */
  readonly arms: ArmPlace;
}

export const TABLE_NAMES = [
  "requests",
  "durations",
  "answers",
  "attempts",
  "quality",
  "fallbacks",
  "cuts",
  "defects",
  "unjudged",
  "dropped",
  "inexpressible",
  "malformed",
  "arms",
] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** Numbers at the head of the buffer, before the tables. */
export const GAUGES = ["connections", "exchanges", "observing", "lag", "lagPeak", "lagPeakBefore"] as const;
export type GaugeName = (typeof GAUGES)[number];

const GAUGE_BYTES = 64;

/** Status codes are 0..999. */
const STATUSES = 1_000;

/** Most series of one table in one worker; what comes after them is counted as lost. */
const MAX_COUNTERS = 16_384;
const MAX_HISTOGRAMS = 4_096;

/**
 * Routes and segments have one value more than the configuration names: index 0 is "none" (a request that no route took,
 * a user in no segment), so the numbers of {@link Meters} are shifted by one.
 */
export function meterLayout(config: Config): MeterLayout {
  const routes = config.routes.length + 1;
  const upstreams = config.upstreams.length;
  const segments = Math.max(0, ...config.flags.map((flag) => flag.settings.segments.length)) + 1;
  const arms = ARMS.length;
  const durations = durationEdges(config);
  const shapes: Record<TableName, TableShape> = {
    requests: shape([routes, arms, arms, segments, OUTCOMES.length, STATUSES], undefined),
    durations: shape([routes, arms, arms, segments], durations),
    // Of split routes; the last label is 1 for a failure.
    answers: shape([routes, upstreams + 1, segments, 2], durations),
    attempts: shape([routes, upstreams, ATTEMPT_KINDS.length, OUTCOMES.length], durations),
    quality: shape([routes, upstreams, segments], qualityEdges(config)),
    fallbacks: shape([routes, FALLBACK_REASONS.length], undefined),
    cuts: shape([routes], undefined),
    defects: shape([routes, upstreams, DEFECTS.length], undefined),
    unjudged: shape([routes, upstreams], undefined),
    dropped: shape([routes, upstreams], undefined),
    inexpressible: shape([routes, upstreams], undefined),
    malformed: shape([STATUSES], undefined),
    // Only what was not counted of the arms; their figures lie elsewhere.
    arms: shape([1], undefined),
  };
  let bytes = GAUGE_BYTES;
  const place = (name: TableName): TablePlace => {
    const offset = bytes;
    bytes += tableBytes(shapes[name]);
    return { ...shapes[name], offset };
  };
  const tables = {
    requests: place("requests"),
    durations: place("durations"),
    answers: place("answers"),
    attempts: place("attempts"),
    quality: place("quality"),
    fallbacks: place("fallbacks"),
    cuts: place("cuts"),
    defects: place("defects"),
    unjudged: place("unjudged"),
    dropped: place("dropped"),
    inexpressible: place("inexpressible"),
    malformed: place("malformed"),
    arms: place("arms"),
  };
  const armRows = armPlace(config, bytes);
  return { bytes: bytes + armBytes(armRows), tables, arms: armRows };
}

function shape(sizes: readonly number[], edges: Float64Array | undefined): TableShape {
  const all = sizes.reduce((product, size) => product * size, 1);
  return { sizes, edges, rows: Math.min(all, edges === undefined ? MAX_COUNTERS : MAX_HISTOGRAMS) };
}

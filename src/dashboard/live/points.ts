import { computed, signal } from "@preact/signals";
import type { LivePoint } from "../../admin/live/view.ts";

/**
 * The last hour of points, in memory of a fixed size: what comes after takes the place of what is oldest. Kept as columns of doubles (NaN: unknown),
 * so an hour of looking costs what the first second did.
 */

const HOUR_MS = 3_600_000;
/** A point each second, and the thinned ones of a history besides. */
const CAPACITY = 4_400;
/** Segments beyond these are counted as one. */
const MOST_SEGMENTS = 12;
const OTHERS = "…";

const ARM_COLUMNS = ["rate", "p50", "p95", "p99", "errors", "quality", "fallbacks"] as const;
type ArmColumn = (typeof ARM_COLUMNS)[number];
export type Arm = "stable" | "candidate";
export const SHOWN_ARMS: readonly Arm[] = ["stable", "candidate"];
/** What one column of the store is called. */
export type ColumnName = "percentage" | `${Arm}.${ArmColumn}`;

const at = new Float64Array(CAPACITY);
const columns = new Map<ColumnName, Float64Array>([["percentage", new Float64Array(CAPACITY)]]);
for (const arm of SHOWN_ARMS) for (const name of ARM_COLUMNS) columns.set(`${arm}.${name}`, new Float64Array(CAPACITY));
const segments = new Map<string, Readonly<Record<Arm, Float64Array>>>();

let next = 0;
let count = 0;

/** Rises with every change. */
export const pointsRevision = signal(0);
/** Names of the segments that had traffic, in the order in which they came. */
export const segmentNames = signal<readonly string[]>([]);

export function resetPoints(): void {
  next = 0;
  count = 0;
  segments.clear();
  segmentNames.value = [];
  pointsRevision.value++;
}

/** In order of time; what is not newer than what is there is passed over. */
export function addPoints(points: readonly LivePoint[]): void {
  for (const point of points) if (count === 0 || point.at > newestAt()) add(point);
  pointsRevision.value++;
}

function add(point: LivePoint): void {
  at[next] = point.at;
  write("percentage", point.percentage);
  for (const arm of SHOWN_ARMS) for (const name of ARM_COLUMNS) write(`${arm}.${name}`, point[arm][name]);
  for (const { stable, candidate } of segments.values()) {
    stable[next] = 0;
    candidate[next] = 0;
  }
  for (const [name, { stable, candidate }] of Object.entries(point.segments)) {
    const held = segmentOf(name);
    held.stable[next] = (held.stable[next] ?? 0) + stable;
    held.candidate[next] = (held.candidate[next] ?? 0) + candidate;
  }
  next = (next + 1) % CAPACITY;
  count = Math.min(CAPACITY, count + 1);
}

/** JSON has null where a number is unknown. */
function write(name: ColumnName, value: number | null): void {
  const column = columns.get(name);
  if (column !== undefined) column[next] = value ?? Number.NaN;
}

function segmentOf(wanted: string): Readonly<Record<Arm, Float64Array>> {
  const name = segments.has(wanted) || segments.size < MOST_SEGMENTS ? wanted : OTHERS;
  const held = segments.get(name);
  if (held !== undefined) return held;
  const made = { stable: new Float64Array(CAPACITY), candidate: new Float64Array(CAPACITY) };
  segments.set(name, made);
  segmentNames.value = [...segments.keys()];
  return made;
}

/** Epoch milliseconds; NaN while there is none. */
export function newestAt(): number {
  return count === 0 ? Number.NaN : (at[(next + CAPACITY - 1) % CAPACITY] ?? Number.NaN);
}

/** One place in the store. */
export type Place = number;

export function newestPlace(): Place | undefined {
  return count === 0 ? undefined : (next + CAPACITY - 1) % CAPACITY;
}

/** The same for those who are to be drawn anew with each point: the place alone would not say that there are new figures. */
export const newestPoint = computed(() => ({ revision: pointsRevision.value, place: newestPlace() }));

export function atOf(place: Place): number {
  return at[place] ?? Number.NaN;
}

export function valueOf(name: ColumnName, place: Place): number {
  return columns.get(name)?.[place] ?? Number.NaN;
}

/** Requests of the ten seconds before. */
export function segmentValue(segment: string, arm: Arm, place: Place): number {
  return segments.get(segment)?.[arm][place] ?? 0;
}

export const RANGES = ["5", "15", "60"] as const;
/** Minutes. */
export type Range = (typeof RANGES)[number];
export const range = signal<Range>("15");

/** Of so many milliseconds one point is drawn: a screen shows no more, and each tells of the ten seconds before it anyway. */
const STRIDE_MS: Readonly<Record<Range, number>> = { "5": 1_000, "15": 2_000, "60": 5_000 };
/** Where points are further apart than that, nothing is known of what was between them. */
const GAP_MS = 16_000;
/** Stands for a hole between two points. */
export const HOLE: Place = -1;

/** The places to be drawn, in order of time; written into `places`, whose length is set. */
export function pick(wanted: Range, places: Place[]): void {
  const from = newestAt() - Math.min(HOUR_MS, Number(wanted) * 60_000);
  const stride = STRIDE_MS[wanted];
  let taken = 0;
  let bucket = -1;
  let before = Number.NaN;
  for (let step = 0; step < count; step++) {
    const place = (next - count + step + CAPACITY) % CAPACITY;
    const time = atOf(place);
    if (time < from) continue;
    const own = Math.floor(time / stride);
    if (own === bucket && step < count - 1) continue;
    if (time - before > GAP_MS) places[taken++] = HOLE;
    places[taken++] = place;
    bucket = own;
    before = time;
  }
  places.length = taken;
}

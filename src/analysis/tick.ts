import type { ArmFigures, Cell } from "./figures.ts";
import { mergeSketches, NO_LATENCIES, type Sketch } from "./latencies.ts";
import { decodeSketch, encodeSketch } from "./tick-sketch.ts";

/** Figures of one arm that can be added to others. */
export interface ArmCounts extends ArmFigures {
  readonly waits: Sketch;
  readonly latencies: Sketch;
}

export interface TickCell extends Cell {
  readonly stable: ArmCounts;
  readonly candidate: ArmCounts;
}

/** What one instance counted in one stretch of time, usually a second. Epoch milliseconds, half-open. */
export interface Tick {
  /** Rises from tick to tick of one instance, also over a restart: what has been seen is known again by it. */
  readonly seq: number;
  readonly from: number;
  readonly to: number;
  /** Cells in which something was counted. */
  readonly cells: readonly TickCell[];
}

export const NOTHING_COUNTED: ArmCounts = {
  requests: 0,
  failed: 0,
  fellBack: 0,
  waits: NO_LATENCIES,
  attempts: 0,
  errors: 0,
  unavailable: 0,
  latencies: NO_LATENCIES,
  quality: { count: 0, sum: 0, squares: 0 },
};

/** Adds cells up by route and segment; the order of what is added makes no difference but to the last digits of sums of quality. */
export function mergeCells(lists: readonly (readonly TickCell[])[]): readonly TickCell[] {
  const [only, ...more] = lists.filter((cells) => cells.length > 0);
  if (more.length === 0) return only ?? [];
  const groups = new Map<string, TickCell[]>();
  for (const cells of lists) {
    for (const cell of cells) {
      const key = `${cell.route}\0${cell.segment}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [cell]);
      else group.push(cell);
    }
  }
  return [...groups]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, group]) => ({
      route: group[0]?.route ?? "",
      segment: group[0]?.segment ?? "",
      stable: mergeArms(group.map(({ stable }) => stable)),
      candidate: mergeArms(group.map(({ candidate }) => candidate)),
    }));
}

function mergeArms(arms: readonly ArmCounts[]): ArmCounts {
  const sum = { requests: 0, failed: 0, fellBack: 0, attempts: 0, errors: 0, unavailable: 0 };
  const quality = { count: 0, sum: 0, squares: 0 };
  for (const arm of arms) {
    sum.requests += arm.requests;
    sum.failed += arm.failed;
    sum.fellBack += arm.fellBack;
    sum.attempts += arm.attempts;
    sum.errors += arm.errors;
    sum.unavailable += arm.unavailable;
    quality.count += arm.quality.count;
    quality.sum += arm.quality.sum;
    quality.squares += arm.quality.squares;
  }
  return {
    ...sum,
    quality,
    waits: mergeSketches(arms.map(({ waits }) => waits)),
    latencies: mergeSketches(arms.map(({ latencies }) => latencies)),
  };
}

const VERSION = 1;

/** JSON, in which the durations of an arm are a short text each. */
export function encodeTick({ seq, from, to, cells }: Tick): string {
  return JSON.stringify({ v: VERSION, n: seq, f: from, t: to, c: cellsToJson(cells) });
}

/** Undefined: it is no tick. */
export function decodeTick(text: string): Tick | undefined {
  const { v, n, f, t, c } = jsonObject(text);
  const cells = cellsFromJson(c);
  if (v !== VERSION || !isWhole(n) || !isWhole(f) || !isWhole(t) || t < f || cells === undefined) return undefined;
  return { seq: n, from: f, to: t, cells };
}

export function cellsToJson(cells: readonly TickCell[]): unknown {
  return cells.map(({ route, segment, stable, candidate }) => [route, segment, armToJson(stable), armToJson(candidate)]);
}

export function cellsFromJson(json: unknown): readonly TickCell[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const cells: TickCell[] = [];
  const seen = new Set<string>();
  for (const item of json) {
    const [route, segment, first, second]: unknown[] = Array.isArray(item) ? item : [];
    const stable = armFromJson(first);
    const candidate = armFromJson(second);
    if (typeof route !== "string" || typeof segment !== "string" || stable === undefined || candidate === undefined) return undefined;
    const key = `${route}\0${segment}`;
    if (seen.has(key)) return undefined;
    seen.add(key);
    cells.push({ route, segment, stable, candidate });
  }
  return cells;
}

function armToJson(arm: ArmCounts): unknown {
  const { requests, failed, fellBack, attempts, errors, unavailable, quality, waits, latencies } = arm;
  if (requests + attempts + quality.count + waits.count + latencies.count === 0) return 0;
  const sums = [quality.count, quality.sum, quality.squares];
  return [requests, failed, fellBack, attempts, errors, unavailable, ...sums, encodeSketch(waits), encodeSketch(latencies)];
}

function armFromJson(json: unknown): ArmCounts | undefined {
  if (json === 0) return NOTHING_COUNTED;
  if (!Array.isArray(json) || json.length !== 11) return undefined;
  const numbers: unknown[] = json.slice(0, 9);
  if (!numbers.every(isAmount)) return undefined;
  const [requests = 0, failed = 0, fellBack = 0, attempts = 0, errors = 0, unavailable = 0, count = 0, sum = 0, squares = 0] = numbers;
  const waits = decodeSketch(json[9]);
  const latencies = decodeSketch(json[10]);
  const wholes = [requests, failed, fellBack, attempts, errors, unavailable, count];
  if (waits === undefined || latencies === undefined || !wholes.every(isWhole)) return undefined;
  if (failed > requests || fellBack > requests || errors > attempts || unavailable > errors) return undefined;
  // Sums of differences of sums: the last digits are not to be relied upon.
  const most = count + SLACK;
  if (sum > most || squares > most) return undefined;
  return { requests, failed, fellBack, waits, attempts, errors, unavailable, latencies, quality: { count, sum, squares } };
}

const SLACK = 1e-3;

/** The object that a text is, as far as it is one. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : {};
  } catch {
    return {};
  }
}

export function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** A count or an instant: whole, and exact as a number. */
export function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

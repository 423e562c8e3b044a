import {
  BUSINESS_METRICS,
  type BusinessCell,
  type BusinessFigures,
  type BusinessSource,
  type Clustered,
  type Signal,
  SIGNAL_KINDS,
} from "./business.ts";
import type { FiguresSource, FiguresTable } from "./figures.ts";
import { cellsFromJson, cellsToJson, isObject, isWhole, jsonObject } from "./tick.ts";
import { isWithin, type Stretch, tableOf, type TimeSpan } from "./windows-stretch.ts";

export interface BusinessStratum {
  readonly step: number;
  readonly assigned: readonly BusinessCell[];
  readonly served: readonly BusinessCell[];
}

/** One entry of the record of a rollout. Epoch milliseconds. */
export interface RecordEntry {
  readonly from: number;
  readonly to: number;
  /** In force throughout. Step -1: nobody on the candidate by the plan. */
  readonly step: number;
  readonly percentageBp: number;
  /** The first is this entry's own time; others are of what came late, each with its own time. */
  readonly figures: readonly Stretch[];
  /** Event by event, of this entry's own time. */
  readonly business: readonly BusinessCell[];
  readonly signals: readonly Signal[];
  /** User by user, of those steps whose sums have changed since the entry before. */
  readonly strata: readonly BusinessStratum[];
  /** By instance, the number of the last tick that is in the record with this entry. */
  readonly upTo: Readonly<Record<string, number>>;
  /** The entry before this one as its writer knew it; "" for the first. */
  readonly after: string;
}

const VERSION = 1;

export function encodeRecord({ figures, business, strata, ...rest }: RecordEntry): string {
  return JSON.stringify({
    v: VERSION,
    ...rest,
    figures: figures.map(({ cells, ...stretch }) => ({ ...stretch, cells: cellsToJson(cells) })),
    business: business.map(businessToJson),
    strata: strata.map(({ step, assigned, served }) => [step, assigned.map(businessToJson), served.map(businessToJson)]),
  });
}

/** Undefined: it is no entry. */
export function decodeRecord(text: string): RecordEntry | undefined {
  const { v, from, to, step, percentageBp, upTo, after, ...lists } = jsonObject(text);
  const figures = listOf(lists["figures"], stretchFromJson);
  const business = listOf(lists["business"], businessFromJson);
  const signals = listOf(lists["signals"], signalFromJson);
  const strata = listOf(lists["strata"], stratumFromJson);
  if (v !== VERSION || !isWhole(from) || !isWhole(to) || to < from || !isStep(step) || !isWhole(percentageBp)) return undefined;
  if (typeof after !== "string" || !isUpTo(upTo)) return undefined;
  if (figures === undefined || business === undefined || signals === undefined || strata === undefined) return undefined;
  return { from, to, step, percentageBp, figures, business, signals, strata, upTo, after };
}

/** What windows need of an entry; business figures are left as they came. */
export interface RecordFigures extends Pick<RecordEntry, "from" | "to" | "step" | "figures" | "upTo" | "after"> {
  /** By step: see {@link stratumText}. */
  readonly strata: readonly (readonly [step: number, json: unknown])[];
}

/** Undefined: it is no entry. */
export function decodeFigures(text: string): RecordFigures | undefined {
  const { v, from, to, step, upTo, after, ...lists } = jsonObject(text);
  const figures = listOf(lists["figures"], stretchFromJson);
  const strata = listOf(lists["strata"], (json): readonly [number, unknown] | undefined => {
    const [of]: unknown[] = Array.isArray(json) ? json : [];
    return isStep(of) ? [of, json] : undefined;
  });
  if (v !== VERSION || !isWhole(from) || !isWhole(to) || to < from || !isStep(step) || typeof after !== "string" || !isUpTo(upTo))
    return undefined;
  return figures === undefined || strata === undefined ? undefined : { from, to, step, figures, upTo, after, strata };
}

/** A stratum of an entry as text that is the same for what is the same. "" is none. */
export function stratumText(json: unknown): string {
  const stratum = stratumFromJson(json);
  return stratum === undefined ? "" : JSON.stringify(stratum);
}

function listOf<T>(json: unknown, parse: (item: unknown) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const items: T[] = [];
  for (const item of json) {
    const parsed = parse(item);
    if (parsed === undefined) return undefined;
    items.push(parsed);
  }
  return items;
}

function stretchFromJson(json: unknown): Stretch | undefined {
  if (!isObject(json)) return undefined;
  const { from, to } = json;
  const covered = listOf(json["covered"], spanFromJson);
  const instances = listOf(json["instances"], (name) => (typeof name === "string" ? name : undefined));
  const cells = cellsFromJson(json["cells"]);
  if (!isWhole(from) || !isWhole(to) || to < from) return undefined;
  return covered === undefined || instances === undefined || cells === undefined ? undefined : { from, to, covered, instances, cells };
}

function spanFromJson(json: unknown): TimeSpan | undefined {
  const [from, to]: unknown[] = Array.isArray(json) ? json : [];
  return isWhole(from) && isWhole(to) && to >= from ? [from, to] : undefined;
}

function businessToJson({ arm, segment, metric, sums }: BusinessCell): unknown {
  return [arm, segment, metric, sums.users, sums.y, sums.n, sums.yy, sums.nn, sums.yn];
}

function businessFromJson(json: unknown): BusinessCell | undefined {
  if (!Array.isArray(json) || json.length !== 9) return undefined;
  const [arm, segment, name, ...numbers]: unknown[] = json;
  const metric = BUSINESS_METRICS.find((known) => known === name);
  if ((arm !== "stable" && arm !== "candidate") || typeof segment !== "string" || metric === undefined) return undefined;
  if (!numbers.every(isNumber)) return undefined;
  const [users = 0, y = 0, n = 0, yy = 0, nn = 0, yn = 0] = numbers;
  const sums: Clustered = { users, y, n, yy, nn, yn };
  return { arm, segment, metric, sums };
}

function signalFromJson(json: unknown): Signal | undefined {
  if (!isObject(json)) return undefined;
  const { at, value, note } = json;
  const kind = SIGNAL_KINDS.find((known) => known === json["kind"]);
  return kind !== undefined && isWhole(at) && isNumber(value) && typeof note === "string" ? { kind, at, value, note } : undefined;
}

function stratumFromJson(json: unknown): BusinessStratum | undefined {
  const [step, first, second]: unknown[] = Array.isArray(json) ? json : [];
  const assigned = listOf(first, businessFromJson);
  const served = listOf(second, businessFromJson);
  return isStep(step) && assigned !== undefined && served !== undefined ? { step, assigned, served } : undefined;
}

function isUpTo(json: unknown): json is Readonly<Record<string, number>> {
  return isObject(json) && Object.values(json).every(isWhole);
}

function isStep(value: unknown): value is number {
  return value === -1 || isWhole(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

export interface RecordedSources {
  readonly figures: FiguresSource;
  readonly business: BusinessSource;
}

/**
 * The record played back. Each source shows what was there at the instant of its last `refresh`, in steps of an entry: an entry is there
 * once it is complete. What came late is there from the entry on that it came with, as it was then.
 */
export function createRecordedSources(records: readonly RecordEntry[]): RecordedSources {
  const entries = records.toSorted((one, other) => one.to - other.to);
  return { figures: new RecordedFigures(entries), business: new RecordedBusiness(entries) };
}

class RecordedFigures implements FiguresSource {
  readonly #entries: readonly RecordEntry[];
  #shown: readonly RecordEntry[] = [];
  readonly #tables = new Map<string, FiguresTable>();

  constructor(entries: readonly RecordEntry[]) {
    this.#entries = entries;
  }

  refresh(now: number): Promise<number | undefined> {
    this.#shown = shownAt(this.#entries, now);
    this.#tables.clear();
    return Promise.resolve(this.#shown.at(-1)?.to);
  }

  between(from: number, to: number): Promise<FiguresTable> {
    const key = `${from} ${to}`;
    const table =
      this.#tables.get(key) ??
      tableOf(
        this.#shown.flatMap(({ figures }) => figures).filter((stretch) => isWithin(stretch, from, to)),
        from,
        to,
      );
    this.#tables.set(key, table);
    return Promise.resolve(table);
  }
}

class RecordedBusiness implements BusinessSource {
  readonly #entries: readonly RecordEntry[];
  #shown: readonly RecordEntry[] = [];

  constructor(entries: readonly RecordEntry[]) {
    this.#entries = entries;
  }

  refresh(now: number): Promise<void> {
    this.#shown = shownAt(this.#entries, now);
    return Promise.resolve();
  }

  between(from: number, to: number): BusinessFigures {
    const within = this.#shown.filter((entry) => isWithin(entry, from, to));
    const signals = this.#shown.flatMap((entry) => entry.signals).filter(({ at }) => at >= from && at < to);
    return { from, to, cells: mergeBusiness(within.flatMap(({ business }) => business)), signals: signals.toSorted((a, b) => a.at - b.at) };
  }

  steps(): readonly BusinessStratum[] {
    const latest = new Map<number, BusinessStratum>();
    for (const { strata } of this.#shown) for (const stratum of strata) latest.set(stratum.step, stratum);
    return [...latest.values()].toSorted((one, other) => one.step - other.step);
  }
}

function shownAt(entries: readonly RecordEntry[], now: number): readonly RecordEntry[] {
  const end = entries.findIndex(({ to }) => to > now);
  return end < 0 ? entries : entries.slice(0, end);
}

function mergeBusiness(cells: readonly BusinessCell[]): readonly BusinessCell[] {
  const sums = new Map<string, BusinessCell>();
  for (const cell of cells) {
    const key = `${cell.arm} ${cell.metric} ${cell.segment}`;
    const known = sums.get(key);
    sums.set(key, known === undefined ? cell : { ...cell, sums: add(known.sums, cell.sums) });
  }
  return [...sums.values()];
}

function add(one: Clustered, other: Clustered): Clustered {
  return {
    users: one.users + other.users,
    y: one.y + other.y,
    n: one.n + other.n,
    yy: one.yy + other.yy,
    nn: one.nn + other.nn,
    yn: one.yn + other.yn,
  };
}

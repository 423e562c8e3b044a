import { PROMISES, SLA_STATES, type SlaBreach, type SlaRow, type SlaState } from "./sla.ts";

/** What must not be forgotten between two looks at what was promised, of one flag. */
export interface SlaMemory {
  /** By promise, version and segment. */
  readonly rows: Readonly<Record<string, RowMemory>>;
  /** Newest first. */
  readonly breaches: readonly SlaBreach[];
}

interface RowMemory {
  readonly state: SlaState;
  readonly since: number;
  readonly keptAgainSince?: number;
}

export const NOTHING_REMEMBERED: SlaMemory = { rows: {}, breaches: [] };

/** Breaches that are over are forgotten after so long, or when there are more. */
const BREACHES_KEPT_MS = 90 * 86_400_000;
const MOST_BREACHES = 300;

type Judged = Omit<SlaRow, "since" | "keptAgainSince">;

/**
 * Puts what is judged now together with what was before. A breach lasts until the promise has been kept for `recoveredAfterMs` without a break;
 * too few figures show nothing, so they end no breach either.
 */
export function remember(
  judged: readonly Judged[],
  recoveredAfterMs: number,
  now: number,
  before: SlaMemory,
): { readonly rows: readonly SlaRow[]; readonly memory: SlaMemory } {
  const rows = judged.map((row): SlaRow => ({ ...row, ...next(row.state, before.rows[keyOf(row)], recoveredAfterMs, now) }));
  const remembered = rows.map(({ state, since, keptAgainSince, ...row }) => {
    return [keyOf(row), keptAgainSince === undefined ? { state, since } : { state, since, keptAgainSince }] as const;
  });
  return { rows, memory: { rows: Object.fromEntries(remembered), breaches: breachesAfter(rows, now, before.breaches) } };
}

/** The same promise for the same requests. */
export function keyOf({ promise, version, segment }: Pick<SlaRow, "promise" | "version" | "segment">): string {
  return `${promise}:${version}:${segment}`;
}

function next(state: SlaState, before: RowMemory | undefined, recoveredAfterMs: number, now: number): RowMemory {
  if (before === undefined) return { state, since: now };
  const { since } = before;
  if (before.state !== "breached") return state === before.state ? { state, since } : { state, since: now };
  if (state === "breached" || state === "no-data") return { state: "breached", since };
  const keptAgainSince = before.keptAgainSince ?? now;
  return now - keptAgainSince >= recoveredAfterMs ? { state, since: now } : { state: "breached", since, keptAgainSince };
}

function breachesAfter(rows: readonly SlaRow[], now: number, before: readonly SlaBreach[]): readonly SlaBreach[] {
  const breached = new Map(rows.filter(({ state }) => state === "breached").map((row) => [keyOf(row), row]));
  const known = before.map((breach): SlaBreach => {
    if (breach.to !== undefined) return breach;
    const row = breached.get(keyOf(breach));
    // A row that is no longer there has left its window with all that was counted.
    if (row === undefined) return { ...breach, to: now };
    breached.delete(keyOf(breach));
    return { ...breach, worst: worse(row, breach.worst) };
  });
  const begun = [...breached.values()].map((row): SlaBreach => {
    return { promise: row.promise, version: row.version, segment: row.segment, from: row.since, to: undefined, worst: rounded(row.value) };
  });
  const all = [...begun, ...known].filter(({ to }) => to === undefined || now - to < BREACHES_KEPT_MS);
  const open = all.filter(({ to }) => to === undefined).length;
  let room = Math.max(0, MOST_BREACHES - open);
  return all.filter(({ to }) => to === undefined || room-- > 0);
}

function worse({ direction, value }: SlaRow, worst: number): number {
  if (Number.isNaN(value)) return worst;
  return direction === "at-most" ? Math.max(worst, rounded(value)) : Math.min(worst, rounded(value));
}

/** So that what is remembered does not change with every request. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

/** Of all flags, as the document holds it. */
export function encodeMemories(memories: Readonly<Record<string, SlaMemory>>): string {
  return JSON.stringify({ version: 1, flags: memories });
}

/** Undefined: it is not a text of this version. Single entries that make no sense are left out. */
export function decodeMemories(text: string): Readonly<Record<string, SlaMemory>> | undefined {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(given) || given["version"] !== 1 || !isRecord(given["flags"])) return undefined;
  return Object.fromEntries(
    Object.entries(given["flags"]).flatMap(([flag, memory]) => (isRecord(memory) ? [[flag, readMemory(memory)]] : [])),
  );
}

function readMemory({ rows, breaches }: Readonly<Record<string, unknown>>): SlaMemory {
  const entries = isRecord(rows) ? Object.entries(rows) : [];
  return {
    rows: Object.fromEntries(entries.flatMap(([key, row]) => readRow(row).map((read) => [key, read] as const))),
    breaches: (Array.isArray(breaches) ? breaches : []).flatMap(readBreach),
  };
}

function readRow(given: unknown): RowMemory[] {
  if (!isRecord(given)) return [];
  const state = SLA_STATES.find((known) => known === given["state"]);
  const { since, keptAgainSince } = given;
  if (state === undefined || typeof since !== "number") return [];
  return [typeof keptAgainSince === "number" ? { state, since, keptAgainSince } : { state, since }];
}

function readBreach(given: unknown): SlaBreach[] {
  if (!isRecord(given)) return [];
  const promise = PROMISES.find((known) => known === given["promise"]);
  const { version, segment, from, to, worst } = given;
  if (promise === undefined || typeof version !== "string" || typeof segment !== "string" || typeof from !== "number") return [];
  return [
    {
      promise,
      version,
      segment,
      from,
      to: typeof to === "number" ? to : undefined,
      worst: typeof worst === "number" ? worst : Number.NaN,
    },
  ];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import type { SlaRow, SlaView } from "../sla/sla.ts";
import type { Observed, SeenFlag, SeenWorld } from "./happenings.ts";
import type { Happening } from "./notice.ts";

export interface BreakerMemory {
  readonly since: number;
}

export interface StoreMemory {
  /** Undefined: it is there. */
  readonly downSince: number | undefined;
  readonly told: boolean;
}

/** A store that fails over is away for some seconds, and nobody need be called for that. */
const STORE_LOST_AFTER_MS = 10_000;

export function observeKill(before: number | undefined, { flag, killed, lastChange }: SeenFlag, at: number): Observed<number | undefined> {
  if (killed === (before !== undefined)) return { memory: before, happenings: [] };
  const since = before ?? at;
  // Each pull of the switch is told by itself: somebody meant it.
  const facts = lastChange === undefined ? {} : { by: lastChange.who, reason: lastChange.reason };
  const common = { at, flag, facts, group: `kill/${flag}/${since}` };
  return killed
    ? { memory: since, happenings: [{ ...common, kind: "killed", severity: "P1", resolves: false }] }
    : { memory: undefined, happenings: [{ ...common, kind: "unkilled", severity: "info", resolves: true }] };
}

/** A breaker that lets a part of the share through again is not closed yet. */
export function observeBreakers(
  before: Readonly<Record<string, BreakerMemory>>,
  { flag, breakers }: SeenFlag,
  instance: string,
  at: number,
): Observed<Readonly<Record<string, BreakerMemory>>> {
  const memory: Record<string, BreakerMemory> = {};
  const happenings: Happening[] = [];
  for (const { route, upstream, state, why } of breakers) {
    const known = Object.hasOwn(before, route) ? before[route] : undefined;
    const open = state !== "closed";
    if (open) memory[route] = known ?? { since: at };
    if (open === (known !== undefined)) continue;
    happenings.push({
      kind: "breaker-open",
      severity: !open ? "info" : why === "hand" ? "P3" : "P2",
      at,
      group: `breaker/${flag}/${route}`,
      flag,
      facts: { route, upstream, instance, ...(why === undefined ? {} : { why }) },
      resolves: !open,
    });
  }
  return { memory, happenings };
}

export function observeStore(before: StoreMemory | undefined, { up, message }: SeenWorld["store"], at: number): Observed<StoreMemory> {
  const common = { group: "store", flag: undefined };
  if (up) {
    const back: Happening = { ...common, kind: "store-back", severity: "info", at, facts: {}, resolves: true };
    return { memory: { downSince: undefined, told: false }, happenings: before?.told === true ? [back] : [] };
  }
  const downSince = before?.downSince ?? at;
  if (before?.told === true || at - downSince < STORE_LOST_AFTER_MS) {
    return { memory: { downSince, told: before?.told ?? false }, happenings: [] };
  }
  const lost: Happening = { ...common, kind: "store-lost", severity: "P1", at: downSince, facts: { reason: message }, resolves: false };
  return { memory: { downSince, told: true }, happenings: [lost] };
}

type SlaMemory = Readonly<Record<string, "warning" | "breached">>;

/** One trouble for each promise of a flag, in the figures of the row that is worst, however many versions and segments it concerns. */
export function observeSla(before: SlaMemory | undefined, views: readonly SlaView[], at: number): Observed<SlaMemory> {
  // A flag of which nothing is known stays as it was.
  const memory: Record<string, "warning" | "breached"> = { ...before };
  const happenings: Happening[] = [];
  for (const { flag, rows } of views) {
    for (const [promise, own] of Map.groupBy(rows, (row) => row.promise)) {
      const key = `${flag}/${promise}`;
      const known = own.filter(({ state }) => state !== "no-data");
      const worst = known.toSorted((a, b) => rank(b) - rank(a) || budget(a) - budget(b) || breadth(a) - breadth(b))[0];
      const last = Object.hasOwn(memory, key) ? memory[key] : undefined;
      if (worst === undefined) continue;
      const state = worst.state === "warning" || worst.state === "breached" ? worst.state : undefined;
      if (state === undefined) delete memory[key];
      else memory[key] = state;
      if (state === last) continue;
      const others = known.filter((row) => row.state === worst.state).length - 1;
      const facts = slaFacts(worst, others);
      const common = { flag, group: `sla/${key}`, facts };
      const since = before === undefined ? at : worst.since;
      if (state === "breached") {
        const severity = promise === "availability" ? "P1" : "P2";
        happenings.push({ ...common, kind: "sla-breached", severity, at: since, resolves: false });
      } else if (last !== undefined) happenings.push({ ...common, kind: "sla-recovered", severity: "info", at, resolves: true });
      else happenings.push({ ...common, kind: "sla-warning", severity: "P3", at: since, resolves: false });
    }
  }
  return { memory, happenings };
}

const RANK: Readonly<Record<SlaRow["state"], number>> = { breached: 2, warning: 1, met: 0, "no-data": -1 };

function rank({ state }: SlaRow): number {
  return RANK[state];
}

function budget({ budgetLeft }: SlaRow): number {
  return Number.isFinite(budgetLeft) ? budgetLeft : 0;
}

/** What concerns everybody comes first. */
function breadth({ version, segment }: SlaRow): number {
  return (version === "all" ? 0 : 1) + (segment === "all" ? 0 : 1);
}

function slaFacts(row: SlaRow, others: number): Happening["facts"] {
  return {
    promise: row.promise,
    state: row.state,
    version: row.version,
    segment: row.segment,
    value: percent(row.value),
    target: percent(row.target),
    direction: row.direction,
    budgetLeft: percent(row.budgetLeft),
    window: String(row.windowMs),
    ...(row.limitMs === undefined ? {} : { limit: `${row.limitMs} ms` }),
    ...(row.p95 === undefined || !Number.isFinite(row.p95) ? {} : { p95: `${Math.round(row.p95)} ms` }),
    ...(others > 0 ? { others: String(others) } : {}),
  };
}

/** `99.87 %`; empty where it is not known. */
function percent(share: number): string {
  return Number.isFinite(share) ? `${Number((share * 100).toFixed(share > 0.99 && share < 1 ? 3 : 2))} %` : "";
}

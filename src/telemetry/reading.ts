import type { Config } from "../config/config.ts";
import { ARMS, FALLBACK_REASONS, OUTCOMES, type Outcome } from "../core/words.ts";
import { GAUGES, meterLayout, TABLE_NAMES, type MeterLayout, type TableName } from "./meter-layout.ts";
import { readTable, unpack, type TableTotals } from "./series.ts";

/** The control side's view of what the workers count. */
export interface Reading {
  readonly layout: MeterLayout;
  /** Everything, added up over the workers. */
  totals(): MeterTotals;
  /** Per route, since start. */
  traffic(): RouteTraffic[];
}

export type MeterTotals = Readonly<Record<TableName, TableTotals>>;

/** What one worker said of itself at its last heartbeat. */
export interface WorkerGauges {
  readonly connections: number;
  readonly exchanges: number;
  /** Lost attempts still open to learn their true duration. */
  readonly observing: number;
  readonly lagMs: number;
  /** The greatest lag of the last 30 to 60 seconds. */
  readonly lagPeakMs: number;
}

/** Counts since start, over all workers of this instance. */
export interface RouteTraffic {
  readonly route: string;
  readonly requests: number;
  readonly byAssigned: Readonly<Record<string, number>>;
  readonly byServed: Readonly<Record<string, number>>;
  /** By the arm that the split assigned; segments without a request are left out. */
  readonly bySegment: readonly { readonly segment: string; readonly stable: number; readonly candidate: number }[];
  /** Outcomes that occurred. */
  readonly byOutcome: Readonly<Record<string, number>>;
  readonly fallbacks: Readonly<Record<string, number>>;
  /** What the upstreams truly took. Milliseconds; NaN without data. */
  readonly attempts: readonly AttemptTimes[];
}

interface AttemptTimes {
  readonly upstream: string;
  /** Attempts that the upstream could answer: without those that never reached it or that the client ended. */
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Attempts whose duration says nothing of the upstream: it was not reached, or somebody else ended them. */
const SAYS_NOTHING: ReadonlySet<Outcome | undefined> = new Set(["connect-failed", "cancelled", "refused"]);

/** `buffers` gives the memory that workers count in or ever counted in, as `allocateMeters` made it for the same configuration. */
export function createReading(config: Config, buffers: () => readonly SharedArrayBuffer[]): Reading {
  const layout = meterLayout(config);
  const totals = (): MeterTotals => {
    const current = buffers();
    const read = (name: TableName) => readTable(current, layout.tables[name]);
    return {
      requests: read("requests"),
      durations: read("durations"),
      answers: read("answers"),
      attempts: read("attempts"),
      quality: read("quality"),
      fallbacks: read("fallbacks"),
      cuts: read("cuts"),
      defects: read("defects"),
      unjudged: read("unjudged"),
      dropped: read("dropped"),
      inexpressible: read("inexpressible"),
      malformed: read("malformed"),
      arms: read("arms"),
    };
  };
  return {
    layout,
    totals,
    traffic: () => routeTraffic(config, layout, totals()),
  };
}

/** The value below which a share of `quantile` (0..1) of the observations lies, by interpolation within its bucket. */
export function quantileOf(edges: Float64Array, counts: Float64Array, quantile: number): number {
  let all = 0;
  for (let at = 0; at <= edges.length; at++) all += counts[at] ?? 0;
  if (all === 0) return Number.NaN;
  const rank = quantile * all;
  let below = 0;
  for (let at = 0; at < edges.length; at++) {
    const inside = counts[at] ?? 0;
    if (inside > 0 && below + inside >= rank) {
      const from = at === 0 ? 0 : (edges[at - 1] ?? 0);
      return from + ((edges[at] ?? 0) - from) * ((rank - below) / inside);
    }
    below += inside;
  }
  return edges.at(-1) ?? Number.NaN;
}

/** The name of a route by its number shifted by one; 0 is a request that no route took. */
export function routeName(config: Config, index: number): string {
  return config.routes[index - 1]?.name ?? "none";
}

/** The name of a segment by its number shifted by one. Segments are numbered within the flag of their route. */
export function segmentName(config: Config, route: number, index: number): string {
  const action = config.routes[route - 1]?.action;
  const flag = action?.kind === "split" ? config.flags.find((candidate) => candidate.name === action.flag) : undefined;
  return flag?.settings.segments[index - 1]?.name ?? "none";
}

function routeTraffic(config: Config, layout: MeterLayout, totals: MeterTotals): RouteTraffic[] {
  const rows = [...totals.requests.blocks].map(([key, block]) => {
    const [route = 0, assigned = 0, served = 0, segment = 0, outcome = 0] = unpack(layout.tables.requests.sizes, key);
    return { route, assigned, served, segment, outcome, count: block[0] ?? 0 };
  });
  return config.routes.map(({ name }, at) => {
    const route = at + 1;
    const own = rows.filter((row) => row.route === route);
    const segments = [...new Set(own.filter((row) => row.assigned > 0).map((row) => row.segment))].sort((one, other) => one - other);
    return {
      route: name,
      requests: sum(own),
      byAssigned: Object.fromEntries(ARMS.map((arm, index) => [arm, sum(own.filter((row) => row.assigned === index))])),
      byServed: Object.fromEntries(ARMS.map((arm, index) => [arm, sum(own.filter((row) => row.served === index))])),
      bySegment: segments.map((segment) => ({
        segment: segmentName(config, route, segment),
        stable: sum(own.filter((row) => row.segment === segment && row.assigned === ARMS.indexOf("stable"))),
        candidate: sum(own.filter((row) => row.segment === segment && row.assigned === ARMS.indexOf("candidate"))),
      })),
      byOutcome: Object.fromEntries(
        OUTCOMES.map((outcome, index) => [outcome, sum(own.filter((row) => row.outcome === index))] as const).filter(
          ([, count]) => count > 0,
        ),
      ),
      fallbacks: fallbacksOf(layout, totals, route),
      attempts: attemptTimes(config, layout, totals, route),
    };
  });
}

function sum(rows: readonly { readonly count: number }[]): number {
  return rows.reduce((total, row) => total + row.count, 0);
}

function fallbacksOf(layout: MeterLayout, totals: MeterTotals, route: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [key, block] of totals.fallbacks.blocks) {
    const [at = 0, reason = 0] = unpack(layout.tables.fallbacks.sizes, key);
    const name = FALLBACK_REASONS[reason];
    if (at === route && name !== undefined) counts[name] = block[0] ?? 0;
  }
  return counts;
}

function attemptTimes(config: Config, layout: MeterLayout, totals: MeterTotals, route: number): AttemptTimes[] {
  const { sizes, edges = new Float64Array(0) } = layout.tables.attempts;
  const action = config.routes[route - 1]?.action;
  const known = action?.kind === "split" ? [action.stable, action.candidate] : action?.kind === "forward" ? [action.target] : [];
  const counts = new Map(known.map((target) => [target.upstream, new Float64Array(edges.length + 1)]));
  for (const [key, block] of totals.attempts.blocks) {
    const [at = 0, upstream = 0, , outcome = 0] = unpack(sizes, key);
    const buckets = counts.get(config.upstreams[upstream]?.name ?? "");
    if (at !== route || buckets === undefined || SAYS_NOTHING.has(OUTCOMES[outcome])) continue;
    for (let bucket = 0; bucket < buckets.length; bucket++) buckets[bucket] = (buckets[bucket] ?? 0) + (block[bucket] ?? 0);
  }
  return [...counts].map(([upstream, buckets]) => ({
    upstream,
    count: buckets.reduce((total, count) => total + count, 0),
    p50: quantileOf(edges, buckets, 0.5),
    p95: quantileOf(edges, buckets, 0.95),
    p99: quantileOf(edges, buckets, 0.99),
  }));
}

/** What the worker that counts in this buffer last said of itself. Stale once that worker has ended. */
export function readGauges(buffer: SharedArrayBuffer): WorkerGauges {
  const numbers = new Float64Array(buffer, 0, GAUGES.length);
  const [connections = 0, exchanges = 0, observing = 0, lagMs = 0, peak = 0, peakBefore = 0] = numbers;
  return { connections, exchanges, observing, lagMs, lagPeakMs: Math.max(peak, peakBefore) };
}

/** Records that were not counted, by table. */
export function lostRecords(totals: MeterTotals): (readonly [TableName, number])[] {
  return TABLE_NAMES.map((name) => [name, totals[name].lost] as const);
}

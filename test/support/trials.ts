import type { AssignedArm } from "../../src/core/words.ts";
import { type BusinessCell, type Clustered, NO_CLUSTERS } from "../../src/analysis/business.ts";
import type { Check } from "../../src/analysis/check.ts";
import type { Evidence } from "../../src/analysis/evidence.ts";
import type { ArmFigures, FiguresTable, Latencies } from "../../src/analysis/figures.ts";

/** Made-up traffic whose truth is known, for tests and measurements of verdicts. */

export function checkOf(some: Pick<Check, "metric" | "limit"> & Partial<Check>): Check {
  const rest = { of: "candidate", window: { kind: "last", ms: 10_000 }, forMs: 0, minSample: 1, risk: 0.01, each: "all" } as const;
  return { name: some.metric, ...rest, route: undefined, segment: undefined, required: true, ...some };
}

export const NO_LATENCIES: Latencies = { count: 0, over: () => 0, quantile: () => Number.NaN, mean: () => Number.NaN };

export function armOf(some: Partial<ArmFigures>): ArmFigures {
  const moments = { count: 0, sum: 0, squares: 0 };
  const counts = { requests: 0, failed: 0, fellBack: 0, attempts: 0, errors: 0, unavailable: 0 };
  return { ...counts, waits: NO_LATENCIES, latencies: NO_LATENCIES, quality: moments, ...some };
}

/** Figures of one route and no segment, with nothing missing. */
export function tableOf(candidate: Partial<ArmFigures>, stable: Partial<ArmFigures> = {}, span = { from: 0, to: 10_000 }): FiguresTable {
  const cells = [{ route: "/match", segment: "none", stable: armOf(stable), candidate: armOf(candidate) }];
  return { ...span, coveredMs: span.to - span.from, instances: ["a"], cells };
}

export function evidenceOf(some: Partial<Evidence>): Evidence {
  return {
    from: 0,
    to: 10_000,
    tables: [],
    pieces: [],
    strata: [],
    overall: undefined,
    businessPieces: [],
    signals: [],
    routes: [],
    segments: [],
    ...some,
  };
}

/** Durations one by one. */
export function latenciesOf(durations: readonly number[] | Float64Array): Latencies {
  const sorted = Float64Array.from(durations).sort();
  const upTo = (ms: number): number => {
    let [from, to] = [0, sorted.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((sorted[middle] ?? Infinity) <= ms) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  return {
    count: sorted.length,
    over: (ms) => sorted.length - upTo(ms),
    quantile: (q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length - 1e-9) - 1))] ?? Number.NaN,
    mean: () => sorted.reduce((sum, each) => sum + each, 0) / sorted.length,
  };
}

export function drawNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Lognormal, `p95` being its 95th percentile. */
export function drawLatencies(random: () => number, count: number, p95: number, deviation = 0.5): Float64Array {
  const centre = Math.log(p95) - 1.6448536269514722 * deviation;
  return Float64Array.from({ length: count }, () => Math.exp(centre + deviation * drawNormal(random)));
}

export function drawHits(random: () => number, trials: number, rate: number): number {
  let hits = 0;
  for (let i = 0; i < trials; i++) if (random() < rate) hits++;
  return hits;
}

/** Sums over users that are kept exact while users say more. */
export class UserTotals {
  readonly #y: Float64Array;
  readonly #n: Float64Array;
  #sums: Clustered = NO_CLUSTERS;

  constructor(users: number) {
    this.#y = new Float64Array(users);
    this.#n = new Float64Array(users);
  }

  add(user: number, y: number): void {
    const [oldY = 0, oldN = 0] = [this.#y[user], this.#n[user]];
    this.#y[user] = oldY + y;
    this.#n[user] = oldN + 1;
    const { users, y: allY, n, yy, nn, yn } = this.#sums;
    this.#sums = {
      users: oldN === 0 ? users + 1 : users,
      y: allY + y,
      n: n + 1,
      yy: yy + 2 * oldY * y + y * y,
      nn: nn + 2 * oldN + 1,
      yn: yn + oldY + y * oldN + y,
    };
  }

  get sums(): Clustered {
    return this.#sums;
  }
}

export interface Crowd {
  readonly users: number;
  readonly looks: number;
  /** Share of the candidate at each look. */
  readonly share: (look: number) => number;
  /** Chance that a match is confirmed, of each arm. */
  readonly stable: number;
  readonly candidate: number;
  /** How much users differ: standard deviation of their own chances. */
  readonly deviation: number;
  /** Events of a user in all, on average; each has one at least. */
  readonly events: number;
  /** The stratum of each look. */
  readonly step: (look: number) => number;
}

export interface CrowdLook {
  readonly look: number;
  /** Step by step, so far. */
  readonly strata: readonly { readonly candidate: Clustered; readonly stable: Clustered }[];
  readonly overall: { readonly candidate: Clustered; readonly stable: Clustered };
}

/** People who come at any time, say whether matches were right, and come back; what is known of them at each look. */
export function* drawCrowd(random: () => number, crowd: Crowd): Generator<CrowdLook> {
  const said = Array.from({ length: crowd.looks }, (): number[] => []);
  const own = new Float64Array(crowd.users);
  const bucket = new Float64Array(crowd.users);
  for (let user = 0; user < crowd.users; user++) {
    bucket[user] = random();
    own[user] = crowd.deviation * drawNormal(random);
    const first = Math.floor(random() * crowd.looks);
    said[first]?.push(user);
    // Geometric: as many more as it takes.
    while (random() < 1 - 1 / crowd.events) said[first + Math.floor(random() * (crowd.looks - first))]?.push(user);
  }
  const totals = (): Record<AssignedArm, UserTotals> => ({ stable: new UserTotals(crowd.users), candidate: new UserTotals(crowd.users) });
  const overall = totals();
  const steps = new Map<number, Record<AssignedArm, UserTotals>>();
  for (const [look, users] of said.entries()) {
    const step = crowd.step(look);
    const mine = steps.get(step) ?? totals();
    steps.set(step, mine);
    for (const user of users) {
      const arm = (bucket[user] ?? 1) < crowd.share(look) ? "candidate" : "stable";
      const y = random() < crowd[arm] + (own[user] ?? 0) ? 1 : 0;
      mine[arm].add(user, y);
      overall[arm].add(user, y);
    }
    const both = (of: Record<AssignedArm, UserTotals>): CrowdLook["overall"] => ({ candidate: of.candidate.sums, stable: of.stable.sums });
    yield { look, strata: [...steps.values()].map(both), overall: both(overall) };
  }
}

export function businessCells(sums: { readonly candidate: Clustered; readonly stable: Clustered }): readonly BusinessCell[] {
  return (["candidate", "stable"] as const).map((arm) => ({ arm, segment: "none", metric: "accuracy", sums: sums[arm] }));
}

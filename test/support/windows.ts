import fc from "fast-check";
import { LATENCY_SLOTS } from "../../src/telemetry/latency-layout.ts";
import { Sketch } from "../../src/analysis/latencies.ts";
import { type ArmCounts, cellsToJson, mergeCells, type Tick, type TickCell } from "../../src/analysis/tick.ts";
import type { Published } from "../../src/store/rollout-store.ts";
import { type BusinessFigures, type BusinessSource, NO_CLUSTERS } from "../../src/analysis/business.ts";
import type { BusinessStratum } from "../../src/analysis/recording.ts";
import { type Config } from "../../src/config/config.ts";
import { parseConfig } from "../../src/config/parse.ts";

/** Two split routes of flag f, one of flag g, one that only forwards; two segments in f. */
export function windowsConfig(routes = 2): Config {
  const matches = Array.from(
    { length: routes },
    (_, at) => `  - { name: match${at}, match: { path: /api/m${at} }, stable: v1, candidate: { upstream: v2 }, flag: f }`,
  );
  const parsed = parseConfig(
    `
listeners: [{ name: public, address: 127.0.0.1:0 }]
store: memory
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062] }
  v2: { endpoints: [http://127.0.0.1:5070] }
routes:
${matches.join("\n")}
  - { name: other, match: { path: /api/o }, stable: v1, candidate: { upstream: v2 }, flag: g }
  - { name: direct, match: { path: /** }, upstream: v1 }
flags:
  f:
    enabled: true
    rollout_percentage: 25
    user_segments: { beta: { percentage: 100, override_global: true }, big: { percentage: 0 } }
  g: { enabled: true, rollout_percentage: 50 }
`,
    {},
  );
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

export const sketches = fc
  .uniqueArray(fc.tuple(fc.nat(LATENCY_SLOTS - 1), fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 2 ** 40 }))), {
    selector: ([slot]) => slot,
    maxLength: 20,
  })
  .map((pairs) => {
    const numbers = pairs.toSorted(([one], [other]) => one - other).flat();
    return new Sketch(numbers.some((number) => number > 0xffff_ffff) ? Float64Array.from(numbers) : Uint32Array.from(numbers));
  });

const nats = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.nat(20), fc.nat(20), fc.nat(20));

const arms: fc.Arbitrary<ArmCounts> = fc
  .record({ nats, waits: sketches, latencies: sketches, ratios: fc.array(fc.nat(64), { maxLength: 9 }) })
  .map(({ nats: [good, failed, fellBack, fine, errors, unavailable], waits, latencies, ratios }) => ({
    requests: good + failed + fellBack,
    failed,
    fellBack,
    waits,
    attempts: fine + errors + unavailable,
    errors: errors + unavailable,
    unavailable,
    latencies,
    // Sixty-fourths, whose sums are exact in any order.
    quality: {
      count: ratios.length,
      sum: ratios.reduce((sum, ratio) => sum + ratio / 64, 0),
      squares: ratios.reduce((sum, ratio) => sum + (ratio / 64) ** 2, 0),
    },
  }));

export const cellLists: fc.Arbitrary<readonly TickCell[]> = fc.uniqueArray(
  fc.record({
    route: fc.constantFrom("match", "jobs", "ünï\u0000"),
    segment: fc.constantFrom("none", "beta"),
    stable: arms,
    candidate: arms,
  }),
  { selector: ({ route, segment }) => `${route}|${segment}`, maxLength: 4 },
);

/** Cells as comparable text; what counts nothing is left out. */
export function textOf(...lists: (readonly TickCell[])[]): string {
  const merged = mergeCells([...lists, []]);
  const sorted = merged.toSorted((one, other) => (`${one.route}|${one.segment}` < `${other.route}|${other.segment}` ? -1 : 1));
  const json: unknown = cellsToJson(sorted);
  return JSON.stringify(
    Array.isArray(json) ? json.filter((cell: unknown) => Array.isArray(cell) && (cell[2] !== 0 || cell[3] !== 0)) : json,
  );
}

/** A cell in which some requests and attempts were counted, for tests that only count. */
export function cellOf(count: number, ms = 50, route = "match"): TickCell {
  const slots = new Sketch(Uint32Array.of(Math.max(0, Math.ceil(ms * 10) - 1), count));
  const arm = {
    requests: count,
    failed: 0,
    fellBack: 0,
    waits: slots,
    attempts: count,
    errors: 0,
    unavailable: 0,
    latencies: slots,
    quality: { count, sum: count / 2, squares: count / 4 },
  };
  return { route, segment: "none", stable: arm, candidate: arm };
}

/** The streams of a store, in memory. */
export class FakeStreams {
  windows: Published[] = [];
  entries: { readonly id: string; readonly text: string }[] = [];
  #next = 0;

  /** `at` is the store's time; left out: its ids say nothing of that. */
  publish(instance: string, text: string, at?: number): void {
    const id = this.#id();
    this.windows.push({ id: at === undefined ? id : `${at}-${id}`, instance, text });
  }

  append(text: string): string {
    const id = this.#id();
    this.entries.push({ id, text });
    return id;
  }

  readonly fetch = (after: string): Promise<readonly Published[]> =>
    Promise.resolve(this.windows.filter(({ id }) => id > after).slice(0, 7));

  readonly recorded = (after: string, count: number): Promise<readonly { readonly id: string; readonly text: string }[]> =>
    Promise.resolve(this.entries.filter(({ id }) => id > after).slice(0, count));

  #id(): string {
    return String(++this.#next).padStart(9, "0");
  }
}

/** Business figures that say which span they are of. */
export class FakeBusiness implements BusinessSource {
  strata: readonly BusinessStratum[] = [];
  /** Nobody reports anything. */
  isEmpty = false;

  refresh(): Promise<void> {
    return Promise.resolve();
  }

  between(from: number, to: number): BusinessFigures {
    if (this.isEmpty) return { from, to, cells: [], signals: [] };
    const sums = { ...NO_CLUSTERS, users: to - from, y: 1, n: 2 };
    return {
      from,
      to,
      cells: [{ arm: "candidate", segment: "none", metric: "accuracy", sums }],
      signals: [{ kind: "sync_lag", at: from, value: 0.25, note: "" }],
    };
  }

  steps(): readonly BusinessStratum[] {
    return this.strata;
  }
}

export function tickAt(seq: number, from: number, to: number, cells: readonly TickCell[]): Tick {
  return { seq, from, to, cells };
}

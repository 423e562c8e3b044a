import fc from "fast-check";
import t from "tap";
import type { SlaSettings, SlaTarget } from "../src/config/config-told.ts";
import { assess, type Judgements } from "../src/sla/assess.ts";
import { decodeMemories, encodeMemories, NOTHING_REMEMBERED, type SlaMemory } from "../src/sla/memory.ts";
import type { SlaPromise, SlaRow, SlaState } from "../src/sla/sla.ts";
import { sampleNeeded, verdictOf } from "../src/sla/verdict.ts";
import type { CountCell, HourCounts } from "../src/store/counts.ts";
import { mergeHours } from "../src/store/counts-merge.ts";
import { durationEdges } from "../src/telemetry/edges.ts";
import { configOf, configText } from "./support/app.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;
const NOW = Date.parse("2026-11-23T12:30:00Z");
const NOW_HOUR = Math.floor(NOW / HOUR);
const EDGES = Float64Array.from([10, 50, 100, 200, 1_000]);

const SETTINGS: SlaSettings = {
  promises: [
    { promise: "availability", targetBp: 9_990, withinMs: undefined, windowMs: 720 * HOUR },
    { promise: "response_time", targetBp: 9_500, withinMs: 100, windowMs: 24 * HOUR },
    { promise: "errors", targetBp: 100, withinMs: undefined, windowMs: 24 * HOUR },
    { promise: "accuracy", targetBp: 8_500, withinMs: undefined, windowMs: 24 * HOUR },
  ],
  warnAtBp: 9_000,
  recoveredAfterMs: 15 * MINUTE,
};

function cell(failed: number, answered: Readonly<Record<number, number>>, version = "v2", segment = "none"): CountCell {
  return { version, segment, failed, answered: new Map(Object.entries(answered).map(([edge, count]) => [Number(edge), count])) };
}

function hourOf(cells: readonly CountCell[], hour = NOW_HOUR, minutes = 30): HourCounts {
  return { hour, covered: new Set(Array.from({ length: minutes }, (_, minute) => minute)), cells };
}

function rowsOf(hours: readonly HourCounts[], judgements: readonly Judgements[] = [], now = NOW): readonly SlaRow[] {
  return assess({ hours, edges: EDGES, judgements }, SETTINGS, now).rows;
}

function row(rows: readonly SlaRow[], promise: SlaPromise, version = "all", segment = "all"): SlaRow {
  const found = rows.find((one) => one.promise === promise && one.version === version && one.segment === segment);
  if (found === undefined) throw new Error(`no row of ${promise} ${version} ${segment}`);
  return found;
}

t.test("each promise has its value, its budget and its state, by version and segment", async (t) => {
  const rows = rowsOf(
    [
      hourOf([
        cell(5, { 50: 9_000, 200: 995 }, "v1", "none"),
        cell(15, { 50: 900, 100: 80, 1_000: 5 }, "v2", "enterprise"),
        cell(10, {}, "", "none"),
      ]),
    ],
    [{ version: "v2", segment: "enterprise", confirmed: 80, judged: 100 }],
  );
  const all = row(rows, "availability");
  t.equal(all.sample, 11_010);
  t.equal(all.value, 10_980 / 11_010);
  t.equal(all.state, "breached");
  t.match(row(rows, "availability", "v1"), { sample: 10_000, value: 0.9995, state: "met", budgetLeft: 0.5 });
  t.match(row(rows, "availability", "v2", "enterprise"), { sample: 1_000, value: 0.985, state: "breached", budgetLeft: -14 });
  t.match(row(rows, "errors", "v2"), { value: 0.015, target: 0.01, direction: "at-most", state: "breached", budgetLeft: -0.5 });
  t.match(row(rows, "errors", "all", "none"), { sample: 10_010, value: 15 / 10_010, state: "met" });
  t.match(row(rows, "response_time", "v1"), { value: 0.9, limitMs: 100, state: "breached" });
  t.match(row(rows, "response_time", "v2"), { value: 0.98, state: "met", budgetLeft: 0.6 }, "a failure is not in time, however quick");
  t.match(row(rows, "accuracy", "v2"), { value: 0.8, sample: 100, state: "breached" });
  t.notOk(
    rows.some(({ version }) => version === ""),
    "requests for which nobody was asked make no version of their own",
  );
  t.equal(row(rows, "response_time", "v2").p95, 50 + 50 * ((0.95 * 985 - 900) / 80), "by interpolation, of what was answered");
});

t.test("what is exactly at the target is kept, and one more is not", async (t) => {
  const target = { promise: "errors", targetBp: 100 } as const;
  const state = (bad: number, sample: number): SlaState => verdictOf(target, bad, sample, 9_000).state;
  t.equal(state(0, 1_000), "met");
  t.equal(state(8, 1_000), "met");
  t.equal(state(9, 1_000), "warning", "90 % of the budget is spent");
  t.equal(state(10, 1_000), "warning");
  t.equal(verdictOf(target, 10, 1_000, 9_000).budgetLeft, 0);
  t.equal(state(11, 1_000), "breached");
});

t.test("too few requests are never called kept, and are broken only if no more could mend it", async (t) => {
  const target = { promise: "availability", targetBp: 9_990 } as const;
  const state = (bad: number, sample: number): SlaState => verdictOf(target, bad, sample, 9_000).state;
  t.equal(sampleNeeded(target), 1_000);
  t.equal(state(0, 0), "no-data");
  t.equal(state(0, 999), "no-data");
  t.equal(state(1, 999), "no-data");
  t.equal(state(2, 2), "breached", "998 good ones more would not be enough");
  t.equal(state(0, 1_000), "met");
  const rows = rowsOf([]);
  t.same(
    rows.map(({ state: each, sample, coveredMs }) => [each, sample, coveredMs]),
    SETTINGS.promises.map(() => ["no-data", 0, 0]),
  );
  t.ok(rows.every(({ value, budgetLeft }) => Number.isNaN(value) && Number.isNaN(budgetLeft)));
});

t.test("a window begins with the hour in which it begins, and says how much of it is covered", async (t) => {
  const hours = [
    hourOf([cell(3, { 50: 1_000 })], NOW_HOUR - 24, 60),
    hourOf([cell(0, { 50: 1_000 })], NOW_HOUR - 10, 45),
    hourOf([cell(500, { 50: 1_000 })], NOW_HOUR - 25, 60),
  ];
  const errors = row(rowsOf(hours), "errors");
  t.equal(errors.sample, 2_003, "what is older is out");
  t.equal(errors.coveredMs, 105 * MINUTE);
  t.equal(row(rowsOf(hours), "availability").sample, 3_503);
  t.equal(row(rowsOf(hours, [], NOW + 31 * MINUTE), "errors").sample, 1_000);
});

t.test("counts of other edges are filed so that nothing looks faster than it was", async (t) => {
  const rows = rowsOf([hourOf([cell(0, { 99: 500, 101: 500, 5_000: 10 }, "v2")])]);
  t.equal(row(rows, "response_time", "v2").value, 500 / 1_010);
});

const cellArbitrary = fc.record({
  version: fc.constantFrom("v1", "v2", ""),
  segment: fc.constantFrom("none", "enterprise"),
  failed: fc.nat(60),
  answered: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...EDGES, Infinity), fc.integer({ min: 1, max: 2_000 })), { selector: ([edge]) => edge })
    .map((entries) => new Map(entries)),
});
const hourArbitrary = fc.record({
  hour: fc.integer({ min: NOW_HOUR - 30, max: NOW_HOUR }),
  covered: fc.uniqueArray(fc.nat(59)).map((minutes) => new Set(minutes)),
  cells: fc.uniqueArray(cellArbitrary, { selector: ({ version, segment }) => `${version}:${segment}`, maxLength: 5 }),
});

t.test("any split over instances gives the same rows", async () => {
  const merge = (hours: readonly HourCounts[]): readonly HourCounts[] => {
    const all = new Map<number, HourCounts>();
    for (const hour of hours) {
      const before = all.get(hour.hour);
      all.set(hour.hour, before === undefined ? hour : mergeHours(before, hour));
    }
    return [...all.values()];
  };
  fc.assert(
    fc.property(fc.array(hourArbitrary, { maxLength: 6 }), fc.infiniteStream(fc.nat(2)), (hours, choices) => {
      const instances: HourCounts[][] = [[], [], []];
      for (const { hour, covered, cells } of hours) {
        for (const each of cells) instances[choices.next().value ?? 0]?.push({ hour, covered, cells: [each] });
        instances[choices.next().value ?? 0]?.push({ hour, covered, cells: [] });
      }
      const whole = rowsOf(merge(hours));
      const split = rowsOf(merge(instances.toReversed().flat()));
      return JSON.stringify(whole) === JSON.stringify(split);
    }),
  );
});

t.test("more that is bad makes no promise look better, and every figure has its bounds", async () => {
  const rank: Readonly<Record<SlaState, number>> = { met: 0, warning: 1, breached: 2, "no-data": 0 };
  const target: fc.Arbitrary<SlaTarget> = fc.record({
    promise: fc.constantFrom("availability" as const, "response_time" as const, "errors" as const, "accuracy" as const),
    targetBp: fc.integer({ min: 1, max: 9_999 }),
    withinMs: fc.constant(undefined),
    windowMs: fc.constant(HOUR),
  });
  fc.assert(
    fc.property(target, fc.nat(20_000), fc.nat(20_000), fc.nat(10_000), (given, one, other, warnAtBp) => {
      const sample = Math.max(one, other);
      const bad = Math.min(one, other);
      const less = verdictOf(given, Math.floor(bad / 2), sample, warnAtBp);
      const more = verdictOf(given, bad, sample, warnAtBp);
      const better = given.promise === "errors" ? less.value <= more.value : less.value >= more.value;
      return (
        rank[less.state] <= rank[more.state] &&
        (sample === 0 || (better && less.budgetLeft >= more.budgetLeft && more.budgetLeft <= 1 && more.value >= 0 && more.value <= 1)) &&
        (more.state !== "met" && more.state !== "warning" ? true : sample >= sampleNeeded(given)) &&
        (more.state !== "breached" || sample < sampleNeeded(given) || more.budgetLeft < 0) &&
        ((more.state !== "met" && more.state !== "warning") || more.budgetLeft >= 0)
      );
    }),
    { numRuns: 1_000 },
  );
});

const GOOD = [hourOf([cell(0, { 50: 10_000 })])];
const BAD = [hourOf([cell(500, { 50: 10_000 })])];
const FEW = [hourOf([cell(0, { 50: 30 })])];

/** Looks at these counts at these minutes, one after the other. */
function course(steps: readonly (readonly [minute: number, hours: readonly HourCounts[]])[], begun: SlaMemory = NOTHING_REMEMBERED) {
  let memory = begun;
  return steps.map(([minute, hours]) => {
    const now = NOW + minute * MINUTE;
    const { rows, memory: after } = assess({ hours, edges: EDGES, judgements: [] }, SETTINGS, now, memory);
    memory = after;
    return { row: row(rows, "errors", "v2"), memory };
  });
}

t.test("a breach lasts until the promise has been kept again for fifteen minutes, and says so meanwhile", async (t) => {
  const seen = course([
    [0, GOOD],
    [1, BAD],
    [2, GOOD],
    [10, GOOD],
    [11, BAD],
    [12, GOOD],
    [26, GOOD],
    [27, GOOD],
    [28, GOOD],
  ]);
  const at = (minute: number): number => NOW + minute * MINUTE;
  t.same(
    seen.map(({ row: { state, since, keptAgainSince } }) => [state, since, keptAgainSince]),
    [
      ["met", at(0), undefined],
      ["breached", at(1), undefined],
      ["breached", at(1), at(2)],
      ["breached", at(1), at(2)],
      ["breached", at(1), undefined],
      ["breached", at(1), at(12)],
      ["breached", at(1), at(12)],
      ["met", at(27), undefined],
      ["met", at(27), undefined],
    ],
  );
  const last = seen
    .at(-1)
    ?.memory.breaches.filter(({ promise, version, segment }) => promise === "errors" && version === "v2" && segment === "all");
  t.same(last, [{ promise: "errors", version: "v2", segment: "all", from: at(1), to: at(27), worst: 0.047619 }]);
});

t.test("no figures end no breach; figures that have left the window do", async (t) => {
  const [broken, few] = course([
    [0, BAD],
    [30, FEW],
  ]);
  t.equal(few?.row.state, "breached");
  const later = NOW + 40 * MINUTE;
  const { memory } = assess({ hours: [], edges: EDGES, judgements: [] }, SETTINGS, later, broken?.memory);
  const open = memory.breaches.filter(({ to }) => to === undefined);
  t.ok(open.every(({ version, segment }) => version === "all" && segment === "all"));
  t.ok(memory.breaches.some(({ version, to }) => version === "v2" && to === later));
});

t.test("a restart between any two looks changes nothing", async () => {
  const kinds = { GOOD, BAD, FEW, EMPTY: [] };
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.integer({ min: 1, max: 20 }),
          fc.constantFrom("GOOD" as const, "BAD" as const, "FEW" as const, "EMPTY" as const),
          fc.boolean(),
        ),
        {
          maxLength: 30,
        },
      ),
      (steps) => {
        let now = NOW;
        let kept: SlaMemory = NOTHING_REMEMBERED;
        let restarted: SlaMemory = NOTHING_REMEMBERED;
        return steps.every(([minutes, kind, restarts]) => {
          now += minutes * MINUTE;
          if (restarts) restarted = decodeMemories(encodeMemories({ f: restarted }))?.["f"] ?? NOTHING_REMEMBERED;
          const counts = { hours: kinds[kind], edges: EDGES, judgements: [] };
          const one = assess(counts, SETTINGS, now, kept);
          const other = assess(counts, SETTINGS, now, restarted);
          kept = one.memory;
          restarted = other.memory;
          const alone = kept.breaches
            .filter(({ to }) => to === undefined)
            .map(({ promise, version, segment }) => `${promise} ${version} ${segment}`);
          return JSON.stringify(one) === JSON.stringify(other) && new Set(alone).size === alone.length;
        });
      },
    ),
  );
});

t.test("what is remembered stays small, however often a promise is broken and kept again", async (t) => {
  let memory: SlaMemory = NOTHING_REMEMBERED;
  for (let i = 0; i < 1_500; i++) {
    const now = NOW + i * 61 * MINUTE;
    const hours = [hourOf([cell(i % 3 === 0 ? 500 : 0, { 50: i % 3 === 0 ? 1_000 : 1_000_000 })], Math.floor(now / HOUR))];
    ({ memory } = assess({ hours, edges: EDGES, judgements: [] }, { ...SETTINGS, recoveredAfterMs: 0 }, now, memory));
  }
  t.equal(memory.breaches.length, 300, "the oldest are forgotten");
  t.ok(Buffer.byteLength(encodeMemories({ f: memory })) < 64 * 1_024);
});

t.test("a text of another version or of somebody else is known as such, and parts that make no sense are left out", async (t) => {
  for (const text of ["", "{", "null", "[]", '{"version":2,"flags":{}}', '{"version":1}']) t.equal(decodeMemories(text), undefined, text);
  t.same(
    decodeMemories(
      '{"version":1,"flags":{"f":{"rows":{"a":{"state":"met","since":1},"b":{"state":"odd","since":1},"c":7},"breaches":[1,{}]},"g":1}}',
    ),
    {
      f: { rows: { a: { state: "met", since: 1 } }, breaches: [] },
    },
  );
});

t.test("the limit of response time is an edge of the histograms", async (t) => {
  const config = configOf(configText({ stable: "http://a", candidate: "http://b", more: "sla: { response_time: { within: 137ms } }" }));
  t.ok(durationEdges(config).includes(137));
});

t.test("promises have defaults, and each can be left out", async (t) => {
  const of = (more: string): SlaSettings => configOf(configText({ stable: "http://a", candidate: "http://b", more })).sla;
  t.same(of(""), {
    promises: [
      { promise: "availability", targetBp: 9_990, withinMs: undefined, windowMs: 30 * 24 * HOUR },
      { promise: "response_time", targetBp: 9_500, withinMs: 100, windowMs: 24 * HOUR },
      { promise: "errors", targetBp: 100, withinMs: undefined, windowMs: 24 * HOUR },
      { promise: "accuracy", targetBp: 8_500, withinMs: undefined, windowMs: 24 * HOUR },
    ],
    warnAtBp: 9_000,
    recoveredAfterMs: 15 * MINUTE,
  });
  t.same(
    of("sla: { accuracy: { enabled: false }, errors: { enabled: false } }").promises.map(({ promise }) => promise),
    ["availability", "response_time"],
  );
  t.throws(() => of("sla: { availability: { target: 100 } }"), /no room between kept and broken/);
  t.throws(() => of("sla: { errors: { target: 0 } }"), /no room between kept and broken/);
  t.throws(() => of("sla: { errors: { window: 90m } }"), /write 2h/);
  t.throws(() => of("sla: { accuracy: { window: 30d } }"), /out of range/);
});

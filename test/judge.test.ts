import fc from "fast-check";
import t from "tap";
import type { BusinessCell, BusinessSource, Signal, SignalKind } from "../src/analysis/business.ts";
import { BUSINESS_METRICS, SIGNAL_KINDS } from "../src/analysis/business.ts";
import { type Check, METRICS, type Verdict } from "../src/analysis/check.ts";
import { type Evidence, evidenceFor, type Times } from "../src/analysis/evidence.ts";
import type { FiguresSource, FiguresTable } from "../src/analysis/figures.ts";
import { judge } from "../src/analysis/judge.ts";
import { createRandom } from "../src/demo/simulators/chance.ts";
import { armOf, businessCells, checkOf, drawLatencies, evidenceOf, latenciesOf, tableOf } from "./support/trials.ts";

const ERRORS = checkOf({ metric: "errors", limit: { kind: "at-most", value: 0.05 }, minSample: 20, risk: 0.001 });

function verdictOf(check: Check, evidence: Partial<Evidence>): Verdict {
  const [judged, ...more] = judge(check, evidenceOf(evidence));
  if (judged === undefined || more.length > 0) throw new Error("expected one verdict");
  return judged.verdict;
}

function ofErrors(errors: number, attempts: number): readonly FiguresTable[] {
  return [tableOf({ errors, attempts })];
}

t.test("few errors pass, many fail, some leave it open, and too few attempts say nothing", async (t) => {
  t.equal(verdictOf(ERRORS, { tables: ofErrors(10, 1000) }).verdict, "pass");
  t.equal(verdictOf(ERRORS, { tables: ofErrors(90, 1000) }).verdict, "fail");
  t.equal(verdictOf(ERRORS, { tables: ofErrors(52, 1000) }).verdict, "inconclusive");
  t.equal(verdictOf(ERRORS, { tables: ofErrors(19, 19) }).verdict, "no-data");
  t.equal(verdictOf(ERRORS, { tables: [] }).verdict, "no-data");
  t.equal(verdictOf(ERRORS, { tables: ofErrors(2, 20) }).verdict, "inconclusive", "two of twenty are no reason to roll back");
});

t.test("a verdict says in one sentence what it rests on", async (t) => {
  const why = verdictOf(ERRORS, { tables: ofErrors(90, 1000) }).why;
  t.match(why, /^errors 9 % \(at least 6\.\d+\) over the limit of 5 %, 1,000 attempts$/);
  t.match(verdictOf(ERRORS, { tables: ofErrors(10, 1000) }).why, /^errors 1 % \(at most 2\.\d+\) within the limit of 5 %, 1,000 attempts$/);
  t.match(verdictOf(ERRORS, { tables: ofErrors(1, 3) }).why, "errors: 3 attempts of the candidate, and a verdict takes 20");
  const ratio = checkOf({
    metric: "accuracy",
    of: "ratio",
    limit: { kind: "at-least", value: 0.85 },
    window: { kind: "step" },
    minSample: 100,
  });
  const cells = businessCells({ candidate: said(2000, 0.6), stable: said(8000, 0.8) });
  t.match(
    verdictOf(ratio, { strata: [cells] }).why,
    /^accuracy 75 % of the stable arm's \(at most \d+\.?\d*\) under the limit of 85 %, 60 % against 80 %, 2,000 users against 8,000$/,
  );
});

function said(users: number, rate: number): BusinessCell["sums"] {
  return { users, y: rate * users, n: users, yy: rate * users, nn: users, yn: rate * users };
}

t.test("a window that grows takes more evidence than one that slides", async (t) => {
  const tables = ofErrors(75, 1000);
  t.equal(verdictOf({ ...ERRORS, risk: 0.01 }, { tables }).verdict, "fail");
  t.equal(verdictOf({ ...ERRORS, risk: 0.01, window: { kind: "step" } }, { tables }).verdict, "inconclusive");
});

t.test("availability is judged from below", async (t) => {
  const check = checkOf({ metric: "availability", limit: { kind: "at-least", value: 0.99 } });
  t.equal(verdictOf(check, { tables: [tableOf({ attempts: 5000, unavailable: 5 })] }).verdict, "pass");
  t.equal(verdictOf(check, { tables: [tableOf({ attempts: 5000, unavailable: 200 })] }).verdict, "fail");
});

t.test("each route has its verdict, and one that is asked for by name is the only one", async (t) => {
  const cells = [
    { route: "/b", segment: "none", stable: armOf({}), candidate: armOf({ attempts: 1000, errors: 200 }) },
    { route: "/a", segment: "none", stable: armOf({}), candidate: armOf({ attempts: 1000, errors: 2 }) },
    { route: "/a", segment: "beta", stable: armOf({}), candidate: armOf({ attempts: 1000, errors: 400 }) },
  ];
  const tables = [{ ...tableOf({}), cells }];
  const words = (check: Check): unknown => judge(check, evidenceOf({ tables })).map(({ scope, verdict }) => [scope, verdict.verdict]);
  t.same(words({ ...ERRORS, each: "route", segment: "none" }), [
    ["/a", "pass"],
    ["/b", "fail"],
  ]);
  t.same(words({ ...ERRORS, each: "segment", route: "/a" }), [
    ["beta", "fail"],
    ["none", "pass"],
  ]);
  t.same(words({ ...ERRORS, route: "/a", segment: "none" }), [[undefined, "pass"]]);
  t.same(words({ ...ERRORS, each: "route", route: "/c" }), [[undefined, "no-data"]]);
});

const SLOW = checkOf({
  metric: "p95",
  limit: { kind: "at-most", value: 150 },
  window: { kind: "last", ms: 60_000 },
  forMs: 300_000,
  minSample: 50,
  risk: 0.001,
});

/** Five minutes, each with its own true P95; undefined: nobody asked. */
function minutes(p95s: readonly (number | undefined)[], perSecond = 20, coveredMs = 300_000): Partial<Evidence> {
  const random = createRandom(5);
  const each = p95s.map((p95) => (p95 === undefined ? new Float64Array() : drawLatencies(random, perSecond * 60, p95)));
  const tableAt = (durations: Float64Array): FiguresTable => tableOf({ latencies: latenciesOf(durations), attempts: durations.length });
  const whole = Float64Array.from(each.flatMap((part) => [...part]));
  return { from: 0, to: 300_000, tables: [{ ...tableAt(whole), coveredMs }], pieces: each.map(tableAt) };
}

t.test("five minutes of a P95 of 161 ms are over 150, and of 135 or 148 are not", async (t) => {
  for (const perSecond of [20, 100]) {
    const word = (p95: number): string =>
      verdictOf(
        SLOW,
        minutes(
          Array.from({ length: 5 }, () => p95),
          perSecond,
        ),
      ).verdict;
    t.equal(word(161), "fail");
    t.equal(word(135), "pass");
    t.not(word(148), "fail");
  }
  t.match(
    verdictOf(SLOW, minutes([161, 161, 161, 161, 161], 100)).why,
    /^P95 16\d ms \(at least 15\d\) over the limit of 150 ms, 30,000 attempts, all through the last 5m$/,
  );
});

t.test("what has not lasted does not fail: an outage that is over, silence, figures that are missing", async (t) => {
  const over = verdictOf(SLOW, minutes([600, 100, 100, 100, 100]));
  t.equal(over.verdict, "inconclusive");
  t.match(over.why, "surely within it in 4 of the 5 parts of 1m of the last 5m");
  t.equal(verdictOf(SLOW, minutes([161, 161, undefined, 161, 161])).verdict, "no-data");
  t.equal(verdictOf(SLOW, minutes([161, 161, 161, 161, 161], 20, 200_000)).verdict, "no-data");
  t.equal(verdictOf({ ...SLOW, window: { kind: "step" } }, { ...minutes([161, 161, 161]), from: 120_000 }).verdict, "no-data");
});

t.test("a short outage with little traffic after it does not fail, wherever it stands and between whichever parts", async (t) => {
  const random = createRandom(3);
  const draw = (count: number, p95: number): Float64Array => drawLatencies(random, count, p95);
  const tableAt = (durations: Float64Array): FiguresTable => tableOf({ latencies: latenciesOf(durations), attempts: durations.length });
  const join = (parts: readonly Float64Array[]): Float64Array => Float64Array.from(parts.flatMap((part) => [...part]));
  const wordAt = (parts: readonly Float64Array[]): string => {
    const tables = [{ ...tableAt(join(parts)), coveredMs: 300_000 }];
    return verdictOf(SLOW, { from: 0, to: 300_000, tables, pieces: parts.map(tableAt) }).verdict;
  };
  for (let run = 0; run < 20; run++) {
    const thin = (): Float64Array => draw(12, 100);
    for (const place of [0, 1, 2, 3, 4])
      t.not(wordAt(Array.from({ length: 5 }, (_, i) => (i === place ? draw(1_200, 600) : thin()))), "fail");
    for (const place of [0, 1, 2, 3]) {
      const half = (i: number): boolean => i === place || i === place + 1;
      t.not(wordAt(Array.from({ length: 5 }, (_, i) => (half(i) ? join([draw(600, 600), draw(6, 100)]) : thin()))), "fail");
    }
    t.equal(
      wordAt([draw(1_200, 600), ...Array.from({ length: 4 }, () => draw(12, 600))]),
      "fail",
      "an outage that goes on with little traffic",
    );
  }
  t.match(
    verdictOf(SLOW, {
      from: 0,
      to: 300_000,
      tables: [{ ...tableAt(join([draw(1_200, 600), draw(48, 100)])), coveredMs: 300_000 }],
      pieces: [draw(1_200, 600), ...[1, 2, 3, 4].map(() => draw(12, 100))].map(tableAt),
    }).why,
    /but without its worst part not surely in the last 5m$/,
  );
});

t.test("a true P95 of 161 ms at 20 requests a second fires after five minutes in most runs", async (t) => {
  const random = createRandom(11);
  let fired = 0;
  for (let run = 0; run < 50; run++) {
    const parts = Array.from({ length: 5 }, () => drawLatencies(random, 1_200, 161));
    const tableAt = (durations: Float64Array): FiguresTable => tableOf({ latencies: latenciesOf(durations), attempts: durations.length });
    const whole = tableAt(Float64Array.from(parts.flatMap((part) => [...part])));
    const evidence = { from: 0, to: 300_000, tables: [{ ...whole, coveredMs: 300_000 }], pieces: parts.map(tableAt) };
    if (verdictOf(SLOW, evidence).verdict === "fail") fired++;
  }
  t.ok(fired >= 30, `${fired} of 50`);
});

t.test("durations are decided by the share of attempts that took longer, exactly", async (t) => {
  const durations = (slow: number): FiguresTable => {
    const each = Array.from({ length: 1000 }, (_, index) => (index < slow ? 151 : 149));
    return tableOf({ latencies: latenciesOf(each), attempts: 1000 });
  };
  const check = { ...SLOW, forMs: 0, risk: 0.01 };
  t.equal(verdictOf(check, { tables: [durations(34)] }).verdict, "pass");
  t.equal(verdictOf(check, { tables: [durations(35)] }).verdict, "inconclusive");
  t.equal(verdictOf(check, { tables: [durations(67)] }).verdict, "inconclusive");
  t.equal(verdictOf(check, { tables: [durations(68)] }).verdict, "fail");
});

t.test("the stable arm needs its sample too", async (t) => {
  const check = { ...ERRORS, of: "difference", limit: { kind: "at-most", value: 0.005 } } as const;
  t.equal(verdictOf(check, { tables: [tableOf({ attempts: 5000, errors: 5 }, { attempts: 19, errors: 0 })] }).verdict, "no-data");
  t.equal(verdictOf(check, { tables: [tableOf({ attempts: 5000, errors: 5 }, { attempts: 9000, errors: 9 })] }).verdict, "pass");
  t.equal(verdictOf(check, { tables: [tableOf({ attempts: 5000, errors: 150 }, { attempts: 9000, errors: 9 })] }).verdict, "fail");
});

function signals(kind: SignalKind, ...reports: readonly (readonly [at: number, value: number])[]): Partial<Evidence> {
  return { from: 0, to: 60_000, signals: reports.map(([at, value]): Signal => ({ kind, at, value, note: "" })) };
}

t.test("incidents and lost sessions are counted, and silence is good news of them", async (t) => {
  const check = (metric: SignalKind) => checkOf({ metric, limit: { kind: "at-most", value: 0 }, required: false });
  t.equal(verdictOf(check("security"), signals("security")).verdict, "pass");
  t.equal(verdictOf(check("security"), signals("security", [1, 2], [2, 3])).verdict, "pass", "P2 and P3 are not counted");
  t.equal(verdictOf(check("security"), signals("security", [1, 1])).verdict, "fail");
  t.equal(verdictOf(check("sessions_lost"), signals("sessions_lost", [1, 0], [2, 0])).verdict, "pass");
  t.equal(verdictOf(check("sessions_lost"), signals("sessions_lost", [1, 0], [2, 3])).verdict, "fail");
});

t.test("integrity is its worst report, and lag must be there in all of them; silence says nothing", async (t) => {
  const integrity = checkOf({ metric: "data_integrity", limit: { kind: "at-least", value: 0.95 } });
  t.equal(verdictOf(integrity, signals("data_integrity", [1, 0.99], [2, 0.94])).verdict, "fail");
  t.equal(verdictOf(integrity, signals("data_integrity", [1, 0.99])).verdict, "pass");
  t.equal(verdictOf(integrity, signals("data_integrity")).verdict, "no-data");
  const lag = checkOf({ metric: "sync_lag", limit: { kind: "at-most", value: 1 }, forMs: 60_000 });
  t.equal(verdictOf(lag, signals("sync_lag", [5000, 1.2], [30_000, 3], [55_000, 1.1])).verdict, "fail");
  t.equal(verdictOf(lag, signals("sync_lag", [5000, 1.2], [30_000, 0.3], [55_000, 1.1])).verdict, "inconclusive");
  t.equal(verdictOf(lag, signals("sync_lag", [5000, 1.2], [55_000, 0.2])).verdict, "pass");
  t.equal(verdictOf(lag, signals("sync_lag", [50_000, 9])).verdict, "inconclusive", "a report of ten seconds ago has not lasted a minute");
  t.equal(verdictOf(lag, signals("sync_lag")).verdict, "no-data");
});

t.test("requests are counted", async (t) => {
  const check = checkOf({ metric: "requests", limit: { kind: "at-least", value: 1000 }, window: { kind: "step" } });
  t.equal(verdictOf(check, { tables: [tableOf({ requests: 1000 })] }).verdict, "pass");
  t.equal(verdictOf(check, { tables: [tableOf({ requests: 999 })] }).verdict, "inconclusive");
  t.equal(verdictOf({ ...check, window: { kind: "last", ms: 10_000 } }, { tables: [tableOf({ requests: 999 })] }).verdict, "fail");
  t.equal(verdictOf({ ...check, window: { kind: "last", ms: 10_000 } }, { tables: [] }).verdict, "no-data");
});

const MINUTE = 60_000;
const TIMES: Times = { now: 100 * MINUTE, stepFrom: 60 * MINUTE, startFrom: 10 * MINUTE, step: 1 };

function sources(): { readonly asked: string[]; readonly figures: FiguresSource; readonly business: BusinessSource } {
  const asked: string[] = [];
  const at = (ms: number): number => ms / MINUTE;
  const figures: FiguresSource = {
    refresh: async (now) => now,
    between: async (from, to) => {
      asked.push(`figures ${at(from)}-${at(to)}`);
      return { ...tableOf({}), from, to };
    },
  };
  const signal = (kind: SignalKind, minute: number): Signal => ({ kind, at: minute * MINUTE, value: 0, note: "" });
  const business: BusinessSource = {
    refresh: async () => {},
    between: (from, to) => {
      asked.push(`business ${at(from)}-${at(to)}`);
      return { from, to, cells: [], signals: [signal("security", 99), signal("sync_lag", 20), signal("sync_lag", 99)] };
    },
    steps: () =>
      [0, 1].map((step) => ({ step, assigned: businessCells({ candidate: said(step + 1, 1), stable: said(9, 1) }), served: [] })),
    overall: () => businessCells({ candidate: said(3, 1), stable: said(18, 1) }),
  };
  return { asked, figures, business };
}

async function evidenceAsked(check: Check): Promise<{ readonly asked: readonly string[]; readonly evidence: Evidence }> {
  const { asked, figures, business } = sources();
  return { evidence: await evidenceFor(check, TIMES, figures, business), asked };
}

t.test("evidence is of the window, and of its pieces where it must have lasted", async (t) => {
  t.same((await evidenceAsked(ERRORS)).asked, [`figures ${100 - 1 / 6}-100`]);
  t.same((await evidenceAsked(SLOW)).asked, ["figures 95-100", ...[95, 96, 97, 98, 99].map((from) => `figures ${from}-${from + 1}`)]);
  t.same((await evidenceAsked({ ...ERRORS, window: { kind: "step" } })).asked, ["figures 60-100"]);
  t.same((await evidenceAsked({ ...ERRORS, window: { kind: "start" } })).asked, ["figures 10-100"]);
  t.same((await evidenceAsked({ ...ERRORS, of: "ratio", window: { kind: "start" } })).asked, ["figures 10-60", "figures 60-100"]);
});

t.test("business figures of a step are of that step alone, and signals of their kind and time", async (t) => {
  const check = checkOf({ metric: "accuracy", limit: { kind: "at-least", value: 0.8 }, window: { kind: "step" } });
  const step = await evidenceAsked(check);
  t.same(
    step.evidence.strata.map((cells) => cells[0]?.sums.users),
    [2],
  );
  const start = await evidenceAsked({ ...check, window: { kind: "start" } });
  t.same(
    start.evidence.strata.map((cells) => cells[0]?.sums.users),
    [1, 2],
  );
  t.equal(start.evidence.overall?.[0]?.sums.users, 3);
  const sliding = await evidenceAsked({ ...check, window: { kind: "last", ms: 5 * MINUTE } });
  t.same(sliding.asked, ["business 95-100"]);
  const lag = await evidenceAsked(checkOf({ metric: "sync_lag", limit: { kind: "at-most", value: 1 }, window: { kind: "step" } }));
  t.same(
    lag.evidence.signals.map(({ at }) => at / MINUTE),
    [99],
  );
});

const DAY: Check["window"] = { kind: "last", ms: 24 * 60 * MINUTE };

/** Instants in minutes; the rollout began in minute 10, its step in minute 60, and now is minute 100. */
async function toldOf(
  kind: "security" | "sessions_lost",
  window: Check["window"],
  at: number,
  arrivedAt: number | undefined,
): Promise<string> {
  const told: Signal = { kind, at: at * MINUTE, value: 1, note: "", ...(arrivedAt === undefined ? {} : { arrivedAt: arrivedAt * MINUTE }) };
  const { figures, business } = sources();
  const from = (all: Signal[]): BusinessSource => ({
    ...business,
    between: (from, to) => ({ from, to, cells: [], signals: all.filter((signal) => signal.at >= from && signal.at < to) }),
  });
  const check = checkOf({ metric: kind, limit: { kind: "at-most", value: 0 }, window });
  const [judged] = judge(check, await evidenceFor(check, TIMES, figures, from([told])));
  return judged?.verdict.verdict ?? "";
}

t.test("what is told late counts from when it was told, and what was told before the rollout began does not", async (t) => {
  for (const kind of ["security", "sessions_lost"] as const) {
    t.equal(await toldOf(kind, DAY, 59, 61), "fail", `${kind}: it happened in the step before`);
    t.equal(await toldOf(kind, DAY, 59, 59), "fail", `${kind}: it was told in the step before`);
    t.equal(await toldOf(kind, DAY, 5, 99), "fail", `${kind}: it happened before the rollout began`);
    t.equal(await toldOf(kind, DAY, 100 - 23 * 60, 99), "fail", `${kind}: nearly a day ago`);
    t.equal(await toldOf(kind, DAY, 100 - 25 * 60, 99), "pass", `${kind}: more than a day ago`);
    t.equal(await toldOf(kind, DAY, 5, 9), "pass", `${kind}: it was told, and dealt with, before`);
    t.equal(await toldOf(kind, DAY, 103, 99), "fail", `${kind}: the clock of who told is ahead`);
    t.equal(await toldOf(kind, DAY, 11, undefined), "fail", `${kind}: when it was told is not known`);
    t.equal(await toldOf(kind, { kind: "step" }, 5, 61), "fail", `${kind}: told in this step`);
    t.equal(await toldOf(kind, { kind: "step" }, 59, 59), "pass", `${kind}: told in the step before`);
  }
});

t.test("a route or segment from which nothing comes has no data of its own", async (t) => {
  const tables = ofErrors(1, 5000);
  const words = (check: Check, more: Partial<Evidence>): readonly string[] =>
    judge(check, evidenceOf({ tables, ...more })).map(({ scope, verdict }) => `${scope} ${verdict.verdict}`);
  const byRoute = { ...ERRORS, each: "route" } as const;
  t.same(words(byRoute, { routes: ["/match", "/silent"] }), ["/match pass", "/silent no-data"]);
  t.same(words(byRoute, { routes: ["/match"] }), ["/match pass"]);
  t.same(words(byRoute, {}), ["/match pass"], "where nobody knows what to expect");
  t.same(words(byRoute, { tables: [], routes: ["/a", "/b"] }), ["/a no-data", "/b no-data"]);
  t.same(words({ ...byRoute, segment: "none" }, { routes: ["/match", "/silent"] }), ["/match pass", "/silent no-data"]);
  const bySegment = { ...ERRORS, each: "segment" } as const;
  t.same(words(bySegment, { segments: ["enterprise", "none"], routes: ["/silent"] }), ["enterprise no-data", "none pass"]);
  t.same(words({ ...bySegment, route: "/silent" }, { segments: ["none"] }), ["none no-data"]);
  t.same(words(ERRORS, { routes: ["/silent"], segments: ["enterprise"] }), ["undefined pass"], "all of them together");
  const people = checkOf({
    metric: "accuracy",
    limit: { kind: "at-least", value: 0.5 },
    window: { kind: "step" },
    each: "segment",
    minSample: 50,
  });
  const strata = [businessCells({ candidate: said(2000, 0.8), stable: said(2000, 0.8) })];
  t.same(words(people, { tables: [], strata, segments: ["enterprise"] }), ["enterprise no-data", "none pass"]);
});

t.test("the routes and segments of whoever asks are in the evidence", async (t) => {
  const { figures, business } = sources();
  const of = (times: Times) => evidenceFor({ ...ERRORS, each: "route" }, times, figures, business);
  t.match(await of({ ...TIMES, routes: ["/a"], segments: ["b"] }), { routes: ["/a"], segments: ["b"] });
  t.match(await of(TIMES), { routes: [], segments: [] });
});

const checks = fc.record({
  name: fc.constant("any"),
  metric: fc.constantFrom(...METRICS),
  of: fc.constantFrom("candidate", "ratio", "difference"),
  limit: fc.record({ kind: fc.constantFrom("at-most", "at-least"), value: fc.double({ min: 0, max: 200, noNaN: true }) }),
  window: fc.constantFrom<Check["window"]>({ kind: "last", ms: 10_000 }, { kind: "step" }, { kind: "start" }),
  forMs: fc.constantFrom(0, 10_000, 60_000),
  minSample: fc.integer({ min: 1, max: 50 }),
  risk: fc.constantFrom(0.05, 0.001),
  each: fc.constantFrom("all", "route", "segment"),
  route: fc.constantFrom(undefined, "/match", "/none"),
  segment: fc.constantFrom(undefined, "none"),
  required: fc.boolean(),
}) satisfies fc.Arbitrary<Check>;

const count = fc.integer({ min: 0, max: 60 });
const arms = fc.tuple(count, count, count, fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 40 })).map(([a, b, c, durations]) => ({
  requests: a + b,
  fellBack: b,
  attempts: a + b + c,
  errors: b + c,
  unavailable: c,
  latencies: latenciesOf(durations),
  quality: { count: a, sum: a * 0.8, squares: a * 0.64 },
}));
const sums = fc
  .array(fc.tuple(count, count), { maxLength: 20 })
  .map((users) =>
    users.reduce(
      (all, [y, n]) => ({ users: all.users + 1, y: all.y + y, n: all.n + n, yy: all.yy + y * y, nn: all.nn + n * n, yn: all.yn + y * n }),
      said(0, 0),
    ),
  );
const business = fc
  .record({ candidate: sums, stable: sums })
  .map((both) => BUSINESS_METRICS.flatMap((metric) => businessCells(both).map((cell) => ({ ...cell, metric }))));
const evidences = fc.record({
  from: fc.constant(0),
  to: fc.constantFrom(10_000, 60_000),
  tables: fc.array(
    fc.tuple(arms, arms).map(([a, b]) => tableOf(a, b)),
    { maxLength: 3 },
  ),
  pieces: fc.array(
    fc.tuple(arms, arms).map(([a, b]) => tableOf(a, b)),
    { maxLength: 3 },
  ),
  strata: fc.array(business, { maxLength: 3 }),
  overall: fc.option(business, { nil: undefined }),
  businessPieces: fc.array(business, { maxLength: 2 }),
  signals: fc.array(
    fc.record({
      kind: fc.constantFrom(...SIGNAL_KINDS),
      at: fc.nat(60_000),
      value: fc.double({ min: 0, max: 3, noNaN: true }),
      note: fc.string(),
    }),
  ),
  routes: fc.constantFrom<string[]>([], ["/match", "/silent"]),
  segments: fc.constantFrom<string[]>([], ["enterprise", "none"]),
});

t.test("whatever the figures, there is a verdict, in finite numbers, with its reason", async (t) => {
  fc.assert(
    fc.property(checks, evidences, (check, evidence) => {
      const all = judge(check, evidence);
      return (
        all.length > 0 &&
        all.every(({ verdict: { verdict, value, low, high, why } }) => {
          const isFinite = [value, low, high].every((each) => each === undefined || Number.isFinite(each));
          const isDecided = verdict === "pass" || verdict === "fail";
          return (
            isFinite &&
            why.length > 0 &&
            !/NaN|undefined|Infinity/.test(why) &&
            (!isDecided || value !== undefined || why.includes("unknown"))
          );
        })
      );
    }),
    { numRuns: 1500 },
  );
  t.pass();
});

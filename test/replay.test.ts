import t from "tap";
import type { BusinessCell } from "../src/analysis/business.ts";
import { Sketch } from "../src/analysis/latencies.ts";
import { createRecordedSources, type RecordEntry } from "../src/analysis/recording.ts";
import type { ArmCounts, TickCell } from "../src/analysis/tick.ts";
import { renderReplay, replay } from "../src/controller/replay.ts";
import { PlayedRecord } from "../src/controller/replay-record.ts";
import type { Plan } from "../src/controller/plan.ts";
import type { Stay } from "../src/controller/rollout.ts";
import { checkOf, HOUR, MINUTE, planOf, stepOf, T0 } from "./support/rollouts.ts";

const ERRORS = checkOf("errors", { metric: "errors", limit: { kind: "at-most", value: 0.05 }, minSample: 100 });

/** Ten minutes at each of three steps. */
function quickPlan(more: Partial<Plan> = {}): Plan {
  const steps = [stepOf("ten", 1_000), stepOf("half", 5_000), stepOf("all", 10_000)].map((step) => ({ ...step, dwellMs: 10 * MINUTE }));
  return planOf({ steps, segments: [], gates: [ERRORS], triggers: [], ...more });
}

function armOf(attempts: number, errors: number): ArmCounts {
  const slots = new Sketch(Uint32Array.of(499, attempts));
  const quality = { count: 0, sum: 0, squares: 0 };
  return { requests: attempts, failed: 0, fellBack: 0, waits: slots, attempts, errors, unavailable: 0, latencies: slots, quality };
}

function cellOf(attempts: number, errors: number): TickCell {
  return { route: "match", segment: "none", stable: armOf(attempts, 0), candidate: armOf(attempts, errors) };
}

function accuracy(arm: "stable" | "candidate", users: number): BusinessCell {
  const y = users * 0.8;
  return { arm, segment: "none", metric: "accuracy", sums: { users, y, n: users, yy: y, nn: users, yn: y } };
}

interface Minute {
  readonly step?: number;
  readonly percentageBp?: number;
  readonly attempts?: number;
  readonly errors?: number;
}

/** Minute after minute from T0; by default the quick plan's own steps, ten minutes each, without errors. */
function recordOf(minutes: number, at: (minute: number) => Minute = () => ({})): readonly RecordEntry[] {
  return Array.from({ length: minutes }, (_, minute) => {
    const own = Math.min(2, Math.floor(minute / 10));
    const { step = own, percentageBp = [1_000, 5_000, 10_000][own] ?? 0, attempts = 600, errors = 0 } = at(minute);
    const from = T0 + minute * MINUTE;
    const to = from + MINUTE;
    return {
      from,
      to,
      step,
      percentageBp,
      figures: [{ from, to, covered: [[from, to]], instances: ["one"], cells: [cellOf(attempts, errors)] }],
      business: [accuracy("candidate", 5)],
      signals: [],
      strata: [{ step, assigned: [accuracy("stable", 50 * minute), accuracy("candidate", 50 * minute)], served: [] }],
      upTo: { one: minute },
      after: "",
    };
  });
}

t.test("the plan that was followed, played over its own record, does what was done", async (t) => {
  const report = await replay(quickPlan(), recordOf(30), {});
  const told = report.would.map(({ at, kind, step, percentageBp }) => [(at - T0) / MINUTE, kind, step, percentageBp]);
  t.same(told, [
    [0, "starts", 0, 1_000],
    [10, "enters", 1, 5_000],
    [20, "enters", 2, 10_000],
    [30, "completes", 2, 10_000],
  ]);
  t.same(
    report.did.map(({ at, kind, step, percentageBp }) => [(at - T0) / MINUTE, kind, step, percentageBp]),
    told.slice(0, 3),
  );
  t.match(report.end, /^Completed at 2026-11-23T09:30/);
  t.match(report.would[1]?.why, /errors: .*0(\.0+)? ?%/, "why is said in figures");
  t.same(report.doubts, []);
  t.equal(report.looks, 30);
});

t.test("another threshold rolls back where nobody did, and nothing is said of what would have come after", async (t) => {
  const record = recordOf(30, (minute) => ({ errors: minute >= 15 ? 60 : 0 }));
  const mild = await replay(quickPlan({ triggers: [{ ...ERRORS, limit: { kind: "at-most", value: 0.2 } }] }), record, {});
  t.match(mild.would.at(-1), { kind: "waits", step: 1 }, "its gate still waits");
  t.match(mild.end, /^At the end of the record waiting at half \(50 %\): gate errors fail/);
  const strict = await replay(quickPlan({ triggers: [ERRORS] }), record, {});
  t.match(strict.would.at(-1), {
    kind: "rolls-back",
    step: 1,
    percentageBp: 0,
    at: T0 + 16 * MINUTE,
    why: /trigger errors: .*10(\.0+)? ?%/,
  });
  t.match(strict.end, /^Rolled back from half \(50 %\) at 2026-11-23T09:16.* recorded after it cannot be told/);
  t.match(
    strict.checks.find(({ kind }) => kind === "trigger"),
    { check: "errors", pass: 15, fail: 1, failed: { at: T0 + 16 * MINUTE } },
  );
  t.equal(strict.looks, 16);
});

t.test("a plan that is quicker than what was done says that its figures are those of another share", async (t) => {
  const steps = quickPlan().steps.map((step) => ({ ...step, dwellMs: 5 * MINUTE }));
  const report = await replay(quickPlan({ steps }), recordOf(30), {});
  t.match(report.would.at(-1), { kind: "completes", at: T0 + 15 * MINUTE });
  t.match(report.doubts[0], /^10 % were on the candidate for 5m of half \(50 %\): .* 5\.0 times as many observations, .* sooner/);
  t.ok(report.doubts.some((doubt) => doubt.includes("all (100 %)")));
});

t.test("where nobody was on the candidate the plan waits, and is told apart from a bad gate", async (t) => {
  const record = recordOf(30, (minute) => (minute < 8 ? {} : { step: -1, percentageBp: 0 }));
  const report = await replay(quickPlan(), record, {});
  t.match(report.would.at(-1), { kind: "waits", step: 0 });
  t.match(report.end, /there are no figures/);
  t.match(report.did.at(-1), { kind: "rolls-back", step: -1, percentageBp: 0, at: T0 + 8 * MINUTE });
  t.match(report.doubts, [/^Nobody was on the candidate for 22m of ten \(10 %\)/]);
});

t.test("windows shorter than an entry are widened, and named", async (t) => {
  const quick = { ...ERRORS, name: "quick", window: { kind: "last", ms: 10_000 } as const, forMs: 90_000 };
  const report = await replay(quickPlan({ triggers: [quick] }), recordOf(30), {});
  t.match(report.doubts, [/An entry of the record is 1m long, .* whole entries: quick \(10s\)/]);
  t.match(report.end, /^Completed/, "and they are judged");
});

t.test("approvals and webhooks are taken as said, and that is said", async (t) => {
  const steps = [stepOf("ten", 1_000, { approvals: ["ops", "product"], webhooks: ["lab"] }), stepOf("all", 10_000)].map((step) => ({
    ...step,
    dwellMs: 5 * MINUTE,
  }));
  const plan = quickPlan({ steps });
  const given = await replay(plan, recordOf(30), {});
  t.match(given.end, /^Completed/);
  t.match(given.would[1]?.why, /approved by assumed person 1 \(ops\); approved by assumed person 2 \(product\)/);
  t.match(given.doubts.slice(-2), ["Approvals are taken to be given.", "Webhooks are taken to say pass."]);
  t.match((await replay(plan, recordOf(30), { approvals: "missing" })).end, /waiting at ten \(10 %\): ops has not approved; product/);
  t.match((await replay(plan, recordOf(30), { webhooks: "no-data" })).end, /webhook lab no-data/);
});

t.test("the calendar of the plan is that of the time of the record", async (t) => {
  const calendar = { days: [], hours: { from: 10 * 60 + 25, to: 23 * 60 }, freeze: [] };
  const report = await replay(quickPlan({ calendar }), recordOf(60), {});
  t.match(
    report.would.slice(0, 3),
    [{ kind: "starts" }, { kind: "waits", why: /calendar/ }, { kind: "enters", at: T0 + 25 * MINUTE }],
    "Paris is an hour ahead",
  );
});

t.test("gaps and overlaps of the record are told", async (t) => {
  const whole = recordOf(30);
  const report = await replay(quickPlan(), [...whole.slice(0, 3), ...whole.slice(8), ...whole.slice(10, 12)], {});
  t.match(report.doubts, [
    "2 entries were left out: empty, or of a time that another one tells of.",
    "Nothing was recorded for 5m in 1 gaps: no look was taken there.",
  ]);
});

t.test("a part of the record can be asked for; nothing at all is told as such", async (t) => {
  const part = await replay(quickPlan(), recordOf(30), { from: T0 + 5 * MINUTE, to: T0 + 20 * MINUTE });
  t.match(part, { from: T0 + 5 * MINUTE, to: T0 + 20 * MINUTE, looks: 15 });
  t.match(await replay(quickPlan(), [], {}), { looks: 0, end: "nothing was recorded in this time", would: [], did: [] });
  t.match(await replay(quickPlan({ steps: [] }), recordOf(3), {}), { looks: 0, end: /cannot be started: the plan trial has no steps/ });
});

t.test("sums over users of the steps that were recorded count for the step that is played", async (t) => {
  const gate = checkOf("accurate", {
    metric: "accuracy",
    limit: { kind: "at-least", value: 0.5 },
    window: { kind: "step" },
    minSample: 100,
  });
  const record = recordOf(30, (minute) => ({ step: minute < 10 ? 4 : 5 }));
  const report = await replay(quickPlan({ gates: [gate] }), record, {});
  t.match(report.would.slice(0, 2), [{ kind: "starts" }, { kind: "enters", at: T0 + 10 * MINUTE, why: /accurate: / }]);
});

t.test("a long record is merged behind the windows, and shows what it showed before", async (t) => {
  const plan = quickPlan({ triggers: [{ ...ERRORS, window: { kind: "last", ms: 5 * MINUTE } }] });
  const record = recordOf(400, (minute) => ({ attempts: 100 + minute, errors: minute % 7 }));
  const played = new PlayedRecord(record, plan);
  const plain = createRecordedSources(record);
  const stays: Stay[] = [{ step: 0, from: T0, to: undefined }];
  for (const [place, { to }] of record.entries()) {
    if (place === 119) stays.splice(0, 1, { step: 0, from: T0, to });
    if (place === 150) stays.push({ step: 1, from: to, to: undefined });
    const shown = played.at(place, stays, stays.length - 1);
    await Promise.all([shown.figures, shown.business, plain.figures, plain.business].map((source) => source.refresh(to)));
    const spans = [to - 5 * MINUTE, stays.at(-1)?.from ?? T0, T0].map((from) => [from, to] as const);
    for (const [from, until] of place % 25 === 0 || place === 151 ? [...spans, [T0, T0 + 2 * HOUR] as const] : []) {
      const told = await Promise.all([shown.figures, plain.figures].map((source) => source.between(from, Math.min(until, to))));
      const [one, other] = told.map(({ coveredMs, cells }) => [
        coveredMs,
        cells.map(({ candidate }) => [candidate.attempts, candidate.errors]),
      ]);
      t.strictSame(one, other, `${place} ${(from - T0) / MINUTE}`);
    }
    if (place % 50 === 0)
      t.strictSame(shown.business.between(to - 5 * MINUTE, to).cells, plain.business.between(to - 5 * MINUTE, to).cells);
    if (place % 50 === 0)
      t.strictSame(
        shown.business.steps().map(({ assigned }) => assigned),
        plain.business.steps().map(({ assigned }) => assigned),
      );
  }
});

t.test("the report is told in lines", async (t) => {
  const report = await replay(
    quickPlan({ triggers: [ERRORS] }),
    recordOf(30, (minute) => ({ errors: minute >= 15 ? 60 : 0 })),
    {},
  );
  const lines = renderReplay(report);
  t.match(lines[0], "trial over what was recorded from 2026-11-23T09:00:00.000Z to 2026-11-23T09:30:00.000Z (16 looks)");
  t.ok(lines.some((line) => /09:16:00.000Z {2}rolls-back {2}step 2 +0 % {2}rolled back from half/.test(line)));
  t.ok(lines.some((line) => /trigger {2}errors: 15 pass, 1 fail, 0 inconclusive, 0 no-data; first failed 2026-11-23T09:16/.test(line)));
  t.ok(lines.every((line) => !line.includes("undefined") && !line.includes("NaN")));
  t.same(JSON.parse(JSON.stringify(report)).end, report.end);
});

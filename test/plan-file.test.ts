import { readdirSync } from "node:fs";
import fc from "fast-check";
import t from "tap";
import { stringify } from "yaml";
import { METRICS } from "../src/analysis/check.ts";
import { formatProblems } from "../src/config/problem.ts";
import { loadPlan, parsePlan, type PlanSurroundings } from "../src/controller/plan-file/parse.ts";
import { revivePlan } from "../src/controller/plan-file/revive.ts";
import type { Plan } from "../src/controller/plan.ts";

function planOf(text: string, surroundings: PlanSurroundings = {}): Plan {
  const parsed = parsePlan(text, surroundings);
  if ("problems" in parsed) throw new Error(formatProblems("plan", parsed.problems));
  return parsed.plan;
}

/** `line path: message` of every problem. */
function problemsOf(text: string, surroundings: PlanSurroundings = {}): readonly string[] {
  const parsed = parsePlan(text, surroundings);
  return "problems" in parsed ? parsed.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`) : [];
}

function file(change: Record<string, unknown>): string {
  return stringify({ name: "move", flag: "f", steps: [{ percentage: 10 }], ...change });
}

function checkOf(kind: "gates" | "triggers", check: Record<string, unknown>): Plan["gates"][number] | undefined {
  return planOf(file({ [kind]: [check] }))[kind][0];
}

for (const name of readdirSync("config/plans").filter((entry) => entry.endsWith(".yaml"))) {
  t.test(`config/plans/${name} can be read, and comes back from JSON as it was`, async (t) => {
    const parsed = await loadPlan(`config/plans/${name}`);
    if ("problems" in parsed) return t.fail(formatProblems(name, parsed.problems));
    t.same(revivePlan(JSON.parse(JSON.stringify(parsed.plan))), parsed.plan);
    t.strictSame(
      Object.keys(revivePlan(JSON.parse(JSON.stringify(parsed.plan)))?.triggers[0] ?? {}).sort(),
      Object.keys(parsed.plan.triggers[0] ?? {}).sort(),
    );
  });
}

t.test("the two weeks' plan says what the migration asks for", async (t) => {
  const parsed = await loadPlan("config/plans/supersmartmatch.yaml");
  if ("problems" in parsed) return t.fail(formatProblems("plan", parsed.problems));
  const { plan } = parsed;
  const DAY_MS = 86_400_000;
  let day = 0;
  const entered = plan.steps.map(({ percentageBp, dwellMs }) => {
    const row = [day, percentageBp / 100];
    day += dwellMs / DAY_MS;
    return row;
  });
  t.same(entered, [
    [0, 10],
    [1, 25],
    [3, 50],
    [7, 75],
    [14, 100],
  ]);
  t.same(
    plan.triggers.map(({ metric, of, limit, forMs, each }) => [metric, of, limit.kind, limit.value, forMs, each]),
    [
      ["accuracy", "ratio", "at-least", 0.85, 0, "all"],
      ["satisfaction", "candidate", "at-least", 0.9, 0, "all"],
      ["revenue", "ratio", "at-least", 0.95, 0, "all"],
      ["p95", "candidate", "at-most", 150, 300_000, "all"],
      ["errors", "candidate", "at-most", 0.05, 0, "route"],
      ["errors", "candidate", "at-most", 0.05, 0, "route"],
      ["availability", "candidate", "at-least", 0.99, 120_000, "all"],
      // Beyond what is asked for: it speaks when an open breaker has silenced the others.
      ["fallbacks", "candidate", "at-most", 0.5, 60_000, "all"],
      ["data_integrity", "candidate", "at-least", 0.95, 0, "all"],
      ["sync_lag", "candidate", "at-most", 1, 60_000, "all"],
      ["sessions_lost", "candidate", "at-most", 0, 0, "all"],
      ["security", "candidate", "at-most", 0, 0, "all"],
    ],
  );
  t.same(plan.calendar, { days: [1, 2, 3, 4], hours: { from: 540, to: 1_020 }, freeze: [{ from: "2026-12-24", to: "2027-01-03" }] });
  t.same(plan.segments, [{ name: "enterprise", fromBp: 7_500 }]);
});

t.test("what a check leaves out has a default that fits its metric", async (t) => {
  t.match(checkOf("gates", { metric: "p95", at_most: "100ms" }), {
    name: "p95",
    of: "candidate",
    window: { kind: "step" },
    minSample: 100,
    risk: 0.05,
    each: "all",
    required: true,
  });
  t.match(checkOf("triggers", { metric: "p95", at_most: "150ms", for: "5m" }), {
    window: { kind: "last", ms: 60_000 },
    forMs: 300_000,
    minSample: 50,
    risk: 0.001,
  });
  t.match(checkOf("triggers", { metric: "errors", at_most: "5%", for: "20s" }), { window: { kind: "last", ms: 20_000 } });
  t.match(checkOf("triggers", { metric: "accuracy", of: "ratio", at_least: "85%" }), {
    name: "accuracy-ratio",
    window: { kind: "step" },
    limit: { value: 0.85 },
  });
  t.match(checkOf("triggers", { metric: "security", at_most: "0" }), { required: false, window: { kind: "last", ms: 86_400_000 } });
  t.match(problemsOf(file({ triggers: [{ metric: "security", at_most: "0", for: "5m" }] })), [/for: says nothing of security/]);
  t.match(checkOf("triggers", { metric: "sync_lag", at_most: "400ms" }), { required: true, limit: { value: 0.4 } });
});

t.test("limits are read in the form of their metric", async (t) => {
  const limit = (check: Record<string, unknown>): number | undefined => checkOf("gates", check)?.limit.value;
  t.equal(limit({ metric: "errors", at_most: "0.5%" }), 0.005);
  t.equal(limit({ metric: "errors", of: "difference", at_most: "-0.5%" }), -0.005);
  t.equal(limit({ metric: "p95", of: "difference", at_most: "-5ms" }), -5);
  t.equal(limit({ metric: "p95", of: "ratio", at_most: "105%" }), 1.05);
  t.equal(limit({ metric: "revenue", at_least: 2.5 }), 2.5);
  t.equal(limit({ metric: "requests", at_least: 1000 }), 1_000);
  for (const [metric, wrong] of [
    ["errors", "0.01"],
    ["errors", "101%"],
    ["p95", "100"],
    ["p95", "0"],
    ["requests", "1.5"],
    ["revenue", "-1"],
    ["sync_lag", "1"],
  ] as const) {
    const problems = problemsOf(file({ gates: [{ metric, at_most: wrong }] }));
    t.equal(problems.length, 1, `${metric} ${wrong}`);
    t.match(problems[0], /gates\[0\]\.at_most: /);
  }
});

t.test("every mistake is told at once, with its line and what would be right", async (t) => {
  const problems = problemsOf(`
name: move
flag: v2_migration
timezone: Europe/Pariss
withn: 14d
steps:
  - { percentage: 110, dwell: 1 }
  - { percentage: 25, approvals: [ops, ops], gates: [{ metric: errors, at_most: 1%, for: 5m }] }
  - { percentage: 25 }
gates:
  - { metric: acuracy, at_least: 110% }
  - { metric: errors, at_most: 1%, at_least: 2% }
  - { metric: requests, of: ratio, at_least: 1000 }
  - { metric: accuracy, at_least: 80%, each: route, window: 10s }
triggers:
  - { metric: accuracy, of: ratio, at_least: 85%, for: 5m }
  - { name: a, metric: p95, at_most: 1s }
  - { name: a, metric: p99, at_most: 1s }
calendar: { hours: 17:00-09:00, freeze: [2026-02-30] }
rollback: { stable_capacity: 120 }
`);
  const expected = [
    /^4 timezone: "Europe\/Pariss" is not a known time zone/,
    /^5 withn: is not a known key; did you mean within\?/,
    /^7 steps\[0\]\.percentage: 110 is out of range/,
    /^7 steps\[0\]\.dwell: 1 has no unit/,
    /^8 steps\[1\]\.approvals\[1\]: "ops" is in the list twice/,
    /^8 steps\[1\]\.gates\[0\]: "errors" is already the name of another gate/,
    /^8 steps\[1\]\.gates\[0\]\.for: belongs to triggers/,
    /^9 steps\[2\]: "at-25" is already the name of steps\[1\]/,
    /^11 gates\[0\]\.metric: metric "acuracy" is not known; did you mean "accuracy"\?/,
    /^12 gates\[1\]: has both at_most and at_least/,
    /^13 gates\[2\]\.of: requests is never compared/,
    /^14 gates\[3\]\.each: accuracy is of users/,
    /^14 gates\[3\]\.window: accuracy is counted by the minute/,
    /^16 triggers\[0\]\.for: needs a window that slides/,
    /^18 triggers\[2\]: "a" is already the name of another trigger/,
    /^19 calendar\.hours: .* ends before it begins/,
    /^19 calendar\.freeze\[0\]: /,
    /^20 rollback\.stable_capacity: 120 is not a rate/,
  ];
  t.equal(problems.length, expected.length, problems.join("\n"));
  for (const [index, pattern] of expected.entries()) t.match(problems[index], pattern);
});

t.test("names are held against what is known of the place", async (t) => {
  const surroundings = { flags: [{ name: "v2_migration", segments: ["enterprise"], routes: ["match"] }], hooks: ["notify"] };
  const text = stringify({
    name: "move",
    flag: "v2_migration",
    steps: [{ percentage: 10, webhooks: ["notifi"] }],
    segments: { enterprize: { from: 75 } },
    gates: [{ metric: "errors", at_most: "1%", route: "mach" }],
    rollback: { hooks: ["restore"] },
  });
  t.same(
    problemsOf(text, surroundings).map((problem) => problem.replace(/^\d+ /, "")),
    [
      'steps[0].webhooks[0]: hook "notifi" is not known; did you mean "notify"?',
      'segments.enterprize: segment "enterprize" is not known; did you mean "enterprise"?',
      'gates[0].route: route "mach" is not known; did you mean "match"?',
      'rollback.hooks[0]: hook "restore" is not known; known: notify',
    ],
  );
  t.same(problemsOf(text), [], "where nothing is known nothing is said");
  t.match(problemsOf(file({ flag: "v2" }), surroundings)[0], /flag "v2" is not known/);
});

t.test("a plan from elsewhere reads none of our variables", async (t) => {
  process.env["PLAN_TEST_SECRET"] = "secret";
  t.teardown(() => delete process.env["PLAN_TEST_SECRET"]);
  t.match(problemsOf(file({ description: "${PLAN_TEST_SECRET}" })).join(), /PLAN_TEST_SECRET is not set/);
});

t.test("nothing that is given makes it throw", async () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom(...METRICS, "1%", "5m", "110%", "step"),
  );
  const key = fc.constantFrom(
    "metric",
    "of",
    "at_most",
    "at_least",
    "window",
    "for",
    "percentage",
    "name",
    "gates",
    "x",
    "hours",
    "freeze",
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, leaf, fc.array(tie("value"), { maxLength: 3 }), fc.dictionary(key, tie("value"), { maxKeys: 4 })),
  }));
  const top = fc.constantFrom("name", "flag", "steps", "gates", "triggers", "segments", "calendar", "rollback", "expects", "experiment");
  fc.assert(
    fc.property(
      fc.dictionary(top, value),
      (data) => void parsePlan(stringify({ name: "a", flag: "f", steps: [{ percentage: 10 }], ...data })),
    ),
    { numRuns: 300 },
  );
  fc.assert(fc.property(fc.string(), (text) => "problems" in parsePlan(text)));
  fc.assert(fc.property(fc.jsonValue(), (json) => revivePlan(json) === undefined));
});

t.test("a document that is not quite a plan is none", async (t) => {
  const plan = planOf(file({ triggers: [{ metric: "errors", at_most: "5%" }] }));
  const json = (): Record<string, unknown> => JSON.parse(JSON.stringify(plan));
  t.ok(revivePlan(json()));
  const changes: readonly ((plan: Record<string, unknown>) => void)[] = [
    (plan) => delete plan["steps"],
    (plan) => (plan["steps"] = []),
    (plan) => (plan["withinMs"] = "14d"),
    (plan) => (plan["timezone"] = "Nowhere/At_All"),
    (plan) => (plan["later"] = 1),
    (plan) => (plan["triggers"] = [{ ...checkOf("triggers", { metric: "errors", at_most: "5%" }), metric: "happiness" }]),
    (plan) => (plan["calendar"] = { days: [8], freeze: [] }),
  ];
  for (const change of changes) {
    const changed = json();
    change(changed);
    t.equal(revivePlan(changed), undefined, change.toString());
  }
});

t.test("of many problems the first are told, and how many more there are", async (t) => {
  const unknown = (count: number): string => `${file({})}${Array.from({ length: count }, (_, i) => `k${i}: ${i}`).join("\n")}\n`;
  t.equal(problemsOf(unknown(50)).length, 50);
  const many = problemsOf(unknown(2_000));
  t.equal(many.length, 51);
  t.match(many[0], /^5 k0: is not a known key/);
  t.match(many[49], /^54 k49: is not a known key/);
  t.match(many[50], /^0 : has 1950 more problems/);
  t.match(problemsOf(unknown(51))[50], /has 1 more problem,/);
  const spread = file({
    gates: Array.from({ length: 30 }, (_, i) => ({ metric: "errors", at_most: "1%", name: `n${i}`, odd: 1, other: 2 })),
  });
  t.match(problemsOf(spread)[50], /has 10 more problems/);
});

t.test("a plan has at most two hundred checks, and a size to match", async (t) => {
  const gates = (count: number, prefix: string) =>
    Array.from({ length: count }, (_, i) => ({ metric: "errors", at_most: "1%", window: "step", min_sample: 100, name: `${prefix}${i}` }));
  const steps = (last: number) => [20, 40, 60].map((percentage, i) => ({ percentage, gates: gates(i === 2 ? last : 50, `s${i}-`) }));
  t.same(problemsOf(file({ gates: gates(50, "g"), steps: steps(50) })), []);
  t.match(problemsOf(file({ gates: gates(50, "g"), triggers: gates(1, "t"), steps: steps(50) })), [/has 201 gates and triggers/]);
  for (const text of [`# ${"x".repeat(70_000)}\n${file({})}`, `{${"a,".repeat(6_000)}}`, "? a\n".repeat(6_000)])
    t.match(problemsOf(text), [/^0 : is larger than any plan need be/]);
});

import { readFileSync } from "node:fs";
import { Command } from "commander";
import t from "tap";
import { addRolloutCheck } from "../src/cli/rollout-check.ts";
import { FailedAsPrinted } from "../src/cli/failed.ts";
import type { Config, Hook } from "../src/config/config.ts";
import { formatProblems, parseConfig } from "../src/config/parse.ts";
import { examine, lint, type LintFinding } from "../src/controller/lint/lint.ts";
import { outlineOf } from "../src/controller/lint/report.ts";
import { parsePlan } from "../src/controller/plan-file/parse.ts";
import { planReferenceText } from "../src/controller/plan-file/reference.ts";

/** A Monday morning in Paris. */
const NOW = Date.parse("2026-11-23T08:00:00Z");

function configOf(text = readFileSync("config/supersmartmatch.yaml", "utf8")): Config {
  const parsed = parseConfig(text, { HOME: "/home/ada" });
  if ("problems" in parsed) throw new Error(formatProblems("config", parsed.problems));
  return parsed.config;
}

const CONFIG = configOf();

/** `undefined` would mean the default, so nothing known is `null`. */
function findingsOf(text: string, config: Config | null = CONFIG): readonly LintFinding[] {
  const parsed = parsePlan(text);
  if ("problems" in parsed) throw new Error(formatProblems("plan", parsed.problems));
  return lint(parsed.plan, config ?? undefined, { now: NOW, locate: parsed.locate });
}

function rulesOf(findings: readonly LintFinding[], severity?: LintFinding["severity"]): readonly string[] {
  return [...new Set(findings.filter((finding) => severity === undefined || finding.severity === severity).map(({ rule }) => rule))];
}

const plan = (name: string): string => readFileSync(`config/plans/${name}.yaml`, "utf8");

/** A plan against which nothing is said, with some lines in place of its own. */
function small(change: Record<string, string> = {}): string {
  const parts: Record<string, string> = {
    steps: "[{ name: a, percentage: 10, dwell: 1d }, { name: b, percentage: 100, dwell: 1d }]",
    segments: "{ beta_users: { from: 10 }, enterprise: { from: 75 }, api_partners: { from: 10 } }",
    gates: "[{ metric: p95, at_most: 100ms }, { metric: fallbacks, at_most: 5% }]",
    triggers:
      "[{ metric: p95, of: ratio, at_most: 200%, window: start }, { metric: fallbacks, at_most: 50%, window: 10s, for: 1m, min_sample: 30 }]",
    rollback: "{ hooks: [notify] }",
    expects: "{ requests: 20/s, p95: 80ms, fallbacks: 3%, stable: { p95: 80ms } }",
    ...change,
  };
  return `name: small\nflag: v2_migration\n${Object.entries(parts)
    .map(([key, value]) => `${key}: ${value}`)
    .join("\n")}\n`;
}

t.test("a plan in which nothing speaks once the breaker is open is warned of", async (t) => {
  const without = small({ triggers: "[{ metric: p95, of: ratio, at_most: 200%, window: start }]" });
  t.same(rulesOf(findingsOf(without)), ["silent-breaker"]);
});

function find(findings: readonly LintFinding[], rule: string): LintFinding {
  const finding = findings.find((found) => found.rule === rule);
  if (finding === undefined) throw new Error(`no ${rule} among ${rulesOf(findings).join(", ")}`);
  return finding;
}

for (const name of ["supersmartmatch", "supersmartmatch-fast", "seconds"]) {
  t.test(`${name} has no errors, with and without its configuration`, async (t) => {
    t.same(rulesOf(findingsOf(plan(name)), "error"), []);
    t.same(rulesOf(findingsOf(plan(name), null), "error"), []);
  });
}

t.test("nothing is said against a plan that is in order", async (t) => {
  t.same(findingsOf(small()), []);
});

t.test("the plan as it was written: a finding for every contradiction that a plan can hold", async (t) => {
  const hook = (name: string, timeoutMs: number): Hook => ({
    kind: "command",
    name,
    timeoutMs,
    drill: false,
    command: ["true"],
    folder: "/",
  });
  const hooks = [hook("restore-data", 90_000), hook("restart-v1", 30_000), hook("verify", 15_000), hook("notify", 15_000)];
  const findings = findingsOf(plan("as-written"), { ...CONFIG, hooks });
  const rows: readonly (readonly [decision: string, rule: string, severity: LintFinding["severity"], message: RegExp])[] = [
    [
      "1 three controls",
      "three-controls",
      "warning",
      /breaker stops sending .* above 1%.*gate errors \(at most 1%\), trigger errors \(at most 5%\)/,
    ],
    [
      "2 falling back must not blind us",
      "observed-latency",
      "warning",
      /trigger p95 stands at 150ms, but the flag falls back after 100ms.*true duration/,
    ],
    [
      "3 falling back costs",
      "fallback-cost",
      "warning",
      /19% .* each waits for the fallback's deadline and then for the stable arm, which still answers 3.17\/s/,
    ],
    ["3 budget", "budget", "warning", /19% .* close to the budget of 20%/],
    ["5 segments: enterprise never moves", "segment-stays", "warning", /enterprise has 0%/],
    ["5 segments: beta users are always there", "segment-ahead", "warning", /beta_users has 100%/],
    ["7 J+14 is the end and the last step", "within", "error", /complete \(100%\) is entered after 14d/],
    ["7 days of A/B a phase", "phase", "error", /7d for each of 4 steps .* are 28d, and within: allows 14d/],
    ["8 V1 is never restarted", "restart", "warning", /restart-v1/],
    [
      "8 the parts of the rollback",
      "hooks-limit",
      "error",
      /traffic may take 30s and the hooks 150s .* together 3m, and the whole rollback may take only 2m/,
    ],
    ["10 accuracy has two names", "two-accuracies", "warning", /condition accuracy: 85% is about what each answer says of itself/],
    [
      "11 samples: gates",
      "gate-slow",
      "warning",
      /accuracy-ratio cannot be decided within the dwell.*sanity 2\dd for 4,\d+ \(dwell 1d, share 10%\)/,
    ],
    [
      "11 samples: 20 requests a window",
      "trigger-unsure",
      "error",
      /trigger errors cannot tell within 10s.*sanity \(16.67 come, 176 needed\)/,
    ],
    ["goal +13 % and gate +10 %", "several-limits", "warning", /accuracy has two limits: at least 110% .*, at least 113%/],
    ["goal 50 ms and gate 100 ms", "several-limits", "warning", /p95 has two limits: at most 100ms .*, at most 50ms/],
    ["goal 0.5 % and gate 1 %", "several-limits", "warning", /errors has two limits: at most 1% .*, at most 0.5%/],
    ["V2's true P95 and the gate", "expected-fails", "error", /gate p95 wants at most 100ms, and expects: says 148ms: it can never pass/],
    ["nobody is on V1 at 100 %", "no-stable-arm", "warning", /gate accuracy-ratio compares with the stable arm/],
  ];
  for (const [decision, rule, severity, message] of rows) {
    t.ok(
      findings.some(
        (finding) =>
          finding.rule === rule &&
          finding.severity === severity &&
          message.test(finding.message) &&
          finding.advice !== "" &&
          finding.line > 0,
      ),
      `${decision}: ${rule} among\n${findings.map((finding) => `${finding.severity} ${finding.rule}: ${finding.message}`).join("\n")}`,
    );
  }
});

const SMALL_CHANGES: readonly (readonly [
  what: string,
  change: Record<string, string>,
  rule: string,
  severity: LintFinding["severity"],
  path: string,
  message: RegExp,
])[] = [
  [
    "shares that fall",
    { steps: "[{ percentage: 25, dwell: 1d }, { percentage: 10, dwell: 1d }, { percentage: 100, dwell: 1d }]" },
    "steps-rise",
    "error",
    "steps.1.percentage",
    /at-10 \(10%\) is not above at-25/,
  ],
  [
    "a step of nobody",
    { steps: "[{ percentage: 0, dwell: 1d }, { percentage: 100, dwell: 1d }]" },
    "step-zero",
    "error",
    "steps.0.percentage",
    /nobody/,
  ],
  [
    "an end below 100 %",
    { steps: "[{ percentage: 50, dwell: 1d }]" },
    "last-below-100",
    "warning",
    "steps.0.percentage",
    /never be stopped/,
  ],
  [
    "no dwell",
    { steps: "[{ percentage: 10 }, { percentage: 100, dwell: 1d }]" },
    "dwell-missing",
    "warning",
    "steps.0.dwell",
    /as soon as its gates pass/,
  ],
  ["too little time", { within: "1d" }, "within", "error", "within", /last 2d together/],
  [
    "calendar pauses",
    { within: "3d", calendar: "{ days: [mon] }" },
    "within-calendar",
    "error",
    "within",
    /from 7d when begun on Monday 23:00 to 8d when begun on Monday 00:00/,
  ],
  [
    "a calendar that never opens",
    { calendar: "{ freeze: [2020-01-01..2090-01-01] }" },
    "calendar-never",
    "error",
    "calendar",
    /no step can ever be entered/,
  ],
  ["a freeze of last year", { calendar: "{ freeze: [2025-12-24..2026-01-03] }" }, "freeze-past", "warning", "calendar.freeze.0", /is over/],
  ["no triggers", { triggers: "[]" }, "no-triggers", "warning", "", /nothing rolls back/],
  ["no gates", { gates: "[]" }, "no-gates", "warning", "", /time alone/],
  [
    "a trigger within a gate",
    { triggers: "[{ metric: p95, at_most: 90ms }]" },
    "trigger-inside-gate",
    "error",
    "triggers.0",
    /is rolled back/,
  ],
  ["a trigger at a gate", { triggers: "[{ metric: p95, at_most: 100ms }]" }, "trigger-inside-gate", "warning", "triggers.0", /one limit/],
  ["the wrong direction", { gates: "[{ metric: errors, at_least: 1% }]" }, "direction", "warning", "gates.0", /less is better/],
  [
    "a deadline beyond the trigger",
    { triggers: "[{ metric: p95, at_most: 99ms }]", gates: "[{ metric: fallbacks, at_most: 5% }]" },
    "deadline-over-trigger",
    "warning",
    "triggers.0",
    /before any slow answer/,
  ],
  [
    "a gate beyond the deadline",
    { gates: "[{ metric: p95, at_most: 125ms }]" },
    "gate-over-deadline",
    "warning",
    "gates.0",
    /falls back after 100ms/,
  ],
  [
    "no edge of a histogram",
    { gates: "[{ metric: p95, at_most: 88ms }]" },
    "histogram-edge",
    "warning",
    "gates.0.at_most",
    /no edge .* stands on 88ms/,
  ],
  [
    "finer than what is counted",
    { gates: "[{ metric: p95, at_most: 88.25ms }]" },
    "histogram-edge",
    "warning",
    "gates.0.at_most",
    /finer than 0.1ms/,
  ],
  [
    "a comparison at 100 % without a V1",
    { gates: "[{ metric: p95, of: ratio, at_most: 200% }]" },
    "no-stable-arm",
    "error",
    "gates.0",
    /never completed/,
  ],
  [
    "an expectation that fires a trigger",
    { triggers: "[{ metric: p95, at_most: 75ms }]", gates: "[]" },
    "expected-fails",
    "error",
    "triggers.0",
    /rolled back when all is as expected/,
  ],
  [
    "fallbacks that the P95 belies",
    { expects: "{ requests: 20/s, p95: 148ms, fallbacks: 1% }", gates: "[]" },
    "fallbacks-too-few",
    "warning",
    "expects.fallbacks",
    /more than 5%/,
  ],
  [
    "fallbacks over the budget",
    { expects: "{ requests: 20/s, fallbacks: 25% }", gates: "[]" },
    "budget",
    "error",
    "expects.fallbacks",
    /the breaker opens/,
  ],
  [
    "a sample that does not come",
    { triggers: "[{ metric: p95, at_most: 150ms, window: 1m, min_sample: 200 }]" },
    "min-sample",
    "error",
    "triggers.0",
    /fewer come: a \(120\); .* holds the rollout/,
  ],
  [
    "a gate of few users",
    { gates: "[{ metric: accuracy, at_least: 70%, min_sample: 400 }]", expects: "{ feedback: 2000/d }" },
    "min-sample",
    "warning",
    "gates.0.min_sample",
    /takes longer than the dwell: a 2d/,
  ],
  [
    "a gate in a narrow window",
    { gates: "[{ metric: p95, at_most: 100ms, window: 10s }]" },
    "gate-never",
    "error",
    "gates.0",
    /can never pass within its window of 10s .* a \(\d+ needed, 20 come\)/,
  ],
  [
    "gates that break the limit",
    {
      within: "2d",
      calendar: "{}",
      gates: "[{ metric: satisfaction, at_least: 95% }]",
      expects: "{ feedback: 2000/d, satisfaction: 97% }",
    },
    "within-gates",
    "error",
    "within",
    /with the time that gates take/,
  ],
  ["too few users", { expects: "{ users: 9999 }" }, "experiment-users", "error", "experiment.min_users", /9,999 are expected/],
  ["phases without a limit", { experiment: "{ phase: 7d }" }, "phase", "warning", "experiment.phase", /a \(10%\) may be left before 7d/],
  [
    "a stable arm that is too small for a step",
    { rollback: "{ stable_capacity: 10/s }" },
    "capacity",
    "error",
    "rollback.stable_capacity",
    /gets more at a \(10%\)/,
  ],
  [
    "a stable arm that is too small for all",
    { rollback: "{ stable_capacity: 19/s }" },
    "capacity-rollback",
    "warning",
    "rollback.stable_capacity",
    /in stages over 30s/,
  ],
  ["hooks that take too long", { rollback: "{ hooks: [restore-data], limit: 1m }" }, "hooks-limit", "error", "rollback.limit", /hooks 90s/],
  [
    "traffic that takes longer than all",
    { rollback: "{ limit: 1s, traffic_limit: 2s }" },
    "rollback-limits",
    "error",
    "rollback.traffic_limit",
    /may take 2s/,
  ],
  ["an unknown hook", { rollback: "{ hooks: [notifi] }" }, "unknown-name", "error", "rollback.hooks.0", /did you mean "notify"/],
  [
    "an unknown segment",
    { segments: "{ enterprize: { from: 75 } }" },
    "unknown-name",
    "error",
    "segments.enterprize",
    /did you mean "enterprise"/,
  ],
  [
    "a command that cannot be asked",
    { steps: "[{ percentage: 10, dwell: 1d, webhooks: [verify] }, { percentage: 100, dwell: 1d }]" },
    "hook-kind",
    "error",
    "steps.0.webhooks.0",
    /only a webhook/,
  ],
  [
    "approvals of anybody",
    { steps: "[{ percentage: 10, dwell: 1d, approvals: [ops] }, { percentage: 100, dwell: 1d }]" },
    "approvals-unproved",
    "warning",
    "steps.0.approvals",
    /under any name/,
  ],
  [
    "silence that nobody breaks",
    { triggers: "[{ metric: quality, at_least: 50%, required: false }]" },
    "silence",
    "warning",
    "triggers.0.required",
    /would count as healthy/,
  ],
  [
    "silence that is asked for",
    { triggers: "[{ metric: security, at_most: 0, required: true }]" },
    "silence",
    "warning",
    "triggers.0.required",
    /as long as nobody reports/,
  ],
  [
    "a trigger longer than its step",
    { triggers: "[{ metric: p99, at_most: 500ms, for: 5m }]", steps: "[{ percentage: 10, dwell: 1m }, { percentage: 100, dwell: 1d }]" },
    "for-over-dwell",
    "warning",
    "triggers.0.for",
    /longer than at-10/,
  ],
];

t.test("each slip is named, with its place", async (t) => {
  for (const [what, change, rule, severity, path, message] of SMALL_CHANGES) {
    const finding = find(findingsOf(small(change)), rule);
    t.match(finding.message, message, what);
    t.same([finding.severity, finding.path.join(".")], [severity, path], what);
    t.ok(finding.line > 0, what);
  }
});

t.test("what the configuration says changes what is said of the plan", async (t) => {
  const p95 = small({ triggers: "[{ metric: p95, at_most: 150ms, for: 5m }]" });
  t.ok(rulesOf(findingsOf(p95)).includes("observed-latency"));
  const blind = { ...CONFIG, limits: { ...CONFIG.limits, observedAttempts: 0 } };
  t.match(find(findingsOf(p95, blind), "blind-trigger"), { severity: "error", message: /observed_attempts is 0/ });
  const short = { ...CONFIG, limits: { ...CONFIG.limits, observedForMs: 150 } };
  t.match(find(findingsOf(p95, short), "blind-trigger").message, /can never fire/);
  t.notOk(rulesOf(findingsOf(p95, null)).includes("observed-latency"));
});

t.test("approvals need people enough, each in one role", async (t) => {
  const asking = small({ steps: "[{ percentage: 10, dwell: 1d, approvals: [ops, product] }, { percentage: 100, dwell: 1d }]" });
  const withPeople = (people: Readonly<Record<string, readonly string[]>>): readonly string[] =>
    rulesOf(
      findingsOf(asking, {
        ...CONFIG,
        admin: { ...CONFIG.admin, people: Object.entries(people).map(([name, roles]) => ({ name, token: `token-of-${name}`, roles })) },
      }),
    );
  t.same(withPeople({ alice: ["ops", "product"], bruno: ["ops"] }), []);
  t.same(withPeople({ alice: ["ops", "product"] }), ["approvals-nobody"], "one person cannot be two");
  t.same(withPeople({ alice: ["ops"], bruno: ["ops"] }), ["approvals-nobody"]);
});

t.test("the table has the load of the stable arm: those who stay, and those who fall back", async (t) => {
  const parsed = parsePlan(plan("as-written"));
  if ("problems" in parsed) return t.fail();
  const { steps, rollback } = outlineOf(examine(parsed.plan, CONFIG, { now: NOW }));
  const loads = steps.map(({ stable }) => Number(stable?.withFallbacks?.toFixed(2)));
  t.same(
    loads,
    [0.1, 0.25, 0.5, 0.75, 1].map((share) => Number((16.67 * (1 - share + 0.19 * share)).toFixed(2))),
  );
  t.equal(rollback?.toFixed(2), "16.67");
  t.equal(steps[0]?.gates["p95"], null, "never");
  t.ok((steps[0]?.gates["accuracy-ratio"] ?? 0) > 10 * 86_400_000);
});

t.test("steps are entered when the calendar opens", async (t) => {
  const parsed = parsePlan(plan("supersmartmatch"));
  if ("problems" in parsed) return t.fail();
  const entered = (now: string): readonly (string | undefined)[] =>
    outlineOf(examine(parsed.plan, CONFIG, { now: Date.parse(now) })).steps.map(({ entered }) =>
      entered === undefined ? undefined : new Date(entered).toISOString().slice(0, 16),
    );
  t.same(entered("2026-11-23T08:00:00Z"), [
    "2026-11-23T08:00",
    "2026-11-24T08:00",
    "2026-11-26T08:00",
    "2026-11-30T08:00",
    "2026-12-07T08:00",
  ]);
  t.same(entered("2026-11-26T15:00:00Z").slice(0, 2), ["2026-11-26T15:00", "2026-11-30T08:00"], "Friday is not open");
});

async function run(...words: readonly string[]): Promise<{ readonly out: string; readonly failed: unknown }> {
  let out = "";
  const write = process.stdout.write;
  const program = new Command().exitOverride();
  addRolloutCheck(program);
  process.stdout.write = (text: unknown) => ((out += String(text)), true);
  try {
    await program.parseAsync(["check", ...words], { from: "user" });
    return { out, failed: undefined };
  } catch (error) {
    return { out, failed: error };
  } finally {
    process.stdout.write = write;
  }
}

t.test("the command fails on errors alone, and prints JSON where it is asked to", async (t) => {
  const config = ["--config", "config/supersmartmatch.yaml"];
  const fine = await run("config/plans/supersmartmatch.yaml", ...config);
  t.equal(fine.failed, undefined);
  t.match(fine.out, /is fine, with \d+ warnings[\s\S]*sanity +10 %/);
  const wrong = await run("config/plans/as-written.yaml", ...config);
  t.ok(wrong.failed instanceof FailedAsPrinted);
  t.match(wrong.out, /cannot work as it is: \d+ errors, \d+ warnings/);
  const json = await run("config/plans/as-written.yaml", "--json", ...config);
  const answer = JSON.parse(json.out);
  t.match(answer, { valid: false, problems: [], steps: [{ name: "sanity" }] });
  t.ok(answer.findings.every(({ line }: LintFinding) => line > 0));
  const dir = t.testdir({ "plan.yaml": "name: x\nflag: f\nsteps: [{ percentag: 10 }]\n" });
  const broken = await run(`${dir}/plan.yaml`);
  t.match(broken.out, /plan\.yaml:3:11 steps\[0\]\.percentag: is not a known key; did you mean percentage\?/);
  t.match(String(broken.failed), /cannot be used/);
});

t.test("docs/plans.md is current, and names every rule", async (t) => {
  const text = readFileSync("docs/plans.md", "utf8");
  t.equal(text, planReferenceText(), "run: node src/controller/plan-file/generate.ts");
  const rules = [...SMALL_CHANGES.map(([, , rule]) => rule), ...rulesOf(findingsOf(plan("as-written")))];
  for (const rule of new Set(rules)) t.ok(text.includes(`\`${rule}\``), rule);
});

t.test("a plan of many comparisons is reckoned in part, and the rest is named, not passed over", async (t) => {
  const comparing = (count: number, limit: (i: number) => number): string =>
    `[${Array.from({ length: count }, (_, i) => `{ metric: p95, of: ratio, at_most: ${limit(i)}%, name: g${i} }`).join(", ")}]`;
  const steps = `[${[10, 20, 30, 40].map((percentage) => `{ percentage: ${percentage}, dwell: 1d }`).join(", ")}]`;
  const few = findingsOf(small({ steps, gates: comparing(14, (i) => 110 + i) }));
  t.notOk(rulesOf(few).includes("not-reckoned"), "sixty with the trigger");
  const many = find(findingsOf(small({ steps, gates: comparing(30, (i) => 110 + i) })), "not-reckoned");
  t.equal(many.severity, "warning");
  t.match(many.message, "reckoned for 60 of them, each at each step; 64 more were left out");
  const equal = findingsOf(small({ steps, gates: comparing(30, () => 110) }));
  t.notOk(rulesOf(equal).includes("not-reckoned"), "equal ones are reckoned once");
});

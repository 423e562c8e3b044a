import t from "tap";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { compatibleMetrics, METRICS } from "../src/telemetry/names.ts";
import { promtool, WITHOUT_PROMTOOL } from "./support/promtool.ts";
import { filesIn, PROMETHEUS, readRules } from "./support/rules.ts";

// Days are computed here; a machine that does other things besides takes its time.
t.setTimeout(600_000);

const HEALTHY = "healthy-day.yml";
const rules = readRules();
const alerts = rules.filter(({ alert }) => alert !== undefined);
const names = [...new Set(alerts.map(({ alert }) => alert ?? ""))].toSorted();

interface TestFile {
  readonly tests: readonly {
    readonly name: string;
    readonly input_series: readonly { readonly series: string; readonly values: string }[];
    readonly promql_expr_test: readonly {
      readonly expr: string;
      readonly eval_time: string;
      readonly exp_samples: readonly { readonly labels: string }[];
    }[];
  }[];
}

function readTests(file: string): TestFile {
  return parse(readFileSync(join(PROMETHEUS, "tests", file), "utf8")) as TestFile; // promtool checks what it is.
}

t.test("every alert that was asked for is there", async (t) => {
  const wanted = [
    "ServiceDown ResponseTimeHigh AccuracyDegraded MigrationStalled V2ErrorSpike CacheHitRateLow SyncLagHigh DataInconsistency SessionLoss",
    "AuthenticationFailures SuspiciousPayload PrivilegeEscalation BreakerOpen FallbackBudgetSpent RolloutHeld RolledBack StoreDown",
    "InstanceMissingRevision SettingRefused WorkerRestarts EventLoopLag SlaWarning SlaBreached NoTraffic CandidateSilent KillSwitchSet",
  ].flatMap((line) => line.split(" "));
  t.same(
    wanted.filter((name) => !names.includes(name)),
    [],
  );
  const recorded = new Set(rules.map(({ record }) => record));
  const records = [
    "supersmartmatch:accuracy_rate",
    "supersmartmatch:response_time_p95",
    "supersmartmatch:error_rate",
    "supersmartmatch:accuracy_improvement",
    "supersmartmatch:performance_ratio",
    "migration:traffic_split_v2",
    "migration:error_rate_comparison",
    "redis:hit_ratio",
  ];
  t.same(
    records.filter((name) => !recorded.has(name)),
    [],
  );
});

t.test("an alert says how grave it is, with which figure, and leads to a runbook that is there", async (t) => {
  for (const { alert = "", labels, annotations } of alerts) {
    const { summary = "", description = "", runbook_url: runbook = "" } = annotations;
    t.ok(["critical", "warning", "info"].includes(labels["severity"] ?? ""), `${alert}: severity`);
    t.ok(summary.length > 0 && summary.length <= 150, `${alert}: summary`);
    t.match(summary + description, /\$value/, `${alert}: a figure`);
    const [file = "", anchor = ""] = runbook.split("#");
    const path = join(PROMETHEUS, "../..", file);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
    t.ok(headings.includes(anchor), `${alert}: ${runbook} is a heading`);
    const section = text.split(/^(?=## )/m).find((part) => anchorOf(part.split("\n", 1)[0]?.replace(/^#+ /, "") ?? "") === anchor) ?? "";
    for (const word of ["Means", "Look", "Do"]) t.match(section, new RegExp(`\\*\\*${word}\\*\\*`), `${alert}: ${word}`);
  }
});

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

/** What no part of this program exports: Prometheus itself, and Redis's own exporter. */
const FOREIGN: ReadonlySet<string> = new Set(["up", "redis_keyspace_hits_total", "redis_keyspace_misses_total"]);

t.test("rules go by metrics that are exported, or by those of docs/monitoring.md that are not yet", async (t) => {
  const own = [...Object.values(METRICS), ...Object.values(compatibleMetrics("supersmartmatch"))];
  const exported = new Set(
    own.flatMap(({ name, type }) => (type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])),
  );
  const documentation = readFileSync(join(PROMETHEUS, "../../docs/monitoring.md"), "utf8");
  for (const { alert, record, expr } of rules) {
    const metrics = expr
      .replaceAll(/"[^"]*"/g, "")
      .matchAll(/\b(?:crossfade|supersmartmatch|http|auth|malformed|unauthorized|redis)_\w+|\bup\b/g);
    for (const [metric] of metrics) {
      const known = exported.has(metric) || FOREIGN.has(metric) || documentation.includes(`\`${metric}\``);
      t.ok(known, `${alert ?? record}: ${metric}`);
    }
  }
});

t.test("each alert is shown firing and, in the same test, silent", async (t) => {
  const shown = new Map<string, { fires: boolean; silent: boolean }>();
  for (const { tests } of filesIn("tests").map(readTests)) {
    for (const { promql_expr_test: checks } of tests) {
      const seen = checks.map(({ exp_samples: samples }) => samples.map(({ labels }) => /alertname="(\w+)"/.exec(labels)?.[1] ?? ""));
      for (const name of seen.flat().filter((alert) => alert !== "")) {
        const before = shown.get(name);
        shown.set(name, { fires: true, silent: before?.silent === true || seen.some((firing) => !firing.includes(name)) });
      }
    }
  }
  for (const name of names) t.same(shown.get(name), { fires: true, silent: true }, name);
});

t.test("promtool finds nothing wrong with rules and scrape configuration", { skip: WITHOUT_PROMTOOL }, async (t) => {
  const checked = await promtool([
    "check",
    "rules",
    "--lint-fatal",
    "--lint=none",
    ...filesIn("rules").map((file) => join(PROMETHEUS, "rules", file)),
  ]);
  t.equal(checked.code, 0, checked.text);
  const config = await promtool(["check", "config", join(PROMETHEUS, "prometheus.yml")]);
  t.equal(config.code, 0, config.text);
});

t.test("a healthy day makes no alert", { skip: WITHOUT_PROMTOOL }, async (t) => {
  const result = await promtool(["test", "rules", join(PROMETHEUS, "tests", HEALTHY)]);
  t.equal(result.code, 0, result.text);
});

for (const file of filesIn("tests").filter((name) => name !== HEALTHY)) {
  // Asked, besides, for what each alert says: nothing is expected there, so promtool tells what it got.
  t.test(`promtool test rules: ${file}`, { skip: WITHOUT_PROMTOOL }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "crossfade-alerts-"));
    t.teardown(() => rm(folder, { recursive: true }));
    const tests = readTests(file).tests.map((test) => ({ ...test, alert_rule_test: firingIn(test) }));
    const path = join(folder, `${file}.json`);
    const rule_files = filesIn("rules").map((name) => join(PROMETHEUS, "rules", name));
    await writeFile(path, JSON.stringify({ rule_files, evaluation_interval: "5s", tests }));
    const { text } = await promtool(["test", "rules", path]);
    const [head = "", ...answers] = text.split(/^ +alertname: /m);
    t.notMatch(head + answers.join("\n"), /^ +expr: /m, "nothing fires but what should");
    const said = new Set(answers.map((answer) => /^\w+/.exec(answer)?.[0] ?? ""));
    const wanted = new Set(tests.flatMap(({ alert_rule_test: asked }) => asked.map(({ alertname }) => alertname)));
    t.same([...said].toSorted(), [...wanted].toSorted(), text.slice(0, 2_000));
    for (const answer of answers) {
      t.match(answer, /summary="[^"]{10,}/);
      t.match(answer, /description="[^"]*\d/, "a figure");
      t.notMatch(answer, /error expanding|no value|%!/i);
    }
  });
}

function firingIn({ promql_expr_test: checks }: TestFile["tests"][number]): { eval_time: string; alertname: string; exp_alerts: [] }[] {
  return checks.flatMap(({ eval_time, exp_samples: samples }) =>
    samples.flatMap(({ labels }) => {
      const alertname = /alertname="(\w+)"/.exec(labels)?.[1];
      return alertname === undefined ? [] : [{ eval_time, alertname, exp_alerts: [] }];
    }),
  );
}

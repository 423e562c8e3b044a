import type { Command } from "commander";
import { existsSync } from "node:fs";
import type { Config } from "../config/config.ts";
import type { LintFinding } from "../controller/lint/finding.ts";
import { readConfig } from "./config-file.ts";
import { Failed, FailedAsPrinted } from "./failed.ts";
import { bad, bold, good, print, printable, remark, table } from "./output.ts";

const DEFAULT_FILE = "crossfade.yaml";

interface CheckOptions {
  readonly config?: string;
  readonly json?: boolean;
}

export function addRolloutCheck(parent: Command): void {
  parent
    .command("check")
    .description("check a plan: every mistake and contradiction with its place, and how its steps would go")
    .argument("<plan>", "plan file")
    .option("--config <file>", `configuration in which it is to run (default: ./${DEFAULT_FILE}, if there is one)`)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExample:\n  crossfade rollout check config/plans/supersmartmatch.yaml --config config/supersmartmatch.yaml\n\nExit code 1: there are errors. Warnings alone are no failure.",
    )
    .action(check);
}

async function check(file: string, options: CheckOptions): Promise<void> {
  const chosen = options.config ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  const config = chosen === undefined ? undefined : await readConfig(chosen);
  // Loaded when needed: most commands read no plan, and a schema takes longer to build than they take to run.
  const { loadPlan } = await import("../controller/plan-file/parse.ts");
  const parsed = await loadPlan(file);
  if ("problems" in parsed) {
    const { formatProblems } = await import("../config/problem.ts");
    if (!options.json) print(...formatProblems(file, parsed.problems).split("\n").map(printable));
    throw new Failed(`${file} cannot be used`, { file, valid: false, problems: parsed.problems, findings: [] });
  }
  const { examine } = await import("../controller/lint/lint.ts");
  const { outlineOf, outlineRows } = await import("../controller/lint/report.ts");
  const { plan, locate } = parsed;
  const examined = examine(plan, config, { now: Date.now(), locate });
  const { findings } = examined;
  const errors = findings.filter(({ severity }) => severity === "error");
  const outline = outlineOf(examined);
  const json = { file, config: chosen, valid: errors.length === 0, problems: [], findings, ...outline };
  if (options.json) {
    print(JSON.stringify(json, null, 2));
  } else {
    describe(file, findings, errors.length, config);
    print("", bold(`${printable(plan.name)}, if it is begun now (${plan.timezone})`), ...table(outlineRows(outline, plan.timezone)));
    if (config === undefined) remark("\nWithout a configuration (--config FILE) nothing is said about names, hooks, fallback and breaker.");
  }
  if (errors.length > 0) throw new FailedAsPrinted(`${file} has errors`, json);
}

function describe(file: string, findings: readonly LintFinding[], errors: number, config: Config | undefined): void {
  const warnings = findings.length - errors;
  const counts = [errors > 0 ? numbered(errors, "error") : "", warnings > 0 ? numbered(warnings, "warning") : ""].filter(
    (text) => text !== "",
  );
  if (errors > 0) print(bad(`${file} cannot work as it is: ${counts.join(", ")}`));
  else print(good(`${file} is fine${config === undefined ? " by itself" : ""}${counts.length === 0 ? "" : `, with ${counts.join("")}`}`));
  for (const severity of ["error", "warning"] as const) {
    const those = findings.filter((finding) => finding.severity === severity);
    if (those.length > 0) print("", bold(severity === "error" ? "Errors" : "Warnings"), ...those.flatMap(lines));
  }
}

function lines({ line, column, rule, message, advice }: LintFinding): string[] {
  return [`  ${line}:${column} ${rule}: ${printable(message)}`, `      ${printable(advice)}`];
}

function numbered(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

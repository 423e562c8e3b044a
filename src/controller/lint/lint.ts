import type { Config } from "../../config/config.ts";
import type { Finding, Problem } from "../../config/problem.ts";
import type { Plan } from "../plan.ts";
import { type LintFinding, type Raised, type Subject, warning } from "./finding.ts";
import { MOST_RECKONED, type Outlook, outlooksOf, Reckoning } from "./outlook.ts";
import { lintBudget, lintControls } from "./rules-controls.ts";
import { lintNames } from "./rules-names.ts";
import { lintRollback } from "./rules-rollback.ts";
import { lintSamples } from "./rules-samples.ts";
import { lintSteps } from "./rules-steps.ts";
import { lintThresholds } from "./rules-thresholds.ts";

export type { LintFinding } from "./finding.ts";

export interface LintOptions {
  /** Epoch milliseconds, by which a freeze is over or not, and from when on the calendar is reckoned. */
  readonly now: number;
  /** Finds the place of a part in the text, as `parsePlan` gives it. */
  readonly locate?: (finding: Finding) => Problem;
}

/** What a plan was found to be, with what the report shows beside the findings. */
export interface Examined {
  readonly subject: Subject;
  readonly gates: readonly Outlook[];
  readonly triggers: readonly Outlook[];
  /** In the order of the file. */
  readonly findings: readonly LintFinding[];
}

/** Everything in a plan that cannot work, or probably is not meant. Pure. */
export function lint(plan: Plan, config: Config | undefined, options: LintOptions): readonly LintFinding[] {
  return examine(plan, config, options).findings;
}

export function examine(plan: Plan, config: Config | undefined, { now, locate }: LintOptions): Examined {
  const subject: Subject = { plan, config, flag: config?.flags.find(({ name }) => name === plan.flag), now };
  const reckoning = new Reckoning();
  const gates = outlooksOf(subject, "gates", reckoning);
  const triggers = outlooksOf(subject, "triggers", reckoning);
  const raised = [
    ...lintSteps(subject),
    ...lintThresholds(subject),
    ...lintControls(subject),
    ...lintBudget(subject),
    ...lintSamples(subject, gates, triggers),
    ...lintReckoning(reckoning),
    ...lintRollback(subject),
    ...lintNames(subject),
  ];
  const placed = raised.map((finding) => place(finding, locate));
  return { subject, gates, triggers, findings: placed.toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

/** What was not looked at is not thereby fine. */
function lintReckoning({ leftOut }: Reckoning): Raised[] {
  if (leftOut === 0) return [];
  const message = `how long checks that compare with the stable arm take was reckoned for ${MOST_RECKONED} of them, each at each step; ${leftOut} more were left out, and nothing is said of when they pass`;
  return [warning("not-reckoned", [], message, "let fewer checks compare, or have the parts of the plan checked one by one")];
}

function place(raised: Raised, locate: LintOptions["locate"]): LintFinding {
  const { line, column } = locate === undefined ? { line: 0, column: 0 } : locate({ path: raised.path, message: "" });
  return { ...raised, line, column };
}

import type { Config, Flag } from "../../config/config.ts";
import type { Path } from "../../config/problem.ts";
import type { Plan } from "../plan.ts";

/** Something that a plan cannot do, or should not. */
export interface LintFinding {
  readonly severity: "error" | "warning";
  /** Name of the rule, for machines and tests. */
  readonly rule: string;
  readonly path: Path;
  /** From 1; 0 where the plan has no text. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
}

/** A finding before its place in the text is known. */
export type Raised = Omit<LintFinding, "line" | "column">;

/** What the rules look at. */
export interface Subject {
  readonly plan: Plan;
  /** Where the plan is to run; undefined: not known, and nothing is said about it. */
  readonly config: Config | undefined;
  /** The plan's flag there. */
  readonly flag: Flag | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** The plan cannot work like this. */
export function error(rule: string, path: Path, message: string, advice: string): Raised {
  return { severity: "error", rule, path, message, advice };
}

/** It works, but probably not as it is meant. */
export function warning(rule: string, path: Path, message: string, advice: string): Raised {
  return { severity: "warning", rule, path, message, advice };
}

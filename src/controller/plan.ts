import type { Check } from "../analysis/check.ts";

/** A plan file, complete and in the program's units. */
export interface Plan {
  readonly name: string;
  readonly flag: string;
  readonly description: string;
  /** IANA name; of calendar hours and dates. */
  readonly timezone: string;
  /** The whole may not take longer; 0: no limit. */
  readonly withinMs: number;
  readonly steps: readonly Step[];
  /** Segments that start later: 0 below `fromBp`, from there on as much as the global figure. */
  readonly segments: readonly { readonly name: string; readonly fromBp: number }[];
  /** Apply at the end of every step; a step may add its own. */
  readonly gates: readonly Check[];
  readonly triggers: readonly Check[];
  readonly calendar: Calendar;
  readonly rollback: RollbackPlan;
  readonly experiment: ExperimentPlan;
  /** What the linter reckons with. */
  readonly expects: Expectation;
}

export interface Step {
  readonly name: string;
  readonly percentageBp: number;
  /** Shortest stay at this step before the next. */
  readonly dwellMs: number;
  readonly gates: readonly Check[];
  /** Roles of which each must approve before the step is left; by different people. Empty: nobody is asked. */
  readonly approvals: readonly string[];
  /** Names of hooks (webhooks of the configuration) that must say pass before the step is left. */
  readonly webhooks: readonly string[];
}

/** When a step may be entered. Rollbacks know no calendar. */
export interface Calendar {
  /** 1 Monday ... 7 Sunday; empty: every day. */
  readonly days: readonly number[];
  /** Minutes since midnight, half-open; undefined: all day. */
  readonly hours: { readonly from: number; readonly to: number } | undefined;
  /** First and last day, `2026-12-24`, inclusive. */
  readonly freeze: readonly { readonly from: string; readonly to: string }[];
}

export interface RollbackPlan {
  /** Hooks of the configuration, in order, after the traffic. */
  readonly hooks: readonly string[];
  /** For everything. */
  readonly limitMs: number;
  /** From the decision to the last instance's acknowledgement. */
  readonly trafficLimitMs: number;
  /** Requests per second that the stable arm is known to take; undefined: everything. */
  readonly stableCapacity: number | undefined;
  /** Over how long the shift is stepped where the stable arm cannot take everything at once. */
  readonly shiftMs: number;
}

export interface ExperimentPlan {
  readonly minUsers: number;
  /** 0.95 */
  readonly confidence: number;
  /** Difference that matters, absolute, of accuracy; 0.02 is two points. */
  readonly effect: number;
  /** How long each step would have to be measured by itself. Only the linter reads it. Absent: the experiment runs over the whole rollout. */
  readonly phaseMs?: number;
}

/** What traffic is expected, all arms together; undefined: not known, and the linter cannot reckon. */
export interface Expectation {
  readonly requestsPerSecond: number | undefined;
  readonly feedbackPerDay: number | undefined;
  readonly users: number | undefined;
  /** True P95 of the candidate, milliseconds, and the share of its requests that fall back. */
  readonly p95Ms: number | undefined;
  readonly fallbacks: number | undefined;
  readonly errors: number | undefined;
  /** Of the candidate, 0..1. */
  readonly accuracy?: number;
  readonly satisfaction?: number;
  /** The same figures of the stable arm. */
  readonly stable?: { readonly p95Ms?: number; readonly errors?: number; readonly accuracy?: number; readonly satisfaction?: number };
}

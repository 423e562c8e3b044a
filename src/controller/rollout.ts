import type { Plan } from "./plan.ts";

/** What is kept of a rollout: one JSON document, written whole, together with the settings that belong to it. Instants are epoch milliseconds. */
export interface Rollout {
  /** Of this run of a plan; unique. */
  readonly id: string;
  readonly flag: string;
  readonly plan: Plan;
  readonly startedAt: number;
  readonly startedBy: string;
  readonly state: RolloutState;
  /**
   * Every stay at a step, in order of time; the last one is open as long as `to` is undefined. Step -1: nobody on the candidate by this plan.
   * Between two stays other settings than a step's were in force.
   */
  readonly stays: readonly Stay[];
  /** Of the present stay only. */
  readonly approvals: readonly Approval[];
}

export interface Stay {
  readonly step: number;
  readonly from: number;
  readonly to: number | undefined;
}

export interface Approval {
  readonly who: string;
  readonly role: string;
  readonly at: number;
}

/** `step` is an index into the plan's steps. */
export type RolloutState =
  /** progressing: the step's time is not over · waiting: for gates, approvals, the calendar. */
  | { readonly status: "progressing" | "waiting"; readonly step: number }
  | {
      readonly status: "held";
      readonly step: number;
      readonly since: number;
      readonly cause: HoldCause;
      readonly by: string;
      readonly why: string;
      /** Somebody changed the figures by hand meanwhile, so only a person lets it go on. */
      readonly edited?: boolean;
    }
  | { readonly status: "rolling-back"; readonly rollback: Rollback }
  | { readonly status: "rolled-back"; readonly rollback: Rollback }
  | { readonly status: "completed"; readonly at: number };

/** pause: somebody asked for it · foreign: settings in force are not those of the step: killed, disabled, or changed by hand. */
export type HoldCause = "pause" | "foreign";

export interface Rollback {
  /** The step that was left. */
  readonly step: number;
  readonly at: number;
  readonly by: string;
  readonly why: string;
  /** The trigger's name; undefined: by hand. */
  readonly trigger: string | undefined;
  /** Percentages still to come on the way to 0, with the instant of each; empty once everybody is on the stable arm. */
  readonly shift: readonly { readonly percentageBp: number; readonly at: number }[];
  /** Who has confirmed the last write. Undefined until it was looked. */
  readonly traffic: TrafficReport | undefined;
  readonly hooks: readonly HookRun[];
  /** Segments outside of the plan that were put to 0 as well, and what they had (basis points), to be given back when it goes on. */
  readonly others?: Readonly<Record<string, number>>;
  readonly endedAt: number | undefined;
}

export interface TrafficReport {
  readonly revision: number;
  readonly acknowledged: readonly string[];
  readonly missing: readonly string[];
  /** From the decision to the last acknowledgement, or to when it was given up. */
  readonly ms: number;
}

export interface HookRun {
  readonly name: string;
  /** unknown: whoever ran it is gone, or has said nothing for longer than it may take; it is not run a second time. */
  readonly status: "pending" | "running" | "done" | "failed" | "timed-out" | "unknown";
  /** The instance that runs it, or ran it. */
  readonly by?: string;
  /** How long it may take, milliseconds, as whoever runs it knows it. */
  readonly limitMs?: number;
  readonly startedAt: number | undefined;
  readonly ms: number | undefined;
  /** Exit code, HTTP status, the last lines of output. */
  readonly detail: string;
}

import type { RolloutStatus } from "../../controller/desk.ts";
import { approvalsMissing } from "../../controller/obstacles.ts";
import { openStay } from "../../controller/stays.ts";

/** Which acts make sense at present. The API has the last word: what is allowed here may be refused there, and is shown then. */

export const ACTS = ["rollback", "kill", "unkill", "approve", "pause", "resume", "advance", "start", "settings", "drill"] as const;
export type ActName = (typeof ACTS)[number];

/** Why an act makes no sense now; a word of the dictionary each. */
export const OBSTACLES = [
  "noRollout",
  "underWay",
  "rollingBack",
  "rolledBack",
  "paused",
  "held",
  "notHeld",
  "noStep",
  "noApproval",
  "approved",
  "approvalsMissing",
  "triggerFails",
  "killed",
  "notKilled",
  "disabled",
] as const;
export type Obstacle = (typeof OBSTACLES)[number];

export interface Situation {
  /** Undefined: the store cannot be asked, and then nothing is ruled out. */
  readonly rollout: RolloutStatus | undefined;
  readonly killed: boolean;
  readonly enabled: boolean;
}

/** Undefined: nothing speaks against it. */
export function obstacleTo(act: ActName, { rollout: status, killed, enabled }: Situation): Obstacle | undefined {
  if (act === "kill") return killed ? "killed" : undefined;
  if (act === "unkill") return killed ? undefined : "notKilled";
  if (act === "settings" || status === undefined) return undefined;
  const { rollout, view } = status;
  if (act === "drill") return rollout?.state.status === "rolling-back" ? "rollingBack" : undefined;
  const off = killed ? "killed" : enabled ? undefined : "disabled";
  if (rollout === undefined || rollout === null) return act === "start" ? off : "noRollout";
  const { state, plan, approvals } = rollout;
  if (act === "start") return "step" in state ? "underWay" : state.status === "rolling-back" ? "rollingBack" : off;
  if (act === "rollback") {
    if (state.status === "rolled-back") return "rolledBack";
    return state.status === "rolling-back" && state.rollback.shift.length === 0 ? "rollingBack" : undefined;
  }
  if (act === "resume") {
    if (state.status === "rolling-back") return "rollingBack";
    return state.status === "held" || state.status === "rolled-back" ? off : "notHeld";
  }
  if (!("step" in state)) return "noStep";
  if (act === "pause") return state.status === "held" && state.cause === "pause" ? "paused" : undefined;
  const step = plan.steps[state.step];
  const missing = approvalsMissing({ approvals: step?.approvals ?? [] }, approvals);
  if (act === "approve") {
    if ((step?.approvals ?? []).length === 0) return "noApproval";
    if (openStay(rollout) === undefined) return "held";
    return missing.length === 0 ? "approved" : undefined;
  }
  if (state.status === "held") return "held";
  if (off !== undefined) return off;
  if ((view?.triggers ?? []).some(({ verdict }) => verdict.verdict === "fail")) return "triggerFails";
  return missing.length === 0 ? undefined : "approvalsMissing";
}

/**
 * What takes everybody to the stable arm now: the rollback of the rollout; where there is none to roll back, or nobody can be asked whether there
 * is, the kill switch, which needs neither.
 */
export function wayBack(situation: Situation, percentage: number): "rollback" | "kill" {
  if (situation.rollout === undefined) return "kill";
  const obstacle = obstacleTo("rollback", situation);
  return obstacle === "noRollout" || (obstacle === "rolledBack" && percentage > 0) ? "kill" : "rollback";
}

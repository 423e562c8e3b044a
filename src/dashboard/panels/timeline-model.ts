import { approvalsMissing } from "../../controller/obstacles.ts";
import type { Approval, Rollout } from "../../controller/rollout.ts";
import { dweltMs, lastStep, openStay } from "../../controller/stays.ts";

/** A plan's steps, as a row of stations. */

export type StepPlace = "done" | "present" | "left" | "to-come";

export interface TimelineStep {
  readonly name: string;
  readonly percentageBp: number;
  readonly dwellMs: number;
  /** left: the step from which it was rolled back. */
  readonly place: StepPlace;
  /** Of this run; undefined: it was never entered in it. */
  readonly enteredAt: number | undefined;
  readonly stayedMs: number;
  /** Segments of which users come along from here on. */
  readonly segments: readonly string[];
  readonly approvals: readonly { readonly role: string; readonly given: Approval | undefined }[];
  readonly webhooks: readonly string[];
  /** Of the shortest stay, 0..1; 1 where there is none. */
  readonly progress: number;
}

export function timelineOf(rollout: Rollout, now: number): readonly TimelineStep[] {
  const { plan, state, stays } = rollout;
  const last = lastStep(rollout);
  return plan.steps.map((step, index): TimelineStep => {
    const own = stays.filter((stay) => stay.step === index);
    const place = placeOf(state.status, index, last);
    const stayedMs = own.reduce((sum, { from, to }) => sum + Math.max(0, (to ?? now) - from), 0);
    const dwelt = place === "present" ? dweltMs(rollout, now) : stayedMs;
    const below = plan.steps[index - 1]?.percentageBp ?? 0;
    return {
      name: step.name,
      percentageBp: step.percentageBp,
      dwellMs: step.dwellMs,
      place,
      enteredAt: own[0]?.from,
      stayedMs: place === "present" && openStay(rollout) !== undefined ? dwelt : stayedMs,
      segments: plan.segments.filter(({ fromBp }) => fromBp <= step.percentageBp && fromBp > below).map(({ name }) => name),
      approvals: approvalsOf(rollout, index, place),
      webhooks: step.webhooks,
      progress: place === "done" || step.dwellMs === 0 ? 1 : Math.min(1, dwelt / step.dwellMs),
    };
  });
}

function placeOf(status: Rollout["state"]["status"], index: number, last: number): StepPlace {
  if (status === "completed" || index < last) return "done";
  if (index > last) return "to-come";
  return status === "rolling-back" || status === "rolled-back" ? "left" : "present";
}

/** Approvals are kept of the present stay only: of a step that is done nobody knows here who gave them, only that they were there. */
function approvalsOf({ plan, approvals }: Rollout, index: number, place: StepPlace): TimelineStep["approvals"] {
  const roles = plan.steps[index]?.approvals ?? [];
  if (place !== "present") return roles.map((role) => ({ role, given: undefined }));
  const missing = [...approvalsMissing({ approvals: roles }, approvals)];
  return roles.map((role) => {
    const open = missing.indexOf(role);
    if (open >= 0) missing.splice(open, 1);
    return { role, given: open >= 0 ? undefined : approvals.find((approval) => approval.role === role) };
  });
}

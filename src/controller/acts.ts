import { editsOf, fieldsOf, fieldsPutBack, type FieldWrites, percentageOf, settingsMatch, shareText, switchedOff } from "./fields.ts";
import { clipped, type Seen, stepText, type Transition } from "./next.ts";
import { approvalsMissing, clockWrong, obstaclesOf } from "./obstacles.ts";
import type { Plan } from "./plan.ts";
import { stepLeft } from "./plan-next.ts";
import { beginRollback, failing, hasten } from "./rolling-back.ts";
import type { Rollout } from "./rollout.ts";
import { openStay, withStay } from "./stays.ts";

/** What a person's act makes of the rollout, to be written as one; or what is wrong with it, and what would be right. */
export type Act = Transition | { readonly refused: string };

/** Who acts, when, and why in their own words; the reason may be empty unless it is said that it may not. */
export interface By {
  readonly who: string;
  readonly reason: string;
  readonly now: number;
}

/** `id` is that of the new run. `calendar`, when given, must be open, for a step is entered. */
export interface StartInput {
  readonly id: string;
  readonly by: string;
  readonly now: number;
  /** The flag's last rollout; undefined: there was none. */
  readonly current: Rollout | undefined;
  readonly inForce: Seen["inForce"];
  readonly calendar?: Seen["calendar"] | undefined;
}

/** Enters the plan's first step. A rollout that is under way is not replaced, and nobody is taken back by it without a word. */
export function start(plan: Plan, { id, by, now, current, inForce, calendar }: StartInput): Act {
  if (current !== undefined && current.state.status !== "rolled-back" && current.state.status !== "completed") {
    return refuse(
      `the rollout ${current.plan.name} of ${current.flag} is under way (${statusText(current)}): roll it back, or let it end, first`,
    );
  }
  if (current !== undefined && current.id === id) return refuse(`the id ${id} is that of the last rollout: a new run takes a new one`);
  const wrong = planWrong(plan) ?? switchWrong(plan, inForce);
  if (wrong !== undefined) return refuse(wrong);
  const first = percentageOf(plan, 0);
  if (inForce.percentageBp > first) {
    return refuse(
      `${shareText(inForce.percentageBp)} are on the candidate, and ${stepText(plan, 0)} would take users back: set rollout_percentage to ${shareText(first)} or less first`,
    );
  }
  if (calendar !== undefined && !calendar.open) return refuse(`the plan's calendar is closed: ${calendar.why}`);
  const back = putBack(plan, current, inForce);
  const fields = { ...fieldsOf(plan, 0), ...back };
  const rollout: Rollout = {
    id,
    flag: plan.flag,
    plan,
    startedAt: now,
    startedBy: by,
    state: { status: "progressing", step: 0 },
    stays: withStay([], 0, now),
    approvals: [],
  };
  const lowered = editsOf(plan, 0, inForce).filter((text) => text.startsWith("segment."));
  const also = lowered.length === 0 ? "" : `; ${lowered.join(", ")} before`;
  return done(rollout, fields, `${plan.name} started at ${stepText(plan, 0)}${also}`);
}

/** One person's word for one role at the present step. Two roles take two people. */
export function approve(rollout: Rollout, { who, role, now }: { readonly who: string; readonly role: string; readonly now: number }): Act {
  const { state, plan, approvals } = rollout;
  if (who.trim() === "") return refuse("an approval needs the name of the one who gives it");
  if (!("step" in state)) return refuse(`there is nothing to approve: the rollout is ${statusText(rollout)}`);
  if (openStay(rollout) === undefined)
    return refuse(`the settings in force are not those of ${stepText(plan, state.step)}: resume first, then approve`);
  const step = plan.steps[state.step];
  const at = stepText(plan, state.step);
  if (step === undefined || step.approvals.length === 0) return refuse(`${at} asks for no approval`);
  if (!step.approvals.includes(role))
    return refuse(`${at} asks for no approval by ${JSON.stringify(role)}, but by: ${step.approvals.join(", ")}`);
  const missing = approvalsMissing(step, approvals);
  const given = approvals.find((approval) => approval.who === who);
  if (given !== undefined) {
    const others = missing.length === 0 ? "nothing is missing" : `somebody else must approve as ${missing.join(", ")}`;
    return refuse(`${who} has approved as ${given.role} already: ${others}`);
  }
  if (!missing.includes(role)) {
    return refuse(
      `${role} has approved already; ${missing.length === 0 ? "nothing is missing" : `still to approve: ${missing.join(", ")}`}`,
    );
  }
  const approved = [...approvals, { who, role, at: now }];
  const rest = approvalsMissing(step, approved);
  const told = rest.length === 0 ? "all approvals are there" : `still to approve: ${rest.join(", ")}`;
  return done({ ...rollout, approvals: approved }, undefined, `${at} approved by ${who} (${role}); ${told}`);
}

/** Holds the rollout at its step until somebody resumes it. Triggers are watched all the same, and the step's time goes on. */
export function pause(rollout: Rollout, { who, reason, now }: By): Act {
  const { state } = rollout;
  if (state.status === "held" && state.cause === "pause") return refuse(`it is paused already, by ${state.by}: ${state.why}`);
  if (!("step" in state)) return refuse(`there is nothing to pause: the rollout is ${statusText(rollout)}`);
  const why = reason.trim() === "" ? "no reason given" : reason;
  const held: Rollout = { ...rollout, state: { status: "held", step: state.step, since: now, cause: "pause", by: who, why } };
  return done(held, undefined, `paused at ${stepText(rollout.plan, state.step)}: ${why}`);
}

/** Goes on at the step where it is held. Figures that were changed by hand become the step's again. */
export function resume(rollout: Rollout, { who, reason, now, inForce }: By & Pick<Seen, "inForce">): Act {
  const { state, plan } = rollout;
  if (state.status === "rolled-back") return refuse("it was rolled back: name the step to resume at, that step or an earlier one");
  if (state.status !== "held") return refuse(`there is nothing to resume: the rollout is ${statusText(rollout)}`);
  const wrong = switchWrong(plan, inForce);
  if (wrong !== undefined) return refuse(wrong);
  const edits = editsOf(plan, state.step, inForce);
  const stays = edits.length === 0 && openStay(rollout) !== undefined;
  const resumed: Rollout = {
    ...rollout,
    state: { status: "progressing", step: state.step },
    ...(stays ? {} : { stays: withStay(rollout.stays, state.step, now), approvals: [] }),
  };
  const changed = edits.length === 0 ? "" : `; put back: ${edits.join(", ")}`;
  return done(
    resumed,
    edits.length === 0 ? undefined : fieldsOf(plan, state.step),
    `resumed by ${who} at ${stepText(plan, state.step)}${changed}${because(reason)}`,
  );
}

/**
 * To the next step by hand. It skips the step's time, gates, webhooks, the calendar and triggers that cannot tell, and says which; it does not skip a
 * trigger that fails, nor a clock that is wrong, nor approvals: two people asked for are two people. The reason may not be empty.
 */
export function advance(rollout: Rollout, { who, reason, now, seen }: By & { readonly seen: Seen }): Act {
  const { state, plan } = rollout;
  if (reason.trim() === "") return refuse("to advance by hand skips gates and needs a reason");
  if (state.status === "held") return refuse(`it is held (${state.why}): resume it first`);
  if (!("step" in state)) return refuse(`there is no step to leave: the rollout is ${statusText(rollout)}`);
  const failed = failing(seen.triggers);
  if (failed.length > 0) {
    return refuse(
      `${failed.map(({ name, why }) => `trigger ${name} fails: ${why}`).join("; ")}; a failing trigger is not skipped: it rolls back`,
    );
  }
  if (!settingsMatch(plan, state.step, seen.inForce)) {
    const differs = [switchedOff(seen.inForce), ...editsOf(plan, state.step, seen.inForce)].filter((text) => text !== undefined);
    return refuse(
      `the settings in force are not those of ${stepText(plan, state.step)}: ${differs.join(", ")}; let it be held, and resume it first`,
    );
  }
  const [clock] = clockWrong(seen);
  if (clock !== undefined) return refuse(`${clock}: set it right first, or act on another instance`);
  const missing = approvalsMissing(plan.steps[state.step] ?? { approvals: [] }, rollout.approvals);
  if (missing.length > 0) return refuse(`approvals are not skipped: still to approve: ${missing.join(", ")}`);
  const { dwell, others } = obstaclesOf(rollout, state.step, seen, now);
  const skipped = [...(dwell === undefined ? [] : [dwell]), ...others];
  const told = skipped.length === 0 ? "nothing was skipped" : `skipped: ${skipped.join("; ")}`;
  const left = stepLeft(rollout, state.step, `by hand by ${who}: ${reason}; ${told}`, now);
  return { ...left, reason: clipped(left.reason) };
}

/**
 * Everybody back to the stable arm, by hand; while the traffic goes back in stages, what is left of it at once. In an emergency a reason may be
 * missing.
 */
export function rollBack(
  rollout: Rollout,
  { who, reason, now, seen }: By & { readonly seen: Pick<Seen, "inForce" | "stable" | "requestsPerSecond"> },
): Act {
  const { state } = rollout;
  const why = reason.trim() === "" ? "by hand, no reason given" : reason;
  if (state.status === "rolling-back" && state.rollback.shift.length > 0) {
    const hastened = hasten(rollout, state.rollback, `${who}: ${why}`, seen.inForce, now);
    return { ...hastened, reason: clipped(hastened.reason) };
  }
  if ("rollback" in state) return refuse(`it is ${statusText(rollout)} already`);
  const begun = beginRollback(rollout, { who, why, trigger: undefined }, seen, now);
  return { ...begun, reason: clipped(begun.reason) };
}

/** `step` undefined: the one that was left. `id` is that of the new run. */
export interface ResumeAtInput extends By {
  readonly id: string;
  readonly step: number | undefined;
  readonly seen: Pick<Seen, "inForce" | "triggers">;
}

/**
 * Begins again after a rollback, at the step that was left or an earlier one; the same users are on the candidate as then, for buckets do not change.
 * It is a run of its own, with its own id and beginning: what was counted before the rollback is not of the candidate as it is now, and would fire
 * again at once whatever looks back to the beginning.
 */
export function resumeAt(rollout: Rollout, { who, reason, now, id, step, seen }: ResumeAtInput): Act {
  const { state, plan } = rollout;
  if (state.status === "rolling-back") return refuse("it is still being rolled back: wait until its hooks have ended");
  if (state.status !== "rolled-back") return refuse(`it was not rolled back, it is ${statusText(rollout)}`);
  const at = step ?? Math.max(0, state.rollback.step);
  if (!Number.isInteger(at) || at < 0 || at > Math.max(0, state.rollback.step)) {
    const steps = plan.steps.slice(0, Math.max(0, state.rollback.step) + 1).map(({ name }) => name);
    return refuse(`step ${at} is not one that it had reached: resume at one of ${steps.join(", ")}`);
  }
  if (id === rollout.id) return refuse(`the id ${id} is that of the run that was rolled back: a new run takes a new one`);
  const wrong = switchWrong(plan, seen.inForce);
  if (wrong !== undefined) return refuse(wrong);
  const failed = failing(seen.triggers);
  if (failed.length > 0)
    return refuse(
      `${failed.map(({ name, why }) => `trigger ${name} still fails: ${why}`).join("; ")}; it would be rolled back again at once`,
    );
  const resumed: Rollout = {
    ...rollout,
    id,
    startedAt: now,
    startedBy: who,
    state: { status: "progressing", step: at },
    stays: withStay([], at, now),
    approvals: [],
  };
  const fields = { ...fieldsOf(plan, at), ...putBack(plan, rollout, seen.inForce) };
  return done(resumed, fields, `resumed by ${who} at ${stepText(plan, at)} after the rollback (${state.rollback.why})${because(reason)}`);
}

/** An act whose fields are those of a step; they may raise what somebody has lowered meanwhile. */
function done(rollout: Rollout, fields: FieldWrites | undefined, reason: string): Act {
  return { rollout, fields, raises: fields !== undefined, reason: clipped(reason) };
}

function refuse(refused: string): Act {
  return { refused };
}

function because(reason: string): string {
  return reason.trim() === "" ? "" : `: ${reason}`;
}

function statusText({ plan, state }: Rollout): string {
  if ("step" in state) return `${state.status} at ${stepText(plan, state.step)}`;
  return state.status;
}

function putBack(plan: Plan, last: Rollout | undefined, inForce: Seen["inForce"]): FieldWrites {
  const others = last?.state.status === "rolled-back" ? last.state.rollback.others : undefined;
  return others === undefined ? {} : fieldsPutBack(plan, others, inForce);
}

function planWrong({ name, steps }: Plan): string | undefined {
  if (steps.length === 0) return `the plan ${name} has no steps`;
  const low = steps.findIndex(({ percentageBp }, i) => !(percentageBp > (steps[i - 1]?.percentageBp ?? 0)) || percentageBp > 10_000);
  return low < 0 ? undefined : `steps must rise, from above 0 to 100 % at most: ${steps[low]?.name} does not`;
}

function switchWrong(plan: Plan, inForce: Seen["inForce"]): string | undefined {
  if (inForce.killed) return `${plan.flag} is killed: unkill it first`;
  if (!inForce.enabled) return `${plan.flag} is disabled: set enabled to true first`;
  const unknown = plan.segments.filter(({ name }) => !Object.hasOwn(inForce.segments, name)).map(({ name }) => name);
  return unknown.length === 0
    ? undefined
    : `${plan.flag} has no segment ${unknown.join(", ")}: add it to the configuration, or take it out of the plan`;
}

import type { Judged } from "../analysis/check.ts";
import { editsOf, fieldsBackTo, type InForce, segmentsOutside, shareText, switchedOff } from "./fields.ts";
import { type Next, type Seen, staying, stepText, type Transition, written } from "./next.ts";
import type { Plan } from "./plan.ts";
import type { HookRun, Rollback, Rollout } from "./rollout.ts";
import { planShift } from "./shift.ts";
import { lastStep, openStay, withStay, withStayClosed } from "./stays.ts";

/** Why and for whom the traffic goes back. */
export interface RollbackCause {
  readonly who: string;
  readonly why: string;
  /** Name of the trigger; undefined: by hand. */
  readonly trigger: string | undefined;
}

/** Triggers that fail, by name and scope. */
export function failing(triggers: readonly Judged[]): readonly { readonly check: string; readonly name: string; readonly why: string }[] {
  return triggers
    .filter(({ verdict }) => verdict.verdict === "fail")
    .map(({ check, scope, verdict }) => ({ check: check.name, name: checkText({ check, scope }), why: verdict.why }));
}

/** `p95 of match` */
export function checkText({ check, scope }: Pick<Judged, "check" | "scope">): string {
  return scope === undefined ? check.name : `${check.name} of ${scope}`;
}

/** The key by which whoever runs a hook remembers that it does. */
export function hookKey({ id }: Rollout, { at }: Rollback, index: number): string {
  return `${id}/${at}/${index}`;
}

/** The switch, or its first stage, as one write. */
export function beginRollback(
  rollout: Rollout,
  { who, why, trigger }: RollbackCause,
  seen: Pick<Seen, "inForce" | "stable" | "requestsPerSecond">,
  now: number,
): Transition {
  const { plan } = rollout;
  const { inForce, stable, requestsPerSecond } = seen;
  const step = lastStep(rollout);
  const [first, ...rest] = planShift({
    fromBp: switchedOff(inForce) === undefined ? inForce.percentageBp : 0,
    stable,
    requestsPerSecond,
    capacity: plan.rollback.stableCapacity,
    shiftMs: plan.rollback.shiftMs,
    now,
  });
  const percentageBp = first?.percentageBp ?? 0;
  const rollback: Rollback = {
    step,
    at: now,
    by: who,
    why,
    trigger,
    shift: percentageBp === 0 ? [] : rest,
    traffic: undefined,
    hooks: plan.rollback.hooks.map((name) => ({ name, status: "pending", startedAt: undefined, ms: undefined, detail: "" })),
    endedAt: undefined,
    others: segmentsOutside(plan, inForce),
  };
  const stages = percentageBp === 0 ? "" : ` (in stages, ${shareText(percentageBp)} now: ${whyStages(plan, seen)})`;
  return {
    rollout: { ...rollout, state: { status: "rolling-back", rollback }, stays: staysAt(rollout, percentageBp, now), approvals: [] },
    fields: fieldsBackTo(plan, percentageBp, inForce),
    reason: `rolled back from ${stepText(plan, step)}${stages}: ${why}`,
  };
}

function whyStages(
  { rollback: { stableCapacity } }: Plan,
  { stable, requestsPerSecond }: Pick<Seen, "stable" | "requestsPerSecond">,
): string {
  if (stable?.healthy === false) return `the stable arm is unwell, ${stable.detail}`;
  return `${Math.round(requestsPerSecond ?? 0)} requests/s come, and the stable arm is known to take ${stableCapacity ?? 0}`;
}

/** What follows while the traffic goes back, and afterwards while the hooks run. */
export function nextOfRollback(
  rollout: Rollout,
  rollback: Rollback,
  seen: Pick<Seen, "inForce">,
  now: number,
  ranHere: ReadonlySet<string>,
): Next {
  const stage = stageDue(rollout, rollback, now);
  if (stage !== undefined) return nextStage(rollout, rollback, stage, seen.inForce, now);
  const [coming] = rollback.shift;
  if (coming !== undefined) return staying(`the traffic goes back in stages: ${shareText(coming.percentageBp)} next`);

  const running = rollback.hooks.findIndex(({ status }) => status === "running");
  if (running >= 0) {
    const name = rollback.hooks[running]?.name ?? "";
    if (ranHere.has(hookKey(rollout, rollback, running))) return staying(`hook ${name} is running`);
    const detail = "whoever ran it is gone; how it ended is not known, and it is not run again";
    const lost = withHook(rollout, rollback, running, { status: "unknown", detail });
    const reason = `hook ${name}: ${detail}`;
    return written({ rollout: lost, fields: undefined, reason }, [reason]);
  }

  const { trafficLimitMs } = rollout.plan.rollback;
  const since = openStay(rollout)?.from ?? rollback.at;
  if (rollback.traffic === undefined && Math.abs(now - since) < trafficLimitMs) return staying("waits for every instance to confirm");

  const index = rollback.hooks.findIndex(({ status }) => status === "pending");
  if (index >= 0) {
    const started = withHook(rollout, rollback, index, { status: "running", startedAt: now });
    return { kind: "hook", rollout: started, index, reasons: [`hook ${rollback.hooks[index]?.name ?? ""} begins`] };
  }
  return ended(rollout, rollback, seen.inForce, now);
}

/** Index of the last stage that is due; undefined: none. A stage further off than the whole shift can be has been put off by a clock that went back. */
function stageDue({ plan }: Rollout, { shift }: Rollback, now: number): number | undefined {
  const due = shift.findLastIndex(({ at }) => at <= now || at - now > plan.rollback.shiftMs);
  return due < 0 ? undefined : due;
}

function nextStage(rollout: Rollout, rollback: Rollback, stage: number, inForce: InForce, now: number): Next {
  const rest = rollback.shift.slice(stage + 1);
  const percentageBp = rest.length === 0 ? 0 : (rollback.shift[stage]?.percentageBp ?? 0);
  const reason = `rolling back from ${stepText(rollout.plan, rollback.step)}: ${shareText(percentageBp)} (${rollback.why})`;
  const shifted: Rollout = {
    ...rollout,
    state: { status: "rolling-back", rollback: { ...rollback, shift: percentageBp === 0 ? [] : rest, traffic: undefined } },
    stays: staysAt(rollout, percentageBp, now),
  };
  return written({ rollout: shifted, fields: fieldsBackTo(rollout.plan, percentageBp, inForce), reason }, [reason]);
}

function ended(rollout: Rollout, rollback: Rollback, inForce: InForce, now: number): Next {
  const endedAt = Math.max(now, rollback.at);
  const hooks = rollback.hooks.map(({ name, status }) => `${name} ${status}`).join(", ");
  const { traffic } = rollback;
  const confirmed =
    traffic === undefined
      ? "it is not known who has confirmed"
      : traffic.missing.length === 0
        ? `confirmed by all ${traffic.acknowledged.length} instances after ${traffic.ms} ms`
        : `not confirmed by ${traffic.missing.join(", ")}`;
  const since = editsOf(rollout.plan, -1, inForce);
  const told = [
    `rolled back from ${stepText(rollout.plan, rollback.step)} in ${endedAt - rollback.at} ms`,
    confirmed,
    ...(hooks === "" ? [] : [`hooks: ${hooks}`]),
    ...(since.length === 0 ? [] : [`changed by hand since: ${since.join(", ")}`]),
  ];
  const rolledBack: Rollout = { ...rollout, state: { status: "rolled-back", rollback: { ...rollback, endedAt } } };
  return written({ rollout: rolledBack, fields: undefined, reason: told.join("; ") }, told);
}

/** While some are left on the candidate no step's settings are in force. */
function staysAt({ stays }: Rollout, percentageBp: number, now: number): Rollout["stays"] {
  return percentageBp === 0 ? withStay(stays, -1, now) : withStayClosed(stays, now);
}

function withHook(rollout: Rollout, rollback: Rollback, index: number, change: Partial<HookRun>): Rollout {
  const hooks = rollback.hooks.map((hook, i) => (i === index ? { ...hook, ...change } : hook));
  return { ...rollout, state: { status: "rolling-back", rollback: { ...rollback, hooks } } };
}

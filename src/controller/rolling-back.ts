import type { Judged } from "../analysis/check.ts";
import { editsSince, fieldsBackTo, type InForce, segmentsOutside, shareText, switchedOff } from "./fields.ts";
import { lengthText, type Next, type Seen, staying, stepText, type Transition, written } from "./next.ts";
import type { Plan } from "./plan.ts";
import type { HookRun, Rollback, Rollout } from "./rollout.ts";
import { planShift } from "./shift.ts";
import { lastStep, openStay, withStay, withStayClosed } from "./stays.ts";

/** A hook that is over its limit is ended, and its end is written; that may take so long, milliseconds. */
const HOOK_GRACE_MS = 5_000;

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
    raises: false,
    reason: `rolled back from ${stepText(plan, step)}${stages}: ${why}`,
  };
}

/** What is left of the way back in stages, at once. */
export function hasten(rollout: Rollout, rollback: Rollback, why: string, inForce: InForce, now: number): Transition {
  const { plan } = rollout;
  const shifted = switched(rollout, rollback, 0, [], now);
  const reason = `rolled back from ${stepText(plan, rollback.step)} at once, and not in stages any more: ${why} (${rollback.why})`;
  return { rollout: shifted, fields: fieldsBackTo(plan, 0, inForce), raises: false, reason };
}

/** The next write of a shift that is under way. Who has confirmed is asked anew. */
function switched(rollout: Rollout, rollback: Rollback, percentageBp: number, rest: Rollback["shift"], now: number): Rollout {
  return {
    ...rollout,
    state: { status: "rolling-back", rollback: { ...rollback, shift: percentageBp === 0 ? [] : rest, traffic: undefined } },
    stays: staysAt(rollout, percentageBp, now),
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
  seen: Pick<Seen, "inForce" | "self" | "alive" | "hookLimits">,
  now: number,
  ranHere: ReadonlySet<string>,
): Next {
  const stage = stageDue(rollout, rollback, now);
  if (stage !== undefined) return nextStage(rollout, rollback, stage, seen.inForce, now);
  const [coming] = rollback.shift;
  if (coming !== undefined) return staying(`the traffic goes back in stages: ${shareText(coming.percentageBp)} next`);

  const running = rollback.hooks.findIndex(({ status }) => status === "running");
  const hook = rollback.hooks[running];
  if (hook !== undefined) {
    const lost = ranHere.has(hookKey(rollout, rollback, running)) ? undefined : whyLost(rollout, hook, seen, now);
    if (lost === undefined) return staying(`hook ${hook.name} is running${hook.by === undefined ? "" : ` on ${hook.by}`}`);
    const detail = `${lost}; how it ended is not known, and it is not run again`;
    const reason = `hook ${hook.name}: ${detail}`;
    const writtenOff = withHook(rollout, rollback, running, { status: "unknown", detail });
    return written({ rollout: writtenOff, fields: undefined, raises: false, reason }, [reason]);
  }

  const { trafficLimitMs } = rollout.plan.rollback;
  const since = openStay(rollout)?.from ?? rollback.at;
  if (rollback.traffic === undefined && Math.abs(now - since) < trafficLimitMs) return staying("waits for every instance to confirm");

  const index = rollback.hooks.findIndex(({ status }) => status === "pending");
  if (index >= 0) {
    const name = rollback.hooks[index]?.name ?? "";
    const limitMs = hookLimit(name, seen);
    const started = { status: "running", by: seen.self, ...(limitMs === undefined ? {} : { limitMs }), startedAt: now } as const;
    return { kind: "hook", rollout: withHook(rollout, rollback, index, started), index, reasons: [`hook ${name} begins`] };
  }
  return ended(rollout, rollback, seen.inForce, now);
}

/**
 * Why a hook that does not run here does not run any more; undefined: it may. One program leads while another, that led before, still runs its
 * hook: the next hook must not begin beside it, and its end will be told.
 */
function whyLost(
  { plan }: Rollout,
  { name, by, limitMs, startedAt }: HookRun,
  seen: Pick<Seen, "self" | "alive" | "hookLimits">,
  now: number,
): string | undefined {
  // This instance would know of it: it was restarted, or the write came through whose answer did not.
  if (by === seen.self) return `${by} does not run it any more`;
  if (by !== undefined && seen.alive !== undefined && !seen.alive.includes(by)) return `whoever ran it (${by}) is gone`;
  const limit = limitMs ?? hookLimit(name, seen) ?? plan.rollback.limitMs;
  // A clock that went back must not make it run for ever.
  if (Math.abs(now - (startedAt ?? -Infinity)) <= limit + HOOK_GRACE_MS) return undefined;
  return `${by ?? "whoever ran it"} has not told of its end, though it may take ${lengthText(limit)} at most`;
}

function hookLimit(name: string, { hookLimits }: Pick<Seen, "hookLimits">): number | undefined {
  return Object.hasOwn(hookLimits, name) ? hookLimits[name] : undefined;
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
  const shifted = switched(rollout, rollback, percentageBp, rest, now);
  return written({ rollout: shifted, fields: fieldsBackTo(rollout.plan, percentageBp, inForce), raises: false, reason }, [reason]);
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
  const since = editsSince(rollout.plan, inForce);
  const told = [
    `rolled back from ${stepText(rollout.plan, rollback.step)} in ${endedAt - rollback.at} ms`,
    confirmed,
    ...(hooks === "" ? [] : [`hooks: ${hooks}`]),
    ...(since.length === 0 ? [] : [`changed by hand since: ${since.join(", ")}`]),
  ];
  const rolledBack: Rollout = { ...rollout, state: { status: "rolled-back", rollback: { ...rollback, endedAt } } };
  return written({ rollout: rolledBack, fields: undefined, raises: false, reason: told.join("; ") }, told);
}

/** While some are left on the candidate no step's settings are in force. */
function staysAt({ stays }: Rollout, percentageBp: number, now: number): Rollout["stays"] {
  return percentageBp === 0 ? withStay(stays, -1, now) : withStayClosed(stays, now);
}

function withHook(rollout: Rollout, rollback: Rollback, index: number, change: Partial<HookRun>): Rollout {
  const hooks = rollback.hooks.map((hook, i) => (i === index ? { ...hook, ...change } : hook));
  return { ...rollout, state: { status: "rolling-back", rollback: { ...rollback, hooks } } };
}

import { editsOf, fieldsOf, type InForce, switchedOff } from "./fields.ts";
import { clipped, ITSELF, type Next, type Seen, staying, stepText, type Transition, written } from "./next.ts";
import { obstaclesOf, passedText } from "./obstacles.ts";
import { beginRollback, failing, nextOfRollback } from "./rolling-back.ts";
import type { HookRun, Rollout, RolloutState, TrafficReport } from "./rollout.ts";
import { openStay, withStay, withStayClosed } from "./stays.ts";

export type { Next, Seen } from "./next.ts";

type Standing = Extract<RolloutState, { readonly status: "progressing" | "waiting" }>;
type Held = Extract<RolloutState, { readonly status: "held" }>;

/** How long settings that were just written may take to come into force where they are looked at. */
const SETTLE_MS = 10_000;

/**
 * What follows from what is seen. Pure: no clock, no store, equal arguments give equal answers, and it never throws.
 *
 * - A trigger whose verdict is `fail` rolls back, whatever else is the matter: before the step's time is over, while it waits or is held, and when
 *   the plan is completed, for V2 is watched until V1 is gone. A completed rollout whose stable arm says it is unwell stays: V1 is gone.
 * - A step is left only when its time is over, every gate says `pass`, every trigger that is `required` says `pass`, each approval and each webhook
 *   is there, the calendar is open, figures are no older than ten seconds and the settings in force are the step's. `no-data` and
 *   `inconclusive` hold it, and so does a gate or a required trigger without any verdict. A trigger that is not `required` holds nothing: it rolls
 *   back, or it is silent. One step a call, none is left out, however long nobody looked. To complete the plan takes the same but for the
 *   calendar: nothing is entered.
 * - Other settings in force than the step's hold it, for an operator's hand wins. Killed or disabled: it goes on by itself once the flag is on again
 *   with the figures of the step, since whoever did that has said so. Figures changed by hand: only a person lets it go on, even when
 *   they were changed back. The step's time does not run meanwhile, and approvals are asked for anew. A pause keeps the time running.
 * - A rollback is one write: state and settings. Then stages of the shift by time, then who has confirmed, then hooks one after the other; nothing
 *   that a hook does changes the switch. A hook that runs but is not in `ranHere` (names by `hookKey`) was begun by another leader. Once that one is
 *   known to be gone, or the hook's limit is over, it becomes `unknown` and is not run again. After the last one nothing moves until a person acts.
 * - Where this instance's clock and the store's differ by more than five seconds nothing advances, for no length of time can be believed; nor where an
 *   instance serves of which no figures come.
 */
export function planNext(rollout: Rollout, seen: Seen, now: number, ranHere: ReadonlySet<string>): Next {
  const { state } = rollout;
  if (state.status === "rolled-back") return staying(`rolled back (${state.rollback.why}); goes on when somebody resumes it`);
  if (state.status === "rolling-back") return nextOfRollback(rollout, state.rollback, seen, now, ranHere);
  const failed = failing(seen.triggers);
  const [first] = failed;
  if (first !== undefined) {
    const why = failed.map(({ name, why }) => `trigger ${name}: ${why}`);
    if (state.status === "completed" && seen.stable?.healthy === false) {
      return staying(...why, `not rolled back: the plan is completed and the stable arm is unwell (${seen.stable.detail})`);
    }
    return written(beginRollback(rollout, { who: ITSELF, why: clipped(why.join("; ")), trigger: first.check }, seen, now), why);
  }
  if (state.status === "completed") return staying("completed; triggers are still watched");
  return state.status === "held" ? nextOfHeld(rollout, state, seen.inForce, now) : nextOfStep(rollout, state, seen, now);
}

function nextOfStep(rollout: Rollout, state: Standing, seen: Seen, now: number): Next {
  const { plan } = rollout;
  const { step } = state;
  const drift = driftOf(rollout, step, seen.inForce, now);
  if (drift.off !== undefined || drift.edits.length > 0) return holdForeign(rollout, step, drift, now);
  if (drift.coming.length > 0) return staying(`settings of ${stepText(plan, step)} are on their way: ${drift.coming.join(", ")}`);
  const { dwell, others } = obstaclesOf(rollout, step, seen, now);
  if (dwell !== undefined) return staying(dwell, ...others);
  if (others.length === 0) {
    const why = passedText(rollout, step, seen, now);
    return written(stepLeft(rollout, step, why, now), [why]);
  }
  if (state.status === "waiting") return staying(...others);
  const waiting = { ...rollout, state: { status: "waiting", step } as const };
  return written(
    {
      rollout: waiting,
      fields: undefined,
      raises: false,
      reason: `the time of ${stepText(plan, step)} is over; it waits: ${others.join("; ")}`,
    },
    others,
  );
}

/** The rollout one step on, or completed after the last. */
export function stepLeft(rollout: Rollout, step: number, why: string, now: number): Transition {
  const { plan } = rollout;
  const next = step + 1;
  if (next >= plan.steps.length) {
    const completed: Rollout = { ...rollout, state: { status: "completed", at: now }, approvals: [] };
    return { rollout: completed, fields: undefined, raises: false, reason: `completed after ${stepText(plan, step)}: ${why}` };
  }
  const entered: Rollout = {
    ...rollout,
    state: { status: "progressing", step: next },
    stays: withStay(rollout.stays, next, now),
    approvals: [],
  };
  return {
    rollout: entered,
    fields: fieldsOf(plan, next),
    raises: true,
    reason: `from ${stepText(plan, step)} to ${stepText(plan, next)}: ${why}`,
  };
}

/** How the settings in force differ from the step's. */
interface Drift {
  /** Why nobody is on the candidate at all. */
  readonly off: string | undefined;
  readonly edits: readonly string[];
  /** Differences that may be those between our own last write and what is in force here by now. */
  readonly coming: readonly string[];
}

function driftOf({ plan, stays }: Rollout, step: number, inForce: InForce, now: number): Drift {
  const edits = editsOf(plan, step, inForce);
  const settling = Math.abs(now - (stays.at(-1)?.from ?? -Infinity)) < SETTLE_MS;
  return { off: switchedOff(inForce), edits: settling ? [] : edits, coming: settling ? edits : [] };
}

function driftText({ off, edits }: Drift): string {
  return [...(off === undefined ? [] : [off]), ...edits].join(", ");
}

function holdForeign(rollout: Rollout, step: number, drift: Drift, now: number): Next {
  const why = driftText(drift);
  const state: Held = { status: "held", step, since: now, cause: "foreign", by: ITSELF, why, edited: drift.edits.length > 0 };
  const held: Rollout = { ...rollout, state, stays: withStayClosed(rollout.stays, now), approvals: [] };
  return written({ rollout: held, fields: undefined, raises: false, reason: `held at ${stepText(rollout.plan, step)}: ${why}` }, [why]);
}

function nextOfHeld(rollout: Rollout, state: Held, inForce: InForce, now: number): Next {
  const drift = driftOf(rollout, state.step, inForce, now);
  return state.cause === "pause" ? nextOfPause(rollout, state, drift, now) : nextOfForeign(rollout, state, drift, now);
}

/** A pause goes on until a person ends it; the stay at the step ends when its settings do. */
function nextOfPause(rollout: Rollout, state: Held, drift: Drift, now: number): Next {
  const told = heldText(state);
  const differs = drift.off !== undefined || drift.edits.length > 0;
  if (!differs || openStay(rollout) === undefined) return staying(told);
  const closed: Rollout = { ...rollout, stays: withStayClosed(rollout.stays, now), approvals: [] };
  const reason = `while it is held at ${stepText(rollout.plan, state.step)}: ${driftText(drift)}`;
  return written({ rollout: closed, fields: undefined, raises: false, reason }, [told, reason]);
}

function nextOfForeign(rollout: Rollout, state: Held, drift: Drift, now: number): Next {
  const { plan } = rollout;
  const { step } = state;
  const at = stepText(plan, step);
  if (drift.edits.length > 0 && state.edited !== true) {
    const why = `${state.why}; then changed by hand: ${drift.edits.join(", ")}`;
    const edited: Rollout = { ...rollout, state: { ...state, why, edited: true } };
    return written({ rollout: edited, fields: undefined, raises: false, reason: `held at ${at}: ${why}` }, [why]);
  }
  if (drift.off !== undefined || drift.edits.length > 0 || drift.coming.length > 0) return staying(heldText(state));
  if (state.edited === true) {
    return staying(heldText(state), "the settings are the step's again, but were changed by hand: it goes on when somebody resumes it");
  }
  const stays = withStay(rollout.stays, step, now);
  const resumed: Rollout = { ...rollout, state: { status: "progressing", step }, stays, approvals: [] };
  const reason = `goes on at ${at}: the flag is on again with the settings of the step (it was held: ${state.why})`;
  return written({ rollout: resumed, fields: undefined, raises: false, reason }, [reason]);
}

function heldText({ by, cause, why }: Held): string {
  return cause === "pause" ? `paused by ${by}: ${why}` : `held: ${why}`;
}

/** A hook has ended, also one that had been written off meanwhile. Unchanged where it never ran or its end is known. */
export function hookEnded(rollout: Rollout, index: number, result: Pick<HookRun, "detail"> & HookEnd): Rollout {
  const { state } = rollout;
  if (!("rollback" in state)) return rollout;
  const before = state.rollback.hooks[index]?.status;
  if (before !== "running" && before !== "unknown") return rollout;
  const { status, ms, detail } = result;
  const hooks = state.rollback.hooks.map((hook, i) => (i === index ? { ...hook, status, ms, detail } : hook));
  return { ...rollout, state: { ...state, rollback: { ...state.rollback, hooks } } };
}

/** How a hook may end. */
export interface HookEnd {
  readonly status: "done" | "failed" | "timed-out";
  readonly ms: number;
}

/** Who has confirmed the last write of a rollback. A report on an earlier stage of the shift changes nothing: more was written since. */
export function trafficSeen(rollout: Rollout, report: TrafficReport): Rollout {
  const { state } = rollout;
  if (!("rollback" in state) || state.rollback.shift.length > 0) return rollout;
  return { ...rollout, state: { ...state, rollback: { ...state.rollback, traffic: report } } };
}

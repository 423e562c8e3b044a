import { percentageOf, shareText } from "../controller/fields.ts";
import { lengthText } from "../controller/next.ts";
import { approvalsMissing } from "../controller/obstacles.ts";
import type { Plan } from "../controller/plan.ts";
import type { Rollback, Rollout } from "../controller/rollout.ts";
import type { Observed, SeenFlag } from "./happenings.ts";
import type { Happening, NoticeKind, Severity } from "./notice.ts";

/** How far a rollout was told. */
export interface RolloutMemory {
  readonly id: string;
  readonly plan: string;
  readonly status: Rollout["state"]["status"];
  /** How many of its stays. */
  readonly stays: number;
  readonly standing: Standing;
  /** Of the rollback that it is in. */
  readonly rollbackAt: number | undefined;
}

/** Why it does not move: nothing of the kind, gates, approvals, somebody's pause, settings changed by hand, the kill switch. */
interface Standing {
  readonly why: "" | "gates" | "approval" | "pause" | "foreign" | "killed";
  /** Of the stay at which it stands. */
  readonly stay: number;
}

const MOVES: Standing = { why: "", stay: 0 };

/** Severity of a rollback: for security first of all, by a trigger, or because somebody asked for it. */
function rollbackSeverity(plan: Plan, trigger: string | undefined): Severity {
  if (trigger === undefined) return "P2";
  return plan.triggers.some(({ name, metric }) => name === trigger && metric === "security") ? "P0" : "P1";
}

export function observeRollout(
  before: RolloutMemory | "none" | undefined,
  seen: SeenFlag,
  at: number,
): Observed<RolloutMemory | "none" | undefined> {
  const { rollout } = seen;
  if (rollout === undefined) return { memory: before, happenings: [] };
  if (rollout === "none") return { memory: before ?? "none", happenings: [] };
  const memory = memoryOf(rollout, seen.killed);
  if (before === undefined) return { memory, happenings: stillWrong(rollout, seen, memory, at) };
  const last = before === "none" ? undefined : before;
  const same = last?.id === rollout.id ? last : undefined;
  const told = [
    ...(same === undefined ? [started(rollout, last)] : []),
    ...moved(rollout, same),
    ...rolledBack(rollout, same),
    ...completed(rollout, same),
  ];
  const stands = standingChange(rollout, same?.standing ?? MOVES, memory.standing, seen, told, at);
  const all = [...told, ...stands];
  return { memory, happenings: [...all, ...ends(rollout, last, memory, all, at)] };
}

function memoryOf(rollout: Rollout, killed: boolean): RolloutMemory {
  const { state } = rollout;
  return {
    id: rollout.id,
    plan: rollout.plan.name,
    status: state.status,
    stays: rollout.stays.length,
    standing: standingOf(rollout, killed),
    rollbackAt: "rollback" in state ? state.rollback.at : undefined,
  };
}

function standingOf(rollout: Rollout, killed: boolean): Standing {
  const { state, stays } = rollout;
  const stay = stays.length;
  if (state.status === "held") return { why: state.cause === "pause" ? "pause" : killed ? "killed" : "foreign", stay };
  if (state.status !== "waiting") return MOVES;
  return { why: missing(rollout).length > 0 ? "approval" : "gates", stay };
}

function missing({ plan, state, approvals }: Rollout): readonly string[] {
  const step = "step" in state ? plan.steps[state.step] : undefined;
  return step === undefined ? [] : approvalsMissing(step, approvals);
}

/** What a first look must tell of. */
function stillWrong(rollout: Rollout, seen: SeenFlag, { standing }: RolloutMemory, at: number): readonly Happening[] {
  const { state } = rollout;
  if (state.status === "rolling-back") return [rollingBack(rollout, state.rollback)];
  if (standing.why !== "approval" && standing.why !== "foreign") return [];
  return [standingTold(rollout, standing, seen, at)].filter((one) => one !== undefined);
}

function started(rollout: Rollout, last: RolloutMemory | undefined): Happening {
  const { plan, stays } = rollout;
  const step = stays[0]?.step ?? 0;
  const again = last?.rollbackAt !== undefined && last.plan === plan.name && step > 0;
  return info(rollout, again ? "rollout-resumed" : "rollout-started", rollout.startedAt, "start", {
    ...stepFacts(plan, step),
    by: rollout.startedBy,
    steps: String(plan.steps.length),
  });
}

/** Steps that were entered since, and those that were entered again after something else was in force. */
function moved(rollout: Rollout, before: RolloutMemory | undefined): readonly Happening[] {
  const { plan, stays } = rollout;
  // The first stay is the start.
  const known = Math.max(1, Math.min(before?.stays ?? 1, stays.length));
  return stays.flatMap((stay, i) => {
    if (i < known || stay.step < 0) return [];
    const from = stays.findLast((earlier, j) => j < i && earlier.step >= 0)?.step ?? -1;
    const kind = stay.step > from ? "rollout-advanced" : "rollout-resumed";
    const gone = { ...stepFacts(plan, stay.step), from: shareText(percentageOf(plan, from)), fromStep: plan.steps[from]?.name ?? "" };
    return [info(rollout, kind, stay.from, `stay-${i}`, gone)];
  });
}

function rolledBack(rollout: Rollout, before: RolloutMemory | undefined): readonly Happening[] {
  const { state } = rollout;
  if (!("rollback" in state)) return [];
  const begun = before?.rollbackAt === state.rollback.at ? [] : [rollingBack(rollout, state.rollback)];
  const over = state.status === "rolled-back" && (begun.length > 0 || before?.status !== "rolled-back");
  return over ? [...begun, rollbackDone(rollout, state.rollback)] : begun;
}

function rollingBack(rollout: Rollout, rollback: Rollback): Happening {
  const { plan, flag } = rollout;
  return {
    kind: "rollout-rolling-back",
    severity: rollbackSeverity(plan, rollback.trigger),
    at: rollback.at,
    group: rollbackGroup(flag, rollout.id, rollback.at),
    flag,
    facts: {
      plan: plan.name,
      ...stepFacts(plan, rollback.step),
      reason: rollback.why,
      by: rollback.by,
      ...(rollback.trigger === undefined ? {} : { trigger: rollback.trigger }),
      ...(rollback.shift.length === 0 ? {} : { stages: String(rollback.shift.length) }),
    },
    resolves: false,
  };
}

function rollbackDone(rollout: Rollout, rollback: Rollback): Happening {
  const { traffic, hooks, endedAt = rollback.at } = rollback;
  const failed = hooks.filter(({ status }) => status !== "done");
  return {
    ...rollingBack(rollout, rollback),
    kind: "rollout-rolled-back",
    at: endedAt,
    facts: {
      took: lengthText(endedAt - rollback.at),
      ...(traffic === undefined ? {} : { confirmed: String(traffic.acknowledged.length), trafficTook: `${traffic.ms} ms` }),
      ...(traffic === undefined || traffic.missing.length === 0 ? {} : { unconfirmed: traffic.missing.join(", ") }),
      ...(hooks.length === 0 ? {} : { hooks: hooks.map(({ name, status }) => `${name}: ${status}`).join(", ") }),
      ...(failed.length === 0 ? {} : { hooksFailed: failed.map(({ name }) => name).join(", ") }),
    },
  };
}

function rollbackGroup(flag: string, id: string, at: number): string {
  return `rollback/${flag}/${id}/${at}`;
}

function completed(rollout: Rollout, before: RolloutMemory | undefined): readonly Happening[] {
  const { state, plan } = rollout;
  if (state.status !== "completed" || before?.status === "completed") return [];
  const took = lengthText(state.at - rollout.startedAt);
  return [info(rollout, "rollout-completed", state.at, "completed", { ...stepFacts(plan, plan.steps.length - 1), took })];
}

function standingChange(
  rollout: Rollout,
  before: Standing,
  now: Standing,
  seen: SeenFlag,
  told: readonly Happening[],
  at: number,
): readonly Happening[] {
  if (before.why === now.why && before.stay === now.stay) return [];
  if (now.why !== "") return [standingTold(rollout, now, seen, at)].filter((one) => one !== undefined);
  const wasHeld = before.why === "pause" || before.why === "foreign" || before.why === "killed";
  if (!wasHeld || told.length > 0 || !("step" in rollout.state)) return [];
  return [info(rollout, "rollout-resumed", at, `resumed-${at}`, stepFacts(rollout.plan, rollout.state.step))];
}

function standingTold(rollout: Rollout, { why, stay }: Standing, { view }: SeenFlag, at: number): Happening | undefined {
  const { state, plan, flag } = rollout;
  if (!("step" in state)) return undefined;
  const reasons = view?.rollout === rollout.id ? view.reasons.join("; ") : "";
  const facts = { plan: plan.name, ...stepFacts(plan, state.step), ...(reasons === "" ? {} : { reasons }) };
  const open = { at, flag, group: standingGroup(rollout.id, flag, { why, stay }), resolves: false };
  const held = state.status === "held" ? { by: state.by, reason: state.why } : {};
  const since = state.status === "held" ? state.since : at;
  switch (why) {
    case "approval":
      return { ...open, kind: "rollout-waiting", severity: "P3", facts: { ...facts, roles: missing(rollout).join(", ") } };
    case "foreign":
      return { ...open, at: since, kind: "rollout-held", severity: "P2", facts: { ...facts, ...held, cause: "foreign" } };
    case "gates":
      return info(rollout, "rollout-waiting", at, `gates-${stay}`, facts);
    case "pause":
      return info(rollout, "rollout-held", since, `pause-${since}`, { ...facts, ...held, cause: "pause" });
    default:
      // Killed: the kill switch is told of by itself.
      return undefined;
  }
}

function standingGroup(id: string, flag: string, { why, stay }: Standing): string {
  return `rollout/${flag}/${id}/${why}-${stay}`;
}

/** What was open of the rollout and is no more, in the words of what took its place. */
function ends(
  rollout: Rollout,
  before: RolloutMemory | undefined,
  now: RolloutMemory,
  told: readonly Happening[],
  at: number,
): readonly Happening[] {
  if (before === undefined) return [];
  const { flag } = rollout;
  const groups: string[] = [];
  const { standing } = before;
  const moved = before.id !== now.id || standing.why !== now.standing.why || standing.stay !== now.standing.stay;
  if (moved && (standing.why === "approval" || standing.why === "foreign")) groups.push(standingGroup(before.id, flag, standing));
  if (before.rollbackAt !== undefined && (before.id !== now.id || before.rollbackAt !== now.rollbackAt)) {
    groups.push(rollbackGroup(flag, before.id, before.rollbackAt));
  }
  const step = "step" in rollout.state ? rollout.state.step : (rollout.stays.at(-1)?.step ?? -1);
  const cause =
    told.findLast(({ kind }) => kind !== "rollout-rolled-back") ?? info(rollout, "rollout-resumed", at, "", stepFacts(rollout.plan, step));
  return groups.map((group) => ({ ...cause, severity: "info", group, resolves: true }));
}

function info(rollout: Rollout, kind: NoticeKind, at: number, place: string, facts: Happening["facts"]): Happening {
  const { flag, id, plan } = rollout;
  return {
    kind,
    severity: "info",
    at,
    group: `rollout/${flag}/${id}/${place}`,
    flag,
    facts: { plan: plan.name, ...facts },
    resolves: false,
  };
}

function stepFacts(plan: Plan, step: number): { readonly step: string; readonly percentage: string } {
  return { step: plan.steps[step]?.name ?? "", percentage: shareText(percentageOf(plan, step)) };
}

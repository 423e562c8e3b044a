import type { Check, Judged } from "../analysis/check.ts";
import { lengthText, type Seen, stepText } from "./next.ts";
import type { Plan, Step } from "./plan.ts";
import { checkText } from "./rolling-back.ts";
import type { Approval, Rollout } from "./rollout.ts";
import { dweltMs } from "./stays.ts";

/** Older figures decide nothing, milliseconds. */
const FRESH_MS = 10_000;

/** Clocks that differ by more make lengths of time worthless, milliseconds. */
const MOST_CLOCK_OFF_MS = 5_000;

/** What keeps a step from being left: its time, and everything else, one phrase each. */
export interface Obstacles {
  readonly dwell: string | undefined;
  readonly others: readonly string[];
}

export function obstaclesOf(rollout: Rollout, step: number, seen: Seen, now: number): Obstacles {
  const { plan } = rollout;
  const at = plan.steps[step];
  if (at === undefined) return { dwell: undefined, others: [`the plan has no step ${step}`] };
  const left = at.dwellMs - dweltMs(rollout, now);
  return {
    dwell: left > 0 ? `${stepText(plan, step)} has ${lengthText(left)} to go` : undefined,
    others: [
      ...clockWrong(seen),
      ...figuresOld(seen),
      ...seen.silent.map((instance) => `no figures come from ${instance}, which serves`),
      ...triggersUnsure(plan, seen),
      ...gatesShut([...plan.gates, ...at.gates], seen.gates),
      ...approvalsMissing(at, rollout.approvals).map((role) => `${role} has not approved`),
      ...webhooksShut(at, seen),
      ...(seen.calendar.open || step + 1 >= plan.steps.length ? [] : [`calendar: ${seen.calendar.why}`]),
    ],
  };
}

/** What let a step be left, with the figures. */
export function passedText(rollout: Rollout, step: number, { gates, webhooks }: Seen, now: number): string {
  const at = rollout.plan.steps[step];
  const passed = [
    `${lengthText(dweltMs(rollout, now))} at this step`,
    ...gates.map(({ check, scope, verdict }) => `${checkText({ check, scope })}: ${verdict.why}`),
    ...webhooks.filter(({ name }) => at?.webhooks.includes(name)).map(({ name, why }) => `${name}: ${why}`),
    ...rollout.approvals.map(({ who, role }) => `approved by ${who} (${role})`),
  ];
  return passed.join("; ");
}

/** Roles that have still to approve. One person's approval counts once, so two roles take two people. */
export function approvalsMissing({ approvals }: Pick<Step, "approvals">, given: readonly Approval[]): readonly string[] {
  const open = given.filter(({ who }, i) => given.findIndex((approval) => approval.who === who) === i);
  return approvals.filter((role) => {
    const found = open.findIndex((approval) => approval.role === role);
    if (found >= 0) open.splice(found, 1);
    return found < 0;
  });
}

/** Why no instant that this instance writes can be believed; empty: it can. */
export function clockWrong({ clockOffMs }: Pick<Seen, "clockOffMs">): readonly string[] {
  if (clockOffMs === undefined || Math.abs(clockOffMs) <= MOST_CLOCK_OFF_MS) return [];
  return [`the clock of this instance and that of the store differ by ${lengthText(Math.abs(clockOffMs))}`];
}

function figuresOld({ figuresAgeMs }: Seen): readonly string[] {
  if (figuresAgeMs === undefined) return ["there are no figures"];
  return figuresAgeMs <= FRESH_MS ? [] : [`the newest figures are ${lengthText(figuresAgeMs)} old`];
}

function triggersUnsure({ triggers }: Plan, seen: Seen): readonly string[] {
  const unjudged = unjudgedOf(
    triggers.filter(({ required }) => required),
    seen.triggers,
  ).map((name) => `trigger ${name} was not judged`);
  const unsure = seen.triggers
    .filter(({ check, verdict }) => verdict.verdict === "fail" || (check.required && verdict.verdict !== "pass"))
    .map((judged) => `trigger ${told(judged)}`);
  return [...unjudged, ...unsure];
}

function gatesShut(gates: readonly Check[], judged: readonly Judged[]): readonly string[] {
  const unjudged = unjudgedOf(gates, judged).map((name) => `gate ${name} was not judged`);
  const shut = judged.filter(({ verdict }) => verdict.verdict !== "pass").map((one) => `gate ${told(one)}`);
  return [...unjudged, ...shut];
}

/** A check that nobody has judged is as good as one without data. */
function unjudgedOf(checks: readonly Check[], judged: readonly Judged[]): readonly string[] {
  const names = new Set(judged.map(({ check }) => check.name));
  return checks.map(({ name }) => name).filter((name) => !names.has(name));
}

function told({ check, scope, verdict }: Judged): string {
  return `${checkText({ check, scope })} ${verdict.verdict}: ${verdict.why}`;
}

function webhooksShut({ webhooks }: Step, seen: Seen): readonly string[] {
  return webhooks.flatMap((name) => {
    const answers = seen.webhooks.filter((webhook) => webhook.name === name);
    if (answers.length === 0) return [`webhook ${name} was not asked`];
    return answers.filter(({ verdict }) => verdict !== "pass").map(({ verdict, why }) => `webhook ${name} ${verdict}: ${why}`);
  });
}

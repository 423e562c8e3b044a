import { formatShare } from "../core/quantity.ts";
import type { Plan } from "./plan.ts";

/** Fields of a flag's hash to write, as the store takes them; null removes one. */
export type FieldWrites = Record<string, string | null>;

/** What the flag's settings say at present, whoever wrote them. */
export interface InForce {
  readonly revision: number;
  readonly enabled: boolean;
  readonly killed: boolean;
  readonly percentageBp: number;
  /** Basis points of every segment that the flag has, in the plan or not. */
  readonly segments: Readonly<Record<string, number>>;
}

/** `25 %` */
export function shareText(percentageBp: number): string {
  return `${formatShare(percentageBp)} %`;
}

/** Share of a step; 0 for step -1 and any other that the plan does not have. */
export function percentageOf(plan: Plan, step: number): number {
  return plan.steps[step]?.percentageBp ?? 0;
}

/** Live settings of a step. Step -1, and so every rollback, has nobody on the candidate. */
export function fieldsOf(plan: Plan, step: number): FieldWrites {
  return writesOf(figuresAt(plan, percentageOf(plan, step)));
}

/** Whether a step's settings are in force: the flag is on, nobody killed it, and every figure is the step's. */
export function settingsMatch(plan: Plan, step: number, inForce: InForce): boolean {
  return switchedOff(inForce) === undefined && editsOf(plan, step, inForce).length === 0;
}

/** Why nobody is on the candidate whatever the figures say; undefined: the flag is on. */
export function switchedOff({ killed, enabled }: InForce): string | undefined {
  if (killed) return "the flag is killed";
  return enabled ? undefined : "the flag is disabled";
}

/** Figures in force that are not the step's, one phrase each. */
export function editsOf(plan: Plan, step: number, inForce: InForce): readonly string[] {
  const wanted = figuresAt(plan, percentageOf(plan, step));
  const edits: string[] = [];
  if (inForce.percentageBp !== wanted.percentageBp) {
    edits.push(`rollout_percentage is ${shareText(inForce.percentageBp)} and not ${shareText(wanted.percentageBp)}`);
  }
  for (const [name, bp] of Object.entries(wanted.segments)) {
    const found = segmentIn(inForce, name);
    if (found === undefined) edits.push(`the flag has no segment ${name}`);
    else if (found !== bp) edits.push(`segment.${name} is ${shareText(found)} and not ${shareText(bp)}`);
  }
  return edits;
}

/**
 * Settings on the way back to the stable arm, with `percentageBp` left on the candidate. Nothing in them is higher than what is in force. Segments
 * that are none of the plan's go along, for one that overrides the global figure would keep its users on the candidate. Those that the flag does not
 * have by now are left out: nobody is in them, and one field that is refused would refuse the rollback.
 */
export function fieldsBackTo(plan: Plan, percentageBp: number, inForce: InForce): FieldWrites {
  const { segments } = figuresAt(plan, percentageBp);
  const planned = Object.entries(segments).flatMap(([name, bp]) => {
    const found = segmentIn(inForce, name);
    return found === undefined ? [] : [[name, Math.min(bp, found)] as const];
  });
  const others = Object.entries(segmentsOutside(plan, inForce)).filter(([, bp]) => bp > percentageBp);
  return writesOf({
    percentageBp: Math.min(percentageBp, inForce.percentageBp),
    segments: Object.fromEntries([...planned, ...others.map(([name]) => [name, percentageBp] as const)]),
  });
}

/** Figures over 0 that a rollback would not have left, one phrase each. */
export function editsSince(plan: Plan, inForce: InForce): readonly string[] {
  const segments = plan.segments.filter(({ name }) => segmentIn(inForce, name) !== undefined);
  return editsOf({ ...plan, segments }, -1, inForce);
}

/** Segments over 0 that the plan does not speak of. */
export function segmentsOutside(plan: Plan, { segments }: InForce): Record<string, number> {
  const planned = new Set(plan.segments.map(({ name }) => name));
  return Object.fromEntries(Object.entries(segments).filter(([name, bp]) => !planned.has(name) && bp > 0));
}

/** What a rollback took from segments outside of the plan, given back; not what anybody has set since. */
export function fieldsPutBack(plan: Plan, others: Readonly<Record<string, number>>, inForce: InForce): FieldWrites {
  const planned = new Set(plan.segments.map(({ name }) => name));
  const segments = Object.entries(others).filter(([name]) => !planned.has(name) && segmentIn(inForce, name) === 0);
  return Object.fromEntries(segments.map(([name, bp]) => [segmentField(name), formatShare(bp)]));
}

interface Figures {
  readonly percentageBp: number;
  readonly segments: Readonly<Record<string, number>>;
}

function figuresAt(plan: Plan, percentageBp: number): Figures {
  const segments = plan.segments.map(({ name, fromBp }) => [name, percentageBp < fromBp ? 0 : percentageBp] as const);
  return { percentageBp, segments: Object.fromEntries(segments) };
}

function writesOf({ percentageBp, segments }: Figures): FieldWrites {
  const written = Object.entries(segments).map(([name, bp]) => [segmentField(name), formatShare(bp)] as const);
  return Object.fromEntries([["rollout_percentage", formatShare(percentageBp)], ...written]);
}

function segmentField(name: string): string {
  return `segment.${name}`;
}

function segmentIn({ segments }: InForce, name: string): number | undefined {
  return Object.hasOwn(segments, name) ? segments[name] : undefined;
}

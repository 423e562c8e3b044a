import { checkText } from "../controller/rolling-back.ts";
import type { Observed, SeenFlag } from "./happenings.ts";
import type { Happening } from "./notice.ts";

export interface TriggerMemory {
  readonly since: number;
  /** It has lasted, and was told. */
  readonly told: boolean;
}

/** A trigger that fails rolls back at once, and that is told. Only one that fails for longer and moves nothing is told by itself, milliseconds. */
const SUSTAINED_MS = 10_000;

/**
 * Triggers that fail and are not followed by a rollback: the plan is completed and the stable arm unwell, or whoever leads cannot write. Over when the
 * trigger passes, not when it is without data; or when there is a rollback, or another rollout.
 */
export function observeTriggers(
  before: Readonly<Record<string, TriggerMemory>>,
  { flag, rollout, view }: SeenFlag,
  at: number,
): Observed<Readonly<Record<string, TriggerMemory>>> {
  if (rollout === undefined) return { memory: before, happenings: [] };
  const over = rollout === "none" || "rollback" in rollout.state;
  const judged = rollout === "none" || view?.rollout !== rollout.id ? [] : view.triggers;
  const memory: Record<string, TriggerMemory> = {};
  const happenings: Happening[] = [];
  const failing = new Map(judged.filter(({ verdict }) => verdict.verdict === "fail").map((one) => [checkText(one), one] as const));
  const passing = new Map(judged.filter(({ verdict }) => verdict.verdict === "pass").map((one) => [checkText(one), one] as const));
  const base = { kind: "trigger-failing", flag } as const;
  for (const [name, since] of Object.entries(before)) {
    const passes = passing.get(name);
    if (!over && (passes === undefined || failing.has(name))) memory[name] = since;
    else if (since.told) {
      const facts = { trigger: name, ...(passes === undefined ? {} : { reason: passes.verdict.why }) };
      happenings.push({ ...base, severity: "info", at, group: group(flag, name), facts, resolves: true });
    }
  }
  if (over) return { memory, happenings };
  for (const [name, { check, verdict }] of failing) {
    const { since, told } = (Object.hasOwn(memory, name) ? memory[name] : undefined) ?? { since: at, told: false };
    const tell = !told && at - since >= SUSTAINED_MS;
    memory[name] = { since, told: told || tell };
    if (!tell) continue;
    happenings.push({
      ...base,
      severity: check.metric === "security" ? "P0" : "P1",
      at: since,
      group: group(flag, name),
      facts: { trigger: name, reason: verdict.why, reasons: view?.reasons.join("; ") ?? "" },
      resolves: false,
    });
  }
  return { memory, happenings };
}

function group(flag: string, name: string): string {
  return `trigger/${flag}/${name}`;
}

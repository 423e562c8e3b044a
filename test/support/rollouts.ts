import type { Check, Judged, VerdictWord } from "../../src/analysis/check.ts";
import { start } from "../../src/controller/acts.ts";
import { type FieldWrites, fieldsOf, type InForce } from "../../src/controller/fields.ts";
import type { Next, Seen } from "../../src/controller/next.ts";
import type { Plan, Step } from "../../src/controller/plan.ts";
import type { Rollout } from "../../src/controller/rollout.ts";
import { lastStep } from "../../src/controller/stays.ts";
import { parseShare } from "../../src/core/quantity.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** A Monday, nine in the morning. */
export const T0 = Date.UTC(2026, 10, 23, 9);

export function checkOf(name: string, more: Partial<Check> = {}): Check {
  return {
    name,
    metric: "p95",
    of: "candidate",
    limit: { kind: "at-most", value: 150 },
    window: { kind: "last", ms: MINUTE },
    forMs: 0,
    minSample: 1,
    risk: 0.01,
    each: "all",
    route: undefined,
    segment: undefined,
    required: true,
    ...more,
  };
}

export function stepOf(name: string, percentageBp: number, more: Partial<Step> = {}): Step {
  return { name, percentageBp, dwellMs: HOUR, gates: [], approvals: [], webhooks: [], ...more };
}

/** Three steps of an hour; a segment that starts at the second; a gate, a trigger, and two hooks. */
export function planOf(more: Partial<Plan> = {}): Plan {
  return {
    name: "trial",
    flag: "move",
    description: "",
    timezone: "Europe/Paris",
    withinMs: 0,
    steps: [stepOf("ten", 1_000), stepOf("half", 5_000), stepOf("all", 10_000)],
    segments: [{ name: "big", fromBp: 5_000 }],
    gates: [checkOf("latency", { limit: { kind: "at-most", value: 100 } })],
    triggers: [checkOf("slow")],
    calendar: { days: [], hours: undefined, freeze: [] },
    rollback: { hooks: ["restore", "notify"], limitMs: 120_000, trafficLimitMs: 1_000, stableCapacity: undefined, shiftMs: 30_000 },
    experiment: { minUsers: 10_000, confidence: 0.95, effect: 0.02 },
    expects: {
      requestsPerSecond: undefined,
      feedbackPerDay: undefined,
      users: undefined,
      p95Ms: undefined,
      fallbacks: undefined,
      errors: undefined,
    },
    ...more,
  };
}

export function judgedAs(check: Check, verdict: VerdictWord, why = `${check.name} says ${verdict}`, scope?: string): Judged {
  return { check, scope, verdict: { verdict, value: 90, low: 80, high: 95, sample: 1_000, why } };
}

/** Settings as they stand before a plan begins. */
export function inForceOf(plan: Plan, more: Partial<InForce> = {}): InForce {
  return {
    revision: 1,
    enabled: true,
    killed: false,
    percentageBp: 0,
    segments: Object.fromEntries(plan.segments.map(({ name }) => [name, 0])),
    ...more,
  };
}

/** What is in force once the fields are written. */
export function applied(inForce: InForce, fields: FieldWrites | undefined): InForce {
  if (fields === undefined) return inForce;
  const figure = (name: string, before: number): number => {
    const text = fields[name];
    if (text === undefined) return before;
    const bp = parseShare(text ?? "");
    if (bp === undefined) throw new Error(`${name} cannot be ${text}`);
    return bp;
  };
  for (const name of Object.keys(fields)) {
    if (name !== "rollout_percentage" && !Object.hasOwn(inForce.segments, name.slice("segment.".length)))
      throw new Error(`there is no ${name}`);
  }
  return {
    ...inForce,
    revision: inForce.revision + 1,
    percentageBp: figure("rollout_percentage", inForce.percentageBp),
    segments: Object.fromEntries(Object.entries(inForce.segments).map(([name, bp]) => [name, figure(`segment.${name}`, bp)])),
  };
}

/** Everything is well, and the settings are those of the rollout's step. */
export function seenWell(rollout: Rollout, more: Partial<Seen> = {}): Seen {
  const { plan } = rollout;
  const step = plan.steps[lastStep(rollout)];
  return {
    triggers: plan.triggers.map((check) => judgedAs(check, "pass")),
    gates: [...plan.gates, ...(step?.gates ?? [])].map((check) => judgedAs(check, "pass")),
    webhooks: (step?.webhooks ?? []).map((name) => ({ name, verdict: "pass", why: `${name} agrees` })),
    calendar: { open: true, why: "open", opensAt: undefined },
    inForce: applied(inForceOf(plan), fieldsOf(plan, lastStep(rollout))),
    figuresAgeMs: 1_000,
    stable: { healthy: true, detail: "" },
    requestsPerSecond: 20,
    self: "one",
    alive: undefined,
    hookLimits: {},
    clockOffMs: undefined,
    silent: [],
    ...more,
  };
}

export function startedAt(plan: Plan = planOf(), now = T0): Rollout {
  const acted = start(plan, { id: "run-1", by: "alice", now, current: undefined, inForce: inForceOf(plan) });
  if ("refused" in acted) throw new Error(acted.refused);
  return acted.rollout;
}

/** The rollout after a write or the beginning of a hook; itself when it stays. */
export function after(rollout: Rollout, next: Next): Rollout {
  return next.kind === "stay" ? rollout : next.rollout;
}

import type { Check } from "../../analysis/check.ts";
import { freeze } from "../../config/freeze.ts";
import type { Expectation, Plan } from "../plan.ts";
import { checkName, stepName } from "./checks.ts";
import { defaultWindow, METRIC_FACTS, RISK } from "./metric-facts.ts";
import { readLimit } from "./scalars.ts";
import type { CheckFile, PlanFile } from "./schema.ts";

const WHOLE_BP = 10_000;

/** The file, which has passed every check, as the program uses it. The result is frozen to its depths. */
export function compilePlan(file: PlanFile): Plan {
  return freeze({
    name: file.name,
    flag: file.flag,
    description: file.description,
    timezone: file.timezone,
    withinMs: file.within,
    steps: file.steps.map((step) => ({
      name: step.name ?? stepName({ percentage: step.percentage / 100 }) ?? "step",
      percentageBp: step.percentage,
      dwellMs: step.dwell,
      gates: step.gates.map((gate) => compileCheck("gate", gate)),
      approvals: step.approvals,
      webhooks: step.webhooks,
    })),
    segments: Object.entries(file.segments).map(([name, { from }]) => ({ name, fromBp: from })),
    gates: file.gates.map((gate) => compileCheck("gate", gate)),
    triggers: file.triggers.map((trigger) => compileCheck("trigger", trigger)),
    calendar: { days: file.calendar.days.toSorted((a, b) => a - b), hours: file.calendar.hours, freeze: file.calendar.freeze },
    rollback: {
      hooks: file.rollback.hooks,
      limitMs: file.rollback.limit,
      trafficLimitMs: file.rollback.traffic_limit,
      stableCapacity: file.rollback.stable_capacity,
      shiftMs: file.rollback.shift,
    },
    experiment: {
      minUsers: file.experiment.min_users,
      confidence: file.experiment.confidence / WHOLE_BP,
      effect: file.experiment.effect / WHOLE_BP,
      ...given("phaseMs", file.experiment.phase),
    },
    expects: compileExpectation(file.expects),
  });
}

function compileCheck(kind: "gate" | "trigger", file: CheckFile): Check {
  const { metric, of } = file;
  const facts = METRIC_FACTS[metric];
  const forMs = file.for ?? 0;
  const limit = readLimit(metric, of, file.at_most ?? file.at_least ?? "");
  if ("wrong" in limit) throw new Error("a limit that cannot be read passed the checks");
  return {
    name: checkName(file) ?? metric,
    metric,
    of,
    limit: { kind: file.at_most === undefined ? "at-least" : "at-most", value: limit.value },
    window: file.window ?? defaultWindow(kind, metric, forMs),
    forMs,
    minSample: file.min_sample ?? facts.minSample[kind],
    risk: file.risk ?? RISK[kind],
    each: file.each,
    route: file.route,
    segment: file.segment,
    required: file.required ?? (kind === "gate" || facts.required),
  };
}

function compileExpectation({ stable, ...file }: PlanFile["expects"]): Expectation {
  return {
    requestsPerSecond: file.requests,
    feedbackPerDay: file.feedback,
    users: file.users,
    p95Ms: file.p95,
    fallbacks: fraction(file.fallbacks),
    errors: fraction(file.errors),
    ...given("accuracy", fraction(file.accuracy)),
    ...given("satisfaction", fraction(file.satisfaction)),
    stable: {
      ...given("p95Ms", stable.p95),
      ...given("errors", fraction(stable.errors)),
      ...given("accuracy", fraction(stable.accuracy)),
      ...given("satisfaction", fraction(stable.satisfaction)),
    },
  };
}

function fraction(basisPoints: number | undefined): number | undefined {
  return basisPoints === undefined ? undefined : basisPoints / WHOLE_BP;
}

/** A member that is absent where there is no value. */
function given<K extends string>(key: K, value: number | undefined): { readonly [P in K]?: number } {
  // A computed key widens to `string` in the type, whatever its own type is.
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: number });
}

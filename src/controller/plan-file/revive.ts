import { IANAZone } from "luxon";
import { z } from "zod";
import { type Check, METRICS } from "../../analysis/check.ts";
import type { Plan } from "../plan.ts";
import { isDate } from "./scalars.ts";

/** A plan in the program's units, as JSON holds it. Members that JSON leaves out because they are undefined are put back. */

const word = z.string().min(1).max(256);
const ms = z.number().nonnegative();
const share = z.number().min(0).max(1);
const basisPoints = z.int().min(0).max(10_000);
const absent = <T extends z.ZodType>(schema: T) => schema.optional();

const check = z.strictObject({
  name: word,
  metric: z.enum(METRICS),
  of: z.enum(["candidate", "ratio", "difference"]),
  limit: z.strictObject({ kind: z.enum(["at-most", "at-least"]), value: z.number() }),
  window: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("last"), ms: z.number().positive() }),
    z.strictObject({ kind: z.literal("step") }),
    z.strictObject({ kind: z.literal("start") }),
  ]),
  forMs: ms,
  minSample: z.int().min(1),
  risk: z.number().gt(0).lt(1),
  each: z.enum(["all", "route", "segment"]),
  route: absent(word),
  segment: absent(word),
  required: z.boolean(),
});

const step = z.strictObject({
  name: word,
  percentageBp: basisPoints,
  dwellMs: ms,
  gates: z.array(check),
  approvals: z.array(word),
  webhooks: z.array(word),
});

const date = z.string().refine(isDate);
const minute = z.int().min(0).max(1_440);

const plan = z.strictObject({
  name: word,
  flag: word,
  description: z.string(),
  timezone: z.string().refine((name) => IANAZone.isValidZone(name)),
  withinMs: ms,
  steps: z.array(step).min(1),
  segments: z.array(z.strictObject({ name: word, fromBp: basisPoints })),
  gates: z.array(check),
  triggers: z.array(check),
  calendar: z.strictObject({
    days: z.array(z.int().min(1).max(7)),
    hours: absent(z.strictObject({ from: minute, to: minute })),
    freeze: z.array(z.strictObject({ from: date, to: date })),
  }),
  rollback: z.strictObject({
    hooks: z.array(word),
    limitMs: ms,
    trafficLimitMs: ms,
    stableCapacity: absent(z.number().positive()),
    shiftMs: ms,
  }),
  experiment: z.strictObject({
    minUsers: z.number().min(1),
    confidence: share,
    effect: share,
    phaseMs: z.number().positive().exactOptional(),
  }),
  expects: z.strictObject({
    requestsPerSecond: absent(z.number().positive()),
    feedbackPerDay: absent(z.number().positive()),
    users: absent(z.number().min(1)),
    p95Ms: absent(z.number().positive()),
    fallbacks: absent(share),
    errors: absent(share),
    accuracy: share.exactOptional(),
    satisfaction: share.exactOptional(),
    stable: z
      .strictObject({
        p95Ms: z.number().positive().exactOptional(),
        errors: share.exactOptional(),
        accuracy: share.exactOptional(),
        satisfaction: share.exactOptional(),
      })
      .exactOptional(),
  }),
});

type PlanJson = z.output<typeof plan>;

/** A plan as it comes back from JSON, whole; undefined: it is none, or holds what this version does not know. Never throws. */
export function revivePlan(json: unknown): Plan | undefined {
  const parsed = plan.safeParse(json);
  return parsed.success ? complete(parsed.data) : undefined;
}

function complete(json: PlanJson): Plan {
  return {
    ...json,
    steps: json.steps.map((step) => ({ ...step, gates: step.gates.map(completeCheck) })),
    gates: json.gates.map(completeCheck),
    triggers: json.triggers.map(completeCheck),
    calendar: { ...json.calendar, hours: json.calendar.hours },
    rollback: { ...json.rollback, stableCapacity: json.rollback.stableCapacity },
    expects: {
      ...json.expects,
      requestsPerSecond: json.expects.requestsPerSecond,
      feedbackPerDay: json.expects.feedbackPerDay,
      users: json.expects.users,
      p95Ms: json.expects.p95Ms,
      fallbacks: json.expects.fallbacks,
      errors: json.expects.errors,
    },
  };
}

function completeCheck(json: PlanJson["gates"][number]): Check {
  return { ...json, route: json.route, segment: json.segment };
}

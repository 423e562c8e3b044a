import { z } from "zod";
import { revivePlan } from "./plan-file/revive.ts";
import type { Rollout } from "./rollout.ts";

/** Of the form below. Any change that an older program would misread raises it; so does a new member, for members that are not known are refused. */
const VERSION = 2;
/** Versions that lack only members that may be missing. */
const READABLE = [1, VERSION] as const;

/** A text that is no rollout, or one that this program is too old for. */
export class UnreadableRollout extends Error {
  override readonly name = "UnreadableRollout";
}

const instant = z.number();
const length = z.number().nonnegative();
const place = z.int().min(-1);
/** A member that JSON leaves out because it is undefined, put back by the transforms below. */
const absent = <T extends z.ZodType>(schema: T) => schema.optional();

const stay = z.strictObject({ step: place, from: instant, to: absent(instant) }).transform(({ step, from, to }) => ({ step, from, to }));

const approval = z.strictObject({ who: z.string(), role: z.string(), at: instant });

const hookRun = z
  .strictObject({
    name: z.string(),
    status: z.enum(["pending", "running", "done", "failed", "timed-out", "unknown"]),
    by: absent(z.string()),
    limitMs: absent(length),
    startedAt: absent(instant),
    ms: absent(length),
    detail: z.string(),
  })
  .transform(({ name, status, by, limitMs, startedAt, ms, detail }) => ({
    name,
    status,
    startedAt,
    ms,
    detail,
    // Last, for they come in when the hook begins: a text that is read and written is the same text.
    ...(by === undefined ? {} : { by }),
    ...(limitMs === undefined ? {} : { limitMs }),
  }));

const traffic = z.strictObject({
  revision: z.int().nonnegative(),
  acknowledged: z.array(z.string()),
  missing: z.array(z.string()),
  ms: length,
});

const rollback = z
  .strictObject({
    step: place,
    at: instant,
    by: z.string(),
    why: z.string(),
    trigger: absent(z.string()),
    shift: z.array(z.strictObject({ percentageBp: z.int().min(0).max(10_000), at: instant })),
    traffic: absent(traffic),
    hooks: z.array(hookRun),
    endedAt: absent(instant),
    others: absent(z.record(z.string(), z.int().min(0).max(10_000))),
  })
  // In the order in which they were written, so that a text that is read and written is the same text.
  .transform(({ step, at, by, why, trigger, shift, traffic, hooks, endedAt, others }) => {
    const known = { step, at, by, why, trigger, shift, traffic, hooks, endedAt };
    return others === undefined ? known : { ...known, others };
  });

const state = z.discriminatedUnion("status", [
  z.strictObject({ status: z.enum(["progressing", "waiting"]), step: z.int().min(0) }),
  z
    .strictObject({
      status: z.literal("held"),
      step: z.int().min(0),
      since: instant,
      cause: z.enum(["pause", "foreign"]),
      by: z.string(),
      why: z.string(),
      edited: absent(z.boolean()),
    })
    .transform(({ edited, ...rest }) => ({ ...rest, ...(edited === undefined ? {} : { edited }) })),
  z.strictObject({ status: z.literal("rolling-back"), rollback }),
  z.strictObject({ status: z.literal("rolled-back"), rollback }),
  z.strictObject({ status: z.literal("completed"), at: instant }),
]);

const document = z.strictObject({
  version: z.literal(READABLE),
  rollout: z.strictObject({
    id: z.string().min(1),
    flag: z.string().min(1),
    plan: z.unknown(),
    startedAt: instant,
    startedBy: z.string(),
    state,
    stays: z.array(stay),
    approvals: z.array(approval),
  }),
});

/** The document as the store keeps it. */
export function writeRollout(rollout: Rollout): string {
  return JSON.stringify({ version: VERSION, rollout });
}

/**
 * Reads what {@link writeRollout} wrote, whole or not at all. Throws {@link UnreadableRollout}: a document that cannot be read is not "none", or the
 * next to start would write over a rollout that a newer program is in the middle of.
 */
export function readRollout(text: string): Rollout {
  const json = parsed(text);
  const version = versionOf(json);
  if (version > VERSION) {
    throw new UnreadableRollout(
      `the rollout's document has version ${version} and this program reads version ${VERSION}: a newer crossfade wrote it; upgrade this instance`,
    );
  }
  const found = document.safeParse(json);
  if (!found.success) throw new UnreadableRollout(`the rollout's document is damaged: ${problemsText(found.error)}`);
  const plan = revivePlan(found.data.rollout.plan);
  if (plan === undefined) throw new UnreadableRollout("the rollout's document is damaged: its plan is none that this version knows");
  const rollout: Rollout = { ...found.data.rollout, plan };
  const astray = stepsOf(rollout).find((step) => step >= plan.steps.length);
  if (astray !== undefined) throw new UnreadableRollout(`the rollout's document is damaged: the plan has no step ${astray}`);
  return rollout;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UnreadableRollout("the rollout's document is damaged: it is not JSON", { cause });
  }
}

function versionOf(json: unknown): number {
  const version = typeof json === "object" && json !== null && "version" in json ? json.version : undefined;
  if (typeof version !== "number") throw new UnreadableRollout("the rollout's document is damaged: it has no version");
  return version;
}

function stepsOf({ state, stays }: Rollout): readonly number[] {
  const present = "step" in state ? [state.step] : "rollback" in state ? [state.rollback.step] : [];
  return [...present, ...stays.map(({ step }) => step)];
}

function problemsText({ issues }: z.ZodError): string {
  const told = issues.slice(0, 3).map(({ path, message }) => `${path.map(String).join(".")}: ${message}`);
  return issues.length > told.length ? `${told.join("; ")}; and ${issues.length - told.length} more` : told.join("; ");
}

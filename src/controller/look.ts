import type { BusinessSource } from "../analysis/business.ts";
import type { Check, Judged } from "../analysis/check.ts";
import { evidenceFor } from "../analysis/evidence.ts";
import type { FiguresSource } from "../analysis/figures.ts";
import { judge } from "../analysis/judge.ts";
import { calendarVerdict } from "./calendar.ts";
import type { Seen } from "./next.ts";
import type { Rollout } from "./rollout.ts";
import { lastStep } from "./stays.ts";

/** Where everything that a decision rests on is to be had. */
export interface Sources {
  readonly figures: FiguresSource;
  /** Of the rollout. */
  readonly business: (rollout: Rollout) => BusinessSource;
  /** What the flag's settings are at present. */
  readonly inForce: () => Seen["inForce"];
  /** Asks the stable arm whether it is well, for so long at most; with 0 what was last known of it. */
  readonly probeStable: (timeoutMs: number) => Promise<Seen["stable"]>;
  /** What the webhooks of the present step said last. */
  readonly webhooks: (rollout: Rollout, names: readonly string[], now: number) => Seen["webhooks"];
  /** Told of what could not be had; it is then as if there were no data. */
  readonly onMissing?: (what: string, error: unknown) => void;
}

/** A trigger that fires waits no longer than this for word of the stable arm. */
const PROBE_MS = 150;
/** The rate of requests is that of so long. */
const RATE_MS = 10_000;

/**
 * Fetches what is new and judges every check of the present step by it. Never rejects for want of figures: a rollback that is under way goes on
 * without them, and a check without a verdict holds.
 */
export async function look(rollout: Rollout, sources: Sources, now: number): Promise<Seen> {
  const { figures, inForce } = sources;
  const { plan, state } = rollout;
  const business = sources.business(rollout);
  const missing = (what: string) => (error: unknown) => {
    sources.onMissing?.(what, error);
    return undefined;
  };
  const [upTo] = await Promise.all([
    figures.refresh(now).catch(missing("figures")),
    business.refresh(now).catch(missing("business figures")),
  ]);
  const to = upTo ?? now;
  const step = "step" in state ? state.step : undefined;
  const present = step === undefined ? undefined : plan.steps[step];
  const times = {
    now: to,
    stepFrom: Math.min(to, rollout.stays.at(-1)?.from ?? rollout.startedAt),
    startFrom: Math.min(to, rollout.startedAt),
    step: lastStep(rollout),
    stays: rollout.stays.map((stay) => ({ from: stay.from, to: Math.max(stay.from, stay.to ?? to) })),
  };
  const judgeAll = async (checks: readonly Check[]): Promise<readonly Judged[]> =>
    upTo === undefined
      ? []
      : (
          await Promise.all(
            checks.map(async (check) => {
              const evidence = await evidenceFor(check, times, figures, business).catch(missing(`figures for ${check.name}`));
              return evidence === undefined ? [] : judge(check, evidence);
            }),
          )
        ).flat();
  const watched = present !== undefined || state.status === "completed";
  const triggers = watched ? await judgeAll(plan.triggers) : [];
  const gates = present === undefined ? [] : await judgeAll([...plan.gates, ...present.gates]);
  const fires = triggers.some(({ verdict }) => verdict.verdict === "fail");
  const lately = upTo === undefined ? undefined : await figures.between(to - RATE_MS, to).catch(missing("the rate of requests"));
  const requests = lately?.cells.reduce((sum, { stable, candidate }) => sum + stable.requests + candidate.requests, 0) ?? 0;
  return {
    triggers,
    gates,
    webhooks: present === undefined ? [] : sources.webhooks(rollout, present.webhooks, now),
    calendar: calendarVerdict(plan.calendar, plan.timezone, now),
    inForce: inForce(),
    figuresAgeMs: upTo === undefined ? undefined : Math.max(0, now - upTo),
    stable: await sources.probeStable(fires ? PROBE_MS : 0),
    requestsPerSecond: lately !== undefined && lately.coveredMs > 0 ? (requests * 1_000) / lately.coveredMs : undefined,
  };
}

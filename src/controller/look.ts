import { BUSINESS_METRICS, type BusinessSource, SIGNAL_KINDS } from "../analysis/business.ts";
import type { Check, Judged } from "../analysis/check.ts";
import { evidenceFor, type Times } from "../analysis/evidence.ts";
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
  /** Who looks, and who else was heard of lately; undefined: not known. */
  readonly self: string;
  readonly alive: () => Promise<readonly string[] | undefined>;
  /** Time limits of the hooks of the configuration, by name. */
  readonly hookLimits: Readonly<Record<string, number>>;
  /** The clock of this instance less that of the store; undefined: not known. */
  readonly clockOffMs: () => number | undefined;
  /** Instances that serve and of which no figures come. */
  readonly silent?: (alive: readonly string[]) => readonly string[];
  /** Routes and segments of the flag, by name. */
  readonly routes: readonly string[];
  readonly segments: () => readonly string[];
  /** Told of what could not be had; it is then as if there were no data. */
  readonly onMissing?: (what: string, error: unknown) => void;
}

/** A trigger that fires waits no longer than this for word of the stable arm. */
const PROBE_MS = 150;
/** The rate of requests is that of so long. */
const RATE_MS = 10_000;
/** Longer than this no look waits for figures. */
const FIGURES_MS = 3_000;

/**
 * Fetches what is new and judges every check of the present step by it. Never rejects for want of figures: what cannot be had has no verdict, and
 * holds. What people and other systems report goes by its own time and is judged first: a trigger that fires on it waits for no figures. A rollback
 * that is under way needs none.
 */
export async function look(rollout: Rollout, sources: Sources, now: number): Promise<Seen> {
  const { plan, state } = rollout;
  const step = "step" in state ? state.step : undefined;
  const present = step === undefined ? undefined : plan.steps[step];
  const seen: Seen = {
    triggers: [],
    gates: [],
    webhooks: present === undefined ? [] : sources.webhooks(rollout, present.webhooks, now),
    calendar: calendarVerdict(plan.calendar, plan.timezone, now),
    inForce: sources.inForce(),
    figuresAgeMs: undefined,
    stable: await sources.probeStable(0),
    requestsPerSecond: undefined,
    self: sources.self,
    alive: undefined,
    hookLimits: sources.hookLimits,
    clockOffMs: sources.clockOffMs(),
    silent: [],
  };
  const alive = await sources.alive().catch(missing(sources, "the list of instances"));
  if (state.status === "rolling-back" || state.status === "rolled-back") return { ...seen, alive };

  const triggers = await judgeReports(plan.triggers, rollout, sources, now);
  if (fires(triggers)) return { ...seen, alive, triggers, stable: await sources.probeStable(PROBE_MS) };
  const gates = present === undefined ? [] : [...plan.gates, ...present.gates];
  const figured = await within(FIGURES_MS, judgeFigures(plan.triggers, gates, rollout, sources, now)).catch(missing(sources, "figures"));
  const all = [...triggers, ...(figured?.triggers ?? [])];
  return {
    ...seen,
    alive,
    triggers: all,
    gates: [...(await judgeReports(gates, rollout, sources, now)), ...(figured?.gates ?? [])],
    figuresAgeMs: figured?.ageMs,
    requestsPerSecond: figured?.requestsPerSecond,
    silent: alive === undefined ? [] : (sources.silent?.(alive) ?? []),
    stable: fires(all) ? await sources.probeStable(PROBE_MS) : seen.stable,
  };
}

/**
 * Triggers that go by what is reported and can still fail after a rollback, when the candidate gets no requests: for whoever wants to resume.
 * Of incidents only those count that were told since the rollback: the others are why it was made, or were looked at then.
 */
export async function lookAtReports(rollout: Rollout, sources: Sources, now: number): Promise<readonly Judged[]> {
  const { state, plan } = rollout;
  const since = "rollback" in state ? state.rollback.at : rollout.startedAt;
  const lasting = plan.triggers.filter(({ metric, window }) => window.kind === "last" && !isIncident(metric));
  const incidents = plan.triggers.filter(({ metric }) => isIncident(metric));
  return [
    ...(await judgeReports(lasting, rollout, sources, now)),
    ...(await judgeReports(incidents, { ...rollout, startedAt: since }, sources, now)),
  ];
}

function isIncident(metric: Check["metric"]): boolean {
  return metric === "security" || metric === "sessions_lost";
}

function fires(judged: readonly Judged[]): boolean {
  return judged.some(({ verdict }) => verdict.verdict === "fail");
}

const REPORTED: ReadonlySet<string> = new Set([...BUSINESS_METRICS, ...SIGNAL_KINDS]);

/** Checks on what people and other systems say. Where that cannot be read each is without data, and holds even if it need not speak. */
async function judgeReports(checks: readonly Check[], rollout: Rollout, sources: Sources, now: number): Promise<readonly Judged[]> {
  const own = checks.filter(({ metric }) => REPORTED.has(metric));
  if (own.length === 0) return [];
  const business = sources.business(rollout);
  const read = await business.refresh(now).then(() => true, missing(sources, "business figures"));
  if (read === true) return judgeAll(own, rollout, sources, now);
  return own.map((check) => ({
    check: { ...check, required: true },
    scope: undefined,
    verdict: {
      verdict: "no-data",
      value: undefined,
      low: undefined,
      high: undefined,
      sample: 0,
      why: `${check.metric} cannot be read at present`,
    },
  }));
}

interface Figured {
  readonly triggers: readonly Judged[];
  readonly gates: readonly Judged[];
  readonly ageMs: number | undefined;
  readonly requestsPerSecond: number | undefined;
}

async function judgeFigures(
  triggers: readonly Check[],
  gates: readonly Check[],
  rollout: Rollout,
  sources: Sources,
  now: number,
): Promise<Figured | undefined> {
  const { figures } = sources;
  const upTo = await figures.refresh(now);
  if (upTo === undefined) return undefined;
  const counted = (checks: readonly Check[]): readonly Check[] => checks.filter(({ metric }) => !REPORTED.has(metric));
  const lately = await figures.between(upTo - RATE_MS, upTo);
  const requests = lately.cells.reduce((sum, { stable, candidate }) => sum + stable.requests + candidate.requests, 0);
  return {
    triggers: await judgeAll(counted(triggers), rollout, sources, upTo),
    gates: await judgeAll(counted(gates), rollout, sources, upTo),
    ageMs: Math.max(0, now - upTo),
    requestsPerSecond: lately.coveredMs > 0 ? (requests * 1_000) / lately.coveredMs : undefined,
  };
}

async function judgeAll(checks: readonly Check[], rollout: Rollout, sources: Sources, to: number): Promise<readonly Judged[]> {
  const times: Times = {
    now: to,
    stepFrom: Math.min(to, rollout.stays.at(-1)?.from ?? rollout.startedAt),
    startFrom: Math.min(to, rollout.startedAt),
    step: lastStep(rollout),
    stays: rollout.stays.map((stay) => ({ from: stay.from, to: Math.max(stay.from, stay.to ?? to) })),
    routes: sources.routes,
    segments: sources.segments(),
  };
  const business = sources.business(rollout);
  const judged = await Promise.all(
    checks.map(async (check) => {
      const evidence = await evidenceFor(check, times, sources.figures, business).catch(missing(sources, `figures for ${check.name}`));
      return evidence === undefined ? [] : judge(check, evidence);
    }),
  );
  return judged.flat();
}

function missing(sources: Sources, what: string): (error: unknown) => undefined {
  return (error) => {
    sources.onMissing?.(what, error);
    return undefined;
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms / 1_000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

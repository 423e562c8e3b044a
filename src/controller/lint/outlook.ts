import type { Check } from "../../analysis/check.ts";
import { type Assumed, type Needed, observationsNeeded } from "../../analysis/stats/time-to-decide.ts";
import { METRIC_FACTS } from "../plan-file/metric-facts.ts";
import type { Step } from "../plan.ts";
import type { Subject } from "./finding.ts";
import { gatesOf, triggersOf, type Placed } from "./words.ts";

/** How long checks take to come to a verdict, with the traffic and the figures that the plan expects. */

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const WHOLE_BP = 10_000;

export interface Rates {
  /** Observations per millisecond of each arm; undefined: not known. */
  readonly candidate: number;
  readonly stable: number;
}

/** Share of the candidate at a step, 0..1. */
export function shareOf(step: Step): number {
  return step.percentageBp / WHOLE_BP;
}

/** What is expected of a metric, in its unit; undefined: the plan says nothing. */
function expectedOf({ plan }: Subject, check: Check): Pick<Assumed, "candidate" | "stable"> | undefined {
  const { errors, p95Ms, fallbacks, accuracy, satisfaction, stable = {} } = plan.expects;
  const both = (candidate: number | undefined, other: number | undefined): Pick<Assumed, "candidate" | "stable"> | undefined =>
    candidate === undefined || (check.of !== "candidate" && other === undefined) ? undefined : { candidate, stable: other };
  switch (check.metric) {
    case "errors":
      return both(errors, stable.errors);
    case "availability":
      return both(complement(errors), complement(stable.errors));
    case "p95":
      return both(p95Ms, stable.p95Ms);
    case "fallbacks":
      return both(fallbacks, undefined);
    case "accuracy":
      return both(accuracy, stable.accuracy);
    case "satisfaction":
      return both(satisfaction, stable.satisfaction);
    case "requests":
      return { candidate: check.limit.value, stable: undefined };
    // Of a ratio the level does not matter: taken to be the same in both arms.
    case "revenue":
      return check.of === "ratio" ? { candidate: 1, stable: 1 } : undefined;
    default:
      return undefined;
  }
}

function complement(share: number | undefined): number | undefined {
  return share === undefined ? undefined : 1 - share;
}

/** The value that is compared with the limit, if all is as expected. */
export function expectedValue(subject: Subject, check: Check): number | undefined {
  const expected = expectedOf(subject, check);
  if (expected === undefined || check.metric === "requests") return undefined;
  const { candidate, stable } = expected;
  if (check.of === "candidate") return candidate;
  if (stable === undefined) return undefined;
  return check.of === "difference" ? candidate - stable : candidate / stable;
}

/** How fast observations for a check come in at a step; undefined: not known. */
function ratesOf({ plan, config }: Subject, check: Check, step: Step): Rates | undefined {
  const { requestsPerSecond, feedbackPerDay } = plan.expects;
  // How many users a segment has is nowhere said.
  if (check.segment !== undefined || check.each === "segment") return undefined;
  const { family } = METRIC_FACTS[check.metric];
  if (family === "signal") return undefined;
  const perMs = family === "people" ? divided(feedbackPerDay, DAY_MS) : divided(requestsPerSecond, SECOND_MS);
  if (perMs === undefined) return undefined;
  const routes = config?.routes.filter(({ action }) => action.kind === "split" && action.flag === plan.flag).length ?? 1;
  const part = check.each === "route" || check.route !== undefined ? perMs / Math.max(1, routes) : perMs;
  const share = shareOf(step);
  return { candidate: part * share, stable: part * (1 - share) };
}

function divided(rate: number | undefined, ms: number): number | undefined {
  return rate === undefined ? undefined : rate / ms;
}

/**
 * How many comparisons with the stable arm are reckoned, the dearest thing of all: tens of milliseconds each, on the thread that also judges rollouts.
 * Plans of this size have some thirty.
 */
export const MOST_RECKONED = 60;

/** Reckons what checks need, equal ones once, and of those that compare only so many. */
export class Reckoning {
  readonly #most: number;
  readonly #known = new Map<string, Needed>();
  #compared = 0;
  #leftOut = 0;

  constructor(most = MOST_RECKONED) {
    this.#most = most;
  }

  /** How often the answer was that there was too much to reckon. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Undefined: there was too much before. */
  needed(check: Check, assumed: Assumed): Needed | undefined {
    const { metric, of, limit, window, minSample, risk } = check;
    const compares = of !== "candidate";
    // Without a comparison it is all the same how many users are on the other arm.
    const key = JSON.stringify([metric, of, limit, window.kind === "last", minSample, risk, assumed.candidate, compares && assumed]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (compares && this.#compared >= this.#most) {
      this.#leftOut++;
      return undefined;
    }
    if (compares) this.#compared++;
    const needed = observationsNeeded(check, assumed);
    this.#known.set(key, needed);
    return needed;
  }
}

export interface Outlook {
  readonly placed: Placed;
  readonly step: number;
  readonly rates: Rates;
  /** Observations of the candidate that the verdict needs, and how long they take to come in. Infinity: it never passes. */
  readonly needed: number;
  readonly ms: number;
  /** As `ms`, for the smallest sample alone. */
  readonly sampleMs: number;
  /** How much time the window takes in; Infinity: it grows. */
  readonly spanMs: number;
}

/**
 * One for each gate and trigger at each step where it applies and can be reckoned. Growing windows are taken to begin with the step; those
 * that begin with the rollout are at least as fast.
 */
export function outlooksOf(subject: Subject, kind: "gates" | "triggers", reckoning: Reckoning): readonly Outlook[] {
  const { plan } = subject;
  return (kind === "gates" ? gatesOf(plan) : triggersOf(plan)).flatMap((placed) =>
    plan.steps.flatMap((step, index) => {
      if (placed.step !== undefined && placed.step !== index) return [];
      const outlook = outlookOf(subject, placed, { index, step, reckoning });
      return outlook === undefined ? [] : [outlook];
    }),
  );
}

interface At {
  readonly index: number;
  readonly step: Step;
  readonly reckoning: Reckoning;
}

function outlookOf(subject: Subject, placed: Placed, { index, step, reckoning }: At): Outlook | undefined {
  const { check } = placed;
  const rates = ratesOf(subject, check, step);
  const expected = expectedOf(subject, check);
  if (rates === undefined || rates.candidate <= 0) return undefined;
  const compares = check.of !== "candidate";
  if (compares && rates.stable <= 0) return undefined;
  const time = (candidate: number, stable: number): number => Math.max(candidate / rates.candidate, compares ? stable / rates.stable : 0);
  const needed = expected === undefined ? undefined : reckoning.needed(check, { ...expected, share: shareOf(step) });
  return {
    placed,
    step: index,
    rates,
    needed: needed?.candidate ?? Number.NaN,
    ms: needed === undefined ? Number.NaN : time(needed.candidate, needed.stable),
    sampleMs: time(check.minSample, check.minSample),
    spanMs: check.window.kind === "last" ? Math.max(check.window.ms, check.forMs) : Infinity,
  };
}

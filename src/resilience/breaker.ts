import { lowerTail, upperTail } from "./binomial.ts";

/** Returning: the candidate gets a part of its share, more with each step, before the breaker is closed again. */
export type BreakerState = "closed" | "open" | "half-open" | "returning";
export type OpenReason = "budget" | "errors" | "accuracy" | "connect" | "hand";
export type Admission = "candidate" | "probe" | "stable";

/** The parts of the candidate's share on its way back, in basis points. */
const RETURN_STEPS: readonly number[] = [500, 2500, 5000];

interface Common {
  /** When the state began, on the clock of `now`; 0 when nothing has happened yet. */
  readonly since: number;
  /** Counts and late answers of another era say nothing about this one. */
  readonly era: number;
  /** The budget's era. It outlives the opening: requests that are under way then still fall back on what is left. */
  readonly loadEra: number;
  /** How often the breaker has opened by itself. */
  readonly openings: number;
}

interface Reopening {
  /** Why it opened. */
  readonly why: OpenReason;
  /** How often it has opened again since it was closed last. */
  readonly level: number;
}

interface Closed extends Common {
  readonly state: "closed";
  readonly held: boolean;
}
interface Open extends Common, Reopening {
  readonly state: "open";
  readonly held: boolean;
}
interface HalfOpen extends Common, Reopening {
  readonly state: "half-open";
  /** Good probes in a row. */
  readonly good: number;
  /** Whether the last probe is still under way, and when it began. */
  readonly probing: boolean;
  readonly probedAt: number;
}
interface Returning extends Common, Reopening {
  readonly state: "returning";
  /** Index into {@link RETURN_STEPS}. */
  readonly step: number;
}
export type Breaker = Closed | Open | HalfOpen | Returning;

export const FIRST: Breaker = { state: "closed", held: false, since: 0, era: 1, loadEra: 1, openings: 0 };

export interface BreakerTimings {
  /** How long it stays open the first time; it doubles with each time that it opens again before it was closed. */
  readonly openMs: number;
  readonly openMaxMs: number;
  /** Half-open: the shortest time from one probe to the next. */
  readonly probeEveryMs: number;
  /** A probe of which nothing was heard for so long was lost with its worker. */
  readonly probeTimeoutMs: number;
  /** Good probes in a row that begin the return. */
  readonly goodProbes: number;
  /** The shortest time that a step of the return takes. A step ends with a good answer, never by time alone. */
  readonly stepMs: number;
  /** Attempts in a row that found nobody. */
  readonly unreachableRun: number;
}

export const BREAKER_TIMINGS: BreakerTimings = {
  openMs: 5000,
  openMaxMs: 60_000,
  probeEveryMs: 200,
  probeTimeoutMs: 10_000,
  goodProbes: 5,
  stepMs: 5000,
  unreachableRun: 5,
};

/** What happens to a request of the candidate's. A probe must first be entered by {@link probed}. */
export function decideAdmission(breaker: Breaker, now: number, draw: number, timings: BreakerTimings): Admission {
  switch (breaker.state) {
    case "closed":
      return "candidate";
    case "open":
      return !breaker.held && now - breaker.since >= openFor(breaker.level, timings) ? "probe" : "stable";
    case "half-open":
      return now - breaker.probedAt >= (breaker.probing ? timings.probeTimeoutMs : timings.probeEveryMs) ? "probe" : "stable";
    case "returning":
      return draw * 10_000 < shareBp(breaker) ? "candidate" : "stable";
  }
}

/** The part of its requests that the candidate gets, probes aside. */
export function shareBp(breaker: Breaker): number {
  if (breaker.state === "closed") return 10_000;
  return breaker.state === "returning" ? (RETURN_STEPS[breaker.step] ?? 10_000) : 0;
}

function openFor(level: number, { openMs, openMaxMs }: BreakerTimings): number {
  return Math.min(openMaxMs, openMs * 2 ** level);
}

/** Open or half-open, a probe sets out. The first one makes the breaker half-open. */
export function probed(breaker: Breaker, now: number): Breaker | undefined {
  if (breaker.state === "half-open") return { ...breaker, probing: true, probedAt: now };
  return breaker.state === "open" ? halfOpen(breaker, breaker, now, true) : undefined;
}

function halfOpen(from: Common, { why, level }: Reopening, now: number, probing: boolean): HalfOpen {
  const era = from.era + 1;
  const probedAt = probing ? now : 0;
  return { state: "half-open", why, level, good: 0, probing, probedAt, since: now, era, loadEra: era, openings: from.openings };
}

/** The probe under way has ended. Undefined for a good one: nothing was learnt. */
export function probeEnded(
  breaker: Breaker,
  now: number,
  good: boolean | undefined,
  failure: OpenReason,
  timings: BreakerTimings,
): Breaker {
  if (breaker.state !== "half-open") return breaker;
  if (good === undefined) return { ...breaker, probing: false };
  if (!good) return opened(breaker, now, failure) ?? breaker;
  if (breaker.good + 1 < timings.goodProbes) return { ...breaker, probing: false, good: breaker.good + 1 };
  const { why, level, loadEra, openings } = breaker;
  return { state: "returning", why, level, step: 0, since: now, era: breaker.era + 1, loadEra, openings };
}

/** There is a reason to open. Undefined where that changes nothing: it is open already, or held by hand. */
export function opened(breaker: Breaker, now: number, why: OpenReason): Breaker | undefined {
  if (breaker.state === "open" || (breaker.state === "closed" && breaker.held)) return undefined;
  const level = breaker.state === "closed" ? 0 : Math.min(30, breaker.level + 1);
  const { era, loadEra, openings } = breaker;
  return { state: "open", why, level, held: false, since: now, era: era + 1, loadEra, openings: openings + 1 };
}

/** A good answer while returning, and no reason to open: the next step when this one has lasted long enough. */
export function advanced(breaker: Breaker, now: number, timings: BreakerTimings): Breaker | undefined {
  if (breaker.state !== "returning" || now - breaker.since < timings.stepMs) return undefined;
  const { loadEra, openings } = breaker;
  const next = { since: now, era: breaker.era + 1, loadEra, openings };
  if (breaker.step + 1 === RETURN_STEPS.length) return { state: "closed", held: false, ...next };
  return { state: "returning", why: breaker.why, level: breaker.level, step: breaker.step + 1, ...next };
}

/** By hand. What was held open comes back by way of probes. Undefined where it is so already. */
export function forced(breaker: Breaker, now: number, to: "open" | "closed" | "auto"): Breaker | undefined {
  const held = "held" in breaker && breaker.held;
  const { loadEra, openings } = breaker;
  const common = { since: now, era: breaker.era + 1, loadEra, openings };
  if (to === "auto") {
    if (!held) return undefined;
    return breaker.state === "open" ? halfOpen(breaker, breaker, now, false) : { state: "closed", held: false, ...common };
  }
  if (held && breaker.state === to) return undefined;
  return to === "open" ? { state: "open", why: "hand", level: 0, held: true, ...common } : { state: "closed", held: true, ...common };
}

/** Attempts judged in the window. */
export interface Judged {
  readonly ok: number;
  readonly errors: number;
  readonly badQuality: number;
}

export interface OpenConditions {
  /** The breaker opens when the error rate is above this, in basis points. 0: off. */
  readonly errorRateBp: number;
  /** The breaker opens when the share of good-quality answers is below this, in basis points. 0: off. */
  readonly accuracyBp: number;
}

/** One-sided: the window would look like this once in a thousand times if the rate stood on the threshold. */
const RISK = 0.001;
const FEWEST = 3;

/**
 * Whether a window proves that a threshold is passed. The bound of Clopper and Pearson lies above a threshold exactly when
 * the tail at the threshold is below the risk, which is one evaluation instead of some fifty, and is only
 * made when the plain ratio is over the threshold.
 */
export function reasonToOpen({ ok, errors, badQuality }: Judged, { errorRateBp, accuracyBp }: OpenConditions): OpenReason | undefined {
  const judged = ok + errors + badQuality;
  if (errorRateBp > 0 && isSurelyAbove(errors, judged, errorRateBp)) return "errors";
  const answers = ok + badQuality;
  if (accuracyBp > 0 && badQuality >= FEWEST && ok * 10_000 < accuracyBp * answers)
    if (lowerTail(ok, answers, accuracyBp / 10_000) < RISK) return "accuracy";
  return undefined;
}

/** Whether so many of so many prove a rate above the threshold, in basis points. */
export function isSurelyAbove(hits: number, trials: number, thresholdBp: number): boolean {
  return hits >= FEWEST && hits * 10_000 > thresholdBp * trials && upperTail(hits, trials, thresholdBp / 10_000) < RISK;
}

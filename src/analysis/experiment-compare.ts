import type { BusinessCell, BusinessMetric, Clustered } from "./business.ts";
import type { Comparison, ExperimentAims, ExperimentMetric, Finding } from "./experiment.ts";
import { armsOf, type Slice } from "./experiment-slices.ts";
import { METRIC_TEXT, sentenceOn } from "./experiment-text.ts";
import type { ArmFigures, Latencies } from "./figures.ts";
import { rangeOf } from "./judge-samples.ts";
import { type ClusteredStratum, compareClustered, type ComparisonOptions, sumClustered } from "./stats/clustered.ts";
import { normalQuantile } from "./stats/distributions.ts";
import { joinLatencies } from "./stats/quantiles.ts";
import { minimumDetectableEffect } from "./stats/sample-size.ts";
import { compareSamples, type Compared, type Stratum } from "./stats/samples.ts";
import { boundary } from "./stats/search.ts";

/** What is the same for all metrics of one view and segment. */
export interface Setting {
  readonly aims: ExperimentAims;
  readonly by: "assigned" | "served";
  readonly segment: string;
  readonly confidence: number;
  readonly slices: readonly Slice[];
  readonly overall: readonly BusinessCell[] | undefined;
  /** Different users so far, over both arms and all steps. */
  readonly users: number;
  readonly trustworthy: boolean;
  /** What the present step brings in its time is what more time will bring. */
  readonly present: { readonly step: number; readonly elapsedMs: number } | undefined;
  /** Until there are enough users, at the present rate; Infinity: not at this rate. */
  readonly enoughInMs: number;
}

const POWER = 0.8;
const SLOW_MS = 100;
/** Effective users per user in halves: each arm has half of them, and the harmonic mean of the halves is half again. */
const EFFECTIVE_SHARE = 1 / 4;
/** Nobody plans further ahead, and more data than this need more than the same again. */
const LONGEST_MS = 10 * 365 * 86_400_000;
/** Users of each arm below which intervals that come true for large numbers only are not believed, not even for harm. */
const LEAST_USERS = 100;
/** Standard errors that an interval reaches, about, where it comes from bounds that know of none. */
const USUAL_REACH = 3;

export function businessComparison(metric: BusinessMetric, setting: Setting): Comparison {
  const { aims, slices, confidence } = setting;
  const strata = slices.map((slice) => spreadAlike(armsOf(slice, metric), metric));
  const risk = riskOf(confidence);
  const tightAt = Math.max(1, aims.minUsers * EFFECTIVE_SHARE);
  const options: ComparisonOptions = {
    as: "difference",
    risk,
    look: "always",
    range: rangeOf(metric),
    tightAt,
    overall: togetherOf(metric, setting),
  };
  const compared = compareClustered(strata, options);
  const { standardError, effectiveUsers } = compared;
  const detectableAt = (growth: number): number =>
    minimumDetectableEffect({
      standardError: standardError / Math.sqrt(growth),
      effectiveUsers: effectiveUsers * growth,
      risk,
      power: POWER,
      look: "always",
      tightAt,
    });
  const users = { stable: total(strata, ({ stable }) => stable.users), candidate: total(strata, ({ candidate }) => candidate.users) };
  const observed = { of: "users", ...users } as const;
  const ofPresent = total(presentOf(strata, setting), ({ candidate, stable }) => harmonic(candidate.users, stable.users));
  return finish(metric, setting, compared, { observed, detectableAt, amount: effectiveUsers, ofPresent });
}

export function durationComparisons(setting: Setting): readonly Comparison[] {
  const { by, slices, confidence } = setting;
  const pick = by === "assigned" ? (figures: ArmFigures) => figures.waits : (figures: ArmFigures) => figures.latencies;
  const strata = slices.map(({ figures }) => ({
    candidate: joinLatencies(figures.map(({ candidate }) => pick(candidate))),
    stable: joinLatencies(figures.map(({ stable }) => pick(stable))),
  }));
  const observed = {
    of: by === "assigned" ? "requests" : "attempts",
    stable: total(strata, ({ stable }) => stable.count),
    candidate: total(strata, ({ candidate }) => candidate.count),
  } as const;
  const amountOf = (arms: (typeof strata)[number]): number => harmonic(arms.candidate.count, arms.stable.count);
  const extent = { observed, amount: total(strata, amountOf), ofPresent: total(presentOf(strata, setting), amountOf) };
  const comparison = (metric: ExperimentMetric, sampleOf: (latencies: Latencies) => Stratum["stable"]): Comparison => {
    const samples = strata.map((arms) => ({ candidate: sampleOf(arms.candidate), stable: sampleOf(arms.stable) }));
    const compared = compareSamples(samples, { as: "difference", risk: riskOf(confidence), look: "always" });
    const reach = (compared.high - compared.low) / 2;
    const detectable = reach * (1 + normalQuantile(1 - POWER) / USUAL_REACH);
    return finish(metric, setting, compared, { ...extent, detectableAt: (growth) => detectable / Math.sqrt(growth) });
  };
  return [
    comparison("p50", (latencies) => ({ kind: "quantile", latencies, q: 0.5 })),
    comparison("p95", (latencies) => ({ kind: "quantile", latencies, q: 0.95 })),
    comparison("slow", (latencies) => ({ kind: "share", share: { hits: latencies.over(SLOW_MS), trials: latencies.count } })),
  ];
}

interface Extent {
  readonly observed: Comparison["observed"];
  /** Smallest difference found with {@link POWER} once there is so many times as much data. */
  readonly detectableAt: (growth: number) => number;
  /** How much data there is, of any unit, and how much of it the present step has brought. */
  readonly amount: number;
  readonly ofPresent: number;
}

function finish(metric: ExperimentMetric, setting: Setting, compared: Compared, extent: Extent): Comparison {
  const { aims, segment, confidence, present } = setting;
  const { unit, better } = METRIC_TEXT[metric];
  const known = isKnown(compared);
  const stable = known ? finite(compared.stable) : undefined;
  const effect = unit === "share" ? aims.effect : stable === undefined || stable <= 0 ? undefined : aims.effect * stable;
  const low = known ? finite(compared.low) : undefined;
  const high = known ? finite(compared.high) : undefined;
  const { observed } = extent;
  const isEnough = observed.of !== "users" || Math.min(observed.stable, observed.candidate) >= LEAST_USERS;
  const finding = findingOf({ low, high, effect, better, known, isEnough }, setting);
  const detectable = known ? finite(extent.detectableAt(1)) : undefined;
  const isDecided = finding === "better" || finding === "worse" || finding === "no-difference";
  const perMs = extent.ofPresent / Math.max(1, present?.elapsedMs ?? 0);
  const inMs = isDecided || effect === undefined ? 0 : Math.max(setting.enoughInMs, waitFor(effect, extent, perMs));
  const comparison = {
    metric,
    unit,
    better,
    segment,
    stable,
    candidate: known ? finite(compared.candidate) : undefined,
    difference: known ? finite(compared.value) : undefined,
    low,
    high,
    confidence,
    effect,
    observed,
    detectable,
    decidedInMs: (isDecided || effect !== undefined) && inMs <= LONGEST_MS ? Math.ceil(inMs) : undefined,
    finding,
  };
  return { ...comparison, why: sentenceOn(comparison, { users: setting.users, needed: aims.minUsers }) };
}

interface Found extends Pick<Comparison, "low" | "high" | "effect" | "better"> {
  readonly known: boolean;
  readonly isEnough: boolean;
}

function findingOf(
  { low = -Infinity, high = Infinity, effect = 0, better, known, isEnough }: Found,
  { aims, users, trustworthy }: Setting,
): Finding {
  if (!known) return "no-data";
  if (!trustworthy) return "untrustworthy";
  if (!isEnough) return "not-yet";
  const isSmall = low > -effect && high < effect;
  const [isBetter, isWorse] = better === "higher" ? [low > 0, high < 0] : [high < 0, low > 0];
  if (isWorse && !isSmall) return "worse";
  if (users < aims.minUsers) return "not-yet";
  if (isSmall) return "no-difference";
  return isBetter ? "better" : "not-yet";
}

/** Milliseconds until a difference of `effect` would be found, if data go on coming at this rate; Infinity: never. */
function waitFor(effect: number, { amount, detectableAt }: Extent, perMs: number): number {
  const isEnough = (growth: number): boolean => detectableAt(growth) <= effect;
  if (isEnough(1)) return 0;
  const most = 1 + (perMs * LONGEST_MS) / amount;
  if (!(perMs > 0) || !isEnough(most)) return Infinity;
  return ((boundary(most, 1, isEnough, 28) - 1) * amount) / perMs;
}

/**
 * Sums over all steps, if they are of just those users and events that are compared: otherwise they would say something of others. Steps
 * are taken to hang together unless there is only one; slices of one step are of different users.
 */
function togetherOf(metric: BusinessMetric, { by, slices, overall }: Setting): ComparisonOptions["overall"] {
  if (new Set(slices.map(({ step }) => step)).size <= 1) return "independent";
  if (by === "served" || overall === undefined) return undefined;
  const segments = new Set(slices.flatMap((slice) => slice.segments));
  const all = armsOf({ cells: overall.filter(({ segment }) => segments.has(segment)) }, metric);
  const each = slices.map((slice) => armsOf(slice, metric));
  const isSame = (arm: "stable" | "candidate"): boolean => {
    const { y, n } = sumClustered(each.map((arms) => arms[arm]));
    return isClose(y, all[arm].y) && isClose(n, all[arm].n);
  };
  return isSame("stable") && isSame("candidate") ? spreadAlike(all, metric) : undefined;
}

/**
 * Of what knows no end, such as revenue, or is rare, such as conversions, a small arm that has seen none of the rare ones looks steadier than
 * it is: of 2 % conversions and one user in ten on the candidate, one rollout in nine would be called harm without being any. So each arm is
 * taken to vary by at least as much as the other, user by user.
 */
function spreadAlike(arms: ClusteredStratum, metric: BusinessMetric): ClusteredStratum {
  const { candidate, stable } = arms;
  if (rangeOf(metric) === "share" || candidate.users < 2 || stable.users < 2) return arms;
  const most = Math.max(squaresOf(candidate) / candidate.users, squaresOf(stable) / stable.users);
  const widened = (sums: Clustered): Clustered => ({ ...sums, yy: sums.yy + Math.max(0, most * sums.users - squaresOf(sums)) });
  return { candidate: widened(candidate), stable: widened(stable) };
}

/** Of what users are off the arm's ratio. */
function squaresOf({ y, n, yy, nn, yn }: Clustered): number {
  const ratio = n > 0 ? y / n : 0;
  return Math.max(0, yy - 2 * ratio * yn + ratio ** 2 * nn);
}

/** Of figures by slice, those of the present step. */
function presentOf<T>(figures: readonly T[], { slices, present }: Setting): readonly T[] {
  return figures.filter((_, index) => present !== undefined && slices[index]?.step === present.step);
}

function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a), Math.abs(b));
}

function isKnown({ candidate, stable, value }: Compared): boolean {
  return [candidate, stable, value].every((number) => finite(number) !== undefined);
}

/** One-sided. */
function riskOf(confidence: number): number {
  return (1 - confidence) / 2;
}

function harmonic(a: number, b: number): number {
  return a > 0 && b > 0 ? 1 / (1 / a + 1 / b) : 0;
}

function finite(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

function total<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((sum, one) => sum + of(one), 0);
}

import type { AssignedArm } from "../core/words.ts";
import { BUSINESS_METRICS, type BusinessCell, type BusinessMetric } from "./business.ts";
import { businessComparison, durationComparisons, type Setting } from "./experiment-compare.ts";
import { checkRatio } from "./experiment-ratio.ts";
import { leftOut, presentRate, segmentsOf, slicesOf, usersOf } from "./experiment-slices.ts";
import type { FiguresTable } from "./figures.ts";

export { renderExperiment } from "./experiment-text.ts";

/** What the plan asks of the experiment. */
export interface ExperimentAims {
  /** Users over both arms before which there is no verdict but a sure harm. */
  readonly minUsers: number;
  /** 0.95: how sure a verdict must be, all looks together. */
  readonly confidence: number;
  /** Difference that matters: absolute for shares (0.02 is two points), relative to the stable arm for amounts and durations. */
  readonly effect: number;
}

/** What one step of the rollout has seen, over all stays at it. Shares of the arms differ between steps, so each is compared with itself only. */
export interface ExperimentStratum {
  readonly step: number;
  readonly name: string;
  /** As `BusinessSource.steps()` gives them: by the arm that the split said, and by the one that answered. */
  readonly assigned: readonly BusinessCell[];
  readonly served: readonly BusinessCell[];
  /** Undefined: there are no figures of this time. */
  readonly figures: FiguresTable | undefined;
  /** Share of users that the split gave to the candidate, 0..1; undefined: it changed within the step, or is not known. */
  readonly share: number | undefined;
  /** Of the segments with a rule of their own; undefined as above. Left out here, a segment is taken to follow `share`. */
  readonly segmentShares: Readonly<Record<string, number | undefined>>;
  readonly elapsedMs: number;
}

export interface ExperimentInput {
  readonly aims: ExperimentAims;
  readonly strata: readonly ExperimentStratum[];
  /** At whose rate time is reckoned; left out: the last of the strata. */
  readonly presentStep?: number | undefined;
  /** As `BusinessSource.overall()` gives them. Without them users who come back are taken to repeat themselves, and intervals are wider. */
  readonly overall?: readonly BusinessCell[] | undefined;
}

/** slow: share of requests (by served arm: of attempts) that took longer than 100 ms. */
export type ExperimentMetric = BusinessMetric | "p50" | "p95" | "slow";
/** share: 0..1. */
export type Unit = "share" | "amount per match" | "ms";

/**
 * no-difference: none that is beyond the effect that matters · not-yet: the data allow for several of these ·
 * untrustworthy: users per arm are not what the split says, so the figures compare different people.
 */
export type Finding = "better" | "worse" | "no-difference" | "not-yet" | "untrustworthy" | "no-data";

/** One metric, candidate against stable. No number is ever NaN or infinite: undefined is what is not known. */
export interface Comparison {
  readonly metric: ExperimentMetric;
  readonly unit: Unit;
  readonly better: "higher" | "lower";
  /** "all", or a segment. */
  readonly segment: string;
  /** In `unit`; over several steps weighted alike in both arms. */
  readonly stable: number | undefined;
  readonly candidate: number | undefined;
  /** Candidate less stable, and the interval that holds it however often one looks. In `unit`. */
  readonly difference: number | undefined;
  readonly low: number | undefined;
  readonly high: number | undefined;
  /** How sure the interval is, 0..1; more than the plan's where many segments are looked at. */
  readonly confidence: number;
  /** Difference that matters, in `unit`. */
  readonly effect: number | undefined;
  /** What it rests on; a user who is there at several steps counts at each. */
  readonly observed: { readonly of: "users" | "requests" | "attempts"; readonly stable: number; readonly candidate: number };
  /** Smallest true difference that would be found now with 80 % power, in `unit`. */
  readonly detectable: number | undefined;
  /**
   * At the present step's rate, until a true difference of `effect` would be found with 80 % power and enough users are there. 0: by now;
   * undefined: not at this rate, or not known.
   */
  readonly decidedInMs: number | undefined;
  readonly finding: Finding;
  /** One sentence for people, with figures and units. */
  readonly why: string;
}

/** Users per arm against what the split says (sample ratio mismatch). */
export interface ArmCounts {
  /** Name of the step, with the segments if they have a share of their own; "all". */
  readonly scope: string;
  readonly users: Readonly<Record<AssignedArm, number>>;
  /** Share of the candidate among the users, 0..1: what the split says, and what is there. */
  readonly expected: number | undefined;
  readonly actual: number | undefined;
  /** Probability of counts so far off, valid at every look; undefined: could not be checked. */
  readonly p: number | undefined;
  readonly alarm: boolean;
  readonly why: string;
}

export interface ExperimentView {
  readonly overall: readonly Comparison[];
  readonly segments: readonly Comparison[];
}

export interface ExperimentReport {
  readonly aims: ExperimentAims;
  readonly elapsedMs: number;
  /** Users of whom anything was heard: by arm at the step that has most of them; `total` is the least number of different ones over all steps. */
  readonly users: { readonly stable: number; readonly candidate: number; readonly total: number; readonly needed: number };
  /** Accuracy by assignment, over all. */
  readonly verdict: { readonly finding: Finding; readonly why: string };
  /** Other metrics that are surely worse by assignment, over all. */
  readonly harms: readonly Comparison[];
  /** False: users per arm are not what the split says, and no verdict counts. */
  readonly trustworthy: boolean;
  readonly ratio: { readonly all: ArmCounts; readonly strata: readonly ArmCounts[] };
  /** The causal one: what follows from being assigned to the candidate, fallbacks included. */
  readonly assigned: ExperimentView;
  /** Operational: who answered is not left to chance, so a difference here shows no cause. */
  readonly served: ExperimentView;
  /** Bonferroni: each segment's interval is made as much surer as there are segments, so that they hold all together. */
  readonly correction: { readonly method: "bonferroni"; readonly segments: number };
  /** What the reader must know of these figures. */
  readonly notes: readonly string[];
}

/** Candidate against stable over a whole rollout. Pure; may be called at every look, for each interval holds at all looks together. */
export function experimentReport({ aims, strata, presentStep, overall }: ExperimentInput): ExperimentReport {
  const names = segmentsOf(strata);
  const ratio = checkRatio(strata);
  const trustworthy = !ratio.all.alarm;
  const users = usersOf(strata, overall);
  const present = presentStep === undefined ? strata.at(-1) : strata.find(({ step }) => step === presentStep);
  const rate = presentRate(present);
  const missing = Math.max(0, aims.minUsers - users.total);
  const enoughInMs = missing === 0 ? 0 : rate > 0 ? missing / rate : Infinity;

  const view = (by: "assigned" | "served"): ExperimentView => {
    const of = (segment: string | undefined): readonly Comparison[] => {
      const confidence = 1 - (1 - aims.confidence) / (segment === undefined ? 1 : Math.max(1, names.length));
      const slices = slicesOf(strata, by, segment);
      const setting: Setting = {
        aims,
        by,
        segment: segment ?? "all",
        confidence,
        slices,
        overall,
        users: users.total,
        trustworthy,
        present,
        enoughInMs,
      };
      return [...BUSINESS_METRICS.map((metric) => businessComparison(metric, setting)), ...durationComparisons(setting)];
    };
    return { overall: of(undefined), segments: names.flatMap((name) => of(name)) };
  };

  const assigned = view("assigned");
  const [accuracy, ...others] = assigned.overall;
  return {
    aims,
    elapsedMs: strata.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0),
    users: { ...users, needed: aims.minUsers },
    verdict: trustworthy
      ? { finding: accuracy?.finding ?? "no-data", why: accuracy?.why ?? "" }
      : { finding: "untrustworthy", why: `no verdict counts: ${ratio.all.why}` },
    harms: others.filter(({ finding }) => finding === "worse"),
    trustworthy,
    ratio,
    assigned,
    served: view("served"),
    correction: { method: "bonferroni", segments: names.length },
    notes: notesOn(strata, overall),
  };
}

function notesOn(strata: readonly ExperimentStratum[], overall: readonly BusinessCell[] | undefined): readonly string[] {
  const notes = [
    "By assignment is the comparison that shows a cause: a request that fell back still counts for the candidate. By served arm is operational: who answered was not left to chance.",
    "Durations count requests, not users: where few users send most of the requests their intervals are too narrow.",
    "Accuracy is the verdict; the other metrics and the two views are each as sure as the plan says by themselves, not all together.",
  ];
  for (const { step, segments, share, users } of leftOut(strata)) {
    const who = share === 0 ? "on the stable arm" : "on the candidate";
    notes.push(
      `Left out at step ${step}: ${segments.join(", ")}, all ${who} by the split, so with nobody to compare with (${users} users).`,
    );
  }
  for (const { name, share } of strata) {
    if (share === undefined) notes.push(`The share at step ${name} changed or is not known: its users per arm could not be checked.`);
  }
  if (overall === undefined && strata.length > 1) {
    notes.push(
      "It is not known which users were there at several steps: they are taken to have said the same at each, so intervals are wider than they need be.",
    );
  }
  return notes;
}

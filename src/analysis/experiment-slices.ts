import { BUSINESS_METRICS, type BusinessCell, type BusinessMetric } from "./business.ts";
import type { ExperimentStratum } from "./experiment.ts";
import type { Cell } from "./figures.ts";
import { ALL_SEGMENTS } from "./prometheus-source.ts";
import { sumClustered, type ClusteredStratum } from "./stats/clustered.ts";

/**
 * Part of a step in which everybody had the same chance of being on the candidate. Users of segments with another share must not be thrown
 * together with the rest: if all of a segment that is easy to please were on the candidate, it would look better for that alone.
 */
export interface Slice {
  readonly step: number;
  readonly name: string;
  readonly segments: readonly string[];
  readonly share: number | undefined;
  readonly cells: readonly BusinessCell[];
  readonly figures: readonly Cell[];
  readonly elapsedMs: number;
}

/** All segments that are known of, also those that nobody was seen in. */
export function segmentsOf(strata: readonly ExperimentStratum[]): readonly string[] {
  const names = new Set<string>();
  for (const { assigned, served, figures, segmentShares } of strata) {
    for (const { segment } of [...assigned, ...served]) names.add(segment);
    for (const { segment } of figures?.cells ?? []) if (segment !== ALL_SEGMENTS) names.add(segment);
    for (const segment of Object.keys(segmentShares)) names.add(segment);
  }
  return [...names].sort();
}

/** By assignment without those in which the split leaves nobody to compare with; by served arm a step is one slice. */
export function slicesOf(strata: readonly ExperimentStratum[], by: "assigned" | "served", segment: string | undefined): readonly Slice[] {
  const isWanted = (name: string): boolean => segment === undefined || name === segment;
  if (by === "served") return strata.map((stratum) => sliceOf(stratum, stratum.served, isWanted, undefined));
  return strata.flatMap((stratum) => assignedSlices(stratum, isWanted)).filter(({ share }) => isMixed(share));
}

export interface LeftOut {
  readonly step: string;
  readonly segments: readonly string[];
  readonly share: number;
  readonly users: number;
}

/** Who has nobody to be compared with, by assignment. */
export function leftOut(strata: readonly ExperimentStratum[]): readonly LeftOut[] {
  return strata
    .flatMap((stratum) => assignedSlices(stratum, () => true))
    .flatMap((slice) => {
      const { name, segments, share = 0.5 } = slice;
      const { candidate, stable } = armsOf(slice, mostHeard([slice]));
      const users = candidate.users + stable.users;
      return isMixed(share) || users === 0 ? [] : [{ step: name, segments, share, users }];
    });
}

export function armsOf({ cells }: Pick<Slice, "cells">, metric: BusinessMetric): ClusteredStratum {
  const of = (arm: "stable" | "candidate") =>
    sumClustered(cells.filter((cell) => cell.metric === metric && cell.arm === arm).map(({ sums }) => sums));
  return { candidate: of("candidate"), stable: of("stable") };
}

/** Users of whom anything was heard are those of the metric with the most of them; usually all who judged a match. */
export function mostHeard(slices: readonly Pick<Slice, "cells">[]): BusinessMetric {
  const users = (metric: BusinessMetric): number => slices.reduce((sum, slice) => sum + usersIn(armsOf(slice, metric)), 0);
  return BUSINESS_METRICS.reduce((most, metric) => (users(metric) > users(most) ? metric : most));
}

/** Those who can be compared: users of a segment that is all on one arm say nothing of the other. */
export function usersOf(
  strata: readonly ExperimentStratum[],
  overall: readonly BusinessCell[] | undefined,
): { readonly stable: number; readonly candidate: number; readonly total: number } {
  const slices = slicesOf(strata, "assigned", undefined);
  const steps = strata.map(({ step }) => ({ cells: slices.filter((slice) => slice.step === step).flatMap(({ cells }) => cells) }));
  const compared = new Set(slices.flatMap(({ segments }) => segments));
  const metric = mostHeard(steps);
  const fullest = steps.map((step) => armsOf(step, metric)).reduce((most, arms) => (usersIn(arms) > usersIn(most) ? arms : most), NOBODY);
  // A user who moved from one arm to the other is in both totals, so only one of these is sure to be of different users.
  const over = armsOf({ cells: (overall ?? []).filter(({ segment }) => compared.has(segment)) }, metric);
  const total = Math.max(usersIn(fullest), over.candidate.users, over.stable.users);
  return { stable: fullest.stable.users, candidate: fullest.candidate.users, total };
}

/** Users a millisecond at the present step, as far as can be told: those who are there over the time it has lasted. */
export function presentRate(present: ExperimentStratum | undefined): number {
  if (present === undefined || !(present.elapsedMs > 0)) return 0;
  const step = { cells: present.assigned };
  return usersIn(armsOf(step, mostHeard([step]))) / present.elapsedMs;
}

const NOBODY: ClusteredStratum = armsOf({ cells: [] }, "accuracy");

function usersIn({ candidate, stable }: ClusteredStratum): number {
  return candidate.users + stable.users;
}

/** Where both arms may occur. */
function isMixed(share: number | undefined): boolean {
  return share === undefined || (share > 0 && share < 1);
}

function assignedSlices(stratum: ExperimentStratum, isWanted: (segment: string) => boolean): readonly Slice[] {
  const { share, segmentShares } = stratum;
  const groups = new Map<string, { readonly share: number | undefined; readonly names: string[] }>();
  for (const name of segmentsOf([stratum]).filter(isWanted)) {
    const own = Object.hasOwn(segmentShares, name) ? segmentShares[name] : share;
    // Of an unknown share nothing is known, not even that it is that of another segment.
    const key = own === undefined ? name : String(own);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { share: own, names: [name] });
    else group.names.push(name);
  }
  return [...groups.values()].map(({ share: own, names }) =>
    sliceOf(stratum, stratum.assigned, (name) => names.includes(name), own, names),
  );
}

function sliceOf(
  { step, name, figures, elapsedMs }: ExperimentStratum,
  cells: readonly BusinessCell[],
  isWanted: (segment: string) => boolean,
  share: number | undefined,
  segments: readonly string[] = [],
): Slice {
  return {
    step,
    name,
    segments,
    share,
    cells: cells.filter(({ segment }) => isWanted(segment)),
    figures: (figures?.cells ?? []).filter(({ segment }) => isWanted(segment)),
    elapsedMs,
  };
}

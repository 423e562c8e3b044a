import { BUSINESS_METRICS, type BusinessCell, type BusinessMetric } from "./business.ts";
import type { Check, Metric } from "./check.ts";
import type { ArmFigures, Cell } from "./figures.ts";
import type { Range } from "./stats/clustered.ts";
import { sumClustered } from "./stats/clustered.ts";
import { joinLatencies } from "./stats/quantiles.ts";
import { type Sample, type Stratum, sumMoments, total } from "./stats/samples.ts";

export type FigureMetric = "errors" | "availability" | "p50" | "p95" | "p99" | "fallbacks" | "quality";

const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;

export function isBusiness(metric: Metric): metric is BusinessMetric {
  return BUSINESS_METRICS.some((known) => known === metric);
}

/** How often people agree and how content they are lies between 0 and 1, user by user; conversions and revenue know no end. */
export function rangeOf(metric: BusinessMetric): Range {
  return metric === "accuracy" || metric === "satisfaction" ? "share" : "free";
}

/** Which users and routes a check is about. */
export type Scope = Pick<Check, "route" | "segment">;

export function stratumOfCells(metric: FigureMetric, cells: readonly Cell[], scope: Scope): Stratum {
  const asked = cells.filter(({ route, segment }) => isAsked(scope.route, route) && isAsked(scope.segment, segment));
  return {
    candidate: sampleOf(
      metric,
      asked.map(({ candidate }) => candidate),
    ),
    stable: sampleOf(
      metric,
      asked.map(({ stable }) => stable),
    ),
  };
}

export function stratumOfBusiness(metric: BusinessMetric, cells: readonly BusinessCell[], scope: Scope): Stratum {
  const asked = cells.filter((cell) => cell.metric === metric && isAsked(scope.segment, cell.segment));
  const of = (arm: BusinessCell["arm"]): Sample => ({
    kind: "sums",
    sums: sumClustered(asked.filter((cell) => cell.arm === arm).map(({ sums }) => sums)),
    range: rangeOf(metric),
  });
  return { candidate: of("candidate"), stable: of("stable") };
}

export function isAsked(wanted: string | undefined, found: string): boolean {
  return wanted === undefined || wanted === found;
}

function sampleOf(metric: FigureMetric, arms: readonly ArmFigures[]): Sample {
  switch (metric) {
    case "errors":
      return { kind: "share", share: { hits: total(arms, ({ errors }) => errors), trials: total(arms, ({ attempts }) => attempts) } };
    case "availability": {
      const trials = total(arms, ({ attempts }) => attempts);
      return { kind: "share", share: { hits: trials - total(arms, ({ unavailable }) => unavailable), trials } };
    }
    case "fallbacks":
      return { kind: "share", share: { hits: total(arms, ({ fellBack }) => fellBack), trials: total(arms, ({ requests }) => requests) } };
    case "quality":
      return { kind: "mean", moments: sumMoments(arms.map(({ quality }) => quality)) };
    case "p50":
    case "p95":
    case "p99":
      return { kind: "quantile", latencies: joinLatencies(arms.map(({ latencies }) => latencies)), q: QUANTILES[metric] };
  }
}

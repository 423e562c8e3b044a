import type { ArmFigures, FiguresTable } from "../../analysis/figures.ts";
import { joinLatencies } from "../../analysis/stats/quantiles.ts";
import { parseShare } from "../../core/quantity.ts";
import type { AuditEntry } from "../../store/store.ts";
import type { ArmPoint, LivePoint } from "./view.ts";

const MS_PER_SECOND = 1_000;

/** Of a table of the ten seconds before `at`. Where figures cover less of them, rates are of what is covered. */
export function pointOf(table: FiguresTable, at: number, percentage: number): LivePoint {
  const { cells, coveredMs } = table;
  const segments: Record<string, { stable: number; candidate: number }> = {};
  for (const { segment, stable, candidate } of cells) {
    if (stable.requests + candidate.requests === 0) continue;
    const sum = (segments[segment] ??= { stable: 0, candidate: 0 });
    sum.stable += stable.requests;
    sum.candidate += candidate.requests;
  }
  const seconds = coveredMs / MS_PER_SECOND;
  return {
    at,
    percentage,
    stable: armPoint(
      cells.map(({ stable }) => stable),
      seconds,
    ),
    candidate: armPoint(
      cells.map(({ candidate }) => candidate),
      seconds,
    ),
    segments,
  };
}

/** A second of which nothing is known. */
export function unknownPoint(at: number, percentage: number): LivePoint {
  const arm = armPoint([], 0);
  return { at, percentage, stable: arm, candidate: arm, segments: {} };
}

function armPoint(arms: readonly ArmFigures[], seconds: number): ArmPoint {
  const sum = (of: (arm: ArmFigures) => number): number => arms.reduce((total, arm) => total + of(arm), 0);
  const requests = sum((arm) => arm.requests);
  const latencies = joinLatencies(arms.map((arm) => arm.latencies));
  return {
    // Nothing in a time that is covered is none at all; without such a time it is not known.
    rate: seconds > 0 ? requests / seconds : Number.NaN,
    p50: latencies.quantile(0.5),
    p95: latencies.quantile(0.95),
    p99: latencies.quantile(0.99),
    errors: sum((arm) => arm.errors) / sum((arm) => arm.attempts),
    quality: sum((arm) => arm.quality.sum) / sum((arm) => arm.quality.count),
    fallbacks: sum((arm) => arm.fellBack) / requests,
  };
}

/** The global figure at an instant of the past, per cent, by what was changed since. `entries` newest first; `base`: what the file says. */
export function percentageAt(at: number, now: number, base: number, entries: readonly AuditEntry[]): number {
  let percentage = now;
  for (const entry of entries) {
    if (Date.parse(entry.at) <= at) break;
    if (entry.status === "refused") continue;
    const change = entry.changes.find(({ field }) => field === "rollout_percentage");
    if (change === undefined) continue;
    percentage = change.from === null ? base : (parseShare(change.from) ?? Number.NaN) / 100;
  }
  return percentage;
}

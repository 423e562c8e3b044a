import { METRICS } from "./names.ts";
import type { MetricText } from "./text-format.ts";

/** Of one promise, one version (or "all") and one segment (or "all"). Shares are 0..1, NaN where nothing is known. */
export interface SlaFigures {
  readonly flag: string;
  readonly promise: string;
  readonly version: string;
  readonly segment: string;
  readonly value: number;
  readonly target: number;
  readonly budgetLeft: number;
  readonly state: string;
}

/** What nobody knows has no sample, so that no alert is raised or put to rest by it. */
export function writePromises(text: MetricText, figures: readonly SlaFigures[]): void {
  text.metric(METRICS.slaRatio);
  for (const { flag, promise, version, segment, value } of figures) {
    if (!Number.isNaN(value)) text.sample(METRICS.slaRatio, [flag, promise, version, segment], value);
  }
  text.metric(METRICS.slaTarget);
  const targets = new Map(figures.map(({ flag, promise, target }) => [`${flag}\0${promise}`, { flag, promise, target }]));
  for (const { flag, promise, target } of targets.values()) text.sample(METRICS.slaTarget, [flag, promise], target);
  text.metric(METRICS.slaBudget);
  for (const { flag, promise, version, segment, budgetLeft, state } of figures) {
    if (state !== "no-data") text.sample(METRICS.slaBudget, [flag, promise, version, segment], budgetLeft);
  }
}

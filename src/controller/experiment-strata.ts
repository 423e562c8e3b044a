import type { BusinessSource } from "../analysis/business.ts";
import type { ExperimentStratum } from "../analysis/experiment.ts";
import type { FiguresSource } from "../analysis/figures.ts";
import type { SegmentRule } from "../config/config.ts";
import { percentageOf } from "./fields.ts";
import type { Rollout } from "./rollout.ts";

const WHOLE_BP = 10_000;

/**
 * What each step that the rollout has been at has seen, as of the sources' last refresh. `to` is the instant up to which figures are there. Segments
 * that the plan does not move are taken to have had all the time the share that they have now.
 */
export async function strataOf(
  { plan, stays }: Rollout,
  figures: FiguresSource,
  business: BusinessSource,
  to: number,
  segments: readonly SegmentRule[],
): Promise<readonly ExperimentStratum[]> {
  const events = business.steps();
  const reached = plan.steps.map((step, index) => ({ step, index })).filter(({ index }) => stays.some((stay) => stay.step === index));
  return Promise.all(
    reached.map(async ({ step, index }): Promise<ExperimentStratum> => {
      const own = stays.filter((stay) => stay.step === index).map((stay) => ({ from: stay.from, to: Math.max(stay.from, stay.to ?? to) }));
      const from = Math.min(...own.map((stay) => stay.from));
      const until = Math.max(...own.map((stay) => stay.to));
      const share = percentageOf(plan, index) / WHOLE_BP;
      const sums = events.find((stratum) => stratum.step === index);
      return {
        step: index,
        name: step.name,
        assigned: sums?.assigned ?? [],
        served: sums?.served ?? [],
        figures: until > from ? await figures.between(from, until) : undefined,
        share,
        segmentShares: Object.fromEntries(
          segments.map((segment) => {
            const planned = plan.segments.find(({ name }) => name === segment.name);
            if (planned !== undefined) return [segment.name, step.percentageBp >= planned.fromBp ? share : 0];
            const own = segment.weightBp / WHOLE_BP;
            return [segment.name, segment.override ? own : Math.min(own, share)];
          }),
        ),
        elapsedMs: own.reduce((sum, stay) => sum + stay.to - stay.from, 0),
      };
    }),
  );
}

import type { Rollout, Stay } from "./rollout.ts";

/** The stay that lasts; undefined: settings in force are not those of a step. */
export function openStay({ stays }: Rollout): Stay | undefined {
  const last = stays.at(-1);
  return last?.to === undefined ? last : undefined;
}

/** An instant before the stay began is taken for its beginning: clocks of two leaders differ. */
export function withStayClosed(stays: readonly Stay[], now: number): readonly Stay[] {
  const last = stays.at(-1);
  if (last === undefined || last.to !== undefined) return stays;
  return [...stays.slice(0, -1), { ...last, to: Math.max(last.from, now) }];
}

export function withStay(stays: readonly Stay[], step: number, now: number): readonly Stay[] {
  const closed = withStayClosed(stays, now);
  return [...closed, { step, from: Math.max(now, closed.at(-1)?.to ?? now), to: undefined }];
}

/**
 * How long the present step's settings have been in force since it was entered, milliseconds. Time in which something else was in force does not
 * count, so a step that was killed for a day is a day longer.
 */
export function dweltMs(rollout: Rollout, now: number): number {
  const { stays } = rollout;
  const open = openStay(rollout);
  if (open === undefined) return 0;
  const entered = stays.findLastIndex(({ step }) => step !== open.step) + 1;
  return stays.slice(entered).reduce((sum, { from, to }) => sum + Math.max(0, (to ?? now) - from), 0);
}

/** The step where the traffic is, or was last. */
export function lastStep({ state, stays }: Rollout): number {
  if ("step" in state) return state.step;
  return "rollback" in state ? state.rollback.step : (stays.at(-1)?.step ?? -1);
}

/** How the traffic goes back to the stable arm. */
export interface ShiftInput {
  /** What is on the candidate now, basis points. */
  readonly fromBp: number;
  /** What the stable arm said of itself just now; undefined: it could not be asked. */
  readonly stable: { readonly healthy: boolean } | undefined;
  /** Over both arms; undefined: not known. */
  readonly requestsPerSecond: number | undefined;
  /** Requests per second that the stable arm is known to take; undefined: everything. */
  readonly capacity: number | undefined;
  readonly shiftMs: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

export interface ShiftStage {
  readonly percentageBp: number;
  readonly at: number;
}

/** Parts in which the shift is made where it cannot be made at once. */
const STAGES = 5;

/**
 * Everything at once where the stable arm takes it, and where nothing speaks against it: a candidate that fails is not kept for want of knowledge.
 * Only a stable arm that says it is unwell, or whose known capacity is below the whole rate, is given its traffic back in stages: at once what it
 * surely takes (at least one part in five), the rest evenly over `shiftMs`. The first stage is due now, each is lower than the one before, the last
 * is 0 and is due `shiftMs` from now at the latest.
 */
export function planShift({ fromBp, stable, requestsPerSecond, capacity, shiftMs, now }: ShiftInput): readonly ShiftStage[] {
  const atOnce = [{ percentageBp: 0, at: now }];
  const overloaded = capacity !== undefined && requestsPerSecond !== undefined && requestsPerSecond > capacity;
  const unwell = stable?.healthy === false;
  if (!(shiftMs >= 1) || !(fromBp > 0) || !(overloaded || unwell)) return atOnce;
  const first = Math.floor(fromBp * (1 - 1 / STAGES));
  const taken = overloaded && !unwell ? Math.ceil((1 - Math.max(0, capacity) / requestsPerSecond) * 10_000) : first;
  const top = Math.min(first, taken);
  if (top < 1) return atOnce;
  const last = STAGES - 1;
  const stages = Array.from({ length: STAGES }, (_, i) => ({
    percentageBp: Math.floor((top * (last - i)) / last),
    at: now + Math.floor((shiftMs * i) / last),
  }));
  const falling = stages.filter(({ percentageBp }, i) => percentageBp > 0 && percentageBp < (stages[i - 1]?.percentageBp ?? Infinity));
  return [...falling, { percentageBp: 0, at: now + Math.floor(shiftMs) }];
}

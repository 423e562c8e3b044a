import type { SlaTarget } from "../config/config-told.ts";
import type { SlaRow, SlaState } from "./sla.ts";

const WHOLE_BP = 10_000;
/** With fewer no share means anything. */
const LEAST_SAMPLE = 20;
/** A promise of four nines is not left without a verdict for ever. */
const MOST_NEEDED = 10_000;

export interface Verdict {
  /** Of the target's own kind; NaN without a sample. */
  readonly value: number;
  readonly budgetLeft: number;
  readonly state: SlaState;
}

export function directionOf(promise: SlaTarget["promise"]): SlaRow["direction"] {
  return promise === "errors" ? "at-most" : "at-least";
}

/** How many must have been counted before a promise can be called kept: so many that the budget allows for one that is bad. */
export function sampleNeeded(target: Pick<SlaTarget, "promise" | "targetBp">): number {
  return Math.min(MOST_NEEDED, Math.max(LEAST_SAMPLE, Math.ceil(WHOLE_BP / allowedBp(target))));
}

/**
 * What follows from `bad` of `sample`. Too few are never enough for "met" or "warning"; but they are for "breached" if the promise would be broken
 * even if all those that are missing were good.
 */
export function verdictOf(target: Pick<SlaTarget, "promise" | "targetBp">, bad: number, sample: number, warnAtBp: number): Verdict {
  const allowed = allowedBp(target);
  const share = sample > 0 ? bad / sample : Number.NaN;
  const value = directionOf(target.promise) === "at-most" ? share : sample > 0 ? (sample - bad) / sample : Number.NaN;
  const budgetLeft = sample > 0 ? (sample * allowed - bad * WHOLE_BP) / (sample * allowed) : Number.NaN;
  const needed = sampleNeeded(target);
  if (bad * WHOLE_BP > allowed * Math.max(sample, needed)) return { value, budgetLeft, state: "breached" };
  if (sample < needed) return { value, budgetLeft, state: "no-data" };
  const warned = bad > 0 && bad * WHOLE_BP * WHOLE_BP >= warnAtBp * allowed * sample;
  return { value, budgetLeft, state: warned ? "warning" : "met" };
}

/** Share that may be bad. At least one in ten thousand: a budget of nothing cannot be spent by the share. */
function allowedBp({ promise, targetBp }: Pick<SlaTarget, "promise" | "targetBp">): number {
  return Math.max(1, promise === "errors" ? targetBp : WHOLE_BP - targetBp);
}

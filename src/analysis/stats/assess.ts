import type { Check, VerdictWord } from "../check.ts";
import type { Estimate, Look } from "./estimate.ts";
import { boundsOf, compareSamples, joinSamples, type Sample, sizeOf, type Stratum, total } from "./samples.ts";
import { isSurelyAbove, isSurelyBelow } from "./shares.ts";

/** A verdict in figures, without words for people. */
export interface Assessed extends Estimate {
  readonly word: VerdictWord;
  /** Observations of each arm. */
  readonly sample: number;
  readonly stableSample: number;
  /** Each arm's own figure, where they are compared; standardised over strata. */
  readonly candidate: number | undefined;
  readonly stable: number | undefined;
}

export type Question = Pick<Check, "of" | "limit" | "minSample" | "risk">;

/** Growing windows are looked at again and again while they grow. */
export function lookAt(check: Pick<Check, "window">): Look {
  return check.window.kind === "last" ? "once" : "always";
}

/**
 * pass: the bound on the far side of the limit is within it · fail: that on the near side is beyond it. A duration of the candidate alone is
 * decided by the share of attempts that took longer than the limit, which is counted exactly there.
 */
export function assess(question: Question, strata: readonly Stratum[], look: Look, overall?: Stratum): Assessed {
  const { of, risk, minSample } = question;
  const sample = total(strata, ({ candidate }) => sizeOf(candidate));
  const stableSample = total(strata, ({ stable }) => sizeOf(stable));
  const sizes = { sample, stableSample };
  const own = joinSamples(strata.map(({ candidate }) => candidate));
  if (own === undefined || sample === 0) return { word: "no-data", ...UNKNOWN, ...sizes };
  if (of === "candidate") {
    const estimate = boundsOf(own, risk, look);
    const word = sample < minSample ? "no-data" : (durationWord(question, own, look) ?? wordOf(question.limit, estimate));
    return { word, ...estimate, ...sizes, candidate: estimate.value, stable: undefined };
  }
  const compared = compareSamples(strata, { as: of, risk, look, overall });
  const isEnough = Math.min(sample, stableSample) >= Math.max(1, minSample);
  return { ...compared, ...sizes, word: isEnough ? wordOf(question.limit, compared) : "no-data" };
}

const UNKNOWN = { value: undefined, low: -Infinity, high: Infinity, candidate: undefined, stable: undefined } as const;

export function wordOf({ kind, value }: Check["limit"], { low, high }: Estimate): VerdictWord {
  if (kind === "at-most" ? high <= value : low >= value) return "pass";
  return (kind === "at-most" ? low > value : high < value) ? "fail" : "inconclusive";
}

function durationWord({ limit, risk }: Question, sample: Sample, look: Look): VerdictWord | undefined {
  if (sample.kind !== "quantile") return undefined;
  const share = { hits: sample.latencies.over(limit.value), trials: sample.latencies.count };
  const isLonger = isSurelyAbove(share, 1 - sample.q, risk, look);
  const isShorter = isSurelyBelow(share, 1 - sample.q, risk, look);
  if (limit.kind === "at-most" ? isShorter : isLonger) return "pass";
  return isLonger || isShorter ? "fail" : "inconclusive";
}

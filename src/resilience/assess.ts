import type { FallbackReason, Outcome } from "../core/words.ts";
import type { QualityReading } from "./quality.ts";

/** What a complete answer is worth. */
export type Verdict =
  | { readonly good: true; readonly outcome: "ok" }
  | { readonly good: false; readonly outcome: Outcome; readonly reason: FallbackReason; readonly detail: string };

const GOOD: Verdict = { good: true, outcome: "ok" };

/**
 * Judges a complete answer: a 5xx is an error; where the upstream says how good its answers are, one that is not readable, says
 * nothing or lies below the floor is not good enough. `reading` is undefined where no quality is read.
 */
export function assess(status: number, reading: QualityReading | undefined, floorBp: number): Verdict {
  if (status >= 500) return { good: false, outcome: "server-error", reason: "error", detail: `status ${status}` };
  if (reading === undefined) return GOOD;
  switch (reading.kind) {
    case "not-json":
      return { good: false, outcome: "bad-answer", reason: "quality", detail: "the body is not JSON" };
    case "missing":
      return { good: false, outcome: "degraded", reason: "quality", detail: "the body names no quality" };
    case "figure":
      if (reading.ratio * 10_000 >= floorBp) return GOOD;
      return {
        good: false,
        outcome: "degraded",
        reason: "quality",
        detail: `quality ${reading.ratio.toFixed(3)} is below ${floorBp / 10_000}`,
      };
  }
}

import type { FallbackReason, Outcome } from "../core/words.ts";
import type { Judgement, Sign } from "./signs.ts";

/** What a complete answer is worth. */
export type Verdict =
  | { readonly good: true; readonly outcome: "ok" }
  | {
      readonly good: false;
      readonly outcome: Outcome;
      readonly reason: FallbackReason;
      /** What was wrong with an answer that is no error by its status; `quality`: its figure is missing or below the floor. */
      readonly sign: Sign | "quality" | undefined;
      readonly detail: string;
    };

const GOOD: Verdict = { good: true, outcome: "ok" };

/**
 * Judges a complete answer: a 5xx is an error; one that bears a sign of failure is not good enough, and where the upstream says how
 * good its answers are, neither is one that is not readable, says nothing or lies below the floor. `judgement` is undefined where
 * nothing was read.
 */
export function assess(status: number, judgement: Judgement | undefined, floorBp: number): Verdict {
  if (status >= 500) return { good: false, outcome: "server-error", reason: "error", sign: undefined, detail: `status ${status}` };
  if (judgement === undefined) return GOOD;
  const { quality, sign, detail } = judgement;
  if (sign !== undefined) return poor(sign, detail);
  if (quality === undefined) return GOOD;
  switch (quality.kind) {
    case "not-json":
      return poor("not-json", "the body is not JSON");
    case "missing":
      return poor("quality", "the body names no quality");
    case "figure":
      if (quality.ratio * 10_000 >= floorBp) return GOOD;
      return poor("quality", `quality ${quality.ratio.toFixed(3)} is below ${floorBp / 10_000}`);
  }
}

function poor(sign: Sign | "quality", detail: string): Verdict {
  return { good: false, outcome: sign === "not-json" ? "bad-answer" : "degraded", reason: "quality", sign, detail };
}

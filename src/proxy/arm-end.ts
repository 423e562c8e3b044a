import type { Outcome } from "../core/words.ts";
import type { Verdict } from "../resilience/assess.ts";
import type { AttemptEnd } from "../telemetry/arm-layout.ts";
import type { CallFailure } from "../transport/transport.ts";

/** How an arm is to be judged by an attempt that was sent to it; undefined: not at all. */
export function armEndOf(outcome: Outcome, verdict: Verdict | undefined, failure: CallFailure | undefined): AttemptEnd | undefined {
  if (failure?.unsendable === true) return undefined;
  switch (outcome) {
    case "ok":
      return "ok";
    case "cancelled":
    case "refused":
      return undefined;
    case "connect-failed":
      return "unreachable";
    case "degraded":
    case "bad-answer":
      // How good answers are is a figure of its own.
      if (verdict?.good === false && verdict.sign === "quality") return "ok";
      return verdict === undefined ? "unavailable" : "defective";
    default:
      return "unavailable";
  }
}

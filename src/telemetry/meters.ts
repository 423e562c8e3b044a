import type { Arm, AttemptKind, Defect, FallbackReason, Outcome } from "../core/words.ts";
import type { AttemptEnd } from "./arm-layout.ts";

/**
 * What the data path reports. Routes, upstreams and segments are given by their number in the configuration (order of
 * the file; segments within the flag of the route; route and segment -1 are "none"), so that recording is arithmetic on shared typed arrays.
 */
export interface Meters {
  /**
   * One request as its client saw it. `status` is 499 when the client left. `upstream` answered it, else it was asked last; left out or -1: none
   * was asked.
   */
  request(
    route: number,
    assigned: Arm,
    served: Arm,
    segment: number,
    outcome: Outcome,
    status: number,
    ms: number,
    upstream?: number,
  ): void;
  /** One attempt as it truly was. A `ms` of an attempt that was cut is the least it can have taken. */
  attempt(route: number, upstream: number, kind: AttemptKind, outcome: Outcome, ms: number): void;
  /** The same attempt, where it says something of the arm it was sent to. Routes that are not split have none. */
  armAttempt(route: number, arm: Arm, segment: number, end: AttemptEnd, ms: number): void;
  /** What an answer said of its own quality, 0..1. */
  quality(route: number, upstream: number, arm: Arm, segment: number, ratio: number): void;
  fallback(route: number, reason: FallbackReason): void;
  /** A lost attempt that was still open when observation ended: its duration is known only as "at least". */
  observationCut(route: number): void;
  /** What was wrong with an answer that came as a success. */
  defect(route: number, upstream: number, defect: Defect): void;
  /** An attempt that is held against nobody, for this thread was late itself. */
  unjudged(route: number, upstream: number): void;
  /** Parts of requests and answers, `count` of them, that a translation had no counterpart for. */
  dropped(route: number, upstream: number, count: number): void;
  /** A request or an answer that cannot be said in the other dialect. */
  inexpressible(route: number, upstream: number): void;
  /** A request that no route saw: malformed, ambiguous, too large. */
  malformed(status: number): void;
}

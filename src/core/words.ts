/**
 * The closed vocabularies that decisions, metrics and logs share. Their order is their number in shared memory:
 * append, never reorder within a running system.
 */

/** Which side of the split. `none` marks requests on routes that are not split, and those nobody answered. */
export const ARMS = ["none", "stable", "candidate"] as const;
export type Arm = (typeof ARMS)[number];
export type AssignedArm = Exclude<Arm, "none">;

/** Why a user is on an arm. */
export const REASONS = ["kill-switch", "disabled", "list", "override", "segment", "percentage", "unkeyed"] as const;
export type Reason = (typeof REASONS)[number];

/** How one attempt, or one request as its client saw it, ended. */
export const OUTCOMES = [
  "ok",
  "connect-failed",
  "reset",
  "timeout",
  "server-error",
  "bad-answer",
  "degraded",
  "cancelled",
  "refused",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Why an attempt was sent: the first one, again to the same upstream, or to the other arm. */
export const ATTEMPT_KINDS = ["first", "retry", "fallback"] as const;
export type AttemptKind = (typeof ATTEMPT_KINDS)[number];

/** Why the stable arm answered for the candidate. */
export const FALLBACK_REASONS = ["latency", "error", "quality"] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

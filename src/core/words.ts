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

/**
 * Why an attempt was sent: the first one, again to the same upstream, to the other arm after or beside the first, or to an arm that is not
 * trusted at present.
 */
export const ATTEMPT_KINDS = ["first", "retry", "fallback", "hedge", "probe"] as const;
export type AttemptKind = (typeof ATTEMPT_KINDS)[number];

/** Why the stable arm answered for the candidate. */
export const FALLBACK_REASONS = ["latency", "error", "quality", "breaker", "hedge", "dialect"] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

/** Formats of requests and answers that come with the program. */
export const DIALECT_NAMES = ["v1", "v1-offers", "nexten", "v2", "v2-jobs"] as const;

/** Failures that arrive as HTTP 200, in the order in which one of several that hold is named. */
export const SIGNS = [
  "not-json",
  "success-false",
  "fallback-flag",
  "fallback-algorithm",
  "empty-matches",
  "missing-ids",
  "foreign-ids",
  "equal-scores",
] as const;
export type Sign = (typeof SIGNS)[number];
/** What was wrong with an answer that came as a success: a sign, or what it says of its own quality. */
export const DEFECTS = [...SIGNS, "quality"] as const;
export type Defect = (typeof DEFECTS)[number];

/** What a rollout may be at; `idle`: none was ever started. */
export const ROLLOUT_STATUSES = ["idle", "progressing", "waiting", "held", "rolling-back", "rolled-back", "completed"] as const;

/** How the breaker of an arm is set: by its figures, by hand, or not there at all. */
export const BREAKER_MODES = ["auto", "open", "closed", "off"] as const;
export type BreakerMode = (typeof BREAKER_MODES)[number];

/** What people are told of. */
export const NOTICE_KINDS = [
  "rollout-started",
  "rollout-advanced",
  "rollout-waiting",
  "rollout-held",
  "rollout-resumed",
  "rollout-rolling-back",
  "rollout-rolled-back",
  "rollout-completed",
  "trigger-failing",
  "killed",
  "unkilled",
  "breaker-open",
  "incident-opened",
  "incident-updated",
  "incident-resolved",
  "maintenance-announced",
  "sla-warning",
  "sla-breached",
  "sla-recovered",
  "store-lost",
  "store-back",
  "test",
] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

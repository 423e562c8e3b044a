import { BUCKETS, bucketOf } from "../core/bucket.ts";
import { formatShare } from "../core/quantity.ts";
import type { AssignedArm, Reason } from "../core/words.ts";
import { decideArm } from "./decide.ts";
import type { Decision, Rules } from "./rules.ts";

/** Why a user is where they are, and where another percentage would put them. */
export interface Explanation {
  readonly flag: string;
  readonly user: string;
  readonly arm: AssignedArm;
  readonly reason: Reason;
  /** 0..9999. */
  readonly bucket: number;
  /** The rule that decided, in words: `rollout_percentage 25`, `segment enterprise 0 (override)` ... */
  readonly rule: string;
  /** The user's segment; undefined if none. */
  readonly segment: string | undefined;
  readonly revision: number;
  /** The global percentage from which this user is on the candidate; undefined where the global figure does not decide. */
  readonly candidateFromPercentage: number | undefined;
  readonly at: { readonly percentage: number; readonly arm: AssignedArm; readonly reason: Reason; readonly rule: string } | undefined;
}

/**
 * Explains the decision for a user. `segment` is taken as if a trusted hop had named it; `atBp` asks what would happen if the
 * global percentage were that many basis points.
 */
export function explainArm(
  rules: Rules,
  killed: boolean,
  query: { readonly user: string; readonly segment: string | undefined; readonly atBp: number | undefined },
): Explanation {
  const subject = { key: query.user, segment: query.segment, override: undefined };
  const decision = decideArm(rules, killed, subject);
  const bucket = bucketOf(rules.salt, query.user);
  const imagined = query.atBp === undefined ? undefined : { ...rules, weightBp: query.atBp };
  const there = imagined && decideArm(imagined, killed, subject);
  return {
    flag: rules.flag,
    user: query.user,
    arm: decision.arm,
    reason: decision.reason,
    bucket,
    rule: ruleInWords(rules, killed, decision),
    segment: rules.segments[decision.segment]?.name,
    revision: rules.revision,
    candidateFromPercentage: candidateFrom(rules, decision, bucket),
    at:
      imagined && there
        ? { percentage: imagined.weightBp / 100, arm: there.arm, reason: there.reason, rule: ruleInWords(imagined, killed, there) }
        : undefined,
  };
}

function ruleInWords(rules: Rules, killed: boolean, decision: Decision): string {
  const segment = rules.segments[decision.segment];
  switch (decision.reason) {
    case "kill-switch":
      return killed && !rules.killed ? "kill switch of this instance" : "kill_switch 1";
    case "disabled":
      return "enabled 0";
    case "list":
      return decision.arm === "stable" ? "on the deny list" : "on the allow list";
    case "override":
      return "override sent with the request";
    case "unkeyed":
      return "no user key";
    case "segment":
      return segment === undefined
        ? "segment"
        : `segment ${segment.name} ${formatShare(segment.weightBp)} (${segment.override ? "override" : "cap"})`;
    case "percentage":
      return `rollout_percentage ${formatShare(rules.weightBp)}`;
  }
}

function candidateFrom(rules: Rules, decision: Decision, bucket: number): number | undefined {
  const segment = rules.segments[decision.segment];
  if (decision.reason !== "percentage" && decision.reason !== "segment") return undefined;
  if (segment !== undefined && (segment.override || bucket >= segment.weightBp)) return undefined;
  return ((bucket + 1) / BUCKETS) * 100;
}

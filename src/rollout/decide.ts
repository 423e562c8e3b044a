import { bucketOf } from "../core/bucket.ts";
import type { AssignedArm } from "../core/words.ts";
import { decisionOf, type Decision, type Rules } from "./rules.ts";

/** What is known of the one who asks. */
export interface Subject {
  /** The user key; undefined when there is none and none could be given. */
  readonly key: string | undefined;
  /** Segment that a trusted hop named; undefined if none did. */
  readonly segment: string | undefined;
  /** Arm that an authorised override asks for. */
  readonly override: AssignedArm | undefined;
}

/**
 * The arm of a user, by the first rule that speaks: kill switch, disabled flag, deny and allow list, authorised override,
 * segment whose figure replaces the global one, segment whose figure caps it, global percentage. The bucket depends on salt
 * and key only, so raising a percentage never takes the candidate from anybody. `killed` is this instance's own switch.
 */
export function decideArm(rules: Rules, killed: boolean, subject: Subject): Decision {
  const segment = segmentOf(rules, subject);
  if (killed || rules.killed) return decisionOf(rules, "stable", "kill-switch", segment);
  if (!rules.enabled) return decisionOf(rules, "stable", "disabled", segment);
  const { key } = subject;
  if (key !== undefined) {
    if (rules.deny?.has(key)) return decisionOf(rules, "stable", "list", segment);
    if (rules.allow?.has(key)) return decisionOf(rules, "candidate", "list", segment);
  }
  if (subject.override !== undefined) return decisionOf(rules, subject.override, "override", segment);
  const rule = rules.segments[segment];
  const bySegment = rule !== undefined && (rule.override || rule.weightBp < rules.weightBp);
  const weightBp = bySegment ? rule.weightBp : rules.weightBp;
  const reason = bySegment ? "segment" : "percentage";
  if (weightBp <= 0) return decisionOf(rules, "stable", reason, segment);
  if (weightBp >= 10_000) return decisionOf(rules, "candidate", reason, segment);
  if (key === undefined) return decisionOf(rules, "stable", "unkeyed", segment);
  return decisionOf(rules, bucketOf(rules.salt, key) < weightBp ? "candidate" : "stable", reason, segment);
}

/** The user's segment: the first of the flag's list that a trusted hop named or whose set holds the user; -1 for none. */
function segmentOf(rules: Rules, subject: Subject): number {
  const { key, segment } = subject;
  for (let i = 0; i < rules.segments.length; i++) {
    const rule = rules.segments[i];
    if (rule === undefined) continue;
    if (rule.name === segment || (key !== undefined && rule.members?.has(key))) return i;
  }
  return -1;
}

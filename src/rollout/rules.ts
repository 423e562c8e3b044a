import type { FallbackSettings, Flag } from "../config/config.ts";
import { StringSet } from "../core/string-set.ts";
import { REASONS, type AssignedArm, type Reason } from "../core/words.ts";
import type { FlagState } from "./flag-state.ts";

/** Where a user goes, and why. Interned: equal decisions of one set of rules are the same object. */
export interface Decision {
  readonly arm: AssignedArm;
  readonly reason: Reason;
  /** Number of the user's segment in the flag's list; -1 for none. */
  readonly segment: number;
}

export interface CompiledSegment {
  readonly name: string;
  readonly weightBp: number;
  readonly override: boolean;
  readonly members: StringSet | undefined;
}

/** One flag, ready to decide with: frozen, complete, nothing left to parse or look up by name. */
export interface Rules {
  readonly flag: string;
  readonly salt: string;
  readonly revision: number;
  readonly enabled: boolean;
  readonly killed: boolean;
  readonly weightBp: number;
  readonly segments: readonly CompiledSegment[];
  readonly allow: StringSet | undefined;
  readonly deny: StringSet | undefined;
  readonly fallback: FallbackSettings;
  readonly samplingBp: number;
  /** Every possible decision, so that deciding allocates none. */
  readonly decisions: readonly Decision[];
}

export function compileRules(flag: Flag, state: FlagState): Rules {
  const { settings } = state;
  const segments = settings.segments.map((rule) => ({ ...rule, members: setOf(state.members[rule.name]) }));
  const decisions: Decision[] = [];
  for (let segment = -1; segment < segments.length; segment++) {
    for (const reason of REASONS) {
      decisions.push(Object.freeze({ arm: "stable", reason, segment }), Object.freeze({ arm: "candidate", reason, segment }));
    }
  }
  return Object.freeze({
    flag: flag.name,
    salt: flag.salt,
    revision: state.revision,
    enabled: settings.enabled,
    killed: settings.killSwitch,
    weightBp: settings.weightBp,
    segments,
    allow: setOf(state.allow),
    deny: setOf(state.deny),
    fallback: settings.fallback,
    samplingBp: settings.samplingBp,
    decisions,
  });
}

/** The interned decision of these values. */
export function decisionOf(rules: Rules, arm: AssignedArm, reason: Reason, segment: number): Decision {
  const index = ((segment + 1) * REASONS.length + REASONS.indexOf(reason)) * 2 + (arm === "candidate" ? 1 : 0);
  return rules.decisions[index] ?? { arm, reason, segment };
}

function setOf(buffer: SharedArrayBuffer | undefined): StringSet | undefined {
  if (buffer === undefined) return undefined;
  const set = new StringSet(buffer);
  return set.size === 0 ? undefined : set;
}

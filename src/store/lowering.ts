import type { Flag, FlagSettings } from "../config/config.ts";
import { readFields } from "../config/settings.ts";
import { formatShare } from "../core/quantity.ts";
import { diffFields, type Fields, withFields } from "./view.ts";

/** Fields that decide how many users are on the candidate. */
const ON_CANDIDATE = /^(?:rollout_percentage|enabled|kill_switch|segment\..*)$/;

/** Whether a change can only take users off the candidate, and touches nothing else. No change at all does. */
export function onlyLowers(flag: Flag, from: Fields, to: Fields): boolean {
  if (!diffFields(from, to).every(({ field }) => ON_CANDIDATE.test(field))) return false;
  const [before, after] = [readFields(flag.settings, from).settings, readFields(flag.settings, to).settings];
  const switchedOn = isOn(after) && !isOn(before);
  return !switchedOn && sharesOf(after).every(([field, bp]) => bp <= shareIn(before, field));
}

/** `fields`, but no share in them is higher than the one in force, which may have been lowered since they were thought of. */
export function withoutRaising(
  flag: Flag,
  inForce: Fields,
  fields: Readonly<Record<string, string | null>>,
): Record<string, string | null> {
  const before = readFields(flag.settings, inForce).settings;
  const after = readFields(flag.settings, withFields(inForce, fields)).settings;
  const raised = sharesOf(after).filter(([field, bp]) => Object.hasOwn(fields, field) && bp > shareIn(before, field));
  return { ...fields, ...Object.fromEntries(raised.map(([field]) => [field, formatShare(shareIn(before, field))])) };
}

function isOn({ enabled, killSwitch }: FlagSettings): boolean {
  return enabled && !killSwitch;
}

function sharesOf({ weightBp, segments }: FlagSettings): readonly (readonly [field: string, bp: number])[] {
  return [["rollout_percentage", weightBp], ...segments.map((segment) => [`segment.${segment.name}`, segment.weightBp] as const)];
}

function shareIn(settings: FlagSettings, field: string): number {
  return sharesOf(settings).find(([name]) => name === field)?.[1] ?? 0;
}

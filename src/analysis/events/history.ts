import type { Flag, FlagSettings } from "../../config/config.ts";
import { fieldsOf, type Fields, readFields } from "../../config/settings.ts";
import type { FlagState } from "../../rollout/flag-state.ts";
import { compileRules, type Rules } from "../../rollout/rules.ts";
import type { AuditEntry } from "../../store/store.ts";

/** Which rules were in force when. */
export interface History {
  /** The rules in force at an instant (epoch ms); undefined: nobody can say. */
  at(ms: number): Rules | undefined;
}

/** A stretch of time up to the next one; its settings are undefined where they cannot be told. */
interface Stretch {
  readonly from: number;
  readonly settings: FlagSettings | undefined;
  rules: Rules | undefined;
}

/**
 * Undoes the accepted changes of the audit one by one, from the present backwards. `audit`: the newest first, as far back as it is to be known;
 * before its oldest entry nobody can say, unless that is the first change of all. `since`: from when on `current` is known to be in force.
 *
 * Allow and deny lists and members of segments are those of now: the audit holds their sizes only. Times are of the clock that the audit has.
 */
export function createHistory(flag: Flag, current: FlagState, audit: readonly AuditEntry[], since = Infinity): History {
  const stretches = stretchesOf(flag, current, audit, since);
  const compiled = (stretch: Stretch): Rules | undefined => {
    if (stretch.settings === undefined) return undefined;
    return (stretch.rules ??= compileRules(flag, { ...current, settings: stretch.settings }));
  };
  return {
    at(ms) {
      const stretch = stretches.find(({ from }) => from <= ms);
      return stretch && compiled(stretch);
    },
  };
}

/** The newest first. */
function stretchesOf(flag: Flag, current: FlagState, audit: readonly AuditEntry[], since: number): readonly Stretch[] {
  const stretches: Stretch[] = [];
  // What another instance changed a moment ago and this one has not heard of is in no state that it could start from.
  const known = audit.filter(({ revision }) => revision <= current.revision);
  let settings = current.settings;
  let fields = fieldsOf(settings);
  let isSure = true;
  for (const { at, status, changes } of known) {
    if (status !== "accepted") continue;
    const mine = changes.filter(({ field }) => decides(field));
    if (mine.length === 0) continue;
    const after = settingsOf(flag, fields, mine, "to");
    // Between this change and the next one there was another, which the audit has lost.
    if (!decideAlike(after, settings)) isSure = false;
    stretches.push({ from: Date.parse(at), settings: isSure ? settings : undefined, rules: undefined });
    settings = settingsOf(flag, fields, mine, "from");
    fields = fieldsOf(settings);
    isSure = true;
  }
  if (isFromTheFirst(known, current)) stretches.push({ from: -Infinity, settings, rules: undefined });
  else {
    const oldest = known.at(-1);
    if (oldest !== undefined) stretches.push({ from: Date.parse(oldest.at), settings, rules: undefined });
  }
  const newest = stretches[0];
  if (newest?.settings === undefined || newest.from > since)
    stretches.unshift({ from: since, settings: current.settings, rules: undefined });
  return stretches;
}

/** Before the first change the configuration file's own settings were in force. */
function isFromTheFirst(known: readonly AuditEntry[], current: FlagState): boolean {
  if (current.revision === 0) return true;
  return known.some(({ revision, status }) => revision === 1 && status === "accepted");
}

/** Fields that have a say in who goes where. */
function decides(field: string): boolean {
  return field === "enabled" || field === "kill_switch" || field === "rollout_percentage" || field.startsWith("segment.");
}

function settingsOf(flag: Flag, fields: Fields, changes: AuditEntry["changes"], side: "from" | "to"): FlagSettings {
  const file = fieldsOf(flag.settings);
  const changed = changes.map((change) => [change.field, change[side] ?? file[change.field] ?? ""] as const);
  return readFields(flag.settings, { ...fields, ...Object.fromEntries(changed) }).settings;
}

function decideAlike(a: FlagSettings, b: FlagSettings): boolean {
  const said = ({ enabled, killSwitch, weightBp, segments }: FlagSettings): string =>
    JSON.stringify([enabled, killSwitch, weightBp, segments.map((rule) => rule.weightBp)]);
  return said(a) === said(b);
}

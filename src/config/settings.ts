import { formatDuration, formatShare } from "../core/quantity.ts";
import { BREAKER_MODES } from "../core/words.ts";
import type { FlagSettings, SegmentRule } from "./config.ts";
import { freeze } from "./freeze.ts";
import { nearest } from "./problem.ts";
import { choice, duration, type Reading, type Scalar, share, text, toggle } from "./scalars.ts";

/**
 * The live settings of a flag as fields of a hash, which people write with any client: what each field means, what is
 * right in it, and which of an edit's values come into force.
 */
export type Fields = Readonly<Record<string, string>>;

export interface FieldRejection {
  readonly field: string;
  readonly value: string;
  readonly kind: "invalid-value" | "unknown-field";
  /** What was wrong and what would be right. */
  readonly message: string;
}

type Apply = (settings: FlagSettings) => FlagSettings;

/** One field: how it is read into the settings, and written out of them. */
interface Field {
  readonly read: (text: string) => Reading<Apply>;
  /** Undefined: there is nothing to show. */
  readonly write: (settings: FlagSettings) => string | undefined;
}

/** In a hash a bare number is milliseconds: that is what people type after `HSET`. */
const responseTime: Scalar<number> = {
  ...duration({ min: 1, max: 60_000 }),
  read(text) {
    const ms = /^\s*\d+(\.\d+)?\s*$/.test(text) ? `${text.trim()}ms` : text;
    return duration({ min: 1, max: 60_000 }).read(ms);
  },
};

function field<T>(scalar: Scalar<T>, set: (settings: FlagSettings, value: T) => FlagSettings, write: Field["write"]): Field {
  return {
    read(text) {
      const reading = scalar.read(text);
      return "value" in reading ? { value: (settings) => set(settings, reading.value) } : reading;
    },
    write,
  };
}

/** What a rehearsal writes to say which one it is. */
const drillMark = text({ expected: "a short text of visible characters", pattern: /^[^\p{Cc}]*$/u, min: 0, max: 128 });

const FALLBACK_TIME = "fallback.response_time";
/** Another name for {@link FALLBACK_TIME}. */
const FALLBACK_TIME_MS = "fallback.response_time_ms";
const KILL_SWITCH = "kill_switch";
const SEGMENT = "segment.";

const FIXED: Readonly<Record<string, Field>> = {
  enabled: field(
    toggle,
    (settings, enabled) => ({ ...settings, enabled }),
    ({ enabled }) => String(enabled),
  ),
  rollout_percentage: field(
    share,
    (settings, weightBp) => ({ ...settings, weightBp }),
    ({ weightBp }) => formatShare(weightBp),
  ),
  [KILL_SWITCH]: field(
    toggle,
    (settings, killSwitch) => ({ ...settings, killSwitch }),
    ({ killSwitch }) => String(killSwitch),
  ),
  "fallback.enabled": field(
    toggle,
    (settings, enabled) => withFallback(settings, { enabled }),
    ({ fallback }) => String(fallback.enabled),
  ),
  [FALLBACK_TIME]: field(
    responseTime,
    (settings, responseTimeMs) => withFallback(settings, { responseTimeMs }),
    ({ fallback }) => formatDuration(fallback.responseTimeMs),
  ),
  "fallback.error_rate": field(
    share,
    (settings, errorRateBp) => withFallback(settings, { errorRateBp }),
    ({ fallback }) => formatShare(fallback.errorRateBp),
  ),
  "fallback.accuracy": field(
    share,
    (settings, accuracyBp) => withFallback(settings, { accuracyBp }),
    ({ fallback }) => formatShare(fallback.accuracyBp),
  ),
  "fallback.hedge": field(
    toggle,
    (settings, hedge) => withFallback(settings, { hedge }),
    ({ fallback }) => String(fallback.hedge),
  ),
  "fallback.budget": field(
    share,
    (settings, budgetBp) => withFallback(settings, { budgetBp }),
    ({ fallback }) => formatShare(fallback.budgetBp),
  ),
  "fallback.breaker": field(
    choice(BREAKER_MODES),
    (settings, breaker) => withFallback(settings, { breaker }),
    ({ fallback }) => fallback.breaker,
  ),
  "monitoring.sampling_rate": field(
    share,
    (settings, samplingBp) => ({ ...settings, samplingBp }),
    ({ samplingBp }) => formatShare(samplingBp),
  ),
  drill: field(
    drillMark,
    (settings, drill) => ({ ...settings, drill }),
    ({ drill }) => drill,
  ),
};

function withFallback(settings: FlagSettings, change: Partial<FlagSettings["fallback"]>): FlagSettings {
  return { ...settings, fallback: { ...settings.fallback, ...change } };
}

function segmentField(name: string): Field {
  const withWeight = (rule: SegmentRule, weightBp: number): SegmentRule => (rule.name === name ? { ...rule, weightBp } : rule);
  return field(
    share,
    (settings, weightBp) => ({ ...settings, segments: settings.segments.map((rule) => withWeight(rule, weightBp)) }),
    ({ segments }) => formatShare(segments.find((rule) => rule.name === name)?.weightBp ?? 0),
  );
}

/** Every field that a flag has, under its first name, in the order in which they are shown. */
function fieldsKnown(base: FlagSettings): ReadonlyMap<string, Field> {
  const segments = base.segments.map(({ name }) => [`${SEGMENT}${name}`, segmentField(name)] as const);
  return new Map([...Object.entries(FIXED), ...segments]);
}

function readField(base: FlagSettings, name: string, value: string): Apply | FieldRejection {
  const known = fieldsKnown(base);
  const found = known.get(name === FALLBACK_TIME_MS ? FALLBACK_TIME : name);
  if (found === undefined) return { field: name, value, kind: "unknown-field", message: unknownField(base, name, [...known.keys()]) };
  const reading = found.read(value);
  return "value" in reading ? reading.value : { field: name, value, kind: "invalid-value", message: `${name}: ${reading.wrong}` };
}

function unknownField(base: FlagSettings, name: string, known: readonly string[]): string {
  if (name.startsWith(SEGMENT)) {
    const segments = base.segments.map((rule) => rule.name);
    const those = segments.length === 0 ? "the configuration file defines none" : `known: ${segments.join(", ")}`;
    return `${name}: there is no segment ${JSON.stringify(name.slice(SEGMENT.length))}; ${those}`;
  }
  const near = nearest(name, known);
  return `${name}: is not a known field; ${near === undefined ? `known: ${known.join(", ")}` : `did you mean ${near}?`}`;
}

/**
 * Reads a hash over the file's values: a field that is absent, or refused, has the file's. Both names of the fallback time
 * in one hash are refused unless they say the same.
 */
export function readFields(
  base: FlagSettings,
  raw: Fields,
): { readonly settings: FlagSettings; readonly rejections: readonly FieldRejection[] } {
  let settings = base;
  const rejections: FieldRejection[] = contradictions(base, raw);
  for (const [name, value] of Object.entries(raw)) {
    const result = readField(base, name, value);
    if (typeof result !== "function") rejections.push(result);
    else if (!rejections.some((rejection) => rejection.field === name)) settings = result(settings);
  }
  return { settings: freeze(settings), rejections };
}

function contradictions(base: FlagSettings, raw: Fields): FieldRejection[] {
  const names = [FALLBACK_TIME, FALLBACK_TIME_MS].filter((name) => Object.hasOwn(raw, name));
  const times = names.map((name) => {
    const result = readField(base, name, raw[name] ?? "");
    return typeof result === "function" ? result(base).fallback.responseTimeMs : undefined;
  });
  if (names.length < 2 || times.includes(undefined) || times[0] === times[1]) return [];
  return names.map((name) => ({
    field: name,
    value: raw[name] ?? "",
    kind: "invalid-value",
    message: `${name}: ${FALLBACK_TIME} and ${FALLBACK_TIME_MS} are one setting and say different things; remove one of them`,
  }));
}

/** What is known of a flag's hash: the fields in force, and the hash as it was last seen, mistakes and all. */
export interface SettingsMemory {
  readonly accepted: Fields;
  readonly seen: Fields;
}

export interface AcceptedSettings {
  readonly accepted: Fields;
  readonly settings: FlagSettings;
  /** What is wrong with this edit. Empty exactly when the edit came into force. */
  readonly rejections: readonly FieldRejection[];
}

/**
 * Decides what a changed hash changes. The fields that differ from the hash last seen are one edit, taken as a whole or not
 * at all; a mistake that was refused before does not stand in the way of a later edit of other fields. The kill switch alone
 * is taken even out of an edit that is refused: an emergency must not fail for somebody's typo.
 */
export function acceptSettings(base: FlagSettings, previous: SettingsMemory, raw: Fields): AcceptedSettings {
  const { rejections } = readFields(base, raw);
  const edit = new Set(
    [...Object.keys(previous.seen), ...Object.keys(raw)].filter((name) => valueOf(previous.seen, name) !== valueOf(raw, name)),
  );
  const wrong = rejections.filter(({ field: name }) => edit.has(name));
  if (rejections.length === 0) return inForce(base, { ...raw }, []);
  if (wrong.length === 0) return inForce(base, applyEdit(previous.accepted, edit, raw), []);
  const killWrong = rejections.some(({ field: name }) => name === KILL_SWITCH);
  return inForce(base, killWrong ? previous.accepted : applyEdit(previous.accepted, new Set([KILL_SWITCH]), raw), wrong);
}

function inForce(base: FlagSettings, accepted: Fields, rejections: readonly FieldRejection[]): AcceptedSettings {
  return { accepted, settings: readFields(base, accepted).settings, rejections };
}

function applyEdit(accepted: Fields, edit: ReadonlySet<string>, raw: Fields): Fields {
  const time = edit.has(FALLBACK_TIME) || edit.has(FALLBACK_TIME_MS);
  const gone = (name: string): boolean => edit.has(name) || (time && (name === FALLBACK_TIME || name === FALLBACK_TIME_MS));
  const kept = Object.entries(accepted).filter(([name]) => !gone(name));
  return Object.fromEntries([...kept, ...Object.entries(raw).filter(([name]) => edit.has(name))]);
}

function valueOf(fields: Fields, name: string): string | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** Every setting as the store would hold it, for display; the mark of a drill only where there is one. */
export function fieldsOf(settings: FlagSettings): Fields {
  const shown = [...fieldsKnown(settings)].map(([name, { write }]) => [name, write(settings)] as const);
  return Object.fromEntries(shown.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

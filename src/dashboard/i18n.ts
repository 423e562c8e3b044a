import { computed, signal } from "@preact/signals";
import { type Language, LANGUAGES } from "../incidents/incident.ts";
import { recall, remember } from "./keep.ts";

/** The languages of the page, which words it uses, and how numbers and dates are written in it. */

const KEPT = "crossfade.language";

function ofBrowser(): Language {
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.flatMap((tag) => LANGUAGES.filter((known) => known === tag))[0] ?? "en";
}

const kept = LANGUAGES.find((known) => known === recall(KEPT));
export const language = signal<Language>(kept ?? ofBrowser());

export function chooseLanguage(wanted: Language): void {
  language.value = wanted;
  remember(KEPT, wanted);
}

export type Facts = Readonly<Record<string, string | number>>;

/**
 * The texts of one part of the page in each language. What comes back gives the text of a key in the language of the moment; `{name}` is
 * replaced by the fact of that name, and of `one|many` the form that fits the fact `count` is taken. Read in a component, it is drawn anew
 * when the language changes.
 */
export function createWords<Key extends string>(
  texts: Readonly<Record<Language, Readonly<Record<Key, string>>>>,
): (key: Key, facts?: Facts) => string {
  return (key, facts = {}) => {
    const text = formFor(texts[language.value][key], facts["count"]);
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const fact = facts[name];
      return typeof fact === "number" ? number(fact) : (fact ?? whole);
    });
  };
}

function formFor(text: string, count: string | number | undefined): string {
  const at = text.indexOf("|");
  if (at < 0 || typeof count !== "number") return text;
  return formats.value.plural.select(count) === "one" ? text.slice(0, at) : text.slice(at + 1);
}

/** Formatters are dear to make, so they are made once a language. */
const formats = computed(() => {
  const tag = language.value;
  return {
    tag,
    plural: new Intl.PluralRules(tag),
    numbers: new Map<number, Intl.NumberFormat>(),
    time: new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    minute: new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    instant: new Intl.DateTimeFormat(tag, {
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
    }),
  };
});

/** What JSON makes of a number that may be unknown. */
export type Known = number | null | undefined;

export const UNKNOWN = "–";
/** No-break, so that a number and its unit stay together. */
const NBSP = "\u00a0";

/** At most `digits` after the point. Unknown numbers are a dash. */
export function number(value: Known, digits = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const { numbers, tag } = formats.value;
  let format = numbers.get(digits);
  if (format === undefined) {
    format = new Intl.NumberFormat(tag, { maximumFractionDigits: digits });
    numbers.set(digits, format);
  }
  return format.format(value);
}

/** Exactly `digits` after the point, for figures that change under the eye. */
export function fixed(value: Known, digits: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const { numbers, tag } = formats.value;
  let format = numbers.get(-1 - digits);
  if (format === undefined) {
    format = new Intl.NumberFormat(tag, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    numbers.set(-1 - digits, format);
  }
  return format.format(value);
}

/** A share of 0..1, in per cent. */
export function share(value: Known, digits = 1): string {
  return percent(typeof value === "number" ? value * 100 : value, digits);
}

/** Something in per cent already. */
export function percent(value: Known, digits = 2): string {
  const text = number(value, digits);
  return text === UNKNOWN ? text : `${text}${NBSP}%`;
}

/** A duration: `8.3 ms`, `120 ms`, `1.25 s`, `3 min 20 s`, `2 d 4 h`. */
export function duration(ms: Known): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return UNKNOWN;
  if (Math.abs(ms) < 10) return `${number(ms, 1)}${NBSP}ms`;
  if (Math.abs(ms) < 1_000) return `${number(Math.round(ms))}${NBSP}ms`;
  if (Math.abs(ms) < 10_000) return `${number(ms / 1_000, 2)}${NBSP}s`;
  return length(ms);
}

const UNITS: readonly (readonly [en: string, fr: string, seconds: number])[] = [
  ["d", "j", 86_400],
  ["h", "h", 3_600],
  ["min", "min", 60],
  ["s", "s", 1],
];

/** A length of time in whole seconds, in its two largest units. */
export function length(ms: Known): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return UNKNOWN;
  let rest = Math.round(Math.max(0, ms) / 1_000);
  const parts: string[] = [];
  for (const [en, fr, seconds] of UNITS) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${number(count)}${NBSP}${formats.value.tag === "fr" ? fr : en}`);
  }
  return parts.length === 0 ? `0${NBSP}s` : parts.slice(0, 2).join(" ");
}

/** `14:03:59` */
export function timeOfDay(at: Known): string {
  return written(formats.value.time, at);
}

/** `14:03` */
export function minuteOfDay(at: Known): string {
  return written(formats.value.minute, at);
}

/** `23 Nov, 14:03:59`; of epoch milliseconds or an ISO text. */
export function instant(at: Known | string): string {
  return written(formats.value.instant, typeof at === "string" ? Date.parse(at) : at);
}

function written(format: Intl.DateTimeFormat, at: Known): string {
  return at === null || at === undefined || Number.isNaN(new Date(at).getTime()) ? UNKNOWN : format.format(at);
}

import type { Language } from "../incidents/incident.ts";
import type { NoticeKind } from "./notice.ts";
import { TEMPLATES_EN } from "./templates-en.ts";
import { TEMPLATES_FR } from "./templates-fr.ts";

/** What a notice tells: in one line, then a sentence or more each; "" is left out. */
export interface Telling {
  readonly title: string;
  readonly happened: string;
  readonly means: string;
  /** What is done about it already, by itself or by somebody. */
  readonly done: string;
  readonly next: string;
}

/** Two kinds end by the same name that they began with. */
export type TellingKind = NoticeKind | "trigger-passing" | "breaker-closed";

/** Facts for a template: what is missing is "". */
export interface FactReader {
  (name: string): string;
}

/** What a message says about how far things are, beside the telling of its kind. */
export interface Templates {
  readonly tellings: Readonly<Record<TellingKind, (fact: FactReader, flag: string) => Telling>>;
  /** The rollback flow: at once, after 5 min, 15 min, 30 min, 2 h, 24 h. `state` is `rollbackState`. */
  readonly flow: readonly ((fact: FactReader, flag: string, rollbackState: string) => Telling)[];
  /** How far a rollback is. */
  readonly rollbackState: (fact: FactReader) => string;
  readonly frame: Frame;
}

/** The words around the telling. */
export interface Frame {
  readonly over: string;
  readonly reminder: (index: number) => string;
  readonly level: (level: number, policy: string) => string;
  readonly flow: (after: string) => string;
  readonly since: (instant: string) => string;
  readonly lasted: (length: string) => string;
  readonly times: (count: number) => string;
  readonly late: (length: string) => string;
  readonly acknowledged: (by: string, instant: string) => string;
  readonly resolved: (instant: string) => string;
  readonly nobody: string;
  readonly called: (level: number) => string;
  readonly acknowledge: string;
  readonly byCommand: string;
  readonly dashboard: string;
  readonly notice: string;
  readonly severity: string;
  readonly flag: string;
  readonly units: Readonly<Record<"d" | "h" | "min" | "s", string>>;
}

const TEMPLATES: Readonly<Record<Language, Templates>> = { en: TEMPLATES_EN, fr: TEMPLATES_FR };

export function templatesOf(language: Language): Templates {
  return TEMPLATES[language];
}

/** Reads facts in a language: `title` is `title.fr`, or what there is instead. */
export function factReader(facts: Readonly<Record<string, string>>, language: Language): FactReader {
  const other = language === "en" ? "fr" : "en";
  const own = (name: string): string => (Object.hasOwn(facts, name) ? (facts[name] ?? "") : "");
  return (name) => own(`${name}.${language}`) || own(name) || own(`${name}.${other}`);
}

/** The sentence, where there is something to fill in. */
export function given(fact: string, sentence: (text: string) => string): string {
  return fact === "" ? "" : sentence(fact);
}

/** One paragraph of those parts that say something. */
export function join(...parts: readonly string[]): string {
  return parts.filter((text) => text !== "").join(" ");
}

/** A word in the language of the message; one that is not known is shown as it is. */
export function wordIn(words: Readonly<Record<string, string>>, word: string): string {
  return Object.hasOwn(words, word) ? (words[word] ?? word) : word;
}

/** `2026-11-23 02:15 UTC`; the text itself where it is no date. */
export function instantOf(text: string): string {
  const date = new Date(Number(text));
  return text === "" || Number.isNaN(date.getTime()) ? text : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

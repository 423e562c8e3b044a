import type { Check, Judged } from "../../analysis/check.ts";
import { showFigure } from "../../analysis/judge-text.ts";
import type { Language } from "../../incidents/incident.ts";

/** What a gate or a trigger says, as the numbers that a row of a table shows. JSON has made null of what was NaN or infinite. */

function known(value: number | null | undefined): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** The very digits of the verdict's own sentence, so that a row never contradicts it; written as the language writes numbers. */
export function figureText(check: Pick<Check, "metric" | "of">, value: number | null | undefined, language: Language): string {
  const found = known(value);
  if (found === undefined) return "–";
  const text = showFigure(check, found).replace("-", "\u2212");
  return language === "en" ? text : text.replaceAll(/[.,]/g, (sign) => (sign === "," ? "\u202f" : ","));
}

export function limitText({ metric, of, limit }: Check, language: Language): string {
  return `${limit.kind === "at-most" ? "≤" : "≥"} ${figureText({ metric, of }, limit.value, language)}`;
}

/** Where the true value lies for sure; undefined: neither bound is known. */
export function intervalText(check: Check, { low, high }: Judged["verdict"], language: Language): string | undefined {
  const [from, to] = [known(low), known(high)];
  if (from === undefined && to === undefined) return undefined;
  if (from === undefined) return `≤ ${figureText(check, to, language)}`;
  if (to === undefined) return `≥ ${figureText(check, from, language)}`;
  return from === to ? undefined : `${figureText(check, from, language)} … ${figureText(check, to, language)}`;
}

/** How far a value is from its limit: a bar, and a length in the unit of the limit. */
export interface Margin {
  /** Ends of the bar, 0..1 of its length. */
  readonly from: number;
  readonly to: number;
  /** Where the limit stands. */
  readonly limit: number;
  readonly isBeyond: boolean;
  /** Without sign. */
  readonly distance: number;
}

/** Undefined without a value. A bar of `at-most` grows towards its limit; one of `at-least` must reach it. */
export function marginOf({ check, verdict }: Judged): Margin | undefined {
  const value = known(verdict.value);
  if (value === undefined) return undefined;
  const { kind, value: limit } = check.limit;
  const isBeyond = kind === "at-most" ? value > limit : value < limit;
  const [lowest, highest] = scaleOf(check, value);
  const place = (of: number): number => Math.min(1, Math.max(0, (of - lowest) / (highest - lowest)));
  const base = lowest < 0 ? place(0) : 0;
  const end = place(value);
  return { from: Math.min(base, end), to: Math.max(base, end), limit: place(limit), isBeyond, distance: Math.abs(limit - value) };
}

/** Shares that must be high move in their last points: drawn from 0 nothing would be seen of them. */
function scaleOf({ of, limit, metric }: Check, value: number): readonly [lowest: number, highest: number] {
  const isShare = of === "candidate" && SHARES.has(metric);
  if (limit.kind === "at-least" && isShare && limit.value > 0.5) {
    const lowest = Math.max(0, limit.value - 2 * (1 - limit.value));
    return [Math.min(lowest, value), 1];
  }
  const reach = 1.4 * Math.max(Math.abs(limit.value), 1e-9);
  const beyond = 1.05 * value;
  if (of === "difference") return [Math.min(-reach, beyond), Math.max(reach, beyond)];
  return [0, Math.max(limit.kind === "at-least" ? 1.2 * reach : reach, Math.min(beyond, 4 * reach))];
}

const SHARES: ReadonlySet<string> = new Set([
  "errors",
  "availability",
  "fallbacks",
  "quality",
  "accuracy",
  "satisfaction",
  "conversion",
  "data_integrity",
]);

/** Instants that the windows of checks begin at. */
export interface Beginnings {
  readonly at: number;
  /** Of the present step; undefined: none is in force. */
  readonly step: number | undefined;
  readonly start: number;
}

/** When a verdict may be expected if observations go on coming as they have come. */
export type Outlook =
  /** It is there. */
  | { readonly kind: "decided" }
  | { readonly kind: "in"; readonly ms: number }
  /** The window never holds enough at this rate. */
  | { readonly kind: "never" }
  | { readonly kind: "unknown" };

/**
 * An estimate from the rate so far: too few observations take as long as the missing ones take to come; an undecided interval shrinks with the root of
 * their number, and is decided when its nearer end has reached the limit. Windows of a fixed length stop growing, so there it may never come.
 */
export function outlookOf({ check, verdict }: Judged, { at, step, start }: Beginnings): Outlook {
  if (verdict.verdict === "pass" || verdict.verdict === "fail") return { kind: "decided" };
  const { window } = check;
  const from = window.kind === "start" ? start : step;
  if (from === undefined || !(verdict.sample > 0)) return { kind: "unknown" };
  const age = at - from;
  const held = window.kind === "last" ? Math.min(window.ms, age) : age;
  if (!(held > 0)) return { kind: "unknown" };
  const needed = neededOf({ check, verdict });
  if (needed === undefined) return { kind: "unknown" };
  if (needed <= verdict.sample) return { kind: "unknown" };
  const ms = ((needed - verdict.sample) * held) / verdict.sample;
  if (window.kind === "last" && held + ms > window.ms) return { kind: "never" };
  return { kind: "in", ms };
}

/** Observations that a verdict will take, as far as it can be told by now. */
function neededOf({ check, verdict }: Pick<Judged, "check" | "verdict">): number | undefined {
  if (verdict.verdict === "no-data") return Math.max(1, check.minSample);
  if (check.metric === "requests") return check.limit.value;
  const [low, high, value] = [known(verdict.low), known(verdict.high), known(verdict.value)];
  if (low === undefined || high === undefined || value === undefined) return undefined;
  const distance = Math.abs(check.limit.value - value);
  const isOver = value > check.limit.value;
  const half = isOver ? value - low : high - value;
  return distance > 0 && half > 0 ? verdict.sample * (half / distance) ** 2 : undefined;
}

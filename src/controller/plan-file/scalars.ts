import { IANAZone } from "luxon";
import type { Check, Metric, Window } from "../../analysis/check.ts";
import { show } from "../../config/problem.ts";
import { duration, type Reading, type Scalar } from "../../config/scalars.ts";
import { METRIC_FACTS } from "./metric-facts.ts";

/** How the values are written that only plan files have. */

const DAY_MS = 86_400_000;
const LONGEST_WINDOW_MS = DAY_MS;
/** Nothing that an upstream takes is measured beyond it. */
const LONGEST_LATENCY_MS = 60_000;

const MS_A_UNIT: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS };

/** Events in `perMs`: `20/s`, `1000/m`, `2000/d`. */
export function rate(perMs: number, example: string): Scalar<number> {
  const expected = `a rate such as ${example}, per s, m, h or d`;
  return {
    kind: "rate",
    expected,
    read(text) {
      const match = /^\s*(\d{1,12}(?:\.\d{1,6})?)\s*\/\s*(s|m|h|d)\s*$/.exec(text);
      const value = match === null ? Number.NaN : (Number(match[1]) * perMs) / (MS_A_UNIT[match[2] ?? ""] ?? Number.NaN);
      return value > 0 ? { value } : { wrong: `${show(text)} is not a rate above 0; expected ${expected}` };
    },
    json: { type: "string", pattern: "^\\s*\\d+(\\.\\d+)?\\s*/\\s*(s|m|h|d)\\s*$" },
  };
}

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** 1 Monday ... 7 Sunday. */
export const weekday: Scalar<number> = {
  kind: "day",
  expected: "one of mon, tue, wed, thu, fri, sat, sun",
  read(text) {
    const index = DAYS.findIndex((day) => day === text.trim().toLowerCase());
    return index < 0 ? { wrong: `${show(text)} is not a day; expected ${weekday.expected}` } : { value: index + 1 };
  },
  json: { type: "string", pattern: "^(mon|tue|wed|thu|fri|sat|sun)$" },
};

/** Minutes since midnight, half-open. */
export const hours: Scalar<{ readonly from: number; readonly to: number }> = {
  kind: "hours",
  expected: "a span of the day such as 09:00-17:00, at most 00:00-24:00",
  read(text) {
    const match = /^\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$/.exec(text);
    const from = minutes(match?.[1], match?.[2]);
    const to = minutes(match?.[3], match?.[4]);
    if (from === undefined || to === undefined) return { wrong: `${show(text)} is not a span of the day; expected ${hours.expected}` };
    if (to > from) return { value: { from, to } };
    return { wrong: `${show(text)} ends before it begins; a span cannot go over midnight, so expected ${hours.expected}` };
  },
  json: { type: "string", pattern: "^\\s*\\d{1,2}:\\d{2}\\s*-\\s*\\d{1,2}:\\d{2}\\s*$" },
};

function minutes(hour: string | undefined, minute: string | undefined): number | undefined {
  const total = Number(hour) * 60 + Number(minute);
  return Number(minute) < 60 && total <= 1_440 ? total : undefined;
}

/** First and last day, inclusive. */
export const freezeRange: Scalar<{ readonly from: string; readonly to: string }> = {
  kind: "dates",
  expected: "a day such as 2026-12-24, or a span such as 2026-12-24..2027-01-03",
  read(text) {
    const [from = "", to = from, ...rest] = text.trim().split("..");
    if (rest.length > 0 || !isDate(from) || !isDate(to))
      return { wrong: `${show(text)} is not a span of days; expected ${freezeRange.expected}` };
    return from <= to ? { value: { from, to } } : { wrong: `${show(text)} ends before it begins; swap the two days` };
  },
  json: { type: "string", pattern: "^\\d{4}-\\d{2}-\\d{2}(\\.\\.\\d{4}-\\d{2}-\\d{2})?$" },
};

/** Whether there is such a day. */
export function isDate(text: string): boolean {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return Number.isFinite(at) && new Date(at).toISOString().startsWith(text);
}

export const timeZone: Scalar<string> = {
  kind: "time zone",
  expected: "an IANA time zone such as Europe/Paris or UTC",
  read(text) {
    return IANAZone.isValidZone(text.trim())
      ? { value: text.trim() }
      : { wrong: `${show(text)} is not a known time zone; expected ${timeZone.expected}` };
  },
  json: { type: "string" },
};

const slidingWindow = duration({ min: 1_000, max: LONGEST_WINDOW_MS });

export const window: Scalar<Window> = {
  kind: "window",
  expected: "step, start, or a duration from 1s to 1d such as 5m",
  read(text) {
    const word = text.trim();
    if (word === "step" || word === "start") return { value: { kind: word } };
    const reading = slidingWindow.read(text);
    return "value" in reading
      ? { value: { kind: "last", ms: reading.value } }
      : { wrong: `${show(text)} is not a window; expected ${window.expected}` };
  },
  json: { type: "string", pattern: "^(step|start|\\s*\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)\\s*)$" },
};

/** A share as a fraction of 1, its sign % required where it could be misread. At most four decimals. */
export const risk: Scalar<number> = {
  kind: "percentage",
  expected: "a percentage with its sign, above 0% and below 50%, such as 5% or 0.1%",
  read(text) {
    const value = percentage(text);
    return value !== undefined && value > 0 && value < 0.5
      ? { value }
      : { wrong: `${show(text)} cannot be used here; expected ${risk.expected}` };
  },
  json: { type: "string", pattern: "^\\s*\\d+(\\.\\d{1,4})?\\s*%\\s*$" },
};

/** `-0.5%` is -0.005. */
function percentage(text: string): number | undefined {
  const match = /^\s*([-+]?\d{1,6}(?:\.\d{1,4})?)\s*%\s*$/.exec(text);
  // Through its digits: 0.07 x 100 and 7 / 100 differ in the last place.
  return match === null ? undefined : Number((Number(match[1]) / 100).toFixed(6));
}

/** The limit of a check, whose form follows from what it looks at. In the unit of the check: 0..1, milliseconds, seconds, or as it is. */
export function readLimit(metric: Metric, of: Check["of"], text: string): Reading<number> {
  const { unit } = METRIC_FACTS[metric];
  if (of === "ratio") {
    const value = percentage(text);
    const expected = "a percentage of the stable arm's figure with its sign, above 0% and up to 1000%, such as 110% for ten per cent more";
    return value !== undefined && value > 0 && value <= 10 ? { value } : { wrong: `${show(text)} is not a ratio; expected ${expected}` };
  }
  const signed = of === "difference";
  switch (unit) {
    case "share": {
      const value = percentage(text);
      const expected = signed
        ? "points above or below the stable arm's figure, such as 0.5% or -2%"
        : "a percentage with its sign, from 0% to 100%, such as 1%";
      if (value !== undefined && value <= 1 && value >= (signed ? -1 : 0)) return { value };
      return { wrong: `${show(text)} cannot be the limit of ${metric}; expected ${expected}` };
    }
    case "ms":
      return readDuration(metric, text, signed, 1);
    case "seconds":
      return readDuration(metric, text, signed, 1_000);
    case "count": {
      const expected = "a whole number from 0";
      return /^\s*\d{1,12}\s*$/.test(text)
        ? { value: Number(text) }
        : { wrong: `${show(text)} cannot be the limit of ${metric}; expected ${expected}` };
    }
    case "amount": {
      const expected = signed ? "a number such as 0.5 or -0.5" : "a number from 0, such as 2.5";
      const value = /^\s*[-+]?\d{1,12}(\.\d{1,6})?\s*$/.test(text) ? Number(text) : Number.NaN;
      if (Number.isFinite(value) && (signed || value >= 0)) return { value };
      return { wrong: `${show(text)} cannot be the limit of ${metric}; expected ${expected}` };
    }
  }
}

function readDuration(metric: Metric, text: string, signed: boolean, msAUnit: number): Reading<number> {
  const negative = signed && text.trim().startsWith("-");
  const longest = msAUnit === 1 ? LONGEST_LATENCY_MS : DAY_MS;
  const reading = duration({ min: signed ? 0 : 1, max: longest }).read(signed ? text.trim().replace(/^[-+]/, "") : text);
  if ("value" in reading) return { value: ((negative ? -1 : 1) * reading.value) / msAUnit };
  return { wrong: signed ? `${show(text)} cannot be the limit of ${metric}; expected a duration such as 5ms or -5ms` : reading.wrong };
}

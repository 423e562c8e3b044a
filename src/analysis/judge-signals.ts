import { formatDuration } from "../core/quantity.ts";
import type { SignalKind } from "./business.ts";
import type { Check, Verdict, VerdictWord } from "./check.ts";
import { type Evidence, isTold } from "./evidence.ts";
import { labelOf, showFigure } from "./judge-text.ts";

/** P0 is 0, P1 is 1; milder ones are not counted. */
const SEVERE = 1;

/**
 * Reports are taken as they are: there is no chance in them. security: how many incidents of P0 or P1 · sessions_lost: how many in all;
 * silence is good news of both. data_integrity, sync_lag: the worst report, and if it must have lasted, every report of that time must be
 * beyond the limit, and the first of them no later than half-way; silence says nothing.
 */
export function judgeSignals(check: Check, kind: SignalKind, evidence: Evidence): Verdict {
  const values = evidence.signals.map(({ value }) => value);
  if (isTold(kind)) {
    const severe = values.filter((value) => value <= SEVERE).length;
    const count = kind === "security" ? severe : values.reduce((sum, value) => sum + value, 0);
    return said(check, evidence, kind, count, notesOf(kind, evidence));
  }
  const worst = values.toSorted((a, b) => (check.limit.kind === "at-most" ? b - a : a - b))[0];
  if (worst === undefined || values.length < check.minSample) {
    const why = `${labelOf(check)}: ${countOf(values.length)} in the last ${spanOf(evidence)}, and a verdict takes ${Math.max(1, check.minSample)}`;
    return { verdict: "no-data", value: worst, low: undefined, high: undefined, sample: values.length, why };
  }
  return said(check, evidence, kind, worst, "");
}

function said(check: Check, evidence: Evidence, metric: SignalKind, value: number, note: string): Verdict {
  const { signals } = evidence;
  const { kind, value: limit } = check.limit;
  const isFine = (found: number): boolean => (kind === "at-most" ? found <= limit : found >= limit);
  const counts = isTold(metric);
  const how = isFine(value) ? "within" : kind === "at-most" ? "over" : "under";
  const what = `${labelOf(check)} ${showFigure(check, value)}${counts ? "" : signals.length > 1 ? " at worst" : ""} ${how} the limit of ${showFigure(check, limit)}`;
  const why = `${what}, ${countOf(signals.length)} in the last ${spanOf(evidence)}${note}`;
  const say = (verdict: VerdictWord, more = ""): Verdict => ({
    verdict,
    value,
    low: value,
    high: value,
    sample: signals.length,
    why: why + more,
  });
  if (isFine(value)) return say("pass");
  if (counts || check.forMs === 0) return say("fail");
  const fine = signals.filter((signal) => isFine(signal.value)).length;
  if (fine > 0) return say(isFine(signals.at(-1)?.value ?? value) ? "pass" : "inconclusive", `; ${fine} of them within it`);
  const first = signals[0]?.at ?? evidence.to;
  if (first > evidence.to - check.forMs / 2) return say("inconclusive", `; the first of them too late to say that it lasted`);
  return say("fail", "; all of them");
}

function countOf(reports: number): string {
  return reports === 1 ? "1 report" : `${reports} reports`;
}

function spanOf({ from, to }: Evidence): string {
  return formatDuration(Math.round(to - from));
}

/** What was said of severe incidents, shortened: it goes into the audit. */
function notesOf(kind: SignalKind, { signals }: Evidence): string {
  if (kind !== "security") return "";
  const notes = signals
    .filter(({ value, note }) => value <= SEVERE && note !== "")
    .map(({ value, note }) => `P${value} ${note.slice(0, 80)}`);
  return notes.length === 0 ? "" : `: ${notes.slice(0, 3).join("; ")}`;
}

import { SIGNAL_KINDS, type BusinessCell, type BusinessSource, type Signal, type SignalKind } from "./business.ts";
import type { Check, Metric } from "./check.ts";
import type { FiguresSource, FiguresTable } from "./figures.ts";
import { isBusiness } from "./judge-samples.ts";

/** Instants are epoch milliseconds. */
export interface Times {
  readonly now: number;
  /** Of the present stay at the present step. */
  readonly stepFrom: number;
  readonly startFrom: number;
  /** The present step, as BusinessSource.steps() counts them. */
  readonly step: number;
  /** Every stay at a step since the start, in order; left out: what was before `stepFrom` is one stay. */
  readonly stays?: readonly { readonly from: number; readonly to: number }[];
  /** Names of the routes that the flag splits: a check for each route has a verdict on each of them, whether anything came there or not. */
  readonly routes?: readonly string[];
  /** Segments whose users are to be on the candidate at present ("none": users in no segment), for checks for each segment likewise. */
  readonly segments?: readonly string[];
}

/** Everything that a verdict on one check rests on. */
export interface Evidence {
  readonly from: number;
  readonly to: number;
  /** Of the whole span, stay by stay where arms are compared since the start, else one. Empty for checks on business figures and signals. */
  readonly tables: readonly FiguresTable[];
  /** Of the same span, in pieces of at least the window's length, in order; empty unless it must have lasted for longer than its window. */
  readonly pieces: readonly FiguresTable[];
  /** Business figures by stratum; empty for other checks. */
  readonly strata: readonly (readonly BusinessCell[])[];
  /** Business figures over all strata, user by user; undefined: not known. */
  readonly overall: readonly BusinessCell[] | undefined;
  readonly businessPieces: readonly (readonly BusinessCell[])[];
  /** Of the check's kind, in order of time. */
  readonly signals: readonly Signal[];
  /** Where figures are expected: see {@link Times}. Empty: not known, then it is where figures are. */
  readonly routes: readonly string[];
  readonly segments: readonly string[];
}

export function isSignal(metric: Metric): metric is SignalKind {
  return SIGNAL_KINDS.some((known) => known === metric);
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Reads from both sources, as of their last refresh, what {@link judge} needs for this check. */
export async function evidenceFor(check: Check, times: Times, figures: FiguresSource, business: BusinessSource): Promise<Evidence> {
  const span = spanOf(check, times);
  const nothing: Evidence = {
    ...span,
    tables: [],
    pieces: [],
    strata: [],
    overall: undefined,
    businessPieces: [],
    signals: [],
    routes: times.routes ?? [],
    segments: times.segments ?? [],
  };
  const { metric } = check;
  if (isSignal(metric)) return { ...nothing, signals: signalsOf(metric, span, business) };
  if (isBusiness(metric)) {
    if (check.window.kind !== "last") return { ...nothing, ...growing(check, times, business) };
    const cells = ({ from, to }: Span): readonly BusinessCell[] => business.between(from, to).cells;
    return { ...nothing, strata: [cells(span)], businessPieces: piecesOf(check, span).map(cells) };
  }
  const tables = (spans: readonly Span[]): Promise<readonly FiguresTable[]> =>
    Promise.all(spans.map(({ from, to }) => figures.between(from, to)));
  return { ...nothing, tables: await tables(stratify(check, span, times)), pieces: await tables(piecesOf(check, span)) };
}

function spanOf({ window, forMs }: Check, { now, stepFrom, startFrom }: Times): Span {
  // What was before the rollout began, before a rollback too, says nothing about the candidate as it is now.
  if (window.kind === "last") return { from: Math.min(now, Math.max(startFrom, now - Math.max(window.ms, forMs))), to: now };
  return { from: window.kind === "step" ? stepFrom : startFrom, to: now };
}

/** Told later than this after it happened, an incident or a loss is history. */
const TOLD_WITHIN_MS = 86_400_000;

/**
 * Incidents and losses count from when they were told, for it may take hours to find out; what was told before the span began was dealt with
 * then. Reports of a state (integrity, lag) are of their own time. A source may reach further than it was asked to.
 */
function signalsOf(kind: SignalKind, { from, to }: Span, business: BusinessSource): readonly Signal[] {
  const of = (since: number, until: number): readonly Signal[] =>
    business.signalsOf?.(kind, since, until) ??
    business.between(since, until).signals.filter((signal) => signal.kind === kind && signal.at >= since);
  if (!isTold(kind)) return of(from, to);
  // Who tells of it may have a clock that is ahead, and figures may be a little behind.
  return of(Math.min(from, to - TOLD_WITHIN_MS), Infinity).filter(({ at, arrivedAt = at }) => arrivedAt >= from);
}

/** Signals that tell of what happened once, not of how things are. */
export function isTold(kind: SignalKind): boolean {
  return kind === "security" || kind === "sessions_lost";
}

/** By assignment: who was sent to an arm counts for it, whoever answered. */
function growing({ window }: Check, { step }: Times, business: BusinessSource): Pick<Evidence, "strata" | "overall"> {
  const all = business.steps();
  const asked = window.kind === "step" ? all.filter((stratum) => stratum.step === step) : all;
  return { strata: asked.map(({ assigned }) => assigned), overall: window.kind === "start" ? business.overall?.() : undefined };
}

/** Shares of the arms differ from stay to stay, and the hours of the day with them: arms are compared stay by stay. */
function stratify({ of, window }: Check, span: Span, { stepFrom, stays }: Times): readonly Span[] {
  if (window.kind !== "start" || of === "candidate") return [span];
  const known = stays ?? [
    { from: span.from, to: stepFrom },
    { from: stepFrom, to: span.to },
  ];
  return known.map(({ from, to }) => ({ from: Math.max(from, span.from), to: Math.min(to, span.to) })).filter(({ from, to }) => to > from);
}

/** As many as fit, all of the same length. */
function piecesOf({ window, forMs }: Check, { from, to }: Span): readonly Span[] {
  if (window.kind !== "last" || forMs < 2 * window.ms) return [];
  const count = Math.floor(forMs / window.ms);
  const edge = (index: number): number => Math.round(from + ((to - from) * index) / count);
  return Array.from({ length: count }, (_, index) => ({ from: edge(index), to: edge(index + 1) }));
}

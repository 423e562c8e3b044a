import { formatDuration } from "../core/quantity.ts";
import type { Check, Judged, Verdict, VerdictWord } from "./check.ts";
import { type Evidence, isSignal } from "./evidence.ts";
import type { Cell, FiguresTable } from "./figures.ts";
import { isAsked, isBusiness, type Scope, stratumOfBusiness, stratumOfCells } from "./judge-samples.ts";
import { judgeSignals } from "./judge-signals.ts";
import { sentenceOf, showCount } from "./judge-text.ts";
import { type Assessed, assess, lookAt } from "./stats/assess.ts";
import { sizeOf, type Stratum, total } from "./stats/samples.ts";

/**
 * One verdict, or if the check says so one for each route or segment that has figures or is expected to have some.
 * Windows that grow (step, start) are judged by bounds that hold at every look, sliding ones by bounds for one look, so the risk of those is
 * a look's. What must have lasted (`forMs`) fails by the bound over the whole of that time, if no piece of the window's length within it
 * was surely fine, every piece has observations, and figures cover at least nine tenths of it: an outage that is over does not fail. Nor does one
 * after which so little came that nothing of it can be sure: without the worst of it, the rest together must be beyond the limit too.
 */
export function judge(check: Check, evidence: Evidence): readonly Judged[] {
  const { metric } = check;
  if (isSignal(metric)) return [{ check, scope: undefined, verdict: judgeSignals(check, metric, evidence) }];
  if (metric === "requests") return scopesOf(check, evidence).map((scope) => judgedCount(check, scope, evidence));
  const strataOf = isBusiness(metric)
    ? (scope: Scope): Reading => ({
        strata: evidence.strata.map((cells) => stratumOfBusiness(metric, cells, scope)),
        pieces: evidence.businessPieces.map((cells) => stratumOfBusiness(metric, cells, scope)),
        overall: evidence.overall === undefined ? undefined : stratumOfBusiness(metric, evidence.overall, scope),
      })
    : (scope: Scope): Reading => ({
        strata: evidence.tables.map(({ cells }) => stratumOfCells(metric, cells, scope)),
        pieces: evidence.pieces.map(({ cells }) => stratumOfCells(metric, cells, scope)),
        overall: undefined,
      });
  return scopesOf(check, evidence).map((scope) => ({
    check,
    scope: scope.name,
    verdict: judgeReading(check, evidence, strataOf(scope), scope.name),
  }));
}

interface Named extends Scope {
  /** Undefined: the check is made once. */
  readonly name: string | undefined;
}

/**
 * In the order of the alphabet. A route from which nothing comes is not well: it has a verdict of its own where one knows of it. Without any name
 * there still is one verdict: that there are no figures.
 */
function scopesOf({ each, metric, route, segment }: Check, { tables, strata, routes, segments }: Evidence): readonly Named[] {
  const once: readonly Named[] = [{ name: undefined, route, segment }];
  const business = strata.flat();
  if (each === "all" || (each === "route" && isBusiness(metric))) return once;
  const cells = tables.flatMap((table) => table.cells).filter((cell) => isAsked(route, cell.route));
  const found =
    each === "route"
      ? cells.filter((cell) => isAsked(segment, cell.segment)).map((cell) => cell.route)
      : [...cells, ...business].map((cell) => cell.segment);
  const asked = each === "route" ? route : segment;
  const names = [...new Set([...found, ...(each === "route" ? routes : segments)])].filter((name) => isAsked(asked, name)).sort();
  if (names.length === 0) return once;
  return names.map((name) => (each === "route" ? { name, route: name, segment } : { name, route, segment: name }));
}

interface Reading {
  readonly strata: readonly Stratum[];
  readonly pieces: readonly Stratum[];
  readonly overall: Stratum | undefined;
}

function judgeReading(check: Check, evidence: Evidence, { strata, pieces, overall }: Reading, scope: string | undefined): Verdict {
  const assessed = assess(check, strata, lookAt(check), overall);
  const say = (word: VerdictWord, why: string): Verdict => verdictOf(word, assessed, scope === undefined ? why : `${scope}: ${why}`);
  const plain = sentenceOf(check, assessed);
  if (assessed.word === "no-data" || check.forMs === 0) return say(assessed.word, plain);

  const gap = gapIn(check, evidence);
  if (gap !== undefined) return say("no-data", `${plain}; ${gap}`);
  const silent = pieces.filter((piece) => !hasData(check, piece)).length;
  if (silent > 0) return say("no-data", `${plain}; there is nothing from ${partsOf(silent, pieces.length, check, evidence)}`);
  if (assessed.word !== "fail") return say(assessed.word, plain);
  const fine = pieces.filter((piece) => assess({ ...check, minSample: 1, risk: PIECE_RISK }, [piece], "once").word === "pass").length;
  if (fine === 0 && restsOnOne(check, pieces))
    return say("inconclusive", `${plain}; but without its worst part not surely in the last ${formatDuration(lengthOf(evidence))}`);
  if (fine === 0) return say("fail", `${plain}, all through the last ${formatDuration(lengthOf(evidence))}`);
  return say("inconclusive", `${plain}; but surely within it in ${partsOf(fine, pieces.length, check, evidence)}`);
}

/** Whether it cannot be seen without what a single outage, shorter than a piece, may account for: such a one touches two of them at most. */
function restsOnOne(check: Check, pieces: readonly Stratum[]): boolean {
  const touched = pieces.length > 2 ? 2 : 1;
  return pieces
    .slice(touched - 1)
    .some((_, first) => assess({ ...check, minSample: 1, risk: PIECE_RISK }, pieces.toSpliced(first, touched), "once").word !== "fail");
}

function lengthOf({ from, to }: Evidence): number {
  return Math.round(to - from);
}

function hasData({ of }: Check, { candidate, stable }: Stratum): boolean {
  return sizeOf(candidate) > 0 && (of === "candidate" || sizeOf(stable) > 0);
}

function partsOf(some: number, all: number, { forMs }: Check, { from, to }: Evidence): string {
  const length = formatDuration(Math.round((to - from) / all));
  return `${some} of the ${all} parts of ${length} of the last ${formatDuration(forMs)}`;
}

/** A piece is short, so little of it can be sure: what would be as good, or as bad, in one case of ten where the limit is just kept, counts. */
const PIECE_RISK = 0.1;
/** Of the time that it must have lasted; the newest figures are always a little older than now. */
const COVERED = 0.9;

/** Why nobody can say that it lasted; undefined if somebody can. */
function gapIn({ forMs, metric }: Check, { from, to, tables }: Evidence): string | undefined {
  const span = to - from;
  if (span < forMs) return `it has been looked at for ${formatDuration(Math.floor(span / 1_000) * 1_000)} of ${formatDuration(forMs)}`;
  if (isBusiness(metric)) return undefined;
  const covered = coveredOf(tables);
  if (covered >= COVERED * span) return undefined;
  return `figures cover ${formatDuration(Math.round(covered))} of ${formatDuration(Math.round(span))}`;
}

/** A count is what it is. Where it may still grow, or some of it has not been seen, only what is true whatever comes is said. */
function judgedCount(check: Check, scope: Named, { from, to, tables }: Evidence): Judged {
  const asked = ({ route, segment }: Cell): boolean => isAsked(scope.route, route) && isAsked(scope.segment, segment);
  const cells = tables.flatMap((table) => table.cells).filter(asked);
  const count = total(cells, ({ candidate }) => candidate.requests);
  const isSeen = coveredOf(tables) >= COVERED * (to - from);
  const verdict: Verdict = {
    verdict: check.limit.kind === "at-least" ? atLeast(check, count, isSeen) : atMost(check, count, isSeen),
    value: count,
    low: count,
    high: count,
    sample: count,
    why: `${scope.name === undefined ? "" : `${scope.name}: `}${showCount(count)} requests of ${check.limit.kind === "at-least" ? "at least" : "at most"} ${showCount(check.limit.value)}${isSeen ? "" : ", not all of the time is covered by figures"}`,
  };
  return { check, scope: scope.name, verdict };
}

function atLeast({ limit, window }: Check, count: number, isSeen: boolean): VerdictWord {
  if (count >= limit.value) return "pass";
  if (!isSeen) return "no-data";
  return window.kind === "last" ? "fail" : "inconclusive";
}

function atMost({ limit }: Check, count: number, isSeen: boolean): VerdictWord {
  if (count > limit.value) return "fail";
  return isSeen ? "pass" : "no-data";
}

function coveredOf(tables: readonly FiguresTable[]): number {
  return total(tables, ({ coveredMs }) => coveredMs);
}

function verdictOf(verdict: VerdictWord, { value, low, high, sample }: Assessed, why: string): Verdict {
  return { verdict, value: finite(value), low: finite(low), high: finite(high), sample, why };
}

function finite(value: number | undefined): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

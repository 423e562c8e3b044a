import type { Clustered } from "../business.ts";
import { NO_CLUSTERS } from "../business.ts";
import type { Estimate, Look } from "./estimate.ts";
import { multiplierOf, TIGHT_AT } from "./multiplier.ts";

/** share: y of a user lies between 0 and n, as of accuracy and satisfaction · free: it can be anything, as of revenue. */
export type Range = "share" | "free";

export interface ClusteredStratum {
  readonly candidate: Clustered;
  readonly stable: Clustered;
}

export interface Comparison extends Estimate {
  /** Each arm's own ratio, standardised to the same weights of strata; undefined without data. */
  readonly candidate: number | undefined;
  readonly stable: number | undefined;
  /** Of the difference of the two; NaN where it cannot be known. */
  readonly standardError: number;
  /** What a standard error is multiplied by for each bound. */
  readonly multiplier: number;
  /** 1 / (1 / candidate + 1 / stable) of the users, summed over strata; less where users that come back make them worth less. */
  readonly effectiveUsers: number;
}

export interface ComparisonOptions {
  readonly as: "ratio" | "difference";
  /** One-sided: for an interval of 95 % say 0.025. */
  readonly risk: number;
  readonly look: Look;
  /** Default "free". */
  readonly range?: Range;
  /** always: effective users at which the interval is to be as narrow as it can be; default 2,500, that is 10,000 users in halves. */
  readonly tightAt?: number;
  /**
   * How strata hang together. Sums user by user over all of them: how much users who come back say the same is read off these. "independent":
   * no user is in two strata. Left out: users may say the very same in each stratum, which makes intervals too wide rather than too narrow.
   * Without effect on a single stratum.
   */
  readonly overall?: ClusteredStratum | "independent" | undefined;
}

type Arm = keyof ClusteredStratum;

/**
 * One arm's ratio of sums, y over n, with its variance by the delta method: the users' residuals y - R n, which are sums over all that one
 * user said (Deng, Knoblich and Lu, Applying the delta method in metric analytics, KDD 2018).
 */
export function ratioOfSums(sums: Clustered, risk: number, look: Look, range: Range = "free"): Estimate {
  const unknown = range === "share" ? { low: 0, high: 1 } : { low: -Infinity, high: Infinity };
  if (!isUsable(sums)) return { value: sums.n > 0 ? sums.y / sums.n : undefined, ...unknown };
  const value = sums.y / sums.n;
  const multiplier = multiplierOf({ risk, look, effective: sums.users, tightAt: TIGHT_AT, df: sums.users - 1 });
  const variance = varianceOf(sums, range, multiplier);
  if (!(variance > 0)) return { value, ...unknown };
  const reach = multiplier * Math.sqrt(variance);
  return { value, low: Math.max(unknown.low, value - reach), high: Math.min(unknown.high, value + reach) };
}

/**
 * Candidate against stable, stratum by stratum, so that shares of the arms that differ between strata do not mislead (Simpson). Both arms
 * are standardised to the same weights, those of Mantel and Haenszel (n of the one times n of the other over their sum), which are next to
 * the narrowest and do not depend on what was found. Differences by the sum of variances, quotients by Fieller's theorem. Strata in which
 * an arm has fewer than two users are left out.
 */
export function compareClustered(strata: readonly ClusteredStratum[], options: ComparisonOptions): Comparison {
  const { as, risk, look, range = "free", tightAt = TIGHT_AT } = options;
  const used = strata.filter(({ candidate, stable }) => isUsable(candidate) && isUsable(stable));
  const weights = weightsOf(used);
  const users = used.map(({ candidate, stable }) => harmonic(candidate.users, stable.users));
  const allUsers = users.reduce((sum, count) => sum + count, 0);
  if (used.length === 0) return { ...UNKNOWN[as], effectiveUsers: 0 };

  const meanOf = (arm: Arm): number =>
    used.reduce((sum, stratum, index) => sum + ((weights[index] ?? 0) * stratum[arm].y) / stratum[arm].n, 0);
  const fewest = (arm: Arm): number => used.reduce((sum, stratum) => sum + stratum[arm].users, 0);
  const smoothing = multiplierOf({ risk, look, effective: allUsers, tightAt, df: Math.min(fewest("candidate"), fewest("stable")) - 1 });
  const spread = (arm: Arm): Spread =>
    spreadOf(
      used.map((stratum) => stratum[arm]),
      weights,
      range,
      smoothing,
      togetherOf(options.overall, arm),
    );
  const [candidate, stable] = [meanOf("candidate"), meanOf("stable")];
  const [ofCandidate, ofStable] = [spread("candidate"), spread("stable")];

  const variance = ofCandidate.variance + ofStable.variance;
  const effectiveUsers = variance > 0 ? (allUsers * (ofCandidate.apart + ofStable.apart)) / variance : allUsers;
  // Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946).
  const df = (ofCandidate.apart + ofStable.apart) ** 2 / (ofCandidate.doubt + ofStable.doubt);
  const multiplier = multiplierOf({ risk, look, effective: effectiveUsers, tightAt, df });
  const known = { candidate, stable, standardError: Math.sqrt(variance), multiplier, effectiveUsers };
  if (!(variance > 0))
    return { ...known, ...UNKNOWN[as], candidate, stable, value: valueOf(candidate, stable, as), multiplier, effectiveUsers };
  const bounds =
    as === "difference"
      ? differenceBounds(candidate, stable, multiplier * Math.sqrt(variance))
      : ratioBounds(candidate, stable, multiplier ** 2 * ofCandidate.variance, multiplier ** 2 * ofStable.variance);
  return { ...known, value: valueOf(candidate, stable, as), ...bounds };
}

function addClustered(a: Clustered, b: Clustered): Clustered {
  return { users: a.users + b.users, y: a.y + b.y, n: a.n + b.n, yy: a.yy + b.yy, nn: a.nn + b.nn, yn: a.yn + b.yn };
}

export function sumClustered(all: readonly Clustered[]): Clustered {
  return all.reduce(addClustered, NO_CLUSTERS);
}

const NOTHING = { value: undefined, candidate: undefined, stable: undefined, standardError: Number.NaN, multiplier: Infinity } as const;
const UNKNOWN = {
  ratio: { ...NOTHING, low: -Infinity, high: Infinity },
  difference: { ...NOTHING, low: -Infinity, high: Infinity },
} as const;

function isUsable(sums: Clustered): boolean {
  return sums.users >= 2 && sums.n > 0;
}

function harmonic(a: number, b: number): number {
  return (a * b) / (a + b);
}

function weightsOf(strata: readonly ClusteredStratum[]): readonly number[] {
  const sizes = strata.map(({ candidate, stable }) => harmonic(candidate.n, stable.n));
  const all = sizes.reduce((sum, size) => sum + size, 0);
  return sizes.map((size) => size / all);
}

function valueOf(candidate: number, stable: number, as: "ratio" | "difference"): number | undefined {
  if (as === "difference") return candidate - stable;
  return stable > 0 ? candidate / stable : undefined;
}

function differenceBounds(candidate: number, stable: number, reach: number): { low: number; high: number } {
  return { low: candidate - stable - reach, high: candidate - stable + reach };
}

/** Those r for which candidate - r stable is not surely off 0 (Fieller, JRSS B 16, 1954); `a` and `b`: squares of how far each arm may be off. */
function ratioBounds(candidate: number, stable: number, a: number, b: number): { low: number; high: number } {
  const base = stable ** 2 - b;
  // A stable arm that may be 0 says nothing of a quotient.
  if (stable <= 0 || base <= 0) return { low: -Infinity, high: Infinity };
  const root = Math.sqrt(Math.max(0, candidate ** 2 * b + stable ** 2 * a - a * b));
  return { low: (candidate * stable - root) / base, high: (candidate * stable + root) / base };
}

/**
 * Variance of y over n. Where users cannot be more than wholly right or wrong, as many as the squared multiplier are added, half of them
 * right, if that makes it greater (Agresti and Coull, Am. Stat. 52, 1998): without it ten users of whom none was wrong would be certainty.
 */
function varianceOf(sums: Clustered, range: Range, multiplier: number): number {
  const { users, y, n, yy, nn, yn } = sums;
  const ratio = y / n;
  const squares = Math.max(0, yy - 2 * ratio * yn + ratio ** 2 * nn);
  // What is left of sums of floating-point numbers that should cancel is not a variance.
  const found = squares <= 1e-12 * yy ? 0 : (users / (users - 1)) * (squares / n ** 2);
  if (range === "free" || !Number.isFinite(multiplier)) return found;
  const added = multiplier ** 2;
  const each = (n / users) ** 2 * ((ratio ** 2 + (1 - ratio) ** 2) / 2);
  return Math.max(found, (squares + added * each) / (n + (added * n) / users) ** 2);
}

interface Spread {
  readonly variance: number;
  /** If strata had nothing to do with each other. */
  readonly apart: number;
  /** Of `apart`: half the variance that this estimate itself has. */
  readonly doubt: number;
}

function togetherOf(overall: ComparisonOptions["overall"], arm: Arm): Clustered | "independent" | undefined {
  return overall === undefined || overall === "independent" ? overall : overall[arm];
}

/** Variance of a weighted mean of one arm's strata. */
function spreadOf(
  strata: readonly Clustered[],
  weights: readonly number[],
  range: Range,
  multiplier: number,
  together: Clustered | "independent" | undefined,
): Spread {
  const each = strata.map((sums) => varianceOf(sums, range, multiplier));
  const parts = each.map((variance, index) => (weights[index] ?? 0) ** 2 * variance);
  const apart = parts.reduce((sum, part) => sum + part, 0);
  const same = parts.reduce((sum, part) => sum + Math.sqrt(part), 0) ** 2;
  const doubt = parts.reduce((sum, part, index) => sum + part ** 2 / ((strata[index]?.users ?? 2) - 1), 0);
  if (strata.length === 1 || together === "independent") return { variance: apart, apart, doubt };
  if (together === undefined) return { variance: same, apart, doubt };
  // How much greater the variance of all strata thrown together is than if no user were in two of them.
  const n = sumClustered(strata).n;
  const asApart = strata.reduce((sum, { n: part }, index) => sum + (part / n) ** 2 * (each[index] ?? 0), 0);
  const grown = asApart > 0 ? Math.max(1, varianceOf(together, range, multiplier) / asApart) : 1;
  return { variance: Math.min(same, apart * grown), apart, doubt };
}

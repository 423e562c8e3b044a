import type { ArmCounts, ExperimentStratum } from "./experiment.ts";
import { armsOf, mostHeard, slicesOf } from "./experiment-slices.ts";
import { formatShare } from "./experiment-text.ts";
import { sampleRatioMismatchAlways, type SplitCounts } from "./stats/sample-ratio.ts";

/** An alarm is false in at most one rollout of a thousand, however often one looks. */
const ALARM_BELOW = 0.001;

/** Users of whom anything was heard, by the arm they were assigned to, against what the split says. */
export function checkRatio(strata: readonly ExperimentStratum[]): { readonly all: ArmCounts; readonly strata: readonly ArmCounts[] } {
  const slices = slicesOf(strata, "assigned", undefined);
  const metric = mostHeard(slices);
  const counted = slices
    .map((slice) => ({ slice, arms: armsOf(slice, metric) }))
    .map(({ slice, arms }) => ({ slice, users: { stable: arms.stable.users, candidate: arms.candidate.users } }))
    .filter(({ users }) => users.stable + users.candidate > 0);
  const splits = counted.flatMap(({ slice: { share }, users }): readonly SplitCounts[] =>
    share === undefined ? [] : [{ counts: [users.stable, users.candidate], expectedShares: [1 - share, share] }],
  );
  // So low that a stratum that is off by itself is off together with all others too.
  const below = ALARM_BELOW / Math.max(1, splits.length);
  const each = counted.map(({ slice: { step, name, segments, share }, users }): ArmCounts => {
    const isDivided = counted.filter((other) => other.slice.step === step).length > 1;
    const scope = isDivided ? `${name} (${segments.join(", ")})` : name;
    if (share === undefined)
      return { ...countsOf(scope, users, undefined), p: undefined, alarm: false, why: "not checked: the share is not known" };
    const { p } = sampleRatioMismatchAlways([{ counts: [users.stable, users.candidate], expectedShares: [1 - share, share] }]);
    return said(countsOf(scope, users, share), p, p < below);
  });
  const users = {
    stable: counted.reduce((sum, one) => sum + one.users.stable, 0),
    candidate: counted.reduce((sum, one) => sum + one.users.candidate, 0),
  };
  const checked = counted.filter(({ slice: { share } }) => share !== undefined);
  const all = checked.reduce((sum, one) => sum + one.users.stable + one.users.candidate, 0);
  const wanted = checked.reduce((sum, one) => sum + (one.slice.share ?? 0) * (one.users.stable + one.users.candidate), 0);
  const expected = all > 0 && checked.length === counted.length ? wanted / all : undefined;
  if (splits.length === 0)
    return {
      all: { ...countsOf("all", users, expected), p: undefined, alarm: false, why: "not checked: no users yet, or no share known" },
      strata: each,
    };
  const { p } = sampleRatioMismatchAlways(splits);
  const worst = each.reduce((most, one) => ((one.p ?? 1) < (most.p ?? 1) ? one : most));
  const together = said(countsOf("all", users, expected), p, p < ALARM_BELOW);
  return {
    all: together.alarm && each.length > 1 ? { ...together, why: `${together.why}; most of all at ${worst.scope}` } : together,
    strata: each,
  };
}

function countsOf(
  scope: string,
  users: ArmCounts["users"],
  expected: number | undefined,
): Pick<ArmCounts, "scope" | "users" | "expected" | "actual"> {
  const all = users.stable + users.candidate;
  return { scope, users, expected, actual: all > 0 ? users.candidate / all : undefined };
}

function said(counts: Pick<ArmCounts, "scope" | "users" | "expected" | "actual">, found: number, alarm: boolean): ArmCounts {
  const { users, actual = 0, expected } = counts;
  // Of shares next to nothing the evidence is no number.
  const p = Number.isFinite(found) ? found : undefined;
  const there = `${users.candidate} of ${users.stable + users.candidate} users heard of are on the candidate, ${formatShare(actual)}`;
  const wanted = expected === undefined ? "" : ` where the split says ${formatShare(expected)}`;
  const chance = p === undefined || !alarm ? "" : `: not by chance (p ${p < 1e-6 ? "below 0.000001" : p.toPrecision(2)})`;
  return { ...counts, p, alarm, why: `${there}${wanted}${chance}` };
}

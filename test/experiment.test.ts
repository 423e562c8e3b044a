import fc from "fast-check";
import t from "tap";
import type { BusinessCell } from "../src/analysis/business.ts";
import {
  type Comparison,
  experimentReport,
  type ExperimentReport,
  type ExperimentStratum,
  renderExperiment,
} from "../src/analysis/experiment.ts";
import type { Cell, FiguresTable } from "../src/analysis/figures.ts";
import { bucketLatencies, bucketsOf } from "../src/analysis/prometheus-buckets.ts";
import { cellsOf, createChance, judged, looksAt, type People, stratumOf } from "./support/experiment-people.ts";

const aims = { minUsers: 10_000, confidence: 0.95, effect: 0.02 };

function accuracyOf({ assigned }: ExperimentReport, segment = "all"): Comparison {
  const found = [...assigned.overall, ...assigned.segments].find((one) => one.metric === "accuracy" && one.segment === segment);
  if (found === undefined) throw new Error(`accuracy of ${segment} is missing`);
  return found;
}

/** One step with these users and confirmed shares. */
const simple = (step: number, share: number, candidate: [number, number], stable: [number, number]): ExperimentStratum =>
  stratumOf({ step, share, cells: cellsOf({ candidate: judged(...candidate), stable: judged(...stable) }) });

t.test("steps with other shares do not turn the verdict round (Simpson)", async (t) => {
  // In both steps the candidate is three points worse; thrown together it would be 13 points better, for most of its users came in good times.
  const strata = [simple(0, 0.1, [4_000, 0.67], [36_000, 0.7]), simple(1, 0.9, [36_000, 0.87], [4_000, 0.9])];
  const report = experimentReport({ aims, strata });
  const { difference = 0 } = accuracyOf(report);
  t.ok(Math.abs(difference + 0.03) < 1e-6, `${difference}`);
  t.equal(report.verdict.finding, "worse");
});

t.test("a segment with a share of its own is compared with itself, or left out where it has nobody to compare with", async (t) => {
  const easy = { candidate: judged(9_000, 0.97), stable: judged(1_000, 0.97) };
  const rest = { candidate: judged(1_000, 0.8), stable: judged(9_000, 0.8) };
  const own = stratumOf({ step: 0, share: 0.1, segmentShares: { beta: 0.9 }, cells: [...cellsOf(easy, "beta"), ...cellsOf(rest)] });
  t.ok(Math.abs(accuracyOf(experimentReport({ aims, strata: [own] })).difference ?? 1) < 1e-9);

  const alone = { candidate: judged(9_000, 0.97), stable: judged(0, 0) };
  const all = stratumOf({ step: 0, share: 0.1, segmentShares: { beta: 1 }, cells: [...cellsOf(alone, "beta"), ...cellsOf(rest)] });
  const report = experimentReport({ aims, strata: [all] });
  t.ok(Math.abs(accuracyOf(report).difference ?? 1) < 1e-9);
  t.equal(report.users.total, 10_000, "who cannot be compared does not count");
  t.ok(report.trustworthy, "a segment that is all on one arm is no mismatch");
  t.match(report.notes.join("\n"), /Left out at step step 0: beta, all on the candidate by the split.*9000 users/);
});

t.test("one in twenty of the candidate's users lost is found, and no verdict counts any more", async (t) => {
  const people: People = { users: 60_000, shares: [0.5], stable: 0.7, candidate: 0.8, spread: 0.1, matches: 3, looks: 1, lost: 0.05 };
  const [look] = looksAt(people, createChance(7));
  const report = experimentReport({ aims, strata: look?.strata ?? [] });
  t.notOk(report.trustworthy);
  t.equal(report.verdict.finding, "untrustworthy");
  t.match(report.verdict.why, /no verdict counts: \d+ of \d+ users heard of are on the candidate, 48\.\d* % where the split says 50 %/);
  t.same(
    [...report.assigned.overall, ...report.served.overall].filter(({ finding }) => finding !== "no-data" && finding !== "untrustworthy"),
    [],
  );
  t.match(renderExperiment(report).join("\n"), /ALARM: users per arm are not what the split says/);

  const unknown = (look?.strata ?? []).map((stratum) => ({ ...stratum, share: undefined }));
  const unchecked = experimentReport({ aims, strata: unknown });
  t.ok(unchecked.trustworthy);
  t.equal(unchecked.ratio.all.p, undefined);
  t.match(unchecked.notes.join("\n"), /step 0 changed or is not known/);
});

/** Whether the interval says that there is a difference, be there enough users for a verdict or not. */
function excludesNone({ low = -1, high = 1, observed }: Comparison): boolean {
  return Math.min(observed.stable, observed.candidate) >= 100 && (low > 0 || high < 0);
}

/** Seeds 1 to `runs`, all steps and looks; in how many runs a verdict or an alarm ever came. */
function everSaid(people: People, runs: number, withOverall: boolean): { readonly verdicts: number; readonly alarms: number } {
  let [verdicts, alarms] = [0, 0];
  for (let seed = 1; seed <= runs; seed++) {
    let [wasSaid, wasAlarm] = [false, false];
    for (const { strata, overall } of looksAt(people, createChance(seed))) {
      const report = experimentReport({ aims, strata, overall: withOverall ? overall : undefined });
      wasSaid ||= excludesNone(accuracyOf(report));
      wasAlarm ||= !report.trustworthy;
    }
    verdicts += Number(wasSaid);
    alarms += Number(wasAlarm);
  }
  return { verdicts, alarms };
}

t.test("where the arms are the same, looking 28 times says otherwise in at most one run of twenty", async (t) => {
  // Users differ much, judge several matches and come back at every step: the case in which naive tests are wrong most often.
  const people: People = { users: 600, shares: [0.1, 0.25, 0.5, 0.75], stable: 0.7, candidate: 0.7, spread: 0.3, matches: 6, looks: 7 };
  const known = everSaid(people, 60, true);
  t.ok(known.verdicts <= 3, `${known.verdicts} of 60 with sums over all steps`);
  t.ok(known.alarms <= 1, `${known.alarms} alarms of 60`);
  const unknown = everSaid(people, 20, false);
  t.ok(unknown.verdicts <= 1, `${unknown.verdicts} of 20 without`);
});

t.test("a small candidate arm that has seen none of the rare conversions yet is not called harmful", async (t) => {
  let harmed = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const chance = createChance(seed);
    const converted = { stable: 0, candidate: 0 };
    const users = { stable: 0, candidate: 0 };
    let isHarm = false;
    for (let user = 1; user <= 6_000; user++) {
      const arm = chance() < 0.1 ? "candidate" : "stable";
      users[arm]++;
      if (chance() < 0.02) converted[arm]++;
      if (user % 500 !== 0) continue;
      const sums = (of: "stable" | "candidate") => judged(users[of], converted[of] / Math.max(1, users[of]));
      const cells = cellsOf({ stable: sums("stable"), candidate: sums("candidate") }).map((cell) => ({
        ...cell,
        metric: "conversion" as const,
      }));
      const { harms } = experimentReport({ aims, strata: [stratumOf({ step: 0, share: 0.1, cells })] });
      isHarm ||= harms.length > 0;
    }
    harmed += Number(isHarm);
  }
  t.ok(harmed <= 3, `${harmed} of 60`);
});

t.test("before there are enough users only harm is said", async (t) => {
  const few = (candidate: number, stable: number, minUsers = 10_000): ExperimentReport =>
    experimentReport({ aims: { ...aims, minUsers }, strata: [simple(0, 0.5, [2_000, candidate], [2_000, stable])] });
  t.equal(few(0.6, 0.8).verdict.finding, "worse");
  const better = few(0.8, 0.6);
  t.equal(better.verdict.finding, "not-yet");
  t.match(better.verdict.why, /4000 of 10000 users, and no harm is sure/);
  t.ok((accuracyOf(better).low ?? 0) > 0, "the interval is said all the same");
  const tiny = experimentReport({ aims, strata: [simple(0, 0.1, [60, 0], [540, 0.8])] });
  t.equal(tiny.verdict.finding, "not-yet", "a handful of users proves nothing");
  t.equal(accuracyOf(few(0.8, 0.6, 100_000)).decidedInMs, 24 * 86_400_000, "until enough users are there at this rate");
});

t.test("verdicts: better, worse, no difference beyond the effect, not yet", async (t) => {
  const many = (candidate: number, users = 100_000): string =>
    experimentReport({ aims, strata: [simple(0, 0.5, [users, candidate], [users, 0.8])] }).verdict.finding;
  t.equal(many(0.83), "better");
  t.equal(many(0.77), "worse");
  t.equal(many(0.801), "no-difference");
  t.equal(many(0.81, 6_000), "not-yet");
});

t.test("time to decide: with as much more data at that rate the effect can be found", async (t) => {
  const at = (days: number): Comparison => {
    const users = Math.round(6_000 * days);
    const cells = cellsOf({ candidate: judged(users, 0.81), stable: judged(users, 0.8) });
    return accuracyOf(experimentReport({ aims, strata: [stratumOf({ step: 0, share: 0.5, elapsedMs: days * 86_400_000, cells })] }));
  };
  const now = at(0.5);
  t.ok((now.detectable ?? 0) > 0.02, `detectable ${now.detectable}`);
  const days = 0.5 + (now.decidedInMs ?? Infinity) / 86_400_000;
  const then = at(days);
  t.ok(Math.abs((then.detectable ?? 0) - 0.02) < 1e-4, `after ${days} days ${then.detectable} can be found`);
  t.equal(then.decidedInMs, 0);
  const still = experimentReport({ aims, strata: [simple(0, 0.5, [500, 0.8], [500, 0.8]), simple(1, 1, [9_000, 0.8], [0, 0])] });
  t.equal(accuracyOf(still).decidedInMs, undefined, "with everybody on one arm it is never decided");
});

t.test("segments: intervals are surer the more of them there are, and harm in one is found", async (t) => {
  const names = ["a", "b", "c", "d", "none"];
  const cells = names.flatMap((name) => cellsOf({ candidate: judged(4_000, name === "c" ? 0.7 : 0.81), stable: judged(4_000, 0.8) }, name));
  const report = experimentReport({ aims, strata: [stratumOf({ step: 0, share: 0.5, cells })] });
  t.same(report.correction, { method: "bonferroni", segments: 5 });
  const found = names.map((name) => accuracyOf(report, name));
  t.same(
    found.map(({ finding }) => finding),
    ["not-yet", "not-yet", "worse", "not-yet", "not-yet"],
  );
  t.ok(found.every(({ confidence }) => Math.abs(confidence - 0.99) < 1e-12));
  const alone = experimentReport({
    aims,
    strata: [stratumOf({ step: 0, share: 0.5, cells: cellsOf({ candidate: judged(4_000, 0.81), stable: judged(4_000, 0.8) }) })],
  });
  t.ok((accuracyOf(alone).high ?? 0) < (found[0]?.high ?? 0), "wider than by itself");
});

t.test("sums over all steps make intervals narrower, but only if they are of the same events", async (t) => {
  const people: People = { users: 4_000, shares: [0.25, 0.5, 0.75], stable: 0.7, candidate: 0.7, spread: 0.1, matches: 3, looks: 1 };
  const last = [...looksAt(people, createChance(3))].at(-1);
  const width = (overall: readonly BusinessCell[] | undefined): number => {
    const { low = -1, high = 1 } = accuracyOf(experimentReport({ aims, strata: last?.strata ?? [], overall }));
    return high - low;
  };
  const unknown = width(undefined);
  t.ok(width(last?.overall) < 0.8 * unknown);
  t.equal(width((last?.overall ?? []).map((cell) => ({ ...cell, sums: { ...cell.sums, n: cell.sums.n + 50 } }))), unknown);
});

/** Figures of a step: durations of 80 ms but for a share of 200 ms. */
function figuresOf(candidate: { count: number; slow: number }, stable: { count: number; slow: number }, segment = "none"): FiguresTable {
  const arm = ({ count, slow }: { count: number; slow: number }): Cell["stable"] => {
    const counts = new Map([
      [50, 0],
      [100, count * (1 - slow)],
      [250, count],
      [Infinity, count],
    ]);
    const latencies = bucketLatencies(bucketsOf(counts, count * 80));
    const none = { requests: count, failed: 0, fellBack: 0, attempts: count, errors: 0, unavailable: 0 };
    return { ...none, waits: latencies, latencies, quality: { count: 0, sum: 0, squares: 0 } };
  };
  const cells = [{ route: "r", segment, candidate: arm(candidate), stable: arm(stable) }];
  return { from: 0, to: 1, coveredMs: 1, instances: ["a"], cells };
}

t.test("durations: P95 and the share over 100 ms, by assignment and by served arm, in milliseconds", async (t) => {
  const cells = cellsOf({ candidate: judged(10_000, 0.8), stable: judged(10_000, 0.8) });
  const figures = figuresOf({ count: 40_000, slow: 0.1 }, { count: 40_000, slow: 0.01 });
  const report = experimentReport({ aims, strata: [stratumOf({ step: 0, share: 0.5, cells, figures })] });
  for (const [view, of] of [
    [report.assigned, "requests"],
    [report.served, "attempts"],
  ] as const) {
    const [p95, slow] = ["p95", "slow"].map((metric) => view.overall.find((one) => one.metric === metric));
    t.match(p95, { unit: "ms", finding: "worse", observed: { of, stable: 40_000 } });
    t.match(slow, { unit: "share", finding: "worse" });
    t.ok(Math.abs((slow?.difference ?? 0) - 0.09) < 1e-9);
  }
  t.same(
    report.harms.map(({ metric }) => metric),
    ["p50", "p95", "slow"],
  );
  t.match(renderExperiment(report).join("\n"), /harm: P95 175 ms on the candidate, .* ms on stable: \+.* ms \(.*\), surely worse/);
});

t.test("no data is said so, and nothing is made up", async (t) => {
  for (const strata of [
    [],
    [stratumOf({ step: 0, share: 0.1, cells: [] })],
    [simple(0, 0.1, [1, 1], [0, 0])],
    [simple(0, 0, [0, 0], [500, 0.8])],
  ]) {
    const report = experimentReport({ aims, strata });
    t.equal(report.verdict.finding, "no-data");
    t.ok(report.assigned.overall.every(({ finding }) => finding === "no-data"));
    t.notMatch(renderExperiment(report).join("\n"), /NaN|Infinity|undefined/);
  }
});

const count = fc.oneof(fc.constantFrom(0, 1, 2, 3), fc.nat(50_000));
// Of which 1 less it is exact, so that swapped arms have swapped shares.
const share = fc.oneof(
  fc.constantFrom(0, 0.5, 1),
  fc.nat(256).map((parts) => parts / 256),
);
const clustered = fc.tuple(count, share, fc.integer({ min: 1, max: 4 })).map(([users, ratio, each]) => {
  const y = Math.round(users * ratio);
  return { users, y: y * each, n: users * each, yy: y * each ** 2, nn: users * each ** 2, yn: y * each ** 2 };
});
const cell = fc.record({
  arm: fc.constantFrom("stable" as const, "candidate" as const),
  segment: fc.constantFrom("none", "beta", "constructor"),
  metric: fc.constantFrom("accuracy" as const, "satisfaction" as const, "conversion" as const, "revenue" as const),
  sums: clustered,
});
const durations = fc.record({ count, slow: share });
const stratum = fc
  .record({
    share: fc.option(share, { nil: undefined }),
    beta: fc.option(share, { nil: undefined }),
    cells: fc.array(cell, { maxLength: 10 }),
    figures: fc.option(fc.tuple(durations, durations), { nil: undefined }),
    elapsedMs: fc.constantFrom(0, 1, 86_400_000),
  })
  .map(({ beta, figures, ...rest }) => ({
    ...rest,
    segmentShares: beta === undefined ? {} : { beta },
    figures: figures === undefined ? undefined : figuresOf(...figures),
  }));
const rollouts = fc.array(stratum, { maxLength: 3 }).map((strata) => strata.map((one, step) => stratumOf({ ...one, step })));

/** Every number that is not one, by its path. */
function strange(value: unknown, path = ""): string[] {
  if (typeof value === "number") return Number.isFinite(value) ? [] : [`${path}: ${value}`];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => strange(inner, `${path}.${key}`));
}

t.test("no number of a report is NaN or infinite, and its text shows none, whatever came", async (t) => {
  fc.assert(
    fc.property(rollouts, (strata) => {
      const report = experimentReport({ aims, strata });
      const wrong = strange(report);
      if (wrong.length > 0) throw new Error(wrong.join("\n"));
      const text = renderExperiment(report).join("\n");
      const again = renderExperiment(JSON.parse(JSON.stringify(report))).join("\n");
      return !/NaN|Infinity|undefined|null/.test(text) && again === text;
    }),
    { numRuns: 60 },
  );
  t.pass();
});

t.test("with the arms swapped every difference changes its sign and every finding its side", async (t) => {
  const swapped = (strata: readonly ExperimentStratum[]): ExperimentStratum[] =>
    strata.map((one) => {
      const other = (cells: readonly BusinessCell[]): BusinessCell[] =>
        cells.map((cell) => ({ ...cell, arm: cell.arm === "stable" ? "candidate" : "stable" }));
      const mirrored = (value: number | undefined): number | undefined => (value === undefined ? undefined : 1 - value);
      const figures =
        one.figures === undefined
          ? undefined
          : { ...one.figures, cells: one.figures.cells.map((cell) => ({ ...cell, stable: cell.candidate, candidate: cell.stable })) };
      const segmentShares = Object.fromEntries(Object.entries(one.segmentShares).map(([name, value]) => [name, mirrored(value)]));
      return { ...one, assigned: other(one.assigned), served: other(one.served), figures, share: mirrored(one.share), segmentShares };
    });
  const isClose = (a: number | undefined, b: number | undefined): boolean =>
    a === undefined || b === undefined ? a === b : Math.abs(a + b) <= 1e-6 * Math.max(1, Math.abs(a));
  fc.assert(
    fc.property(rollouts, (strata) => {
      const one = experimentReport({ aims: { ...aims, minUsers: 0 }, strata }).assigned.overall;
      const two = experimentReport({ aims: { ...aims, minUsers: 0 }, strata: swapped(strata) }).assigned.overall;
      return one.every((here, at) => {
        const there = two[at];
        if (there === undefined) return false;
        const sides = isClose(here.difference, there.difference) && isClose(here.low, there.high) && isClose(here.high, there.low);
        // The effect of amounts and durations is relative to the stable arm, so that only shares must agree on what is small.
        const turned = here.finding === "better" ? "worse" : here.finding === "worse" ? "better" : here.finding;
        return sides && (here.unit !== "share" || there.finding === turned);
      });
    }),
    { numRuns: 60 },
  );
  t.pass();
});

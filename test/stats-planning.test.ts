import t from "tap";
import type { Check } from "../src/analysis/check.ts";
import { alwaysSampleSize, fixedSampleSize, minimumDetectableEffect } from "../src/analysis/stats/sample-size.ts";
import { sampleRatioMismatch, sampleRatioMismatchAlways } from "../src/analysis/stats/sample-ratio.ts";
import { observationsNeeded } from "../src/analysis/stats/time-to-decide.ts";
import { judge } from "../src/analysis/judge.ts";
import { createRandom } from "../src/demo/simulators/chance.ts";
import { checkOf, drawHits, evidenceOf, tableOf } from "./support/trials.ts";

const ERRORS = checkOf({ metric: "errors", limit: { kind: "at-most", value: 0.01 }, window: { kind: "step" }, minSample: 100 });

t.test("how much is needed is where the verdict turns, on counts that are just as expected", async (t) => {
  const needed = observationsNeeded(ERRORS, { candidate: 0.005, stable: undefined, share: 0.1 });
  const wordAt = (attempts: number): string | undefined =>
    judge(ERRORS, evidenceOf({ tables: [tableOf({ attempts, errors: attempts * 0.005 })] }))[0]?.verdict.verdict;
  t.equal(wordAt(needed.candidate), "pass");
  t.equal(wordAt(needed.candidate * 0.98), "inconclusive");
  t.equal(needed.stable, 0);
});

t.test("what cannot pass never does: a truth beyond the limit, on it, or nobody on the candidate", async (t) => {
  const never = (check: Check, candidate: number, share = 0.1): void => {
    t.equal(observationsNeeded(check, { candidate, stable: 0.005, share }).candidate, Infinity, `${check.metric} ${candidate}`);
  };
  never(ERRORS, 0.02);
  never(ERRORS, 0.01);
  never(ERRORS, 0.005, 0);
  never({ ...ERRORS, metric: "p95", limit: { kind: "at-most", value: 100 } }, 148);
  never({ ...ERRORS, limit: { kind: "at-most", value: 0 } }, 0);
  never({ ...ERRORS, metric: "sync_lag", limit: { kind: "at-most", value: 1 } }, 2);
});

t.test("every metric that can pass takes some finite number, never below its minimum sample", async (t) => {
  const rows: readonly [Partial<Check> & Pick<Check, "metric" | "limit">, number, number][] = [
    [{ metric: "availability", limit: { kind: "at-least", value: 0.99 } }, 0.999, 0],
    [{ metric: "p95", limit: { kind: "at-most", value: 100 } }, 80, 0],
    [{ metric: "p95", of: "ratio", limit: { kind: "at-most", value: 1.05 } }, 100, 100],
    [{ metric: "quality", limit: { kind: "at-least", value: 0.8 } }, 0.85, 0],
    [{ metric: "accuracy", of: "ratio", limit: { kind: "at-least", value: 1.1 } }, 0.9, 0.78],
    [{ metric: "satisfaction", limit: { kind: "at-least", value: 0.9 } }, 0.95, 0],
    [{ metric: "conversion", of: "difference", limit: { kind: "at-least", value: -0.02 } }, 0.1, 0.1],
    [{ metric: "revenue", of: "ratio", limit: { kind: "at-least", value: 0.9 } }, 10, 10],
    [{ metric: "errors", of: "difference", limit: { kind: "at-most", value: 0.005 } }, 0.005, 0.005],
  ];
  for (const [check, candidate, stable] of rows) {
    const full = { ...ERRORS, of: "candidate", ...check } as const;
    const needed = observationsNeeded(full, { candidate, stable, share: 0.25 });
    t.ok(needed.candidate >= 100 && needed.candidate < 1e6, `${check.metric} takes ${needed.candidate}`);
    if (full.of !== "candidate") t.ok(Math.abs(needed.stable - 3 * needed.candidate) <= 3, "at that split");
  }
  t.same(
    observationsNeeded(checkOf({ metric: "requests", limit: { kind: "at-least", value: 1000 } }), { candidate: 0, stable: 0, share: 0.1 }),
    {
      candidate: 1000,
      stable: 0,
    },
  );
});

t.test("a comparison waits for the stable arm's sample where the candidate has most of the traffic", async (t) => {
  const check = { ...ERRORS, of: "difference", limit: { kind: "at-most", value: 0.5 } } as const;
  const needed = observationsNeeded(check, { candidate: 0.01, stable: 0.01, share: 0.95 });
  t.ok(needed.stable >= 100, `${needed.stable}`);
});

const DESIGN = { deviation: 0.4, effect: 0.02, risk: 0.025, power: 0.8, share: 0.5 };

t.test("sample sizes are those of the textbook, and looking all the time costs about twice as many", async (t) => {
  const fixed = fixedSampleSize(DESIGN);
  t.ok(Math.abs(fixed.candidate - (2 * (1.959964 + 0.841621) ** 2 * 0.16) / 0.0004) < 2, `${fixed.candidate}`);
  t.equal(fixed.stable, fixed.candidate);
  const always = alwaysSampleSize(DESIGN);
  t.ok(always.candidate > 1.7 * fixed.candidate && always.candidate < 2.3 * fixed.candidate, `${always.candidate}`);
  t.same(fixedSampleSize({ ...DESIGN, effect: 0 }), { candidate: Infinity, stable: Infinity });
  t.same(alwaysSampleSize({ ...DESIGN, share: 1 }), { candidate: Infinity, stable: Infinity });
  const uneven = fixedSampleSize({ ...DESIGN, share: 0.1 });
  t.ok(uneven.candidate < fixed.candidate && uneven.candidate + uneven.stable > 2 * fixed.candidate);
});

t.test("what can be found with a sample is the effect that the sample is made for", async (t) => {
  const { candidate, stable } = fixedSampleSize(DESIGN);
  const standardError = 0.4 * Math.sqrt(1 / candidate + 1 / stable);
  const effectiveUsers = 1 / (1 / candidate + 1 / stable);
  const found = minimumDetectableEffect({ standardError, effectiveUsers, risk: 0.025, power: 0.8, look: "once" });
  t.ok(Math.abs(found - 0.02) < 1e-5, `${found}`);
  t.ok(minimumDetectableEffect({ standardError, effectiveUsers, risk: 0.025, power: 0.8, look: "always" }) > 0.025);
  t.equal(minimumDetectableEffect({ standardError: 0, effectiveUsers: 0, risk: 0.025, power: 0.8, look: "always" }), Infinity);
});

t.test("one lost user in twenty is a mismatch, and a split that does what it says is none", async (t) => {
  t.ok(sampleRatioMismatch([47_500, 50_000], [1, 1]).p < 1e-9);
  t.ok(sampleRatioMismatchAlways([{ counts: [47_500, 50_000], expectedShares: [1, 1] }]).p < 1e-9);
  t.ok(sampleRatioMismatch([5020, 4980], [0.5, 0.5]).p > 0.5);
  t.same(sampleRatioMismatch([30, 70], [1, 3]).expected, [25, 75]);
  t.equal(sampleRatioMismatch([3, 0], [0, 1]).p, 0, "somebody where nobody is sent");
  t.equal(sampleRatioMismatchAlways([{ counts: [3, 0], expectedShares: [0, 1] }]).p, 0);
  t.equal(sampleRatioMismatch([], []).p, 1);
  t.equal(sampleRatioMismatchAlways([]).p, 1);
});

t.test("looked at all the time, an alarm over the split is false as seldom as it says", async (t) => {
  const random = createRandom(2);
  let [always, naive] = [0, 0];
  for (let run = 0; run < 500; run++) {
    const counts = [0, 0];
    const alarms = { always: false, naive: false };
    for (let look = 0; look < 100; look++) {
      const candidates = drawHits(random, 20, 0.1);
      counts[0] = (counts[0] ?? 0) + candidates;
      counts[1] = (counts[1] ?? 0) + 20 - candidates;
      alarms.always ||= sampleRatioMismatchAlways([{ counts, expectedShares: [0.1, 0.9] }]).p < 0.05;
      alarms.naive ||= sampleRatioMismatch(counts, [0.1, 0.9]).p < 0.05;
    }
    if (alarms.always) always++;
    if (alarms.naive) naive++;
  }
  t.ok(always / 500 <= 0.05, `${always} of 500`);
  t.ok(naive / 500 > 0.2, `a test for one look: ${naive} of 500`);
});

t.test("how much is needed is known for every share, also where the other arm's expected count is no whole number", async (t) => {
  const check = checkOf({
    metric: "p95",
    of: "ratio",
    limit: { kind: "at-most", value: 2 },
    window: { kind: "start" },
    minSample: 50,
    risk: 0.001,
  });
  for (const share of [0.1, 0.2, 0.3, 0.35, 0.4, 0.7, 0.9]) {
    const { candidate } = observationsNeeded(check, { candidate: 80, stable: 80, share });
    t.ok(candidate > 50 && candidate < 10_000, `${share}: ${candidate}`);
  }
});

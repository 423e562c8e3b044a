import t from "tap";
import { judge } from "../src/analysis/judge.ts";
import { compareClustered, type ComparisonOptions } from "../src/analysis/stats/clustered.ts";
import { createRandom } from "../src/demo/simulators/chance.ts";
import { checkOf, type Crowd, type CrowdLook, drawCrowd, drawHits, evidenceOf, tableOf } from "./support/trials.ts";

/** Whole rollouts with a known truth. `node bench/statistics.ts` has the same with more runs and more rows. */

const PER_WINDOW = 20;

t.test("errors of 1 % in windows of 20 requests roll nobody back, where a plain threshold would in four of ten half-hours", async (t) => {
  const check = checkOf({ metric: "errors", limit: { kind: "at-most", value: 0.05 }, minSample: PER_WINDOW, risk: 0.001 });
  const random = createRandom(1);
  const fails = Array.from({ length: PER_WINDOW + 1 }, (_, errors) => {
    const evidence = evidenceOf({ tables: [tableOf({ attempts: PER_WINDOW, errors })] });
    return judge(check, evidence)[0]?.verdict.verdict === "fail";
  });
  let [naive, judged] = [0, 0];
  for (let run = 0; run < 1000; run++) {
    const windows = Array.from({ length: 30 }, () => drawHits(random, PER_WINDOW, 0.01));
    if (windows.some((errors) => errors / PER_WINDOW > 0.05)) naive++;
    if (windows.some((errors) => fails[errors])) judged++;
  }
  t.ok(fails.at(-1), "a window of nothing but errors does");
  t.ok(judged < 10, `${judged} of 1,000`);
  t.ok(naive > 350 && naive < 450, `a plain threshold: ${naive} of 1,000`);
});

const CROWD: Crowd = {
  users: 1000,
  looks: 28,
  share: () => 0.5,
  stable: 0.8,
  candidate: 0.8,
  deviation: 0.1,
  events: 4,
  step: () => 0,
};
const OPTIONS: ComparisonOptions = { as: "difference", risk: 0.025, look: "always", range: "share" };

function seen(crowd: Crowd, runs: number, options: Partial<ComparisonOptions>, together = false): number {
  const random = createRandom(9);
  const isSeen = ({ strata, overall }: CrowdLook): boolean => {
    const { low, high } = compareClustered(strata, { ...OPTIONS, ...options, ...(together ? { overall } : {}) });
    return low > 0 || high < 0;
  };
  let found = 0;
  for (let run = 0; run < runs; run++) if (drawCrowd(random, crowd).some(isSeen)) found++;
  return found / runs;
}

t.test("arms that are alike look alike at every one of 28 looks, whatever their share", async (t) => {
  for (const share of [0.1, 0.25, 0.5]) {
    const found = seen({ ...CROWD, share: () => share }, 120, {});
    t.ok(found <= 0.05, `share ${share}: ${found}`);
  }
  const naive = seen(CROWD, 120, { look: "once", range: "free" });
  t.ok(naive > 0.15, `a t-test at each look: ${naive}`);
});

t.test("and over several steps with users who come back", async (t) => {
  const stepAt = (look: number): number => [4, 12, 28].findIndex((end) => look < end);
  const crowd: Crowd = { ...CROWD, deviation: 0.15, step: stepAt, share: (look) => [0.1, 0.25, 0.5][stepAt(look)] ?? 0 };
  t.ok(seen(crowd, 120, {}, true) <= 0.05);
  t.ok(seen(crowd, 120, {}) <= 0.05);
});

t.test("a candidate that is better by five points is found", async (t) => {
  const found = seen({ ...CROWD, users: 2000, candidate: 0.85 }, 60, {});
  t.ok(found > 0.9, `${found}`);
});

import { parseArgs } from "node:util";
import { experimentReport, type ExperimentReport } from "../src/analysis/experiment.ts";
import { normalQuantile } from "../src/analysis/stats/distributions.ts";
import { fixedSampleSize } from "../src/analysis/stats/sample-size.ts";
import { createChance, type Look, looksAt, type People } from "../test/support/experiment-people.ts";
import { decimals, table } from "./figures.ts";

const USAGE = `How often the report of an experiment is right, end to end: users, feedback, steps, looks, experimentReport.

Usage: node bench/experiment.ts [--runs 100] [--looks 7] [--seed 1]

"better", "worse": the interval of accuracy ever excluded that there is no difference. --runs: rollouts of each line. --looks: at each step. "naive": at every look the usual test of two shares, match by match, all steps thrown
together; "once": the same test at the last look only, user by user where each user judges one match.

Example: node bench/experiment.ts --runs 1000 > experiment.txt
`;

const { values } = parseArgs({
  options: { runs: { type: "string" }, looks: { type: "string" }, seed: { type: "string" }, help: { type: "boolean" } },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const runs = Number(values.runs ?? 100);
const looks = Number(values.looks ?? 7);
const firstSeed = Number(values.seed ?? 1);

const AIMS = { minUsers: 10_000, confidence: 0.95, effect: 0.02 };
const CRITICAL = normalQuantile((1 - AIMS.confidence) / 2);

interface Told {
  readonly better: number;
  readonly worse: number;
  readonly alarms: number;
  readonly naive: number;
  readonly once: number;
  /** Mean share of the looks that had gone by at the first verdict, of runs that came to one. */
  readonly after: number;
}

/** Standard deviations by which the pooled shares of the arms differ. */
function pooledDeviate({ overall }: Look): number {
  const [stable, candidate] = ["stable", "candidate"].map((arm) => overall.find((cell) => cell.arm === arm)?.sums);
  if (stable === undefined || candidate === undefined || stable.n === 0 || candidate.n === 0) return 0;
  const pooled = (stable.y + candidate.y) / (stable.n + candidate.n);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / stable.n + 1 / candidate.n));
  return error > 0 ? (candidate.y / candidate.n - stable.y / stable.n) / error : 0;
}

/** What the interval of accuracy says, be there enough users for a verdict or not. */
function excluded({ assigned }: ExperimentReport): "better" | "worse" | undefined {
  const { low = -1, high = 1, observed } = assigned.overall[0] ?? { observed: { stable: 0, candidate: 0 } };
  if (Math.min(observed.stable, observed.candidate) < 100) return undefined;
  return low > 0 ? "better" : high < 0 ? "worse" : undefined;
}

function tell(people: People, withOverall: boolean): Told {
  const told = { better: 0, worse: 0, alarms: 0, naive: 0, once: 0, after: 0 };
  for (let run = 0; run < runs; run++) {
    let first: "better" | "worse" | undefined;
    let [alarm, naive, deviate, look] = [false, false, 0, 0];
    for (const seen of looksAt(people, createChance(firstSeed + run))) {
      look++;
      const report = experimentReport({
        aims: AIMS,
        strata: seen.strata,
        overall: withOverall ? seen.overall : undefined,
      });
      const found = excluded(report);
      if (first === undefined && found !== undefined) {
        first = found;
        told.after += look / (people.shares.length * people.looks);
      }
      alarm ||= !report.trustworthy;
      deviate = pooledDeviate(seen);
      naive ||= Math.abs(deviate) > CRITICAL;
    }
    if (first !== undefined) told[first]++;
    told.alarms += Number(alarm);
    told.naive += Number(naive);
    told.once += Number(Math.abs(deviate) > CRITICAL);
  }
  const decided = told.better + told.worse;
  return { ...told, after: decided > 0 ? told.after / decided : Number.NaN };
}

const percent = (count: number): string => `${decimals((100 * count) / runs, 1)} %`;

function row(name: string, people: People, withOverall: boolean): string[] {
  const told = tell(people, withOverall);
  const after = Number.isNaN(told.after) ? "-" : `${decimals(100 * told.after, 0)} %`;
  return [name, percent(told.better), percent(told.worse), percent(told.alarms), percent(told.naive), percent(told.once), after];
}

const HEAD = ["rollout", "better", "worse", "SRM alarm", "naive, any look", "once", "looks until said"];
const same: People = { users: 1_000, shares: [0.5], stable: 0.8, candidate: 0.8, spread: 0.2, matches: 5, looks: 4 * looks };
const steps = [0.1, 0.25, 0.5, 0.75];

process.stdout.write(
  `Arms that are the same; ${4 * looks} looks; 1,000 users who differ by up to 20 points and judge 1 to 5 matches a step\n`,
);
const alike = [
  ...[0.1, 0.25, 0.5].map((share) => row(`share ${100 * share} %`, { ...same, shares: [share] }, false)),
  row("10, 25, 50, 75 %, same users, sums known", { ...same, shares: steps, looks }, true),
  row("10, 25, 50, 75 %, same users, not known", { ...same, shares: steps, looks }, false),
];
process.stdout.write(`${table([HEAD, ...alike])}\n\n`);

const powered: People = { users: 10_000, shares: [0.5], stable: 0.8, candidate: 0.82, spread: 0, matches: 1, looks: 4 * looks };
const { candidate, stable } = fixedSampleSize({ deviation: Math.sqrt(0.81 * 0.19), effect: 0.02, risk: 0.025, power: 0.8, share: 0.5 });
process.stdout.write(
  `0.80 against 0.82, one match a user, ${4 * looks} looks. A single test would need ${candidate + stable} users for 80 %\n`,
);
const power = [10_000, 15_000, 20_000].map((users) => row(`${users} users, share 50 %`, { ...powered, users }, false));
const ramp = [true, false].map((known) =>
  row(`10,000 users at 10, 25, 50, 75 %, sums ${known ? "" : "not "}known`, { ...powered, shares: steps, looks }, known),
);
process.stdout.write(`${table([HEAD, ...power, ...ramp])}\n\n`);

process.stdout.write("One in twenty of the candidate's users lost, share 50 %\n");
const lost = [10_000, 20_000, 40_000].map((users) => row(`${users} users`, { ...same, users, looks: 4, lost: 0.05 }, false));
process.stdout.write(`${table([HEAD, ...lost])}\n`);

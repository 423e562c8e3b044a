import { parseArgs } from "node:util";
import type { Check } from "../src/analysis/check.ts";
import { judge } from "../src/analysis/judge.ts";
import { compareClustered, type ComparisonOptions } from "../src/analysis/stats/clustered.ts";
import { createRandom } from "../src/demo/simulators/chance.ts";
import {
  checkOf,
  type Crowd,
  type CrowdLook,
  drawCrowd,
  drawHits,
  drawLatencies,
  evidenceOf,
  latenciesOf,
  tableOf,
} from "../test/support/trials.ts";
import { table } from "./figures.ts";
import { wholeNumber } from "./whole-number.ts";

const USAGE = `How often verdicts are right and wrong, on made-up traffic whose truth is known.

Usage: node bench/statistics.ts [--only healthy,faulty,same,steps,better,latency] [--runs 1000] [--seed 1]

healthy  errors of 1 % in truth, 20 requests in each of 30 windows, limit 5 %: how many runs are rolled back
faulty   errors of 8 % in truth: after how many windows that is found
same     two arms alike, 10,000 users, 28 looks: how often a difference is seen (accuracy, 95 %)
steps    the same over four steps at 10, 25, 50 and 75 %, with users who come back
better   the candidate better by two points: how often that is seen
latency  P95 over 5 minutes against 150 ms (a twentieth of the runs: each is half an hour of traffic)

Example: node bench/statistics.ts --only healthy,faulty --runs 200
`;

const PARTS = ["healthy", "faulty", "same", "steps", "better", "latency"] as const;
type Part = (typeof PARTS)[number];

const percent = (share: number, digits = 1): string => `${(share * 100).toFixed(digits)} %`;

const PER_WINDOW = 20;
const LIMIT = { kind: "at-most", value: 0.05 } as const;

/** Says, of the errors of every window so far, whether it would roll back now. */
interface Rule {
  readonly name: string;
  fires(windows: readonly number[]): boolean;
}

function judged(name: string, windows: number, check: Partial<Check>): Rule {
  const question = checkOf({ metric: "errors", limit: LIMIT, minSample: PER_WINDOW, ...check });
  return {
    name,
    fires: (errors) => {
      const seen = errors.slice(-windows);
      if (seen.length < Math.min(windows, errors.length)) return false;
      const attempts = seen.length * PER_WINDOW;
      const evidence = evidenceOf({ tables: [tableOf({ attempts, errors: seen.reduce((sum, count) => sum + count, 0) })] });
      return judge(question, evidence)[0]?.verdict.verdict === "fail";
    },
  };
}

const STEP = { window: { kind: "step" } } as const;
const RULES: readonly Rule[] = [
  { name: "more than 5 % of the window", fires: (errors) => (errors.at(-1) ?? 0) / PER_WINDOW > LIMIT.value },
  judged("window of 20, risk 1 %", 1, { risk: 0.01 }),
  judged("window of 20, risk 0.1 %", 1, { risk: 0.001 }),
  judged("last 5 windows, risk 1 %", 5, { risk: 0.01 }),
  judged("last 5 windows, risk 0.1 %", 5, { risk: 0.001 }),
  judged("last 30 windows, risk 0.1 %", 30, { risk: 0.001 }),
  judged("growing step, risk 1 %", Infinity, { ...STEP, risk: 0.01 }),
  judged("growing step, risk 0.1 %", Infinity, { ...STEP, risk: 0.001 }),
];

/** The window in which a rule first fires, counted from 1; Infinity if it never does. */
function firstFire(rule: Rule, windows: readonly number[]): number {
  for (let count = 1; count <= windows.length; count++) if (rule.fires(windows.slice(0, count))) return count;
  return Infinity;
}

function drawWindows(random: () => number, count: number, rate: number): readonly number[] {
  return Array.from({ length: count }, () => drawHits(random, PER_WINDOW, rate));
}

function healthy(runs: number, seed: number): string {
  const rates = [0.01, 0.02, 0.05];
  const rows = RULES.map((rule) => [
    rule.name,
    ...rates.map((rate) => {
      const random = createRandom(seed);
      let fired = 0;
      for (let run = 0; run < runs; run++) if (firstFire(rule, drawWindows(random, 30, rate)) <= 30) fired++;
      return percent(fired / runs, 2);
    }),
  ]);
  return table([["rolled back within 30 windows, errors in truth", "1 %", "2 %", "5 %, the limit"], ...rows]);
}

function quantile(sorted: readonly number[], q: number): string {
  const found = sorted[Math.ceil(q * sorted.length) - 1] ?? Infinity;
  return Number.isFinite(found) ? String(found) : "later";
}

function faulty(runs: number, seed: number): string {
  const some = Math.max(20, Math.round(runs / 5));
  const rows = [0.08, 0.15].flatMap((rate) =>
    RULES.map((rule) => {
      const random = createRandom(seed);
      const found = Array.from({ length: some }, () => firstFire(rule, drawWindows(random, 180, rate))).toSorted((a, b) => a - b);
      const within = found.filter((windows) => windows <= 30).length / some;
      return [`${percent(rate, 0)}: ${rule.name}`, ...[0.1, 0.5, 0.9, 0.99].map((q) => quantile(found, q)), percent(within)];
    }),
  );
  return table([[`windows until found (${some} runs of 180)`, "10 %", "50 %", "90 %", "99 % of runs", "within 30"], ...rows]);
}

const LOOKS = 28;
const ACCURACY = 0.8;
const USERS = 10_000;

function crowdOf(share: number, effect: number, events: number): Crowd {
  return {
    users: USERS,
    looks: LOOKS,
    share: () => share,
    stable: ACCURACY,
    candidate: ACCURACY + effect,
    deviation: events > 1 ? 0.1 : 0,
    events,
    step: () => 0,
  };
}

type Finder = (look: CrowdLook) => boolean;

const OPTIONS: ComparisonOptions = { as: "difference", risk: 0.025, look: "always", range: "share" };

function seesDifference({ strata, overall }: CrowdLook, options: Partial<ComparisonOptions>, together = false): boolean {
  const { low, high } = compareClustered(strata, { ...OPTIONS, ...options, ...(together ? { overall } : {}) });
  return low > 0 || high < 0;
}

const always: Finder = (look) => seesDifference(look, {});
const tTest: Finder = (look) => seesDifference(look, { look: "once", range: "free" });
/** As if every event came from somebody else. */
const byEvent: Finder = ({ strata }) => {
  const single = ({ y, n }: { y: number; n: number }) => ({ users: n, y, n, yy: y, nn: n, yn: y });
  const events = strata.map(({ candidate, stable }) => ({ candidate: single(candidate), stable: single(stable) }));
  const { low, high } = compareClustered(events, { ...OPTIONS, look: "once", range: "free" });
  return low > 0 || high < 0;
};

/** Share of runs in which each finder sees something at any look, and at the last. */
function findings(crowd: Crowd, finders: readonly Finder[], runs: number, seed: number): readonly { any: number; last: number }[] {
  const random = createRandom(seed);
  const counts = finders.map(() => ({ any: 0, last: 0 }));
  for (let run = 0; run < runs; run++) {
    const seen = finders.map(() => false);
    for (const look of drawCrowd(random, crowd)) {
      for (const [index, finds] of finders.entries()) {
        const isLast = look.look === LOOKS - 1;
        if (seen[index] === true && !isLast) continue;
        const found = finds(look);
        if (found) seen[index] = true;
        const count = counts[index];
        if (found && isLast && count !== undefined) count.last++;
      }
    }
    for (const [index, count] of counts.entries()) if (seen[index] === true) count.any++;
  }
  return counts.map(({ any, last }) => ({ any: any / runs, last: last / runs }));
}

function same(runs: number, seed: number): string {
  const rows = [0.1, 0.25, 0.5].map((share) => {
    const [a, b, c] = findings(crowdOf(share, 0, 4), [always, tTest, byEvent], runs, seed);
    return [
      percent(share, 0),
      percent(a?.any ?? 0),
      percent(b?.any ?? 0),
      percent(c?.any ?? 0),
      percent(b?.last ?? 0),
      percent(c?.last ?? 0),
    ];
  });
  const head = ["share, false alarms", "always-valid", "t-test each look", "t-test by event", "t-test once", "by event once"];
  return table([head, ...rows]);
}

const STEP_SHARES = [0.1, 0.25, 0.5, 0.75];
const STEP_ENDS = [2, 6, 14, 28];

function steps(runs: number, seed: number): string {
  const stepAt = (look: number): number => STEP_ENDS.findIndex((end) => look < end);
  const stepped = (deviation: number, events: number, effect: number): Crowd => ({
    ...crowdOf(0.1, effect, events),
    deviation,
    share: (look) => STEP_SHARES[stepAt(look)] ?? 0,
    step: stepAt,
  });
  const finders: readonly Finder[] = [
    (look) => seesDifference(look, {}, true),
    always,
    (look) => seesDifference(look, { overall: "independent" }),
    (look) => seesDifference(look, { look: "once" }, true),
  ];
  const crowds: readonly (readonly [deviation: number, events: number, effect: number])[] = [
    [0.1, 4, 0],
    [0.3, 12, 0],
    [0.1, 4, 0.02],
  ];
  const rows = crowds.map(([deviation, events, effect]) => {
    const found = findings(stepped(deviation, events, effect), finders, Math.round(runs / 2), seed);
    const name = `${effect > 0 ? "+2 points" : "alike"}, ${events} events a user, who differ by ${percent(deviation, 0)}`;
    return [name, ...found.map(({ any }) => percent(any)), percent(found[3]?.last ?? 0)];
  });
  const head = ["a difference seen, four steps", "sums over steps known", "not known", "taken as independent", "t-test each look", "once"];
  return table([head, ...rows]);
}

function better(runs: number, seed: number): string {
  const rows = [1, 4].flatMap((events) =>
    [0.1, 0.25, 0.5].map((share) => {
      const [a, b] = findings(crowdOf(share, 0.02, events), [always, tTest], Math.round(runs / 2), seed);
      return [`${events} a user, share ${percent(share, 0)}`, percent(a?.any ?? 0), percent(a?.last ?? 0), percent(b?.last ?? 0)];
    }),
  );
  return table([
    ["+2 points seen at 10,000 users, events", "always-valid, any of 28 looks", "at the last", "t-test once, at the end"],
    ...rows,
  ]);
}

/** A trigger looked at every ten seconds for half an hour. */
function latency(runs: number, seed: number): string {
  const check = checkOf({
    metric: "p95",
    limit: { kind: "at-most", value: 150 },
    window: { kind: "last", ms: 60_000 },
    forMs: 300_000,
    minSample: 50,
    risk: 0.001,
  });
  const some = Math.max(5, Math.round(runs / 20));
  const rows = [20, 100].flatMap((perSecond) =>
    [135, 148, 150, 155, 161].map((p95) => {
      const random = createRandom(seed);
      const fired = Array.from({ length: some }, () => {
        const minutes: Float64Array[] = [];
        for (let minute = 1; minute <= 30; minute++) {
          minutes.push(drawLatencies(random, perSecond * 60, p95));
          if (minute < 5) continue;
          const last = minutes.slice(-5);
          const pieceOf = (durations: Float64Array) =>
            tableOf({ latencies: latenciesOf(durations), attempts: durations.length }, {}, { from: 0, to: 60_000 });
          const whole = Float64Array.from(last.flatMap((part) => [...part]));
          const tables = [tableOf({ latencies: latenciesOf(whole), attempts: whole.length }, {}, { from: 0, to: 300_000 })];
          const verdict = judge(check, evidenceOf({ from: 0, to: 300_000, tables, pieces: last.map(pieceOf) }))[0];
          if (verdict?.verdict.verdict === "fail") return minute;
        }
        return Infinity;
      }).toSorted((a, b) => a - b);
      const share = fired.filter(Number.isFinite).length / some;
      return [`${p95} ms at ${perSecond}/s`, percent(share), quantile(fired, 0.5), quantile(fired, 0.9)];
    }),
  );
  return table([[`true P95, limit 150 ms for 5m (${some} runs)`, "fired within 30 min", "half by minute", "90 % by minute"], ...rows]);
}

const MEASURES: Readonly<Record<Part, (runs: number, seed: number) => string>> = { healthy, faulty, same, steps, better, latency };

try {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: PARTS.join(",") },
      runs: { type: "string", default: "1000" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) process.stdout.write(USAGE);
  else {
    const [runs, seed] = [wholeNumber("runs", values.runs), wholeNumber("seed", values.seed)];
    for (const name of values.only.split(",")) {
      const part = PARTS.find((known) => known === name);
      if (part === undefined) throw new Error(`--only: there is no ${JSON.stringify(name)}; there are ${PARTS.join(", ")}`);
      process.stdout.write(`${MEASURES[part](runs, seed)}\n\n`);
    }
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

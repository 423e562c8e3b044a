import { parseArgs } from "node:util";
import type { Flag, FlagSettings } from "../src/config/config.ts";
import { buildStringSet } from "../src/core/string-set.ts";
import { decideArm, type Subject } from "../src/rollout/decide.ts";
import { compileRules } from "../src/rollout/rules.ts";
import { decimals, median, table } from "./figures.ts";
import { wholeNumber } from "./whole-number.ts";

const USAGE = `What deciding the arm of a request costs, against the size of a segment's set.

Usage: node bench/decide.ts [--sizes 10,1000,1000000] [--rounds 7] [--decisions 2000000]

Each round decides for 4,096 users over and over, half of them members of the segment. Allocation is what the heap grew
by between two collections; it needs node --expose-gc, and is left out without.

Example: node --expose-gc bench/decide.ts
`;

const USERS = 4_096;
/** Few enough that the collector does not run meanwhile. */
const SHORT = 20_000;

const settings: FlagSettings = {
  enabled: true,
  killSwitch: false,
  weightBp: 3_000,
  segments: [{ name: "beta_users", weightBp: 5_000, override: true }],
  fallback: {
    enabled: true,
    responseTimeMs: 100,
    errorRateBp: 100,
    accuracyBp: 8_500,
    hedge: false,
    budgetBp: 2_000,
    breaker: "auto" as const,
  },
  samplingBp: 100,
};
const flag: Flag = { name: "bench", salt: "bench", settings, retentionDays: 90 };

interface Cost {
  readonly nanoseconds: number;
  /** NaN where the collector cannot be asked. */
  readonly bytes: number;
  readonly setMb: number;
  readonly candidate: number;
}

function measure(size: number, decisions: number, rounds: number): Cost {
  const buffer = buildStringSet(members(size));
  const rules = compileRules(flag, {
    flag: flag.name,
    revision: 1,
    settings,
    allow: undefined,
    deny: undefined,
    members: { beta_users: buffer },
  });
  const subjects = Array.from({ length: USERS }, (_, index): Subject => ({
    key: index % 2 === 0 ? `member-${(index * 7_919) % size}` : `stranger-${index}`,
    segment: undefined,
    override: undefined,
  }));
  let candidate = 0;
  const run = (count: number): number => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) {
      const subject = subjects[i & (USERS - 1)];
      if (subject !== undefined && decideArm(rules, false, subject).arm === "candidate") candidate++;
    }
    return Number(process.hrtime.bigint() - start) / count;
  };
  run(decisions / 4);
  candidate = 0;
  const times = Array.from({ length: rounds }, () => run(decisions));
  const share = candidate / (decisions * rounds);

  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  run(SHORT);
  const bytes = globalThis.gc === undefined ? Number.NaN : (process.memoryUsage().heapUsed - before) / SHORT;
  return { nanoseconds: median(times), bytes, setMb: buffer.byteLength / 2 ** 20, candidate: share };
}

function* members(size: number): Generator<string> {
  for (let i = 0; i < size; i++) yield `member-${i}`;
}

try {
  const { values } = parseArgs({
    options: {
      sizes: { type: "string", default: "10,1000,1000000" },
      rounds: { type: "string", default: "7" },
      decisions: { type: "string", default: "2000000" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) process.stdout.write(USAGE);
  else {
    const rows = [["members of the segment", "ns/decision", "bytes/decision", "set MB", "on candidate"]];
    for (const size of values.sizes.split(",").map((text) => wholeNumber("sizes", text))) {
      const cost = measure(size, wholeNumber("decisions", values.decisions), wholeNumber("rounds", values.rounds));
      rows.push([
        size.toLocaleString("en"),
        decimals(cost.nanoseconds, 0),
        decimals(cost.bytes, 1),
        decimals(cost.setMb, 2),
        `${decimals(100 * cost.candidate, 1)} %`,
      ]);
    }
    process.stdout.write(`${table(rows)}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

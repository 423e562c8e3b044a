import { CONTENDERS } from "./contenders.ts";
import { decimals, median, ratios, spread, table, type Metric } from "./figures.ts";
import { command, measure, progress, type Results } from "./rounds.ts";

const USAGE = `What a request costs: every proxy on the same 1 kB POST job, keep-alive on both sides.

Usage: node bench/proxies.ts [options]

  --only A,B         some of: ${CONTENDERS.map((contender) => contender.name).join(", ")}
  --rounds N         interleaved rounds; default 5
  --seconds N        measured time of each proxy in each round; default 2
  --connections N    default 64
  --rate N           requests a second at constant intervals; default 0: as fast as it goes
  --json             every round's figures as JSON instead of the tables

Example: node bench/proxies.ts --only nginx,crossfade --rounds 9
`;

const COLUMNS: readonly { readonly title: string; readonly metric: Metric; readonly digits: number }[] = [
  { title: "CPU µs/req", metric: "cpuUs", digits: 1 },
  { title: "req/s", metric: "perSecond", digits: 0 },
  { title: "p50 ms", metric: "p50Ms", digits: 2 },
  { title: "p99 ms", metric: "p99Ms", digits: 2 },
  { title: "memory MB", metric: "memoryMb", digits: 1 },
];
const REFERENCE = "nginx";

function report(results: Results): string {
  const values = [["median of the rounds", ...COLUMNS.map((column) => column.title), "errors", "on candidate"]];
  for (const [name, rounds] of results) {
    values.push([
      name,
      ...COLUMNS.map(({ metric, digits }) => decimals(median(rounds.map((figures) => figures[metric])), digits)),
      String(rounds.reduce((sum, figures) => sum + figures.errors, 0)),
      `${decimals(median(rounds.map((figures) => figures.candidate)), 0)} %`,
    ]);
  }
  const reference = results.get(REFERENCE);
  if (reference === undefined) return table(values);
  const relative = [[`ratio to ${REFERENCE}`, ...COLUMNS.map((column) => column.title)]];
  for (const [name, rounds] of results) relative.push([name, ...COLUMNS.map(({ metric }) => spread(ratios(rounds, reference, metric)))]);
  return `${table(values)}\n\n${table(relative)}\n(median of the ratios round by round, least and most in brackets)`;
}

const defaults = { names: CONTENDERS.map((contender) => contender.name), rounds: 5, seconds: 2, connections: 64, rate: 0 };
await command(USAGE, defaults, async (options) => {
  const results = await measure(options, progress);
  process.stdout.write(`${options.json ? JSON.stringify(Object.fromEntries(results), undefined, 2) : report(results)}\n`);
});

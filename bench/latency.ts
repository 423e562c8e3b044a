import { CONTENDERS } from "./contenders.ts";
import { decimals, median, table, type Figures } from "./figures.ts";
import { command, measure, progress, type Results } from "./rounds.ts";

const USAGE = `What a proxy adds to the latency of a request, at a constant 2,000 requests a second.

Requests fall due at constant intervals whatever the answers do, and latency counts from the instant at which a request
fell due: a stall is felt by every request that it held up.

Usage: node bench/latency.ts [options]

  --only A,B         some of: ${CONTENDERS.map((contender) => contender.name).join(", ")}; default direct,nginx,crossfade
  --rate N           requests a second; default 2000
  --rounds N         interleaved rounds; default 5
  --seconds N        measured time of each in each round; default 3
  --connections N    default 64
  --json             every round's figures as JSON instead of the table

Example: node bench/latency.ts --rate 5000 --only direct,nginx,haproxy,crossfade
`;

const COLUMNS = [
  { title: "p50", metric: "p50Ms" },
  { title: "p99", metric: "p99Ms" },
  { title: "p99.9", metric: "p999Ms" },
] as const;

function report(results: Results): string {
  const direct = results.get("direct");
  const middle = (rounds: readonly Figures[], metric: (typeof COLUMNS)[number]["metric"]): number =>
    median(rounds.map((figures) => figures[metric]));
  const rows = [["ms, median of the rounds", ...COLUMNS.flatMap(({ title }) => (direct ? [title, "added"] : [title])), "req/s", "errors"]];
  for (const [name, rounds] of results) {
    rows.push([
      name,
      ...COLUMNS.flatMap(({ metric }) => {
        const value = middle(rounds, metric);
        return direct ? [decimals(value, 3), name === "direct" ? "-" : decimals(value - middle(direct, metric), 3)] : [decimals(value, 3)];
      }),
      decimals(median(rounds.map((figures) => figures.perSecond)), 0),
      String(rounds.reduce((sum, figures) => sum + figures.errors, 0)),
    ]);
  }
  return table(rows);
}

await command(USAGE, { names: ["direct", "nginx", "crossfade"], rounds: 5, seconds: 3, connections: 64, rate: 2000 }, async (options) => {
  const results = await measure(options, progress);
  process.stdout.write(`${options.json ? JSON.stringify(Object.fromEntries(results), undefined, 2) : report(results)}\n`);
});

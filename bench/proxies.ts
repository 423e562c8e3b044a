import { DIRECT } from "./contenders/contender.ts";
import { crossfade } from "./contenders/crossfade.ts";
import { HAPROXY } from "./contenders/haproxy.ts";
import { nginx } from "./contenders/nginx.ts";
import { PEERS } from "./contenders/peers.ts";
import { decimals, errorsOf, middle, ratios, spread, table, type Metric } from "./figures.ts";
import { runCommand } from "./options.ts";
import { asJson, measureGroups, type Results } from "./rounds.ts";

const CONTENDERS = [
  DIRECT,
  nginx("nginx", "split_clients on the user id, 1 worker process, access_log off"),
  nginx("nginx-log", "the same with a buffered access log of every request", { log: true }),
  HAPROXY,
  crossfade("crossfade", "engine wire, 1 worker: split, fallback armed, metrics, access log of 1 % of the requests"),
  crossfade("crossfade-log", "the same with an access log of every request", { log: 100 }),
  crossfade("crossfade-node", "as crossfade, on engine node", { transport: "node" }),
  ...PEERS,
];
const names = CONTENDERS.map((contender) => contender.name);

const about = `What a request costs: every proxy on the same 1 kB POST job, keep-alive on both sides.

${CONTENDERS.map(({ name, what }) => `  ${name.padEnd(18)}  ${what}\n`).join("")}`;

const COLUMNS: readonly { readonly title: string; readonly metric: Metric; readonly digits: number }[] = [
  { title: "CPU µs/req", metric: "cpuUs", digits: 1 },
  { title: "req/s", metric: "perSecond", digits: 0 },
  { title: "p50 ms", metric: "p50Ms", digits: 2 },
  { title: "p99 ms", metric: "p99Ms", digits: 2 },
  { title: "p99.9 ms", metric: "p999Ms", digits: 2 },
  { title: "memory MB", metric: "memoryMb", digits: 1 },
];
const TITLES = COLUMNS.map((column) => column.title);

/** Who is compared with whom: like with like, as to the log. */
const REFERENCES: readonly { readonly to: string; readonly who: (name: string) => boolean }[] = [
  { to: "nginx", who: () => true },
  { to: "nginx-log", who: (name) => name.startsWith("crossfade") },
  { to: "crossfade", who: (name) => PEERS.some((peer) => peer.name === name) || name.startsWith("crossfade-") },
];

function report(results: Results): string {
  const values = [["median of the rounds", ...TITLES, "errors", "on candidate"]];
  for (const [name, rounds] of results) {
    values.push([
      name,
      ...COLUMNS.map(({ metric, digits }) => decimals(middle(rounds, metric), digits)),
      errorsOf(rounds),
      `${decimals(middle(rounds, "candidate"), 0)} %`,
    ]);
  }
  const relative = REFERENCES.flatMap(({ to, who }) => {
    const reference = results.get(to);
    const compared = [...results].filter(([name]) => name !== to && who(name));
    if (reference === undefined || compared.length === 0) return [];
    const rows = compared.map(([name, rounds]) => [name, ...COLUMNS.map(({ metric }) => spread(ratios(rounds, reference, metric)))]);
    return [`\n${table([[`ratio to ${to}`, ...TITLES], ...rows])}\n`];
  });
  return `${table(values)}\n${relative.join("")}(median of the ratios round by round, with the least and the most)\n`;
}

await runCommand({
  name: "proxies",
  about,
  example: "--only nginx,crossfade --rounds 9",
  choices: names,
  defaults: { rate: [0], connections: [64], rounds: 5, seconds: 2, warm: 5, json: false },
  async run({ only, connections, rate: rates, rounds, seconds, warm, json }) {
    const chosen = CONTENDERS.filter((contender) => only.includes(contender.name));
    const groups = connections.flatMap((count) =>
      rates.map((rate) => {
        const cases = chosen.map((contender) => ({ name: contender.name, contender, connections: count, rate }));
        return [`${count} connections, ${rate === 0 ? "as fast as it goes" : `${rate} requests/s`}`, cases] as const;
      }),
    );
    const measured = await measureGroups(new Map(groups), { rounds, seconds, warm });
    if (json) process.stdout.write(asJson(measured));
    else for (const [group, results] of measured) process.stdout.write(`${group}\n\n${report(results)}\n`);
  },
});

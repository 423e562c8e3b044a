import { DIRECT } from "./contenders/contender.ts";
import { crossfade } from "./contenders/crossfade.ts";
import { HAPROXY } from "./contenders/haproxy.ts";
import { nginx } from "./contenders/nginx.ts";
import { PEERS } from "./contenders/peers.ts";
import { decimals, differences, errorsOf, middle, spread, table } from "./figures.ts";
import { runCommand } from "./options.ts";
import { measure, type Case, type Results } from "./rounds.ts";

const CONTENDERS = [
  DIRECT,
  nginx("nginx", "1 worker process, access_log off"),
  HAPROXY,
  crossfade("crossfade", "engine wire, everything on"),
  crossfade("crossfade-node", "engine node, everything on", { transport: "node" }),
  ...PEERS,
];
const names = CONTENDERS.map((contender) => contender.name);

const about = `What a proxy adds to the latency of a request, at a constant 2,000 and 5,000 requests a second.

Requests fall due at constant intervals whatever the answers do, and latency counts from the instant at which a request
fell due: a stall is felt by every request that it held up. The connections take turns. Added is the difference to
\`direct\` in the same round.

${CONTENDERS.map(({ name, what }) => `  ${name.padEnd(18)}  ${what}\n`).join("")}`;

const COLUMNS = [
  { title: "p50", metric: "p50Ms" },
  { title: "p99", metric: "p99Ms" },
  { title: "p99.9", metric: "p999Ms" },
] as const;

function report(cases: readonly Case[], results: Results): string {
  const rows = [["ms, median of the rounds", "due/s", ...COLUMNS.flatMap(({ title }) => [title, `added to ${title}`]), "req/s", "errors"]];
  for (const { name, contender, connections, rate } of cases) {
    const rounds = results.get(name);
    if (rounds === undefined) continue;
    const direct = contender === DIRECT ? undefined : results.get(nameOf("direct", connections, rate));
    rows.push([
      `${contender.name}, ${connections} connections`,
      String(rate),
      ...COLUMNS.flatMap(({ metric }) => [
        decimals(middle(rounds, metric), 3),
        direct === undefined ? "-" : spread(differences(rounds, direct, metric), 3),
      ]),
      decimals(middle(rounds, "perSecond"), 0),
      errorsOf(rounds),
    ]);
  }
  return `${table(rows)}\n(added: median of the differences round by round, with the least and the most)\n`;
}

function nameOf(contender: string, connections: number, rate: number): string {
  return `${contender} ${connections} ${rate}/s`;
}

await runCommand({
  name: "latency",
  about,
  example: "--rate 8000 --only direct,nginx,haproxy,crossfade --rounds 9",
  choices: names,
  defaults: {
    only: ["direct", "nginx", "crossfade", "crossfade-node"],
    rate: [2_000, 5_000],
    connections: [64],
    rounds: 5,
    seconds: 3,
    warm: 5,
    json: false,
  },
  async run({ only, connections, rate: rates, rounds, seconds, warm, json }) {
    const chosen = CONTENDERS.filter((contender) => only.includes(contender.name));
    const cases = connections.flatMap((count) =>
      rates.flatMap((rate) =>
        chosen.map((contender) => ({ name: nameOf(contender.name, count, rate), contender, connections: count, rate })),
      ),
    );
    const results = await measure({ cases, rounds, seconds, warm });
    process.stdout.write(json ? `${JSON.stringify(Object.fromEntries(results), undefined, 2)}\n` : report(cases, results));
  },
});

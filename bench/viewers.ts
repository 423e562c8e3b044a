import { get } from "node:http";
import type { Contender } from "./contenders/contender.ts";
import { crossfade } from "./contenders/crossfade.ts";
import { decimals, differences, errorsOf, middle, ratios, spread, table, type Figures } from "./figures.ts";
import { progress, runCommand } from "./options.ts";
import { measure, type Case, type Results } from "./rounds.ts";

const VIEWERS = 20;

const CONTENDERS = [crossfade("alone", "nobody looks"), watched(crossfade("watched", `${VIEWERS} viewers of GET /api/live all the time`))];
const names = CONTENDERS.map(({ name }) => name);

const about = `What viewers of the dashboard cost the requests: CPU time of the whole program for each request, and latency.

Two programs with the same configuration, measured in turn, each alone with the load. A rate of 0 is as fast as it goes.

${CONTENDERS.map(({ name, what }) => `  ${name.padEnd(18)}  ${what}\n`).join("")}`;

/** The same, with somebody who looks. */
function watched(contender: Contender): Contender {
  return {
    ...contender,
    async start(world) {
      const running = await contender.start(world);
      const seen = await Promise.all(Array.from({ length: VIEWERS }, () => look(running.adminPort ?? 0)));
      progress(`${seen.length} viewers look at ${contender.name}`);
      return running;
    },
  };
}

/** Resolves with the first view; from then on reads what comes until the program ends. */
function look(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = get({ host: "127.0.0.1", port, path: "/api/live", agent: false }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`GET /api/live answers ${response.statusCode}`));
      response.on("data", (chunk: Buffer) => {
        if (chunk.includes("event: view")) resolve();
      });
      response.on("error", () => {});
    });
    sent.on("error", reject);
  });
}

function nameOf(contender: string, connections: number, rate: number): string {
  return `${contender} ${connections} ${rate}/s`;
}

function report(cases: readonly Case[], results: Results): string {
  const rows = [
    ["median of the rounds", "due/s", "µs CPU a request", "against alone", "p50 ms", "more", "p99 ms", "more", "req/s", "errors"],
  ];
  for (const { name, contender, connections, rate } of cases) {
    const rounds = results.get(name);
    if (rounds === undefined) continue;
    const alone = contender.name === "alone" ? undefined : results.get(nameOf("alone", connections, rate));
    const more = (metric: keyof Figures): string => (alone === undefined ? "-" : spread(differences(rounds, alone, metric), 3));
    rows.push([
      `${contender.name}, ${connections} connections`,
      rate === 0 ? "all" : String(rate),
      decimals(middle(rounds, "cpuUs"), 1),
      alone === undefined ? "-" : spread(ratios(rounds, alone, "cpuUs"), 3),
      decimals(middle(rounds, "p50Ms"), 3),
      more("p50Ms"),
      decimals(middle(rounds, "p99Ms"), 3),
      more("p99Ms"),
      decimals(middle(rounds, "perSecond"), 0),
      errorsOf(rounds),
    ]);
  }
  return `${table(rows)}\n(against alone, more: median of the ratios and differences round by round, with the least and the most)\n`;
}

await runCommand({
  name: "viewers",
  about,
  example: "--rate 500,5000 --rounds 9",
  choices: names,
  defaults: { rate: [500, 5_000, 0], connections: [64], rounds: 5, seconds: 3, warm: 5, json: false },
  async run({ only, connections, rate: rates, rounds, seconds, warm, json }) {
    const chosen = CONTENDERS.filter(({ name }) => only.includes(name));
    const cases = connections.flatMap((count) =>
      rates.flatMap((rate) =>
        chosen.map((contender) => ({ name: nameOf(contender.name, count, rate), contender, connections: count, rate })),
      ),
    );
    const results = await measure({ cases, rounds, seconds, warm });
    process.stdout.write(json ? `${JSON.stringify(Object.fromEntries(results), undefined, 2)}\n` : report(cases, results));
  },
});

import type { Contender } from "./contenders/contender.ts";
import { crossfade } from "./contenders/crossfade.ts";
import { nginx } from "./contenders/nginx.ts";
import { decimals, differences, errorsOf, middle, ratios, spread, table } from "./figures.ts";
import type { Spreading } from "./load/generator.ts";
import { runCommand, type Options } from "./options.ts";
import type { Cpus } from "./processes.ts";
import { measureIn, type Case, type Results } from "./rounds.ts";
import { inWorld } from "./world.ts";

/** Connections as the system deals them to two workers, evenly, and three quarters on one. */
const SPREADS: readonly { readonly name: string; readonly spread: Spreading }[] = [
  { name: "even", spread: 50 },
  { name: "as the system deals", spread: "as-it-comes" },
  { name: "three to one", spread: 75 },
];

const about = `What a second worker does: one worker on one CPU against two on two, which share the port (SO_REUSEPORT).

  cost     CPU per request of both, as fast as it goes, and how the system deals the connections to the workers
  spread   two workers at --rate: latency when the connections are spread evenly, as the system deals them, and three to one

Which worker serves a connection is told by whose CPU time grows while requests go over that connection alone.
With two CPUs the load shares one with a worker, which the output says: look at the CPU per request then, not at requests a second.
`;

interface Pair {
  readonly one: Contender;
  readonly two: Contender;
}

function cost(pairs: readonly Pair[], cpus: Cpus, { connections }: Options): readonly Case[] {
  return connections.flatMap((count) =>
    pairs.flatMap(({ one, two }) => [
      { name: `${one.name} ${count}`, contender: one, connections: count, rate: 0, cpus: cpus.proxy },
      { name: `${two.name} ${count}`, contender: two, connections: count, rate: 0, cpus: cpus.pair, spread: "as-it-comes" as const },
    ]),
  );
}

function reportCost(cases: readonly Case[], results: Results): string {
  const rows = [
    ["median of the rounds", "connections", "CPU µs/req", "ratio to one worker", "req/s", "connections of the busier", "errors"],
  ];
  for (const [index, { name, contender, connections, spread: spreading }] of cases.entries()) {
    const rounds = results.get(name);
    if (rounds === undefined) continue;
    const alone = spreading === undefined ? undefined : results.get(cases[index - 1]?.name ?? "");
    rows.push([
      contender.name,
      String(connections),
      decimals(middle(rounds, "cpuUs"), 1),
      alone === undefined ? "-" : spread(ratios(rounds, alone, "cpuUs")),
      decimals(middle(rounds, "perSecond"), 0),
      alone === undefined ? "-" : `${decimals(middle(rounds, "busiest"), 0)} %`,
      errorsOf(rounds),
    ]);
  }
  return table(rows);
}

function spreads(pairs: readonly Pair[], cpus: Cpus, { connections, rate: rates }: Options): readonly Case[] {
  return connections.flatMap((count) =>
    rates.flatMap((rate) =>
      pairs.flatMap(({ two }) =>
        SPREADS.map(({ name, spread: spreading }) => ({
          name: `${two.name} ${count} ${rate}/s, ${name}`,
          contender: two,
          connections: count,
          rate,
          spread: spreading,
          cpus: cpus.pair,
        })),
      ),
    ),
  );
}

function reportSpread(cases: readonly Case[], results: Results): string {
  const rows = [["ms, median of the rounds", "p50", "p99", "p99.9", "p99 more than evenly", "on the busier", "CPU µs/req", "errors"]];
  let even = cases[0];
  for (const measured of cases) {
    if (measured.spread === 50) even = measured;
    const rounds = results.get(measured.name);
    if (rounds === undefined) continue;
    rows.push([
      measured.name,
      decimals(middle(rounds, "p50Ms"), 3),
      decimals(middle(rounds, "p99Ms"), 3),
      decimals(middle(rounds, "p999Ms"), 3),
      measured === even ? "-" : spread(differences(rounds, results.get(even?.name ?? "") ?? [], "p99Ms"), 3),
      `${decimals(middle(rounds, "busiest"), 0)} %`,
      decimals(middle(rounds, "cpuUs"), 1),
      errorsOf(rounds),
    ]);
  }
  return table(rows);
}

const PARTS = {
  cost: { casesOf: cost, report: reportCost },
  spread: { casesOf: spreads, report: reportSpread },
};

await runCommand({
  name: "cores",
  about,
  example: "--rate 2000,8000 --rounds 9",
  choices: Object.keys(PARTS),
  defaults: { transport: "wire", rate: [4_000], connections: [64], rounds: 5, seconds: 2, warm: 5, json: false },
  async run(options) {
    const { transport, json, only, ...plan } = options;
    const pairs: readonly Pair[] = [
      { one: nginx("nginx-1", ""), two: nginx("nginx-2", "", { workers: 2 }) },
      { one: crossfade("crossfade-1", "", { transport }), two: crossfade("crossfade-2", "", { transport, workers: 2 }) },
    ];
    for (const [name, { casesOf, report }] of Object.entries(PARTS)) {
      if (!only.includes(name)) continue;
      await inWorld(async (world, generator, cpus) => {
        const cases = casesOf(pairs, cpus, options);
        const results = await measureIn(world, generator, { cases, ...plan });
        const placed = cpus.shared ? "The load shares a CPU with the second worker.\n" : "The load has a CPU of its own.\n";
        process.stdout.write(
          json ? `${JSON.stringify(Object.fromEntries(results), undefined, 2)}\n` : `${report(cases, results)}\n${placed}\n`,
        );
      });
    }
  },
});

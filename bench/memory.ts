import { CONTENDERS } from "./contenders.ts";
import { decimals, table } from "./figures.ts";
import { familyOf } from "./processes.ts";
import { command, inWorld, progress } from "./rounds.ts";

const USAGE = `How the memory of crossfade (1 worker) grows: with requests, and with connections.

One slice of load after another, each as fast as it goes; after each the resident memory. Flat from the second or third slice on is what
it should be. --rounds times --seconds at --connections, then once each with 1, 64, 256 and 1,000 connections.

Usage: node bench/memory.ts [options]

  --rounds N         slices; default 12
  --seconds N        of each; default 10
  --connections N    default 64

Example: node bench/memory.ts --rounds 30
`;

const CONNECTIONS = [1, 64, 256, 1000];

await command(USAGE, { names: ["crossfade"], rounds: 12, seconds: 10, connections: 64, rate: 0 }, async (options) => {
  const crossfade = CONTENDERS.find((contender) => contender.name === "crossfade");
  const lacking = crossfade?.lacks();
  if (crossfade === undefined || lacking !== undefined) throw new Error(lacking);
  await inWorld(progress, async (world, generator) => {
    const { port, child } = await crossfade.start(world);
    const pids = child ? familyOf(child.pid) : [];
    const rows = [["connections", "requests so far", "req/s", "errors", "memory MB"]];
    let requests = 0;
    const slice = async (connections: number): Promise<void> => {
      const measured = await generator.run({ port, connections, rate: 0, warmMs: 0, measureMs: options.seconds * 1000, pids });
      requests += measured.answered;
      const row = [
        connections,
        requests,
        decimals(measured.answered / measured.seconds, 0),
        measured.errors,
        decimals(measured.residentKb / 1024, 1),
      ];
      rows.push(row.map(String));
      progress(row.join("  "));
    };
    for (let round = 0; round < options.rounds; round++) await slice(options.connections);
    for (const connections of CONNECTIONS) await slice(connections);
    process.stdout.write(`${table(rows)}\n`);
  });
});

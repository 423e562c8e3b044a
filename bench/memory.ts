import { setTimeout as delay } from "node:timers/promises";
import type { Contender, World } from "./contenders/contender.ts";
import { crossfade, type Transport } from "./contenders/crossfade.ts";
import { nginx } from "./contenders/nginx.ts";
import { decimals, median, spread, spreadOf, table } from "./figures.ts";
import type { Generator } from "./load/generator.ts";
import { USUAL } from "./load/job.ts";
import { progress, runCommand, type Options } from "./options.ts";
import { familyOf } from "./processes.ts";
import { inWorld } from "./world.ts";

const BUSY = 1_000;
const IDLE = 10_000;
const SLICE_CONNECTIONS = [1, 64, 256, 1_000];
/** For what a process does after the last connection has come, and before its memory is read. */
const SETTLE_MS = 2_000;

const about = `How the memory of crossfade grows: with requests, workers and connections. Resident memory, as the system counts it.

  growth     one slice of load after another at --connections, each of --seconds, --slices times, then with 1, 64, 256 and
             1,000 connections. Flat from the second or third slice on is what it should be
  workers    what a worker with ${BUSY.toLocaleString("en")} busy connections takes: a process with one, a process with two and twice the
             connections, and the difference of the two, which is free of what the process needs anyway
  idle       what one of ${IDLE.toLocaleString("en")} idle connections takes: the growth since before they came, divided by their number;
             without a request on any, and after one on each. The kernel's own buffers are not in it. Needs a limit of
             more than ${IDLE.toLocaleString("en")} descriptors (ulimit -Hn)

workers and idle start every process anew in each round, for nginx too; what nginx holds for each connection it could ever
have (worker_connections) is there from its start.
`;

/** A process for this alone. */
async function fresh<T>(world: World, contender: Contender, work: (port: number, pids: readonly number[]) => Promise<T>): Promise<T> {
  const lacking = contender.lacks();
  if (lacking !== undefined) throw new Error(lacking);
  const { port, child } = await contender.start(world);
  try {
    return await work(port, child ? familyOf(child.pid) : []);
  } finally {
    await child?.stop();
  }
}

async function growth(world: World, generator: Generator, options: Options): Promise<string> {
  const rows = [["connections", "requests so far", "req/s", "errors", "memory MB"]];
  await fresh(world, crossfade("crossfade", "", { transport: options.transport }), async (port, pids) => {
    let requests = 0;
    const slice = async (connections: number): Promise<void> => {
      const measured = await generator.run({ port, connections, rate: 0, warmMs: 0, measureMs: options.seconds * 1000, pids });
      requests += measured.answered;
      const perSecond = decimals(measured.answered / measured.seconds, 0);
      const row = [connections, requests, perSecond, measured.errors, decimals(measured.residentKb / 1024, 1)].map(String);
      rows.push(row);
      progress(row.join("  "));
    };
    for (const connections of options.connections) for (let count = 0; count < options.slices; count++) await slice(connections);
    for (const connections of SLICE_CONNECTIONS) await slice(connections);
  });
  return table(rows);
}

function proxies(workers: number, connections: number, transport: Transport): readonly Contender[] {
  return [crossfade("crossfade", "", { workers, transport }), nginx("nginx", "", { workers, connections })];
}

async function workers(world: World, generator: Generator, options: Options): Promise<string> {
  const found = new Map<string, { readonly one: number[]; readonly two: number[] }>();
  for (let round = 1; round <= options.rounds; round++) {
    for (const count of [1, 2]) {
      for (const contender of proxies(count, 4_096, options.transport)) {
        const kb = await fresh(world, contender, async (port, pids) => {
          const load = { port, rate: 0, warmMs: 0, pids };
          await generator.run({ ...load, connections: 64 * count, measureMs: options.warm * 1000 });
          return (await generator.run({ ...load, connections: BUSY * count, measureMs: options.seconds * 1000 })).residentKb;
        });
        const sums = found.get(contender.name) ?? { one: [], two: [] };
        found.set(contender.name, sums);
        (count === 1 ? sums.one : sums.two).push(kb / 1024);
        progress(`round ${round}/${options.rounds}  ${contender.name} with ${count} of ${BUSY} connections: ${decimals(kb / 1024, 1)} MB`);
      }
    }
  }
  const rows = [[`MB with ${BUSY} busy connections a worker`, "one worker", "two workers", "difference: a worker"]];
  for (const [name, { one, two }] of found) {
    const difference = spreadOf(two.map((value, round) => value - (one[round] ?? Number.NaN)));
    rows.push([name, decimals(median(one), 1), decimals(median(two), 1), spread(difference, 1)]);
  }
  return table(rows);
}

async function idle(world: World, generator: Generator, options: Options): Promise<string> {
  interface Row {
    readonly name: string;
    readonly before: number[];
    readonly after: number[];
    readonly bytes: number[];
    lost: number;
  }
  const found = new Map<string, Row>();
  for (let round = 1; round <= options.rounds; round++) {
    for (const requests of [0, 1]) {
      for (const contender of proxies(1, IDLE + 2_000, options.transport)) {
        const name = `${contender.name}, ${requests === 0 ? "no request" : "after one request"}`;
        const row: Row = found.get(name) ?? { name, before: [], after: [], bytes: [], lost: 0 };
        found.set(name, row);
        await fresh(world, contender, async (port, pids) => {
          await generator.run({ port, connections: 64, rate: 0, warmMs: 0, measureMs: options.warm * 1000, pids });
          await delay(SETTLE_MS);
          const held = await generator.hold({ port, connections: IDLE, requests, settleMs: SETTLE_MS, pids });
          row.before.push(held.beforeKb / 1024);
          row.after.push(held.afterKb / 1024);
          row.bytes.push(((held.afterKb - held.beforeKb) * 1024) / held.opened);
          row.lost += held.lost + held.errors + IDLE - held.opened;
        });
        progress(`round ${round}/${options.rounds}  ${name}: ${decimals(row.bytes.at(-1) ?? Number.NaN, 0)} bytes a connection`);
      }
    }
  }
  const rows = [[`${IDLE} idle connections`, "MB before", "MB after", "bytes a connection", "lost"]];
  for (const { name, before, after, bytes, lost } of found.values())
    rows.push([name, decimals(median(before), 1), decimals(median(after), 1), spread(spreadOf(bytes), 0), String(lost)]);
  return table(rows);
}

const PARTS = { growth, workers, idle };

await runCommand({
  name: "memory",
  about,
  example: "--only idle --rounds 3",
  choices: Object.keys(PARTS),
  defaults: { transport: "wire", connections: [64], rounds: 3, seconds: 10, slices: 12, warm: 5 },
  async run(options) {
    for (const [name, part] of Object.entries(PARTS)) {
      if (!options.only.includes(name)) continue;
      const text = await inWorld(async (world, generator) => {
        await generator.load(USUAL);
        return part(world, generator, options);
      });
      process.stdout.write(`${text}\n\n`);
    }
  },
});

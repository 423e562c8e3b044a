import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { CONTENDERS, installPeers, WEIGHT, type Contender, type Running, type World } from "./contenders.ts";
import { decimals, figuresOf, type Figures } from "./figures.ts";
import { startGenerator, type Generator } from "./load/generator.ts";
import { writeJob } from "./load/job.ts";
import { chooseCpus, familyOf, type Child } from "./processes.ts";

export interface Plan {
  readonly names: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  /** 0: as fast as it goes. */
  readonly rate: number;
}

export interface Options extends Plan {
  readonly json: boolean;
}

export class UsageError extends Error {}

/** Reads the options that the commands share; `undefined` asks for the help. */
export function parseOptions(defaults: Plan): Options | undefined {
  const numbers = {
    rounds: { type: "string" },
    seconds: { type: "string" },
    connections: { type: "string" },
    rate: { type: "string" },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({
      options: { ...numbers, only: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    }));
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
  if (values.help) return undefined;
  const number = (name: keyof typeof numbers, byDefault: number, least: number): number => {
    const text = values[name];
    if (text === undefined) return byDefault;
    const value = Number(text);
    if (!(value >= least)) throw new UsageError(`--${name}: expected a number of at least ${least}, got ${JSON.stringify(text)}`);
    return value;
  };
  const names = values.only?.split(",") ?? defaults.names;
  for (const name of names) {
    if (!CONTENDERS.some((contender) => contender.name === name)) {
      throw new UsageError(
        `--only: there is no ${JSON.stringify(name)}; there are ${CONTENDERS.map((contender) => contender.name).join(", ")}`,
      );
    }
  }
  return {
    names,
    rounds: number("rounds", defaults.rounds, 1),
    seconds: number("seconds", defaults.seconds, 0.2),
    connections: number("connections", defaults.connections, 1),
    rate: number("rate", defaults.rate, 0),
    json: values.json ?? false,
  };
}

export type Results = ReadonlyMap<string, readonly Figures[]>;

interface Entrant {
  readonly contender: Contender;
  readonly running: Running;
  readonly rounds: Figures[];
}

/** Runs `work` with a load generator and a place for files and processes, all of which are gone afterwards, also after a failure. */
export async function inWorld<T>(say: (line: string) => void, work: (world: World, generator: Generator) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(path.join(tmpdir(), "crossfade-bench-"));
  const children: Child[] = [];
  const tidy = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.stop()));
    await rm(directory, { recursive: true, force: true });
  };
  const interrupted = (): void => void tidy().then(() => process.exit(130));
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    const cpus = chooseCpus();
    say(
      cpus.proxy === undefined
        ? "Processes are not pinned to CPUs (needs taskset and two CPUs): expect more noise."
        : `Proxies on CPU ${cpus.proxy}, load and upstreams on CPU ${cpus.load}.`,
    );
    const generator = await startGenerator(await writeJob(directory), cpus.load, children);
    if (generator.note !== undefined) say(generator.note);
    const { stablePort, candidatePort } = generator;
    return await work({ directory, stablePort, candidatePort, cpu: cpus.proxy, children }, generator);
  } finally {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
    await tidy();
  }
}

/**
 * Starts everybody at once and measures them in turn, round after round, each alone with the load: what else the machine
 * does falls on all of them.
 */
export async function measure(plan: Plan, say: (line: string) => void): Promise<Results> {
  return inWorld(say, (world, generator) => measureIn(world, generator, plan, say));
}

async function measureIn(world: World, generator: Generator, plan: Plan, say: (line: string) => void): Promise<Results> {
  const chosen = CONTENDERS.filter((contender) => plan.names.includes(contender.name));
  if (chosen.some((contender) => contender.lacks()?.includes("npm --prefix bench"))) {
    const failure = installPeers();
    if (failure !== undefined) say(`The other Node proxies could not be installed: ${failure}`);
  }
  const entrants: Entrant[] = [];
  for (const contender of chosen) {
    const lacking = contender.lacks();
    if (lacking !== undefined) {
      say(`${contender.name} is left out: ${lacking}`);
      continue;
    }
    try {
      const running = await contender.start(world);
      entrants.push({ contender, running, rounds: [] });
    } catch (error) {
      process.exitCode = 1;
      say(`${contender.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  const loadOf = ({ running }: Entrant, measureMs: number, warmMs: number) => ({
    port: running.port,
    connections: plan.connections,
    rate: plan.rate,
    warmMs,
    measureMs,
    pids: running.child ? familyOf(running.child.pid) : [],
  });
  // Just-in-time compilers get their chance before anything counts.
  for (const entrant of entrants) if (entrant.running.child) await generator.run({ ...loadOf(entrant, 100, 5_000), rate: 0 });
  for (let round = 1; round <= plan.rounds; round++) {
    for (const entrant of entrants) {
      const figures = figuresOf(await generator.run(loadOf(entrant, plan.seconds * 1000, 300)), entrant.running.child !== undefined);
      entrant.rounds.push(figures);
      const { name } = entrant.contender;
      say(
        `round ${round}/${plan.rounds}  ${name.padEnd(18)}  ${decimals(figures.cpuUs, 1).padStart(7)} µs CPU  ${decimals(figures.perSecond, 0).padStart(7)} req/s`,
      );
      if (figures.errors > 0) say(`  ${name}: ${figures.errors} answers were not a whole 200`);
      if (entrant.running.child && Math.abs(figures.candidate - WEIGHT) > 8)
        say(`  ${name}: ${decimals(figures.candidate, 1)} % went to the candidate, ${WEIGHT} % were to`);
    }
  }
  return new Map(entrants.map(({ contender, rounds }) => [contender.name, rounds]));
}

/** Runs a command: help and mistakes to the right place, exit code 2 for wrong usage and 1 for failures. */
export async function command(usage: string, defaults: Plan, run: (options: Options) => Promise<void>): Promise<void> {
  try {
    const options = parseOptions(defaults);
    if (options === undefined) process.stdout.write(usage);
    else await run(options);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError) process.stderr.write(`\n${usage}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** Progress: on a terminal or not, it never mixes with the result. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

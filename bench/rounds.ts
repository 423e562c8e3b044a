import type { Contender, Running, World } from "./contenders/contender.ts";
import { installPeers } from "./contenders/peers.ts";
import { decimals, figuresOf, type Figures } from "./figures.ts";
import type { Generator, Load, Spreading } from "./load/generator.ts";
import { USUAL, type Job } from "./load/job.ts";
import { progress } from "./options.ts";
import { familyOf } from "./processes.ts";
import { inWorld } from "./world.ts";

/** Something to be measured in every round. */
export interface Case {
  /** Key of its results. */
  readonly name: string;
  readonly contender: Contender;
  readonly connections: number;
  /** Requests a second; 0: as fast as it goes. */
  readonly rate: number;
  /** Left out: the usual one. */
  readonly job?: Job;
  /** How the connections lie on the workers. Left out: nobody asks. */
  readonly spread?: Spreading;
  /** Load before each measurement, where bodies are so large that the usual time is not enough for a first answer. */
  readonly settleMs?: number;
  /** Of the proxy, where it is not to have the usual one. */
  readonly cpus?: string | undefined;
}

export interface Plan {
  readonly cases: readonly Case[];
  readonly rounds: number;
  readonly seconds: number;
  /** Seconds of load for each process before the first round. */
  readonly warm: number;
}

/** By the names of the cases; those that could not be measured are missing. */
export type Results = ReadonlyMap<string, readonly Figures[]>;

interface Entrant {
  readonly measured: Case;
  readonly running: Running;
  readonly rounds: Figures[];
}

/** Time that each gets to open its connections and to fill the caches again after the others. */
export const SETTLE_MS = 300;
/** Points of percent by which the share on the candidate may differ: there are few users. */
const SPLIT_TOLERANCE = 8;

/**
 * Starts everybody at once and measures them in turn, round after round, each alone with the load: what else the machine
 * does falls on all of them.
 */
export async function measure(plan: Plan): Promise<Results> {
  return inWorld((world, generator) => measureIn(world, generator, plan));
}

/** Several plans as one, so that their rounds are interleaved too; the cases may have the same names in each. */
export async function measureGroups(
  groups: ReadonlyMap<string, readonly Case[]>,
  plan: Omit<Plan, "cases">,
): Promise<ReadonlyMap<string, Results>> {
  const named = (group: string, name: string): string => `${name}, ${group}`;
  const cases = [...groups].flatMap(([group, each]) => each.map((measured) => ({ ...measured, name: named(group, measured.name) })));
  const results = await measure({ ...plan, cases });
  return new Map(
    [...groups].map(([group, each]) => {
      const own = each.flatMap(({ name }) => {
        const rounds = results.get(named(group, name));
        return rounds ? [[name, rounds] as const] : [];
      });
      return [group, new Map(own)];
    }),
  );
}

export function asJson(groups: ReadonlyMap<string, Results>): string {
  return `${JSON.stringify(Object.fromEntries([...groups].map(([group, results]) => [group, Object.fromEntries(results)])), undefined, 2)}\n`;
}

export async function measureIn(world: World, generator: Generator, plan: Plan): Promise<Results> {
  const started = await startAll(world, plan.cases);
  const entrants = plan.cases.flatMap((measured): Entrant[] => {
    const running = started.get(measured.contender);
    return running ? [{ measured, running, rounds: [] }] : [];
  });
  const warm = new Set<Running>();
  for (const { measured, running } of entrants) {
    if (plan.warm === 0 || running.child === undefined || warm.has(running)) continue;
    warm.add(running);
    await generator.load(measured.job ?? USUAL);
    await generator.run({
      ...loadOf(measured, running),
      connections: Math.min(64, measured.connections),
      rate: 0,
      warmMs: plan.warm * 1000,
      measureMs: 100,
    });
  }
  for (let round = 1; round <= plan.rounds; round++) {
    for (const { measured, running, rounds } of entrants) {
      await generator.load(measured.job ?? USUAL);
      const load = {
        ...loadOf(measured, running),
        warmMs: measured.settleMs ?? SETTLE_MS,
        measureMs: plan.seconds * 1000,
        ...(measured.spread !== undefined && { spread: measured.spread }),
      };
      const figures = figuresOf(await generator.run(load), running.child !== undefined);
      rounds.push(figures);
      tell(`round ${round}/${plan.rounds}`, measured, figures);
    }
  }
  return new Map(entrants.map(({ measured, rounds }) => [measured.name, rounds]));
}

async function startAll(world: World, cases: readonly Case[]): Promise<ReadonlyMap<Contender, Running>> {
  const chosen = new Map(cases.map((measured) => [measured.contender, measured]));
  const failure = installPeers([...chosen.keys()]);
  if (failure !== undefined) progress(`The other Node proxies could not be installed: ${failure}`);
  const started = new Map<Contender, Running>();
  for (const [contender, { cpus }] of chosen) {
    const lacking = contender.lacks();
    if (lacking !== undefined) {
      progress(`${contender.name} is left out: ${lacking}`);
      continue;
    }
    try {
      started.set(contender, await contender.start({ ...world, cpus: cpus ?? world.cpus }));
    } catch (error) {
      process.exitCode = 1;
      progress(`${contender.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return started;
}

function loadOf({ connections, rate }: Case, { port, child }: Running): Omit<Load, "warmMs" | "measureMs"> {
  return { port, connections, rate, pids: child ? familyOf(child.pid) : [] };
}

function tell(round: string, { name, contender }: Case, figures: Figures): void {
  const cpu = decimals(figures.cpuUs, 1).padStart(7);
  progress(`${round}  ${name.padEnd(28)}  ${cpu} µs CPU  ${decimals(figures.perSecond, 0).padStart(7)} req/s`);
  if (figures.errors > 0) progress(`  ${name}: ${figures.errors} answers were not a whole 200`);
  if (Math.abs(figures.candidate - contender.weight) > SPLIT_TOLERANCE)
    progress(`  ${name}: ${decimals(figures.candidate, 1)} % went to the candidate, ${contender.weight} % were to`);
}

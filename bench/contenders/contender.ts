import { findProgram, pinned, untilListening, type Child } from "../processes.ts";

/** Share of the users on the candidate, in percent: the same for everybody who splits. */
export const WEIGHT = 30;

/** Connections that everybody keeps to an upstream; the most that a bench loads with at once. */
export const UPSTREAM_CONNECTIONS = 1_024;

export interface World {
  /** For configuration files and logs; gone at the end. */
  readonly directory: string;
  readonly stablePort: number;
  readonly candidatePort: number;
  /** CPUs of the proxies, as taskset takes them; undefined: wherever the system likes. */
  readonly cpus: string | undefined;
  /** Whoever starts a process adds it here, so that it is stopped whatever happens. */
  readonly children: Child[];
}

export interface Running {
  readonly port: number;
  readonly child: Child | undefined;
  /** Where it can be looked at. */
  readonly adminPort?: number;
}

export interface Contender {
  readonly name: string;
  readonly what: string;
  /** Percent of the requests that are to reach the candidate. */
  readonly weight: number;
  /** What is missing for it to run and how to get it; undefined when nothing is. */
  lacks(): string | undefined;
  start(world: World): Promise<Running>;
}

/** `log`: a file that takes the standard output. */
export async function launch(world: World, name: string, port: number, command: readonly string[], log?: string): Promise<Running> {
  const child = pinned(command, { cpus: world.cpus, cwd: world.directory, log });
  world.children.push(child);
  await untilListening(port, child, name);
  return { port, child };
}

/** What to say where a program is not on the PATH; undefined when it is. */
export function lacksProgram(name: string, debianPackage: string): string | undefined {
  return findProgram(name) ? undefined : `${name} is not on the PATH. On Debian: apt install ${debianPackage}`;
}

export const DIRECT: Contender = {
  name: "direct",
  what: "no proxy at all: the load generator against its own upstream",
  weight: 0,
  lacks: () => undefined,
  start: async (world) => ({ port: world.stablePort, child: undefined }),
};

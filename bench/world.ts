import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { World } from "./contenders/contender.ts";
import { startGenerator, type Generator } from "./load/generator.ts";
import { progress } from "./options.ts";
import { chooseCpus, type Child, type Cpus } from "./processes.ts";

/** Runs `work` with a load generator and a place for files and processes, all of which are gone afterwards, also after a failure. */
export async function inWorld<T>(work: (world: World, generator: Generator, cpus: Cpus) => Promise<T>): Promise<T> {
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
    progress(
      cpus.proxy === undefined
        ? "Processes are not pinned to CPUs (needs taskset and two CPUs): expect more noise."
        : `Proxies on CPU ${cpus.proxy}, load and upstreams on CPU ${cpus.load}.`,
    );
    const generator = await startGenerator(directory, cpus.load, children);
    if (generator.note !== undefined) progress(generator.note);
    const { stablePort, candidatePort } = generator;
    return await work({ directory, stablePort, candidatePort, cpus: cpus.proxy, children }, generator, cpus);
  } finally {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
    await tidy();
  }
}

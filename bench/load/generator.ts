import { execFile } from "node:child_process";
import { mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { pinned, type Child } from "../processes.ts";
import type { JobFiles } from "./job.ts";

const run = promisify(execFile);
const SOURCES = ["generator.c", "latencies.h", "usage.h"].map((name) => path.join(import.meta.dirname, name));
const CACHE = path.join(import.meta.dirname, "../../.cache/bench");

export interface Load {
  readonly port: number;
  readonly connections: number;
  /** Requests a second at constant intervals; 0: every connection sends as soon as it has its answer. */
  readonly rate: number;
  readonly warmMs: number;
  readonly measureMs: number;
  /** Processes whose CPU time and memory are read. */
  readonly pids: readonly number[];
}

/** One run, as the generator prints it. Latencies in microseconds. */
export interface Measurement {
  readonly seconds: number;
  readonly answered: number;
  /** Answers that were not a whole 200, and lost connections. */
  readonly errors: number;
  /** Requests due or sent, and not answered when the run ended. */
  readonly waiting: number;
  readonly cpuUs: number;
  readonly generatorUs: number;
  readonly residentKb: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Requests that reached each upstream. */
  readonly served: readonly number[];
}

/** The far side of every proxy: upstreams and clients in a process of its own. */
export interface Generator {
  readonly stablePort: number;
  readonly candidatePort: number;
  /** How it differs from the native one, if it does. */
  readonly note: string | undefined;
  run(load: Load): Promise<Measurement>;
}

export async function startGenerator(job: JobFiles, cpu: number | undefined, children: Child[]): Promise<Generator> {
  const native = await compile();
  const command = native === undefined ? [process.execPath, path.join(import.meta.dirname, "generator-node.ts")] : [native];
  const child = pinned([...command, job.requests, job.answers], { cpu, input: true });
  children.push(child);
  const lines = createInterface(child.output)[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done) throw new Error(`the load generator stopped: ${child.said()}`);
    return JSON.parse(line.value);
  };
  const { upstreams } = (await next()) as { readonly upstreams: readonly number[] };
  return {
    stablePort: upstreams[0] ?? 0,
    candidatePort: upstreams[1] ?? 0,
    note:
      native === undefined
        ? "No C compiler found (cc): the load comes from Node, which costs several times as much and bounds the fast proxies. On Debian: apt install gcc libc6-dev"
        : undefined,
    async run(load) {
      const pids = load.pids.length > 0 ? load.pids.join(",") : "0";
      child.send(`run ${load.port} ${load.connections} ${load.rate} ${load.warmMs} ${load.measureMs} ${pids}\n`);
      return (await next()) as Measurement;
    },
  };
}

/** Path of the native generator, compiled when a source is newer; undefined without a compiler. */
async function compile(): Promise<string | undefined> {
  const binary = path.join(CACHE, "generator");
  const [built, ...sources] = await Promise.all([stat(binary).catch(() => undefined), ...SOURCES.map((file) => stat(file))]);
  if (built && sources.every((source) => built.mtimeMs > source.mtimeMs)) return binary;
  await mkdir(CACHE, { recursive: true });
  try {
    await run("cc", ["-O2", "-o", binary, SOURCES[0] ?? ""]);
    return binary;
  } catch {
    return undefined;
  }
}

import { execFile } from "node:child_process";
import { mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { pinned, type Child } from "../processes.ts";
import { writeJob, type Job } from "./job.ts";

const run = promisify(execFile);
const SOURCES = ["generator.c", "connections.h", "jobs.h", "latencies.h", "usage.h"].map((name) => path.join(import.meta.dirname, name));
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
  /** How the connections lie on the threads that serve them. Left out: nobody asks. */
  readonly spread?: Spreading;
}

/** `as-it-comes` only finds out; a number is the percentage of the connections on one thread of two, from 1 to 99. */
export type Spreading = "as-it-comes" | number;

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
  /** With the connections still open. */
  readonly residentKb: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Requests that reached each upstream. */
  readonly served: readonly number[];
  /** Connections on each thread; empty where nobody asked. */
  readonly spread: readonly number[];
}

export interface Hold {
  readonly port: number;
  readonly connections: number;
  /** Requests on each connection before it idles. */
  readonly requests: number;
  readonly settleMs: number;
  readonly pids: readonly number[];
}

/** What idle connections did to the memory. */
export interface Held {
  readonly opened: number;
  /** Connections that the other side closed. */
  readonly lost: number;
  readonly errors: number;
  readonly beforeKb: number;
  readonly afterKb: number;
}

/** The far side of every proxy: upstreams and clients in a process of its own. */
export interface Generator {
  readonly stablePort: number;
  readonly candidatePort: number;
  /** How it differs from the native one, if it does. */
  readonly note: string | undefined;
  /** Sends and answers this from now on; nothing is sent before the first. */
  load(job: Job): Promise<void>;
  run(load: Load): Promise<Measurement>;
  hold(hold: Hold): Promise<Held>;
}

/** `directory` takes the files of the jobs. */
export async function startGenerator(directory: string, cpus: string | undefined, children: Child[]): Promise<Generator> {
  const native = await compile();
  const command = native === undefined ? [process.execPath, path.join(import.meta.dirname, "generator-node.ts")] : [native];
  const child = pinned([...command, "2"], { cpus, input: true });
  children.push(child);
  const lines = createInterface(child.output)[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done) throw new Error(`the load generator stopped: ${child.said()}`);
    const answer: unknown = JSON.parse(line.value);
    if (typeof answer === "object" && answer !== null && "error" in answer) throw new Error(`the load generator: ${String(answer.error)}`);
    return answer;
  };
  const ask = (...words: readonly (string | number)[]): Promise<unknown> => {
    child.send(`${words.join(" ")}\n`);
    return next();
  };
  const list = (pids: readonly number[]): string => (pids.length > 0 ? pids.join(",") : "0");
  const { upstreams } = (await next()) as { readonly upstreams: readonly number[] };
  const written = new Map<Job, { readonly requests: string; readonly answers: string }>();
  return {
    stablePort: upstreams[0] ?? 0,
    candidatePort: upstreams[1] ?? 0,
    note:
      native === undefined
        ? "No C compiler found (cc): the load comes from Node, which costs several times as much and bounds the fast proxies. On Debian: apt install gcc libc6-dev"
        : undefined,
    async load(job) {
      const files = written.get(job) ?? (await writeJob(path.join(directory, `job-${written.size}`), job));
      written.set(job, files);
      await ask("load", files.requests, files.answers);
    },
    async run({ port, connections, rate, warmMs, measureMs, spread, pids }) {
      const share = spread === undefined ? -1 : spread === "as-it-comes" ? 0 : spread;
      return (await ask("run", port, connections, rate, Math.round(warmMs), Math.round(measureMs), share, list(pids))) as Measurement;
    },
    async hold({ port, connections, requests, settleMs, pids }) {
      return (await ask("hold", port, connections, requests, settleMs, list(pids))) as Held;
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

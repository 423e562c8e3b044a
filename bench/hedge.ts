import { mkdtemp, rm } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startServer } from "../src/app/server.ts";
import { formatProblems, parseConfig } from "../src/config/parse.ts";
import { createLog } from "../src/telemetry/log.ts";
import { decimals, table } from "./figures.ts";

const USAGE = `What a fallback and a hedge do for the clients of a slow candidate, and what they cost the stable arm.

Usage: node bench/hedge.ts [--rate 100] [--seconds 20] [--warm 3] [--median 60] [--p95 160] [--stable 40]

  --rate N     requests a second, sent when they are due whatever becomes of those before
  --seconds N  measured time of each row
  --warm N     seconds of the same load before
  --median N   of the candidate's latency in milliseconds, which is log-normal
  --p95 N      of the same
  --stable N   milliseconds that the stable arm takes

The same latencies in the same order for every row. "stable load" is what the stable arm was sent, in percent of the
requests, all of which are the candidate's.

Example: node bench/hedge.ts --seconds 60 --p95 250
`;

const ROWS: readonly (readonly [name: string, fallback: string])[] = [
  ["no fallback", "enabled: false"],
  ["fallback at 100 ms", "conditions: { response_time: 100ms }"],
  ["the same, hedge on", "conditions: { response_time: 100ms }, hedge: true"],
  ["hedge on, fallback at 1 s", "conditions: { response_time: 1s }, hedge: true"],
  ["the same with a budget of 100 %", "conditions: { response_time: 1s }, hedge: true, budget: 100%"],
];

interface Load {
  readonly rate: number;
  readonly seconds: number;
  readonly warm: number;
  readonly median: number;
  readonly p95: number;
  readonly stable: number;
}

interface Row {
  readonly ms: readonly number[];
  readonly failed: number;
  readonly stableSends: number;
  readonly candidateSends: number;
  readonly replaced: number;
  readonly openings: number;
}

/** Numbers from 0 up to 1 that are the same with each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function logNormal({ median, p95 }: Load): () => number {
  const random = seeded(1);
  const sigma = Math.log(p95 / median) / 1.644_853_6;
  return () => median * Math.exp(sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
}

interface Backend {
  readonly url: string;
  sends: number;
  close(): void;
}

async function startBackend(name: string, latency: () => number): Promise<Backend> {
  const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
    backend.sends++;
    req.resume();
    setTimeout(() => res.setHeader("content-type", "application/json").end(JSON.stringify({ by: name })), latency());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  const backend: Backend = { url: `http://127.0.0.1:${address.port}`, sends: 0, close };
  return backend;
}

interface Answered {
  readonly ms: number;
  readonly status: number;
  readonly servedBy: string;
}

function ask(port: number, agent: Agent, due: number): Promise<Answered> {
  return new Promise((resolve) => {
    const done = (status: number, servedBy: string): void => resolve({ ms: performance.now() - due, status, servedBy });
    const sent = request({ host: "127.0.0.1", port, path: "/api/match", headers: { "x-user-id": "bench" }, agent }, (answer) => {
      answer.resume();
      answer.on("error", () => done(0, ""));
      answer.on("end", () => done(answer.statusCode ?? 0, String(answer.headers["x-crossfade-served-by"])));
    });
    sent.on("error", () => done(0, ""));
    sent.end();
  });
}

/** Sends each request when it is due; its time counts from then on. */
async function sendAll(port: number, agent: Agent, rate: number, seconds: number): Promise<readonly Answered[]> {
  const answers: Promise<Answered>[] = [];
  const began = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(rate * seconds, Math.floor(((performance.now() - began) * rate) / 1000));
      while (answers.length < due) answers.push(ask(port, agent, began + ((answers.length + 1) * 1000) / rate));
      if (due < rate * seconds) return;
      clearInterval(timer);
      resolve();
    }, 2);
  });
  return Promise.all(answers);
}

function configOf(stable: Backend, candidate: Backend, fallback: string, stateDirectory: string): ReturnType<typeof parsedConfig> {
  return parsedConfig(`
listeners: [ { name: public, address: 127.0.0.1:0 } ]
admin: { address: 127.0.0.1:0 }
store: memory
workers: 1
state_directory: ${stateDirectory}
access_log: { enabled: false }
upstreams: { stable: { endpoints: [ "${stable.url}" ] }, candidate: { endpoints: [ "${candidate.url}" ] } }
routes:
  - { name: match, match: { path: /api/match }, stable: stable, candidate: { upstream: candidate }, flag: move, idempotent: true, timeout: 30s }
identity: [ "header:x-user-id" ]
flags: { move: { enabled: true, rollout_percentage: 100, fallback_system: { ${fallback} } } }
`);
}

function parsedConfig(text: string): Extract<ReturnType<typeof parseConfig>, { readonly config: unknown }>["config"] {
  const parsed = parseConfig(text, {});
  if ("problems" in parsed) throw new Error(formatProblems("the configuration of this bench", parsed.problems));
  return parsed.config;
}

async function measure(fallback: string, load: Load): Promise<Row> {
  const stateDirectory = await mkdtemp(join(tmpdir(), "crossfade-bench-"));
  const stable = await startBackend("stable", () => load.stable);
  const candidate = await startBackend("candidate", logNormal(load));
  const agent = new Agent({ keepAlive: true });
  const log = createLog("error", { log: "control" }, { write() {}, flush() {} });
  const server = await startServer({ config: configOf(stable, candidate, fallback, stateDirectory), log, version: "bench" });
  try {
    const port = server.listeners[0]?.port ?? 0;
    await sendAll(port, agent, load.rate, load.warm);
    stable.sends = candidate.sends = 0;
    const answers = await sendAll(port, agent, load.rate, load.seconds);
    return {
      ms: answers.map(({ ms }) => ms).toSorted((a, b) => a - b),
      failed: answers.filter(({ status }) => status !== 200).length,
      stableSends: stable.sends,
      candidateSends: candidate.sends,
      replaced: answers.filter(({ servedBy }) => servedBy === "stable").length,
      openings: server.control.status().breakers[0]?.openings ?? 0,
    };
  } finally {
    agent.destroy();
    await server.stop();
    stable.close();
    candidate.close();
    await rm(stateDirectory, { recursive: true, force: true });
  }
}

function quantile(sorted: readonly number[], share: number): string {
  return decimals(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN, 0);
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text !== "" && Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${name}: expected a number above 0, got ${JSON.stringify(text)}`);
}

function parseLoad(): Load | undefined {
  const { values } = parseArgs({
    options: {
      rate: { type: "string", default: "100" },
      seconds: { type: "string", default: "20" },
      warm: { type: "string", default: "3" },
      median: { type: "string", default: "60" },
      p95: { type: "string", default: "160" },
      stable: { type: "string", default: "40" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return undefined;
  const { rate, seconds, warm, median, p95, stable } = values;
  return {
    rate: numberOf("rate", rate),
    seconds: numberOf("seconds", seconds),
    warm: numberOf("warm", warm),
    median: numberOf("median", median),
    p95: numberOf("p95", p95),
    stable: numberOf("stable", stable),
  };
}

async function run(load: Load): Promise<void> {
  const rows = [["", "P50 ms", "P95 ms", "P99 ms", "stable load", "candidate load", "served by stable", "opened", "failed"]];
  for (const [name, fallback] of ROWS) {
    process.stderr.write(`${name} ...\n`);
    const row = await measure(fallback, load);
    const percent = (count: number): string => `${decimals((100 * count) / row.ms.length, 1)} %`;
    rows.push([
      name,
      quantile(row.ms, 0.5),
      quantile(row.ms, 0.95),
      quantile(row.ms, 0.99),
      percent(row.stableSends),
      percent(row.candidateSends),
      percent(row.replaced),
      String(row.openings),
      String(row.failed),
    ]);
  }
  process.stdout.write(`${table(rows)}\n`);
}

let load: Load | undefined;
try {
  load = parseLoad();
  if (load === undefined) process.stdout.write(USAGE);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}
if (load !== undefined) await run(load);

import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { Config } from "../src/config/config.ts";
import { parseConfig } from "../src/config/parse.ts";
import { createProxy } from "../src/proxy/proxy.ts";
import { createAccessLog } from "../src/telemetry/access-log.ts";
import { openLines } from "../src/telemetry/line-writer.ts";
import { allocateMeters, createMeters } from "../src/telemetry/worker-meters.ts";
import { createTransport } from "../src/transport/create.ts";
import { decimals, table } from "./figures.ts";
import { wholeNumber } from "./whole-number.ts";

const DEADLINE_MS = 100;
const STABLE_MS = 40;
const NAMES = ["none", "hang", "500", "sign", "reset"] as const;
type Fault = (typeof NAMES)[number];
const ENGINES = ["wire", "node"] as const;
type Engine = (typeof ENGINES)[number];

const USAGE = `What a fallback costs a client: time beyond the deadline (response_time, ${DEADLINE_MS} ms) and the stable backend's own time.

Usage: node bench/faults.ts [--requests 200] [--rate 20] [--only hang,500]

  none   users of the stable arm: what proxy, client and sockets cost without any fault
  hang   the candidate never answers: the deadline, then the stable backend
  500    it answers 500 at once
  sign   it answers 200 at once, with success false
  reset  it breaks the connection off when it has read the request

Requests fall due at constant intervals whatever the answers do. The stable backend takes ${STABLE_MS} ms; what it really took
is measured in it, for each request, and taken off. The proxy has a thread of its own; breaker and budget are off.

Example: node bench/faults.ts --requests 1000 --rate 50
`;

interface Start {
  readonly engine: Engine;
  readonly stable: number;
  readonly candidate: number;
}

function configOf({ engine, stable, candidate }: Start): Config {
  const route = (name: Fault): string =>
    `  - { name: r-${name}, match: { path: /${name} }, stable: v1, candidate: v2, flag: ${name === "none" ? "nobody" : "everybody"}, idempotent: true }`;
  const flag = (percentage: number): string =>
    `{ enabled: true, rollout_percentage: ${percentage}, fallback_system: { enabled: true, breaker: off, conditions: { response_time: ${DEADLINE_MS}ms } } }`;
  const parsed = parseConfig(
    `
listeners: [{ name: public, address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
store: memory
transport: ${engine}
upstreams:
  v1: { endpoints: ["http://127.0.0.1:${stable}"] }
  v2: { endpoints: ["http://127.0.0.1:${candidate}"], signs: { enabled: [not-json, success-false], paths: { success: /success } } }
identity: [header:x-user-id]
routes:
${NAMES.map(route).join("\n")}
flags:
  everybody: ${flag(100)}
  nobody: ${flag(0)}
`,
    {},
  );
  if ("problems" in parsed) throw new Error(parsed.problems.map((p) => `${p.path}: ${p.message}`).join("\n"));
  return parsed.config;
}

/** The proxy, in its thread. */
async function serve(start: Start): Promise<void> {
  const config = configOf(start);
  const transport = createTransport(config);
  const proxy = createProxy({
    config,
    transport,
    meters: createMeters(config, allocateMeters(config)),
    accessLog: createAccessLog({ enabled: true, lines: openLines("/dev/null") }),
    secret: Buffer.alloc(32, 7),
    kills: new Int32Array(new SharedArrayBuffer(4 * config.flags.length)),
    onProgress() {},
  });
  const listener = { name: "public", host: "127.0.0.1", port: 0, reusePort: false, tls: undefined };
  parentPort?.postMessage(await transport.listen(listener, proxy.accept));
}

const ANSWER = JSON.stringify({ success: true, by: "stable", filler: "x".repeat(1_000) });
/** What the stable backend took for each request, by its number. */
const ownMs = new Map<string, number>();

function answerStable(req: IncomingMessage, res: ServerResponse): void {
  const began = performance.now();
  req.resume().on("end", () =>
    setTimeout(() => {
      send(res, 200, ANSWER);
      ownMs.set(String(req.headers["x-number"]), performance.now() - began);
    }, STABLE_MS),
  );
}

function answerCandidate(req: IncomingMessage, res: ServerResponse): void {
  req.resume().on("end", () => {
    if (req.url === "/500") send(res, 500, "{}");
    else if (req.url === "/sign") send(res, 200, ANSWER.replace("true", "false"));
    else if (req.url === "/reset") req.socket.resetAndDestroy();
  });
}

function send(res: ServerResponse, status: number, text: string): void {
  res.writeHead(status, { "content-type": "application/json", "content-length": text.length });
  res.end(text);
}

async function listen(answer: (req: IncomingMessage, res: ServerResponse) => void): Promise<number> {
  const server = createServer({ keepAliveTimeout: 60_000 }, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // It listens on a port, not on a path.
  return (server.address() as AddressInfo).port;
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const BODY = JSON.stringify({ offers: [{ id: 1 }], filler: "y".repeat(1_000) });
let number = 0;

/** Milliseconds beyond the deadline and the stable backend's own time; undefined: the answer was not the stable one, whole. */
function ask(port: number, fault: Fault): Promise<number | undefined> {
  const id = String(++number);
  const began = performance.now();
  return new Promise((resolve) => {
    const headers = { "content-type": "application/json", "content-length": BODY.length, "x-user-id": `u${id}`, "x-number": id };
    const req = request({ host: "127.0.0.1", port, path: `/${fault}`, method: "POST", agent, headers }, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      res.on("error", () => resolve(undefined));
      res.on("end", () => {
        const took = performance.now() - began;
        const own = ownMs.get(id);
        ownMs.delete(id);
        if (text !== ANSWER || own === undefined) resolve(undefined);
        else resolve(took - own - (fault === "hang" ? DEADLINE_MS : 0));
      });
    });
    req.on("error", () => resolve(undefined));
    req.end(BODY);
  });
}

async function measure(port: number, fault: Fault, requests: number, rate: number): Promise<readonly (number | undefined)[]> {
  const began = performance.now();
  const asked: Promise<number | undefined>[] = [];
  for (let i = 0; i < requests; i++) {
    const due = began + (i * 1_000) / rate;
    await sleep(Math.max(0, due - performance.now()));
    asked.push(ask(port, fault));
  }
  return Promise.all(asked);
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Requests to each before it is measured, for connections and just-in-time compilers. */
const WARM = 40;

async function report(faults: readonly Fault[], requests: number, rate: number): Promise<void> {
  const [stable, candidate] = await Promise.all([listen(answerStable), listen(answerCandidate)]);
  const rows = [["added, ms", "p50", "p99", "max", "requests", "wrong"]];
  for (const engine of ENGINES) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { engine, stable, candidate } satisfies Start });
    const port = await new Promise<number>((resolve, reject) => worker.once("message", resolve).once("error", reject));
    for (const fault of faults) {
      await measure(port, fault, WARM, 100);
      const added = await measure(port, fault, requests, rate);
      const sorted = added.filter((ms) => ms !== undefined).toSorted((a, b) => a - b);
      const figures = [quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1) ?? Number.NaN].map((ms) => decimals(ms, 2));
      rows.push([`${fault}, ${engine}`, ...figures, String(requests), String(requests - sorted.length)]);
    }
    await worker.terminate();
  }
  process.stdout.write(`${table(rows)}\n(beyond the deadline, where it is waited for, and the stable backend's own time)\n`);
  process.exit();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      requests: { type: "string", default: "200" },
      rate: { type: "string", default: "20" },
      only: { type: "string", default: NAMES.join(",") },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const wanted = values.only.split(",");
  const unknown = wanted.find((name) => !NAMES.some((known) => known === name));
  if (unknown !== undefined) throw new Error(`--only: there is no ${JSON.stringify(unknown)}; there are ${NAMES.join(", ")}`);
  const faults = NAMES.filter((name) => wanted.includes(name));
  await report(faults, wholeNumber("requests", values.requests), wholeNumber("rate", values.rate));
}

try {
  // What this file itself gives its thread.
  if (isMainThread) await main();
  else await serve(workerData as Start);
} catch (error) {
  if (!isMainThread) throw error;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

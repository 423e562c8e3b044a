import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createPeople } from "../../src/demo/people.ts";
import { MATCH_PATH, SEGMENT_VALUES } from "../../src/demo/settings.ts";
import type { Simulator } from "../../src/demo/simulators/simulator.ts";
import { startSimulator } from "../../src/demo/simulators/simulator.ts";
import { Traffic } from "../../src/demo/traffic.ts";
import type { LogLine } from "./app.ts";
import { ask, type Reply, type Scope, until } from "./backend.ts";
import { runProgram } from "./program.ts";
import { type PrometheusServer, startPrometheus } from "./prometheus.ts";
import { type RedisServer, startRedis } from "./redis.ts";

/** The whole of it: config/supersmartmatch.yaml with simulated services, Redis, traffic, and a Prometheus that watches. */
export interface Monitored {
  /** Where requests are taken. */
  readonly port: number;
  readonly prometheus: PrometheusServer;
  readonly redis: RedisServer;
  readonly v1: Simulator;
  readonly v2: Simulator;
  /** Asks the admin API. */
  admin(path: string, body?: unknown): Promise<Reply>;
}

const SHARE = 50;
/** A machine that does many other things besides starts a program slowly. */
const START_MS = 60_000;
const PER_SECOND = 40;
const PEOPLE = 200;
/** Answers soon and steadily: what is slow here is the machine. */
const QUICK = { latencyMs: 5, jitter: 0 };
export async function startMonitored(scope: Scope, { hasten }: { readonly hasten: number }): Promise<Monitored> {
  const redis = await startRedis();
  scope.teardown(() => redis.stop());
  const v1 = await simulator(scope, "v1");
  const v2 = await simulator(scope, "v2");
  const nexten = await simulator(scope, "nexten");
  const given: Readonly<Record<string, string>> = {
    CROSSFADE_LISTEN: "127.0.0.1:0",
    CROSSFADE_ADMIN: "127.0.0.1:0",
    CROSSFADE_STORE: redis.url,
    V1_URL: v1.url,
    V2_URL: v2.url,
    NEXTEN_URL: nexten.url,
  };
  const file = await readFile(join(import.meta.dirname, "../../config/supersmartmatch.yaml"), "utf8");
  const text = file
    .replaceAll(/\$\{(\w+):-[^}]*\}/g, (whole, name: string) => given[name] ?? whole)
    .replaceAll(/health: \{ path: (\S+) \}/g, "health: { path: $1, interval: 500ms, timeout: 2s }")
    .replace("rollout_percentage: 0", `rollout_percentage: ${SHARE}`)
    // A machine that is busy with other things is no slow candidate.
    .replace("response_time: 100ms", "response_time: 2s");
  const { lines } = await runProgram(scope, `${text}\nworkers: 1\n`);
  const serving = (): LogLine | undefined => lines.find(({ msg }) => msg === "serving");
  await until("the proxy serves", () => serving() !== undefined, START_MS);
  const port = portIn(serving()?.["listeners"]);
  const adminPort = portIn(serving()?.["admin"]);
  const prometheus = await startPrometheus(scope, { instances: [adminPort], hasten });
  traffic(scope, port);
  return {
    port,
    prometheus,
    redis,
    v1,
    v2,
    async admin(path, body) {
      const headers = { "content-type": "application/json" };
      return ask(adminPort, body === undefined ? { path } : { path, method: "POST", headers, body: JSON.stringify(body) });
    },
  };
}

function portIn(place: unknown): number {
  return Number(/:(\d+)$/.exec(String(place))?.[1]);
}

async function simulator(scope: Scope, kind: "v1" | "v2" | "nexten"): Promise<Simulator> {
  const started = await startSimulator(kind, { behaviour: QUICK });
  scope.teardown(() => started.close());
  return started;
}

/** Until the test ends. */
function traffic(scope: Scope, port: number): void {
  const origin = `http://127.0.0.1:${port}`;
  const people = createPeople(PEOPLE);
  const running = new Traffic({
    origin,
    path: MATCH_PATH,
    people,
    rate: PER_SECOND,
    segmentOf: (value) => SEGMENT_VALUES[value] ?? "none",
  });
  scope.teardown(() => running.stop());
}

/** Resolves once an expression gives something. */
export async function seen(prometheus: PrometheusServer, expr: string, limitMs = 60_000): Promise<void> {
  await until(expr, async () => (await prometheus.query(expr)).length > 0 || delay(200, false), limitMs);
}

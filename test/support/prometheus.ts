import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { temporaryDirectory } from "./app.ts";
import { type Scope, until } from "./backend.ts";
import { filesIn, hastened, PROMETHEUS } from "./rules.ts";

/** A real Prometheus, where one is installed. */
export const WITHOUT_PROMETHEUS: string | false =
  spawnSync("prometheus", ["--version"]).status === 0 ? false : "prometheus is not installed (package prometheus)";

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface PrometheusServer {
  readonly url: string;
  /** The series that an expression gives now; rejects with Prometheus's own words when it is none. */
  query(expr: string): Promise<readonly Series[]>;
  /** Names of the alerts that fire, each once, sorted. */
  firing(): Promise<readonly string[]>;
  /** Of every alert that fires: what it says. */
  said(): Promise<readonly string[]>;
}

interface Setup {
  /** Admin ports of the instances. */
  readonly instances: readonly number[];
  /** By how much every `for` of the rules is divided. */
  readonly hasten: number;
}

/** It is given time: the machine may be busy. */
const START_MS = 60_000;

/** Scrapes every second, with the rules of config/prometheus. Ends with the test. */
export async function startPrometheus(scope: Scope, { instances, hasten }: Setup): Promise<PrometheusServer> {
  const folder = await temporaryDirectory(scope);
  await mkdir(join(folder, "rules"));
  for (const file of filesIn("rules")) {
    await writeFile(join(folder, "rules", file), hastened(await readFile(join(PROMETHEUS, "rules", file), "utf8"), hasten));
  }
  const targets = instances.map((port) => `127.0.0.1:${port}`);
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: ["rules/*.yml"],
    scrape_configs: [{ job_name: "crossfade", static_configs: [{ targets }] }],
  };
  await writeFile(join(folder, "prometheus.json"), JSON.stringify(config));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ["--config.file=prometheus.json", "--storage.tsdb.path=data", `--web.listen-address=127.0.0.1:${port}`, "--log.level=warn"];
  const child = spawn("prometheus", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  scope.teardown(() => end(child));
  await until(
    "Prometheus is ready",
    async () => {
      if (child.exitCode !== null) throw new Error(`prometheus ended at once: ${said}`);
      return fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    },
    START_MS,
  );
  return {
    url,
    async query(expr) {
      const answer: unknown = await (await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`)).json();
      const { status, error, data } = answer as QueryAnswer; // Prometheus's API, as it is documented.
      if (status !== "success" || data === undefined) throw new Error(`${expr}: ${error}`);
      return data.resultType === "vector" ? data.result : [];
    },
    async firing() {
      return [...new Set((await alerts(url)).map(({ labels }) => labels["alertname"] ?? ""))].toSorted();
    },
    async said() {
      return (await alerts(url)).flatMap(({ annotations }) => Object.values(annotations));
    },
  };
}

interface QueryAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data?: { readonly resultType: string; readonly result: readonly Series[] };
}

interface AlertsAnswer {
  readonly data: {
    readonly alerts: readonly {
      readonly state: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  };
}

async function alerts(url: string): Promise<AlertsAnswer["data"]["alerts"]> {
  const answer: unknown = await (await fetch(`${url}/api/v1/alerts`)).json();
  const { data } = answer as AlertsAnswer; // Prometheus's API, as it is documented.
  return data.alerts.filter(({ state }) => state === "firing");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server that listens has an address and a port
  server.close();
  await once(server, "close");
  return port;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

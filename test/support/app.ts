import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, type ServerOptions, startServer } from "../../src/app/server.ts";
import type { Config } from "../../src/config/config.ts";
import { formatProblems, parseConfig } from "../../src/config/parse.ts";
import { createLog, type Log } from "../../src/telemetry/log.ts";
import type { Scope } from "./backend.ts";

export async function temporaryDirectory(scope: Scope): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "crossfade-"));
  scope.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface Setup {
  readonly stable: string;
  readonly candidate: string;
  readonly percentage?: number;
  readonly workers?: number;
  readonly port?: number;
  readonly adminPort?: number;
  readonly store?: string;
  /** Further top-level lines of the file. */
  readonly more?: string;
}

export function configText({
  stable,
  candidate,
  percentage = 0,
  workers = 2,
  port = 0,
  adminPort = 0,
  store = "memory",
  more = "",
}: Setup): string {
  return `
listeners: [ { name: public, address: 127.0.0.1:${port} } ]
admin: { address: 127.0.0.1:${adminPort} }
store: ${store}
workers: ${workers}
access_log: { enabled: false }
upstreams:
  old: { endpoints: [ "${stable}" ], health: { path: /health } }
  new: { endpoints: [ "${candidate}" ] }
routes:
  - { name: match, match: { path: /api/match }, stable: old, candidate: { upstream: new }, flag: move, idempotent: true, timeout: 5s }
identity: [ "header:x-user-id" ]
flags:
  move: { enabled: true, rollout_percentage: ${percentage}, fallback_system: { conditions: { response_time: 3s } } }
${more}
`;
}

export function configOf(text: string): Config {
  const parsed = parseConfig(text, {});
  if ("problems" in parsed) throw new Error(formatProblems("the configuration of this test", parsed.problems));
  return parsed.config;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A log that a test can read. */
export function collectedLog(): { readonly log: Log; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line));
  const log = createLog("info", { log: "control" }, { write, flush() {} });
  return { log, lines };
}

export interface App extends RunningServer {
  readonly port: number;
  readonly lines: readonly LogLine[];
}

export async function startApp(scope: Scope, config: Config, options: Partial<ServerOptions> = {}): Promise<App> {
  const { log, lines } = collectedLog();
  const stateDirectory = await temporaryDirectory(scope);
  const server = await startServer({ config: { ...config, stateDirectory }, log, version: "0.0.0", ...options });
  scope.teardown(() => server.stop());
  return { ...server, port: server.listeners[0]?.port ?? 0, lines };
}

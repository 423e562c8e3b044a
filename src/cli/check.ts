import { availableParallelism } from "node:os";
import type { Command } from "commander";
import type { Config, Flag, Route, RouteAction, Store, Target } from "../config/config.ts";
import type { Channel } from "../config/config-told.ts";
import { formatDuration, formatShare } from "../core/quantity.ts";
import { chooseConfigFile, readConfigFile } from "./config-file.ts";
import { Failed, InvalidFile } from "./failed.ts";
import { bold, good, print, remark, table } from "./output.ts";

interface CheckOptions {
  readonly config?: string;
  readonly json?: boolean;
}

export function addCheck(program: Command): void {
  program
    .command("check")
    .description("check a configuration file: every problem with its place, or what the file means")
    .option("--config <file>", "configuration file (default: ./crossfade.yaml)")
    .option("--json", "print JSON")
    .showHelpAfterError("The file is given with --config FILE; --help shows the rest.")
    .addHelpText("after", "\nExample:\n  crossfade check --config crossfade.yaml")
    .action(check);
}

async function check(options: CheckOptions): Promise<void> {
  const file = chooseConfigFile(options.config);
  const { config, warnings } = await readConfigFile(file).catch((error: unknown) => {
    // Here the problems are what was asked for, and not the reason why something else failed.
    if (error instanceof InvalidFile && !options.json) {
      print(error.message);
      throw new Failed(`${file} cannot be used`, error.json, error);
    }
    throw error;
  });
  const { loadDialects } = await import("../dialects/registry.ts");
  await loadDialects(config.dialects).catch((error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    throw new Failed(`${file} cannot be used:\n${message}`, { file, valid: false, detail: message }, error);
  });
  if (options.json) return print(JSON.stringify({ file, valid: true, problems: [], warnings }, null, 2));
  print(good(`${file} is valid`), ...describeConfig(config));
  if (warnings.length === 0) return;
  const { formatProblems } = await import("../config/parse.ts");
  remark(`\nWarnings\n${formatProblems(file, warnings)}`);
}

function describeConfig(config: Config): string[] {
  const { admin, workers, statusPage, notifications } = config;
  return [
    ...config.listeners.map(({ name, host, port, tls }) => row(name, `${tls === undefined ? "" : "https://"}${address(host, port)}`)),
    row("admin", `${address(admin.host, admin.port)}${admin.token === undefined ? ", without a token" : ", with a token"}`),
    row(
      "status page",
      statusPage.address === undefined ? "at /status of the admin address" : address(statusPage.address.host, statusPage.address.port),
    ),
    row("people told", describeChannels(notifications.channels)),
    row("store", describeStore(config.store)),
    row("workers", workers === 0 ? `one per core, ${availableParallelism()} on this machine` : String(workers)),
    row("state kept", `in ${config.stateDirectory}`),
    ...section("Routes, the first that matches", [
      ["NAME", "METHODS", "PATH", "CLIENTS SPEAK", "GOES TO"],
      ...config.routes.map(({ name, match, action, dialect }) => [
        name,
        match.methods.join(",") || "any",
        match.prefix ? `${match.path.replace(/\/$/, "")}/**` : match.path,
        dialect ?? "-",
        describeAction(action),
      ]),
    ]),
    ...section("Upstreams", [
      ["NAME", "SPEAKS", "ENDPOINTS", "HEALTH CHECK"],
      ...config.upstreams.map(({ name, endpoints, health, dialect }) => [
        name,
        dialect ?? "-",
        endpoints.map(({ origin }) => origin).join(", "),
        health === undefined ? "none" : `${health.path} every ${formatDuration(health.intervalMs)}`,
      ]),
    ]),
    ...config.flags.flatMap((flag) => describeFlag(flag, config.routes)),
  ];
}

function describeFlag({ name, settings }: Flag, routes: readonly Route[]): string[] {
  const { enabled, killSwitch, weightBp, segments, fallback } = settings;
  const state = killSwitch
    ? "killed"
    : enabled
      ? `${formatShare(weightBp)} % of the users on the candidate`
      : "disabled: everybody on the stable arm";
  const conditions = `to the stable arm after ${formatDuration(fallback.responseTimeMs)}, on an error or a failure sign, or on a quality below ${formatShare(fallback.accuracyBp)} %`;
  const hedge = fallback.hedge ? "; with a hedge" : "";
  const bound =
    fallback.breaker === "off" ? "no budget and no breaker" : `budget ${formatShare(fallback.budgetBp)} %, breaker ${fallback.breaker}`;
  return [
    "",
    bold(`Flag ${name}`),
    row("rollout", state),
    ...segments.map((segment) => row(segment.name, `${segment.override ? "" : "at most "}${formatShare(segment.weightBp)} %`)),
    row("fallback", fallback.enabled ? conditions : "off"),
    ...(fallback.enabled ? [row("", bound + hedge)] : []),
    ...(fallback.enabled ? describeUnrepeatable(name, routes) : []),
  ];
}

/** Without leave to send a request twice most of the fallback does not happen, which the line above must not hide. */
function describeUnrepeatable(flag: string, routes: readonly Route[]): string[] {
  const names = routes.filter(({ action, idempotent }) => action.kind === "split" && action.flag === flag && !idempotent);
  if (names.length === 0) return [];
  return [
    row(
      "",
      `but on ${names.map(({ name }) => name).join(", ")}, without idempotent: true, only if no connection comes about, or with an Idempotency-Key`,
    ),
  ];
}

function describeAction(action: RouteAction): string {
  switch (action.kind) {
    case "split": {
      const stable = [action.stable, ...action.stableFor.map(({ target }) => target)].map(describeTarget).join(" (or ");
      return `${stable}${")".repeat(action.stableFor.length)} or ${describeTarget(action.candidate)}, by ${action.flag}`;
    }
    case "forward":
      return describeTarget(action.target);
    case "respond":
      return `answers ${action.status} itself`;
  }
}

function describeTarget({ upstream, path }: Target): string {
  return path === undefined ? upstream : `${upstream} at ${path}`;
}

/** Those that are on: which variables were empty is seen here before anybody waits for a message. */
function describeChannels(channels: readonly Channel[]): string {
  if (channels.length === 0) return "nobody: no channel has an address";
  return `by ${channels.map(({ name, kind }) => `${name} (${kind})`).join(", ")}`;
}

function describeStore(store: Store): string {
  switch (store.kind) {
    case "memory":
      return "memory: settings live in this process, and on its disk";
    case "redis":
      return maskUrl(store.url);
    case "sentinel":
      return `redis master ${store.master} by the sentinels ${store.sentinels.map(({ host, port }) => address(host, port)).join(", ")}`;
  }
}

/** The URL of a store without its password. */
function maskUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) return "redis";
  if (url.password !== "") url.password = "***";
  for (const name of url.searchParams.keys()) if (/pass/i.test(name)) url.searchParams.set(name, "***");
  return url.href;
}

function section(title: string, rows: readonly (readonly string[])[]): string[] {
  return rows.length === 1 ? [] : ["", bold(title), ...table(rows)];
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(13)} ${text}`;
}

function address(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

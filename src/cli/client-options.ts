import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../core/quantity.ts";
import { parseFlagList } from "./answers.ts";
import { type AdminTarget, ask } from "./client.ts";
import { readConfig } from "./config-file.ts";
import { WrongUsage } from "./failed.ts";

/** Options of every command that talks to a running instance. */
export interface ClientOptions {
  readonly admin?: string;
  readonly token?: string;
  readonly config?: string;
  readonly flag?: string;
  readonly json?: boolean;
  readonly timeout: number;
}

const DEFAULT_URL = "http://127.0.0.1:9090";

export function addClientOptions(command: Command): Command {
  return command
    .option("--admin <url>", `admin API of a running instance (default: that of --config, else $CROSSFADE_ADMIN_URL, else ${DEFAULT_URL})`)
    .option("--token <token>", "its bearer token (default: $CROSSFADE_ADMIN_TOKEN, else that of --config)")
    .option("--config <file>", "take the admin address from this configuration file")
    .addOption(new Option("--timeout <duration>", "how long to wait for an answer").argParser(parseDurationOption).default(5_000, "5s"))
    .option("--json", "print JSON");
}

export function addFlagOption(command: Command): Command {
  return command.option("--flag <name>", "which flag (default: the only one)");
}

/** For options and arguments that are durations: milliseconds, or wrong usage. */
export function parseDurationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("It is not a duration such as 500ms, 5s or 1m.");
  return ms;
}

/** Where the admin API is, by options, configuration file and environment. */
export async function chooseTarget(options: ClientOptions): Promise<AdminTarget> {
  const config = options.config === undefined ? undefined : await readConfig(options.config);
  const configured = config && adminUrl(config.admin.host, config.admin.port);
  const text = options.admin ?? configured ?? (process.env.CROSSFADE_ADMIN_URL || DEFAULT_URL);
  // The file's token belongs to the file's address, and is not for whoever answers at another.
  const configuredToken = options.admin === undefined ? config?.admin.token : undefined;
  return {
    url: parseUrl(text),
    token: options.token ?? (process.env.CROSSFADE_ADMIN_TOKEN || configuredToken),
    timeoutMs: options.timeout,
  };
}

/** The path of the flag that is meant. */
export async function chooseFlag(target: AdminTarget, name: string | undefined): Promise<string> {
  if (name !== undefined) return flagPath(name);
  const flags = parseFlagList((await ask(target, "/api/flags")).value).map(({ flag }) => flag);
  const [only, ...others] = flags;
  if (only === undefined) throw new WrongUsage("The configuration has no flags.");
  if (others.length > 0) throw new WrongUsage(`Say which flag with --flag: ${flags.join(", ")}.`);
  return flagPath(only);
}

function flagPath(name: string): string {
  return `/api/flags/${encodeURIComponent(name)}`;
}

function parseUrl(text: string): URL {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new WrongUsage(`${JSON.stringify(text)} is not the address of an admin API, such as ${DEFAULT_URL}.`);
}

/** Where an admin API bound to `host` can be reached from this machine. */
function adminUrl(host: string, port: number): string {
  if (host === "0.0.0.0") return `http://127.0.0.1:${port}`;
  if (host === "::") return `http://[::1]:${port}`;
  return host.includes(":") ? `http://[${host}]:${port}` : `http://${host}:${port}`;
}

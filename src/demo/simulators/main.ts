import { parseArgs } from "node:util";
import { startMailSink } from "./mail.ts";
import { SIMULATOR_KINDS, type SimulatorKind } from "./service.ts";
import { SERVICES, startSimulator } from "./simulator.ts";
import { startSlackSink } from "./slack.ts";

/** Stand-ins for those who are told of things. */
const SINK_KINDS = ["mail", "slack"] as const;
type SinkKind = (typeof SINK_KINDS)[number];
const KINDS = [...SIMULATOR_KINDS, ...SINK_KINDS];
const SINK_PORTS: Readonly<Record<SinkKind, number>> = { mail: 2525, slack: 9096 };
const MAIL_PAGE_PORT = 8025;

const USAGE = `One simulated backend as a process of its own, or a stand-in for mail or Slack that shows what it was told.

Usage: node main.js <${KINDS.join("|")}> [--port N] [--host ADDRESS] [--seed N] [--http-port N]

  --port       default: ${SIMULATOR_KINDS.map((kind) => `${kind} ${SERVICES[kind].defaultPort}`).join(", ")}, mail ${SINK_PORTS.mail} (SMTP), slack ${SINK_PORTS.slack}
  --host       default: 127.0.0.1
  --seed       of latencies and errors; default 1
  --http-port  where mail shows what it was sent, at / and /messages; default ${MAIL_PAGE_PORT}

Example: node main.js v2 --port 5070
Break it while it runs: curl -d '{"fault":"hang"}' http://127.0.0.1:5070/_sim
`;

class UsageError extends Error {}

interface Arguments {
  readonly kind: SimulatorKind | SinkKind;
  readonly host: string;
  readonly port: number;
  readonly seed: number;
  readonly httpPort: number;
}

function parseArguments(args: readonly string[]): Arguments | "help" {
  const { values, positionals } = readArguments(args);
  if (values.help) return "help";
  const kind = KINDS.find((name) => name === positionals[0]);
  if (kind === undefined || positionals.length > 1) {
    throw new UsageError(`expected one of ${KINDS.join(", ")}, got ${positionals.join(" ") || "nothing"}`);
  }
  const port = wholeNumber("--port", values.port, isSink(kind) ? SINK_PORTS[kind] : SERVICES[kind].defaultPort, 65_535);
  const seed = wholeNumber("--seed", values.seed, 1, 2 ** 32 - 1);
  const httpPort = wholeNumber("--http-port", values["http-port"], MAIL_PAGE_PORT, 65_535);
  return { kind, host: values.host ?? "127.0.0.1", port, seed, httpPort };
}

function isSink(kind: SimulatorKind | SinkKind): kind is SinkKind {
  return kind === "mail" || kind === "slack";
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        port: { type: "string" },
        host: { type: "string" },
        seed: { type: "string" },
        "http-port": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function wholeNumber(name: string, text: string | undefined, byDefault: number, most: number): number {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > most)
    throw new UsageError(`${name}: expected a whole number from 0 to ${most}, got ${JSON.stringify(text)}`);
  return value;
}

function start({ kind, ...options }: Arguments): Promise<{ readonly url: string; readonly smtpPort?: number; close(): Promise<void> }> {
  switch (kind) {
    case "mail":
      return startMailSink(options);
    case "slack":
      return startSlackSink(options);
    default:
      return startSimulator(kind, options);
  }
}

async function main(): Promise<void> {
  const parsed = parseArguments(process.argv.slice(2));
  if (parsed === "help") {
    process.stdout.write(USAGE);
    return;
  }
  const simulator = await start(parsed);
  const mails = simulator.smtpPort === undefined ? "" : `, which shows what comes by SMTP to ${parsed.host}:${simulator.smtpPort}`;
  process.stdout.write(`${parsed.kind} simulator on ${simulator.url}${mails}\n`);
  const stop = (): void => void simulator.close();
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

try {
  await main();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
  process.stderr.write(`${message}${taken ? "; choose another with --port" : ""}\n${error instanceof UsageError ? `\n${USAGE}` : ""}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

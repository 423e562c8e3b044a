import { parseArgs } from "node:util";
import { SIMULATOR_KINDS, type SimulatorKind } from "./service.ts";
import { SERVICES, startSimulator } from "./simulator.ts";

const USAGE = `One simulated backend as a process of its own.

Usage: node main.js <${SIMULATOR_KINDS.join("|")}> [--port N] [--host ADDRESS] [--seed N]

  --port   default: ${SIMULATOR_KINDS.map((kind) => `${kind} ${SERVICES[kind].defaultPort}`).join(", ")}
  --host   default: 127.0.0.1
  --seed   of latencies and errors; default 1

Example: node main.js v2 --port 5070
Break it while it runs: curl -d '{"fault":"hang"}' http://127.0.0.1:5070/_sim
`;

class UsageError extends Error {}

interface Arguments {
  readonly kind: SimulatorKind;
  readonly host: string;
  readonly port: number;
  readonly seed: number;
}

function parseArguments(args: readonly string[]): Arguments | "help" {
  const { values, positionals } = readArguments(args);
  if (values.help) return "help";
  const kind = SIMULATOR_KINDS.find((name) => name === positionals[0]);
  if (kind === undefined || positionals.length > 1) {
    throw new UsageError(`expected one of ${SIMULATOR_KINDS.join(", ")}, got ${positionals.join(" ") || "nothing"}`);
  }
  const port = wholeNumber("--port", values.port, SERVICES[kind].defaultPort, 65_535);
  return { kind, host: values.host ?? "127.0.0.1", port, seed: wholeNumber("--seed", values.seed, 1, 2 ** 32 - 1) };
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { port: { type: "string" }, host: { type: "string" }, seed: { type: "string" }, help: { type: "boolean", short: "h" } },
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

async function main(): Promise<void> {
  const parsed = parseArguments(process.argv.slice(2));
  if (parsed === "help") {
    process.stdout.write(USAGE);
    return;
  }
  const simulator = await startSimulator(parsed.kind, parsed);
  process.stdout.write(`${parsed.kind} simulator on ${simulator.url}\n`);
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

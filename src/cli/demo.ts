import { type Command, InvalidArgumentError, Option } from "commander";
import { packageVersion } from "./version.ts";

interface DemoOptions {
  readonly port?: number;
  readonly adminPort?: number;
  readonly rate?: number;
}

export function addDemo(program: Command): void {
  program
    .command("demo")
    .description("run the proxy with simulated backends and a trickle of traffic; needs nothing else")
    .addOption(new Option("--port <port>", "port of the proxy (default: 8080, or a free one)").argParser(parsePort))
    .addOption(new Option("--admin-port <port>", "port of the admin API (default: 9090, or a free one)").argParser(parsePort))
    .addOption(new Option("--rate <number>", "requests a second (default: 40)").argParser(parseRate))
    .addHelpText("after", "\nExample:\n  crossfade demo --port 8081")
    .action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  const { runDemo } = await import("../demo/demo.ts");
  // Connections of the simulators' clients must not keep the program alive once the demo has ended.
  process.exit(await runDemo({ ...options, version: packageVersion() }));
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new InvalidArgumentError("It is not a port from 0 to 65535.");
}

function parseRate(text: string): number {
  const rate = /^\d{1,4}(?:\.\d+)?$/.test(text) ? Number(text) : 0;
  if (rate > 0 && rate <= 1_000) return rate;
  throw new InvalidArgumentError("It is not a number above 0, up to 1000.");
}

import { type Command, Option } from "commander";
import { formatProblems } from "../config/problem.ts";
import type { LogLevel } from "../telemetry/log.ts";
import { chooseConfigFile, readConfigFile } from "./config-file.ts";
import { packageVersion } from "./version.ts";

interface ServeOptions {
  readonly config?: string;
  readonly logLevel: LogLevel;
  readonly sharePorts: boolean;
}

const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

export function addServe(program: Command): void {
  program
    .command("serve")
    .description("run the proxy until SIGTERM or SIGINT, which let it finish what is under way; a second one stops it at once")
    .option("--config <file>", "configuration file (default: ./crossfade.yaml)")
    .addOption(new Option("--log-level <level>", "least important lines that are logged").choices(LOG_LEVELS).default("info"))
    .option("--share-ports", "run beside a program on the same ports, to hand over without a gap", false)
    .showHelpAfterError("The file is given with --config FILE; --help shows the rest.")
    .addHelpText("after", "\nExample:\n  crossfade serve --config crossfade.yaml")
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const file = chooseConfigFile(options.config);
  const { config, warnings } = await readConfigFile(file);
  // Loaded when needed, so that the small commands start quickly.
  const [{ runServe }, { createLog }, { openLines }] = await Promise.all([
    import("../app/serve.ts"),
    import("../telemetry/log.ts"),
    import("../telemetry/line-writer.ts"),
  ]);
  const lines = openLines(1);
  const log = createLog(options.logLevel, { log: "control" }, lines);
  for (const warning of warnings) log.warn(formatProblems(file, [warning]));
  const terminal = process.stderr.isTTY ? process.stderr : undefined;
  const code = await runServe({ config, log, version: packageVersion(), sharePorts: options.sharePorts, terminal });
  await lines.close();
  // Threads that had to be given up must not keep the program alive.
  process.exit(code);
}

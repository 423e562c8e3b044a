import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type LogLine, temporaryDirectory } from "./app.ts";
import { type Scope, until } from "./backend.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url);

export interface Program {
  readonly process: ChildProcess;
  /** What it logged so far. */
  readonly lines: readonly LogLine[];
  /** Whatever it wrote to standard error. */
  readonly errors: () => string;
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Resolves with the first log line of this message. */
  logged(msg: RegExp): Promise<LogLine>;
}

export interface RunningProgram extends Program {
  readonly port: number;
  readonly adminPort: number;
}

/** Runs `crossfade serve` in a process of its own, with this configuration. */
export async function runProgram(scope: Scope, config: string, args: readonly string[] = [], main = MAIN): Promise<Program> {
  const directory = await temporaryDirectory(scope);
  const file = join(directory, "crossfade.yaml");
  await writeFile(file, `${config}\nstate_directory: ${directory}\n`);
  const child = spawn(process.execPath, [fileURLToPath(main), "serve", "--config", file, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const lines: LogLine[] = [];
  let errors = "";
  createInterface({ input: child.stdout }).on("line", (line) => void lines.push(JSON.parse(line)));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const exit = once(child, "close").then(([code, signal]) => ({ code, signal }));
  scope.teardown(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  const find = (msg: RegExp): LogLine | undefined => lines.find((line) => msg.test(line.msg));
  return {
    process: child,
    lines,
    errors: () => errors,
    exit,
    async logged(msg) {
      await until(`the log says ${msg}`, () => find(msg) !== undefined, 60_000);
      return find(msg) ?? { level: "", msg: "" };
    },
  };
}

/** As {@link runProgram}; resolves when it serves. */
export async function serveProgram(scope: Scope, config: string, args: readonly string[] = [], main = MAIN): Promise<RunningProgram> {
  const program = await runProgram(scope, config, args, main);
  const { listeners, admin } = await program.logged(/^serving$/);
  return { ...program, port: portIn(String(listeners)), adminPort: portIn(String(admin)) };
}

function portIn(text: string): number {
  return Number(/:(\d+)$/.exec(text)?.[1]);
}

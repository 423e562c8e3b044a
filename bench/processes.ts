import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { accessSync, closeSync, constants, openSync, readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import path from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

export interface Child {
  readonly pid: number;
  readonly output: Readable;
  readonly running: boolean;
  /** The end of what it wrote to its error output. */
  said(): string;
  send(line: string): void;
  /** Ends it for certain and waits until it is gone. */
  stop(): Promise<void>;
}

export interface PinOptions {
  /** As taskset takes them; undefined: wherever the system likes. */
  readonly cpus: string | undefined;
  /** Its input stays open, and its output is the reader's to take. */
  readonly input?: boolean;
  readonly cwd?: string;
  /** A file that takes the output. */
  readonly log?: string | undefined;
}

/** Starts a program on its CPUs, where the system can pin. */
export function pinned(command: readonly string[], options: PinOptions): Child {
  const [file = "", ...args] = options.cpus === undefined ? command : ["taskset", "-c", options.cpus, ...command];
  const log = options.log === undefined ? undefined : openSync(options.log, "a");
  const child = spawn(file, args, { cwd: options.cwd, stdio: ["pipe", log ?? "pipe", "pipe"] });
  if (log !== undefined) closeSync(log);
  const output = child.stdout ?? Readable.from([]);
  let errors = "";
  child.stderr?.on("data", (chunk) => (errors = (errors + String(chunk)).slice(-4_000)));
  child.on("error", (error) => (errors += error.message));
  // A child that has ended is noticed by its exit, not by a failed write to it.
  child.stdin?.on("error", () => {});
  if (!options.input) {
    child.stdin?.end();
    output.resume();
  }
  const running = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? 0,
    output,
    get running() {
      return running();
    },
    said: () => errors.trim() || "it said nothing",
    send: (line) => void child.stdin?.write(line),
    async stop() {
      if (!running()) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 2_000);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** The process and everything that it started. */
export function familyOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
    return [pid, ...(children === "" ? [] : children.split(" ").flatMap((child) => familyOf(Number(child))))];
  } catch {
    return [pid];
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Resolves once the port takes connections; rejects if the program ends first, or after ten seconds. */
export async function untilListening(port: number, child: Child, name: string): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end; await delay(30)) {
    if (!child.running) throw new Error(`${name} ended at once: ${child.said()}`);
    if (await takesConnections(port)) return;
  }
  throw new Error(`${name} does not listen on port ${port} after 10 s: ${child.said()}`);
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Path of a program on the PATH, where Debian also keeps servers in /usr/sbin. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env["PATH"] ?? "").split(path.delimiter), "/usr/sbin", "/usr/local/sbin"]) {
    const file = path.join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Which CPUs are whose, as taskset takes them; all undefined where pinning is impossible or there is only one. */
export interface Cpus {
  /** One for a proxy with one worker. */
  readonly proxy: string | undefined;
  /** Two for a proxy with two. */
  readonly pair: string | undefined;
  readonly load: string | undefined;
  /** The load runs on a CPU of the pair, for want of a third. */
  readonly shared: boolean;
}

export function chooseCpus(): Cpus {
  const nowhere = { proxy: undefined, pair: undefined, load: undefined, shared: true };
  if (findProgram("taskset") === undefined) return nowhere;
  const list = /: ([\d,-]+)$/m.exec(spawnSync("taskset", ["-cp", String(process.pid)], { encoding: "utf8" }).stdout)?.[1] ?? "";
  const cpus = list.split(",").flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split("-").map(Number);
    return Number.isNaN(from) ? [] : Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  const [first, second, third] = cpus;
  if (first === undefined || second === undefined) return nowhere;
  return { proxy: String(first), pair: `${first},${second}`, load: String(third ?? second), shared: third === undefined };
}

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as delay } from "node:timers/promises";

/** Runs a program in a process group of its own, for so long at most, and leaves nothing of the group behind. */

export interface CommandRun {
  /** The program and its arguments, as they are. */
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Goes to its standard input. */
  readonly input: string;
  readonly timeoutMs: number;
  /** Ends it before its time. */
  readonly signal: AbortSignal | undefined;
}

export type CommandEnd =
  /** `output`: the last of what it wrote to standard output and standard error. */
  | { readonly kind: "exited"; readonly code: number; readonly output: string }
  | { readonly kind: "killed"; readonly by: string; readonly output: string }
  | { readonly kind: "timed-out" | "stopped"; readonly output: string }
  | { readonly kind: "not-started"; readonly why: string };

/** From SIGTERM to SIGKILL. */
const TERM_GRACE_MS = 1_000;
/** What SIGKILL does not end in this time waits in the kernel, for a disk usually, and is waited for no longer. */
const KILL_GRACE_MS = 500;
/** Once the program has ended: for output that is still in the pipe. */
const OUTPUT_GRACE_MS = 250;
const POLL_MS = 10;
/** Bytes of the output that are kept. */
const KEPT = 4_096;
/** After so many bytes a stream rests, or a program that writes without end would take all of this thread. */
const BURST = 262_144;
const REST_MS = 10;

type Ended = { readonly code: number | null; readonly signal: string | null };

export async function runCommand(run: CommandRun): Promise<CommandEnd> {
  if (run.signal?.aborted === true) return { kind: "not-started", why: "it was called off before" };
  let child: ChildProcess;
  try {
    const [program, ...rest] = run.command;
    child = spawn(program, rest, { cwd: run.folder, env: run.environment, detached: true, stdio: ["pipe", "pipe", "pipe"] });
  } catch (error) {
    return { kind: "not-started", why: whyNotStarted(error, run) };
  }
  const tail = new Tail(KEPT);
  for (const stream of [child.stdout, child.stderr]) if (stream !== null) follow(stream, tail);
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const ended = new Promise<Ended | Error>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.on("error", resolve);
  });
  // Whether a program reads what it is told is its own affair.
  child.stdin?.on("error", () => undefined).end(run.input);
  try {
    return await watch(child, run, { ended, closed, tail });
  } finally {
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
  }
}

interface Watched {
  readonly ended: Promise<Ended | Error>;
  /** Every end of its pipes, grandchildren's too. */
  readonly closed: Promise<void>;
  readonly tail: Tail;
}

async function watch(child: ChildProcess, run: CommandRun, { ended, closed, tail }: Watched): Promise<CommandEnd> {
  const first = await firstOf(ended, run);
  if (first instanceof Error || child.pid === undefined) return { kind: "not-started", why: whyNotStarted(first, run) };
  if (typeof first === "string") {
    await endGroup(child.pid);
    await within(ended, KILL_GRACE_MS);
  }
  await within(closed, OUTPUT_GRACE_MS);
  // What it started and did not wait for would go on unseen, and could hold our pipes open.
  if (typeof first !== "string") await endGroup(child.pid);
  const output = tail.text;
  if (typeof first === "string") return { kind: first, output };
  return first.code === null ? { kind: "killed", by: first.signal ?? "a signal", output } : { kind: "exited", code: first.code, output };
}

/** How it ended, or why it has to be ended. */
async function firstOf(ended: Promise<Ended | Error>, { timeoutMs, signal }: CommandRun): Promise<Ended | Error | "timed-out" | "stopped"> {
  const stop = Promise.withResolvers<"timed-out" | "stopped">();
  const timer = setTimeout(() => stop.resolve("timed-out"), timeoutMs);
  const onAbort = (): void => stop.resolve("stopped");
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([ended, stop.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Resolves when nothing is left of the group, or SIGKILL has been sent to what is. */
async function endGroup(group: number): Promise<void> {
  if (!signalGroup(group, "SIGTERM")) return;
  const until = performance.now() + TERM_GRACE_MS;
  while (performance.now() < until) {
    await delay(POLL_MS);
    if (!signalGroup(group, 0)) return;
  }
  signalGroup(group, "SIGKILL");
}

/** False: there is nobody in it, or nobody whom we may signal. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}

async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([promise, delay(ms, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
}

function follow(stream: Readable, tail: Tail): void {
  // A character may be cut by the end of a chunk, and the two streams take turns.
  const decoder = new StringDecoder("utf8");
  let burst = 0;
  stream.on("data", (chunk: Buffer) => {
    tail.add(decoder.write(chunk));
    burst += chunk.length;
    if (burst < BURST) return;
    burst = 0;
    stream.pause();
    setTimeout(() => stream.resume(), REST_MS);
  });
  stream.on("error", () => undefined);
}

/** The last bytes of a text, beginning with a whole character. */
class Tail {
  readonly #most: number;
  #bytes = Buffer.alloc(0);

  constructor(most: number) {
    this.#most = most;
  }

  add(text: string): void {
    this.#bytes = Buffer.concat([this.#bytes, Buffer.from(text)]);
    if (this.#bytes.length > this.#most) this.#bytes = Buffer.from(this.#bytes.subarray(-this.#most));
  }

  get text(): string {
    let start = 0;
    while (start < this.#bytes.length && ((this.#bytes[start] ?? 0) & 0xc0) === 0x80) start++;
    return this.#bytes.toString("utf8", start);
  }
}

/** The system says "no such file" of the program, of its folder and of the interpreter in its first line alike. */
function whyNotStarted(error: unknown, { command: [program], folder }: CommandRun): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  if (!isThere(folder, constants.X_OK)) return `its folder ${folder} is not there, or may not be entered`;
  const name = JSON.stringify(program);
  switch (code) {
    case "ENOENT":
      if (program.includes("/") && isThere(program.startsWith("/") ? program : `${folder}/${program}`, constants.F_OK))
        return `${name} is there, but the interpreter in its first line is not`;
      return program.includes("/") ? `${name} does not exist (looked for from ${folder})` : `${name} is nowhere in PATH`;
    case "EACCES":
    case "EPERM":
      return `${name} may not be executed by this user; chmod +x makes a file a program`;
    case "ENOEXEC":
      return `${name} is not a program of this machine; a script begins with a line such as #!/bin/sh`;
    case "E2BIG":
      return `${name} was given more arguments and environment than the system takes`;
    default:
      return `${name} could not be started (${code})`;
  }
}

function isThere(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

/**
 * Real Redis servers for tests: `$REDIS_SERVER`, else one on the PATH, else the packages of the system (Debian, Ubuntu),
 * unpacked into a cache without being installed.
 */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** What `redis-cli ...args` would print, as redis-cli would print it without a terminal. Error replies throw. */
  cli(...args: (string | number)[]): Promise<string>;
  /** Stops the process without ending it: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** On the same port; with the data last saved (`cli("SAVE")`), or empty. */
  restart(options: { readonly empty: boolean }): Promise<void>;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const PACKAGES = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1"];
/** Which package brings a library that `ldd` may miss on a bare machine. */
const LIBRARIES: Readonly<Record<string, string>> = {
  "libjemalloc.so.2": "libjemalloc2",
  "liblzf.so.1": "liblzf1",
  "libatomic.so.1": "libatomic1",
  "liblua5.1.so.0": "liblua5.1-0",
  "liblua5.1-cjson.so.0": "lua-cjson",
  "liblua5.1-bitop.so.0": "lua-bitop",
  "libhiredis.so.0.14": "libhiredis0.14",
  "libhiredis.so.1.1.0": "libhiredis1.1.0",
};

interface Binary {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

let found: Promise<Binary> | undefined;

async function findRedisServer(): Promise<Binary> {
  return (found ??= locate());
}

async function locate(): Promise<Binary> {
  const given = process.env["REDIS_SERVER"];
  if (given !== undefined && given !== "") {
    if (await isExecutable(given)) return { path: given, env: process.env };
    throw new Error(`REDIS_SERVER is ${given}, which cannot be run; give the path of a redis-server`);
  }
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(directory, "redis-server");
    if (directory !== "" && (await isExecutable(path))) return { path, env: process.env };
  }
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "crossfade-test", "redis");
  try {
    return await fromPackages(cache);
  } catch (cause) {
    throw new Error(
      "these tests need a redis-server (6.2 or later): install one (apt install redis-server, brew install redis) or set REDIS_SERVER to its path; fetching the packages failed too",
      { cause },
    );
  }
}

async function fromPackages(cache: string): Promise<Binary> {
  if (!(await isExecutable(join(cache, "usr/bin/redis-server")))) {
    await mkdir(join(cache, ".."), { recursive: true });
    const work = await mkdtemp(join(cache, "../redis-"));
    try {
      await unpack(PACKAGES, work);
      const { stdout } = await run("ldd", [join(work, "usr/bin/redis-server")], { env: await libraryPath(work) });
      const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map((match) => LIBRARIES[match[1] ?? ""] ?? match[1] ?? "");
      if (missing.length > 0) await unpack(missing, work);
      // Of two test processes that fetch at once, the first wins.
      await rename(work, cache).catch(() => {});
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  const binary = { path: join(cache, "usr/bin/redis-server"), env: await libraryPath(cache) };
  await run(binary.path, ["--version"], { env: binary.env });
  return binary;
}

async function unpack(packages: readonly string[], into: string): Promise<void> {
  await run("apt-get", ["download", ...packages], { cwd: into });
  for (const file of await readdir(into)) {
    if (!file.endsWith(".deb")) continue;
    await run("dpkg", ["-x", file, "."], { cwd: into });
    await rm(join(into, file));
  }
}

async function libraryPath(root: string): Promise<NodeJS.ProcessEnv> {
  const directories: string[] = [];
  for (const base of [join(root, "usr/lib"), join(root, "lib")]) {
    const names = await readdir(base).catch(() => []);
    directories.push(base, ...names.filter((name) => name.endsWith("-linux-gnu")).map((name) => join(base, name)));
  }
  return { ...process.env, LD_LIBRARY_PATH: directories.join(":") };
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** A server of the test's own on a free port, without persistence unless `args` ask for it. */
export async function startRedis(
  options: { readonly port?: number; readonly args?: readonly string[]; readonly password?: string } = {},
): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const directory = await mkdtemp(join(tmpdir(), "crossfade-redis-"));
  const secret = options.password === undefined ? [] : ["--requirepass", options.password];
  const args = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
    "--repl-diskless-sync-delay",
    "0",
    "--dir",
    directory,
    ...secret,
    ...(options.args ?? []),
  ];
  const cli = async (...command: (string | number)[]): Promise<string> =>
    ask(port, options.password === undefined ? [] : [["AUTH", options.password]], command.map(String));
  let child = await launch(args, port, cli);

  return {
    port,
    url: `redis://${options.password === undefined ? "" : `:${encodeURIComponent(options.password)}@`}127.0.0.1:${port}`,
    cli,
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    kill: async () => end(child),
    restart: async ({ empty }) => {
      await end(child);
      if (empty) for (const file of await readdir(directory)) await rm(join(directory, file), { recursive: true });
      child = await launch(args, port, cli);
    },
    stop: async () => {
      await end(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface SentinelSetup {
  readonly name: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  readonly master: RedisServer;
  readonly replica: RedisServer;
  stop(): Promise<void>;
}

/** A master, a replica that has caught up, and three Sentinels that agree on them. */
export async function startSentinel(downAfterMs = 500): Promise<SentinelSetup> {
  const name = "tested";
  const master = await startRedis();
  const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
  const sentinels: Launched[] = [];
  for (let i = 0; i < 3; i++) sentinels.push(await startOneSentinel(name, master.port, downAfterMs));
  await until(async () => (await replica.cli("INFO", "replication")).includes("master_link_status:up"), "the replica to catch up");
  for (const { port } of sentinels) {
    const know = async (list: string): Promise<number> => ((await ask(port, [], ["SENTINEL", list, name])).match(/^runid$/gm) ?? []).length;
    await until(async () => (await know("REPLICAS")) === 1 && (await know("SENTINELS")) === 2, "the Sentinels to know each other");
  }
  return {
    name,
    sentinels: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
    master,
    replica,
    stop: async () => {
      await Promise.all([...sentinels.map((sentinel) => sentinel.stop()), master.stop(), replica.stop()]);
    },
  };
}

interface Launched {
  readonly port: number;
  stop(): Promise<void>;
}

async function startOneSentinel(name: string, master: number, downAfterMs: number): Promise<Launched> {
  const port = await freePort();
  const directory = await mkdtemp(join(tmpdir(), "crossfade-sentinel-"));
  const file = join(directory, "sentinel.conf");
  await writeFile(
    file,
    [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      `sentinel monitor ${name} 127.0.0.1 ${master} 2`,
      `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
      `sentinel failover-timeout ${name} 5000`,
      "",
    ].join("\n"),
  );
  const child = await launch([file, "--sentinel"], port, (...command) => ask(port, [], command.map(String)));
  return {
    port,
    stop: async () => {
      await end(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function launch(args: readonly string[], port: number, cli: RedisServer["cli"]): Promise<ChildProcess> {
  const { path, env } = await findRedisServer();
  const child = spawn(path, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (data: Buffer) => (said = (said + data.toString()).slice(-2_000)));
  child.stderr.on("data", (data: Buffer) => (said = (said + data.toString()).slice(-2_000)));
  // A test that dies must not leave servers behind.
  const reap = (): void => void child.kill("SIGKILL");
  process.once("exit", reap);
  child.once("exit", () => process.removeListener("exit", reap));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`redis-server ended at once: ${said}`);
    return (await cli("PING").catch((error: unknown) => String(error))) === "PONG";
  }, `redis-server to answer on port ${port}`);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server that listens has an address and a port
  server.close();
  await once(server, "close");
  return port;
}

async function ask(port: number, before: readonly (readonly string[])[], command: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    const sent = [...before, command].map(
      (words) => `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`,
    );
    socket.write(sent.join(""));
    const wanted = before.length + 1;
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk]);
      const replies = parseReplies(received, wanted);
      if (replies === undefined) continue;
      const last = replies.at(-1) ?? "";
      if (last instanceof Error) throw last;
      return last;
    }
    throw new Error("the connection was closed before the answer");
  } finally {
    socket.destroy();
  }
}

/** The first `count` replies as redis-cli prints them; undefined while they are not complete. */
function parseReplies(data: Buffer, count: number): (string | Error)[] | undefined {
  let at = 0;
  const line = (): string => {
    const stop = data.indexOf("\r\n", at);
    if (stop < 0) throw new RangeError("incomplete");
    const text = data.toString("utf8", at, stop);
    at = stop + 2;
    return text;
  };
  const reply = (): string | Error => {
    const head = line();
    const rest = head.slice(1);
    switch (head[0]) {
      case "-":
        return new Error(rest);
      case "$": {
        const length = Number(rest);
        if (length < 0) return "";
        if (at + length + 2 > data.length) throw new RangeError("incomplete");
        const text = data.toString("utf8", at, at + length);
        at += length + 2;
        return text;
      }
      case "*":
        return Array.from({ length: Math.max(0, Number(rest)) }, () => String(reply())).join("\n");
      default:
        return rest;
    }
  };
  try {
    return Array.from({ length: count }, reply);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Waits, bounded, for what no event tells of. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

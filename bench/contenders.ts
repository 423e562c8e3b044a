import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { findProgram, freePort, pinned, untilListening, type Child } from "./processes.ts";

/** Share of the users on the candidate, in percent: the same for everybody. */
export const WEIGHT = 30;

export interface World {
  /** For configuration files and logs; gone at the end. */
  readonly directory: string;
  readonly stablePort: number;
  readonly candidatePort: number;
  readonly cpu: number | undefined;
  /** Whoever starts a process adds it here, so that it is stopped whatever happens. */
  readonly children: Child[];
}

export interface Running {
  readonly port: number;
  readonly child: Child | undefined;
}

export interface Contender {
  readonly name: string;
  readonly what: string;
  /** What is missing for it to run and how to get it; undefined when nothing is. */
  lacks(): string | undefined;
  start(world: World): Promise<Running>;
}

const HERE = import.meta.dirname;
/** As it is shipped: compiled, so that no thread carries a TypeScript loader. */
const CLI = path.join(HERE, "../dist/cli/main.js");

export const CONTENDERS: readonly Contender[] = [
  {
    name: "direct",
    what: "no proxy at all: the load generator against its own upstream",
    lacks: () => undefined,
    start: async (world) => ({ port: world.stablePort, child: undefined }),
  },
  nginx("nginx", "split_clients on the user id, 1 worker process, access_log off", () => "off"),
  nginx("nginx-log", "the same with a buffered access log of every request", (directory) => `${directory}/access.log combined buffer=64k`),
  {
    name: "haproxy",
    what: "a hash of the user id chooses the backend, nbthread 1, no log",
    lacks: () => (findProgram("haproxy") ? undefined : "haproxy is not on the PATH. On Debian: apt install haproxy"),
    async start(world) {
      const port = await freePort();
      const file = path.join(world.directory, "haproxy.cfg");
      await writeFile(file, haproxyConfig(world, port));
      return launch(world, "haproxy", port, [findProgram("haproxy") ?? "haproxy", "-db", "-f", file]);
    },
  },
  peer("http-proxy", "http-proxy-3 on node:http, keep-alive agent", undefined),
  peer("fastify-http-proxy", "@fastify/http-proxy with undici pools", "@fastify/http-proxy"),
  peer("fast-proxy", "fast-proxy on node:http with undici pools", "fast-proxy"),
  {
    name: "crossfade",
    what: "crossfade serve, 1 worker: split, fallback, metrics, access log of 1 % of the requests",
    lacks: () => (existsSync(CLI) ? undefined : "it is not built: npm run build"),
    async start(world) {
      const port = await freePort();
      const directory = path.join(world.directory, "crossfade");
      await mkdir(directory, { recursive: true });
      const file = path.join(directory, "bench.yaml");
      await writeFile(file, crossfadeConfig(world, port, await freePort(), directory));
      return launch(world, "crossfade", port, [process.execPath, CLI, "serve", "--config", file]);
    },
  },
];

async function launch(world: World, name: string, port: number, command: readonly string[]): Promise<Running> {
  const child = pinned(command, { cpu: world.cpu, cwd: world.directory });
  world.children.push(child);
  await untilListening(port, child, name);
  return { port, child };
}

function nginx(name: string, what: string, log: (directory: string) => string): Contender {
  return {
    name,
    what,
    lacks: () => (findProgram("nginx") ? undefined : "nginx is not on the PATH. On Debian: apt install nginx-light"),
    async start(world) {
      const port = await freePort();
      const prefix = path.join(world.directory, name);
      await mkdir(prefix, { recursive: true });
      const file = path.join(prefix, "nginx.conf");
      await writeFile(file, nginxConfig(world, port, log(prefix), prefix));
      return launch(world, name, port, [findProgram("nginx") ?? "nginx", "-p", prefix, "-c", file, "-e", "stderr"]);
    },
  };
}

function peer(name: string, what: string, needs: string | undefined): Contender {
  return {
    name,
    what,
    lacks: () =>
      needs === undefined || existsSync(path.join(HERE, "node_modules", needs))
        ? undefined
        : `${needs} is not installed: npm --prefix bench ci`,
    async start(world) {
      const port = await freePort();
      const script = path.join(HERE, "peers", `${name}.mjs`);
      return launch(world, name, port, [process.execPath, script, ...[port, world.stablePort, world.candidatePort, WEIGHT].map(String)]);
    },
  };
}

/** Installs the packages of bench/package.json where they are missing; says why not, if it cannot. */
export function installPeers(): string | undefined {
  if (existsSync(path.join(HERE, "node_modules/fast-proxy"))) return undefined;
  process.stderr.write("Installing the other proxies (npm --prefix bench ci) ...\n");
  const run = spawnSync("npm", ["--prefix", HERE, "ci", "--no-audit", "--no-fund"], { encoding: "utf8", timeout: 120_000 });
  return run.status === 0 ? undefined : (run.error?.message ?? run.stderr.trim());
}

function nginxConfig(world: World, port: number, log: string, prefix: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `  ${kind}_temp_path ${prefix}/${kind};`).join("\n");
  return `worker_processes 1;
daemon off;
pid ${prefix}/nginx.pid;
events { worker_connections 4096; }
http {
${temporary}
  access_log ${log};
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  split_clients "$http_x_user_id" $arm { ${WEIGHT}% candidate; * stable; }
  upstream stable { server 127.0.0.1:${world.stablePort} max_fails=0; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }
  upstream candidate { server 127.0.0.1:${world.candidatePort} max_fails=0; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://$arm;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      add_header X-Service-Version $arm;
    }
  }
}
`;
}

function haproxyConfig(world: World, port: number): string {
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
frontend public
  bind 127.0.0.1:${port}
  use_backend candidate if { req.hdr(x-user-id),xxh32,mod(100) lt ${WEIGHT} }
  default_backend stable
backend stable
  http-response set-header X-Service-Version stable
  server one 127.0.0.1:${world.stablePort}
backend candidate
  http-response set-header X-Service-Version candidate
  server one 127.0.0.1:${world.candidatePort}
`;
}

function crossfadeConfig(world: World, port: number, adminPort: number, directory: string): string {
  return `listeners: [{ name: public, address: 127.0.0.1:${port} }]
admin: { address: 127.0.0.1:${adminPort} }
store: memory
state_directory: ${directory}
workers: 1
upstreams:
  v1: { endpoints: [http://127.0.0.1:${world.stablePort}] }
  v2: { endpoints: [http://127.0.0.1:${world.candidatePort}] }
routes:
  - { name: match, match: { methods: [POST], path: /api/match }, stable: v1, candidate: { upstream: v2 }, flag: bench, idempotent: true }
identity: [ header:x-user-id ]
flags:
  bench:
    rollout_percentage: ${WEIGHT}
    monitoring_enhanced: { enabled: true, sampling_rate: 1% }
`;
}

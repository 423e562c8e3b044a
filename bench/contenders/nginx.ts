import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { findProgram, freePort } from "../processes.ts";
import { lacksProgram, launch, UPSTREAM_CONNECTIONS, WEIGHT, type Contender, type World } from "./contender.ts";

export interface NginxSetup {
  /** An access log of every request, buffered. */
  readonly log: boolean;
  /** Whether bodies and answers are held, as by default, or passed on piece by piece. */
  readonly buffering: boolean;
  readonly workers: number;
  /** Most connections of a worker, to both sides; each costs memory from the start. */
  readonly connections: number;
}

const USUAL: NginxSetup = { log: false, buffering: true, workers: 1, connections: 4_096 };

export function nginx(name: string, what: string, changes: Partial<NginxSetup> = {}): Contender {
  const setup = { ...USUAL, ...changes };
  return {
    name,
    what,
    weight: WEIGHT,
    lacks: () => lacksProgram("nginx", "nginx-light"),
    async start(world) {
      const port = await freePort();
      const prefix = path.join(world.directory, name);
      await mkdir(prefix, { recursive: true });
      const file = path.join(prefix, "nginx.conf");
      await writeFile(file, configOf(setup, world, port, prefix));
      return launch(world, name, port, [findProgram("nginx") ?? "nginx", "-p", prefix, "-c", file, "-e", "stderr"]);
    },
  };
}

function configOf(setup: NginxSetup, world: World, port: number, prefix: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `  ${kind}_temp_path ${prefix}/${kind};`).join("\n");
  const upstream = (name: string, to: number): string =>
    `upstream ${name} { server 127.0.0.1:${to} max_fails=0; keepalive ${UPSTREAM_CONNECTIONS}; keepalive_requests 1000000000; keepalive_timeout 600s; }`;
  // Started by root, the workers would be somebody else, who may not write the temporary files.
  const user = process.getuid?.() === 0 ? "user root;\n" : "";
  return `${user}worker_processes ${setup.workers};
worker_rlimit_nofile ${setup.connections + 100};
daemon off;
pid ${prefix}/nginx.pid;
events { worker_connections ${setup.connections}; }
http {
${temporary}
  access_log ${setup.log ? `${prefix}/access.log combined buffer=64k` : "off"};
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_header_timeout 600s;
  split_clients "$http_x_user_id" $arm { ${WEIGHT}% candidate; * stable; }
  ${upstream("stable", world.stablePort)}
  ${upstream("candidate", world.candidatePort)}
  server {
    listen 127.0.0.1:${port} backlog=4096${setup.workers > 1 ? " reuseport" : ""};
    ${setup.buffering ? "" : "proxy_buffering off; proxy_request_buffering off;"}
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

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { findProgram, freePort } from "../processes.ts";
import { lacksProgram, launch, WEIGHT, type Contender, type World } from "./contender.ts";

export const HAPROXY: Contender = {
  name: "haproxy",
  what: "a hash of the user id chooses the backend, nbthread 1, no log",
  weight: WEIGHT,
  lacks: () => lacksProgram("haproxy", "haproxy"),
  async start(world) {
    const port = await freePort();
    const file = path.join(world.directory, "haproxy.cfg");
    await writeFile(file, configOf(world, port));
    return launch(world, "haproxy", port, [findProgram("haproxy") ?? "haproxy", "-db", "-f", file]);
  },
};

function configOf(world: World, port: number): string {
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

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { freePort } from "../processes.ts";
import { launch, UPSTREAM_CONNECTIONS, WEIGHT, type Contender, type World } from "./contender.ts";

/** The engines that move bytes. */
export const TRANSPORTS = ["wire", "node"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Signs the sticky cookies of the requests. */
export const STICKY_SECRET = "a-secret-for-benchmarks-only";

export interface CrossfadeSetup {
  readonly transport: Transport;
  readonly workers: number;
  /** Who goes to the candidate, in percent; `forward`: nobody is asked, all goes to the stable upstream. */
  readonly weight: number | "forward";
  /** Whether what the candidate gets wrong is done again by the stable upstream. */
  readonly fallback: boolean;
  readonly responseHeaders: "all" | "none";
  /** Percent of the requests in the access log. */
  readonly log: number;
  /** Reads the quality that the candidate's answers state. */
  readonly quality: boolean;
  /** Tells users by the signed cookie, not by the header. */
  readonly cookie: boolean;
  /** Three segments with figures of their own, named by a header. */
  readonly segments: boolean;
  /** Where the live settings are kept, as in the configuration. */
  readonly store: string;
}

/** All that a migration needs is on. */
const USUAL: CrossfadeSetup = {
  transport: "wire",
  workers: 1,
  weight: WEIGHT,
  fallback: true,
  responseHeaders: "all",
  log: 1,
  quality: false,
  cookie: false,
  segments: false,
  store: "memory",
};

/** As it is shipped: compiled, so that no thread carries a TypeScript loader. Another build can be named, to compare two. */
const BUILD = process.env["CROSSFADE_BUILD"] ?? path.join(import.meta.dirname, "../../dist");
const CLI = path.join(BUILD, "cli/main.js");

export function crossfade(name: string, what: string, changes: Partial<CrossfadeSetup> = {}): Contender {
  const setup = { ...USUAL, ...changes };
  return {
    name,
    what,
    weight: setup.weight === "forward" ? 0 : setup.weight,
    lacks: () => (existsSync(CLI) ? undefined : `there is no ${CLI}: npm run build`),
    async start(world) {
      const port = await freePort();
      const directory = path.join(world.directory, name);
      await mkdir(directory, { recursive: true });
      const file = path.join(directory, "bench.yaml");
      const adminPort = await freePort();
      await writeFile(file, configOf(setup, world, port, adminPort, directory));
      const command = [process.execPath, CLI, "serve", "--config", file];
      return { ...(await launch(world, name, port, command, path.join(directory, "access.log"))), adminPort };
    },
  };
}

function configOf(setup: CrossfadeSetup, world: World, port: number, adminPort: number, directory: string): string {
  const upstream = (to: number, more = ""): string =>
    `{ endpoints: [http://127.0.0.1:${to}], keep_alive: 10m, max_connections: ${UPSTREAM_CONNECTIONS}${more} }`;
  const quality = setup.quality ? ", quality: { pointer: /matches/*/confidence }" : "";
  return `listeners: [{ name: public, address: 127.0.0.1:${port} }]
admin: { address: 127.0.0.1:${adminPort} }
store: ${setup.store}
state_directory: ${directory}
workers: ${setup.workers}
transport: ${setup.transport}
response_headers: ${setup.responseHeaders}
limits: { connections: 20000, header_timeout: 10m, keep_alive: 10m }
access_log: { enabled: ${setup.log > 0}, sampling_rate: ${setup.log}% }
upstreams:
  v1: ${upstream(world.stablePort)}
  v2: ${upstream(world.candidatePort, quality)}
identity: [ ${setup.cookie ? "cookie" : "header:x-user-id"} ]
sticky: { secret: ${STICKY_SECRET} }
${setup.segments ? SEGMENTS : ""}routes:
  - name: match
    match: { methods: [GET, POST], path: /api/match }
${setup.weight === "forward" ? "    upstream: v1\n" : splitOf(setup, setup.weight)}`;
}

const SEGMENTS = `trusted_hops: [127.0.0.0/8]
segment_header: { name: x-user-segment, values: { beta: beta, partner: partners, enterprise: enterprise } }
`;

/** A saturated proxy is slow for its own reasons: the time in which the candidate must answer is long enough not to be exceeded. */
function splitOf(setup: CrossfadeSetup, weight: number): string {
  // Caps of 100 %: every segment is looked at, and nobody's arm is another for it.
  const segments = ["beta", "partners", "enterprise"].map((name) => `${name}: { percentage: 100 }`).join(", ");
  return `    stable: v1
    candidate: v2
    flag: bench
    idempotent: ${setup.fallback}
flags:
  bench:
    rollout_percentage: ${weight}
    fallback_system: { enabled: ${setup.fallback}, conditions: { response_time: 10s } }
    monitoring_enhanced: { enabled: true, sampling_rate: ${setup.log}% }
${setup.segments ? `    user_segments: { ${segments} }\n` : ""}`;
}

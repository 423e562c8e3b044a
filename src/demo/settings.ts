import type { Config } from "../config/config.ts";
import { formatProblems, parseConfig } from "../config/parse.ts";
import type { SimulatorKind } from "./simulators/service.ts";

export const FLAG = "v2_migration";
export const MATCH_PATH = "/api/match";

/** What the values of `X-User-Segment` mean. */
export const SEGMENT_VALUES: Readonly<Record<string, string>> = {
  beta: "beta_users",
  enterprise: "enterprise",
  api_partner: "api_partners",
};

export interface Places {
  readonly port: number;
  readonly adminPort: number;
  readonly urls: Readonly<Record<SimulatorKind, string>>;
  readonly stateDirectory: string;
}

/** The demo's configuration, read like any file: what works here works in a file of one's own. */
export function demoConfig(places: Places): Config {
  const parsed = parseConfig(textOf(places), {});
  if ("config" in parsed) return parsed.config;
  throw new Error(`the demo's own configuration is refused:\n${formatProblems("demo", parsed.problems)}`);
}

function textOf({ port, adminPort, urls, stateDirectory }: Places): string {
  const segments = Object.entries(SEGMENT_VALUES).map(([value, segment]) => `${value}: ${segment}`);
  return `
listeners: [{ name: public, address: 127.0.0.1:${port} }]
admin: { address: 127.0.0.1:${adminPort} }
store: memory
state_directory: ${JSON.stringify(stateDirectory)}
workers: 1
access_log: { enabled: false }
drain: { timeout: 5s }

upstreams:
  v1:     { endpoints: ["${urls.v1}"], dialect: v1, health: { path: /api/health } }
  nexten: { endpoints: ["${urls.nexten}"], dialect: nexten, health: { path: /health } }
  v2:
    endpoints: ["${urls.v2}"]
    dialect: v2
    health: { path: /health }
    quality: { pointer: /matches/*/confidence, reduce: mean, scale: 1 }
    signs: { enabled: [not-json, success-false, fallback-flag, fallback-algorithm, empty-matches, missing-ids, foreign-ids, equal-scores] }

routes:
  - name: match
    match: { methods: [POST], path: ${MATCH_PATH} }
    dialect: v1
    stable: v1
    candidate: { upstream: v2, path: /api/v2/match }
    flag: ${FLAG}
    idempotent: true
    timeout: 5s
  - { name: nexten, match: { path: /api/nexten/** }, upstream: nexten }
  - { name: v2, match: { path: /api/v2/** }, upstream: v2 }
  - { name: v1, match: { path: /api/v1/** }, upstream: v1 }

# The traffic comes from this machine and names its segments itself.
trusted_hops: [127.0.0.0/8, "::1"]
segment_header: { name: x-user-segment, values: { ${segments.join(", ")} } }
identity: [header:x-user-id, query:user_id, cookie, address]

flags:
  ${FLAG}:
    rollout_percentage: 25
    user_segments:
      beta_users: { percentage: 100, override_global: true }
      enterprise: { percentage: 0, override_global: true }
      api_partners: { percentage: 50, override_global: false }
    fallback_system:
      enabled: true
      conditions: { response_time: 100ms, error_rate: 1%, accuracy: 85% }
`;
}

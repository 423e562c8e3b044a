import type { Readiness, WorkerStatus } from "../admin/operations.ts";
import type { Config } from "../config/config.ts";
import type { StoreHealth } from "../store/store.ts";
import type { EndpointHealth } from "./health.ts";

export interface Condition {
  readonly config: Config;
  readonly draining: boolean;
  readonly workers: readonly WorkerStatus[];
  readonly endpoints: readonly EndpointHealth[];
  readonly store: StoreHealth;
}

/**
 * Whether a load balancer should send requests here: workers listen, the stable side of every split can be reached, no drain
 * has begun. A lost store or candidate is no reason to stop: requests are served without them.
 */
export function assessReadiness({ config, draining, workers, endpoints, store }: Condition): Readiness {
  const reasons: string[] = [];
  const degraded: string[] = [];
  if (draining) reasons.push("draining: no new requests are wanted");

  const running = workers.filter((worker) => worker.state === "running").length;
  if (running === 0 && !draining) reasons.push("no worker is serving");
  else if (running < workers.length && !draining) degraded.push(`${workers.length - running} of ${workers.length} workers are not serving`);

  const needed = new Set(config.routes.flatMap(({ action }) => (action.kind === "split" ? [action.stable.upstream] : [])));
  for (const { name } of config.upstreams) {
    const own = endpoints.filter((endpoint) => endpoint.upstream === name);
    const lost = own.filter((endpoint) => endpoint.healthy !== true);
    if (lost.length === 0) continue;
    const list = lost.map(({ endpoint, detail }) => `${endpoint} (${detail})`).join(", ");
    if (lost.length < own.length) degraded.push(`upstream ${name}: ${list}`);
    else (needed.has(name) ? reasons : degraded).push(`upstream ${name} cannot be reached: ${list}`);
  }

  if (!store.up) degraded.push(store.message === "" ? `the ${store.kind} store is down` : store.message);
  return { ready: reasons.length === 0, degraded, reasons };
}

import type { Limits, Upstream as UpstreamConfig } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { HeadEdits } from "../../http/head.ts";
import type { Call, CallHandler, TunnelHandler, Upstream, UpstreamRequest } from "../transport.ts";
import { NodeCall } from "./call.ts";
import { EndpointPool } from "./pool.ts";
import { openTunnel } from "./tunnel.ts";

/** An endpoint that could not be connected to is left alone this long, while there is another. */
const SHUN_MS = 1_000;

export class NodeUpstream implements Upstream {
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly deadlines: Deadlines;
  readonly #pools: readonly EndpointPool[];
  #turn = 0;

  constructor(config: UpstreamConfig, limits: Limits, deadlines: Deadlines) {
    this.name = config.name;
    this.connectTimeoutMs = config.connectTimeoutMs;
    this.deadlines = deadlines;
    this.#pools = config.endpoints.map((endpoint) => new EndpointPool(endpoint, config, limits));
  }

  get open(): number {
    return this.#pools.reduce((sum, pool) => sum + pool.size, 0);
  }

  send(request: UpstreamRequest, handler: CallHandler): Call {
    return new NodeCall(this, this.#choose(), request, handler);
  }

  tunnel(request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler): Call {
    return openTunnel(this, this.#choose(), request, answer, handler);
  }

  shun(pool: EndpointPool): void {
    pool.shunnedUntil = performance.now() + SHUN_MS;
  }

  close(): void {
    for (const pool of this.#pools) pool.close();
  }

  /** The least loaded endpoint that can be reached; among equals in turn. If none can, the least loaded of all. */
  #choose(): EndpointPool {
    const [first] = this.#pools;
    if (first === undefined) throw new Error(`upstream ${this.name} has no endpoint`);
    if (this.#pools.length === 1) return first;
    const now = performance.now();
    const turn = this.#turn++;
    let best = first;
    let bestScore = Infinity;
    for (let i = 0; i < this.#pools.length; i++) {
      const pool = this.#pools[(turn + i) % this.#pools.length] ?? first;
      const score = pool.load + (pool.shunnedUntil > now ? 1e6 : 0);
      if (score < bestScore) [best, bestScore] = [pool, score];
    }
    return best;
  }
}

import type { Limits, Upstream as UpstreamConfig } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { HeadEdits } from "../../http/head.ts";
import { chooseEndpoint, SHUN_MS } from "../endpoints.ts";
import type { Call, CallHandler, TunnelHandler, Upstream, UpstreamRequest } from "../transport.ts";
import { NodeCall } from "./call.ts";
import { EndpointPool } from "./pool.ts";
import { openTunnel } from "./tunnel.ts";

export class NodeUpstream implements Upstream {
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly deadlines: Deadlines;
  readonly #pools: readonly [EndpointPool, ...EndpointPool[]];
  #turn = 0;

  constructor(config: UpstreamConfig, limits: Limits, deadlines: Deadlines) {
    this.name = config.name;
    this.connectTimeoutMs = config.connectTimeoutMs;
    this.deadlines = deadlines;
    const [first, ...others] = config.endpoints.map((endpoint) => new EndpointPool(endpoint, config, limits));
    if (first === undefined) throw new Error(`upstream ${config.name} has no endpoint`);
    this.#pools = [first, ...others];
  }

  get open(): number {
    return this.#pools.reduce((sum, pool) => sum + pool.size, 0);
  }

  send(request: UpstreamRequest, handler: CallHandler): Call {
    return new NodeCall(this, chooseEndpoint(this.#pools, this.#turn++), request, handler);
  }

  tunnel(request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler): Call {
    return openTunnel(this, chooseEndpoint(this.#pools, this.#turn++), request, answer, handler);
  }

  shun(pool: EndpointPool): void {
    pool.shunnedUntil = performance.now() + SHUN_MS;
  }

  close(): void {
    for (const pool of this.#pools) pool.close();
  }
}

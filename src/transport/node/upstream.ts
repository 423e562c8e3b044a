import type { Config, Upstream as UpstreamConfig } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { HeadEdits } from "../../http/head.ts";
import { EndpointGroup, placesOf, SHUN_MS } from "../endpoints.ts";
import type { Call, CallHandler, TunnelHandler, Upstream, UpstreamRequest } from "../transport.ts";
import { WatchedCall, WatchedTunnel } from "../watched.ts";
import { NodeCall } from "./call.ts";
import { EndpointPool } from "./pool.ts";
import { openTunnel } from "./tunnel.ts";

export class NodeUpstream implements Upstream {
  readonly name: string;
  readonly connectTimeoutMs: number;
  readonly deadlines: Deadlines;
  readonly #endpoints: EndpointGroup<EndpointPool>;

  constructor(upstream: UpstreamConfig, config: Config, board: Int32Array, deadlines: Deadlines) {
    this.name = upstream.name;
    this.connectTimeoutMs = upstream.connectTimeoutMs;
    this.deadlines = deadlines;
    const pools = upstream.endpoints.map((endpoint) => new EndpointPool(endpoint, upstream, config.limits));
    this.#endpoints = new EndpointGroup(upstream, pools, placesOf(config, upstream, board));
  }

  get open(): number {
    return this.#endpoints.seats.reduce((sum, { pool }) => sum + pool.size, 0);
  }

  send(request: UpstreamRequest, handler: CallHandler): Call {
    const { pool, record } = this.#endpoints.choose();
    if (record === undefined) return new NodeCall(this, pool, request, handler);
    const watched = new WatchedCall(record, handler);
    watched.call = new NodeCall(this, pool, request, watched);
    return watched;
  }

  tunnel(request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler): Call {
    const { pool, record } = this.#endpoints.choose();
    if (record === undefined) return openTunnel(this, pool, request, answer, handler);
    const watched = new WatchedTunnel(record, handler);
    watched.call = openTunnel(this, pool, request, answer, watched);
    return watched;
  }

  shun(pool: EndpointPool): void {
    pool.shunnedUntil = performance.now() + SHUN_MS;
  }

  close(): void {
    for (const { pool } of this.#endpoints.seats) pool.close();
  }
}

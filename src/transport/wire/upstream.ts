import type { Config, Upstream as UpstreamConfig } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { HeadEdits } from "../../http/head.ts";
import { EndpointGroup, placesOf } from "../endpoints.ts";
import type { Call, CallHandler, TunnelHandler, Upstream, UpstreamRequest } from "../transport.ts";
import { WatchedCall, WatchedTunnel } from "../watched.ts";
import { EndpointPool } from "./endpoint-pool.ts";
import type { Sockets } from "./sockets.ts";
import { WireTunnel } from "./tunnel.ts";
import { WireCall } from "./wire-call.ts";

export class WireUpstream implements Upstream {
  readonly name: string;
  readonly #endpoints: EndpointGroup<EndpointPool>;

  constructor(upstream: UpstreamConfig, config: Config, board: Int32Array, deadlines: Deadlines, sockets: Sockets) {
    this.name = upstream.name;
    const pools = upstream.endpoints.map((endpoint) => new EndpointPool(endpoint, upstream, config.limits, deadlines, sockets));
    this.#endpoints = new EndpointGroup(upstream, pools, placesOf(config, upstream, board));
  }

  get open(): number {
    return this.#endpoints.seats.reduce((sum, { pool }) => sum + pool.size, 0);
  }

  send(request: UpstreamRequest, handler: CallHandler): Call {
    const { pool, record } = this.#endpoints.choose();
    const watched = record && new WatchedCall(record, handler);
    const call = new WireCall(pool, request, watched ?? handler);
    if (watched !== undefined) watched.call = call;
    call.begin();
    return watched ?? call;
  }

  tunnel(request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler): Call {
    const { pool, record } = this.#endpoints.choose();
    const watched = record && new WatchedTunnel(record, handler);
    const tunnel = new WireTunnel(pool, request, answer, watched ?? handler);
    if (watched !== undefined) watched.call = tunnel;
    tunnel.begin();
    return watched ?? tunnel;
  }

  close(): void {
    for (const { pool } of this.#endpoints.seats) pool.close();
  }
}

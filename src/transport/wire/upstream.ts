import type { Limits, Upstream as UpstreamConfig } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { HeadEdits } from "../../http/head.ts";
import { chooseEndpoint } from "../endpoints.ts";
import type { Call, CallHandler, TunnelHandler, Upstream, UpstreamRequest } from "../transport.ts";
import { EndpointPool } from "./endpoint-pool.ts";
import type { Sockets } from "./sockets.ts";
import { WireTunnel } from "./tunnel.ts";
import { WireCall } from "./wire-call.ts";

export class WireUpstream implements Upstream {
  readonly name: string;
  readonly #pools: readonly [EndpointPool, ...EndpointPool[]];
  #turn = 0;

  constructor(config: UpstreamConfig, limits: Limits, deadlines: Deadlines, sockets: Sockets) {
    this.name = config.name;
    const [first, ...others] = config.endpoints.map((endpoint) => new EndpointPool(endpoint, config, limits, deadlines, sockets));
    if (first === undefined) throw new Error(`upstream ${config.name} has no endpoint`);
    this.#pools = [first, ...others];
  }

  get open(): number {
    return this.#pools.reduce((sum, pool) => sum + pool.size, 0);
  }

  send(request: UpstreamRequest, handler: CallHandler): Call {
    const call = new WireCall(chooseEndpoint(this.#pools, this.#turn++), request, handler);
    call.begin();
    return call;
  }

  tunnel(request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler): Call {
    const tunnel = new WireTunnel(chooseEndpoint(this.#pools, this.#turn++), request, answer, handler);
    tunnel.begin();
    return tunnel;
  }

  close(): void {
    for (const pool of this.#pools) pool.close();
  }
}

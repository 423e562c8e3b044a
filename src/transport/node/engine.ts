import type { Config } from "../../config/config.ts";
import { Deadlines } from "../../core/deadlines.ts";
import { ownBoard } from "../endpoints.ts";
import type { Transport } from "../transport.ts";
import { NodeListeners } from "./listeners.ts";
import { NodeUpstream } from "./upstream.ts";

/** Engine `node`: node:http towards clients, undici clients towards upstreams, http-proxy for upgrades. */
export function createNodeTransport(config: Config, board = ownBoard(config)): Transport {
  const deadlines = new Deadlines();
  const listeners = new NodeListeners(config.limits, deadlines);
  const upstreams: NodeUpstream[] = [];
  return {
    load: listeners.load,
    listen: (options, accept) => listeners.listen(options, accept),
    upstream(upstreamConfig) {
      const upstream = new NodeUpstream(upstreamConfig, config, board, deadlines);
      upstreams.push(upstream);
      return upstream;
    },
    async drain(graceMs) {
      await listeners.drain(graceMs);
      for (const upstream of upstreams) upstream.close();
      deadlines.close();
    },
    destroy() {
      listeners.destroy();
      for (const upstream of upstreams) upstream.close();
      deadlines.close();
    },
  };
}

import type { Config } from "../../config/config.ts";
import { Deadlines } from "../../core/deadlines.ts";
import { ownBoard } from "../endpoints.ts";
import type { Transport } from "../transport.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { WireListener, type ListenerParts } from "./listener.ts";
import { createNetSockets } from "./net-sockets.ts";
import { RequestMemoryPool } from "./request-memory.ts";
import type { Sockets } from "./sockets.ts";
import { WireUpstream } from "./upstream.ts";

/** Engine `wire`: our own HTTP/1.1, straight on sockets. */
export function createWireTransport(config: Config, board = ownBoard(config), sockets: Sockets = createNetSockets()): Transport {
  const deadlines = new Deadlines(undefined, sockets);
  const load = { connections: 0, exchanges: 0 };
  const { limits } = config;
  const parts: ListenerParts = {
    limits,
    deadlines,
    sockets,
    memory: new RequestMemoryPool(),
    answers: new AnswerWriter(sockets),
    load,
  };
  const listeners: WireListener[] = [];
  const upstreams: WireUpstream[] = [];
  const close = (): void => {
    for (const upstream of upstreams) upstream.close();
    deadlines.close();
  };
  return {
    load,
    listen(options, accept) {
      const listener = new WireListener(parts, accept);
      listeners.push(listener);
      return listener.listen(options);
    },
    upstream(upstreamConfig) {
      const upstream = new WireUpstream(upstreamConfig, config, board, deadlines, sockets);
      upstreams.push(upstream);
      return upstream;
    },
    async drain(graceMs) {
      await Promise.all(listeners.map((listener) => listener.drain(graceMs)));
      close();
    },
    destroy() {
      for (const listener of listeners) listener.destroy();
      close();
    },
  };
}

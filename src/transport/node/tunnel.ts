import { Agent, type ClientRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { createProxyServer } from "http-proxy";
import { Deadline, type Expiring } from "../../core/deadlines.ts";
import { forwardedFields, type HeadEdits } from "../../http/head.ts";
import type { Call, TunnelHandler, UpstreamRequest } from "../transport.ts";
import { clientTls } from "../tls.ts";
import type { EndpointPool } from "./pool.ts";
import { UpgradeDownstream } from "./upgrade.ts";
import type { NodeUpstream } from "./upstream.ts";

/**
 * Carries an upgraded connection. The endpoint is connected to first, by ourselves: as long as that fails the client's
 * connection is untouched and another arm may be asked. Then http-proxy takes over.
 */
export function openTunnel(
  upstream: NodeUpstream,
  pool: EndpointPool,
  request: UpstreamRequest,
  answer: HeadEdits,
  handler: TunnelHandler,
): Call {
  return new Tunnel(upstream, pool, request, answer, handler);
}

class Tunnel implements Expiring, Call {
  readonly #upstream: NodeUpstream;
  readonly #pool: EndpointPool;
  readonly #handler: TunnelHandler;
  readonly #remote: Socket;
  readonly #request: UpstreamRequest;
  readonly #deadline = new Deadline(this);
  #state: "connecting" | "asking" | "open" | "done" = "connecting";

  constructor(upstream: NodeUpstream, pool: EndpointPool, request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler) {
    this.#upstream = upstream;
    this.#pool = pool;
    this.#handler = handler;
    this.#request = request;
    pool.load++;
    const { host, port, secure, origin } = pool.endpoint;
    const remote = secure ? connectTls({ host, port, ...clientTls(pool.endpoint) }) : connect({ host, port });
    this.#remote = remote;
    upstream.deadlines.set(this.#deadline, upstream.connectTimeoutMs);
    remote.once(secure ? "secureConnect" : "connect", () => {
      upstream.deadlines.clear(this.#deadline);
      if (this.#state === "connecting") this.#ask(answer, origin);
    });
    remote.on("error", (error) => {
      if (this.#state === "connecting") this.#fail("connect-failed", error.message);
    });
  }

  cancel(): void {
    if (this.#state === "done") return;
    const { downstream } = this.#request;
    if (this.#state === "asking" && downstream instanceof UpgradeDownstream) downstream.reclaim();
    this.#finish();
    this.#remote.destroy();
  }

  pause(): void {}
  resume(): void {}

  expired(): void {
    this.#remote.destroy();
    this.#fail("connect-failed", `no connection to ${this.#pool.endpoint.origin} within ${this.#upstream.connectTimeoutMs} ms`);
  }

  #ask(answer: HeadEdits, origin: string): void {
    const request = this.#request;
    const { downstream } = request;
    if (!(downstream instanceof UpgradeDownstream)) throw new TypeError("not an upgrade request");
    this.#state = "asking";
    const { req, socket, early } = downstream;
    downstream.release();
    req.url = request.target;
    req.headers = { ...headersOf(forwardedFields(request.from.fields, request.edits)), connection: "Upgrade", upgrade: "websocket" };
    const proxy = createProxyServer();
    proxy.on("proxyReqWs", (proxyReq: ClientRequest) => {
      proxyReq.once("response", (res: IncomingMessage) => {
        res.headers = { ...headersOf(forwardedFields(res.rawHeaders, answer)), connection: "close" };
        this.#opened(res.statusCode ?? 502);
      });
      proxyReq.once("upgrade", (res: IncomingMessage) => {
        const { upgrade } = res.headers;
        res.headers = { ...headersOf(forwardedFields(res.rawHeaders, answer)), connection: "Upgrade", upgrade: upgrade ?? "websocket" };
        this.#remote.once("close", () => downstream.hangUp());
        this.#opened(101);
      });
    });
    socket.once("close", () => {
      this.#remote.destroy();
      if (this.#state === "open") {
        this.#finish();
        this.#handler.onClose();
      }
      downstream.closed();
    });
    const agent = new OneSocketAgent(this.#remote);
    // On a connection that stands there is nothing left to encrypt: to http-proxy it is a plain one.
    const target = origin.replace(/^https:/, "http:");
    proxy.ws(req, socket, early, { target, agent }, (error: Error) => {
      if (this.#state === "asking") downstream.reclaim();
      this.#fail("reset", error.message);
    });
  }

  #opened(status: number): void {
    if (this.#state !== "asking") return;
    this.#state = "open";
    this.#handler.onOpen(status);
  }

  #fail(kind: "connect-failed" | "reset", detail: string): void {
    if (this.#state === "done") return;
    const wasOpen = this.#state === "open";
    this.#finish();
    if (kind === "connect-failed") this.#upstream.shun(this.#pool);
    if (wasOpen) this.#handler.onClose();
    else this.#handler.onFailure({ kind, detail });
  }

  #finish(): void {
    this.#state = "done";
    this.#pool.load--;
    this.#upstream.deadlines.clear(this.#deadline);
  }
}

/** Hands http-proxy the connection that stands already. */
class OneSocketAgent extends Agent {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ keepAlive: false, maxSockets: 1 });
    this.#socket = socket;
  }

  override createConnection(): Socket {
    return this.#socket;
  }
}

function headersOf(fields: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] ?? "").toLowerCase();
    const value = fields[i + 1] ?? "";
    const before = headers[name];
    headers[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return headers;
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Limits } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { FailureCode } from "../../core/failures.ts";
import { forwardedFields } from "../../http/head.ts";
import type { Accept, ListenOptions } from "../transport.ts";
import { serverTls } from "../tls.ts";
import { NodeDownstream, reasonOf } from "./downstream.ts";
import { Turns } from "./turns.ts";
import { upgradeDownstream } from "./upgrade.ts";

/** Slow heads are looked for this often; a head may take that much longer than its limit. */
const HEAD_CHECK_MS = 500;

/** What Node's parser and server report, as our failures. */
const FAILURE_OF: Readonly<Record<string, FailureCode>> = {
  HPE_HEADER_OVERFLOW: "head-too-large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "body-too-large",
  ERR_HTTP_REQUEST_TIMEOUT: "request-timeout",
  HPE_INVALID_TRANSFER_ENCODING: "ambiguous-request",
  HPE_UNEXPECTED_CONTENT_LENGTH: "ambiguous-request",
};

/** All listening sockets of one worker, and the connections that came through them. */
export class NodeListeners {
  readonly load = { connections: 0, exchanges: 0 };
  readonly #limits: Limits;
  readonly #deadlines: Deadlines;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #turns = new Turns();
  #draining = false;
  #idleClosing = false;

  constructor(limits: Limits, deadlines: Deadlines) {
    this.#limits = limits;
    this.#deadlines = deadlines;
  }

  listen(options: ListenOptions, accept: Accept): Promise<number> {
    const limits = this.#limits;
    const http = {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headerTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: HEAD_CHECK_MS,
      requireHostHeader: false,
      noDelay: true,
      shouldUpgradeCallback: isWebSocket,
    };
    const { tls } = options;
    const server = tls === undefined ? createServer(http) : createSecureServer({ ...http, ...serverTls(tls, limits.headerTimeoutMs) });
    // Fields beyond a count would be dropped in silence; the size of the head is the limit.
    server.maxHeadersCount = 0;
    server.maxConnections = limits.connections;
    const begin = (req: IncomingMessage, res: ServerResponse, expects: boolean): void => {
      this.#begin(
        new NodeDownstream({ listeners: this, limits, deadlines: this.#deadlines, req, res, port: options.port, expects }),
        req.socket,
        accept,
      );
    };
    server.on("request", (req, res) => begin(req, res, false));
    server.on("checkContinue", (req, res) => begin(req, res, true));
    server.on("checkExpectation", (req: IncomingMessage, res: ServerResponse) => {
      const refusal = { failure: "expectation-failed", detail: "Expect" } as const;
      this.#begin(
        new NodeDownstream({ listeners: this, limits, deadlines: this.#deadlines, req, res, port: options.port, expects: false, refusal }),
        req.socket,
        accept,
      );
    });
    const beginUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
      this.#begin(
        upgradeDownstream({ listeners: this, limits, deadlines: this.#deadlines, req, port: options.port }, socket, head),
        socket,
        accept,
      );
    };
    server.on("upgrade", beginUpgrade);
    server.on("connect", beginUpgrade);
    server.on("timeout", (socket) => this.#silent(socket));
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#clientError(error, socket, accept));
    server.on("connection", (socket: Socket) => {
      this.load.connections++;
      this.#sockets.add(socket);
      socket.once("close", () => {
        this.load.connections--;
        this.#sockets.delete(socket);
      });
    });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: options.host, port: options.port, reusePort: options.reusePort, backlog: 4096 }, () => {
        server.removeListener("error", reject);
        this.#servers.push(server);
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : options.port);
      });
    });
  }

  #begin(downstream: NodeDownstream, socket: Duplex, accept: Accept): void {
    this.#turns.take(downstream, socket, () => {
      this.load.exchanges++;
      downstream.begin(accept.request(downstream));
    });
  }

  /** The answer now being written must be the last on its connection. */
  isLast(socket: Duplex): boolean {
    return this.#turns.isLast(socket) || (this.#draining && !this.#turns.hasWaiting(socket));
  }

  /** An exchange is over; while draining, its connection has nothing more to wait for. */
  ended(downstream: NodeDownstream, socket: Duplex): void {
    this.load.exchanges--;
    this.#turns.end(downstream, socket);
    if (this.#idleClosing) setImmediate(() => this.#closeIdle());
  }

  /** Nothing moves: a connection idle for too long, or a client that does not take the rest of its answer. */
  #silent(socket: Socket): void {
    if (socket.writableLength > 0 || this.#turns.current(socket) === undefined) socket.destroy();
  }

  #clientError(error: NodeJS.ErrnoException & { readonly reason?: string }, socket: Duplex, accept: Accept): void {
    const code = error.code ?? "";
    const current = this.#turns.current(socket);
    const parsing = code.startsWith("HPE_") || code === "ERR_HTTP_REQUEST_TIMEOUT";
    if (!parsing || !socket.writable) {
      socket.destroy();
      return;
    }
    // In the middle of an exchange the bad bytes belong to its body, or follow it: no second answer may be put into it.
    if (current !== undefined) {
      this.#turns.close(socket);
      if (!current.req.complete) current.bodyBroken(FAILURE_OF[code] === "body-too-large" ? "body-too-large" : "bad-request");
      return;
    }
    const detail = error.reason ?? error.message.replace(/^Parse Error: /, "");
    const failure = detail === "Invalid HTTP version" ? "version-not-supported" : (FAILURE_OF[code] ?? "bad-request");
    const { head, body } = accept.malformed(failure, detail);
    const fields = forwardedFields(head.from?.fields ?? [], head.edits);
    let text = `HTTP/1.1 ${head.status} ${reasonOf(head)}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n`;
    for (let i = 0; i + 1 < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
    socket.end(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), body]), () => socket.destroy());
  }

  drain(graceMs: number): Promise<void> {
    this.#draining = true;
    const closed = this.#servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          // After the poll phase, so that what the system has already accepted for us has been taken over. Not http's own
          // close(): it would cut idle connections on which a request may be on its way.
          setImmediate(() => NetServer.prototype.close.call(server, () => resolve()));
        }),
    );
    const grace = setTimeout(() => {
      this.#idleClosing = true;
      this.#closeIdle();
    }, graceMs);
    return Promise.all(closed)
      .then(() => this.#allGone())
      .then(() => clearTimeout(grace));
  }

  /** A server hears of the end of its last TLS connection before we do. */
  async #allGone(): Promise<void> {
    await Promise.all(Array.from(this.#sockets, (socket) => new Promise((resolve) => socket.once("close", resolve))));
  }

  destroy(): void {
    this.#draining = true;
    for (const server of this.#servers) NetServer.prototype.close.call(server);
    for (const socket of this.#sockets) socket.destroy();
  }

  #closeIdle(): void {
    for (const server of this.#servers) server.closeIdleConnections();
  }
}

/** Only WebSocket is tunnelled; other offers (h2c) are ignored, as RFC 9110, 7.8 allows, and the request answered plainly. */
function isWebSocket(req: IncomingMessage): boolean {
  const { headers } = req;
  // With a body, what follows the head is not yet the tunnel's.
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0) return false;
  return req.method === "GET" && req.httpVersion === "1.1" && headers.upgrade?.toLowerCase() === "websocket";
}

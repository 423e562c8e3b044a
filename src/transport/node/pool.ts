import { buildConnector, Client } from "undici";
import type { Endpoint, Limits, Upstream as UpstreamConfig } from "../../config/config.ts";
import type { EndpointState } from "../endpoints.ts";
import { clientTls } from "../tls.ts";

/** A freed or refused place in a pool wakes the next in line. */
export interface Waiter {
  connected(connection: Connection): void;
}

/** One connection to an endpoint: an undici client that carries one request at a time. */
export class Connection {
  readonly client: Client;
  /** Whether the present socket has answered a request before. */
  reused = false;
  /** Its socket has failed: whatever came last was not ended by the endpoint. */
  broken = false;
  busy = true;
  readonly #pool: EndpointPool;

  constructor(pool: EndpointPool, client: Client) {
    this.#pool = pool;
    this.client = client;
    client.on("disconnect", () => {
      this.reused = false;
      if (!this.busy) this.#pool.remove(this);
    });
  }

  /** The request is over and the connection may serve another. */
  release(): void {
    this.#pool.release(this);
  }

  /** The connection is of no more use. */
  discard(): void {
    this.#pool.remove(this);
  }
}

/**
 * Keep-alive connections to one endpoint. The last used is the first reused, so that surplus ones grow old and close; above
 * the limit requests wait their turn.
 */
export class EndpointPool implements EndpointState {
  readonly endpoint: Endpoint;
  load = 0;
  shunnedUntil = 0;
  readonly #config: UpstreamConfig;
  readonly #limits: Limits;
  /** One for all connections, for it remembers TLS sessions. */
  readonly #connect: buildConnector.connector;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #waiting = new Set<Waiter>();
  #closed = false;

  constructor(endpoint: Endpoint, config: UpstreamConfig, limits: Limits) {
    this.endpoint = endpoint;
    this.#config = config;
    this.#limits = limits;
    this.#connect = endpoint.secure ? secureConnector(endpoint) : buildConnector({ allowH2: false, timeout: 0 });
  }

  get size(): number {
    return this.#all.size;
  }

  /** Gives the waiter a connection: an idle one unless `fresh`, a new one, or the next that falls free. */
  acquire(waiter: Waiter, fresh: boolean): void {
    const idle = fresh ? undefined : this.#idle.pop();
    if (idle !== undefined) {
      idle.busy = true;
      waiter.connected(idle);
    } else if (this.#all.size < this.#config.maxConnections) {
      waiter.connected(this.#open());
    } else {
      this.#waiting.add(waiter);
    }
  }

  forget(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  release(connection: Connection): void {
    if (!this.#all.has(connection)) return;
    if (this.#closed) {
      this.remove(connection);
      return;
    }
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next);
      next.connected(connection);
      return;
    }
    connection.busy = false;
    this.#idle.push(connection);
  }

  remove(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    connection.busy = true;
    void connection.client.destroy();
    const [next] = this.#waiting;
    if (next !== undefined && !this.#closed) {
      this.#waiting.delete(next);
      next.connected(this.#open());
    }
  }

  close(): void {
    this.#closed = true;
    for (let idle = this.#idle.at(-1); idle !== undefined; idle = this.#idle.at(-1)) this.remove(idle);
  }

  #open(): Connection {
    const client = new Client(this.endpoint.origin, {
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: this.#limits.headerBytes,
      keepAliveTimeout: this.#config.keepAliveMs,
      keepAliveMaxTimeout: this.#config.keepAliveMs,
      keepAliveTimeoutThreshold: 1_000,
      // Every wait runs under a deadline of ours.
      headersTimeout: 0,
      bodyTimeout: 0,
      connectTimeout: 0,
      connect: (options, callback) => {
        this.#connect(options, (...result) => {
          const [, socket] = result;
          connection.broken = false;
          socket?.on("error", () => {
            connection.broken = true;
          });
          callback(...result);
        });
      },
    });
    const connection: Connection = new Connection(this, client);
    this.#all.add(connection);
    return connection;
  }
}

/** undici would take the name to be proven from the request's Host, which is the client's to write. */
function secureConnector(endpoint: Endpoint): buildConnector.connector {
  const { servername, ca } = clientTls(endpoint);
  const connect = buildConnector({ allowH2: false, timeout: 0, ...(ca === undefined ? {} : { ca }) });
  return (options, callback) => connect({ ...options, servername }, callback);
}

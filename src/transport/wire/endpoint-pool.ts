import type { Endpoint, Limits, Upstream as UpstreamConfig } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { EndpointState } from "../endpoints.ts";
import type { Sockets } from "./sockets.ts";
import { UpstreamConnection } from "./upstream-connection.ts";
import type { WireCall } from "./wire-call.ts";

/**
 * Keep-alive connections to one endpoint. The last used is the first reused, so that surplus ones grow old and close; above
 * the limit requests wait their turn.
 */
export class EndpointPool implements EndpointState {
  readonly endpoint: Endpoint;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly sockets: Sockets;
  readonly keepAliveMs: number;
  readonly connectTimeoutMs: number;
  /** Host field for requests that bring none. */
  readonly authority: string;
  load = 0;
  shunnedUntil = 0;
  readonly #most: number;
  readonly #idle: UpstreamConnection[] = [];
  readonly #all = new Set<UpstreamConnection>();
  readonly #waiting = new Set<WireCall>();
  #closed = false;

  constructor(endpoint: Endpoint, config: UpstreamConfig, limits: Limits, deadlines: Deadlines, sockets: Sockets) {
    this.endpoint = endpoint;
    this.limits = limits;
    this.deadlines = deadlines;
    this.sockets = sockets;
    this.keepAliveMs = config.keepAliveMs;
    this.connectTimeoutMs = config.connectTimeoutMs;
    this.authority = new URL(endpoint.origin).host;
    this.#most = config.maxConnections;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Gives the call a connection: an idle one unless `fresh`, a new one, or the next that falls free. */
  acquire(call: WireCall, fresh: boolean): void {
    const idle = fresh ? undefined : this.#idle.pop();
    // Nobody would ever give back a connection that rests: it makes room for the one that is wanted instead.
    if (fresh && this.#all.size >= this.#most) this.#idle[0]?.close();
    if (idle !== undefined) idle.take(call);
    else if (this.#all.size < this.#most) this.#open(call);
    else this.#waiting.add(call);
  }

  forget(call: WireCall): void {
    this.#waiting.delete(call);
  }

  /** The connection may serve another request. */
  release(connection: UpstreamConnection): void {
    if (this.#closed) {
      connection.close();
      return;
    }
    if (this.#waiting.size === 0) {
      this.#idle.push(connection);
      connection.rest();
      return;
    }
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    connection.take(next);
  }

  /** The connection is of no more use. */
  remove(connection: UpstreamConnection): void {
    if (!this.#all.delete(connection)) return;
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    const [next] = this.#waiting;
    if (next === undefined || this.#closed) return;
    this.#waiting.delete(next);
    this.#open(next);
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #open(call: WireCall): void {
    const connection = new UpstreamConnection(this);
    this.#all.add(connection);
    connection.connect(call);
  }
}

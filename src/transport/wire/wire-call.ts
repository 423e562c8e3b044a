import { performance } from "node:perf_hooks";
import { SHUN_MS } from "../endpoints.ts";
import type { Call, CallFailure, CallHandler, UpstreamRequest } from "../transport.ts";
import type { EndpointPool } from "./endpoint-pool.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";

/** One request to one endpoint, from the wait for a connection to the last byte. */
export class WireCall implements Call {
  readonly pool: EndpointPool;
  readonly request: UpstreamRequest;
  readonly handler: CallHandler;
  connection: UpstreamConnection | undefined;
  done = false;

  constructor(pool: EndpointPool, request: UpstreamRequest, handler: CallHandler) {
    this.pool = pool;
    this.request = request;
    this.handler = handler;
  }

  begin(): void {
    this.pool.load++;
    this.pool.acquire(this, this.request.fresh);
  }

  cancel(): void {
    if (this.done) return;
    this.finish();
    this.pool.forget(this);
    this.connection?.close();
  }

  pause(): void {
    if (!this.done) this.connection?.socket.wantRead(false);
  }

  resume(): void {
    if (!this.done) this.connection?.socket.wantRead(true);
  }

  /** The answer is complete, or will not be; what is called on the handler next is the last. */
  finish(): void {
    this.done = true;
    this.pool.load--;
  }

  fail(failure: CallFailure): void {
    if (this.done) return;
    this.finish();
    if (failure.kind === "connect-failed") this.pool.shunnedUntil = performance.now() + SHUN_MS;
    this.handler.onFailure(failure);
  }
}

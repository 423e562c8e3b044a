import type { Dispatcher } from "undici";
import { Deadline, type Expiring } from "../../core/deadlines.ts";
import { FieldList, forwardedFields, type ResponseHead } from "../../http/head.ts";
import { forwardedTrailers } from "../trailers.ts";
import type { Call, CallFailure, CallHandler, UpstreamRequest } from "../transport.ts";
import { NodeDownstream } from "./downstream.ts";
import type { Connection, EndpointPool, Waiter } from "./pool.ts";
import type { NodeUpstream } from "./upstream.ts";

class NodeResponseHead extends FieldList implements ResponseHead {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, raw: unknown) {
    super(fieldsOf(raw));
    this.status = status;
    // Some servers write words of their own here. They mean nothing, and not all of them can be sent on.
    this.reason = /^[\t\x20-\x7e\x80-\xff]*$/.test(reason) ? reason : "";
  }

  keep(): ResponseHead {
    return this;
  }
}

/** undici hands raw fields over as buffers in a flat list. */
function fieldsOf(raw: unknown): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((part: unknown) => (Buffer.isBuffer(part) ? part.toString("latin1") : String(part)));
}

/** Codes after which what came cannot be trusted to be an answer at all. */
const BAD_ANSWER: ReadonlySet<string> = new Set(["UND_ERR_HEADERS_OVERFLOW", "UND_ERR_RES_EXCEEDED_MAX_SIZE", "UND_ERR_NOT_SUPPORTED"]);

/** One request to one endpoint, from the wait for a connection to the last byte. */
export class NodeCall implements Expiring, Call, Waiter, Dispatcher.DispatchHandler {
  readonly #upstream: NodeUpstream;
  readonly #pool: EndpointPool;
  readonly #request: UpstreamRequest;
  readonly #handler: CallHandler;
  #connection: Connection | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  readonly #deadline = new Deadline(this);
  #sent = false;
  #done = false;
  #paused = false;

  constructor(upstream: NodeUpstream, pool: EndpointPool, request: UpstreamRequest, handler: CallHandler) {
    this.#upstream = upstream;
    this.#pool = pool;
    this.#request = request;
    this.#handler = handler;
    pool.load++;
    pool.acquire(this, request.fresh);
  }

  connected(connection: Connection): void {
    this.#connection = connection;
    // Waiting for a free connection is bounded by whoever waits for the answer; only connecting is bounded here.
    this.#upstream.deadlines.set(this.#deadline, this.#upstream.connectTimeoutMs);
    const { method, target, from, edits, body, downstream } = this.#request;
    const fields = forwardedFields(from.fields, edits);
    // The length of a body we hold is known; the client's field could only differ from it.
    if (body.kind !== "stream") dropField(fields, "content-length");
    if (from.host === "") {
      dropField(fields, "host");
      fields.push("Host", new URL(this.#pool.endpoint.origin).host);
    }
    const { host } = this.#pool.endpoint;
    // Not in undici's types. The same for all requests, for one connection is made for one name.
    const options: Dispatcher.DispatchOptions & { readonly servername: string } = {
      servername: host,
      method,
      path: target,
      headers: fields,
      body: body.kind === "kept" ? body.bytes : body.kind === "stream" && downstream instanceof NodeDownstream ? downstream.req : null,
      // undici would close the connection after HEAD; those who answer HEAD with a body are found out by its parser.
      reset: false,
      blocking: false,
    };
    connection.client.dispatch(options, this);
  }

  cancel(): void {
    if (this.#done) return;
    this.#finish();
    this.#pool.forget(this);
    if (this.#controller !== undefined) this.#controller.abort(new Error("cancelled"));
    this.#connection?.discard();
  }

  pause(): void {
    this.#paused = true;
    this.#controller?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#controller?.resume();
  }

  /** No connection in time: nothing has been sent. */
  expired(): void {
    this.#fail({
      kind: "connect-failed",
      detail: `no connection to ${this.#pool.endpoint.origin} within ${this.#upstream.connectTimeoutMs} ms`,
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#done) {
      controller.abort(new Error("cancelled"));
      return;
    }
    this.#upstream.deadlines.clear(this.#deadline);
    this.#controller = controller;
    this.#sent = true;
    const { downstream, body } = this.#request;
    if (body.kind === "stream" && downstream instanceof NodeDownstream) downstream.streamBody();
    this.#handler.onSent(this.#connection?.reused ?? false);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, reason?: string): void {
    if (this.#done) return;
    if (status < 200) this.#handler.onInformation(status, fieldsOf(controller.rawHeaders));
    else this.#handler.onHead(new NodeResponseHead(status, reason ?? "", controller.rawHeaders));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#done) this.#handler.onData(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#done) return;
    // undici takes a reset for the end of an answer without a length.
    if (this.#connection?.broken === true) {
      this.#fail({ kind: "reset", detail: "the connection was reset within an answer without a length" });
      return;
    }
    this.#finish();
    if (this.#connection !== undefined) {
      this.#connection.reused = true;
      this.#connection.release();
    }
    const trailers = fieldsOf(controller.rawTrailers);
    this.#handler.onEnd(forwardedTrailers(trailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error & { readonly code?: string }): void {
    if (this.#done) return;
    const detail = error.code === undefined ? error.message : `${error.code}: ${error.message}`;
    // A request that undici will not send says nothing about the endpoint.
    if (!this.#sent) this.#fail({ kind: "connect-failed", detail, unsendable: error.code === "UND_ERR_INVALID_ARG" });
    else if (BAD_ANSWER.has(error.code ?? "") || error.name === "HTTPParserError") this.#fail({ kind: "bad-answer", detail });
    else this.#fail({ kind: "reset", detail });
  }

  #fail(failure: CallFailure): void {
    if (this.#done) return;
    this.#finish();
    this.#pool.forget(this);
    if (failure.kind === "connect-failed" && failure.unsendable !== true) this.#upstream.shun(this.#pool);
    this.#connection?.discard();
    this.#handler.onFailure(failure);
  }

  #finish(): void {
    this.#done = true;
    this.#pool.load--;
    this.#upstream.deadlines.clear(this.#deadline);
  }
}

function dropField(fields: string[], name: string): void {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== name) continue;
    fields.splice(i, 2);
    return;
  }
}

import type { ResponseHead } from "../http/head.ts";
import type { EndpointRecord } from "./endpoints.ts";
import type { Call, CallFailure, CallHandler, TunnelHandler } from "./transport.ts";

/** From this status on an answer is a failure of the endpoint. */
const FAILING = 500;

/** What one request says of the endpoint that it was sent to; the first word counts. */
class Witness {
  readonly #record: EndpointRecord;
  /** Of before it was sent. */
  readonly #ejections: number;
  #silent = true;
  begun = false;

  constructor(record: EndpointRecord) {
    this.#record = record;
    this.#ejections = record.ejections;
  }

  answers(status: number): void {
    if (status >= FAILING) this.bad();
    else if (this.#silent && !this.begun) {
      this.begun = true;
      this.#record.begun(this.#ejections);
    }
  }

  good(): void {
    if (this.#speaks()) this.#record.good(this.#ejections);
  }

  bad(): void {
    if (this.#speaks()) this.#record.bad(this.#ejections);
  }

  nothing(): void {
    if (this.#speaks()) this.#record.nothing(this.#ejections);
  }

  /** It is given up. What had begun to answer is not to blame for that. */
  ended(): void {
    if (this.begun) this.good();
    else this.nothing();
  }

  #speaks(): boolean {
    const speaks = this.#silent;
    this.#silent = false;
    return speaks;
  }
}

/**
 * Stands between a request and who sent it, and tells the endpoint's record what comes of it: before the handler hears of it, who may
 * choose an endpoint for another try.
 */
export class WatchedCall implements Call, CallHandler {
  /** Set as soon as the request has been handed to the engine. */
  call: Call | undefined;
  readonly #witness: Witness;
  readonly #handler: CallHandler;
  #sent = false;
  #reused = false;

  constructor(record: EndpointRecord, handler: CallHandler) {
    this.#witness = new Witness(record);
    this.#handler = handler;
  }

  cancel(): void {
    this.#witness.ended();
    this.call?.cancel();
  }

  blame(): void {
    this.#witness.bad();
  }

  pause(): void {
    this.call?.pause();
  }

  resume(): void {
    this.call?.resume();
  }

  onSent(reused: boolean): void {
    this.#sent = true;
    this.#reused = reused;
    this.#handler.onSent(reused);
  }

  onInformation(status: number, fields: readonly string[]): void {
    this.#handler.onInformation(status, fields);
  }

  onWhole(head: ResponseHead, body: Uint8Array, trailers: readonly string[]): void {
    if (head.status >= FAILING) this.#witness.bad();
    else this.#witness.good();
    this.#handler.onWhole(head, body, trailers);
  }

  onHead(head: ResponseHead): void {
    this.#witness.answers(head.status);
    this.#handler.onHead(head);
  }

  onData(chunk: Uint8Array): void {
    this.#handler.onData(chunk);
  }

  onEnd(trailers: readonly string[]): void {
    this.#witness.good();
    this.#handler.onEnd(trailers);
  }

  onFailure(failure: CallFailure): void {
    if (this.#isEndpoints(failure)) this.#witness.bad();
    else this.#witness.nothing();
    this.#handler.onFailure(failure);
  }

  /** Not a request that nobody could send, nor an idle connection that closed just as it was used again. */
  #isEndpoints({ kind, unsendable }: CallFailure): boolean {
    if (unsendable === true) return false;
    return kind !== "reset" || this.#witness.begun || (this.#sent && !this.#reused);
  }
}

/** The same for a tunnel. An endpoint that agrees to one, or declines it, is well. */
export class WatchedTunnel implements Call, TunnelHandler {
  /** Set as soon as the request has been handed to the engine. */
  call: Call | undefined;
  readonly #witness: Witness;
  readonly #handler: TunnelHandler;

  constructor(record: EndpointRecord, handler: TunnelHandler) {
    this.#witness = new Witness(record);
    this.#handler = handler;
  }

  cancel(): void {
    this.#witness.ended();
    this.call?.cancel();
  }

  blame(): void {
    this.#witness.bad();
  }

  pause(): void {
    this.call?.pause();
  }

  resume(): void {
    this.call?.resume();
  }

  onOpen(status: number): void {
    if (status >= FAILING) this.#witness.bad();
    else this.#witness.good();
    this.#handler.onOpen(status);
  }

  onClose(): void {
    this.#handler.onClose();
  }

  onFailure(failure: CallFailure): void {
    this.#witness.bad();
    this.#handler.onFailure(failure);
  }
}

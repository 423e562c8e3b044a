import { performance } from "node:perf_hooks";
import { Deadline, type Expiring } from "../../core/deadlines.ts";
import { DONE, MORE } from "../../http/raw-head.ts";
import { RawResponse } from "../../http/raw-response.ts";
import { fieldLine, type HeadEdits } from "../../http/head.ts";
import { REFUSALS } from "../../http/refusals.ts";
import { headRoom, writeRequestHead } from "../../http/write-head.ts";
import { SHUN_MS } from "../endpoints.ts";
import type { Call, CallFailure, TunnelHandler, UpstreamRequest } from "../transport.ts";
import { AnswerBody } from "./answer-body.ts";
import { WireDownstream } from "./downstream.ts";
import type { EndpointPool } from "./endpoint-pool.ts";
import type { SocketHandler, WireSocket } from "./sockets.ts";

/** A client that does not close its half, or take what is left for it, is not waited for longer. */
const LINGER_MS = 2_000;
const UPGRADE = "Connection: Upgrade\r\n";

/**
 * connecting  to the endpoint
 * asking      the request has been sent
 * answering   the endpoint declined, and its answer is passed on
 * open        bytes flow both ways
 * closing     the endpoint has ended, and the client gets what was still on its way
 * leaving     the client has ended, and the endpoint gets what was still on its way
 */
type State = "connecting" | "asking" | "answering" | "open" | "closing" | "leaving" | "done";

/** An upgraded connection: a request on a connection of its own, and then bytes. */
export class WireTunnel implements Expiring, Call, SocketHandler {
  readonly #pool: EndpointPool;
  readonly #request: UpstreamRequest;
  readonly #answer: HeadEdits;
  readonly #handler: TunnelHandler;
  readonly #downstream: WireDownstream;
  readonly #head = new RawResponse();
  readonly #deadline = new Deadline(this);
  #remote: WireSocket | undefined;
  #state: State = "connecting";
  #partial: Buffer = Buffer.alloc(0);
  readonly #body = new AnswerBody();

  constructor(pool: EndpointPool, request: UpstreamRequest, answer: HeadEdits, handler: TunnelHandler) {
    const { downstream } = request;
    if (!(downstream instanceof WireDownstream)) throw new TypeError("a connection that another engine reads cannot be taken over");
    this.#pool = pool;
    this.#request = request;
    this.#answer = answer;
    this.#handler = handler;
    this.#downstream = downstream;
  }

  begin(): void {
    const { sockets, deadlines, endpoint, connectTimeoutMs } = this.#pool;
    this.#pool.load++;
    deadlines.set(this.#deadline, connectTimeoutMs);
    this.#remote = sockets.connect(endpoint, this);
  }

  cancel(): void {
    if (this.#state === "done" || this.#state === "leaving") return;
    this.#finish();
    this.#remote?.close();
  }

  pause(): void {
    this.#remote?.wantRead(false);
  }

  resume(): void {
    this.#remote?.wantRead(true);
  }

  expired(): void {
    const { endpoint, connectTimeoutMs } = this.#pool;
    if (this.#state !== "connecting") this.#end();
    else this.#fail("connect-failed", `no connection to ${endpoint.origin} within ${connectTimeoutMs} ms`);
  }

  onConnected(): void {
    const { deadlines, sockets, authority } = this.#pool;
    const { method, target, from, edits } = this.#request;
    deadlines.clear(this.#deadline);
    this.#state = "asking";
    const set = `${edits.set}${UPGRADE}${fieldLine("Upgrade", from.get("upgrade") ?? "websocket")}`;
    const asked = { ...edits, set };
    const out = sockets.scratch(headRoom(from, asked, method.length + target.length + authority.length + 128));
    this.#remote?.send(out, 0, writeRequestHead(out, 0, from, method, target, asked, authority, "none"));
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    switch (this.#state) {
      case "asking":
        this.#partial = Buffer.concat([this.#partial, bytes.subarray(start, end)]);
        this.#readHead();
        break;
      case "answering":
        this.#readBody(bytes, start, end);
        break;
      case "open":
        if (!this.#client.send(bytes, start, end)) this.#remote?.wantRead(false);
        break;
      default:
    }
  }

  /** The endpoint takes bytes again. */
  onDrained(): void {
    if (this.#state === "open") this.#client.wantRead(true);
    else if (this.#state === "leaving") this.#end();
  }

  onEnd(): void {
    this.onClosed(undefined);
  }

  onClosed(failure: string | undefined): void {
    const detail = failure ?? "the endpoint closed the connection";
    switch (this.#state) {
      case "connecting":
        this.#fail("connect-failed", detail);
        break;
      case "asking":
        this.#fail("reset", detail);
        break;
      case "answering":
        if (this.#body.untilClose && failure === undefined) this.#answered();
        else this.#end();
        break;
      case "open":
        this.#hangUp();
        break;
      case "leaving":
        this.#end();
        break;
      default:
    }
  }

  get #client(): WireSocket {
    return this.#downstream.connection.socket;
  }

  #readHead(): void {
    const head = this.#head;
    const { headerBytes } = this.#pool.limits;
    let bytes = this.#partial;
    head.reset();
    let result = head.read(bytes, 0, bytes.length, headerBytes);
    // A loop, for one read may bring thousands of them.
    while (result === DONE && head.refusal === undefined && head.status < 200 && head.status !== 101) {
      bytes = bytes.subarray(head.end);
      head.reset();
      result = head.read(bytes, 0, bytes.length, headerBytes);
    }
    this.#partial = bytes;
    if (result === MORE) return;
    if (result !== DONE || head.refusal !== undefined) {
      this.#fail("bad-answer", head.refusal === undefined ? "not an HTTP answer" : REFUSALS[head.refusal].detail);
    } else if (head.status === 101) this.#open(bytes.subarray(head.end));
    else this.#decline(bytes, head.end);
  }

  #open(rest: Buffer): void {
    const { connection } = this.#downstream;
    const { status, reason } = this.#head;
    this.#state = "open";
    this.#downstream.release();
    const set = `${this.#answer.set}${UPGRADE}${fieldLine("Upgrade", this.#head.get("upgrade") ?? "websocket")}`;
    connection.home.answers.send(this.#client, { status, reason, from: this.#head, edits: { ...this.#answer, set } }, "none", "", rest);
    const early = connection.becomeTunnel(new ClientSide(this));
    this.#handler.onOpen(status);
    if (early.length > 0) this.#remote?.send(early, 0, early.length);
    this.#client.wantRead(true);
  }

  /** The endpoint answers in its own words, and the client gets them. */
  #decline(bytes: Buffer, start: number): void {
    const head = this.#head;
    this.#state = "answering";
    this.#body.begin(head, this.#request.method);
    this.#handler.onOpen(head.status);
    this.#downstream.startLast({ status: head.status, reason: head.reason, from: head.keep(), edits: this.#answer }, this.#clientTakes);
    if (this.#body.complete) this.#answered();
    else this.#readBody(bytes, start, bytes.length);
  }

  #readBody(bytes: Buffer, start: number, end: number): void {
    const body = this.#body;
    body.read(bytes, start, end);
    if (body.dataEnd > body.dataStart && !this.#downstream.write(bytes.subarray(body.dataStart, body.dataEnd)))
      this.#remote?.wantRead(false);
    if (body.refusal !== undefined) this.#end();
    else if (body.complete) this.#answered();
    else this.#watch();
  }

  /** The client takes more of the answer again. */
  readonly #clientTakes = (): void => {
    if (this.#state !== "answering") return;
    this.#remote?.wantRead(true);
    this.#watch();
  };

  /** Neither the endpoint that declined nor the client may let its answer stand still for longer. */
  #watch(): void {
    this.#pool.deadlines.set(this.#deadline, this.#pool.limits.bodyTimeoutMs);
  }

  #answered(): void {
    this.#finish();
    this.#remote?.close();
    this.#downstream.end([]);
  }

  /** What the client says goes to the endpoint. */
  fromClient(bytes: Buffer, start: number, end: number): void {
    if (this.#state === "open" && this.#remote?.send(bytes, start, end) === false) this.#client.wantRead(false);
  }

  clientDrained(): void {
    if (this.#state === "closing") this.#end();
    else this.#remote?.wantRead(true);
  }

  /** The client has closed. What it said last is still delivered. */
  clientEnded(): void {
    if (this.#state === "leaving") return;
    // Before it is asked what waits: only now may it be known.
    if (this.#state === "open") this.#remote?.finish();
    if (this.#state !== "open" || this.#remote?.pending !== true) {
      this.#end();
      return;
    }
    this.#state = "leaving";
    this.#client.close();
    this.#pool.deadlines.set(this.#deadline, LINGER_MS);
  }

  /** The endpoint has closed. What it said last is still delivered. */
  #hangUp(): void {
    this.#remote?.close();
    this.#client.finish();
    if (!this.#client.pending) {
      this.#end();
      return;
    }
    this.#state = "closing";
    this.#pool.deadlines.set(this.#deadline, LINGER_MS);
  }

  #end(): void {
    if (this.#state === "done") return;
    const stood = this.#state === "open" || this.#state === "closing" || this.#state === "leaving";
    this.#finish();
    this.#remote?.close();
    this.#client.close();
    if (stood) this.#handler.onClose();
  }

  #fail(kind: CallFailure["kind"], detail: string): void {
    if (this.#state === "done") return;
    this.#finish();
    this.#remote?.close();
    if (kind === "connect-failed") this.#pool.shunnedUntil = performance.now() + SHUN_MS;
    this.#handler.onFailure({ kind, detail });
  }

  #finish(): void {
    this.#state = "done";
    this.#pool.load--;
    this.#pool.deadlines.clear(this.#deadline);
  }
}

/** The client's end of a tunnel. */
class ClientSide implements SocketHandler {
  readonly #tunnel: WireTunnel;

  constructor(tunnel: WireTunnel) {
    this.#tunnel = tunnel;
  }

  onConnected(): void {}

  onBytes(bytes: Buffer, start: number, end: number): void {
    this.#tunnel.fromClient(bytes, start, end);
  }

  onDrained(): void {
    this.#tunnel.clientDrained();
  }

  onEnd(): void {
    this.#tunnel.clientEnded();
  }

  onClosed(): void {
    this.#tunnel.clientEnded();
  }
}

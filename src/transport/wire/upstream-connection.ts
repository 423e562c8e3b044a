import { Deadline, type Expiring } from "../../core/deadlines.ts";
import { DONE, MORE } from "../../http/raw-head.ts";
import { RawResponse } from "../../http/raw-response.ts";
import { REFUSALS, type RefusalName } from "../../http/refusals.ts";
import { headRoom, writeRequestHead } from "../../http/write-head.ts";
import type { UpstreamRequest } from "../transport.ts";
import { AnswerBody } from "./answer-body.ts";
import { WireDownstream } from "./downstream.ts";
import type { EndpointPool } from "./endpoint-pool.ts";
import type { BodySink } from "./request-body.ts";
import type { SocketHandler, WireSocket } from "./sockets.ts";
import type { WireCall } from "./wire-call.ts";

/** Longer bodies are sent from where they lie, shorter ones together with their head. */
const TOGETHER_BYTES = 65_536;
const PARTIAL_BYTES = 4_096;
const CHUNK_ROOM = 32;
/** A connection is given up this long before the endpoint says that it would close it, so that no request meets it closing. */
const EARLY_MS = 1_000;
/** Methods whose empty body is announced, since servers expect one (RFC 9110, 8.6). */
const EXPECTS_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);
/** Idleness is looked at again after whole steps, so that all connections share a few lists of deadlines. */
const IDLE_STEP_MS = 1_000;
const NOTHING = Buffer.alloc(0);

/** What the bytes that come next are. */
type State = "connecting" | "idle" | "head" | "body" | "closed";

/** One connection to an endpoint. It carries one request at a time. */
export class UpstreamConnection implements Expiring, SocketHandler, BodySink {
  readonly socket: WireSocket;
  readonly #pool: EndpointPool;
  readonly #head = new RawResponse();
  readonly #deadline = new Deadline(this);
  #state: State = "connecting";
  #call: WireCall | undefined;
  /** Nothing of the present answer has been read. */
  #untouched = true;
  /** A head that came in several parts. */
  #partial: Buffer | undefined;
  #partialEnd = 0;
  readonly #body = new AnswerBody();
  /** Whose body is being sent. */
  #source: WireDownstream | undefined;
  #sendsChunks = false;
  #used = false;
  #idleMs: number;
  #idleSince = 0;
  #hinted = false;

  constructor(pool: EndpointPool) {
    this.#pool = pool;
    this.#idleMs = pool.keepAliveMs;
    this.socket = pool.sockets.connect(pool.endpoint, this);
  }

  /** Waits for the connection to be made, then sends. */
  connect(call: WireCall): void {
    this.#call = call;
    call.connection = this;
    // Waiting for a free connection is bounded by whoever waits for the answer; only connecting is bounded here.
    this.#pool.deadlines.set(this.#deadline, this.#pool.connectTimeoutMs);
  }

  take(call: WireCall): void {
    this.#call = call;
    call.connection = this;
    this.#send(call);
  }

  /** Nothing is under way. */
  rest(): void {
    this.#state = "idle";
    this.#idleSince = this.#pool.deadlines.lately;
    // It is not set and cleared with every request: when it comes and there has been one, it is set again.
    if (this.#deadline.at === 0) this.#pool.deadlines.set(this.#deadline, this.#idleMs);
  }

  close(): void {
    this.#abandon();
    this.socket.close();
  }

  expired(now: number): void {
    const call = this.#call;
    if (this.#state !== "connecting") {
      this.#idled(now);
      return;
    }
    this.close();
    call?.fail({
      kind: "connect-failed",
      detail: `no connection to ${this.#pool.endpoint.origin} within ${this.#pool.connectTimeoutMs} ms`,
    });
  }

  /** Unused for as long as it may be, it is closed. */
  #idled(now: number): void {
    if (this.#state !== "idle") return;
    const left = this.#idleMs - (now - this.#idleSince);
    // Less than the margin that a hint leaves, or there would be none.
    const step = Math.min(IDLE_STEP_MS, this.#idleMs / 8);
    if (left <= 0) this.close();
    else this.#pool.deadlines.set(this.#deadline, Math.ceil(left / step) * step, now);
  }

  onConnected(): void {
    this.#pool.deadlines.clear(this.#deadline);
    if (this.#call === undefined) this.close();
    else this.#send(this.#call);
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    switch (this.#state) {
      case "head":
        if (this.#untouched) {
          this.#untouched = false;
          this.#head.reset();
        }
        if (this.#partial === undefined) this.#readHead(bytes, start, end);
        else {
          this.#addToPartial(this.#partial, bytes, start, end);
          this.#readHead(this.#partial, 0, this.#partialEnd);
        }
        break;
      case "body":
        this.#readBody(bytes, start, end);
        break;
      default:
        // An answer to nothing.
        this.close();
    }
  }

  onDrained(): void {
    this.#source?.resumeBody();
  }

  onEnd(): void {
    if (this.#state === "body" && this.#body.untilClose) this.#complete(false);
    else this.#fail("reset", "the endpoint closed the connection");
  }

  onClosed(failure: string | undefined): void {
    if (this.#state === "connecting") this.#fail("connect-failed", failure ?? "the endpoint closed the connection");
    else this.#fail("reset", failure ?? "the endpoint closed the connection");
  }

  onBodyData(bytes: Buffer, start: number, end: number): boolean {
    if (!this.#sendsChunks) return this.socket.send(bytes, start, end);
    const length = end - start;
    const out = this.#pool.sockets.scratch(length + CHUNK_ROOM);
    let at = out.write(`${length.toString(16)}\r\n`, 0, "latin1");
    at += bytes.copy(out, at, start, end);
    at += out.write("\r\n", at, "latin1");
    return this.socket.send(out, 0, at);
  }

  onBodyEnd(): void {
    this.#source = undefined;
    if (!this.#sendsChunks) return;
    const out = this.#pool.sockets.scratch(CHUNK_ROOM);
    this.socket.send(out, 0, out.write("0\r\n\r\n", 0, "latin1"));
  }

  #send(call: WireCall): void {
    const { request } = call;
    // What it would send lies in memory that serves another request by now.
    if (!request.downstream.open) {
      this.#call = undefined;
      call.fail({ kind: "reset", detail: "the client was answered before this could be sent" });
      this.#pool.release(this);
      return;
    }
    this.#state = "head";
    this.#untouched = true;
    const reused = this.#used;
    this.#used = true;
    const { method, target, from, edits, body } = request;
    const { sockets, authority } = this.#pool;
    const kept = body.kind === "kept" ? body.bytes : NOTHING;
    const together = kept.length <= TOGETHER_BYTES ? kept.length : 0;
    const out = sockets.scratch(headRoom(from, edits, method.length + target.length + authority.length + 128) + together);
    let end = writeRequestHead(out, 0, from, method, target, edits, authority, this.#framing(request));
    if (together > 0) {
      out.set(kept, end);
      end += together;
    }
    this.socket.send(out, 0, end);
    if (kept.length > together) this.socket.send(Buffer.from(kept.buffer, kept.byteOffset, kept.byteLength), 0, kept.length, true);
    call.handler.onSent(reused);
    if (body.kind !== "stream") return;
    const { downstream } = request;
    if (!(downstream instanceof WireDownstream)) throw new TypeError("a body that another engine reads cannot be sent");
    this.#source = downstream;
    downstream.pull(this);
  }

  #framing({ method, body, from }: UpstreamRequest): number | "none" | "chunked" {
    this.#sendsChunks = false;
    if (body.kind === "kept") return body.bytes.length;
    if (body.kind === "none") return EXPECTS_BODY.has(method) ? 0 : "none";
    const length = from.get("content-length");
    if (length !== undefined) return Number(length);
    this.#sendsChunks = true;
    return "chunked";
  }

  #readHead(bytes: Buffer, start: number, end: number): void {
    const head = this.#head;
    // A loop, for one read may bring thousands of interim answers.
    for (let from = start; ; from = head.end) {
      if (from > start) {
        head.reset();
        if (from === end) return;
      }
      const result = head.read(bytes, from, end, this.#pool.limits.headerBytes);
      if (result === MORE) {
        if (bytes !== this.#partial) {
          head.reset();
          this.#addToPartial(Buffer.allocUnsafeSlow(Math.max(PARTIAL_BYTES, 2 * (end - from))), bytes, from, end);
        }
        return;
      }
      this.#partial = undefined;
      this.#partialEnd = 0;
      if (result !== DONE || head.refusal !== undefined) this.#fail("bad-answer", detailOf(head.refusal));
      else if (head.status >= 200) this.#readAnswer(bytes, end);
      else if (this.#passInterim()) continue;
      return;
    }
  }

  /** What precedes an answer. Whether the answer is still waited for. */
  #passInterim(): boolean {
    const { status, fields } = this.#head;
    const call = this.#call;
    if (status === 101) {
      this.#fail("bad-answer", "101 was not asked for");
      return false;
    }
    call?.handler.onInformation(status, fields);
    return this.#call === call;
  }

  #readAnswer(bytes: Buffer, end: number): void {
    const head = this.#head;
    const call = this.#call;
    if (call === undefined) return;
    const body = this.#body;
    body.begin(head, call.request.method);
    if (!body.complete) body.read(bytes, head.end, end);
    if (body.refusal !== undefined) this.#fail("bad-answer", detailOf(body.refusal));
    else if (body.complete) {
      this.#finish(call, body.consumed === end);
      call.handler.onWhole(head, bytes.subarray(body.dataStart, body.dataEnd), body.trailers);
    } else {
      this.#state = "body";
      call.handler.onHead(head.keep());
      if (body.dataEnd > body.dataStart && this.#call === call) call.handler.onData(bytes.subarray(body.dataStart, body.dataEnd));
    }
  }

  #readBody(bytes: Buffer, start: number, end: number): void {
    const call = this.#call;
    const body = this.#body;
    body.read(bytes, start, end);
    const { complete, consumed, refusal } = body;
    if (body.dataEnd > body.dataStart) call?.handler.onData(bytes.subarray(body.dataStart, body.dataEnd));
    if (this.#call !== call) return;
    if (refusal !== undefined) this.#fail("bad-answer", detailOf(refusal));
    else if (complete) this.#complete(consumed === end);
  }

  #complete(clean: boolean): void {
    const call = this.#call;
    if (call === undefined) return;
    const { trailers } = this.#body;
    this.#finish(call, clean);
    call.handler.onEnd(trailers);
  }

  /** The answer has ended. The connection serves others if nothing about it is in doubt, and nothing of the request still on its way. */
  #finish(call: WireCall, clean: boolean): void {
    call.finish();
    this.#call = undefined;
    const head = this.#head;
    if (!clean || !head.keepAlive || this.#body.untilClose || this.#source !== undefined || this.socket.pending) {
      this.close();
      return;
    }
    if (!this.#hinted) this.#readHint(head.get("keep-alive"));
    this.socket.wantRead(true);
    this.#pool.release(this);
  }

  /** How long the endpoint says it keeps idle connections. */
  #readHint(hint: string | undefined): void {
    this.#hinted = true;
    const seconds = hint === undefined ? undefined : /(?:^|[\s,;])timeout=(\d{1,9})/i.exec(hint)?.[1];
    if (seconds !== undefined) this.#idleMs = Math.min(this.#idleMs, Math.max(1, Number(seconds) * 1_000 - EARLY_MS));
  }

  #fail(kind: "connect-failed" | "reset" | "bad-answer", detail: string): void {
    const call = this.#call;
    this.close();
    call?.fail({ kind, detail });
  }

  /** Leaves the pool; nobody hears of this connection any more. */
  #abandon(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#call = undefined;
    this.#pool.deadlines.clear(this.#deadline);
    this.#source?.leaveBody(this);
    this.#source = undefined;
    this.#pool.remove(this);
  }

  #addToPartial(partial: Buffer, bytes: Buffer, start: number, end: number): void {
    const needed = this.#partialEnd + end - start;
    this.#partial = partial;
    if (needed > partial.length) {
      this.#partial = Buffer.allocUnsafeSlow(needed * 2);
      partial.copy(this.#partial, 0, 0, this.#partialEnd);
      this.#head.reset();
    }
    bytes.copy(this.#partial, this.#partialEnd, start, end);
    this.#partialEnd = needed;
  }
}

function detailOf(refusal: RefusalName | undefined): string {
  return refusal === undefined ? "not an HTTP answer" : REFUSALS[refusal].detail;
}

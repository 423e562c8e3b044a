import { performance } from "node:perf_hooks";
import type { Refusal } from "../../http/strict.ts";
import { REFUSALS } from "../../http/refusals.ts";
import type { RawRequest } from "../../http/raw-request.ts";
import { linksOf } from "../early-hints.ts";
import type { AnswerHead, Downstream, DownstreamHandler, RequestBody as BodyOffered } from "../transport.ts";
import type { Framing, Persistence } from "./answer-writer.ts";
import type { ClientConnection } from "./client-connection.ts";
import { BodyParts, RequestBody, type BodyFailure, type BodySink } from "./request-body.ts";
import type { WireSocket } from "./sockets.ts";

const NO_BODY: BodyOffered = { kind: "none" };
const STREAM: BodyOffered = { kind: "stream" };

/** One request of a client, and its answer. */
export class WireDownstream implements Downstream {
  readonly head: RawRequest;
  readonly upgrade: boolean;
  readonly refusal: Refusal | undefined;
  readonly connection: ClientConnection;
  body: BodyOffered = NO_BODY;
  started = false;
  open = true;
  bodyReadAt = 0;
  /** Somebody takes the body as it comes. */
  wantsBody = false;
  #handler: DownstreamHandler | undefined;
  readonly #socket: WireSocket;
  /** Where a body lies that came together with its head. */
  #wholeStart = 0;
  #wholeEnd = 0;
  /** What is still to be read of the body. */
  #reading: RequestBody | undefined;
  #parts: BodyParts | undefined;
  #keepLimit = 0;
  #sink: BodySink | undefined;
  /** The sink takes no more for now. */
  #sinkFull = false;
  #waitingSince = 0;
  #pendingHead: AnswerHead | undefined;
  #framing: Framing = "none";
  #persistence: Persistence = "";
  #sentBytes = 0;
  #ended = false;
  #broken = false;
  /** Hears that the client takes more, where it is not the handler that sends. */
  #onDrain: (() => void) | undefined;

  /** `whole`: nothing of the body is missing. */
  constructor(connection: ClientConnection, head: RawRequest, whole: boolean) {
    this.connection = connection;
    this.head = head;
    this.#socket = connection.socket;
    this.upgrade = head.webSocket;
    const { limits } = connection.home;
    const length = head.contentLength;
    let refusal: Refusal | undefined = head.refusal === undefined ? undefined : REFUSALS[head.refusal];
    if (head.hasBody) {
      this.body = STREAM;
      if (limits.bodyBytes > 0 && length > limits.bodyBytes && refusal === undefined) {
        refusal = { failure: "body-too-large", detail: `Content-Length ${length} is over the limit of ${limits.bodyBytes}` };
      }
      if (whole) {
        this.#wholeStart = head.end;
        this.#wholeEnd = head.end + length;
      } else this.#reading = new RequestBody(head.chunked ? -1 : length, limits.bodyBytes);
    }
    this.refusal = refusal;
  }

  get bodyLength(): number {
    return this.head.contentLength;
  }

  get peer(): string {
    return this.#socket.peer;
  }

  get secure(): boolean {
    return this.#socket.secure;
  }

  get port(): number {
    return this.connection.home.port;
  }

  /** More of the body can be taken now. */
  get takesBody(): boolean {
    return !this.#sinkFull;
  }

  /** Part of the body has not been read: what follows on the connection cannot be told from it. */
  get unread(): boolean {
    return this.#reading !== undefined;
  }

  begin(handler: DownstreamHandler): void {
    this.#handler = handler;
    handler.onBegin();
  }

  keepBody(limit: number): void {
    const reading = this.#reading;
    if (reading === undefined) {
      if (this.#wholeEnd > this.#wholeStart && this.#wholeEnd - this.#wholeStart <= limit) {
        this.body = { kind: "kept", bytes: this.head.bytes.subarray(this.#wholeStart, this.#wholeEnd) };
      }
      this.#handler?.onBody();
      return;
    }
    if (reading.length > limit) {
      this.#handler?.onBody();
      return;
    }
    this.#keepLimit = limit;
    this.#parts = new BodyParts();
    this.#watch();
  }

  /** Hands the body to `sink`, from the beginning; what is still to come when it comes. */
  pull(sink: BodySink): void {
    this.#sink = sink;
    const held = this.#parts?.whole;
    this.#parts = undefined;
    this.#sinkFull = false;
    if (held !== undefined && held.length > 0) this.#sinkFull = !sink.onBodyData(held, 0, held.length);
    else if (this.#wholeEnd > this.#wholeStart) sink.onBodyData(this.head.bytes, this.#wholeStart, this.#wholeEnd);
    if (this.#sink !== sink) return;
    if (this.#reading === undefined) {
      this.#sink = undefined;
      sink.onBodyEnd();
    } else this.#watch();
  }

  /** The sink takes more again. */
  resumeBody(): void {
    this.#waitingSince = performance.now();
    this.#sinkFull = false;
    if (this.#sink !== undefined) this.#socket.wantRead(true);
  }

  /** Nobody takes the rest. */
  leaveBody(sink: BodySink): void {
    if (this.#sink !== sink) return;
    this.#sink = undefined;
    this.wantsBody = false;
  }

  /** Takes what belongs to the body; returns where something else begins. */
  feed(bytes: Buffer, start: number, end: number): number {
    const reading = this.#reading;
    if (reading === undefined) return start;
    this.bodyReadAt = this.#waitingSince = performance.now();
    const next = reading.read(bytes, start, end);
    if (reading.complete && reading.failure === undefined) this.#reading = undefined;
    if (reading.failure !== undefined) {
      this.#fail(reading.failure);
      return end;
    }
    if (this.#parts !== undefined) this.#keep(this.#parts, reading, bytes);
    else this.#passOn(reading, bytes);
    return next;
  }

  /** The engine's own deadline: a body that does not come, or a client that does not take the rest of its answer. */
  expired(now: number): void {
    const { limits } = this.connection.home;
    const limit = limits.bodyTimeoutMs;
    if (this.#ended) this.connection.socket.close();
    else if (this.#reading !== undefined && this.wantsBody) {
      // While it is the upstream that does not take the body, the client is not to blame.
      const silent = this.#sinkFull ? 0 : now - this.#waitingSince;
      if (silent >= limit) this.#fail("request-timeout");
      else this.connection.watch(limit - silent, now);
    }
  }

  respond(head: AnswerHead, body: Uint8Array | undefined, trailers: readonly string[], lasting = false): void {
    if (!this.open || this.started) return;
    this.started = true;
    const { status } = head;
    const bodyless = status === 204 || status === 304 || status < 200;
    const sends = body !== undefined && !bodyless && !this.head.methodIsHead;
    if (sends && trailers.length > 0 && this.head.version === "1.1") {
      this.#open(head, "chunked");
      this.write(body);
      this.end(trailers);
      return;
    }
    let framing: Framing = "none";
    if (body !== undefined && !bodyless) framing = this.head.methodIsHead && head.from?.has("content-length") ? "as-received" : body.length;
    else if (body === undefined && status !== 204) framing = "as-received";
    this.#sentBytes = sends ? body.length : 0;
    this.#ended = true;
    const { answers } = this.connection.home;
    if (answers.send(this.#socket, head, framing, this.#persist(), sends ? body : undefined, lasting)) this.#finish();
    else this.#watchClient();
  }

  inform(status: number, fields: readonly string[]): void {
    if (!this.open || this.started || this.head.version === "1.0") return;
    // Nothing holds the upstream back here: what the client does not take at once would pile up.
    if (this.#socket.pending) return;
    if (status === 102) this.connection.home.answers.sendText(this.#socket, "HTTP/1.1 102 Processing\r\n\r\n");
    else if (status === 103) {
      const links = linksOf(fields);
      if (links.length === 0) return;
      this.connection.home.answers.sendText(this.#socket, `HTTP/1.1 103 Early Hints\r\nLink: ${links.join(", ")}\r\n\r\n`);
    }
  }

  start(head: AnswerHead): void {
    if (!this.open || this.started) return;
    this.started = true;
    const { status, from } = head;
    const length = from?.get("content-length");
    if (this.head.methodIsHead || status === 304) this.#open(head, "as-received");
    else if (status === 204) this.#open(head, "none");
    else if (length !== undefined) this.#open(head, Number(length));
    else if (this.head.version === "1.1") this.#open(head, "chunked");
    else {
      // HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
      this.#open(head, "none");
      this.#persistence = "close";
    }
  }

  /** The same for the answer to an upgrade: nothing can follow it on this connection, and whoever sends it hears that the client takes more. */
  startLast(head: AnswerHead, onDrain: () => void): void {
    this.#broken = true;
    this.#onDrain = onDrain;
    this.start(head);
  }

  write(chunk: Uint8Array): boolean {
    // A chunk without data would be the last.
    if (!this.open || chunk.length === 0) return true;
    this.#sentBytes += chunk.length;
    const { answers } = this.connection.home;
    const head = this.#pendingHead;
    this.#pendingHead = undefined;
    if (this.#framing === "chunked") return answers.sendChunk(this.#socket, chunk, head, this.#persistence);
    if (head !== undefined) return answers.send(this.#socket, head, this.#framing, this.#persistence, chunk);
    return this.#socket.send(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), 0, chunk.length);
  }

  end(trailers: readonly string[]): void {
    if (!this.open) return;
    this.#flushHead();
    if (this.#framing === "chunked") this.connection.home.answers.sendLastChunk(this.#socket, trailers);
    this.#ended = true;
    if (this.#socket.pending) this.#watchClient();
    else this.#finish();
  }

  abort(): void {
    // Where nothing else tells the end of the answer, that of the connection would.
    this.#socket.close(this.started && this.#framing === "none");
  }

  /** The system has taken all there was to send. */
  drained(): void {
    if (this.#ended) this.#finish();
    else if (this.#onDrain !== undefined) this.#onDrain();
    else if (this.started) this.#handler?.onDrain();
  }

  /** The client has left. */
  gone(): void {
    if (!this.open) return;
    this.open = false;
    this.#handler?.onGone();
  }

  /** The connection is to be handed over: no answer can be given by way of this request any more. */
  release(): void {
    this.started = true;
  }

  /** The head leaves together with the first bytes if they are here already, else by itself, at once. */
  #open(head: AnswerHead, framing: Framing): void {
    this.#pendingHead = head;
    this.#framing = framing;
    this.#persistence = this.#persist();
    queueMicrotask(this.#flushHead);
  }

  readonly #flushHead = (): void => {
    const head = this.#pendingHead;
    this.#pendingHead = undefined;
    if (head !== undefined && this.open) {
      this.connection.home.answers.send(this.#socket, head, this.#framing, this.#persistence, undefined);
    }
  };

  /** What is said of the connection, decided when the head is written. */
  #persist(): Persistence {
    const { home, isAhead } = this.connection;
    const last =
      this.#broken || this.upgrade || this.unread || this.refusal !== undefined || !this.head.keepAlive || (home.draining && !isAhead);
    if (last) return (this.#persistence = "close");
    return (this.#persistence = this.head.version === "1.0" ? "keep-alive" : "");
  }

  /** Everything has been said. What the client has not taken yet it must go on taking. */
  #watchClient(): void {
    this.connection.watch(this.connection.home.limits.bodyTimeoutMs);
  }

  #finish(): void {
    if (!this.open) return;
    this.open = false;
    this.#handler?.onAnswered(this.#sentBytes);
    this.connection.answered(this, this.#persistence === "close");
  }

  /** Counts and times the body from now on, and lets a client send it that waits for leave. */
  #watch(): void {
    const { home } = this.connection;
    this.wantsBody = true;
    this.#waitingSince = performance.now();
    if (this.bodyReadAt === 0 && this.head.expectsContinue && this.head.version === "1.1" && !this.connection.isAhead) {
      home.answers.sendText(this.#socket, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    this.connection.watch(home.limits.bodyTimeoutMs, this.#waitingSince);
    this.connection.readBody(this);
  }

  #keep(parts: BodyParts, reading: RequestBody, bytes: Buffer): void {
    parts.add(bytes, reading.dataStart, reading.dataEnd);
    if (parts.used > this.#keepLimit) {
      this.wantsBody = false;
      this.#unwatch();
      this.#handler?.onBody();
    } else if (reading.complete) {
      this.#parts = undefined;
      this.wantsBody = false;
      this.#unwatch();
      this.body = parts.used === 0 ? NO_BODY : { kind: "kept", bytes: parts.whole };
      this.#handler?.onBody();
    }
  }

  #passOn(reading: RequestBody, bytes: Buffer): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    const { dataStart, dataEnd } = reading;
    if (dataEnd > dataStart && !sink.onBodyData(bytes, dataStart, dataEnd)) {
      this.#sinkFull = true;
      this.#socket.wantRead(false);
    }
    if (!reading.complete) return;
    // Whatever the sink has still to take: the client is listened to, for it may leave.
    this.#sinkFull = false;
    this.#socket.wantRead(true);
    this.wantsBody = false;
    this.#unwatch();
    if (this.#sink !== sink) return;
    this.#sink = undefined;
    sink.onBodyEnd();
  }

  /** The rest of the body cannot be had. */
  #fail(failure: BodyFailure): void {
    this.#broken = true;
    this.wantsBody = false;
    this.#parts = undefined;
    this.#unwatch();
    this.#handler?.onBodyFailed(failure);
  }

  #unwatch(): void {
    this.connection.unwatch();
  }
}

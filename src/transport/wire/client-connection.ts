import { Deadline, type Expiring } from "../../core/deadlines.ts";
import { DONE, MORE } from "../../http/raw-head.ts";
import type { RawRequest } from "../../http/raw-request.ts";
import { REFUSALS } from "../../http/refusals.ts";
import type { FailureCode } from "../../core/failures.ts";
import type { WireListener } from "./listener.ts";
import type { RequestMemory } from "./request-memory.ts";
import type { SocketHandler, WireSocket } from "./sockets.ts";
import { WireDownstream } from "./downstream.ts";

/** Bytes of later requests that a client may have sent ahead; what is beyond stays with the system until they are served. */
const AHEAD_BYTES = 65_536;
/**
 * A connection that is closed while its client may still be sending is read to its end for so long. Closed at once it would be
 * reset, and the client might lose the answer it was just given.
 */
const LINGER_MS = 2_000;
/** Idleness is looked at again after whole steps, so that all connections share a few lists of deadlines. */
const IDLE_STEP_MS = 1_000;
const NOTHING = Buffer.alloc(0);

/**
 * One client. Its requests are read one after the other: the next begins when the one before has been answered.
 *
 * fresh    nothing has come yet            -> head, exchange, closed
 * idle     between two requests            -> head, exchange, closed
 * head     part of a head has come         -> exchange, lingering, closed
 * exchange a request is read and answered  -> idle, head, tunnel, lingering, closed
 * tunnel   the bytes are somebody else's   -> closed
 * lingering the last answer has been given -> closed
 */
type State = "fresh" | "idle" | "head" | "exchange" | "tunnel" | "lingering" | "closed";

export class ClientConnection implements Expiring, SocketHandler {
  readonly home: WireListener;
  readonly socket: WireSocket;
  readonly #deadline = new Deadline(this);
  #state: State = "fresh";
  #memory: RequestMemory | undefined;
  /** What has been received and not yet read lies in [start, end); in front of it the request under way. */
  #bytes: Buffer = NOTHING;
  #start = 0;
  #end = 0;
  #current: WireDownstream | undefined;
  #tunnel: SocketHandler | undefined;
  #advancing = false;
  /**
   * The deadline is that of idleness. It is not set and cleared with every request: when it comes and there has been one, it is set again.
   */
  #idling = false;
  #idleSince = 0;

  constructor(home: WireListener, socket: WireSocket) {
    this.home = home;
    this.socket = socket;
    home.deadlines.set(this.#deadline, home.limits.headerTimeoutMs);
  }

  onConnected(): void {}

  onBytes(bytes: Buffer, start: number, end: number): void {
    switch (this.#state) {
      case "exchange":
        this.#readAlong(bytes, start, end);
        break;
      case "tunnel":
        this.#tunnel?.onBytes(bytes, start, end);
        break;
      case "fresh":
      case "idle":
      case "head":
        this.#append(bytes, start, end);
        this.#advance();
        break;
      case "lingering":
      case "closed":
        break;
    }
  }

  onDrained(): void {
    if (this.#tunnel !== undefined) this.#tunnel.onDrained();
    else if (this.#state === "lingering") this.watch(LINGER_MS);
    else this.#current?.drained();
  }

  /** A client that closes its half has no use for an answer: it is taken to have left, as other proxies take it. */
  onEnd(): void {
    if (this.#tunnel !== undefined) this.#tunnel.onEnd();
    else {
      this.#leave();
      this.socket.close();
    }
  }

  onClosed(failure: string | undefined): void {
    this.#tunnel?.onClosed(failure);
    this.#leave();
    this.#state = "closed";
    this.home.deadlines.clear(this.#deadline);
    this.home.closed(this);
    this.#release();
  }

  expired(now: number): void {
    const { limits, deadlines } = this.home;
    const idling = this.#idling;
    this.#idling = false;
    switch (this.#state) {
      case "head":
        this.#refuse("request-timeout", `the head took longer than ${limits.headerTimeoutMs} ms`);
        break;
      case "exchange":
        if (!idling) this.#current?.expired(now);
        break;
      case "idle": {
        const left = limits.keepAliveMs - (now - this.#idleSince);
        if (left <= 0) this.socket.close();
        else {
          this.#idling = true;
          deadlines.set(this.#deadline, Math.ceil(left / IDLE_STEP_MS) * IDLE_STEP_MS, now);
        }
        break;
      }
      default:
        this.socket.close();
    }
  }

  /** Sets the deadline of what is under way, in place of any other. */
  watch(ms: number, now?: number): void {
    this.#idling = false;
    this.home.deadlines.set(this.#deadline, ms, now);
  }

  unwatch(): void {
    if (!this.#idling) this.home.deadlines.clear(this.#deadline);
  }

  /** Bytes of a body are wanted from now on. */
  readBody(current: WireDownstream): void {
    const start = this.#start;
    if (start < this.#end) {
      // Until it is known where the body ends nobody may take these bytes for anything else.
      this.#start = this.#end;
      const advancing = this.#advancing;
      this.#advancing = true;
      this.#start = current.feed(this.#bytes, start, this.#end);
      this.#advancing = advancing;
    }
    if (current !== this.#current) {
      if (!this.#advancing) this.#advance();
    } else if (current.takesBody) this.socket.wantRead(true);
  }

  /** Whether the client has sent more than what it is being answered. */
  get isAhead(): boolean {
    return this.#start < this.#end;
  }

  /** The exchange is over. `last`: so is the connection. */
  answered(current: WireDownstream, last: boolean): void {
    if (current !== this.#current) return;
    this.#current = undefined;
    this.unwatch();
    this.home.exchangeEnded();
    if (last) {
      this.#conclude(current.unread || this.isAhead);
      return;
    }
    this.#state = "idle";
    this.socket.wantRead(true);
    if (!this.#advancing) this.#advance();
  }

  /** From now on everything that happens here is the tunnel's. Returns what the client sent behind its request. */
  becomeTunnel(tunnel: SocketHandler): Buffer {
    this.#state = "tunnel";
    this.#tunnel = tunnel;
    this.#idling = false;
    this.home.deadlines.clear(this.#deadline);
    return Buffer.from(this.#bytes.subarray(this.#start, this.#end));
  }

  closeIfIdle(): void {
    if (this.#state === "idle" || this.#state === "fresh") this.socket.close();
  }

  /** Bytes that come while a request is under way: of its body, or of those that follow. */
  #readAlong(bytes: Buffer, start: number, end: number): void {
    const current = this.#current;
    let from = start;
    if (current?.wantsBody && this.#start === this.#end) {
      this.#advancing = true;
      from = current.feed(bytes, start, end);
      this.#advancing = false;
    }
    if (from < end && (this.#state === "exchange" || this.#state === "idle")) this.#append(bytes, from, end);
    if (current !== this.#current) this.#advance();
    else if (current?.unread ? this.#start < this.#end : this.#end - this.#start > AHEAD_BYTES) this.socket.wantRead(false);
  }

  #append(bytes: Buffer, start: number, end: number): void {
    if (this.#memory === undefined) {
      this.#memory = this.home.memory.take();
      this.#bytes = this.#memory.bytes;
      this.#start = this.#end = 0;
    }
    const needed = this.#end + end - start;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#end);
      this.#bytes = grown;
      if (this.#current === undefined) this.#memory.head.reset();
    }
    bytes.copy(this.#bytes, this.#end, start, end);
    this.#end = needed;
  }

  /** Reads requests until one is left to be answered, or there are no more. A loop, for each may be answered at once. */
  #advance(): void {
    this.#advancing = true;
    const { home } = this;
    while (this.#state === "idle" || this.#state === "head" || this.#state === "fresh") {
      if (this.#start === this.#end) {
        this.#rest();
        break;
      }
      this.#moveToFront();
      const head = this.#memory?.head;
      if (head === undefined) break;
      const result = head.read(this.#bytes, this.#start, this.#end, home.limits.headerBytes);
      if (result === DONE) this.#begin(head);
      else if (result === MORE) {
        if (this.#state !== "head") this.watch(home.limits.headerTimeoutMs);
        this.#state = "head";
        break;
      } else {
        const { failure, detail } = REFUSALS[head.refusal ?? "bad-method"];
        this.#refuse(failure, detail);
      }
    }
    this.#advancing = false;
  }

  #begin(head: RawRequest): void {
    const { home } = this;
    this.unwatch();
    this.#state = "exchange";
    this.#start = head.end;
    const length = head.contentLength;
    const whole = !head.chunked && this.#start + length <= this.#end;
    if (whole && length > 0) this.#start += length;
    const current = new WireDownstream(this, head, whole);
    this.#current = current;
    home.load.exchanges++;
    current.begin(home.accept.request(current));
  }

  /** What follows an answered request becomes the beginning; then memory that had to grow is let go. */
  #moveToFront(): void {
    const memory = this.#memory;
    if (this.#start === 0 || memory === undefined || this.#state === "head") return;
    const left = this.#end - this.#start;
    // Never within memory that had to grow: some of it may be on its way to an upstream.
    const to = left <= memory.bytes.length ? memory.bytes : Buffer.allocUnsafeSlow(2 * left);
    this.#bytes.copy(to, 0, this.#start, this.#end);
    memory.head.reset();
    this.#bytes = to;
    this.#start = 0;
    this.#end = left;
  }

  #rest(): void {
    this.#release();
    this.#state = "idle";
    const { deadlines, limits } = this.home;
    this.#idleSince = deadlines.lately;
    if (!this.#idling) {
      deadlines.set(this.#deadline, limits.keepAliveMs);
      this.#idling = true;
    }
    if (this.home.closesIdle) this.socket.close();
  }

  /** What came is no request. It is answered, and nothing more is believed. */
  #refuse(failure: FailureCode, detail: string): void {
    const { head, body } = this.home.accept.malformed(failure, detail);
    this.home.answers.send(this.socket, head, body.length, "close", body);
    this.#conclude(true);
  }

  /** The last bytes have been handed over. `reads`: the client may still be sending. */
  #conclude(reads: boolean): void {
    if (!reads && !this.socket.secure && !this.socket.pending) {
      this.#state = "closed";
      this.socket.close();
      return;
    }
    this.#state = "lingering";
    this.socket.finish();
    this.socket.wantRead(true);
    // First the client must take what it has not taken yet.
    this.watch(this.socket.pending ? this.home.limits.bodyTimeoutMs : LINGER_MS);
  }

  #leave(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.home.exchangeEnded();
    current.gone();
  }

  #release(): void {
    if (this.#memory === undefined) return;
    this.home.memory.give(this.#memory);
    this.#memory = undefined;
    this.#bytes = NOTHING;
    this.#start = this.#end = 0;
  }
}

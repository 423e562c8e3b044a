import { loopTicker } from "../../src/core/deadlines.ts";
import type { Endpoint, Limits } from "../../src/config/config.ts";
import type { ListenOptions } from "../../src/transport/transport.ts";
import type { Listening, SocketHandler, Sockets, WireSocket } from "../../src/transport/wire/sockets.ts";

/** What lies in memory after its lending has ended. */
const POISON = 0x07;
const NOTHING = Buffer.alloc(0);

type Accepted = (socket: WireSocket) => SocketHandler | undefined;

/**
 * Sockets in memory, for engine `wire`: bytes arrive exactly as told, one `give` being one read. What was lent is destroyed as soon as
 * the lending ends, so whoever keeps it is found out. Nothing happens but in {@link settle}.
 */
export class FakeSockets implements Sockets {
  /** Connections that the engine made, oldest first. */
  readonly upstreams: FakePeer[] = [];
  /** Hears of each connection that the engine makes, before it is told that it stands. */
  onConnect: (peer: FakePeer) => void = () => {};
  readonly tick = loopTicker.tick;
  readonly #tasks: (() => void)[] = [];
  #scratch: Buffer = NOTHING;
  #accepted: Accepted | undefined;

  listen(_options: ListenOptions, _limits: Limits, accepted: Accepted): Promise<Listening> {
    this.#accepted = accepted;
    return Promise.resolve({ port: 1, close: () => (this.#accepted = undefined), destroy: () => (this.#accepted = undefined) });
  }

  connect(_endpoint: Endpoint, handler: SocketHandler): WireSocket {
    const peer = new FakePeer(this, handler);
    this.upstreams.push(peer);
    this.later(() => {
      if (peer.closed) return;
      this.onConnect(peer);
      if (!peer.closed) handler.onConnected();
    });
    return peer.socket;
  }

  scratch(size: number): Buffer {
    this.#scratch.fill(POISON);
    this.#scratch = Buffer.alloc(size);
    return this.#scratch;
  }

  /** A client connects. Undefined if it is turned away. */
  client(): FakePeer | undefined {
    const peer = new FakePeer(this, undefined);
    const handler = this.#accepted?.(peer.socket);
    if (handler === undefined) return undefined;
    peer.handler = handler;
    return peer;
  }

  later(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Lets everything happen that follows from what was given. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; idle++) {
      for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
        task();
        idle = 0;
      }
      await Promise.resolve();
    }
  }
}

/** The far end of one connection of the engine. */
export class FakePeer {
  /** What the engine sent, a send each. */
  readonly sends: Buffer[] = [];
  readonly socket: WireSocket;
  handler: SocketHandler | undefined;
  /** The engine has said that it will send no more. */
  finished = false;
  /** The connection is no more. */
  closed = false;
  /** Resolves with that. */
  readonly gone: Promise<void>;
  /** Hears of every send. */
  onData: (bytes: Buffer) => void = () => {};
  readonly #sockets: FakeSockets;
  #takes = true;
  #pending = false;
  #wanted = true;
  #given: Buffer[] = [];
  #lasting: { readonly bytes: Buffer; readonly copy: Buffer }[] = [];
  #ended = false;
  readonly #isGone: () => void;

  constructor(sockets: FakeSockets, handler: SocketHandler | undefined) {
    this.#sockets = sockets;
    this.handler = handler;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.#isGone = resolve;
    this.socket = this.#createSocket();
  }

  /** Everything the engine sent. */
  get text(): string {
    return Buffer.concat(this.sends).toString("latin1");
  }

  /** Whether the engine reads. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** These bytes arrive, in one read. */
  give(bytes: string | Uint8Array): this {
    const copy = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes);
    if (copy.length > 0) this.#given.push(copy);
    this.#sockets.later(() => this.#deliver());
    return this;
  }

  /** This end will send no more. */
  end(): this {
    this.#ended = true;
    this.#sockets.later(() => this.#deliver());
    return this;
  }

  /** The connection breaks. */
  break(failure: string | undefined): this {
    this.#close(failure);
    return this;
  }

  /** From now on this end takes nothing; with true, all that waits and more. */
  take(takes: boolean): this {
    this.#takes = takes;
    if (takes) this.#sockets.later(() => this.#drained());
    return this;
  }

  #deliver(): void {
    while (this.#wanted && !this.closed) {
      const bytes = this.#given.shift();
      if (bytes === undefined) break;
      // Offsets that are not 0, so that who forgets them is found out.
      const lent = Buffer.alloc(bytes.length + 5, POISON);
      bytes.copy(lent, 3);
      this.handler?.onBytes(lent, 3, 3 + bytes.length);
      lent.fill(POISON);
    }
    if (this.#ended && this.#given.length === 0 && this.#wanted && !this.closed) {
      this.#ended = false;
      this.handler?.onEnd();
    }
  }

  #drained(): void {
    if (!this.#takes || !this.#pending || this.closed) return;
    for (const { bytes, copy } of this.#lasting) if (!bytes.equals(copy)) throw new Error("bytes that were to last have changed");
    this.#lasting = [];
    this.#pending = false;
    this.handler?.onDrained();
  }

  #close(failure: string | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#isGone();
    this.#sockets.later(() => this.handler?.onClosed(failure));
  }

  #send(bytes: Buffer, start: number, end: number, lasting: boolean): boolean {
    if (this.closed) return true;
    const copy = Buffer.from(bytes.subarray(start, end));
    this.sends.push(copy);
    this.#sockets.later(() => this.onData(copy));
    if (this.#takes) return true;
    if (lasting) this.#lasting.push({ bytes: bytes.subarray(start, end), copy });
    this.#pending = true;
    return false;
  }

  #createSocket(): WireSocket {
    const isPending = (): boolean => this.#pending;
    return {
      peer: "127.0.0.1",
      secure: false,
      get pending() {
        return isPending();
      },
      send: (bytes, start, end, lasting = false) => this.#send(bytes, start, end, lasting),
      wantRead: (wanted) => {
        this.#wanted = wanted;
        if (wanted) this.#sockets.later(() => this.#deliver());
      },
      finish: () => (this.finished = true),
      close: () => this.#close(undefined),
    };
  }
}

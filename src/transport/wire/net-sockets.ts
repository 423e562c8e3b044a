import { connect, createServer, Socket, type Server, type SocketConstructorOpts } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Endpoint, Limits } from "../../config/config.ts";
import { loopTicker } from "../../core/deadlines.ts";
import { bareAddress } from "../../http/forwarded.ts";
import { clientTls, serverTls } from "../tls.ts";
import type { ListenOptions, ListenTls } from "../transport.ts";
import type { Listening, SocketHandler, Sockets, WireSocket } from "./sockets.ts";

/** What the system hands over at most in one read. */
const READ_BYTES = 65_536;
/** Room for a head in front of what one read brought, so that both leave in one write. */
const SCRATCH_BYTES = 81_920;
/** Views of longer messages are not kept. */
const VIEWED_BYTES = 4_096;
const BACKLOG = 4_096;
/** A peer that vanished without a word is found out by the system, also where no deadline of ours runs, as in a tunnel. */
const PROBED = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const;
const NOTHING = Buffer.alloc(0);

/** Sockets of node:net and node:tls. */
export function createNetSockets(): Sockets {
  return new NetSockets();
}

class NetSockets implements Sockets {
  /** All plain sockets of the thread read into the same memory: a read and what is done with it are one step of the loop. */
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  /** Views of it from its beginning, by length: most messages are as long as one before. */
  readonly #views: (Uint8Array | undefined)[] = Array.from({ length: VIEWED_BYTES + 1 }, () => undefined);
  /** Handed out for a message that is too long for the usual memory. */
  #large: Buffer | undefined;

  scratch(size: number): Buffer {
    if (size <= SCRATCH_BYTES) return this.#scratch;
    this.#large = Buffer.allocUnsafeSlow(size);
    return this.#large;
  }

  /** Whether nobody but the sender knows of this memory. */
  isScratch(bytes: Buffer): boolean {
    return bytes === this.#scratch || bytes === this.#large;
  }

  /** What was put here is still being sent: it is given up to the system, and other memory takes its place. */
  giveUp(bytes: Buffer): void {
    this.#large = undefined;
    if (bytes !== this.#scratch) return;
    this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    this.#views.fill(undefined);
  }

  /** What was put here has been sent. */
  letGo(bytes: Buffer): void {
    if (bytes === this.#large) this.#large = undefined;
  }

  viewOf(bytes: Buffer, start: number, end: number): Uint8Array {
    if (bytes !== this.#scratch || start !== 0 || end > VIEWED_BYTES) return bytes.subarray(start, end);
    return (this.#views[end] ??= bytes.subarray(0, end));
  }

  listen(options: ListenOptions, limits: Limits, accepted: (socket: WireSocket) => SocketHandler | undefined): Promise<Listening> {
    const encrypted = new Set<Socket>();
    const server = options.tls === undefined ? this.#plainServer(accepted) : this.#tlsServer(options.tls, limits, encrypted, accepted);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: options.host, port: options.port, reusePort: options.reusePort, backlog: BACKLOG }, () => {
        server.removeListener("error", reject);
        const address = server.address();
        const port = typeof address === "object" && address !== null ? address.port : options.port;
        const close = (): void => void server.close();
        const destroy = (): void => {
          close();
          for (const socket of encrypted) socket.destroy();
        };
        resolve({ port, close, destroy });
      });
    });
  }

  connect(endpoint: Endpoint, handler: SocketHandler): WireSocket {
    const { host, port } = endpoint;
    if (endpoint.secure) return new SecureSocket(this, connectTls(tlsOptionsOf(endpoint)), handler);
    const socket: NetSocket = new NetSocket(this, handler);
    return socket.attach(
      connect({
        host,
        port,
        noDelay: true,
        ...PROBED,
        allowHalfOpen: true,
        onread: { buffer: this.readBuffer, callback: (length) => socket.onRead(length) },
      }),
    );
  }

  readonly tick = loopTicker.tick;

  #plainServer(accepted: (socket: WireSocket) => SocketHandler | undefined): Server {
    return createServer({ noDelay: true, ...PROBED, allowHalfOpen: true, pauseOnConnect: true }, (raw) => {
      const socket: NetSocket = new NetSocket(this, undefined);
      const lent = lendBuffer(raw, this.readBuffer, (length) => socket.onRead(length));
      socket.attach(lent ?? raw);
      if (!socket.accept(accepted(socket))) return;
      if (lent === undefined) socket.readByEvents(raw);
    });
  }

  #tlsServer(tls: ListenTls, limits: Limits, encrypted: Set<Socket>, accepted: (socket: WireSocket) => SocketHandler | undefined): Server {
    const server = createTlsServer({ ...serverTls(tls, limits.headerTimeoutMs), noDelay: true, ...PROBED, allowHalfOpen: true }, (raw) => {
      const socket = new SecureSocket(this, raw, undefined);
      socket.accept(accepted(socket));
    });
    // A handshake costs more than a request, so a connection counts from its beginning and not from the end of that.
    server.maxConnections = limits.connections;
    server.on("connection", (raw: Socket) => {
      encrypted.add(raw);
      raw.once("close", () => encrypted.delete(raw));
    });
    // Whoever speaks no TLS, or other than is offered, is closed by node:tls; there is nothing to add.
    server.on("tlsClientError", (_error, socket: TLSSocket) => socket.destroy());
    return server;
  }
}

function tlsOptionsOf(endpoint: Endpoint) {
  const { host, port } = endpoint;
  return { host, port, ...clientTls(endpoint), allowHalfOpen: true };
}

/**
 * Takes an accepted connection over into a socket that reads into `buffer`. Node offers this for outgoing connections only, so it is tried on what
 * an accepted one consists of; undefined if this Node is made differently, and then its data come as events.
 */
function lendBuffer(accepted: Socket, buffer: Buffer, onRead: (length: number) => boolean): Socket | undefined {
  const handle: unknown = Reflect.get(accepted, "_handle");
  if (typeof handle !== "object" || handle === null || typeof Reflect.get(handle, "useUserBuffer") !== "function") return undefined;
  const options: SocketConstructorOpts = { allowHalfOpen: true, onread: { buffer, callback: onRead } };
  Reflect.set(options, "handle", handle);
  const socket = new Socket(options);
  // The server counts its connections by the socket that closes.
  Reflect.set(socket, "_server", Reflect.get(accepted, "_server"));
  Reflect.set(accepted, "_server", null);
  Reflect.set(accepted, "_handle", null);
  return socket;
}

class NetSocket implements WireSocket {
  readonly secure: boolean = false;
  pending = false;
  protected readonly sockets: NetSockets;
  #socket: Socket | undefined;
  #handler: SocketHandler | undefined;
  #peer: string | undefined;
  #failure: string | undefined;
  #wanted = true;
  #closed = false;

  constructor(sockets: NetSockets, handler: SocketHandler | undefined) {
    this.sockets = sockets;
    this.#handler = handler;
  }

  attach(socket: Socket): this {
    this.#socket = socket;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#failure = error.message || error.code || error.name;
    });
    socket.on("end", () => this.#handler?.onEnd());
    socket.on("close", () => {
      this.#closed = true;
      this.#handler?.onClosed(this.#failure);
    });
    if (socket.connecting) socket.once(this.secure ? "secureConnect" : "connect", () => this.#handler?.onConnected());
    return this;
  }

  /** False if the connection is not wanted, and then it is closed. */
  accept(handler: SocketHandler | undefined): boolean {
    this.#handler = handler;
    if (handler === undefined) this.close();
    return handler !== undefined;
  }

  /** Bytes have been read into the common buffer. */
  onRead(length: number): true {
    this.#handler?.onBytes(this.sockets.readBuffer, 0, length);
    return true;
  }

  /** For sockets that cannot be lent a buffer. */
  readByEvents(socket: Socket): void {
    socket.on("data", (chunk: Buffer) => this.#handler?.onBytes(chunk, 0, chunk.length));
    socket.resume();
  }

  get peer(): string {
    return (this.#peer ??= bareAddress(this.#socket?.remoteAddress ?? ""));
  }

  send(bytes: Buffer, start: number, end: number, lasting = false): boolean {
    const socket = this.#socket;
    if (this.#closed || socket === undefined) return true;
    const { sockets } = this;
    let from = bytes;
    let at = start;
    if (!lasting && !sockets.isScratch(bytes)) {
      from = sockets.scratch(end - start);
      bytes.copy(from, 0, start, end);
      at = 0;
    }
    socket.write(sockets.viewOf(from, at, at + end - start));
    if (socket.writableLength === 0) {
      sockets.letGo(from);
      return true;
    }
    sockets.giveUp(from);
    if (!this.pending) {
      this.pending = true;
      this.#notifyDrained(socket);
    }
    return false;
  }

  /** A callback with every write would cost each of them a turn of the loop; this one goes behind those that wait. */
  #notifyDrained(socket: Socket): void {
    if (socket.writableEnded) socket.once("finish", this.drained);
    else socket.write(NOTHING, this.drained);
  }

  /** Called back with an error too: what waited is then lost, and `onClosed` says so. */
  protected readonly drained = (error?: Error | null): void => {
    const socket = this.#socket;
    if (error || this.#closed || socket === undefined) return;
    // More has been given to it since: that waits too.
    if (socket.writableLength > 0) {
      this.#notifyDrained(socket);
      return;
    }
    this.pending = false;
    this.#handler?.onDrained();
  };

  wantRead(wanted: boolean): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (wanted) this.#socket?.resume();
    else this.#socket?.pause();
  }

  finish(): void {
    this.#socket?.end();
  }

  close(broken = false): void {
    if (broken) this.#socket?.resetAndDestroy();
    else this.#socket?.destroy();
  }
}

/** TLS decrypts into memory of its own, and what it is given to send is never gone at once. */
class SecureSocket extends NetSocket {
  override readonly secure: boolean = true;
  readonly #raw: TLSSocket;

  constructor(sockets: NetSockets, raw: TLSSocket, handler: SocketHandler | undefined) {
    super(sockets, handler);
    this.#raw = raw;
    this.attach(raw);
    raw.setNoDelay(true);
    this.readByEvents(raw);
  }

  override send(bytes: Buffer, start: number, end: number, lasting = false): boolean {
    if (this.#raw.destroyed) return true;
    const part = bytes.subarray(start, end);
    if (this.#raw.write(lasting ? part : Buffer.from(part))) return true;
    if (!this.pending) this.#raw.once("drain", this.drained);
    this.pending = true;
    return false;
  }

  /** An end that TLS did not announce is known for what it is. */
  override close(): void {
    this.#raw.destroy();
  }

  /** What is below the mark from which `send` says so may wait as well: before the connection is closed it must have gone. */
  override finish(): void {
    if (this.#raw.writableLength > 0) this.pending = true;
    this.#raw.end(this.drained);
  }
}

import type { Endpoint, Limits } from "../../config/config.ts";
import type { Ticker } from "../../core/deadlines.ts";
import type { ListenOptions } from "../transport.ts";

/**
 * What the engine asks of the system: bytes in, bytes out, and when. Nothing above this interface knows what moves them, so that another
 * loop than Node's can be put below it. Everything happens on one thread; bytes are handed over by buffer and offsets, and
 * are never the receiver's to keep.
 */
export interface Sockets extends Ticker {
  /** Accepts connections until closed. `accepted` says who hears of each, or refuses it with undefined. */
  listen(options: ListenOptions, limits: Limits, accepted: (socket: WireSocket) => SocketHandler | undefined): Promise<Listening>;
  /** Begins to connect; `onConnected` or `onClosed` follows. */
  connect(endpoint: Endpoint, handler: SocketHandler): WireSocket;
  /** Memory of at least `size` bytes in which to put a message together: valid until the next `send` or `scratch` of any socket. */
  scratch(size: number): Buffer;
}

export interface Listening {
  readonly port: number;
  /** Accepts nothing more. Connections that stand are not touched. */
  close(): void;
  /** Accepts nothing more, and ends the connections of which nobody has been told yet: those in their handshake. */
  destroy(): void;
}

export interface WireSocket {
  /** The other end's address; empty while not connected. */
  readonly peer: string;
  readonly secure: boolean;
  /** Bytes wait for the other end to take them. */
  readonly pending: boolean;
  /**
   * Sends bytes[start, end), which may be used again when this returns. False if the system did not take all at once: they wait,
   * and `onDrained` follows. `lasting`: they will never change and need no copy.
   */
  send(bytes: Buffer, start: number, end: number, lasting?: boolean): boolean;
  /** Whether bytes are wanted; from the beginning they are. What was read already is still handed over. */
  wantRead(wanted: boolean): void;
  /** Says that no more will be sent, once what waits has gone. */
  finish(): void;
  /** Ends both ways at once. `onClosed` follows, later. `broken`: the other end must not take it for an orderly end. */
  close(broken?: boolean): void;
}

export interface SocketHandler {
  onConnected(): void;
  /** The bytes are lent until this returns. */
  onBytes(bytes: Buffer, start: number, end: number): void;
  /** Nothing waits any more. */
  onDrained(): void;
  /** The other end will send no more. */
  onEnd(): void;
  /** Once, at the end of every connection; nothing follows. `failure` is what the system said, if it was not an orderly end. */
  onClosed(failure: string | undefined): void;
}

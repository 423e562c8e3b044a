import type { Duplex } from "node:stream";
import type { NodeDownstream } from "./downstream.ts";

/** Requests that a client may have sent ahead on one connection. What comes after them is not taken, and the connection closed. */
const MOST_WAITING = 64;

interface Line {
  current: NodeDownstream | undefined;
  readonly waiting: (() => void)[];
}

/**
 * Who is served on each connection. Requests sent ahead (pipelined) wait until the one before has been answered: served side by side
 * they would be processed in any order, as only safe methods may be (RFC 9112, 9.3.2), and one client could take everybody's connections.
 */
export class Turns {
  readonly #lines = new WeakMap<Duplex, Line>();
  /** Connections from which nothing more is taken. */
  readonly #closing = new WeakSet<Duplex>();

  current(socket: Duplex): NodeDownstream | undefined {
    return this.#lines.get(socket)?.current;
  }

  /** Takes nothing more from a connection: what follows cannot be trusted to be a request. */
  close(socket: Duplex): void {
    this.#closing.add(socket);
  }

  /** The answer now being written is the connection's last. */
  isLast(socket: Duplex): boolean {
    return this.#closing.has(socket) && !this.hasWaiting(socket);
  }

  hasWaiting(socket: Duplex): boolean {
    return (this.#lines.get(socket)?.waiting.length ?? 0) > 0;
  }

  /** Begins the exchange now, or when its turn comes; false if it is not taken. */
  take(downstream: NodeDownstream, socket: Duplex, begin: () => void): boolean {
    if (this.#closing.has(socket)) return false;
    if (downstream.refusal !== undefined) this.#closing.add(socket);
    let line = this.#lines.get(socket);
    if (line === undefined) this.#lines.set(socket, (line = { current: undefined, waiting: [] }));
    if (line.current === undefined) {
      line.current = downstream;
      begin();
      return true;
    }
    if (line.waiting.length >= MOST_WAITING) this.#closing.add(socket);
    line.waiting.push(() => {
      line.current = downstream;
      begin();
    });
    return true;
  }

  /** The exchange is over. The next one begins, unless the connection is gone or this was its last. */
  end(downstream: NodeDownstream, socket: Duplex): void {
    const line = this.#lines.get(socket);
    if (line?.current !== downstream) return;
    line.current = undefined;
    const next = line.waiting.shift();
    if (next === undefined || socket.destroyed) {
      if (this.#closing.has(socket) && "destroySoon" in socket && typeof socket.destroySoon === "function") socket.destroySoon();
    } else next();
  }
}

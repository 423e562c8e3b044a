import type { Limits } from "../../config/config.ts";
import type { Deadlines } from "../../core/deadlines.ts";
import type { Accept, ListenOptions } from "../transport.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import { ClientConnection } from "./client-connection.ts";
import type { RequestMemoryPool } from "./request-memory.ts";
import type { Listening, Sockets } from "./sockets.ts";

/** What all listeners of a worker share. */
export interface ListenerParts {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly sockets: Sockets;
  readonly memory: RequestMemoryPool;
  readonly answers: AnswerWriter;
  readonly load: { connections: number; exchanges: number };
}

/** One listening socket and the connections that came through it. */
export class WireListener {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly memory: RequestMemoryPool;
  readonly answers: AnswerWriter;
  readonly load: { connections: number; exchanges: number };
  readonly accept: Accept;
  port = 0;
  /** Answers are the last of their connection. */
  draining = false;
  /** Connections that bring no request are not waited for any more. */
  closesIdle = false;
  readonly #sockets: Sockets;
  readonly #connections = new Set<ClientConnection>();
  #listening: Listening | undefined;
  #empty: (() => void) | undefined;

  constructor(parts: ListenerParts, accept: Accept) {
    this.limits = parts.limits;
    this.deadlines = parts.deadlines;
    this.memory = parts.memory;
    this.answers = parts.answers;
    this.load = parts.load;
    this.accept = accept;
    this.#sockets = parts.sockets;
  }

  async listen(options: ListenOptions): Promise<number> {
    this.#listening = await this.#sockets.listen(options, this.limits, (socket) => {
      if (this.#connections.size >= this.limits.connections) return undefined;
      const connection = new ClientConnection(this, socket);
      this.#connections.add(connection);
      this.load.connections++;
      return connection;
    });
    return (this.port = this.#listening.port);
  }

  exchangeEnded(): void {
    this.load.exchanges--;
  }

  closed(connection: ClientConnection): void {
    if (!this.#connections.delete(connection)) return;
    this.load.connections--;
    if (this.#connections.size === 0) this.#empty?.();
  }

  /** Accepts nothing more, and resolves when every connection has brought its last answer, or none within `graceMs`. */
  drain(graceMs: number): Promise<void> {
    this.draining = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    // After the sockets have been looked at, so that what the system has already accepted for us has been taken over.
    this.#sockets.tick(() => {
      this.#listening?.close();
      if (this.#connections.size === 0) resolve();
      else this.#empty = resolve;
    }, 0);
    const cancel = this.#sockets.tick(() => {
      this.closesIdle = true;
      for (const connection of this.#connections) connection.closeIfIdle();
    }, graceMs);
    return promise.then(cancel);
  }

  destroy(): void {
    this.draining = true;
    this.#listening?.destroy();
    for (const connection of this.#connections) connection.socket.close();
  }
}

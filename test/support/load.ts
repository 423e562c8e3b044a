import { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { ask, type Reply } from "./backend.ts";

export interface LoadOptions {
  readonly connections: number;
  /** Over all connections. */
  readonly perSecond: number;
  /** Told of every answer, and who asked. */
  readonly onReply?: (user: string, reply: Reply) => void;
}

/** A request that got no complete answer. */
export interface Lost {
  /** Thread that had answered on the same connection before; undefined on a new connection. */
  readonly thread: string | undefined;
  readonly code: string;
}

/** Clients that keep their connections alive, each with one request at a time, and account for every one. */
export class Load {
  readonly replies = new Map<string, number>();
  readonly lost: Lost[] = [];
  answered = 0;
  readonly #port: number;
  readonly #options: LoadOptions;
  readonly #agents: Agent[] = [];
  readonly #stopping = new AbortController();
  #clients: Promise<void>[] = [];
  readonly #threads: (string | undefined)[] = [];

  constructor(port: number, options: LoadOptions) {
    this.#port = port;
    this.#options = options;
  }

  /** The threads that the connections are with now. */
  get threads(): readonly (string | undefined)[] {
    return this.#threads;
  }

  start(): this {
    this.#clients = Array.from({ length: this.#options.connections }, (_, i) => this.#client(i));
    return this;
  }

  /** Sends no further request; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#clients);
    for (const agent of this.#agents) agent.destroy();
  }

  async #client(i: number): Promise<void> {
    const { signal } = this.#stopping;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#agents.push(agent);
    const everyMs = (1_000 * this.#options.connections) / this.#options.perSecond;
    for (let n = 0; !signal.aborted; n++) {
      const began = performance.now();
      try {
        const onSocket = (reused: boolean): void => {
          if (!reused) this.#threads[i] = undefined;
        };
        const user = `user-${i}-${n}`;
        const reply = await ask(this.#port, { agent, headers: { "x-user-id": user }, onSocket });
        this.#note(i, reply);
        this.#options.onReply?.(user, reply);
      } catch (error) {
        this.lost.push({ thread: this.#threads[i], code: error instanceof Error && "code" in error ? String(error.code) : String(error) });
      }
      // The pace of this client, not a wait for anything.
      await delay(Math.max(0, everyMs - (performance.now() - began)), undefined, { signal }).catch(() => {});
    }
  }

  #note(i: number, { status, headers, body }: Reply): void {
    const thread = headers["x-test-thread"];
    this.#threads[i] = typeof thread === "string" ? thread : undefined;
    this.answered++;
    const reply = `${status} ${body}`;
    this.replies.set(reply, (this.replies.get(reply) ?? 0) + 1);
  }
}

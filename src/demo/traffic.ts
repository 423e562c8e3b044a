import { Pool, type Dispatcher } from "undici";
import type { Person } from "./people.ts";
import { createRandom } from "./simulators/chance.ts";
import { Tally, type Recent } from "./tally.ts";

export interface TrafficOptions {
  /** `http://127.0.0.1:8080` */
  readonly origin: string;
  readonly path: string;
  readonly people: readonly Person[];
  /** Requests a second. */
  readonly rate: number;
  /** Name of the segment that a value of `X-User-Segment` stands for. */
  readonly segmentOf: (value: string) => string;
}

/** Requests under way at a time; what would exceed them is not sent, so that a stalled proxy meets no flood afterwards. */
const MOST_OPEN = 200;
const CONNECTIONS = 64;
const WINDOW_MS = 30_000;
const TICK_MS = 25;
const PATIENCE_MS = 10_000;

/** A trickle of requests from all the people, over kept connections. It runs from construction to {@link stop}. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #pool: Pool;
  readonly #random = createRandom(11);
  readonly #tally = new Tally(WINDOW_MS, performance.now());
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  #due = 0;
  sent = 0;
  /** Not sent, because too many were under way. */
  heldBack = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#pool = new Pool(options.origin, { connections: CONNECTIONS, headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS });
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  recent(): Recent {
    return this.#tally.recent(performance.now());
  }

  /** Sends no more, waits for the answers that are under way, and closes the connections. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    await this.#pool.close();
  }

  #sendDue(): void {
    const due = Math.floor(((performance.now() - this.#began) / 1000) * this.#options.rate);
    for (; this.#due < due; this.#due++) {
      if (this.#open.size >= MOST_OPEN) this.heldBack++;
      else this.#send();
    }
  }

  #send(): void {
    const { people } = this.#options;
    const person = people[Math.floor(this.#random() * people.length)];
    if (person === undefined) return;
    this.sent++;
    const request = this.#exchange(person).finally(() => this.#open.delete(request));
    this.#open.add(request);
  }

  async #exchange(person: Person): Promise<void> {
    const start = performance.now();
    const segment = person.segment === undefined ? "none" : this.#options.segmentOf(person.segment);
    let answer: Dispatcher.ResponseData | undefined;
    try {
      answer = await this.#pool.request({
        method: "POST",
        path: this.#options.path,
        headers: {
          "content-type": "application/json",
          "x-user-id": person.id,
          ...(person.segment === undefined ? {} : { "x-user-segment": person.segment }),
        },
        body: person.body,
      });
      // Half an answer is none.
      await answer.body.arrayBuffer();
    } catch {
      answer = undefined;
    }
    const at = performance.now();
    const header = (name: string): string | undefined => {
      const value = answer?.headers[name];
      return typeof value === "string" ? value : undefined;
    };
    this.#tally.add({
      at,
      segment,
      ms: at - start,
      status: answer?.statusCode ?? 0,
      arm: header("x-crossfade-arm"),
      servedBy: header("x-crossfade-served-by"),
      fallback: header("x-crossfade-fallback"),
      reason: header("x-crossfade-reason"),
    });
  }
}

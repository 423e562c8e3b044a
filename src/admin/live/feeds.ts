import type { ServerResponse } from "node:http";
import type { Operations } from "../operations.ts";
import { Problem } from "../problem.ts";
import { LiveFeed, type OnError } from "./feed.ts";

/** More than a team needs; each costs a connection and what it is sent. */
const MOST_VIEWERS = 64;

/** The streams of all flags. */
export class LiveFeeds {
  readonly #feeds: ReadonlyMap<string, LiveFeed>;
  readonly #stopListening: () => void;

  constructor(operations: Operations, onError: OnError) {
    this.#feeds = new Map(operations.config.flags.map(({ name }) => [name, new LiveFeed(operations, name, onError)]));
    this.#stopListening = operations.onSettings((flag) => this.#feeds.get(flag)?.nudge());
  }

  /** Throws the {@link Problem} of too many viewers. */
  requireRoom(): void {
    const count = [...this.#feeds.values()].reduce((sum, feed) => sum + feed.viewers, 0);
    if (count < MOST_VIEWERS) return;
    throw new Problem(
      "too-many-viewers",
      `${MOST_VIEWERS} viewers are being served by this instance; close one, or ask another instance.`,
      {},
      { "retry-after": "10" },
    );
  }

  /** From here on the response is the stream's. */
  add(flag: string, response: ServerResponse): void {
    const feed = this.#feeds.get(flag);
    if (feed === undefined) response.end();
    else feed.add(response);
  }

  /** Somebody has acted: whoever looks sees what came of it. */
  nudge(): void {
    for (const feed of this.#feeds.values()) feed.nudge();
  }

  /** Ends every stream. */
  async close(): Promise<void> {
    this.#stopListening();
    await Promise.all([...this.#feeds.values()].map((feed) => feed.close()));
  }
}

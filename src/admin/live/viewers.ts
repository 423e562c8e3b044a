import type { ServerResponse } from "node:http";

/** Keeps proxies and browsers from taking a quiet connection for a dead one. */
const HEARTBEAT_MS = 15_000;
/** Whoever has taken nothing for so long is gone, though nobody said so. */
const STALLED_MS = 60_000;
const HEARTBEAT = Buffer.from(": still here\n\n");
/** When the program ends: whoever comes back soon finds its successor. */
const FAREWELL = Buffer.from("retry: 1000\n\n");

/** Those who look at one stream. All are given the same bytes; whoever cannot take them now goes without, so nothing is kept for the slow. */
export class Viewers {
  /** With when it was last found to take what it is given; steady clock. */
  readonly #open = new Map<ServerResponse, number>();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.send(HEARTBEAT), HEARTBEAT_MS);
  }

  get count(): number {
    return this.#open.size;
  }

  /** `first` is written whatever its size. */
  add(response: ServerResponse, first: readonly Buffer[]): void {
    if (response.destroyed || response.closed) return;
    this.#open.set(response, performance.now());
    // An error is followed by the close.
    response.on("error", () => {});
    response.once("close", () => this.#open.delete(response));
    for (const bytes of first) response.write(bytes);
  }

  send(bytes: Buffer): void {
    const now = performance.now();
    for (const [response, takenAt] of this.#open) {
      if (!response.writableNeedDrain) {
        this.#open.set(response, now);
        response.write(bytes);
      } else if (now - takenAt > STALLED_MS) response.destroy();
    }
  }

  end(): void {
    clearInterval(this.#timer);
    for (const response of this.#open.keys()) if (!response.writableEnded) response.end(FAREWELL);
  }
}

/** An event as it goes over the wire. A JSON text has no line breaks unless it is asked to. */
export function eventOf(name: "history" | "view" | "point", data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

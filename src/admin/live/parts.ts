import { setTimeout as delay } from "node:timers/promises";

/** A former answer stands in for one that is late for so long. */
const KEEP_MS = 3_000;

/**
 * One thing that a view is made of and that has to be asked for. It is asked once at a time, and nobody waits for it longer than for the others: one
 * that is late has its last answer, if that is not old, and one that failed has none.
 */
export class Part<T> {
  readonly #ask: () => Promise<T>;
  #asking: Promise<void> | undefined;
  #last: { readonly value: T; readonly at: number } | undefined;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  /** Resolves within about `limitMs`; never rejects. */
  async get(limitMs: number): Promise<T | undefined> {
    const isLate = this.#asking !== undefined;
    this.#asking ??= this.#askOnce();
    if (isLate) await Promise.race([this.#asking, delay(0)]);
    else {
      const waiting = new AbortController();
      await Promise.race([this.#asking, delay(limitMs, undefined, { signal: waiting.signal }).catch(() => {})]);
      waiting.abort();
    }
    return this.#last !== undefined && performance.now() - this.#last.at < KEEP_MS ? this.#last.value : undefined;
  }

  async #askOnce(): Promise<void> {
    try {
      this.#last = { value: await this.#ask(), at: performance.now() };
    } catch {
      this.#last = undefined;
    }
    this.#asking = undefined;
  }
}

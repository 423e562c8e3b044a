import type { StoreLog } from "./log.ts";

const BETWEEN_MS = 1_000;

/** Warnings about what may go wrong with every request: one a second at most, which says how many were left out. */
export class SparseLog {
  readonly #log: StoreLog;
  readonly #now: () => number;
  #next = -Infinity;
  #omitted = 0;

  constructor(log: StoreLog, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  warn(details: object, message: string): void {
    const now = this.#now();
    if (now < this.#next) {
      this.#omitted++;
      return;
    }
    this.#next = now + BETWEEN_MS;
    this.#log.warn({ ...details, omitted: this.#omitted }, message);
    this.#omitted = 0;
  }
}

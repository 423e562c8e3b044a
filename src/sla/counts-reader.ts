import type { CountStore, HourCounts } from "../store/counts.ts";
import { COUNTS_KEPT_MS } from "../store/counts.ts";
import { HOUR_MS } from "../store/counts-text.ts";

/** Everything is read again this often, in case another server took over whose version happens to be higher. */
const THOROUGH_EVERY_MS = HOUR_MS;

/** The hours of one flag as the store has them: read once, then as they change. */
export class CountsReader {
  readonly #store: CountStore;
  readonly #flag: string;
  #hours = new Map<number, HourCounts>();
  #version = 0;
  #thoroughAt = 0;

  constructor(store: CountStore, flag: string) {
    this.#store = store;
    this.#flag = flag;
  }

  /** As of the last refresh. */
  get hours(): readonly HourCounts[] {
    return [...this.#hours.values()];
  }

  /** The first hour of which anything is known, epoch milliseconds. */
  get from(): number | undefined {
    return this.#hours.size === 0 ? undefined : Math.min(...this.#hours.keys()) * HOUR_MS;
  }

  /** Rejects as the store does; what was read before stays. */
  async refresh(now: number): Promise<void> {
    const thorough = now - this.#thoroughAt >= THOROUGH_EVERY_MS || now < this.#thoroughAt;
    let changes = await this.#store.changes(this.#flag, thorough ? 0 : this.#version);
    const anew = thorough || changes.version < this.#version;
    if (anew && !thorough) changes = await this.#store.changes(this.#flag, 0);
    const oldest = (now - COUNTS_KEPT_MS) / HOUR_MS;
    const read = await this.#store.hours(
      this.#flag,
      changes.hours.filter((hour) => hour >= oldest),
    );
    if (anew) this.#hours = new Map();
    for (const hour of read) this.#hours.set(hour.hour, hour);
    for (const hour of this.#hours.keys()) if (hour < oldest) this.#hours.delete(hour);
    this.#version = changes.version;
    if (thorough) this.#thoroughAt = now;
  }
}

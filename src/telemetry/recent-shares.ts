/** Shortest time between two remembered points, so that frequent readers do not fill the memory. */
const STEP_MS = 1_000;

interface Point {
  readonly at: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** Turns counters into shares of what came lately: since the youngest point that is at least `spanMs` old, or since start. */
export class RecentShares {
  readonly #spanMs: number;
  #points: Point[] = [];

  constructor(spanMs: number) {
    this.#spanMs = spanMs;
  }

  /** Shares that add up to 1, or none at all when nothing came. `counts` never fall. */
  update(counts: ReadonlyMap<string, number>, now: number): Map<string, number> {
    const base = this.#points.findLast((point) => point.at <= now - this.#spanMs);
    if (base !== undefined) this.#points = this.#points.slice(this.#points.indexOf(base));
    const last = this.#points.at(-1);
    if (last === undefined || now - last.at >= STEP_MS) this.#points.push({ at: now, counts });
    const rises = [...counts].map(([name, count]) => [name, count - (base?.counts.get(name) ?? 0)] as const);
    const all = rises.reduce((total, [, rise]) => total + rise, 0);
    return new Map(all > 0 ? rises.map(([name, rise]) => [name, rise / all]) : []);
  }
}

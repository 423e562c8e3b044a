import { mergeStretches, middleOf, type Stretch } from "./windows-stretch.ts";

/** Late ticks still come: until then the ticks of one step of time are kept apart, since adding up is cheaper when done once. */
const SETTLED_STEPS = 5;

/** The last minutes in equal steps of time. What is merged into a step of time keeps that step's place, wherever its own ends lie. */
export class RecentTicks {
  readonly #keepMs: number;
  readonly #stepMs: number;
  readonly #steps = new Map<number, Stretch[]>();
  #newest = -Infinity;

  constructor(keepMs: number, stepMs: number) {
    this.#keepMs = keepMs;
    this.#stepMs = stepMs;
  }

  /** From here on every tick that came is here. Epoch milliseconds; without ticks there is no such instant. */
  get floor(): number {
    return this.#newest === -Infinity ? Infinity : this.#newest - this.#keepMs;
  }

  /** `newest` is the instant up to which figures are there, with this one; it never falls. */
  add(tick: Stretch, newest: number): void {
    const middle = middleOf(tick);
    this.#newest = newest;
    if (middle < this.floor) return;
    const step = Math.floor(middle / this.#stepMs);
    const known = this.#steps.get(step);
    if (known === undefined) this.#steps.set(step, [tick]);
    else known.push(tick);
  }

  /** Drops what is too old and adds up what is complete. */
  settle(): void {
    const first = Math.floor(this.floor / this.#stepMs);
    const settled = Math.floor(this.#newest / this.#stepMs) - SETTLED_STEPS;
    for (const [step, ticks] of this.#steps) {
      const merged = step < settled && ticks.length > 1 ? mergeStretches(ticks) : undefined;
      if (step < first) this.#steps.delete(step);
      else if (merged !== undefined) this.#steps.set(step, [merged]);
    }
  }

  between(from: number, to: number): readonly Stretch[] {
    const found: Stretch[] = [];
    for (const [step, ticks] of this.#steps) {
      const middle = (step + 0.5) * this.#stepMs;
      if (middle >= from && middle < to) found.push(...ticks);
    }
    return found;
  }
}

import type { RecordFigures } from "./recording.ts";
import { isWithin, mergeStretches, middleOf, type Stretch } from "./windows-stretch.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How long entries stay as they came, and hours for themselves. */
const SINGLE_MS = 2 * HOUR_MS;
const HOURLY_MS = 26 * HOUR_MS;
/** Windows whose sums are carried on. */
const MOST_SUMS = 16;

interface Part {
  /** Rises with what is appended; of what was merged, the last. */
  readonly ordinal: number;
  readonly step: number;
  readonly stretch: Stretch;
}

interface GrowingSum {
  ordinal: number;
  sum: Stretch | undefined;
}

/**
 * What the record holds. Entries are added up to hours and to days as they grow old, never over a change of step, so that a window that
 * begins with a step stays exact; one that begins in the middle of an hour of long ago counts that hour where its middle lies. Windows that
 * only grow are carried on: what is new is added to what was known.
 */
export class RecordHistory {
  #parts: Part[] = [];
  #ordinal = 0;
  #newest = -Infinity;
  /** When which step began, in order of time. */
  #changes: { readonly from: number; readonly step: number }[] = [];
  /** By the beginning of the window; the last used is last. */
  readonly #sums = new Map<number, GrowingSum>();

  append(entry: RecordFigures): void {
    if (this.#changes.at(-1)?.step !== entry.step) this.#changes.push({ from: entry.from, step: entry.step });
    for (const stretch of entry.figures) {
      const step = this.#changes.findLast(({ from }) => from <= middleOf(stretch))?.step ?? entry.step;
      this.#parts.push({ ordinal: ++this.#ordinal, step, stretch });
    }
    const hour = Math.floor(entry.to / HOUR_MS);
    if (hour > Math.floor(this.#newest / HOUR_MS)) this.#condense(hour * HOUR_MS);
    this.#newest = Math.max(this.#newest, entry.to);
  }

  /** What lies in a span of time, as one or more stretches. */
  between(from: number, to: number): readonly Stretch[] {
    if (this.#parts.some(({ stretch }) => middleOf(stretch) >= to)) {
      return this.#parts.map(({ stretch }) => stretch).filter((stretch) => isWithin(stretch, from, to));
    }
    const known = this.#sums.get(from) ?? { ordinal: 0, sum: undefined };
    this.#sums.delete(from);
    this.#sums.set(from, known);
    const [oldest] = this.#sums.keys();
    if (this.#sums.size > MOST_SUMS && oldest !== undefined) this.#sums.delete(oldest);
    this.#carryOn(from, known);
    return known.sum === undefined ? [] : [known.sum];
  }

  #carryOn(from: number, known: GrowingSum): void {
    const fresh = this.#parts.filter(({ ordinal, stretch }) => ordinal > known.ordinal && middleOf(stretch) >= from);
    known.sum = mergeStretches([...(known.sum === undefined ? [] : [known.sum]), ...fresh.map(({ stretch }) => stretch)]);
    known.ordinal = this.#ordinal;
  }

  #condense(now: number): void {
    // Nothing that a sum does not hold yet may be merged with what it holds.
    for (const [from, known] of this.#sums) this.#carryOn(from, known);
    const groups = new Map<string, Part[]>();
    for (const part of this.#parts) {
      const key = keyOf(part, now);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [part]);
      else group.push(part);
    }
    this.#parts = [...groups.values()]
      .flatMap((group) => {
        const [first] = group;
        const stretch = mergeStretches(group.map((part) => part.stretch));
        if (first === undefined || stretch === undefined) return [];
        return [{ ordinal: Math.max(...group.map(({ ordinal }) => ordinal)), step: first.step, stretch }];
      })
      .sort((one, other) => one.ordinal - other.ordinal);
  }
}

function keyOf({ ordinal, step, stretch }: Part, now: number): string {
  const middle = middleOf(stretch);
  const hour = Math.floor(middle / HOUR_MS);
  const day = Math.floor(middle / DAY_MS);
  if ((day + 1) * DAY_MS <= now - HOURLY_MS) return `${step} day ${day}`;
  if ((hour + 1) * HOUR_MS <= now - SINGLE_MS) return `${step} hour ${hour}`;
  return `${ordinal}`;
}

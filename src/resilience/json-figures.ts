import type { Finds } from "./json-scan.ts";
import { bareEnd, isNumber, numberOf, QUOTE, wordAt, wordOf } from "./json-text.ts";

export { pointerSteps } from "./json-plan.ts";

/** Words that say how good something is, and the figures 0..1 that they stand for. */
const WORDS = Object.entries({ very_high: 0.95, high: 0.85, medium: 0.65, low: 0.4, very_low: 0.2 }).map(([text, worth]) => ({
  ...wordOf(text),
  worth,
}));

/**
 * The figure found in that slot at that place, of a scale that ends in `scale`; words have their place on it. NaN where nothing that
 * stands for a figure was found.
 */
export function figureAt(bytes: Uint8Array, finds: Finds, slot: number, index: number, scale: number): number {
  const at = finds.start(slot, index);
  const first = bytes[at] ?? 0;
  if (first === QUOTE) return (wordAt(bytes, at, WORDS)?.worth ?? Number.NaN) * scale;
  if (!isNumber(first)) return Number.NaN;
  const figure = numberOf(bytes, at, bareEnd(bytes, at, first));
  return Number.isFinite(figure) ? figure : Number.NaN;
}

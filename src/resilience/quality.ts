import type { Quality } from "../config/config.ts";
import { figureAt } from "./json-figures.ts";
import type { Finds } from "./json-scan.ts";

/** What an answer says of itself: a figure 0..1, nothing where the figure should stand, or no JSON at all. */
export type QualityReading =
  | { readonly kind: "figure"; readonly ratio: number }
  | { readonly kind: "missing" }
  | { readonly kind: "not-json" };

const MISSING: QualityReading = { kind: "missing" };

/** The quality of a body that has been scanned, from what was found in the slot. */
export function qualityOf(body: Uint8Array, finds: Finds, slot: number, { reduce, scale }: Quality): QualityReading {
  const count = finds.count(slot);
  let figures = 0;
  let reduced = 0;
  for (let i = 0; i < count; i++) {
    const figure = figureAt(body, finds, slot, i, scale);
    if (Number.isNaN(figure)) continue;
    figures++;
    if (figures === 1) reduced = figure;
    else if (reduce === "mean") reduced += figure;
    else if (reduce === "max") reduced = Math.max(reduced, figure);
    else if (reduce === "min") reduced = Math.min(reduced, figure);
    if (reduce === "first") break;
  }
  if (figures === 0) return MISSING;
  const ratio = (reduce === "mean" ? reduced / figures : reduced) / scale;
  // Sums of figures beyond all measure may be no number.
  return Number.isNaN(ratio) ? MISSING : { kind: "figure", ratio: Math.min(1, Math.max(0, ratio)) };
}

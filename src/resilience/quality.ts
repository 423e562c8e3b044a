import type { Quality } from "../config/config.ts";
import { readFigures, type Step } from "./json-figures.ts";

/** What an answer says of itself: a figure 0..1, nothing where the figure should stand, or no JSON at all. */
export type QualityReading =
  | { readonly kind: "figure"; readonly ratio: number }
  | { readonly kind: "missing" }
  | { readonly kind: "not-json" };

const WORDS: Readonly<Record<string, number>> = { very_high: 0.95, high: 0.85, medium: 0.65, low: 0.4, very_low: 0.2 };

/** Reads the quality of a complete body. Never throws. */
export function readQuality(body: Uint8Array, quality: Quality, steps: readonly Step[]): QualityReading {
  const figures: number[] = [];
  const { scale } = quality;
  const worth = (word: string): number | undefined => (Object.hasOwn(WORDS, word) ? (WORDS[word] ?? 0) * scale : undefined);
  if (!readFigures(body, steps, worth, figures)) return { kind: "not-json" };
  if (figures.length === 0) return { kind: "missing" };
  const ratio = reduce(figures, quality.reduce) / scale;
  return { kind: "figure", ratio: Math.min(1, Math.max(0, ratio)) };
}

function reduce(figures: readonly number[], how: Quality["reduce"]): number {
  switch (how) {
    case "first":
      return figures[0] ?? 0;
    case "max":
      return figures.reduce((a, b) => Math.max(a, b), -Infinity);
    case "min":
      return figures.reduce((a, b) => Math.min(a, b), Infinity);
    case "mean":
      return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  }
}

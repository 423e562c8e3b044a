import type { Quality } from "../config/config.ts";

/** What an answer says of itself: a figure 0..1, nothing where the figure should stand, or no JSON at all. */
export type QualityReading =
  | { readonly kind: "figure"; readonly ratio: number }
  | { readonly kind: "missing" }
  | { readonly kind: "not-json" };

const WORDS: Readonly<Record<string, number>> = { very_high: 0.95, high: 0.85, medium: 0.65, low: 0.4, very_low: 0.2 };

/** The steps of a JSON pointer (RFC 6901); `*` stands for every element. */
export function pointerSteps(pointer: string): readonly string[] {
  if (pointer === "") return [];
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Reads the quality of a complete body. Never throws. */
export function readQuality(body: Uint8Array, quality: Quality, steps: readonly string[]): QualityReading {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  } catch {
    return { kind: "not-json" };
  }
  const figures: number[] = [];
  collect(document, steps, 0, quality.scale, figures);
  if (figures.length === 0) return { kind: "missing" };
  const ratio = reduce(figures, quality.reduce) / quality.scale;
  return { kind: "figure", ratio: Math.min(1, Math.max(0, ratio)) };
}

function collect(value: unknown, steps: readonly string[], at: number, scale: number, figures: number[]): void {
  const step = steps[at];
  if (step === undefined) {
    if (typeof value === "number" && Number.isFinite(value)) figures.push(value);
    else if (typeof value === "string" && Object.hasOwn(WORDS, value)) figures.push((WORDS[value] ?? 0) * scale);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (step === "*") {
    for (const element of Object.values(value)) collect(element, steps, at + 1, scale, figures);
  } else if (Object.hasOwn(value, step)) {
    collect((value as Readonly<Record<string, unknown>>)[step], steps, at + 1, scale, figures);
  }
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

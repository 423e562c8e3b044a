import { t } from "../words.ts";
import type { LimitLine } from "./lines.ts";
import type { Threshold } from "./thresholds.ts";

/** Thresholds as lines with a word each; those at one value are one line: `fallback, gate P95: 100 ms`. */
export function limitLines(thresholds: readonly Threshold[], written: (value: number) => string): readonly LimitLine[] {
  const values = [...new Set(thresholds.map(({ value }) => value))];
  return values.map((value) => {
    const names = thresholds
      .filter((threshold) => threshold.value === value)
      .flatMap(({ sources, metric }) => sources.map((source) => nameOf(source, metric)));
    return { value, text: `${[...new Set(names)].join(", ")}: ${written(value)}` };
  });
}

function nameOf(source: Threshold["sources"][number], metric: string): string {
  const word = t(`threshold.${source}`);
  return source !== "fallback" && /^p\d/.test(metric) ? `${word} ${metric.toUpperCase()}` : word;
}

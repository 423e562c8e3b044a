import type { Measurement } from "./load/generator.ts";

/** What one run of one contender gave, in the units that people compare. */
export interface Figures {
  /** NaN where no process was measured. */
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly memoryMb: number;
  readonly errors: number;
  /** Percent of the requests that reached the candidate. */
  readonly candidate: number;
}

export type Metric = keyof Figures;

export function figuresOf(measured: Measurement, proxied: boolean): Figures {
  const [stable = 0, candidate = 0] = measured.served;
  return {
    cpuUs: proxied ? measured.cpuUs / measured.answered : Number.NaN,
    perSecond: measured.answered / measured.seconds,
    p50Ms: measured.p50 / 1000,
    p99Ms: measured.p99 / 1000,
    p999Ms: measured.p999 / 1000,
    memoryMb: proxied ? measured.residentKb / 1024 : Number.NaN,
    errors: measured.errors,
    candidate: (100 * candidate) / (stable + candidate),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/**
 * How a metric compares with the reference, round by round: the two stood side by side in time, so what the machine did
 * to one it did to the other.
 */
export function ratios(rounds: readonly Figures[], reference: readonly Figures[], metric: Metric): Spread {
  const each = rounds
    .map((figures, round) => figures[metric] / (reference[round]?.[metric] ?? Number.NaN))
    .filter((ratio) => Number.isFinite(ratio));
  return { median: median(each), least: Math.min(...each), most: Math.max(...each) };
}

/** A plain table: the first column to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  "),
    )
    .join("\n");
}

export function decimals(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "-";
}

export function spread({ median: middle, least, most }: Spread): string {
  return Number.isFinite(middle) ? `${middle.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)})` : "-";
}

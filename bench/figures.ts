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
  /** Connections of the busiest thread, in percent; NaN where nobody asked. */
  readonly busiest: number;
}

export type Metric = keyof Figures;

export function figuresOf(measured: Measurement, proxied: boolean): Figures {
  const [stable = 0, candidate = 0] = measured.served;
  return {
    cpuUs: proxied && measured.answered > 0 ? measured.cpuUs / measured.answered : Number.NaN,
    perSecond: measured.answered / measured.seconds,
    p50Ms: measured.p50 / 1000,
    p99Ms: measured.p99 / 1000,
    p999Ms: measured.p999 / 1000,
    memoryMb: proxied ? measured.residentKb / 1024 : Number.NaN,
    errors: measured.errors,
    candidate: (100 * candidate) / (stable + candidate),
    busiest: measured.spread.length === 0 ? Number.NaN : (100 * Math.max(...measured.spread)) / measured.spread.reduce((a, b) => a + b, 0),
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
  return spreadOf(rounds.map((figures, round) => figures[metric] / (reference[round]?.[metric] ?? Number.NaN)));
}

/** How much more it is than the reference, round by round. */
export function differences(rounds: readonly Figures[], reference: readonly Figures[], metric: Metric): Spread {
  return spreadOf(rounds.map((figures, round) => figures[metric] - (reference[round]?.[metric] ?? Number.NaN)));
}

export function spreadOf(values: readonly number[]): Spread {
  const each = values.filter((value) => Number.isFinite(value));
  return { median: median(each), least: Math.min(...each), most: Math.max(...each) };
}

export function middle(rounds: readonly Figures[], metric: Metric): number {
  return median(rounds.map((figures) => figures[metric]));
}

export function errorsOf(rounds: readonly Figures[]): string {
  return String(rounds.reduce((sum, figures) => sum + figures.errors, 0));
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

/** The median, with the least and the most in brackets. */
export function spread({ median: centre, least, most }: Spread, digits = 2): string {
  return Number.isFinite(centre) ? `${centre.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})` : "-";
}

import type { ArmFigures, FiguresSource, FiguresTable } from "./figures.ts";

/** Figures of one arm for people. Shares are 0..1, durations milliseconds; NaN without data. */
export interface ArmSummary {
  readonly requests: number;
  readonly fallbacks: number;
  readonly attempts: number;
  readonly errors: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly quality: number;
}

export interface SummaryRow {
  readonly route: string;
  readonly segment: string;
  readonly stable: ArmSummary;
  readonly candidate: ArmSummary;
}

export const SPANS = ["10s", "1m", "5m", "step", "start"] as const;
export type Span = (typeof SPANS)[number];

export function summarize(table: FiguresTable): readonly SummaryRow[] {
  return table.cells.map(({ route, segment, stable, candidate }) => ({
    route,
    segment,
    stable: summaryOf(stable),
    candidate: summaryOf(candidate),
  }));
}

export interface Instants {
  readonly now: number;
  readonly stepFrom: number;
  readonly startFrom: number;
}

/** The summary of every span, as of the source's last refresh. */
export async function summarizeSpans(
  source: FiguresSource,
  { now, stepFrom, startFrom }: Instants,
): Promise<Record<Span, readonly SummaryRow[]>> {
  const since = async (from: number): Promise<readonly SummaryRow[]> => summarize(await source.between(from, now));
  return {
    "10s": await since(now - 10_000),
    "1m": await since(now - 60_000),
    "5m": await since(now - 300_000),
    step: await since(stepFrom),
    start: await since(startFrom),
  };
}

function summaryOf({ requests, fellBack, attempts, errors, latencies, quality }: ArmFigures): ArmSummary {
  return {
    requests,
    fallbacks: fellBack / requests,
    attempts,
    errors: errors / attempts,
    p50: latencies.quantile(0.5),
    p95: latencies.quantile(0.95),
    p99: latencies.quantile(0.99),
    quality: quality.sum / quality.count,
  };
}

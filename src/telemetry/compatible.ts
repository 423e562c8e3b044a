import type { Config } from "../config/config.ts";
import { ARMS } from "../core/words.ts";
import { groupTable, writeCounters, writeHistograms } from "./grouping.ts";
import type { MeterLayout } from "./meter-layout.ts";
import { compatibleMetrics } from "./names.ts";
import { routeName, segmentName, type MeterTotals } from "./reading.ts";
import { RecentShares } from "./recent-shares.ts";
import type { MetricText, Scales } from "./text-format.ts";

/** The answers that say that a request was not one; a wrong path or a full proxy is no malformed request. */
const MALFORMED_STATUSES: ReadonlySet<number> = new Set([400, 413, 414, 417, 431, 501, 505]);

const RECENT_MS = 60_000;

/**
 * The figures under names that existing dashboards use, as far as they can be filled truthfully. docs/metrics.md says
 * which are left out and why.
 */
export function createCompatible(
  config: Config,
  { tables }: MeterLayout,
  scales: Scales,
  prefix: string,
): (text: MetricText, totals: MeterTotals, now: number, refusals: Readonly<Record<"unauthorized" | "forbidden", number>>) => void {
  const metrics = compatibleMetrics(prefix);
  const upstreamOf = (route: number, arm: number) => upstreamByArm(config, route, arm);
  const shares = new RecentShares(RECENT_MS);

  return (text, totals, now, refusals) => {
    const { requests, durations, quality, malformed } = totals;
    writeHistograms(
      text,
      metrics.responseTime,
      scales.seconds,
      groupTable(tables.durations, durations, ([r = 0, , by = 0]) => [upstreamOf(r, by), routeName(config, r)]),
    );
    writeHistograms(
      text,
      metrics.accuracy,
      scales.ratios,
      groupTable(tables.quality, quality, ([r = 0, u = 0, s = 0]) => [config.upstreams[u]?.name ?? "none", segmentName(config, r, s)]),
    );
    const assigned = groupTable(tables.requests, requests, ([r = 0, from = 0]) => (from === 0 ? undefined : [upstreamOf(r, from)]));
    text.metric(metrics.split);
    for (const [upstream, share] of shares.update(
      new Map(assigned.map(({ labels, block }) => [labels[0] ?? "none", block[0] ?? 0])),
      now,
    )) {
      text.sample(metrics.split, [upstream], share);
    }
    writeCounters(
      text,
      metrics.requests,
      groupTable(tables.requests, requests, ([r = 0, , by = 0, , , code = 0]) => [upstreamOf(r, by), String(code)]),
    );
    writeHistograms(
      text,
      metrics.durations,
      scales.seconds,
      groupTable(tables.durations, durations, ([r = 0, , by = 0]) => [upstreamOf(r, by)]),
    );
    writeCounters(
      text,
      metrics.malformed,
      groupTable(tables.malformed, malformed, ([code = 0]) => (MALFORMED_STATUSES.has(code) ? [] : undefined), [[]]),
    );
    text.metric(metrics.authFailures);
    text.sample(metrics.authFailures, [], refusals.unauthorized);
    text.metric(metrics.unauthorized);
    text.sample(metrics.unauthorized, [], refusals.forbidden);
  };
}

/** The upstream that an arm of a route stands for. A route that is not split has one, whatever the arm. */
function upstreamByArm(config: Config, route: number, arm: number): string {
  const action = config.routes[route - 1]?.action;
  if (action?.kind === "forward") return action.target.upstream;
  if (action?.kind !== "split") return "none";
  const name = ARMS[arm];
  return name === "stable" || name === "candidate" ? action[name].upstream : "none";
}

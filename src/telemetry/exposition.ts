import { collectDefaultMetrics, Registry } from "prom-client";
import type { Config } from "../config/config.ts";
import { ARMS, ATTEMPT_KINDS, DEFECTS, FALLBACK_REASONS, type Outcome, OUTCOMES, ROLLOUT_STATUSES } from "../core/words.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import { createCompatible } from "./compatible.ts";
import { groupTable, writeCounters, writeHistograms } from "./grouping.ts";
import type { MeterLayout } from "./meter-layout.ts";
import { METRICS } from "./names.ts";
import type { TablePlace, TableTotals } from "./series.ts";
import { type SlaFigures, writePromises } from "./promises.ts";
import { type ReportedFigures, writeReported } from "./reported.ts";
import { createReading, lostRecords, routeName, segmentName, type MeterTotals, type WorkerGauges } from "./reading.ts";
import { edgeLabels, MetricText, type Scales } from "./text-format.ts";

/** What the control side knows and the workers' memory does not hold. */
export interface LiveFigures {
  readonly version: string;
  /** `killed`: by the settings, or on this instance alone. */
  readonly flags: readonly { readonly state: FlagState; readonly killed: boolean }[];
  readonly storeUp: boolean;
  /** Refused settings since start, by kind. Name every kind, with 0 where there was none, so that its first rise is seen. */
  readonly rejections: Readonly<Record<string, number>>;
  /** `gauges` is undefined for a worker that does not run. */
  readonly workers: readonly { readonly worker: number; readonly restarts: number; readonly gauges: WorkerGauges | undefined }[];
  /** `up` is undefined where nothing checks the endpoint. */
  readonly upstreams: readonly {
    readonly upstream: string;
    readonly endpoint: string;
    readonly up: boolean | undefined;
    /** How often workers have left it alone. */
    readonly ejections: number;
  }[];
  readonly breakers: readonly BreakerFigures[];
  readonly rollouts: readonly RolloutFigures[];
  readonly sla: readonly SlaFigures[];
  readonly reported: readonly ReportedFigures[];
  /** Of notifications; `up`: the last try did not fail, or there was none. */
  readonly channels: readonly { readonly channel: string; readonly up: boolean }[];
  /** Requests that the admin API refused for want of a right, by code; name every code. */
  readonly refusals: Readonly<Record<RefusalCode, number>>;
}

/** Why the admin API lets somebody not do something: no token or a wrong one, no such right, another site's page. */
export const REFUSAL_CODES = ["unauthorized", "forbidden", "foreign-host", "foreign-origin"] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

/** Of one flag, as this instance last read it. */
export interface RolloutFigures {
  readonly flag: string;
  readonly status: (typeof ROLLOUT_STATUSES)[number];
  /** From 1; 0: none. */
  readonly step: number;
  readonly leads: boolean;
}

/** Of one split route. */
export interface BreakerFigures {
  readonly route: string;
  /** The candidate's. */
  readonly upstream: string;
  readonly state: "closed" | "returning" | "half-open" | "open";
  /** 1 is all of it. */
  readonly budgetUsed: number;
}

/** Their order is their number in the metric. */
const BREAKER_STATES: readonly BreakerFigures["state"][] = ["closed", "returning", "half-open", "open"];

interface ExpositionOptions {
  readonly config: Config;
  /** The memory that workers count in or ever counted in. */
  readonly buffers: () => readonly SharedArrayBuffer[];
  readonly live: () => LiveFigures;
  /** Milliseconds on any steady clock. */
  readonly now?: () => number;
}

export interface Exposition {
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

const MS_PER_SECOND = 1_000;
const BP_PER_PERCENT = 100;

/**
 * Makes the text of `/metrics`. The figures of the workers are read from their memory at each call. The process's own
 * metrics (`process_*`, `nodejs_*`; heap and event loop are those of the control thread) come from prom-client.
 */
export function createExposition({ config, buffers, live, now = () => performance.now() }: ExpositionOptions): Exposition {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const reading = createReading(config, buffers);
  const { tables } = reading.layout;
  const scales: Scales = {
    seconds: edgeLabels(tables.durations.edges ?? new Float64Array(0), MS_PER_SECOND),
    ratios: edgeLabels(tables.quality.edges ?? new Float64Array(0), 1),
  };
  const writeCompatible =
    config.metricsPrefix === undefined ? undefined : createCompatible(config, reading.layout, scales, config.metricsPrefix);

  return {
    async metrics() {
      const text = new MetricText();
      const totals = reading.totals();
      writeTraffic(text, config, reading.layout, scales, totals);
      const figures = live();
      writeLive(text, figures);
      writeRollouts(text, figures.rollouts);
      writePromises(text, figures.sla);
      writeSplits(text, config);
      writeReported(text, figures.reported);
      text.metric(METRICS.channelUp);
      for (const { channel, up } of figures.channels) text.sample(METRICS.channelUp, [channel], Number(up));
      text.metric(METRICS.adminRefused);
      for (const code of REFUSAL_CODES) text.sample(METRICS.adminRefused, [code], figures.refusals[code]);
      writeWorkers(text, figures.workers);
      writeCompatible?.(text, totals, now(), figures.refusals);
      return { text: `${text.toString()}\n${await registry.metrics()}`, contentType: registry.contentType };
    },
  };
}

function writeTraffic(text: MetricText, config: Config, { tables }: MeterLayout, scales: Scales, totals: MeterTotals): void {
  const route = (index: number) => routeName(config, index);
  const segment = (routeIndex: number, index: number) => segmentName(config, routeIndex, index);
  const upstream = (index: number) => config.upstreams[index]?.name ?? "none";
  const split = config.routes.filter(({ action }) => action.kind === "split").map(({ name }) => name);

  writeCounters(
    text,
    METRICS.requests,
    groupTable(tables.requests, totals.requests, ([r = 0, from = 0, by = 0, s = 0, outcome = 0, code = 0]) => {
      return [route(r), word(ARMS, from), word(ARMS, by), segment(r, s), word(OUTCOMES, outcome), String(code)];
    }),
  );
  writeHistograms(
    text,
    METRICS.durations,
    scales.seconds,
    groupTable(tables.durations, totals.durations, ([r = 0, from = 0, by = 0, s = 0]) => {
      return [route(r), word(ARMS, from), word(ARMS, by), segment(r, s)];
    }),
  );
  writeHistograms(
    text,
    METRICS.attempts,
    scales.seconds,
    groupTable(tables.attempts, totals.attempts, ([r = 0, u = 0, kind = 0, outcome = 0]) => {
      return [route(r), upstream(u), word(ATTEMPT_KINDS, kind), word(OUTCOMES, outcome)];
    }),
  );
  writeFailures(text, config, tables.attempts, totals.attempts);
  writeHistograms(
    text,
    METRICS.quality,
    scales.ratios,
    groupTable(tables.quality, totals.quality, ([r = 0, u = 0, s = 0]) => [route(r), upstream(u), segment(r, s)]),
  );
  writeCounters(
    text,
    METRICS.fallbacks,
    groupTable(
      tables.fallbacks,
      totals.fallbacks,
      ([r = 0, reason = 0]) => [route(r), word(FALLBACK_REASONS, reason)],
      split.flatMap((name) => FALLBACK_REASONS.map((reason) => [name, reason])),
    ),
  );
  writeCounters(
    text,
    METRICS.cuts,
    groupTable(
      tables.cuts,
      totals.cuts,
      ([r = 0]) => [route(r)],
      split.map((name) => [name]),
    ),
  );
  writeCounters(
    text,
    METRICS.defects,
    groupTable(tables.defects, totals.defects, ([r = 0, u = 0, defect = 0]) => [route(r), upstream(u), word(DEFECTS, defect)]),
  );
  for (const name of ["unjudged", "dropped", "inexpressible"] as const) {
    writeCounters(
      text,
      METRICS[name],
      groupTable(tables[name], totals[name], ([r = 0, u = 0]) => [route(r), upstream(u)]),
    );
  }
  writeCounters(
    text,
    METRICS.malformed,
    groupTable(tables.malformed, totals.malformed, ([code = 0]) => [String(code)]),
  );
  text.metric(METRICS.lost);
  for (const [table, lost] of lostRecords(totals)) text.sample(METRICS.lost, [table], lost);
}

function writeRollouts(text: MetricText, rollouts: readonly RolloutFigures[]): void {
  text.metric(METRICS.rolloutStatus);
  for (const { flag, status } of rollouts) {
    for (const known of ROLLOUT_STATUSES) text.sample(METRICS.rolloutStatus, [flag, known], Number(known === status));
  }
  text.metric(METRICS.rolloutStep);
  for (const { flag, step } of rollouts) text.sample(METRICS.rolloutStep, [flag], step);
  text.metric(METRICS.rolloutLeader);
  for (const { flag, leads } of rollouts) text.sample(METRICS.rolloutLeader, [flag], Number(leads));
}

/** The same attempts once more, but a number that is there from the start: the first failure of a histogram is a rise that nobody sees. */
function writeFailures(text: MetricText, { routes, upstreams }: Config, place: TablePlace, totals: TableTotals): void {
  const used = routes.flatMap(({ name, action }) => {
    const targets = action.kind === "split" ? [action.stable, action.candidate] : action.kind === "forward" ? [action.target] : [];
    return targets.map(({ upstream }) => [name, upstream]);
  });
  const groups = groupTable(
    place,
    totals,
    ([r = 0, u = 0, , outcome = 0]) =>
      FAILURES.has(OUTCOMES[outcome]) ? [routes[r - 1]?.name ?? "none", upstreams[u]?.name ?? "none"] : undefined,
    used,
  );
  text.metric(METRICS.failures);
  for (const { labels, block } of groups) {
    const counts = block.subarray(0, (place.edges?.length ?? 0) + 1);
    text.sample(
      METRICS.failures,
      labels,
      counts.reduce((sum, count) => sum + count, 0),
    );
  }
}

/** The upstream was not reached or did not answer, or not with what was asked for. */
const FAILURES: ReadonlySet<string | undefined> = new Set<Outcome>(["connect-failed", "reset", "timeout", "server-error", "bad-answer"]);

function writeSplits(text: MetricText, { routes }: Config): void {
  text.metric(METRICS.split);
  for (const { name, action } of routes) {
    if (action.kind === "split") text.sample(METRICS.split, [name, action.flag, action.stable.upstream, action.candidate.upstream], 1);
  }
}

function writeLive(text: MetricText, { version, flags, storeUp, rejections, upstreams, breakers }: LiveFigures): void {
  text.metric(METRICS.percentage);
  for (const { state } of flags) {
    text.sample(METRICS.percentage, [state.flag, ""], state.settings.weightBp / BP_PER_PERCENT);
    for (const segment of state.settings.segments)
      text.sample(METRICS.percentage, [state.flag, segment.name], segment.weightBp / BP_PER_PERCENT);
  }
  text.metric(METRICS.enabled);
  for (const { state } of flags) text.sample(METRICS.enabled, [state.flag], Number(state.settings.enabled));
  text.metric(METRICS.killed);
  for (const { state, killed } of flags) text.sample(METRICS.killed, [state.flag], Number(killed));
  text.metric(METRICS.revision);
  for (const { state } of flags) text.sample(METRICS.revision, [state.flag], state.revision);
  text.metric(METRICS.rejected);
  for (const [kind, count] of Object.entries(rejections)) text.sample(METRICS.rejected, [kind], count);
  text.metric(METRICS.storeUp);
  text.sample(METRICS.storeUp, [], Number(storeUp));
  text.metric(METRICS.upstreamUp);
  for (const { upstream, endpoint, up } of upstreams) {
    if (up !== undefined) text.sample(METRICS.upstreamUp, [upstream, endpoint], Number(up));
  }
  text.metric(METRICS.ejections);
  for (const { upstream, endpoint, ejections } of upstreams) text.sample(METRICS.ejections, [upstream, endpoint], ejections);
  text.metric(METRICS.breaker);
  for (const { route, upstream, state } of breakers) text.sample(METRICS.breaker, [route, upstream], BREAKER_STATES.indexOf(state));
  text.metric(METRICS.budget);
  for (const { route, budgetUsed } of breakers) text.sample(METRICS.budget, [route], budgetUsed);
  text.metric(METRICS.build);
  text.sample(METRICS.build, [version, process.version], 1);
}

function writeWorkers(text: MetricText, workers: LiveFigures["workers"]): void {
  text.metric(METRICS.restarts);
  for (const { worker, restarts } of workers) text.sample(METRICS.restarts, [String(worker)], restarts);
  const gauges = [
    [METRICS.connections, (now: WorkerGauges) => now.connections],
    [METRICS.exchanges, (now: WorkerGauges) => now.exchanges],
    [METRICS.observing, (now: WorkerGauges) => now.observing],
    [METRICS.lag, (now: WorkerGauges) => now.lagMs / MS_PER_SECOND],
    [METRICS.lagPeak, (now: WorkerGauges) => now.lagPeakMs / MS_PER_SECOND],
  ] as const;
  for (const [metric, value] of gauges) {
    text.metric(metric);
    for (const { worker, gauges: now } of workers) if (now !== undefined) text.sample(metric, [String(worker)], value(now));
  }
}

function word(words: readonly string[], index: number): string {
  return words[index] ?? "none";
}

import type { Metric } from "../../analysis/check.ts";
import type { LiveView } from "../../admin/live/view.ts";
import { parseDuration, parseShare } from "../../core/quantity.ts";

export type Source = "fallback" | "breaker" | "gate" | "trigger";

/** A line on a chart: something happens beyond it. */
export interface Threshold {
  /** Milliseconds, or a share of 0..1. */
  readonly value: number;
  readonly metric: Metric;
  readonly sources: readonly Source[];
}

/** The fields of a flag's settings beyond which something happens at once. */
const SETTINGS: Partial<
  Readonly<Record<Metric, { readonly field: string; readonly source: Source; readonly read: (text: string) => number | undefined }>>
> = {
  p99: { field: "fallback.response_time", source: "fallback", read: parseDuration },
  errors: { field: "fallback.error_rate", source: "breaker", read: shareOf },
  quality: { field: "fallback.accuracy", source: "fallback", read: shareOf },
};

/** What stands at which value for these metrics; equal ones are one line. Only what is said of the candidate itself: a comparison has no place on the axis. */
export function thresholdsOf({ flag, rollout }: Pick<LiveView, "flag" | "rollout">, metrics: readonly Metric[]): readonly Threshold[] {
  const found: Threshold[] = [];
  const add = (value: number, metric: Metric, source: Source): void => {
    const at = found.findIndex((known) => known.value === value && known.metric === metric);
    const held = found[at];
    if (held === undefined) found.push({ value, metric, sources: [source] });
    else if (!held.sources.includes(source)) found[at] = { ...held, sources: [...held.sources, source] };
  };
  for (const metric of metrics) {
    const setting = SETTINGS[metric];
    const value = setting?.read(flag.settings[setting.field] ?? "");
    if (setting !== undefined && value !== undefined) add(value, metric, setting.source);
  }
  const running = rollout?.rollout;
  if (running !== undefined) {
    const step = "step" in running.state ? running.plan.steps[running.state.step] : undefined;
    for (const source of ["gate", "trigger"] as const) {
      const checks = source === "gate" ? [...running.plan.gates, ...(step?.gates ?? [])] : running.plan.triggers;
      for (const { metric, of, limit } of checks) if (of === "candidate" && metrics.includes(metric)) add(limit.value, metric, source);
    }
  }
  return found.sort((one, other) => one.value - other.value);
}

/** Settings are written in per cent, checks in 0..1. */
function shareOf(text: string): number | undefined {
  const basisPoints = parseShare(text);
  return basisPoints === undefined ? undefined : basisPoints / 10_000;
}

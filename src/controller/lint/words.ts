import type { Check } from "../../analysis/check.ts";
import type { Path } from "../../config/problem.ts";
import { formatDuration, formatShare } from "../../core/quantity.ts";
import { METRIC_FACTS } from "../plan-file/metric-facts.ts";
import type { Plan, Step } from "../plan.ts";

/** Figures and parts of a plan in words. */

const DAY_MS = 86_400_000;

/** `errors at most 1%`, `accuracy at least 110% of the stable arm's` */
export function checkText(check: Check): string {
  const route = check.route === undefined ? "" : ` on ${check.route}`;
  const segment = check.segment === undefined ? "" : ` in ${check.segment}`;
  const each = check.each === "all" ? "" : ` for each ${check.each}`;
  return `${check.metric}${route}${segment} ${limitText(check)}${each}`;
}

export function limitText({ metric, of, limit }: Pick<Check, "metric" | "of" | "limit">): string {
  const words = limit.kind === "at-most" ? "at most" : "at least";
  if (of === "ratio") return `${words} ${percentText(limit.value)} of the stable arm's`;
  const value = valueText({ metric, of }, limit.value);
  return of === "difference" ? `${words} ${value} more than the stable arm's` : `${words} ${value}`;
}

/** A value of the check, as a plan file writes it. */
export function valueText({ metric, of }: Pick<Check, "metric" | "of">, value: number): string {
  if (of === "ratio") return percentText(value);
  switch (METRIC_FACTS[metric].unit) {
    case "share":
      return percentText(value);
    case "ms":
      return value < 0 ? `-${formatDuration(-value)}` : formatDuration(value);
    case "seconds":
      return formatDuration(value * 1_000);
    case "count":
    case "amount":
      return count(value);
  }
}

/** 0.1234 is `12.34%`. */
export function percentText(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

/** 12345 is `12,345`; small numbers keep two decimals. */
export function count(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toFixed(2)));
}

/** How long something takes, roundly: `3.3d`, `53m`, `20s`. */
export function lengthText(ms: number): string {
  if (!Number.isFinite(ms)) return "never";
  const [size, unit] =
    ms >= DAY_MS
      ? ([DAY_MS, "d"] as const)
      : ms >= 3_600_000
        ? ([3_600_000, "h"] as const)
        : ms >= 60_000
          ? ([60_000, "m"] as const)
          : ([1_000, "s"] as const);
  const figure = ms / size;
  return `${Number(figure.toFixed(figure >= 10 ? 0 : 1))}${unit}`;
}

/** `sanity (10 %)` */
export function stepText({ name, percentageBp }: Step): string {
  return `${name} (${formatShare(percentageBp)}%)`;
}

export interface Placed {
  readonly check: Check;
  readonly path: Path;
  /** Index of the step that has it for its own; undefined: it applies to every step. */
  readonly step: number | undefined;
}

/** Every gate with its place. */
export function gatesOf(plan: Plan): readonly Placed[] {
  return [
    ...plan.gates.map((check, index) => ({ check, path: ["gates", index], step: undefined })),
    ...plan.steps.flatMap(({ gates }, step) => gates.map((check, index) => ({ check, path: ["steps", step, "gates", index], step }))),
  ];
}

export function triggersOf(plan: Plan): readonly Placed[] {
  return plan.triggers.map((check, index) => ({ check, path: ["triggers", index], step: undefined }));
}

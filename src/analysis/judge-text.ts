import type { Check, Metric } from "./check.ts";
import type { Assessed } from "./stats/assess.ts";

type Unit = "%" | "ms" | "s" | "";

const UNITS: Readonly<Record<Metric, Unit>> = {
  errors: "%",
  availability: "%",
  p50: "ms",
  p95: "ms",
  p99: "ms",
  fallbacks: "%",
  quality: "%",
  requests: "",
  accuracy: "%",
  satisfaction: "%",
  conversion: "%",
  revenue: "",
  data_integrity: "%",
  sync_lag: "s",
  sessions_lost: "",
  security: "",
};

const LABELS: Readonly<Partial<Record<Metric, string>>> = {
  p50: "P50",
  p95: "P95",
  p99: "P99",
  revenue: "revenue per match",
  data_integrity: "data integrity",
  sync_lag: "sync lag",
  sessions_lost: "sessions lost",
  security: "security incidents P0 or P1",
};

const OBSERVATIONS: Readonly<Partial<Record<Metric, string>>> = {
  fallbacks: "requests",
  quality: "answers",
  accuracy: "users",
  satisfaction: "users",
  conversion: "users",
  revenue: "users",
};

/** The check's figure as people call it. */
export function labelOf({ metric }: Pick<Check, "metric">): string {
  return LABELS[metric] ?? metric;
}

/** What is counted as one observation. Events of sliding windows are not told apart by user. */
function observationsOf({ metric, window }: Pick<Check, "metric" | "window">): string {
  const name = OBSERVATIONS[metric] ?? "attempts";
  return name === "users" && window.kind === "last" ? "events" : name;
}

type Figured = Pick<Check, "metric" | "of">;

/** A number in the unit of the check, with it. */
export function showFigure(check: Figured, value: number): string {
  const unit = unitOf(check);
  return unit === "" ? numberOf(check, value) : `${numberOf(check, value)} ${unit}`;
}

function unitOf({ metric, of }: Figured): string {
  if (of === "ratio") return "%";
  const unit = UNITS[metric];
  return of === "difference" && unit === "%" ? "points" : unit;
}

/** Made once: making one costs more than a hundred uses, and every look at a rollout says dozens of numbers. */
const formatOf = (maximumFractionDigits: number): Intl.NumberFormat => new Intl.NumberFormat("en-US", { maximumFractionDigits });
const FORMATS = [formatOf(0), formatOf(1), formatOf(2)] as const;

function numberOf(check: Figured, value: number): string {
  if (value === Infinity || value === -Infinity) return "unknown";
  const isShare = check.of === "ratio" || UNITS[check.metric] === "%";
  const scaled = isShare ? value * 100 : value;
  const digits = Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : isShare ? 1 : 0;
  const text = FORMATS[digits].format(Number(scaled.toFixed(digits)));
  return check.of === "difference" && scaled > 0 ? `+${text}` : text;
}

export function showCount(count: number): string {
  return FORMATS[0].format(Math.round(count));
}

/** The verdict in one sentence. */
export function sentenceOf(check: Check, assessed: Assessed): string {
  const { word, value, low, high, sample, stableSample } = assessed;
  if (word === "no-data") return tooLittle(check, sample, stableSample);
  const isUpper = check.limit.kind === "at-most";
  const what = `${labelOf(check)} ${value === undefined ? "unknown" : showFigure(check, value)}${comparedWith(check)}`;
  const limit = `the limit of ${showFigure(check, check.limit.value)}`;
  const rest = `${armsOf(check, assessed)}, ${sizesOf(check, sample, stableSample)}`;
  const beyond = isUpper ? "over" : "under";
  if (word === "inconclusive")
    return `${what} (${betweenOf(check, low, high)}), neither surely within ${limit} nor surely ${beyond} it${rest}`;
  // The bound that decided.
  const isLow = (word === "fail") === isUpper;
  const decided = isLow ? low >= check.limit.value : high <= check.limit.value;
  // A quantile is decided by the share beyond the limit; its own bound may be wider, and would only confuse.
  const bound = !decided ? "" : isLow ? ` (at least ${numberOf(check, low)})` : ` (at most ${numberOf(check, high)})`;
  return `${what}${bound} ${decided ? "" : "surely "}${word === "fail" ? beyond : "within"} ${limit}${rest}`;
}

function comparedWith({ of }: Check): string {
  if (of === "ratio") return " of the stable arm's";
  return of === "difference" ? " against the stable arm" : "";
}

function armsOf(check: Check, { candidate, stable }: Assessed): string {
  if (check.of === "candidate" || candidate === undefined || stable === undefined) return "";
  const own: Figured = { metric: check.metric, of: "candidate" };
  return `, ${showFigure(own, candidate)} against ${showFigure(own, stable)}`;
}

function sizesOf(check: Check, sample: number, stableSample: number): string {
  const mine = `${showCount(sample)} ${observationsOf(check)}`;
  return check.of === "candidate" ? mine : `${mine} against ${showCount(stableSample)}`;
}

function betweenOf(check: Check, low: number, high: number): string {
  if (!Number.isFinite(low) && !Number.isFinite(high)) return "no bounds yet";
  if (!Number.isFinite(high)) return `at least ${numberOf(check, low)}`;
  if (!Number.isFinite(low)) return `at most ${numberOf(check, high)}`;
  return `${numberOf(check, low)} to ${numberOf(check, high)}`;
}

function tooLittle(check: Check, sample: number, stableSample: number): string {
  const needed = showCount(Math.max(1, check.minSample));
  if (sample >= Math.max(1, check.minSample))
    return `${labelOf(check)}: ${showCount(stableSample)} ${observationsOf(check)} of the stable arm, and a verdict takes ${needed}`;
  return `${labelOf(check)}: ${showCount(sample)} ${observationsOf(check)} of the candidate, and a verdict takes ${needed}`;
}

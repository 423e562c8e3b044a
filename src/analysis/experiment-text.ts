import type { ArmCounts, Comparison, ExperimentMetric, ExperimentReport, ExperimentView, Finding, Unit } from "./experiment.ts";

interface MetricText {
  readonly unit: Unit;
  readonly better: Comparison["better"];
  readonly title: string;
}

export const METRIC_TEXT: Readonly<Record<ExperimentMetric, MetricText>> = {
  accuracy: { unit: "share", better: "higher", title: "accuracy" },
  satisfaction: { unit: "share", better: "higher", title: "satisfaction" },
  conversion: { unit: "share", better: "higher", title: "conversion" },
  revenue: { unit: "amount per match", better: "higher", title: "revenue per match" },
  p50: { unit: "ms", better: "lower", title: "P50" },
  p95: { unit: "ms", better: "lower", title: "P95" },
  slow: { unit: "share", better: "lower", title: "over 100 ms" },
};

const FINDING_TEXT: Readonly<Record<Finding, string>> = {
  better: "better",
  worse: "WORSE",
  "no-difference": "no difference",
  "not-yet": "not yet",
  untrustworthy: "untrustworthy",
  "no-data": "no data",
};

type Said = Omit<Comparison, "why">;

/** What was found, with figures and units. */
export function sentenceOn(said: Said, { users, needed }: { readonly users: number; readonly needed: number }): string {
  const { metric, unit, stable, candidate, difference, low, high, effect, finding } = said;
  if (stable === undefined || candidate === undefined || difference === undefined)
    return "too few observations of one of the arms to compare them";
  const arms = `${METRIC_TEXT[metric].title} ${formatValue(candidate, unit)} on the candidate, ${formatValue(stable, unit)} on stable`;
  const found = `${arms}: ${formatDifference(difference, unit)} (${formatRange(low, high, unit)})`;
  const limit =
    effect === undefined ? "the effect that matters" : `${formatDifference(effect, unit).replace("+", "")}, the effect that matters`;
  switch (finding) {
    case "better":
      return `${found}, surely better`;
    case "worse":
      return `${found}, surely worse`;
    case "no-difference":
      return `${found}, surely within ${limit}`;
    case "untrustworthy":
      return `${found}, but users per arm are not what the split says, so different people are compared`;
    default:
      return users < needed ? `${found}; ${users} of ${needed} users, and no harm is sure` : `${found}; not sure yet`;
  }
}

/** Lines for a terminal. */
export function renderExperiment(report: ExperimentReport): string[] {
  const { verdict, users, ratio, assigned, served, aims, correction, elapsedMs } = report;
  const sure = `${formatShare(aims.confidence)} sure at every look`;
  return [
    `Verdict: ${FINDING_TEXT[verdict.finding]}`,
    `  ${verdict.why}`,
    ...report.harms.map(({ why }) => `  harm: ${why}`),
    `Users: at least ${users.total} of ${users.needed} in ${formatDuration(elapsedMs)}; at the fullest step ${users.stable} on stable, ${users.candidate} on the candidate`,
    ...ratioLines(ratio),
    "",
    `By assignment (what being sent to the candidate does, fallbacks included; ${sure})`,
    ...tableOf(assigned.overall, false),
    ...segmentLines("By assignment and segment", assigned, correction.segments),
    "",
    `By the arm that served (operational, shows no cause; ${sure})`,
    ...tableOf(served.overall, false),
    ...segmentLines("By the arm that served, and segment", served, correction.segments),
    "",
    ...report.notes.map((note) => `Note: ${note}`),
  ];
}

function ratioLines({ all, strata }: ExperimentReport["ratio"]): string[] {
  const line = ({ scope, why, p }: ArmCounts): string =>
    `  ${scope}: ${why}${p === undefined || p < 0.001 ? "" : ` (p ${p.toPrecision(2)})`}`;
  return [
    all.alarm ? "ALARM: users per arm are not what the split says" : "Users per arm, against the split:",
    ...[all, ...strata].map(line),
  ];
}

function segmentLines(title: string, { segments }: ExperimentView, count: number): string[] {
  if (count < 2) return [];
  const compared = segments.filter(({ finding }) => finding !== "no-data");
  return ["", `${title} (all ${count} together as sure as one, after Bonferroni)`, ...tableOf(compared, true)];
}

function tableOf(comparisons: readonly Comparison[], withSegment: boolean): string[] {
  const head = [
    ...(withSegment ? ["segment"] : []),
    "",
    "candidate",
    "stable",
    "difference",
    "interval",
    "observed",
    "detectable",
    "decided in",
    "",
  ];
  const rows = comparisons.map((one) => {
    const { metric, unit, candidate, stable, difference, low, high, observed, detectable, finding } = one;
    return [
      ...(withSegment ? [one.segment] : []),
      METRIC_TEXT[metric].title,
      candidate === undefined ? "-" : formatValue(candidate, unit),
      stable === undefined ? "-" : formatValue(stable, unit),
      difference === undefined ? "-" : formatDifference(difference, unit),
      difference === undefined ? "-" : formatRange(low, high, unit),
      `${observed.candidate} / ${observed.stable} ${observed.of}`,
      detectable === undefined ? "-" : formatDifference(detectable, unit).replace("+", ""),
      finding === "no-data" || one.decidedInMs === undefined ? "-" : one.decidedInMs === 0 ? "now" : formatDuration(one.decidedInMs),
      FINDING_TEXT[finding],
    ];
  });
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows].map((row) => `  ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd());
}

export function formatShare(share: number): string {
  return `${trimmed(share * 100, 2)} %`;
}

function formatValue(value: number, unit: Unit): string {
  switch (unit) {
    case "share":
      return formatShare(value);
    case "ms":
      return `${trimmed(value, 1)} ms`;
    case "amount per match":
      return `${trimmed(value, 3)} per match`;
  }
}

/** Differences of shares are points: 1 point is 0.01. */
function formatDifference(value: number, unit: Unit): string {
  const sign = value > 0 ? "+" : "";
  return unit === "share" ? `${sign}${trimmed(value * 100, 2)} points` : `${sign}${formatValue(value, unit)}`;
}

function formatRange(low: number | undefined, high: number | undefined, unit: Unit): string {
  const end = (value: number | undefined): string => (value === undefined ? "?" : formatDifference(value, unit).replace(/ .*/, ""));
  return `${end(low)} to ${end(high)}`;
}

function trimmed(value: number, digits: number): string {
  const text = String(Number(value.toFixed(digits)));
  return text === "-0" ? "0" : text;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

function formatDuration(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${trimmed(ms / DAY_MS, 1)} d`;
  if (ms >= 2 * HOUR_MS) return `${trimmed(ms / HOUR_MS, 1)} h`;
  return `${Math.ceil(ms / MINUTE_MS)} min`;
}

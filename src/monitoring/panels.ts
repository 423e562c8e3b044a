import type { Limit, Panel, Query, Unit } from "./dashboard.ts";

/** Short forms in which the boards are written. */

type Rest = Partial<Pick<Panel, "limits" | "width" | "height" | "words" | "stacked" | "min" | "max">>;

export function graph(title: string, about: string, unit: Unit, queries: readonly Query[], rest: Rest = {}): Panel {
  return { kind: "timeseries", title, about, unit, queries, width: 12, height: 8, min: 0, ...rest };
}

export function stat(title: string, about: string, unit: Unit, query: Query, rest: Rest = {}): Panel {
  return { kind: "stat", title, about, unit, queries: [query], width: 4, height: 5, ...rest };
}

export function heatmap(title: string, about: string, query: Query): Panel {
  return { kind: "heatmap", title, about, unit: "short", queries: [query], width: 12, height: 8 };
}

export function table(title: string, about: string, query: Query, rest: Rest = {}): Panel {
  return { kind: "table", title, about, unit: "short", queries: [query], width: 12, height: 6, ...rest };
}

export function query(expr: string, legend = ""): Query {
  return { expr: expr.replaceAll(/\s+/g, " ").trim(), legend };
}

export const above = (orange: number, red: number): readonly Limit[] => [
  { at: orange, colour: "orange" },
  { at: red, colour: "red" },
];

export const below = (red: number, green: number): readonly Limit[] => [
  { at: red, colour: "orange" },
  { at: green, colour: "green" },
];

export const onlyRed = (at: number): readonly Limit[] => [{ at, colour: "red" }];

/** Labels that the variables at the top of each board choose. */
export const TRAFFIC = 'route=~"$route",segment=~"$segment"';
export const SPLIT = `${TRAFFIC},assigned!="none"`;
/** Attempts have no segment. */
export const ATTEMPTS = 'route=~"$route"';
export const FAILED = 'outcome=~"connect-failed|reset|timeout|server-error|bad-answer"';
/** Whose duration says something of the upstream. */
export const ANSWERED = 'outcome!~"connect-failed|cancelled|refused"';
export const FLAG = 'flag=~"$flag"';
/** Each instance tells the fleet's figures, so they are not added up. */
export const USERS = `${FLAG},segment=~"$segment"`;

/** A quotient of what users said, by the arm that the split assigned. */
export function business(metric: string): string {
  const sum = (part: string): string =>
    `sum by (arm) (max by (flag, arm, segment) (crossfade_business_${part}{${USERS},metric="${metric}"}))`;
  return `${sum("numerator")} / (${sum("denominator")} > 0)`;
}

export function quantile(part: number, metric: string, labels: string, by: string): string {
  return `histogram_quantile(${part}, sum by (${by}, le) (rate(${metric}_bucket{${labels}}[$__rate_interval])))`;
}

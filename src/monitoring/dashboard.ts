/** Grafana dashboards as values. What is not said here is Grafana's own default. */

export interface Query {
  /** PromQL. May name the variables `$flag`, `$route`, `$segment`, and Grafana's `$__rate_interval` and `$__range`. */
  readonly expr: string;
  /** What the series are called: Grafana's `{{label}}`. */
  readonly legend: string;
}

/** A limit, drawn as a line. */
export interface Limit {
  readonly at: number;
  readonly colour: "green" | "orange" | "red";
}

export type PanelKind = "timeseries" | "stat" | "heatmap" | "table" | "bargauge";

export interface Panel {
  readonly kind: PanelKind;
  readonly title: string;
  /** What the figure means and how it is counted. */
  readonly about: string;
  /** Grafana's name of the unit. */
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly limits?: readonly Limit[];
  /** Of the grid's 24 columns. */
  readonly width: number;
  readonly height: number;
  /** Numbers shown as words. */
  readonly words?: Readonly<Record<number, string>>;
  readonly stacked?: boolean;
  readonly min?: number;
  readonly max?: number;
}

export type Unit = "percentunit" | "s" | "reqps" | "short" | "none" | "bytes" | "percent";

export interface Section {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Board {
  /** Also the file's name; never changes, for links lead there. */
  readonly uid: string;
  readonly title: string;
  readonly about: string;
  readonly sections: readonly Section[];
  /** How far back it shows at first. */
  readonly from: string;
  readonly refresh: string;
}

/** The data source that is provisioned beside the dashboards. */
const DATA_SOURCE = { type: "prometheus", uid: "crossfade-prometheus" } as const;

const GRID = 24;

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** The text of the file that Grafana reads. The same board gives the same text. */
export function boardText(board: Board): string {
  return `${JSON.stringify(boardModel(board), null, 2)}\n`;
}

function boardModel({ uid, title, about, sections, from, refresh }: Board): Readonly<Record<string, unknown>> {
  return {
    uid,
    title,
    description: about,
    tags: ["crossfade"],
    editable: true,
    graphTooltip: 1,
    schemaVersion: 39,
    version: 1,
    refresh,
    time: { from, to: "now" },
    timezone: "browser",
    annotations: { list: [ANNOTATION] },
    templating: { list: VARIABLES },
    links: [{ type: "dashboards", title: "crossfade", tags: ["crossfade"], asDropdown: true, keepTime: true, includeVars: true }],
    panels: layOut(sections),
  };
}

const ANNOTATION = {
  name: "Settings changed",
  enable: true,
  iconColor: "blue",
  datasource: DATA_SOURCE,
  expr: 'max by (flag) (changes(crossfade_config_revision{flag=~"$flag"}[1m])) > 0',
  titleFormat: "Settings of {{flag}} changed",
  step: "30s",
};

const VARIABLES = [
  variable("flag", "Flag", "label_values(crossfade_flag_percentage, flag)"),
  variable("route", "Route", 'label_values(crossfade_split_info{flag=~"$flag"}, route)'),
  variable("segment", "Segment", 'label_values(crossfade_requests_total{route=~"$route"}, segment)'),
];

function variable(name: string, label: string, query: string): Readonly<Record<string, unknown>> {
  return {
    name,
    label,
    type: "query",
    datasource: DATA_SOURCE,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: ".*",
    current: { text: ["All"], value: ["$__all"] },
  };
}

/** Panels from left to right; a section begins with its title over the whole width. */
function layOut(sections: readonly Section[]): readonly Readonly<Record<string, unknown>>[] {
  const laid: Readonly<Record<string, unknown>>[] = [];
  let y = 0;
  for (const { title, panels } of sections) {
    laid.push({ id: laid.length + 1, type: "row", title, collapsed: false, panels: [], gridPos: { x: 0, y, w: GRID, h: 1 } });
    y += 1;
    let x = 0;
    let tallest = 0;
    for (const panel of panels) {
      if (x + panel.width > GRID) {
        y += tallest;
        x = 0;
        tallest = 0;
      }
      laid.push(panelModel(panel, laid.length + 1, { x, y, w: panel.width, h: panel.height }));
      x += panel.width;
      tallest = Math.max(tallest, panel.height);
    }
    y += tallest;
  }
  return laid;
}

function panelModel(panel: Panel, id: number, gridPos: Place): Readonly<Record<string, unknown>> {
  const { kind, title, about, unit, queries, limits = [], words, min, max } = panel;
  const instant = kind === "table" || kind === "bargauge";
  return {
    id,
    type: kind,
    title,
    description: about,
    datasource: DATA_SOURCE,
    gridPos,
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCodePoint("A".charCodeAt(0) + at),
      datasource: DATA_SOURCE,
      expr,
      legendFormat: legend,
      editorMode: "code",
      ...(instant ? { instant: true, range: false } : { instant: false, range: true }),
      format: kind === "heatmap" ? "heatmap" : kind === "table" ? "table" : "time_series",
    })),
    fieldConfig: {
      defaults: {
        unit,
        ...(min === undefined ? {} : { min }),
        ...(max === undefined ? {} : { max }),
        ...(words === undefined ? {} : { mappings: [mapping(words)] }),
        thresholds: {
          mode: "absolute",
          steps: [{ color: baseColour(limits), value: null }, ...limits.map(({ at, colour }) => ({ color: colour, value: at }))],
        },
        ...(kind === "timeseries" ? { custom: lines(panel) } : {}),
      },
      overrides: [],
    },
    options: OPTIONS[kind],
  };
}

/** Below the first limit: the other way round where what lies above is good. */
function baseColour(limits: readonly Limit[]): string {
  if (limits.length === 0) return "blue";
  return limits[0]?.colour === "red" || limits.at(-1)?.colour === "red" ? "green" : "red";
}

function mapping(words: Readonly<Record<number, string>>): Readonly<Record<string, unknown>> {
  const options = Object.entries(words).map(([value, text], index) => [value, { text, index }] as const);
  return { type: "value", options: Object.fromEntries(options) };
}

function lines({ limits, stacked }: Panel): Readonly<Record<string, unknown>> {
  return {
    drawStyle: "line",
    lineWidth: 2,
    fillOpacity: stacked === true ? 30 : 5,
    showPoints: "never",
    spanNulls: false,
    stacking: { mode: stacked === true ? "normal" : "none", group: "A" },
    thresholdsStyle: { mode: limits === undefined ? "off" : "line" },
  };
}

const REDUCED = { calcs: ["lastNotNull"], fields: "", values: false };

const OPTIONS: Readonly<Record<PanelKind, Readonly<Record<string, unknown>>>> = {
  timeseries: {
    legend: { displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"] },
    tooltip: { mode: "multi", sort: "desc" },
  },
  stat: { reduceOptions: REDUCED, colorMode: "value", graphMode: "area", textMode: "auto", justifyMode: "auto" },
  bargauge: { reduceOptions: REDUCED, orientation: "horizontal", displayMode: "basic" },
  heatmap: {
    calculate: false,
    cellGap: 1,
    yAxis: { unit: "s" },
    color: { mode: "scheme", scheme: "Oranges", steps: 64 },
    tooltip: { show: true },
  },
  table: { showHeader: true, cellHeight: "sm" },
};

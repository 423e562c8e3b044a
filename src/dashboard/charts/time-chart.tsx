import { signal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { language, minuteOfDay } from "../i18n.ts";
import { atOf, HOLE, newestAt, newestPoint, pick, type Place, pointsRevision, range } from "../live/points.ts";
import { shade } from "../theme.ts";
import { Legend, type LegendEntry } from "./legend.tsx";
import { axis, colour, drawLimits, type LimitLine, roundUp } from "./lines.ts";
import type { Token } from "./palette.ts";
import { Surface } from "./surface.tsx";

export interface Line {
  readonly key: string;
  readonly label: string;
  /** Lines of one arm stand together in the legend, under its name. */
  readonly arm?: "stable" | "candidate";
  readonly stroke: Token;
  /** Fills down to the axis; what is drawn later lies over it. */
  readonly fill?: Token;
  readonly width?: number;
  readonly dash?: readonly number[];
  readonly stepped?: boolean;
  /** The value at a place; NaN leaves a hole. */
  readonly read: (place: Place) => number;
  /** What the legend tells, if it is another value than what is drawn. */
  readonly tell?: (place: Place) => number;
}

interface TimeChartProps {
  /** What is drawn, with its present values. */
  readonly label: string;
  /** For tests. */
  readonly name: string;
  readonly lines: readonly Line[];
  readonly limits?: readonly LimitLine[];
  /** A value for people. */
  readonly written: (value: number) => string;
  /** On the axis; default: as written. */
  readonly tick?: (value: number) => string;
  /** The axis goes from 0 to at least this. */
  readonly least?: number;
  /** The axis ends here and nowhere else. */
  readonly most?: number;
  /** A few values far above all others do not press the rest flat: the axis ends below them, and this is said of the highest. */
  readonly beyond?: (highest: number) => string;
  /** The axis begins near the lowest value, not at 0: of a mean that moves little. */
  readonly near?: boolean;
  readonly height?: 120 | 160 | 200 | 240;
}

/** Values of the last minutes as lines. The number of lines stays as it was at first. */
export function TimeChart(props: TimeChartProps) {
  const { label, name, lines, limits = [], written, height = 160 } = props;
  const latest = useRef(props);
  latest.current = props;
  const held = useMemo(() => createHeld(lines.length), [lines.length]);
  // The legend tells of where the pointer is, else of now.
  const place = held.hovered.value ?? newestPoint.value.place;
  const entries = lines.map(({ key, label: text, arm, dash, width = 1.5, read, tell }): LegendEntry => ({
    key,
    label: text,
    arm,
    line: dash === undefined ? (width > 2 ? "thick" : "thin") : (dash[0] ?? 0) < 3 ? "dotted" : "dashed",
    value: place === undefined || place === HOLE ? written(Number.NaN) : written((tell ?? read)(place)),
  }));
  return (
    <div class="chart" data-chart={name}>
      <Legend entries={entries} at={held.hovered.value === undefined ? undefined : atOf(held.hovered.value)} />
      <Surface
        key={lines.length}
        label={label}
        height={height}
        create={(width, tall, target) => createPlot(width, tall, target, held, () => latest.current)}
        feed={(plot) => feed(plot, held, latest.current)}
        follows={() => [pointsRevision.value, range.value, shade.value, language.value]}
      />
      {limits.length === 0 ? null : (
        <ul class="unseen">
          {limits.map(({ text }) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

interface Held {
  readonly places: Place[];
  readonly data: [number[], ...(number | null)[][]];
  readonly hovered: ReturnType<typeof signal<Place | undefined>>;
  top: number;
  bottom: number;
  beyond: readonly LimitLine[];
}

/** So many times what is drawn. */
const FAR = 3;
/** Share of the values, from the lowest, by which the axis goes where few are far above the others. */
const MOST_VALUES = 0.9;

/** Arrays that are filled again and again. */
function createHeld(count: number): Held {
  return {
    places: [],
    data: [[], ...Array.from({ length: count }, (): (number | null)[] => [])],
    hovered: signal<Place | undefined>(undefined),
    top: 1,
    bottom: 0,
    beyond: [],
  };
}

function feed(plot: uPlot, held: Held, { lines, limits = [], least = 0, most, near = false, beyond }: TimeChartProps): void {
  const { places, data } = held;
  pick(range.peek(), places);
  const [times, ...values] = data;
  times.length = places.length;
  for (const [index, place] of places.entries()) times[index] = (place === HOLE ? atOf(places[index + 1] ?? 0) - 1 : atOf(place)) / 1_000;
  let highest = least;
  let lowest = Number.POSITIVE_INFINITY;
  for (const [line, column] of values.entries()) {
    const read = lines[line]?.read;
    column.length = places.length;
    for (const [index, place] of places.entries()) {
      const value = place === HOLE || read === undefined ? Number.NaN : read(place);
      column[index] = Number.isFinite(value) ? value : null;
      if (value > highest) highest = value;
      if (value < lowest) lowest = value;
    }
  }
  held.beyond = [];
  const usual = beyond === undefined ? highest : Math.max(least, usualOf(values));
  if (beyond !== undefined && highest > usual * FAR) {
    held.beyond = [{ value: highest, text: beyond(highest) }];
    highest = usual * 2;
  }
  const farthest = Math.min(highest, usual) * FAR;
  // A limit far above everything would press the lines flat; it is told at the edge instead.
  for (const { value } of limits) {
    if (value <= farthest) highest = Math.max(highest, value * 1.12);
    lowest = Math.min(lowest, value);
  }
  held.top = most ?? roundUp(highest);
  held.bottom = near ? Math.max(0, Math.floor((lowest - 0.02) * 10) / 10) : 0;
  plot.setData(data, true);
}

/** The value below which most of all lines' values are. */
function usualOf(columns: readonly (readonly (number | null)[])[]): number {
  const sorted = Float64Array.from(columns.flatMap((column) => column.filter((value) => value !== null))).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * MOST_VALUES))] ?? 0;
}

function createPlot(width: number, height: number, target: HTMLElement, held: Held, props: () => TimeChartProps): uPlot {
  const { lines } = props();
  return new uPlot(
    {
      width,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 }, sync: { key: "time" } },
      scales: {
        x: { time: true, range: () => span() },
        y: { range: () => [held.bottom, held.top] },
      },
      axes: [
        axis(2, (seconds) => minuteOfDay(seconds * 1_000), { space: 60, size: 24, incrs: [60, 120, 300, 600, 900], grid: { show: false } }),
        axis(3, (value) => (props().tick ?? props().written)(value), { space: 34, size: 58 }),
      ],
      series: [
        {},
        ...lines.map(({ stroke, fill, width: thick = 1.5, dash, stepped }): uPlot.Series => ({
          stroke: colour(stroke),
          ...(fill === undefined ? {} : { fill: colour(fill) }),
          width: thick,
          ...(dash === undefined ? {} : { dash: [...dash] }),
          ...(stepped ? { paths: steps } : {}),
          points: { show: false },
        })),
      ],
      hooks: {
        draw: [(plot) => drawLimits(plot, [...(props().limits ?? []), ...held.beyond], "across")],
        setCursor: [
          ({ cursor }) => {
            const at = cursor.idx;
            const isThere = typeof at === "number" && (cursor.left ?? -1) >= 0;
            held.hovered.value = isThere ? held.places[at] : undefined;
          },
        ],
      },
    },
    held.data,
    target,
  );
}

const steps: uPlot.Series.PathBuilder = (plot, index, from, to) => {
  const build = uPlot.paths.stepped?.({ align: 1 });
  return build === undefined ? null : build(plot, index, from, to);
};

/** Seconds. */
function span(): [number, number] {
  const to = Number.isNaN(newestAt()) ? Date.now() : newestAt();
  return [to / 1_000 - Number(range.peek()) * 60, to / 1_000];
}

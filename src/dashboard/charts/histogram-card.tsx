import { useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { LatencyBins } from "../../admin/live/view.ts";
import { Card, Nothing } from "../components/card.tsx";
import { duration, language, length, number, share } from "../i18n.ts";
import { SHOWN_ARMS } from "../live/points.ts";
import type { PanelProps } from "../panels/panels.tsx";
import { shade } from "../theme.ts";
import { t } from "../words.ts";
import { countOf, isMuch, shareBeyond, type Steps, stepsOf, WIDTH_MS } from "./histogram-model.ts";
import { Legend } from "./legend.tsx";
import { limitLines } from "./limits.ts";
import { axis, colour, drawLimits, type LimitLine, roundUp } from "./lines.ts";
import { latest } from "./now.ts";
import { Surface } from "./surface.tsx";
import { thresholdsOf } from "./thresholds.ts";
import { ValuesTable } from "./values-table.tsx";

const METRICS = ["p50", "p95", "p99"] as const;

/** How long attempts took, both arms over each other, and where something is configured to happen. */
export function HistogramCard({ view }: PanelProps) {
  const { latencies } = view;
  const title = t("histogram.title");
  const limits = limitLines(thresholdsOf(view, METRICS), duration);
  if (latencies === undefined || countOf(latencies.stable) + countOf(latencies.candidate) === 0)
    return (
      <Card id="histogram" title={title} span={7}>
        <Nothing>{t(latencies === undefined ? "histogram.unknown" : "histogram.empty")}</Nothing>
      </Card>
    );
  const beyond = (ms: number, arm: "stable" | "candidate"): string => share(shareBeyond(latencies, latencies[arm], ms), 2);
  return (
    <Card
      id="histogram"
      title={title}
      span={7}
      aside={<span class="note">{t("histogram.note", { width: WIDTH_MS, span: length(latencies.spanMs) })}</span>}
    >
      <Plot latencies={latencies} limits={limits} />
      <ValuesTable
        name="histogram"
        title={title}
        rows={limits.map(({ value }) => ({
          label: t("histogram.over", { limit: duration(value) }),
          stable: beyond(value, "stable"),
          candidate: beyond(value, "candidate"),
        }))}
      />
    </Card>
  );
}

interface PlotProps {
  readonly latencies: LatencyBins;
  readonly limits: readonly LimitLine[];
}

function Plot({ latencies, limits }: PlotProps) {
  const steps = useMemo(
    () =>
      stepsOf(
        latencies,
        limits.map(({ value }) => value),
      ),
    [latencies, limits],
  );
  const shown = useRef({ steps, limits, right: 0, top: 0 });
  // The right edge follows only when it has to, or the picture would breathe.
  const { right } = shown.current;
  const wanted = roundUp(steps.to);
  shown.current = { steps, limits, right: wanted > right || wanted < right / 2 ? wanted : right, top: shown.current.top };
  const edge = shown.current.right;
  shown.current = { ...shown.current, limits: [...limits, ...farther(latencies, edge)] };
  const beyond = (arm: "stable" | "candidate"): string => share(shareBeyond(latencies, latencies[arm], edge), 2);
  return (
    <div class="chart" data-chart="histogram">
      <Legend
        at={undefined}
        entries={(["stable", "candidate"] as const).map((arm) => ({
          key: arm,
          label: t(arm),
          arm,
          line: "thin",
          value: t("histogram.count", { count: countOf(latencies[arm]) }),
        }))}
      />
      <Surface
        label={t("histogram.say", { stable: duration(latest("stable", "p50")), candidate: duration(latest("candidate", "p50")) })}
        height={200}
        create={(width, height, target) => createPlot(width, height, target, () => shown.current)}
        feed={(plot) => {
          const { steps: now } = shown.current;
          const highest = roundUp(Math.max(0.01, ...[...now.stable, ...now.candidate].map((value) => value ?? 0)));
          const { top } = shown.current;
          shown.current.top = highest > top || highest < top / 2 ? highest : top;
          plot.setData([[...now.from], [...now.stable], [...now.candidate]]);
        }}
        follows={() => [shade.value, language.value]}
      />
      <p class="note">{t("histogram.beyond", { edge: duration(edge), stable: beyond("stable"), candidate: beyond("candidate") })}</p>
    </div>
  );
}

/** What of an arm the picture leaves out, where that is a good part of it: said at its right edge. */
function farther(latencies: LatencyBins, edge: number): readonly LimitLine[] {
  return SHOWN_ARMS.flatMap((arm) => {
    const out = shareBeyond(latencies, latencies[arm], edge);
    return isMuch(out) ? [{ value: Number.POSITIVE_INFINITY, text: `${t(arm)}: ${share(out)}` }] : [];
  });
}

interface Shown {
  readonly steps: Steps;
  readonly limits: readonly LimitLine[];
  readonly right: number;
  readonly top: number;
}

function createPlot(width: number, height: number, target: HTMLElement, shown: () => Shown): uPlot {
  const paths = uPlot.paths.stepped?.({ align: 1 });
  const arm = (name: "stable" | "candidate"): uPlot.Series => ({
    stroke: colour(`--${name}`),
    fill: colour(`--${name}-veil`),
    width: name === "candidate" ? 2 : 1.5,
    points: { show: false },
    ...(paths === undefined ? {} : { paths }),
  });
  return new uPlot(
    {
      width,
      height,
      padding: [8, 26, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: () => [0, shown().right] }, y: { range: () => [0, shown().top] } },
      axes: [
        axis(2, (value) => `${number(value)}\u00a0ms`, { space: 50, size: 24, grid: { show: false } }),
        axis(3, (value) => share(value), { space: 34, size: 50 }),
      ],
      series: [{}, arm("stable"), arm("candidate")],
      hooks: { draw: [(plot) => drawLimits(plot, shown().limits, "down")] },
    },
    [[], [], []],
    target,
  );
}

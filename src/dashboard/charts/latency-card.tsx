import { Card } from "../components/card.tsx";
import { duration } from "../i18n.ts";
import { type Arm, SHOWN_ARMS, valueOf } from "../live/points.ts";
import type { PanelProps } from "../panels/panels.tsx";
import { t } from "../words.ts";
import { limitLines } from "./limits.ts";
import { latest } from "./now.ts";
import { thresholdsOf } from "./thresholds.ts";
import { type Line, TimeChart } from "./time-chart.tsx";
import { ValuesTable } from "./values-table.tsx";

const QUANTILES = ["p50", "p95", "p99"] as const;
/** How each is told from the others besides its name. */
const STROKES = { p50: { width: 1, dash: [2, 3] }, p95: { width: 2.2 }, p99: { width: 1, dash: [7, 3] } } as const;

/** What both arms took, second by second, against everything that is configured to happen at some duration. */
export function LatencyCard({ view }: PanelProps) {
  const title = t("latency.title");
  return (
    <Card id="latency" title={title} span={7}>
      <TimeChart
        name="latency"
        label={t("latency.say", facts())}
        lines={lines()}
        limits={limitLines(thresholdsOf(view, QUANTILES), duration)}
        written={duration}
        beyond={(highest) => t("latency.beyond", { highest: duration(highest) })}
        least={10}
        height={200}
      />
      <ValuesTable
        name="latency"
        title={title}
        rows={QUANTILES.map((name) => ({
          label: name.toUpperCase(),
          stable: duration(latest("stable", name)),
          candidate: duration(latest("candidate", name)),
        }))}
      />
    </Card>
  );
}

function lines(): readonly Line[] {
  return SHOWN_ARMS.flatMap((arm) =>
    QUANTILES.map((name): Line => ({
      key: `${arm}.${name}`,
      label: name.toUpperCase(),
      arm,
      stroke: `--${arm}`,
      ...STROKES[name],
      read: (place) => valueOf(`${arm}.${name}`, place),
    })),
  );
}

function facts(): Readonly<Record<string, string>> {
  const of = (arm: Arm): readonly (readonly [string, string])[] =>
    QUANTILES.map((name) => [`${arm}${name.slice(1)}`, duration(latest(arm, name))]);
  return Object.fromEntries(SHOWN_ARMS.flatMap(of));
}

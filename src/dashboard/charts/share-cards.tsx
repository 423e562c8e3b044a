import type { ArmPoint } from "../../admin/live/view.ts";
import type { Metric } from "../../analysis/check.ts";
import { Card } from "../components/card.tsx";
import { fixed, share } from "../i18n.ts";
import { SHOWN_ARMS, valueOf } from "../live/points.ts";
import type { PanelProps } from "../panels/panels.tsx";
import { t } from "../words.ts";
import { limitLines } from "./limits.ts";
import { latest } from "./now.ts";
import { thresholdsOf } from "./thresholds.ts";
import { type Line, TimeChart } from "./time-chart.tsx";
import { ValuesTable } from "./values-table.tsx";

interface ShareCardProps extends PanelProps {
  readonly name: "errors" | "quality" | "fallbacks";
  readonly figure: keyof ArmPoint;
  readonly metric: Metric;
  readonly written: (value: number) => string;
  readonly tick: (value: number) => string;
  readonly least: number;
  readonly most?: number;
  readonly near?: boolean;
}

function ShareCard({ view, name, figure, metric, written, tick, least, most, near = false }: ShareCardProps) {
  const title = t(`${name}.title`);
  const stable = written(latest("stable", figure));
  const candidate = written(latest("candidate", figure));
  return (
    <Card id={name} title={title} span={4}>
      <TimeChart
        name={name}
        label={t(`${name}.say`, { stable, candidate })}
        lines={SHOWN_ARMS.map((arm): Line => ({
          key: `${arm}.${figure}`,
          label: t(arm),
          arm,
          stroke: `--${arm}`,
          width: arm === "candidate" ? 2 : 1.5,
          ...(arm === "stable" ? { dash: [5, 3] } : {}),
          read: (place) => valueOf(`${arm}.${figure}`, place),
        }))}
        limits={limitLines(thresholdsOf(view, [metric]), written)}
        written={written}
        tick={tick}
        least={least}
        near={near}
        {...(most === undefined ? {} : { most })}
      />
      <ValuesTable name={name} title={title} rows={[{ label: title, stable, candidate }]} />
    </Card>
  );
}

export function ErrorsCard({ view }: PanelProps) {
  return (
    <ShareCard
      view={view}
      name="errors"
      figure="errors"
      metric="errors"
      written={(value) => share(value, 2)}
      tick={(value) => share(value, 1)}
      least={0.02}
    />
  );
}

export function QualityCard({ view }: PanelProps) {
  const written = (value: number): string => fixed(value, 3);
  return (
    <ShareCard
      view={view}
      name="quality"
      figure="quality"
      metric="quality"
      written={written}
      tick={(value) => fixed(value, 2)}
      least={1}
      most={1}
      near
    />
  );
}

export function FallbacksCard({ view }: PanelProps) {
  return (
    <ShareCard
      view={view}
      name="fallbacks"
      figure="fallbacks"
      metric="fallbacks"
      written={(value) => share(value, 2)}
      tick={(value) => share(value, 1)}
      least={0.05}
    />
  );
}

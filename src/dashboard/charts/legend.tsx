import { ArmMark } from "../components/badge.tsx";
import { timeOfDay } from "../i18n.ts";
import { t } from "../words.ts";

export interface LegendEntry {
  readonly key: string;
  readonly label: string;
  readonly arm?: "stable" | "candidate" | undefined;
  /** How it is drawn. */
  readonly line: "thin" | "thick" | "dotted" | "dashed";
  readonly value: string;
}

interface LegendProps {
  readonly entries: readonly LegendEntry[];
  /** The instant that the values are of, where it is not now. */
  readonly at: number | undefined;
}

/** What the lines are, with their values. Readers get the same from the label of the plot. */
export function Legend({ entries, at }: LegendProps) {
  return (
    <div class="legend" aria-hidden="true">
      {(["stable", "candidate", undefined] as const).map((arm) => (
        <Group key={arm ?? ""} arm={arm} entries={entries.filter((entry) => entry.arm === arm)} />
      ))}
      <span class="legend-at">{at === undefined ? "" : timeOfDay(at)}</span>
    </div>
  );
}

/** Several lines of one arm stand under its name; a single one is called as it is. */
function Group({ arm, entries }: { readonly arm: LegendEntry["arm"]; readonly entries: readonly LegendEntry[] }) {
  if (entries.length === 0) return null;
  const isNamed = arm !== undefined && entries.length > 1;
  return (
    <span class="legend-group">
      {arm === undefined ? null : <ArmMark arm={arm}>{isNamed ? t(arm) : null}</ArmMark>}
      {entries.map(({ key, label, line, value }) => (
        <span key={key} class="legend-entry" data-legend={key}>
          {arm === undefined || isNamed ? <span class={`legend-line line-${line}${arm === undefined ? "" : ` of-${arm}`}`} /> : null}
          <span class="legend-label">{label}</span>
          <span class="legend-value">{value}</span>
        </span>
      ))}
    </span>
  );
}

import type { SlaRow, SlaState } from "../../sla/sla.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { Card, Nothing } from "../components/card.tsx";
import { Table } from "../components/table.tsx";
import { duration, length, share } from "../i18n.ts";
import type { PanelProps } from "./panel.ts";
import { slaWord } from "./words-told.ts";

const TONES: Readonly<Record<SlaState, Tone>> = { met: "good", warning: "warn", breached: "bad", "no-data": "idle" };

/** What was promised, and what was kept. */
export function SlaCard({ view: { sla } }: PanelProps) {
  return (
    <Card id="sla" title={slaWord("title")} span={12}>
      {sla === undefined || sla === null || sla.rows.length === 0 ? (
        <Nothing>{slaWord(sla === undefined || sla === null ? "away" : "none")}</Nothing>
      ) : (
        <Table
          caption={slaWord("title")}
          name="sla"
          rows={sla.rows}
          keyOf={({ promise, version, segment }) => `${promise} ${version} ${segment}`}
          columns={[
            { key: "state", head: slaWord("state"), cell: ({ state }) => <Badge tone={TONES[state]}>{slaWord(`states.${state}`)}</Badge> },
            { key: "promise", head: slaWord("promise"), header: true, cell: ({ promise }) => slaWord(`promises.${promise}`) },
            { key: "version", head: slaWord("version"), cell: ({ version }) => (version === "all" ? slaWord("all") : version) },
            { key: "segment", head: slaWord("segment"), cell: ({ segment }) => segmentText(segment) },
            { key: "value", head: slaWord("value"), number: true, cell: (row) => <ValueText row={row} /> },
            {
              key: "target",
              head: slaWord("target"),
              number: true,
              cell: ({ target, direction }) => `${direction === "at-least" ? "≥" : "≤"} ${share(target, 3)}`,
            },
            { key: "budget", head: slaWord("budget"), number: true, cell: ({ budgetLeft }) => share(budgetLeft) },
            { key: "window", head: slaWord("window"), cell: (row) => <WindowText row={row} /> },
          ]}
        />
      )}
    </Card>
  );
}

function segmentText(segment: string): string {
  if (segment === "all") return slaWord("all");
  return segment === "none" ? slaWord("noSegment") : segment;
}

function ValueText({ row: { value, p95, limitMs } }: { readonly row: SlaRow }) {
  return (
    <>
      <span class="figure-now">{share(value, 3)}</span>
      {typeof limitMs === "number" ? (
        <span class="cell-note">{slaWord("p95", { ms: duration(p95), limit: duration(limitMs) })}</span>
      ) : null}
    </>
  );
}

function WindowText({ row: { windowMs, coveredMs } }: { readonly row: SlaRow }) {
  const covered = coveredMs / windowMs;
  return (
    <>
      {length(windowMs)}
      {covered < 0.995 ? <span class="cell-note">{slaWord("covered", { share: share(covered) })}</span> : null}
    </>
  );
}

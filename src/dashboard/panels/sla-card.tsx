import { useState } from "preact/hooks";
import type { SlaRow, SlaState } from "../../sla/sla.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { Card, Nothing } from "../components/card.tsx";
import { Table } from "../components/table.tsx";
import { duration, length, share, timeOfDay } from "../i18n.ts";
import type { PanelProps } from "./panel.ts";
import { isTrouble, slaParts } from "./sla-model.ts";
import { slaWord } from "./words-told.ts";

const TONES: Readonly<Record<SlaState, Tone>> = { met: "good", warning: "warn", breached: "bad", "no-data": "idle" };

/** What was promised, and what was kept. */
export function SlaCard({ view: { sla } }: PanelProps) {
  if (sla === undefined || sla === null || sla.rows.length === 0)
    return (
      <Card id="sla" title={slaWord("title")} span={12}>
        <Nothing>{slaWord(sla === undefined || sla === null ? "away" : "none")}</Nothing>
      </Card>
    );
  const { first, rest } = slaParts(sla.rows);
  return (
    <Card id="sla" title={slaWord("title")} span={12}>
      <Rows name="sla" rows={first} />
      {rest.length === 0 ? null : <Rest rows={rest} />}
    </Card>
  );
}

/** Made only while it is open: there may be dozens. */
function Rest({ rows }: { readonly rows: readonly SlaRow[] }) {
  const [isOpen, open] = useState(false);
  const troubles = rows.filter(isTrouble).length;
  return (
    <details class="more" data-sla-rest onToggle={({ currentTarget }) => open(currentTarget.open)}>
      <summary>{slaWord(troubles === 0 ? "rest" : "restTroubles", { count: rows.length, troubles })}</summary>
      {isOpen ? <Rows name="sla-rest" rows={rows} /> : null}
    </details>
  );
}

function Rows({ name, rows }: { readonly name: string; readonly rows: readonly SlaRow[] }) {
  return (
    <Table
      caption={slaWord("title")}
      name={name}
      rows={rows}
      keyOf={({ promise, version, segment }) => `${promise} ${version} ${segment}`}
      columns={[
        { key: "state", head: slaWord("state"), cell: (row) => <StateText row={row} /> },
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
  );
}

/** A breach outlasts the value that made it, and says so. */
function StateText({ row: { state, keptAgainSince } }: { readonly row: SlaRow }) {
  return (
    <>
      <Badge tone={TONES[state]}>{slaWord(`states.${state}`)}</Badge>
      {typeof keptAgainSince === "number" ? (
        <span class="cell-note">{slaWord("keptAgain", { when: timeOfDay(keptAgainSince) })}</span>
      ) : null}
    </>
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

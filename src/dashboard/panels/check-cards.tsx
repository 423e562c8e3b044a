import type { Judged, VerdictWord } from "../../analysis/check.ts";
import type { RolloutStatus } from "../../controller/desk.ts";
import { openStay } from "../../controller/stays.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { Card, Nothing } from "../components/card.tsx";
import { type Column, Table } from "../components/table.tsx";
import { language, length, number } from "../i18n.ts";
import { type Beginnings, figureText, intervalText, limitText, marginOf, outlookOf } from "./check-figures.ts";
import type { PanelProps } from "./panel.ts";
import { Prose } from "./prose.tsx";
import { checkWord, planWord } from "./words-rollout.ts";

/** What must pass before the step is left. */
export function GatesCard({ view: { rollout: status } }: PanelProps) {
  const gates = status?.view?.gates;
  return (
    <Card id="gates" title={checkWord("gates")} span={12}>
      {gates === undefined || gates.length === 0 ? (
        <Nothing>{emptyText(status, "noGates")}</Nothing>
      ) : (
        <>
          <p class="card-about">{checkWord("gatesAbout")}</p>
          <Table caption={checkWord("gates")} name="gates" rows={gates} keyOf={nameOf} columns={[...common(), decision(status), why()]} />
        </>
      )}
      <Webhooks status={status} />
    </Card>
  );
}

/** What rolls everybody back when it fails. */
export function TriggersCard({ view: { rollout: status } }: PanelProps) {
  const triggers = status?.view?.triggers;
  return (
    <Card id="triggers" title={checkWord("triggers")} span={12}>
      {triggers === undefined || triggers.length === 0 ? (
        <Nothing>{emptyText(status, "noTriggers")}</Nothing>
      ) : (
        <>
          <p class="card-about">{checkWord("triggersAbout")}</p>
          <Table caption={checkWord("triggers")} name="triggers" rows={triggers} keyOf={nameOf} columns={[...common(), margin(), why()]} />
        </>
      )}
    </Card>
  );
}

function emptyText(status: RolloutStatus | undefined, none: "noGates" | "noTriggers"): string {
  if (status === undefined) return planWord("away");
  if (status.rollout === undefined || status.rollout === null) return planWord("none");
  // Only a step has gates, and only while there is one do triggers count.
  if (!("step" in status.rollout.state)) return checkWord("over");
  return status.view === undefined ? checkWord("notJudged") : checkWord(none);
}

function nameOf({ check, scope }: Judged): string {
  return scope === undefined || scope === null ? check.name : checkWord("scope", { check: check.name, scope });
}

const TONES: Readonly<Record<VerdictWord, Tone>> = { pass: "good", fail: "bad", inconclusive: "warn", "no-data": "idle" };

function Verdict({ word }: { readonly word: VerdictWord }) {
  return (
    <Badge tone={TONES[word]}>
      <span data-verdict={word}>{checkWord(`verdicts.${word}`)}</span>
    </Badge>
  );
}

function common(): readonly Column<Judged>[] {
  return [
    { key: "verdict", head: checkWord("verdict"), cell: ({ verdict }) => <Verdict word={verdict.verdict} /> },
    { key: "name", head: checkWord("name"), header: true, cell: nameOf },
    {
      key: "value",
      head: checkWord("value"),
      number: true,
      cell: ({ check, verdict }) => (
        <>
          <span class="figure-now">{figureText(check, verdict.value, language.value)}</span>
          {check.of === "candidate" ? null : (
            <span class="cell-note">{checkWord(check.of === "ratio" ? "ofStable" : "againstStable")}</span>
          )}
        </>
      ),
    },
    {
      key: "interval",
      head: checkWord("interval"),
      number: true,
      cell: ({ check, verdict }) => intervalText(check, verdict, language.value) ?? "",
    },
    { key: "limit", head: checkWord("limit"), number: true, cell: ({ check }) => limitText(check, language.value) },
    {
      key: "sample",
      head: checkWord("sample"),
      number: true,
      cell: ({ check, verdict }) =>
        check.minSample > 1
          ? checkWord("ofNeeded", { sample: number(verdict.sample), needed: number(check.minSample) })
          : number(verdict.sample),
    },
    { key: "window", head: checkWord("window"), cell: windowOf },
  ];
}

function windowOf({ check: { window, forMs } }: Judged): string {
  const span = window.kind === "last" ? checkWord("last", { length: length(window.ms) }) : checkWord(window.kind);
  return forMs > 0 ? `${span}, ${checkWord("for", { length: length(forMs) })}` : span;
}

function why(): Column<Judged> {
  return { key: "why", head: checkWord("why"), cell: ({ verdict }) => <Prose text={verdict.why} /> };
}

function decision(status: RolloutStatus | undefined): Column<Judged> {
  const rollout = status?.rollout ?? undefined;
  const beginnings: Beginnings | undefined =
    rollout === undefined || status?.view === undefined
      ? undefined
      : { at: status.view.at, step: openStay(rollout)?.from, start: rollout.startedAt };
  return {
    key: "decision",
    head: checkWord("decision"),
    cell: (judged) => {
      const outlook = beginnings === undefined ? undefined : outlookOf(judged, beginnings);
      switch (outlook?.kind) {
        case "decided":
          return checkWord("decided");
        case "in":
          return checkWord("about", { length: length(outlook.ms) });
        case "never":
          return checkWord("never");
        case "unknown":
        case undefined:
          return checkWord("open");
      }
    },
  };
}

function margin(): Column<Judged> {
  return {
    key: "margin",
    head: checkWord("margin"),
    cell: (judged) => {
      const found = marginOf(judged);
      if (found === undefined) return "–";
      const { check, verdict } = judged;
      const distance = figureText(check, found.distance, language.value).replace("+", "");
      return (
        <div class="margin" data-beyond={found.isBeyond}>
          <MarginBar
            {...found}
            label={checkWord("marginLabel", {
              value: figureText(check, verdict.value, language.value),
              limit: limitText(check, language.value),
            })}
          />
          <span class="cell-note">{checkWord(found.isBeyond ? "beyond" : "left", { length: distance })}</span>
        </div>
      );
    },
  };
}

interface MarginBarProps {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly isBeyond: boolean;
  readonly label: string;
}

const BAR = { width: 120, height: 14 };

/** The value from its beginning, and the limit as a line across. */
function MarginBar({ from, to, limit, isBeyond, label }: MarginBarProps) {
  const { width, height } = BAR;
  return (
    <svg
      class={`margin-bar${isBeyond ? " margin-beyond" : ""}`}
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      role="img"
      aria-label={label}
    >
      <rect class="margin-track" x={0} y={4} width={width} height={6} rx={3} />
      <rect class="margin-value" x={from * width} y={4} width={Math.max(1, (to - from) * width)} height={6} rx={3} />
      <line class="margin-limit" x1={limit * width} x2={limit * width} y1={0} y2={height} />
    </svg>
  );
}

function Webhooks({ status }: { readonly status: RolloutStatus | undefined }) {
  const webhooks = status?.view?.webhooks ?? [];
  if (webhooks.length === 0) return null;
  return (
    <>
      <h4>{checkWord("webhooks")}</h4>
      <p class="card-about">{checkWord("webhooksAbout")}</p>
      <Table
        caption={checkWord("webhooks")}
        name="webhooks"
        rows={webhooks}
        keyOf={({ name }) => name}
        columns={[
          { key: "verdict", head: checkWord("verdict"), cell: ({ verdict }) => <Verdict word={verdict} /> },
          { key: "name", head: checkWord("name"), header: true, cell: ({ name }) => name },
          { key: "why", head: checkWord("why"), cell: ({ why }) => <Prose text={why} /> },
        ]}
      />
    </>
  );
}

import { signal } from "@preact/signals";
import type { FlagStatus } from "../../admin/operations.ts";
import { Card } from "../components/card.tsx";
import { Choice } from "../components/field.tsx";
import { Meter } from "../components/figure.tsx";
import { type Column, Table } from "../components/table.tsx";
import { number, percent, share, UNKNOWN } from "../i18n.ts";
import { type Arm, type Place, segmentNames, segmentValue, valueOf } from "../live/points.ts";
import type { PanelProps } from "../panels/panels.tsx";
import { t } from "../words.ts";
import { candidateShare, type Split, splitOf } from "./split.ts";
import { type Line, TimeChart } from "./time-chart.tsx";
import { ValuesTable } from "./values-table.tsx";

const WAYS = ["arms", "rate", "segments"] as const;
const way = signal<(typeof WAYS)[number]>("arms");
/** A point tells of so many seconds. */
const POINT_SECONDS = 10;

/** Who went where, second by second. */
export function SplitCard({ view }: PanelProps) {
  const title = t("split.title");
  const split = splitOf(view);
  const set = percent(shownFlag(view)?.percentage);
  const rate = split === undefined ? UNKNOWN : number((split.stable + split.candidate) / POINT_SECONDS, 1);
  const choice = (
    <Choice
      quiet
      name="split"
      label={t("split.by")}
      value={way.value}
      options={WAYS.map((value) => ({ value, text: t(`split.${value}`) }))}
      onChoose={(value) => (way.value = value)}
    />
  );
  const label = t("split.say", { candidate: share(candidateShare(split)), percentage: set, rate });
  return (
    <Card id="split" title={title} span={5} aside={choice}>
      {way.value === "arms" ? (
        <TimeChart
          key="arms"
          name="split"
          label={label}
          lines={shares()}
          written={(value) => percent(value, 1)}
          tick={(value) => percent(value, 0)}
          most={100}
          height={200}
        />
      ) : (
        <TimeChart
          key={way.value}
          name="split"
          label={label}
          lines={way.value === "rate" ? rates() : segmentRates(segmentNames.value)}
          written={(value) => number(value, 1)}
          least={1}
          height={200}
        />
      )}
      <ValuesTable
        name="split"
        title={title}
        rows={[
          { label: t("segments.requests"), stable: number(split?.stable), candidate: number(split?.candidate) },
          { label: t("segments.actual"), stable: share(1 - candidateShare(split)), candidate: share(candidateShare(split)) },
        ]}
      />
    </Card>
  );
}

/** The candidate's area below, the stable one's above it up to the whole; where the split ought to be as a line over both. */
function shares(): readonly Line[] {
  const candidate = (place: Place): number => {
    const own = valueOf("candidate.rate", place);
    return (100 * own) / (own + valueOf("stable.rate", place));
  };
  return [
    {
      key: "stable",
      label: t("stable"),
      arm: "stable",
      stroke: "--stable",
      fill: "--stable-area",
      width: 0,
      read: (place) => (Number.isFinite(candidate(place)) ? 100 : Number.NaN),
      tell: (place) => 100 - candidate(place),
    },
    {
      key: "candidate",
      label: t("candidate"),
      arm: "candidate",
      stroke: "--candidate",
      fill: "--candidate-area",
      width: 1.5,
      read: candidate,
    },
    {
      key: "inforce",
      label: t("split.inforce"),
      stroke: "--ink",
      width: 1.5,
      dash: [4, 3],
      stepped: true,
      read: (place) => valueOf("percentage", place),
    },
  ];
}

function rates(): readonly Line[] {
  const stable = (place: Place): number => valueOf("stable.rate", place);
  const candidate = (place: Place): number => valueOf("candidate.rate", place);
  return [
    {
      key: "stable",
      label: t("stable"),
      arm: "stable",
      stroke: "--stable",
      fill: "--stable-area",
      read: (place) => stable(place) + candidate(place),
      tell: stable,
    },
    { key: "candidate", label: t("candidate"), arm: "candidate", stroke: "--candidate", fill: "--candidate-area", read: candidate },
  ];
}

/** One layer a segment and arm: the candidate's layers below in its hue, the stable one's above in its own, parted by lines. */
function segmentRates(names: readonly string[]): readonly Line[] {
  const layers = (["candidate", "stable"] as const).flatMap((arm) => names.map((segment) => ({ arm, segment })));
  const own = ({ arm, segment }: { readonly arm: Arm; readonly segment: string }, place: Place): number =>
    segmentValue(segment, arm, place) / POINT_SECONDS;
  return layers
    .map((layer, index): Line => {
      const below = layers.slice(0, index + 1);
      return {
        key: `${layer.arm}.${layer.segment}`,
        label: segmentLabel(layer.segment),
        arm: layer.arm,
        stroke: `--${layer.arm}`,
        fill: `--${layer.arm}-area`,
        width: 1,
        read: (place) => below.reduce((sum, each) => sum + own(each, place), 0),
        tell: (place) => own(layer, place),
      };
    })
    .toReversed();
}

interface SegmentRow {
  readonly name: string;
  readonly label: string;
  readonly split: Split | undefined;
  readonly set: string;
  readonly members: string;
}

/** The same as numbers: what is set for each segment, and what came. */
export function SegmentsCard({ view }: PanelProps) {
  const flag = shownFlag(view);
  const named = flag?.segments ?? [];
  const global = percent(flag?.percentage);
  const rows: readonly SegmentRow[] = [
    { name: "all", label: t("segments.all"), split: splitOf(view), set: global, members: "" },
    ...named.map((segment) => ({
      name: segment.name,
      label: segment.name,
      split: splitOf(view, segment.name),
      set: segment.override ? percent(segment.percentage) : t("segments.cap", { percentage: percent(segment.percentage) }),
      members: number(segment.members),
    })),
    { name: "none", label: t("segments.none"), split: splitOf(view, "none"), set: global, members: "" },
  ];
  return (
    <Card id="segments" title={t("segments.title")} span={5}>
      <Table name="segments" caption={t("segments.title")} columns={columns()} rows={rows} keyOf={({ name }) => name} />
    </Card>
  );
}

function columns(): readonly Column<SegmentRow>[] {
  return [
    { key: "segment", head: t("segments.segment"), header: true, cell: ({ label }) => label },
    { key: "set", head: t("segments.set"), number: true, cell: ({ set }) => set },
    {
      key: "actual",
      head: t("segments.actual"),
      number: true,
      cell: ({ split, label }) => (
        <span class="with-meter">
          <Meter label={`${label}, ${t("candidate")}`} value={candidateShare(split)} text={share(candidateShare(split))} tone="candidate" />
          <span>{share(candidateShare(split))}</span>
        </span>
      ),
    },
    {
      key: "requests",
      head: t("segments.requests"),
      number: true,
      cell: ({ split }) => (split === undefined ? UNKNOWN : number(split.stable + split.candidate)),
    },
  ];
}

function segmentLabel(name: string): string {
  return name === "none" ? t("segments.none") : name;
}

function shownFlag({ status, flag }: PanelProps["view"]): FlagStatus | undefined {
  return status.flags.find((each) => each.flag === flag.flag);
}

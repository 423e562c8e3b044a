import type { DrillReport } from "../../controller/drill-report.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { ApiText } from "../components/card.tsx";
import { Table } from "../components/table.tsx";
import { duration, instant } from "../i18n.ts";
import { Prose } from "./prose.tsx";
import { actWord } from "./words-acts.ts";
import { stateWord } from "./words-rollout.ts";

interface DrillProps {
  readonly report: DrillReport;
}

interface Line {
  readonly name: string;
  readonly ms: number | undefined;
  readonly limitMs: number | undefined;
  readonly status: DrillReport["phases"][number]["status"] | DrillReport["hooks"][number]["status"];
  readonly detail: string;
}

const TONES: Readonly<Record<Line["status"], Tone>> = {
  ok: "good",
  done: "good",
  late: "bad",
  failed: "bad",
  "timed-out": "bad",
  unknown: "warn",
  "left-out": "idle",
  "not-rehearsed": "idle",
};

/** What a rehearsal showed: each phase and each hook with what it took and what it may take. */
export function DrillText({ report }: DrillProps) {
  const lines: readonly Line[] = [...report.phases, ...report.hooks];
  return (
    <div data-drill={report.ok ? "ok" : "not-ok"}>
      <p>
        <Badge tone={report.ok ? "good" : "bad"}>{actWord(report.ok ? "drillOk" : "drillNotOk")}</Badge>{" "}
        {actWord("drillTook", { ms: duration(report.ms), limit: duration(report.limitMs) })} · {instant(report.at)}
      </p>
      {report.problems.length === 0 ? null : (
        <ul>
          {report.problems.map((problem) => (
            <li key={problem}>
              <ApiText>{problem}</ApiText>
            </li>
          ))}
        </ul>
      )}
      <Table
        caption={actWord("names.drill")}
        rows={lines}
        keyOf={({ name }) => name}
        columns={[
          { key: "phase", head: actWord("phase"), header: true, cell: ({ name }) => <ApiText>{name}</ApiText> },
          { key: "took", head: stateWord("took"), number: true, cell: ({ ms }) => duration(ms) },
          { key: "limit", head: actWord("limit"), number: true, cell: ({ limitMs }) => duration(limitMs) },
          {
            key: "result",
            head: actWord("result"),
            cell: ({ status }) => <Badge tone={TONES[status]}>{stateWord(`hookStatus.${status}`)}</Badge>,
          },
          { key: "detail", head: stateWord("detail"), cell: ({ detail }) => <Prose text={detail} /> },
        ]}
      />
    </div>
  );
}

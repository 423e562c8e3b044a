import type { RolloutStatus } from "../../controller/desk.ts";
import type { HookRun, Rollback, Rollout } from "../../controller/rollout.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { ApiText, Card, Nothing } from "../components/card.tsx";
import { Table } from "../components/table.tsx";
import { duration, instant, length, number, percent } from "../i18n.ts";
import { RefusalText } from "./act-form.tsx";
import { drill } from "./act-state.ts";
import { DrillText } from "./drill-text.tsx";
import type { PanelProps } from "./panel.ts";
import { Prose } from "./prose.tsx";
import { actWord } from "./words-acts.ts";
import { planWord, stateWord, statusWord } from "./words-rollout.ts";

const TONES: Readonly<Record<Rollout["state"]["status"], Tone>> = {
  progressing: "info",
  waiting: "idle",
  held: "warn",
  "rolling-back": "bad",
  "rolled-back": "bad",
  completed: "good",
};

/** Where the rollout is and why, in words. */
export function StateCard({ view: { rollout: status, flag, at } }: PanelProps) {
  const rollout = status?.rollout ?? undefined;
  return (
    <Card
      id="state"
      title={stateWord("title")}
      span={8}
      aside={
        rollout === undefined ? undefined : (
          <Badge tone={TONES[rollout.state.status]}>
            <span data-status={rollout.state.status}>{statusWord(rollout.state.status)}</span>
          </Badge>
        )
      }
    >
      {rollout === undefined || status === undefined ? (
        <Nothing>{planWord(status === undefined ? "away" : "none")}</Nothing>
      ) : (
        <>
          <StateWords state={rollout.state} plan={rollout.plan} />
          <Reasons status={status} />
        </>
      )}
      {(flag.settings["drill"] ?? "") === "" ? null : (
        <p>
          <Badge tone="warn">{stateWord("drill")}</Badge>
        </p>
      )}
      <LastDrill at={at} flag={flag.flag} />
    </Card>
  );
}

function Reasons({ status: { rollout, view } }: { readonly status: RolloutStatus }) {
  if (rollout?.state.status === "completed") return null;
  if (view === undefined) return <Nothing>{stateWord("notLooked")}</Nothing>;
  return (
    <>
      <h4>{stateWord("because")}</h4>
      <ul class="reasons" data-reasons>
        {view.reasons.map((reason) => (
          <li key={reason}>
            <ApiText>{reason}</ApiText>
          </li>
        ))}
      </ul>
      <p class="card-note">{stateWord("looked", { who: view.leader, when: instant(view.at) })}</p>
    </>
  );
}

function StateWords({ state, plan }: Pick<Rollout, "state" | "plan">) {
  switch (state.status) {
    case "progressing":
    case "waiting":
      return null;
    case "held":
      return (
        <div data-held={state.cause}>
          <p>
            {stateWord("heldBy", { who: state.by, when: instant(state.since) })}:{" "}
            {state.cause === "pause" ? stateWord("heldPause") : stateWord("heldForeign")}
          </p>
          <p>
            <ApiText>{state.why}</ApiText>
          </p>
          {state.edited === true ? <p>{stateWord("heldEdited")}</p> : null}
        </div>
      );
    case "completed":
      return <p>{stateWord("completedAt", { when: instant(state.at) })}</p>;
    case "rolling-back":
    case "rolled-back":
      return <RollbackWords rollback={state.rollback} plan={plan} />;
  }
}

function RollbackWords({ rollback, plan }: { readonly rollback: Rollback; readonly plan: Rollout["plan"] }) {
  const { step, at, by, why, trigger, shift, traffic, hooks, endedAt } = rollback;
  const cause = trigger === undefined || trigger === null ? stateWord("byHand") : stateWord("trigger", { name: trigger });
  return (
    <div data-rollback>
      <h4>{stateWord("rollback")}</h4>
      <p>
        {stateWord("from", { step: plan.steps[step]?.name ?? "–" })} · {stateWord("decided", { who: by, when: instant(at) })} · {cause}
        {typeof endedAt === "number" ? <> · {stateWord("ended", { when: instant(endedAt) })}</> : null}
      </p>
      <p>
        <ApiText>{why}</ApiText>
      </p>
      {shift.length === 0 ? null : (
        <>
          <h4>{stateWord("shift")}</h4>
          <ul data-shift>
            {shift.map((stage) => (
              <li key={stage.at}>{stateWord("stage", { percentage: percent(stage.percentageBp / 100), when: instant(stage.at) })}</li>
            ))}
          </ul>
        </>
      )}
      <h4>{stateWord("traffic")}</h4>
      <TrafficWords traffic={traffic} />
      {hooks.length === 0 ? null : (
        <>
          <h4>{stateWord("hooks")}</h4>
          <Hooks hooks={hooks} />
        </>
      )}
    </div>
  );
}

function TrafficWords({ traffic }: Pick<Rollback, "traffic">) {
  if (traffic === undefined || traffic === null) return <p>{stateWord("collecting")}</p>;
  const { acknowledged, missing, ms } = traffic;
  const facts = { count: number(acknowledged.length), all: number(acknowledged.length + missing.length), ms: duration(ms) };
  return (
    <p data-traffic={missing.length === 0 ? "confirmed" : "missing"}>
      <Badge tone={missing.length === 0 ? "good" : "bad"}>{stateWord("confirmed", facts)}</Badge>{" "}
      {acknowledged.length === 0 ? null : stateWord("everybody", { names: acknowledged.join(", ") })}
      {missing.length === 0 ? null : (
        <>
          {" · "}
          <strong>{stateWord("missing", { names: missing.join(", ") })}</strong>
        </>
      )}
    </p>
  );
}

const HOOK_TONES: Readonly<Record<HookRun["status"], Tone>> = {
  pending: "idle",
  running: "info",
  done: "good",
  failed: "bad",
  "timed-out": "bad",
  unknown: "warn",
};

function Hooks({ hooks }: Pick<Rollback, "hooks">) {
  return (
    <Table
      caption={stateWord("hooks")}
      rows={hooks}
      keyOf={({ name }) => name}
      name="hooks"
      columns={[
        { key: "hook", head: stateWord("hook"), header: true, cell: ({ name }) => name },
        {
          key: "status",
          head: actWord("result"),
          cell: ({ status }) => <Badge tone={HOOK_TONES[status]}>{stateWord(`hookStatus.${status}`)}</Badge>,
        },
        { key: "took", head: stateWord("took"), number: true, cell: ({ ms }) => duration(ms) },
        { key: "detail", head: stateWord("detail"), cell: ({ detail }) => <Prose text={detail} /> },
      ]}
    />
  );
}

function LastDrill({ at, flag }: { readonly at: number; readonly flag: string }) {
  const last = drill.value;
  if (last === undefined || last.flag !== flag) return null;
  return (
    <div role="status">
      <h4>{actWord("names.drill")}</h4>
      {last.state === "running" ? <p>{`${actWord("working")} ${length(at - last.since)}`}</p> : null}
      {last.state === "refused" ? <RefusalText refusal={last.refusal} /> : null}
      {last.state === "done" ? <DrillText report={last.report} /> : null}
    </div>
  );
}

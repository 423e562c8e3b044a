import type { RolloutStatus } from "../../controller/desk.ts";
import type { Rollout } from "../../controller/rollout.ts";
import { openStay } from "../../controller/stays.ts";
import { Badge, type Tone } from "../components/badge.tsx";
import { ApiText, Card, Nothing } from "../components/card.tsx";
import { instant, length, percent } from "../i18n.ts";
import type { PanelProps } from "./panel.ts";
import { type StepPlace, type TimelineStep, timelineOf } from "./timeline-model.ts";
import { planWord } from "./words-rollout.ts";

/** The plan as a row of stations: what is done, where it is, what is to come. */
export function PlanCard({ view: { rollout: status, at } }: PanelProps) {
  const rollout = status?.rollout ?? undefined;
  return (
    <Card id="plan" title={planWord("title")} span={12}>
      {rollout === undefined || status === undefined ? (
        <Nothing>
          {status === undefined ? planWord("away") : planWord("none")} {status === undefined ? "" : planWord("noneHow")}
        </Nothing>
      ) : (
        <Timeline rollout={rollout} status={status} at={at} />
      )}
    </Card>
  );
}

interface TimelineProps {
  readonly rollout: Rollout;
  readonly status: RolloutStatus;
  readonly at: number;
}

function Timeline({ rollout, status: { leader, view }, at }: TimelineProps) {
  const { plan, id, startedAt, startedBy } = rollout;
  const steps = timelineOf(rollout, at);
  return (
    <>
      <p class="card-about">
        {planWord("run", { name: plan.name, id })} · {planWord("startedBy", { who: startedBy, when: instant(startedAt) })} ·{" "}
        {leader === undefined ? <Badge tone="bad">{planWord("nobodyLeads")}</Badge> : planWord("ledBy", { who: leader })}
      </p>
      <ol class="timeline" aria-labelledby="plan-title">
        {steps.map((step) => (
          <Station key={step.name} step={step} since={step.place === "present" ? openStay(rollout)?.from : undefined} />
        ))}
      </ol>
      {view === undefined || rollout.state.status === "completed" ? null : <CalendarLine calendar={view.calendar} />}
    </>
  );
}

const TONES: Readonly<Record<StepPlace, Tone>> = { done: "good", present: "info", left: "bad", "to-come": "idle" };

function Station({ step, since }: { readonly step: TimelineStep; readonly since: number | undefined }) {
  const { name, percentageBp, dwellMs, place, enteredAt, stayedMs, segments, approvals, webhooks, progress } = step;
  const left = dwellMs - stayedMs;
  return (
    <li class={`station station-${place}`} aria-current={place === "present" ? "step" : undefined} data-step={name} data-place={place}>
      <progress class="station-bar" max={1} value={place === "to-come" ? 0 : progress} aria-hidden="true" />
      <p class="station-head">
        <span class="station-share">{percent(percentageBp / 100)}</span> <span class="station-name">{name}</span>
      </p>
      <p>
        <Badge tone={TONES[place]}>{planWord(`place.${place}`)}</Badge>
      </p>
      <ul class="station-facts">
        <li>{dwellMs === 0 ? planWord("noDwell") : planWord("atLeast", { length: length(dwellMs) })}</li>
        {enteredAt === undefined ? null : <li>{planWord("stayed", { length: length(stayedMs) })}</li>}
        {place === "present" && dwellMs > 0 ? (
          <li>{left > 0 ? planWord("toGo", { length: length(left) }) : planWord("timeOver")}</li>
        ) : null}
        {since === undefined ? null : <li>{planWord("since", { when: instant(since) })}</li>}
        {segments.length === 0 ? null : <li>{planWord("segments", { names: segments.join(", ") })}</li>}
        {webhooks.length === 0 ? null : <li>{planWord("webhooks", { names: webhooks.join(", ") })}</li>}
        {approvals.map(({ role, given }) => (
          <li key={role} data-approval={role}>
            {place !== "present" ? (
              planWord("approvalOf", { role })
            ) : (
              <Badge tone={given === undefined ? "warn" : "good"}>
                {given === undefined
                  ? planWord("approvalMissing", { role })
                  : planWord("approvedBy", { role, who: given.who, when: instant(given.at) })}
              </Badge>
            )}
          </li>
        ))}
      </ul>
    </li>
  );
}

interface CalendarProps {
  readonly calendar: NonNullable<RolloutStatus["view"]>["calendar"];
}

/** Closed means that no step is entered meanwhile; rollbacks know no calendar. */
function CalendarLine({ calendar: { open, why, opensAt } }: CalendarProps) {
  return (
    <p class="calendar" data-calendar={open ? "open" : "closed"}>
      {planWord("calendar")} <Badge tone={open ? "good" : "warn"}>{open ? planWord("calendarOpen") : planWord("calendarClosed")}</Badge>{" "}
      {open || typeof opensAt !== "number" ? null : <>{planWord("opens", { when: instant(opensAt) })} · </>}
      <ApiText>{why}</ApiText>
    </p>
  );
}

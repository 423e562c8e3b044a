import { DateTime } from "luxon";
import { formatDuration, formatShare } from "../../core/quantity.ts";
import { calendarVerdict } from "../calendar.ts";
import type { Plan } from "../plan.ts";
import { error, type Raised, type Subject, warning } from "./finding.ts";
import { spreadOf } from "./schedule.ts";
import { lengthText, stepText, triggersOf } from "./words.ts";

const WHOLE_BP = 10_000;

/** Shares, times and the calendar. */
export function lintSteps({ plan, now }: Subject): Raised[] {
  return [...shares(plan), ...dwells(plan), ...whole(plan, now), ...phases(plan), ...calendar(plan, now), ...emptiness(plan)];
}

function shares({ steps }: Plan): Raised[] {
  const findings: Raised[] = [];
  steps.forEach((step, index) => {
    const path = ["steps", index, "percentage"];
    const before = steps[index - 1];
    if (step.percentageBp <= 0)
      findings.push(
        error(
          "step-zero",
          path,
          `${step.name} has 0%: nobody is on the candidate, so nothing can be learnt`,
          "leave the step out; before the first one everybody is on the stable arm anyway",
        ),
      );
    else if (step.percentageBp > WHOLE_BP)
      findings.push(error("step-over", path, `${stepText(step)} is more than everybody`, "write at most 100%"));
    if (before !== undefined && step.percentageBp <= before.percentageBp)
      findings.push(
        error(
          "steps-rise",
          path,
          `${stepText(step)} is not above ${stepText(before)} before it`,
          "put the steps in rising order; only a rollback lowers the share",
        ),
      );
  });
  const last = steps.at(-1);
  if (last !== undefined && last.percentageBp < WHOLE_BP)
    findings.push(
      warning(
        "last-below-100",
        ["steps", steps.length - 1, "percentage"],
        `the plan ends with ${formatShare(last.percentageBp)}%, so the stable arm can never be stopped`,
        "end with a step of 100%, if everybody is to move",
      ),
    );
  return findings;
}

function dwells(plan: Plan): Raised[] {
  const { steps } = plan;
  const findings: Raised[] = [];
  steps.forEach((step, index) => {
    if (step.dwellMs > 0) return;
    const isLast = index === steps.length - 1;
    findings.push(
      warning(
        "dwell-missing",
        ["steps", index, "dwell"],
        `${stepText(step)} has no dwell: ${isLast ? "the plan is completed as soon as the gates pass, with nothing observed at this share" : "it is left as soon as its gates pass"}`,
        "say how long it lasts at least, such as dwell: 1d",
      ),
    );
  });
  for (const { check, path } of triggersOf(plan)) {
    const short = steps.filter(({ dwellMs }) => dwellMs > 0 && dwellMs < check.forMs);
    if (short.length === 0) continue;
    const names = short.map(({ name }) => name).join(", ");
    findings.push(
      warning(
        "for-over-dwell",
        [...path, "for"],
        `${check.name} must last ${formatDuration(check.forMs)}, which is longer than ${names}: there it has no verdict before the step's time is over`,
        `${check.required ? "the step then waits for it; " : ""}shorten for:, or lengthen the dwell`,
      ),
    );
  }
  return findings;
}

function whole(plan: Plan, now: number): Raised[] {
  const { withinMs, steps } = plan;
  if (withinMs === 0) return [];
  const path = ["within"];
  const within = formatDuration(withinMs);
  const sum = steps.reduce((total, { dwellMs }) => total + dwellMs, 0);
  const entry = sum - (steps.at(-1)?.dwellMs ?? 0);
  const last = steps.at(-1);
  if (sum > withinMs)
    return [
      error(
        "within",
        path,
        `the steps last ${lengthText(sum)} together, which is longer than within: ${within}`,
        "shorten the dwells, or allow more time",
      ),
    ];
  if (entry >= withinMs && last !== undefined) {
    const message = `${stepText(last)} is entered after ${lengthText(entry)} at the soonest, so within ${within} nothing can be observed there, and every wait for a gate breaks the limit`;
    return [error("within", path, message, "allow more time, or take it from the steps before")];
  }
  const spread = spreadOf(plan, now);
  if (spread === undefined || spread.longest.ms <= withinMs) return [];
  const told = (run: { readonly startAt: number; readonly ms: number }): string =>
    `${lengthText(run.ms)} when begun on ${DateTime.fromMillis(run.startAt, { zone: plan.timezone, locale: "en" }).toFormat("cccc HH:mm")}`;
  const message = `with the calendar the steps take from ${told(spread.shortest)} to ${told(spread.longest)}, and within: allows ${within}`;
  const advice = "begin at an hour from which the later steps fall into open hours, open the calendar further, or allow more time";
  return [
    spread.shortest.ms > withinMs ? error("within-calendar", path, message, advice) : warning("within-calendar", path, message, advice),
  ];
}

/** What would be measured step by step takes too long; the experiment runs over all of them. */
function phases(plan: Plan): Raised[] {
  const { phaseMs } = plan.experiment;
  if (phaseMs === undefined) return [];
  const path = ["experiment", "phase"];
  const compared = plan.steps.filter(({ percentageBp }) => percentageBp > 0 && percentageBp < WHOLE_BP);
  const needed = compared.length * phaseMs;
  const phase = formatDuration(phaseMs);
  const advice = "leave phase: out: the experiment runs over the whole rollout, a stratum a step";
  if (plan.withinMs > 0 && needed > plan.withinMs)
    return [
      error(
        "phase",
        path,
        `${phase} for each of ${compared.length} steps with two arms are ${lengthText(needed)}, and within: allows ${formatDuration(plan.withinMs)} for everything: both cannot hold`,
        advice,
      ),
    ];
  const short = compared.filter(({ dwellMs }) => dwellMs < phaseMs);
  if (short.length === 0) return [];
  return [
    warning(
      "phase",
      path,
      `${short.map(stepText).join(", ")} may be left before ${phase} are over, so no experiment of its own fits in`,
      advice,
    ),
  ];
}

function calendar(plan: Plan, now: number): Raised[] {
  const findings: Raised[] = [];
  const verdict = calendarVerdict(plan.calendar, plan.timezone, now);
  if (verdict.opensAt === undefined)
    findings.push(
      error(
        "calendar-never",
        ["calendar"],
        `no step can ever be entered: ${verdict.why}`,
        "allow at least one day and hour that no freeze covers",
      ),
    );
  const today = DateTime.fromMillis(now, { zone: plan.timezone }).toISODate();
  plan.calendar.freeze.forEach(({ from, to }, index) => {
    if (today === null || to >= today) return;
    findings.push(
      warning(
        "freeze-past",
        ["calendar", "freeze", index],
        `the freeze ${from === to ? `of ${from}` : `from ${from} to ${to}`} is over`,
        "take it out, or correct its year",
      ),
    );
  });
  return findings;
}

function emptiness({ gates, triggers, steps }: Plan): Raised[] {
  const findings: Raised[] = [];
  if (triggers.length === 0)
    findings.push(
      warning("no-triggers", [], "there are no triggers, so nothing rolls back by itself", "add at least one of errors and one of p95"),
    );
  if (gates.length === 0 && steps.some((step) => step.gates.length === 0))
    findings.push(
      warning(
        "no-gates",
        [],
        "some steps have no gates, so time alone takes them further, whatever the figures say",
        "add gates, such as { metric: errors, at_most: 1% }",
      ),
    );
  return findings;
}

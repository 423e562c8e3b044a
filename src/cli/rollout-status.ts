import type { Judged } from "../analysis/check.ts";
import type { ArmSummary } from "../analysis/windows-summary.ts";
import type { FiguresView, RolloutStatus } from "../controller/desk.ts";
import type { Rollback, Rollout } from "../controller/rollout.ts";
import type { RolloutView } from "../controller/view.ts";
import { bad, bold, good, percent, span, table } from "./output.ts";

const BP_PER_PERCENT = 100;

/** What a rollout is at, for a terminal. */
export function describeRollout({ flag, rollout, leader, view }: RolloutStatus, now: number): string[] {
  if (rollout === undefined || rollout === null) {
    return [
      `${flag} has no rollout yet.`,
      "Start one with `crossfade rollout start PLAN`; `crossfade rollout check PLAN` looks at the plan first.",
    ];
  }
  const { plan, startedAt, startedBy } = rollout;
  const led = leader === undefined ? bad("nobody leads: nothing moves until an instance does") : `led by ${leader}`;
  return [
    bold(`${flag}: ${plan.name}, ${statusInWords(rollout)}`),
    `  started    ${instant(startedAt)} by ${startedBy}, ${span(Math.max(0, now - startedAt) / 1_000)} ago`,
    `  control    ${led}`,
    ...reasonsOf(rollout, view),
    "",
    bold("Steps"),
    ...stepRows(rollout, now),
    ...checks("Triggers (any that fails rolls back)", view?.triggers ?? []),
    ...checks("Gates (all must pass)", view?.gates ?? []),
    ...(view?.webhooks ?? []).map(({ name, verdict, why }) => `  webhook ${name}: ${coloured(verdict)} ${why}`),
    ...approvalRows(rollout),
    ...rollbackRows(rollout),
  ];
}

function statusInWords({ state, plan }: Rollout): string {
  switch (state.status) {
    case "progressing":
    case "waiting":
      return `${state.status} at ${plan.steps[state.step]?.name ?? ""} (${percentOf(plan.steps[state.step]?.percentageBp)})`;
    case "held":
      return bad(`held at ${plan.steps[state.step]?.name ?? ""} by ${state.by}: ${state.why}`);
    case "rolling-back":
    case "rolled-back":
      return bad(`${state.status}: ${state.rollback.why}`);
    case "completed":
      return good(`completed ${instant(state.at)}`);
  }
}

function reasonsOf({ state }: Rollout, view: RolloutView | undefined): string[] {
  const reasons = view?.reasons ?? [];
  if (state.status === "completed" || reasons.length === 0) return [];
  const [first = "", ...others] = reasons;
  return [`  because    ${first}`, ...others.map((reason) => `             ${reason}`)];
}

function stepRows({ plan, stays, state }: Rollout, now: number): string[] {
  const present = "step" in state ? state.step : -1;
  const rows = plan.steps.map(({ name, percentageBp, dwellMs }, index) => {
    const own = stays.filter((stay) => stay.step === index);
    const first = own[0];
    const ms = own.reduce((sum, { from, to }) => sum + (to ?? now) - from, 0);
    const mark = index === present ? "now" : first === undefined ? "" : "done";
    return [
      mark,
      name,
      percentOf(percentageBp),
      dwellMs === 0 ? "-" : span(dwellMs / 1_000),
      first === undefined ? "" : instant(first.from),
      first === undefined ? "" : span(ms / 1_000),
    ];
  });
  return table([["", "STEP", "SHARE", "AT LEAST", "ENTERED", "STAYED"], ...rows]);
}

function checks(title: string, judged: readonly Judged[]): string[] {
  if (judged.length === 0) return [];
  const rows = judged.map(({ check, scope, verdict }) => [
    verdict.verdict,
    scope === undefined || scope === null ? check.name : `${check.name} (${scope})`,
    verdict.why,
  ]);
  return ["", bold(title), ...table([["VERDICT", "CHECK", "WHY"], ...rows])];
}

function approvalRows({ plan, approvals, state }: Rollout): string[] {
  const step = "step" in state ? plan.steps[state.step] : undefined;
  if (step === undefined || step.approvals.length === 0) return [];
  const rows = step.approvals.map((role) => {
    const given = approvals.find((approval) => approval.role === role);
    return [role, given === undefined ? "missing" : `${given.who}, ${instant(given.at)}`];
  });
  return ["", bold("Approvals"), ...table([["ROLE", "BY"], ...rows])];
}

function rollbackRows({ state }: Rollout): string[] {
  if (!("rollback" in state)) return [];
  const { rollback } = state;
  return ["", bold("Rollback"), `  decided    ${instant(rollback.at)} by ${rollback.by}`, ...trafficRows(rollback), ...hookRows(rollback)];
}

function trafficRows({ shift, traffic }: Rollback): string[] {
  if (shift.length > 0) return [`  traffic    ${shift.length} more stages, the last at ${instant(shift.at(-1)?.at ?? 0)}`];
  if (traffic === undefined || traffic === null) return ["  traffic    on the stable arm; confirmations are being collected"];
  const { acknowledged, missing, ms } = traffic;
  const confirmed = `on the stable arm after ${ms} ms, confirmed by ${acknowledged.length} of ${acknowledged.length + missing.length}`;
  return [missing.length === 0 ? `  traffic    ${good(confirmed)}` : `  traffic    ${bad(`${confirmed}; missing: ${missing.join(", ")}`)}`];
}

function hookRows({ hooks }: Rollback): string[] {
  return hooks.map(({ name, status, ms, detail }) => {
    const took = ms === undefined || ms === null ? "" : ` in ${(ms / 1_000).toFixed(1)} s`;
    const words = `${status}${took}${detail === "" ? "" : `: ${detail}`}`;
    return `  hook       ${name}: ${status === "done" ? good(words) : status === "pending" || status === "running" ? words : bad(words)}`;
  });
}

/** What both arms were like over a span, for a terminal. */
export function describeFigures({ span: name, from, to, coveredMs, instances, rows }: FiguresView): string[] {
  const covered = to > from ? Math.round((100 * coveredMs) / (to - from)) : 0;
  const head = bold(
    `Last ${name}: ${instant(from)} to ${instant(to)}, ${covered} % covered, ${instances.length} ${instances.length === 1 ? "instance" : "instances"}`,
  );
  if (rows.length === 0) return [head, "  no requests"];
  const line = (route: string, segment: string, arm: string, s: ArmSummary): string[] => [
    route,
    segment,
    arm,
    s.requests.toLocaleString("en"),
    s.attempts.toLocaleString("en"),
    ratio(s.errors),
    ratio(s.fallbacks),
    milliseconds(s.p50),
    milliseconds(s.p95),
    milliseconds(s.p99),
    Number.isFinite(s.quality) ? s.quality.toFixed(3) : "-",
  ];
  const lines = rows.flatMap(({ route, segment, stable, candidate }) => [
    line(route, segment, "stable", stable),
    line("", "", "candidate", candidate),
  ]);
  return [
    head,
    ...table([["ROUTE", "SEGMENT", "ARM", "REQUESTS", "ATTEMPTS", "ERRORS", "FALLBACKS", "P50", "P95", "P99", "QUALITY"], ...lines]),
  ];
}

function ratio(value: number): string {
  return Number.isFinite(value) ? percent(value * 100) : "-";
}

function milliseconds(ms: number): string {
  return Number.isFinite(ms) ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : "-";
}

function percentOf(bp: number | undefined): string {
  return percent((bp ?? 0) / BP_PER_PERCENT);
}

function coloured(verdict: string): string {
  return verdict === "pass" ? good(verdict) : verdict === "fail" ? bad(verdict) : verdict;
}

function instant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

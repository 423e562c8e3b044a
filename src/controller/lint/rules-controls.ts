import { formatDuration, formatShare } from "../../core/quantity.ts";
import { error, type Raised, type Subject, warning } from "./finding.ts";
import { checkText, gatesOf, limitText, percentText, triggersOf } from "./words.ts";

/**
 * The plan beside the controls of single requests. There are three, and they are never the same: the fallback judges one answer, the
 * breaker judges the candidate over seconds and stops sending to it, a trigger judges the rollout over minutes and moves its percentage.
 */
export function lintControls(subject: Subject): Raised[] {
  return [...deadline(subject), ...breaker(subject), ...silence(subject), ...accuracy(subject), ...segments(subject), ...switches(subject)];
}

const WHOLE_BP = 10_000;

/** Latency: where a lost attempt is not observed, or not for long enough, its true duration is never seen. */
function deadline({ plan, config, flag }: Subject): Raised[] {
  if (config === undefined || flag === undefined || !flag.settings.fallback.enabled) return [];
  const cutMs = flag.settings.fallback.responseTimeMs;
  const { observedAttempts, observedForMs } = config.limits;
  const cut = formatDuration(cutMs);
  const findings: Raised[] = [];
  for (const { check, path } of triggersOf(plan)) {
    if (!["p50", "p95", "p99"].includes(check.metric) || check.of !== "candidate" || check.limit.kind !== "at-most") continue;
    const limit = formatDuration(check.limit.value);
    if (cutMs >= check.limit.value) {
      const message = `the flag falls back only after ${cut}, and trigger ${check.name} fires at ${limit}: the rollout is rolled back before any slow answer was replaced`;
      findings.push(warning("deadline-over-trigger", path, message, `set the flag's response_time below ${limit}`));
    } else if (observedAttempts === 0 || observedForMs <= check.limit.value) {
      const why = observedAttempts === 0 ? "limits.observed_attempts is 0" : `limits.observed_for is ${formatDuration(observedForMs)}`;
      const message = `the flag falls back after ${cut} and ${why}, so no attempt is ever seen to take longer than ${limit}: trigger ${check.name} can never fire`;
      findings.push(error("blind-trigger", path, message, `let lost attempts be observed for longer than ${limit}`));
    } else {
      const message = `trigger ${check.name} stands at ${limit}, but the flag falls back after ${cut}, so no client ever waits that long: the trigger goes by the true duration of attempts, which are observed for ${formatDuration(observedForMs)} after their request began, at most ${observedAttempts} at a time in a worker`;
      findings.push(
        warning(
          "observed-latency",
          path,
          message,
          "nothing, if that is meant; what clients wait is another figure than what the candidate takes",
        ),
      );
    }
  }
  for (const { check, path } of gatesOf(plan)) {
    if (check.metric !== "p95" || check.of !== "candidate" || check.limit.kind !== "at-most" || check.limit.value <= cutMs) continue;
    const message = `gate ${check.name} lets the candidate take ${formatDuration(check.limit.value)}, but the flag falls back after ${cut}: more than one request in twenty may then be answered by the stable arm while the gate passes`;
    findings.push(
      warning("gate-over-deadline", path, message, `let the gate ask for ${cut} at most, or add { metric: fallbacks, at_most: 5% }`),
    );
  }
  return findings;
}

/** A breaker that is open leaves probes alone, and every figure of the candidate's own falls silent with the traffic. */
function silence({ plan, flag }: Subject): Raised[] {
  if (flag === undefined || !flag.settings.fallback.enabled || flag.settings.fallback.breaker !== "auto") return [];
  const triggers = triggersOf(plan);
  if (triggers.length === 0 || triggers.some(({ check }) => check.metric === "fallbacks" && check.of === "candidate")) return [];
  return [
    warning(
      "silent-breaker",
      ["triggers"],
      "no trigger looks at fallbacks: a candidate that breaks down is cut off by the breaker within a second, its own figures fall silent, and the rollout is held where it is but not rolled back",
      "add { metric: fallbacks, at_most: 50%, window: 10s, for: 1m, min_sample: 60, required: false }",
    ),
  ];
}

/** Errors: a breaker that opens first leaves too little for gates and triggers to judge. */
function breaker({ plan, flag }: Subject): Raised[] {
  if (flag === undefined || !flag.settings.fallback.enabled || flag.settings.fallback.breaker !== "auto") return [];
  const { errorRateBp } = flag.settings.fallback;
  if (errorRateBp === 0) return [];
  const opensAt = errorRateBp / WHOLE_BP;
  const checks = [...gatesOf(plan), ...triggersOf(plan)].filter(
    ({ check }) => check.metric === "errors" && check.of === "candidate" && check.limit.kind === "at-most" && check.limit.value >= opensAt,
  );
  const [first] = checks;
  if (first === undefined) return [];
  const names = checks
    .map(({ check, path }) => `${path[0] === "triggers" ? "trigger" : "gate"} ${check.name} (${limitText(check)})`)
    .join(", ");
  const message = `errors have three controls: the breaker stops sending to the candidate above ${formatShare(errorRateBp)}% over seconds, ${names} judge it over the plan's windows; a candidate between the two figures gets only probes, and the plan waits for samples`;
  return [
    warning(
      "three-controls",
      first.path,
      message,
      "keep the breaker's error_rate for outages and above what gates allow, if the plan is to decide",
    ),
  ];
}

/** One word, two figures. */
function accuracy({ plan, flag }: Subject): Raised[] {
  if (flag === undefined || flag.settings.fallback.accuracyBp === 0) return [];
  const floor = formatShare(flag.settings.fallback.accuracyBp);
  const checks = [...triggersOf(plan), ...gatesOf(plan)].filter(({ check }) => check.metric === "accuracy");
  const same = checks.find(({ check }) => Math.abs(check.limit.value - flag.settings.fallback.accuracyBp / WHOLE_BP) < 1e-9) ?? checks[0];
  if (same === undefined) return [];
  const message = `${checkText(same.check)} is about matches that users confirmed; the flag's condition accuracy: ${floor}% is about what each answer says of itself (here: quality), and takes back single answers`;
  return [warning("two-accuracies", same.path, message, "nothing, if that is meant; for the second one write metric: quality")];
}

/** Users whom the plan does not move. */
function segments({ plan, flag }: Subject): Raised[] {
  if (flag === undefined) return [];
  const planned = new Set(plan.segments.map(({ name }) => name));
  const top = Math.max(...plan.steps.map(({ percentageBp }) => percentageBp));
  return flag.settings.segments.flatMap(({ name, weightBp, override }): Raised[] => {
    if (planned.has(name)) return [];
    const figure = `${formatShare(weightBp)}%`;
    const advice = `name it under segments:, such as ${name}: { from: 75 }, or set its percentage by hand`;
    if (weightBp >= top) {
      if (!override) return [];
      return [
        warning(
          "segment-ahead",
          ["flag"],
          `${name} has ${figure} whatever the step: it is on the candidate from the start, until a rollback takes it back`,
          `name it under segments:, such as ${name}: { from: ${formatShare(plan.steps[0]?.percentageBp ?? 0)} }, if the plan is to move it, and back`,
        ),
      ];
    }
    return [
      warning(
        "segment-stays",
        ["flag"],
        `${name} ${override ? "has" : "is capped at"} ${figure} in the configuration, and the plan does not move it: at the end the stable arm still has the rest of it`,
        advice,
      ),
    ];
  });
}

function switches({ flag }: Subject): Raised[] {
  if (flag === undefined) return [];
  const { enabled, killSwitch } = flag.settings;
  if (enabled && !killSwitch) return [];
  const state = killSwitch ? "killed" : "disabled";
  return [
    warning(
      "switched-off",
      ["flag"],
      `${flag.name} is ${state} in the configuration: unless the store says otherwise the rollout is held at once`,
      `${killSwitch ? "lift kill_switch" : "set enabled: true"} before the start`,
    ),
  ];
}

/** What the budget of extra requests to the stable arm allows. */
export function lintBudget({ plan, flag }: Subject): Raised[] {
  const findings: Raised[] = [];
  const { fallbacks, p95Ms } = plan.expects;
  if (flag === undefined || !flag.settings.fallback.enabled) return [];
  const { budgetBp, responseTimeMs, breaker: mode } = flag.settings.fallback;
  const path = ["expects", "fallbacks"];
  if (p95Ms !== undefined && p95Ms > responseTimeMs && fallbacks !== undefined && fallbacks < 0.05)
    findings.push(
      warning(
        "fallbacks-too-few",
        path,
        `a P95 of ${formatDuration(p95Ms)} means that more than 5% take longer than ${formatDuration(responseTimeMs)} and fall back, and expects: says ${percentText(fallbacks)}`,
        "correct one of the two",
      ),
    );
  if (fallbacks === undefined || mode === "off" || mode === "closed") return findings;
  const budget = budgetBp / WHOLE_BP;
  const advice = "make the candidate faster, or allow a larger fallback budget if the stable arm takes it";
  if (fallbacks > budget)
    findings.push(
      error(
        "budget",
        path,
        `${percentText(fallbacks)} of the candidate's requests are expected to fall back, and the budget is ${percentText(budget)}: the breaker opens and the candidate gets none`,
        advice,
      ),
    );
  else if (fallbacks > 0.75 * budget)
    findings.push(
      warning(
        "budget",
        path,
        `${percentText(fallbacks)} of the candidate's requests are expected to fall back, close to the budget of ${percentText(budget)}, at which the breaker opens`,
        advice,
      ),
    );
  return findings;
}

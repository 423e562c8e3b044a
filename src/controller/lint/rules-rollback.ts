import type { Hook } from "../../config/config.ts";
import { formatDuration } from "../../core/quantity.ts";
import type { Plan } from "../plan.ts";
import { error, type Raised, type Subject, warning } from "./finding.ts";
import { shareOf } from "./outlook.ts";
import { count, percentText, stepText } from "./words.ts";

/** Whether the rollback keeps its own limits, and the stable arm carries what it is given. */
export function lintRollback(subject: Subject): Raised[] {
  return [...limits(subject), ...hooks(subject), ...capacity(subject.plan)];
}

/** Requests per second that the stable arm answers at a share of the candidate: its own, and those that fall back to it. */
export function stableLoad(plan: Plan, share: number): { readonly own: number; readonly withFallbacks: number | undefined } | undefined {
  const { requestsPerSecond, fallbacks } = plan.expects;
  if (requestsPerSecond === undefined) return undefined;
  const own = (1 - share) * requestsPerSecond;
  return { own, withFallbacks: fallbacks === undefined ? undefined : own + share * fallbacks * requestsPerSecond };
}

function limits({ plan }: Subject): Raised[] {
  const { limitMs, trafficLimitMs, shiftMs, stableCapacity } = plan.rollback;
  const findings: Raised[] = [];
  const limit = formatDuration(limitMs);
  if (trafficLimitMs > limitMs)
    findings.push(
      error(
        "rollback-limits",
        ["rollback", "traffic_limit"],
        `the traffic may take ${formatDuration(trafficLimitMs)}, and the whole rollback only ${limit}`,
        "let traffic_limit be part of limit",
      ),
    );
  if (stableCapacity !== undefined && shiftMs > limitMs)
    findings.push(
      error(
        "rollback-limits",
        ["rollback", "shift"],
        `the traffic may be shifted over ${formatDuration(shiftMs)}, and the whole rollback may take only ${limit}`,
        "shift faster, or allow more",
      ),
    );
  return findings;
}

function hooks({ plan, config }: Subject): Raised[] {
  const { hooks: names, limitMs, trafficLimitMs, shiftMs, stableCapacity } = plan.rollback;
  const findings: Raised[] = names.flatMap((name, index) =>
    /restart|reboot/i.test(name)
      ? [
          warning(
            "restart",
            ["rollback", "hooks", index],
            `${name}: after the switch the stable arm carries all of the traffic, and restarting it then drops requests`,
            "take it out; a stable arm that must be restarted is restarted before a rollout, one endpoint after the other",
          ),
        ]
      : [],
  );
  if (config === undefined) return findings;
  const known = names.flatMap((name): Hook[] => config.hooks.filter((hook) => hook.name === name));
  const hooksMs = known.reduce((sum, { timeoutMs }) => sum + timeoutMs, 0);
  const moveMs = Math.max(trafficLimitMs, mayShift(plan) && stableCapacity !== undefined ? shiftMs : 0);
  if (known.length > 0 && hooksMs + moveMs > limitMs) {
    const each = known.map(({ name, timeoutMs }) => `${name} ${formatDuration(timeoutMs)}`).join(", ");
    const message = `the traffic may take ${formatDuration(moveMs)} and the hooks ${formatDuration(hooksMs)} (${each}), together ${formatDuration(moveMs + hooksMs)}, and the whole rollback may take only ${formatDuration(limitMs)}`;
    findings.push(error("hooks-limit", ["rollback", "limit"], message, "shorten the hooks' timeouts, or allow more"));
  }
  return findings;
}

/** Whether the stable arm is given its traffic back in stages, by what is expected; a stage is also made where it says that it is unwell. */
function mayShift({ rollback: { stableCapacity }, expects: { requestsPerSecond } }: Plan): boolean {
  return stableCapacity !== undefined && requestsPerSecond !== undefined && requestsPerSecond > stableCapacity;
}

function capacity(plan: Plan): Raised[] {
  const { stableCapacity, shiftMs } = plan.rollback;
  const { requestsPerSecond, fallbacks } = plan.expects;
  if (requestsPerSecond === undefined) return [];
  const findings: Raised[] = [];
  const path = ["rollback", "stable_capacity"];
  if (stableCapacity !== undefined) {
    const over = plan.steps.filter((step) => (stableLoad(plan, shareOf(step))?.withFallbacks ?? 0) > stableCapacity);
    if (over.length > 0)
      findings.push(
        error(
          "capacity",
          path,
          `the stable arm takes ${count(stableCapacity)}/s, and gets more at ${over.map(stepText).join(", ")}, fallbacks included`,
          "give it more capacity first",
        ),
      );
    if (requestsPerSecond > stableCapacity)
      findings.push(
        warning(
          "capacity-rollback",
          path,
          `a rollback gives the stable arm ${count(requestsPerSecond)}/s, and it takes ${count(stableCapacity)}/s: the traffic goes back in stages over ${formatDuration(shiftMs)}, and a failing candidate keeps a part of it meanwhile; after that the stable arm is over its capacity all the same`,
          "keep the stable arm able to take everything until the plan is completed",
        ),
      );
  }
  const last = plan.steps.at(-1);
  const load = last === undefined ? undefined : stableLoad(plan, shareOf(last));
  if (last !== undefined && fallbacks !== undefined && fallbacks > 0.05 && load?.withFallbacks !== undefined) {
    const message = `${percentText(fallbacks)} of the candidate's requests are expected to fall back: each waits for the fallback's deadline and then for the stable arm, which still answers ${count(load.withFallbacks)}/s at ${stepText(last)}`;
    findings.push(
      warning(
        "fallback-cost",
        ["expects", "fallbacks"],
        message,
        "make the candidate faster before raising its share; the stable arm cannot be stopped before",
      ),
    );
  }
  return findings;
}

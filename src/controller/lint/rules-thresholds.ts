import type { Check } from "../../analysis/check.ts";
import { formatDuration } from "../../core/quantity.ts";
import { durationEdges } from "../../telemetry/edges.ts";
import { METRIC_FACTS } from "../plan-file/metric-facts.ts";
import { error, type Raised, type Subject, warning } from "./finding.ts";
import { expectedValue, shareOf } from "./outlook.ts";
import { checkText, gatesOf, limitText, type Placed, stepText, triggersOf, valueText } from "./words.ts";

/** Limits that contradict each other, or what is expected. Those of the flag's own controls stand in `rules-controls.ts`. */
export function lintThresholds(subject: Subject): Raised[] {
  return [
    ...directions(subject),
    ...triggersInsideGates(subject),
    ...severalLimits(subject),
    ...expectations(subject),
    ...comparisonsWithNobody(subject),
    ...silence(subject),
    ...edges(subject),
  ];
}

function directions({ plan }: Subject): Raised[] {
  return [...gatesOf(plan), ...triggersOf(plan)].flatMap(({ check, path }) => {
    const wanted = METRIC_FACTS[check.metric].better === "lower" ? "at-most" : "at-least";
    if (check.limit.kind === wanted) return [];
    const message = `${checkText(check)}: the limit within which all is well, and of ${check.metric} ${wanted === "at-most" ? "less" : "more"} is better`;
    return [warning("direction", path, message, `write ${wanted.replace("-", "_")}:`)];
  });
}

/** Whether two checks look at the same figure of the same people. */
function isSameFigure(a: Check, b: Check): boolean {
  return a.metric === b.metric && a.of === b.of && a.limit.kind === b.limit.kind && a.route === b.route && a.segment === b.segment;
}

/** Above 0: `a` allows less than `b`. */
function stricter(a: Check, b: Check): number {
  return a.limit.kind === "at-most" ? b.limit.value - a.limit.value : a.limit.value - b.limit.value;
}

function triggersInsideGates({ plan }: Subject): Raised[] {
  const gates = gatesOf(plan);
  return triggersOf(plan).flatMap(({ check: trigger, path }) => {
    const inside = gates.filter(({ check }) => isSameFigure(trigger, check) && stricter(trigger, check) >= 0);
    return inside.slice(0, 1).map(({ check: gate }) => {
      const what = `trigger ${trigger.name} (${limitText(trigger)}) and gate ${gate.name} (${limitText(gate)})`;
      return stricter(trigger, gate) > 0
        ? error("trigger-inside-gate", path, `${what}: what the gate lets pass is rolled back`, "let the trigger allow more than the gate")
        : warning(
            "trigger-inside-gate",
            path,
            `${what} have one limit: there is nothing between going on and rolling back`,
            "let the trigger allow more than the gate",
          );
    });
  });
}

/** A stricter gate of one step makes the others promises that are not kept. */
function severalLimits({ plan }: Subject): Raised[] {
  const gates = gatesOf(plan);
  const common = gates.filter(({ step }) => step === undefined);
  return gates.flatMap(({ check, path, step }) => {
    const at = step === undefined ? undefined : plan.steps[step];
    const other = common.find((gate) => isSameFigure(gate.check, check) && stricter(gate.check, check) !== 0)?.check;
    if (at === undefined || other === undefined) return [];
    const isStricter = stricter(check, other) > 0;
    const message = `${check.metric} has two limits: ${limitText(other)} at every step, ${limitText(check)} to leave ${at.name}; ${
      isStricter
        ? `a candidate in between passes every step before and then stays at ${at.name}`
        : `the second is never the one that decides`
    }`;
    return [
      warning(
        "several-limits",
        path,
        message,
        isStricter ? "use the stricter one from the start, or report it as an aim outside the plan" : "leave the looser one out",
      ),
    ];
  });
}

/** The plan's own expectation against its limits. */
function expectations(subject: Subject): Raised[] {
  const rule = ({ check, path }: Placed, what: string, then: string): Raised[] => {
    const value = expectedValue(subject, check);
    if (value === undefined || check.limit.kind === (METRIC_FACTS[check.metric].better === "lower" ? "at-least" : "at-most")) return [];
    const distance = check.limit.kind === "at-most" ? check.limit.value - value : value - check.limit.value;
    // A difference of nothing but rounding.
    if (distance >= -1e-12) return [];
    const message = `${what} ${check.name} wants ${limitText(check)}, and expects: says ${valueText(check, value)}: ${then}`;
    return [error("expected-fails", path, message, "correct the expectation by measuring, or the limit, or the candidate")];
  };
  return [
    ...gatesOf(subject.plan).flatMap((placed) => rule(placed, "gate", "it can never pass")),
    ...triggersOf(subject.plan).flatMap((placed) => rule(placed, "trigger", "the rollout is rolled back when all is as expected")),
  ];
}

/** At 100 % there is no stable arm to compare with. */
function comparisonsWithNobody({ plan, flag }: Subject): Raised[] {
  const everybody = plan.steps.findIndex((step) => shareOf(step) >= 1);
  const step = plan.steps[everybody];
  if (step === undefined) return [];
  const planned = new Set(plan.segments.map(({ name }) => name));
  const remains = flag?.settings.segments.some(({ name, weightBp }) => weightBp < 10_000 && !planned.has(name)) ?? false;
  const rest = remains
    ? "only users of segments that stay behind are on the stable arm, no fair comparison"
    : "nobody is on the stable arm";
  const asks = ({ check, step: own }: Placed): boolean =>
    check.of !== "candidate" && check.window.kind !== "start" && (own === undefined || own === everybody);
  const raise = remains ? warning : error;
  return [
    ...gatesOf(plan)
      .filter(asks)
      .map(({ check, path }) =>
        raise(
          "no-stable-arm",
          path,
          `gate ${check.name} compares with the stable arm, but at ${stepText(step)} ${rest}: without data the plan is never completed`,
          "give it to the steps below 100% alone, or window: start",
        ),
      ),
    ...triggersOf(plan)
      .filter((placed) => asks(placed) && placed.check.required)
      .map(({ check, path }) =>
        raise(
          "no-stable-arm",
          path,
          `trigger ${check.name} compares with the stable arm, but at ${stepText(step)} ${rest}: without data it holds the rollout`,
          "write required: false, or window: start",
        ),
      ),
  ];
}

/** No data never means healthy, and silence is normal where nothing is reported while nothing happens. */
function silence({ plan }: Subject): Raised[] {
  const gates = gatesOf(plan);
  return triggersOf(plan).flatMap(({ check, path }) => {
    const facts = METRIC_FACTS[check.metric];
    const at = [...path, "required"];
    if (!check.required && facts.required && !gates.some(({ check: gate }) => gate.metric === check.metric)) {
      const message = `trigger ${check.name} is silent without data, and no gate asks for ${check.metric}: missing data would count as healthy`;
      return [warning("silence", at, message, `add a gate on ${check.metric}, or leave required: out`)];
    }
    if (check.required && !facts.required) {
      const message = `trigger ${check.name} holds the rollout as long as nobody reports any ${check.metric}, which is how it should be`;
      return [warning("silence", at, message, "leave required: out")];
    }
    return [];
  });
}

const LIVE_FIGURE_MS = 0.1;

function edges({ plan, config }: Subject): Raised[] {
  const known = durationEdges(config ?? { routes: [], flags: [] });
  return [...gatesOf(plan), ...triggersOf(plan)].flatMap(({ check, path }) => {
    if (METRIC_FACTS[check.metric].unit !== "ms" || check.of !== "candidate") return [];
    const { value } = check.limit;
    const at = [...path, check.limit.kind.replace("-", "_")];
    const tenths = value / LIVE_FIGURE_MS;
    if (Math.abs(tenths - Math.round(tenths)) > 1e-6)
      return [
        warning(
          "histogram-edge",
          at,
          `${formatDuration(value)} is finer than 0.1ms, to which durations are counted`,
          `write ${formatDuration(Math.round(tenths) / 10)}`,
        ),
      ];
    if (known.includes(value)) return [];
    const below = known.findLast((edge) => edge < value);
    const above = known.find((edge) => edge > value);
    const nearest = [below, above].filter((edge) => edge !== undefined).map(formatDuration);
    const message = `no edge of the Prometheus histograms stands on ${formatDuration(value)}: the live windows decide exactly there, but dashboards, alerts and figures from Prometheus can only estimate it`;
    return [warning("histogram-edge", at, message, `use ${nearest.join(" or ")}, if that does as well`)];
  });
}

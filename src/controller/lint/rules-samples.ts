import { METRIC_FACTS } from "../plan-file/metric-facts.ts";
import { error, type Raised, type Subject, warning } from "./finding.ts";
import { expectedValue, type Outlook, shareOf } from "./outlook.ts";
import { scheduleOf } from "./schedule.ts";
import { count, lengthText, percentText } from "./words.ts";

/** Whether the traffic that is expected lets the checks come to a verdict in time. */
export function lintSamples(subject: Subject, gates: readonly Outlook[], triggers: readonly Outlook[]): Raised[] {
  return [
    ...byCheck(gates).flatMap((outlooks) => lintGate(subject, outlooks)),
    ...byCheck(triggers).flatMap((outlooks) => lintTrigger(subject, outlooks)),
    ...wholeWithGates(subject, gates, triggers),
    ...users(subject),
  ];
}

function byCheck(outlooks: readonly Outlook[]): readonly (readonly Outlook[])[] {
  return [...Map.groupBy(outlooks, ({ placed }) => placed).values()];
}

/** Of an outlook: how long the step must last for the check to pass, as far as it is known. */
export function waitOf({ ms, sampleMs, spanMs }: Outlook): number {
  const wait = Math.max(Number.isNaN(ms) ? 0 : ms, sampleMs);
  if (spanMs === Infinity) return wait;
  // What slides is as full as it gets after its own length.
  return wait > spanMs ? Infinity : spanMs;
}

function names(subject: Subject, outlooks: readonly Outlook[], more: (outlook: Outlook) => string): string {
  return outlooks.map((outlook) => `${subject.plan.steps[outlook.step]?.name ?? ""} ${more(outlook)}`.trim()).join(", ");
}

/** A step without a dwell is told of by a rule of its own, and waits for its gates anyway. */
function dwellOf({ plan }: Subject, { step }: Outlook): number {
  const dwellMs = plan.steps[step]?.dwellMs ?? 0;
  return dwellMs === 0 ? Number.MAX_VALUE : dwellMs;
}

/** Already told by another rule: it fails whatever the sample. */
function failsAnyway(subject: Subject, { placed: { check } }: Outlook): boolean {
  const value = expectedValue(subject, check);
  if (value === undefined) return false;
  return check.limit.kind === "at-most" ? value > check.limit.value : value < check.limit.value;
}

function lintGate(subject: Subject, outlooks: readonly Outlook[]): Raised[] {
  const [first] = outlooks;
  if (first === undefined || failsAnyway(subject, first)) return [];
  const { check, path } = first.placed;
  const what = METRIC_FACTS[check.metric].observations;
  const never = outlooks.filter((outlook) => waitOf(outlook) === Infinity);
  const slow = outlooks.filter((outlook) => Number.isFinite(waitOf(outlook)) && waitOf(outlook) > dwellOf(subject, outlook));
  const sample = slow.filter((outlook) => outlook.sampleMs > dwellOf(subject, outlook) && !(outlook.ms >= outlook.sampleMs));
  const findings: Raised[] = [];
  if (never.length > 0) {
    const window = first.spanMs === Infinity ? "" : ` within its window of ${lengthText(first.spanMs)}`;
    const steps = names(subject, never, ({ needed, rates }) =>
      first.spanMs === Infinity
        ? ""
        : `(${count(Math.max(needed || 0, check.minSample))} needed, ${count(rates.candidate * first.spanMs)} come)`,
    );
    findings.push(
      error(
        "gate-never",
        path,
        `gate ${check.name} can never pass${window} if all is as expected: at ${steps}`,
        first.spanMs === Infinity ? "the expected figure is too close to the limit; move one of the two" : "write window: step",
      ),
    );
  }
  if (sample.length > 0) {
    const message = `gate ${check.name} needs ${count(check.minSample)} ${what} of each arm that it looks at, which takes longer than the dwell: ${names(subject, sample, (outlook) => lengthText(outlook.sampleMs))}`;
    findings.push(
      warning("min-sample", [...path, "min_sample"], message, "the step waits that long; lengthen the dwell, or ask for a smaller sample"),
    );
  }
  const undecided = slow.filter((outlook) => !Number.isNaN(outlook.ms) && outlook.ms > dwellOf(subject, outlook));
  if (undecided.length > 0) {
    const steps = names(subject, undecided, (outlook) => {
      const step = subject.plan.steps[outlook.step];
      return `${lengthText(outlook.ms)} for ${count(outlook.needed)} (dwell ${lengthText(step?.dwellMs ?? 0)}, share ${percentText(step === undefined ? 0 : shareOf(step))})`;
    });
    findings.push(
      warning(
        "gate-slow",
        path,
        `gate ${check.name} cannot be decided within the dwell, counting ${what}: ${steps}`,
        "the step waits that long; lengthen the dwell, allow more risk:, or move the limit away from what is expected",
      ),
    );
  }
  return findings;
}

/** A trigger that is not surely within its limit holds the rollout as a gate does. */
function lintTrigger(subject: Subject, outlooks: readonly Outlook[]): Raised[] {
  const [first] = outlooks;
  if (first === undefined || failsAnyway(subject, first)) return [];
  const { check, path } = first.placed;
  const what = METRIC_FACTS[check.metric].observations;
  const span = lengthText(first.spanMs);
  const findings: Raised[] = [];
  if (first.spanMs !== Infinity) {
    const small = outlooks.filter(({ sampleMs, spanMs }) => sampleMs > spanMs);
    if (small.length > 0) {
      const steps = names(subject, small, ({ rates }) => `(${count(rates.candidate * first.spanMs)})`);
      const message = `trigger ${check.name} needs ${count(check.minSample)} ${what} in ${span}, and fewer come: ${steps}; there it never fires${check.required ? ", and holds the rollout" : ""}`;
      findings.push(
        check.required
          ? error("min-sample", path, message, "lengthen the window, ask for a smaller sample, or write required: false")
          : warning("min-sample", path, message, "nothing, if another trigger watches the same with a longer window"),
      );
    }
    const open = outlooks.filter(({ ms, sampleMs, spanMs }) => sampleMs <= spanMs && ms > spanMs);
    if (open.length > 0) {
      const steps = names(subject, open, ({ rates, needed }) => `(${count(rates.candidate * first.spanMs)} come, ${count(needed)} needed)`);
      const message = `trigger ${check.name} cannot tell within ${span} that all is well, and what is not sure holds the rollout: ${steps}`;
      findings.push(
        error(
          "trigger-unsure",
          path,
          message,
          "lengthen the window, or ask for a larger min_sample with required: false, so that it keeps silent on few",
        ),
      );
    }
    return findings;
  }
  // Below its smallest sample one that is not required keeps silent, so it holds only if more than that is needed.
  const wait = ({ ms, sampleMs }: Outlook): number => {
    if (check.required) return Math.max(Number.isNaN(ms) ? 0 : ms, sampleMs);
    return ms > 1.001 * sampleMs ? ms : 0;
  };
  const slow = outlooks.filter((outlook) => wait(outlook) > dwellOf(subject, outlook));
  if (slow.length > 0) {
    const steps = names(subject, slow, (outlook) => `${lengthText(wait(outlook))} for ${count(outlook.needed)}`);
    const message = `trigger ${check.name} is not sure within the dwell that all is well, counting ${what}, and holds the rollout until it is: ${steps}`;
    const advice =
      "move the limit away from what is expected, or ask for a larger min_sample with required: false, so that it keeps silent on few";
    findings.push(
      slow.some((outlook) => wait(outlook) === Infinity)
        ? error("trigger-unsure", path, message, advice)
        : warning("trigger-slow", path, message, advice),
    );
  }
  return findings;
}

/** How long each step lasts at least, its gates and triggers included; as long as it is known. */
export function waitsOf({ plan }: Subject, gates: readonly Outlook[], triggers: readonly Outlook[]): readonly number[] {
  return plan.steps.map((_, index) =>
    Math.max(
      0,
      ...gates.filter(({ step }) => step === index).map(waitOf),
      ...triggers.filter(({ step, spanMs, placed }) => step === index && spanMs === Infinity && placed.check.required).map(waitOf),
    ),
  );
}

function wholeWithGates(subject: Subject, gates: readonly Outlook[], triggers: readonly Outlook[]): Raised[] {
  const { plan, now } = subject;
  const waits = waitsOf(subject, gates, triggers);
  if (plan.withinMs === 0 || !waits.every(Number.isFinite)) return [];
  const { entered, endsAt } = scheduleOf(plan, now, waits);
  const [begun] = entered;
  const alone = scheduleOf(plan, now);
  if (endsAt === undefined || begun === undefined || endsAt - begun <= plan.withinMs) return [];
  // Without gates it is too long already, and another rule says so.
  if (alone.endsAt === undefined || alone.endsAt - (alone.entered[0] ?? 0) > plan.withinMs) return [];
  const message = `begun now and with the time that gates take, the plan lasts ${lengthText(endsAt - begun)}, and within: allows ${lengthText(plan.withinMs)}`;
  return [error("within-gates", ["within"], message, "allow more time, or make the slow gates easier to decide")];
}

function users({ plan }: Subject): Raised[] {
  const { minUsers } = plan.experiment;
  const { users: expected } = plan.expects;
  if (expected === undefined || expected >= minUsers) return [];
  const message = `the experiment has no verdict below ${count(minUsers)} users, and ${count(expected)} are expected during the whole rollout`;
  return [error("experiment-users", ["experiment", "min_users"], message, "let the rollout last longer, or ask for fewer users")];
}

import { DateTime } from "luxon";
import { formatDuration, formatShare } from "../../core/quantity.ts";
import type { Examined } from "./lint.ts";
import { shareOf } from "./outlook.ts";
import { stableLoad } from "./rules-rollback.ts";
import { waitOf, waitsOf } from "./rules-samples.ts";
import { scheduleOf } from "./schedule.ts";
import { count, lengthText } from "./words.ts";

/** A step as the plan and its expectations have it. */
export interface StepOutline {
  readonly name: string;
  readonly percentageBp: number;
  readonly dwellMs: number;
  /** Epoch milliseconds at the soonest, if it is begun now; undefined: never. */
  readonly entered: number | undefined;
  /** Requests per second that the stable arm answers meanwhile; `withFallbacks` undefined: not known. Undefined: the traffic is not known. */
  readonly stable: { readonly own: number; readonly withFallbacks: number | undefined } | undefined;
  /** How long each gate that can be reckoned needs; null: it never passes. */
  readonly gates: Readonly<Record<string, number | null>>;
}

export interface Outline {
  readonly steps: readonly StepOutline[];
  /** When the last step is over; undefined: never. */
  readonly endsAt: number | undefined;
  /** Requests per second that a rollback gives to the stable arm at once; undefined: not known. */
  readonly rollback: number | undefined;
}

/** When each step is entered, what the stable arm carries in it, and how long its gates take. */
export function outlineOf({ subject, gates, triggers }: Examined): Outline {
  const { plan, now } = subject;
  const { entered, endsAt } = scheduleOf(plan, now, waitsOf(subject, gates, triggers));
  const steps = plan.steps.map((step, index) => ({
    name: step.name,
    percentageBp: step.percentageBp,
    dwellMs: step.dwellMs,
    entered: entered[index],
    stable: stableLoad(plan, shareOf(step)),
    gates: Object.fromEntries(
      gates
        .filter((gate) => gate.step === index)
        .map((gate) => {
          const wait = waitOf(gate);
          return [gate.placed.check.name, Number.isFinite(wait) ? wait : null] as const;
        }),
    ),
  }));
  return { steps, endsAt, rollback: plan.expects.requestsPerSecond };
}

/** Rows of a table, its heading first. */
export function outlineRows({ steps, rollback }: Outline, timezone: string): readonly (readonly string[])[] {
  const time = (at: number | undefined): string =>
    at === undefined
      ? "never"
      : DateTime.fromMillis(at, { zone: timezone, locale: "en" }).toFormat("ccc yyyy-LL-dd HH:mm:ss").replace(/:00$/, "");
  const gatesText = (gates: StepOutline["gates"]): string =>
    Object.entries(gates)
      .map(([name, ms]) => `${name} ${ms === null ? "never" : lengthText(ms)}`)
      .join(", ") || "-";
  return [
    ["STEP", "SHARE", "ENTERED", "DWELL", "STABLE ARM", "ITS GATES TAKE"],
    ...steps.map(({ name, percentageBp, dwellMs, entered, stable, gates }) => [
      name,
      `${formatShare(percentageBp)} %`,
      time(entered),
      dwellMs === 0 ? "-" : formatDuration(dwellMs),
      stableText(stable),
      gatesText(gates),
    ]),
    ["rollback", "0 %", "any time", "-", rollback === undefined ? "?" : `${count(rollback)}/s`, "-"],
  ];
}

function stableText(stable: StepOutline["stable"]): string {
  if (stable === undefined) return "?";
  const { own, withFallbacks } = stable;
  if (withFallbacks === undefined) return `${count(own)}/s and fallbacks`;
  return withFallbacks === own ? `${count(own)}/s` : `${count(withFallbacks)}/s, ${count(withFallbacks - own)} by fallback`;
}

import { calendarVerdict } from "../calendar.ts";
import type { Plan } from "../plan.ts";

const HOUR_MS = 3_600_000;
const WEEK_HOURS = 168;

/** The soonest that a plan can go. */
export interface Schedule {
  /** Epoch milliseconds at which each step is entered; undefined: never, for the calendar does not open. */
  readonly entered: readonly (number | undefined)[];
  /** When the last step's time is over. */
  readonly endsAt: number | undefined;
}

/** `extraMs[i]`: how long step i takes at least, besides its dwell. */
export function scheduleOf(plan: Plan, startAt: number, extraMs: readonly number[] = []): Schedule {
  const entered: (number | undefined)[] = [];
  let leaves: number | undefined = startAt;
  for (const [index, step] of plan.steps.entries()) {
    const at: number | undefined = leaves === undefined ? undefined : calendarVerdict(plan.calendar, plan.timezone, leaves).opensAt;
    entered.push(at);
    const stay = Math.max(step.dwellMs, extraMs[index] ?? 0);
    leaves = at === undefined || !Number.isFinite(stay) ? undefined : at + stay;
  }
  return { entered, endsAt: leaves };
}

export interface Spread {
  readonly shortest: { readonly startAt: number; readonly ms: number };
  readonly longest: { readonly startAt: number; readonly ms: number };
}

/** The shortest and the longest that the plan takes, begun at some full hour of the week that follows. Undefined: it cannot be begun or ended. */
export function spreadOf(plan: Plan, now: number): Spread | undefined {
  const runs = Array.from({ length: WEEK_HOURS }, (_, hour) => Math.ceil(now / HOUR_MS) * HOUR_MS + hour * HOUR_MS).flatMap((startAt) => {
    if (!calendarVerdict(plan.calendar, plan.timezone, startAt).open) return [];
    const { endsAt } = scheduleOf(plan, startAt);
    return endsAt === undefined ? [] : [{ startAt, ms: endsAt - startAt }];
  });
  const sorted = runs.toSorted((a, b) => a.ms - b.ms);
  const shortest = sorted[0];
  const longest = sorted.at(-1);
  return shortest === undefined || longest === undefined ? undefined : { shortest, longest };
}

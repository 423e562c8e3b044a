import { IANAZone } from "luxon";
import type { Calendar } from "./plan.ts";

export interface CalendarVerdict {
  readonly open: boolean;
  /** For people. */
  readonly why: string;
  /** Epoch milliseconds of the first instant from now on at which it is open: now, if it is. Undefined: within 400 days it never is. */
  readonly opensAt: number | undefined;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** How far ahead an opening is looked for: no freeze that is meant lasts longer, and one is looked at every second. */
const MOST_DAYS = 400;
/** Beyond it there is no date. */
const LATEST_MS = 8e15;
const DAY_NAMES = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/**
 * Whether a step may be entered. The clock on the wall of the time zone decides, alone: an hour that a change of clocks leaves out does not
 * open that day, one that it repeats is open both times. A time zone that is not known is never open. Never throws.
 */
export function calendarVerdict(calendar: Calendar, timezone: string, now: number): CalendarVerdict {
  const zone = IANAZone.create(timezone);
  if (!zone.isValid) return { open: false, why: `the time zone ${timezone} is not known`, opensAt: undefined };
  if (!(Math.abs(now) < LATEST_MS)) return { open: false, why: "the time is not known", opensAt: undefined };
  const here = wallAt(zone, now);
  const closed = closedBy(calendar, here);
  if (closed === undefined) return { open: true, why: `open on ${spelled(here)} (${timezone})`, opensAt: now };
  const opensAt = nextOpening(calendar, zone, now);
  const next = opensAt === undefined ? `and does not open within ${MOST_DAYS} days` : `opens on ${spelled(wallAt(zone, opensAt))}`;
  return { open: false, why: `${closed}; ${next} (${timezone})`, opensAt };
}

/** Where the hands stand, and how many milliseconds the zone is ahead of UTC. */
interface Wall {
  /** As if the clock on the wall were UTC. */
  readonly ms: number;
  readonly aheadMs: number;
  /** `2026-11-23` */
  readonly date: string;
  /** 1 Monday ... 7 Sunday. */
  readonly day: number;
  /** Milliseconds since midnight on the wall. */
  readonly sinceMidnightMs: number;
}

function wallAt(zone: IANAZone, at: number): Wall {
  const aheadMs = aheadAt(zone, at);
  const ms = at + aheadMs;
  const clock = new Date(ms);
  return {
    ms,
    aheadMs,
    date: clock.toISOString().slice(0, -14),
    day: clock.getUTCDay() || 7,
    sinceMidnightMs: ((ms % DAY_MS) + DAY_MS) % DAY_MS,
  };
}

function aheadAt(zone: IANAZone, at: number): number {
  return Math.round(zone.offset(at) * MINUTE_MS);
}

/** Why it is closed; undefined: it is open. */
function closedBy(calendar: Calendar, wall: Wall): string | undefined {
  const frozen = calendar.freeze.find(({ from, to }) => from <= wall.date && wall.date <= to);
  if (frozen !== undefined) return frozen.from === frozen.to ? `frozen on ${frozen.from}` : `frozen from ${frozen.from} to ${frozen.to}`;
  if (calendar.days.length > 0 && !calendar.days.includes(wall.day)) return `closed on a ${DAY_NAMES[wall.day % 7] ?? ""}`;
  const { hours } = calendar;
  if (hours === undefined) return undefined;
  const outside = wall.sinceMidnightMs < hours.from * MINUTE_MS || wall.sinceMidnightMs >= hours.to * MINUTE_MS;
  return outside ? `closed at ${clockText(wall)}, outside ${minuteText(hours.from)}-${minuteText(hours.to)}` : undefined;
}

/**
 * Goes from one instant at which something may change to the next: midnight, the hour of opening, or a change of clocks. Between two changes of
 * clocks the hands move evenly, so nothing can open in between.
 */
function nextOpening(calendar: Calendar, zone: IANAZone, now: number): number | undefined {
  const { days, hours } = calendar;
  if (hours !== undefined && hours.from >= hours.to) return undefined;
  if (days.length > 0 && !days.some((day) => day >= 1 && day <= 7)) return undefined;
  const limit = now + MOST_DAYS * DAY_MS;
  let at = now;
  while (at <= limit) {
    const wall = wallAt(zone, at);
    if (closedBy(calendar, wall) === undefined) return at;
    const opensMs = (hours?.from ?? 0) * MINUTE_MS;
    const next = at + (wall.sinceMidnightMs < opensMs ? opensMs : DAY_MS) - wall.sinceMidnightMs;
    at = aheadAt(zone, next) === wall.aheadMs ? next : changeBetween(zone, at, next);
  }
  return undefined;
}

/** The first instant after `from` at which the zone is no longer as far ahead as there; it is not at `to`. */
function changeBetween(zone: IANAZone, from: number, to: number): number {
  const before = aheadAt(zone, from);
  let same = from;
  let other = to;
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (aheadAt(zone, middle) === before) same = middle;
    else other = middle;
  }
  return other;
}

function spelled(wall: Wall): string {
  return `${DAY_NAMES[wall.day % 7] ?? ""} ${wall.date} ${clockText(wall)}`;
}

function clockText({ sinceMidnightMs }: Wall): string {
  return minuteText(Math.floor(sinceMidnightMs / MINUTE_MS));
}

function minuteText(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

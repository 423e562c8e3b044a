import { hash } from "node:crypto";
import type { EventKeys } from "./event-keys.ts";
import { type CountedEvent, IDLE_KEPT_MS, MINUTES_KEPT, type SignalLane } from "./event-store.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** What the script that counts a batch is given. */
export interface EventPlan {
  readonly keys: readonly string[];
  readonly json: string;
}

/** The same for equal ids, whoever computes it. */
function idDigest(id: string): string {
  return hash("sha256", id, "base64url").slice(0, 22);
}

/** Days whose ids may still be needed, today first; and tomorrow, where another instance may already be. */
export function daysOf(now: number, rememberMs: number): readonly number[] {
  const today = Math.floor(now / DAY_MS);
  const back = Math.ceil(rememberMs / DAY_MS);
  return [today, today + 1, ...Array.from({ length: back }, (_, i) => today - 1 - i)];
}

/** How much longer the sums of a minute are kept, in milliseconds. */
export function minuteLeftMs(minute: number, now: number): number {
  return Math.ceil((minute + 1 + MINUTES_KEPT) * MINUTE_MS - now);
}

export function planEvents(keys: EventKeys, events: readonly CountedEvent[], rememberMs: number, now: number): EventPlan {
  const days = daysOf(now, rememberMs);
  const minutes = new Numbers<number>();
  const rollouts = new Numbers<string>();
  const lanes = new Numbers<SignalLane>();
  const planned = events.map((event) => {
    const isKept = event.adds.length > 0 && minuteLeftMs(event.minute, now) > 0;
    const perUser = event.user !== undefined && event.rollout !== undefined;
    return [
      idDigest(event.id),
      isKept ? minutes.of(event.minute) : 0,
      perUser && event.rollout !== undefined ? rollouts.of(event.rollout) : 0,
      event.signal === undefined ? 0 : lanes.of(event.signal.lane),
      event.user ?? "",
      event.signal === undefined ? "" : JSON.stringify(event.signal),
      event.adds.flatMap(({ label, y, n, usersOnly }) => [label, y, n, usersOnly === true ? 1 : 0]),
    ];
  });
  const plan = {
    days: days.length,
    idsMs: Math.ceil(rememberMs) + DAY_MS,
    minutes: minutes.all.map((minute) => [minute, minuteLeftMs(minute, now)]),
    rollouts: rollouts.all.length,
    idleMs: IDLE_KEPT_MS,
    lanes: lanes.all.length,
    changedMs: (MINUTES_KEPT + 60) * MINUTE_MS,
    events: planned,
  };
  return {
    keys: [
      keys.changed,
      ...days.map(keys.day),
      ...minutes.all.map(keys.minute),
      ...rollouts.all.map(keys.users),
      ...rollouts.all.map(keys.moments),
      ...lanes.all.map(keys.signals),
    ],
    json: JSON.stringify(plan),
  };
}

/** Numbers things from 1 in the order in which they come. */
class Numbers<T> {
  readonly #numbers = new Map<T, number>();

  of(thing: T): number {
    const known = this.#numbers.get(thing);
    if (known !== undefined) return known;
    this.#numbers.set(thing, this.#numbers.size + 1);
    return this.#numbers.size;
  }

  get all(): readonly T[] {
    return [...this.#numbers.keys()];
  }
}

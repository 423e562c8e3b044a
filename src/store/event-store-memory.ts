import { randomHex } from "../core/random-id.ts";
import { daysOf, minuteLeftMs } from "./event-plan.ts";
import {
  type CountedEvent,
  type EventChanges,
  type EventStore,
  IDLE_KEPT_MS,
  INBOX_KEPT,
  type InboxEntry,
  type MinuteSums,
  SIGNAL_LANES,
  SIGNALS_KEPT,
  type SignalLane,
  type SignalsRead,
  type UserSums,
} from "./event-store.ts";
import { newestSignals } from "./event-texts.ts";

/** Of one program alone; lost with it. */
export function createMemoryEvents({ now = Date.now }: { readonly now?: () => number } = {}): EventStore {
  return new MemoryEvents(now);
}

interface Sums {
  count: number;
  y: number;
  n: number;
  yy: number;
  nn: number;
  yn: number;
}

interface RolloutSums {
  /** By digest of the user, then by label. */
  readonly users: Map<string, Map<string, { y: number; n: number }>>;
  readonly moments: Map<string, Sums>;
  touchedAt: number;
}

interface KeptSignal {
  readonly number: number;
  readonly at: number;
  readonly arrivedAt: number;
  readonly text: string;
}

class FlagEvents {
  /** Ids by the day on which they were counted. */
  readonly days = new Map<number, { readonly ids: Set<string>; until: number }>();
  readonly minutes = new Map<number, { readonly sums: Map<string, Sums>; version: number }>();
  readonly rollouts = new Map<string, RolloutSums>();
  readonly lanes = new Map<SignalLane, KeptSignal[]>();
  readonly inbox = new Map<string, InboxEntry>();
  version = 0;
  numbered = 0;
}

class MemoryEvents implements EventStore {
  readonly #now: () => number;
  readonly #flags = new Map<string, FlagEvents>();

  constructor(now: () => number) {
    this.#now = now;
  }

  async add(flag: string, events: readonly CountedEvent[], rememberMs: number): Promise<readonly ("accepted" | "duplicate")[]> {
    const kept = this.#of(flag);
    const now = this.#now();
    const days = daysOf(now, rememberMs);
    const today = days[0] ?? 0;
    let minuteVersion = 0;
    const answers = events.map((event): "accepted" | "duplicate" => {
      if (days.some((day) => kept.days.get(day)?.ids.has(event.id))) return "duplicate";
      const ids = kept.days.get(today) ?? { ids: new Set<string>(), until: 0 };
      kept.days.set(today, ids);
      ids.ids.add(event.id);
      ids.until = now + rememberMs + 86_400_000;
      if (minuteVersion === 0) minuteVersion = ++kept.version;
      count(kept, event, now, minuteVersion);
      return "accepted";
    });
    if (minuteVersion > 0) forget(kept, now);
    return answers;
  }

  async changes(flag: string, since: number): Promise<EventChanges> {
    const { version, minutes } = this.#of(flag);
    return { version, minutes: [...minutes].filter(([, { version: changed }]) => changed > since).map(([minute]) => minute) };
  }

  async minutes(flag: string, fromMinute: number, toMinute: number): Promise<readonly MinuteSums[]> {
    const now = this.#now();
    return [...this.#of(flag).minutes].flatMap(([minute, { sums }]) =>
      minute >= fromMinute && minute <= toMinute && minuteLeftMs(minute, now) > 0
        ? [...sums].map(([label, held]) => ({ minute, label, ...held }))
        : [],
    );
  }

  async users(flag: string, rollout: string): Promise<readonly UserSums[]> {
    const moments = this.#of(flag).rollouts.get(rollout)?.moments ?? new Map<string, Sums>();
    return [...moments].map(([label, { count: users, ...rest }]) => ({ label, users, ...rest }));
  }

  async signals(flag: string, from: number, most: number): Promise<readonly string[]> {
    return newestSignals([...this.#of(flag).lanes.values()].flat(), from, most);
  }

  async signalsAfter(flag: string, cursor: string, most: number): Promise<SignalsRead> {
    const starts = cursor.split(",");
    const read = SIGNAL_LANES.map((lane, i) => {
      const start = Number(starts[i] ?? "0");
      return (this.#of(flag).lanes.get(lane) ?? []).filter(({ number }) => number > start).slice(0, most);
    });
    return {
      cursor: read.map((signals, i) => String(signals.at(-1)?.number ?? starts[i] ?? "")).join(","),
      signals: read.flat().map(({ text, arrivedAt }) => ({ text, arrivedAt })),
    };
  }

  async inbox(flag: string, most: number, after = ""): Promise<readonly InboxEntry[]> {
    const entries = [...this.#of(flag).inbox.values()];
    return entries.filter(({ id }) => after === "" || orderOf(id) > orderOf(after)).slice(0, most);
  }

  async passOn(flag: string, events: readonly { readonly text: string; readonly as: string }[]): Promise<void> {
    const kept = this.#of(flag);
    const at = this.#now();
    for (const { text, as } of events) {
      // The number is what puts them in order; the rest keeps ids of two runs apart.
      const id = `${at}-${++kept.numbered}-${randomHex(4)}`;
      kept.inbox.set(id, { id, at, text, as });
    }
    dropOldest(kept.inbox, INBOX_KEPT);
  }

  async done(flag: string, ids: readonly string[]): Promise<number> {
    const { inbox } = this.#of(flag);
    return ids.filter((id) => inbox.delete(id)).length;
  }

  #of(flag: string): FlagEvents {
    const kept = this.#flags.get(flag) ?? new FlagEvents();
    this.#flags.set(flag, kept);
    return kept;
  }
}

function orderOf(id: string): number {
  return Number(id.split("-")[1]);
}

function count(kept: FlagEvents, { minute, user, rollout, adds, signal }: CountedEvent, now: number, version: number): void {
  const isKept = minuteLeftMs(minute, now) > 0;
  for (const { label, y, n, usersOnly } of adds) {
    if (isKept && usersOnly !== true) {
      const at = kept.minutes.get(minute) ?? { sums: new Map<string, Sums>(), version };
      kept.minutes.set(minute, at);
      at.version = version;
      addTo(at.sums, label, 1, y, n, y * y, n * n, y * n);
    }
    if (user === undefined || rollout === undefined) continue;
    const sums = kept.rollouts.get(rollout) ?? { users: new Map(), moments: new Map(), touchedAt: now };
    kept.rollouts.set(rollout, sums);
    sums.touchedAt = now;
    const said = sums.users.get(user) ?? new Map<string, { y: number; n: number }>();
    sums.users.set(user, said);
    const before = said.get(label);
    const was = before ?? { y: 0, n: 0 };
    const is = { y: was.y + y, n: was.n + n };
    said.set(label, is);
    const squares = [is.y * is.y - was.y * was.y, is.n * is.n - was.n * was.n, is.y * is.n - was.y * was.n] as const;
    addTo(sums.moments, label, before === undefined ? 1 : 0, y, n, ...squares);
  }
  if (signal === undefined) return;
  const lane = kept.lanes.get(signal.lane) ?? [];
  kept.lanes.set(signal.lane, lane);
  lane.push({ number: ++kept.numbered, at: signal.at, arrivedAt: now, text: signal.text });
  if (lane.length > SIGNALS_KEPT * 1.1) lane.splice(0, lane.length - SIGNALS_KEPT);
}

function addTo(sums: Map<string, Sums>, label: string, units: number, y: number, n: number, yy: number, nn: number, yn: number): void {
  const held = sums.get(label) ?? { count: 0, y: 0, n: 0, yy: 0, nn: 0, yn: 0 };
  sums.set(label, held);
  held.count += units;
  held.y += y;
  held.n += n;
  held.yy += yy;
  held.nn += nn;
  held.yn += yn;
}

/** Lets go of what has had its time. */
function forget(kept: FlagEvents, now: number): void {
  for (const [day, { until }] of kept.days) if (until <= now) kept.days.delete(day);
  for (const minute of kept.minutes.keys()) if (minuteLeftMs(minute, now) <= 0) kept.minutes.delete(minute);
  for (const [rollout, { touchedAt }] of kept.rollouts) if (touchedAt + IDLE_KEPT_MS <= now) kept.rollouts.delete(rollout);
}

function dropOldest(entries: Map<string, unknown>, most: number): void {
  for (const id of entries.keys()) {
    if (entries.size <= most) return;
    entries.delete(id);
  }
}

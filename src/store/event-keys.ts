import type { SignalLane } from "./event-store.ts";

/** Names in Redis of what is kept of business events; they share the flag's hash tag with its settings. */
export interface EventKeys {
  /** Stream into which other programs put events. */
  readonly inbox: string;
  /** Sorted set: minute -> version of its last change; `*` has the version of the whole. */
  readonly changed: string;
  /** Set: digests of the ids that were counted on a day (days since 1970, by the clock of who counted). */
  day(day: number): string;
  /** Hash: label -> count, y, n, yy, nn, yn of a minute's events. */
  minute(minute: number): string;
  /** Hash: digest of a user -> what they said, by label. */
  users(rollout: string): string;
  /** Hash: label -> users, y, n, yy, nn, yn over users. */
  moments(rollout: string): string;
  signals(lane: SignalLane): string;
}

export function eventKeys(prefix: string, flag: string): EventKeys {
  const base = `${prefix}{${flag}}:events`;
  return {
    inbox: base,
    changed: `${base}:changed`,
    day: (day) => `${base}:ids:${day}`,
    minute: (minute) => `${base}:minute:${minute}`,
    users: (rollout) => `${base}:users:${rollout}`,
    moments: (rollout) => `${base}:moments:${rollout}`,
    signals: (lane) => `${base}:signals:${lane}`,
  };
}

import type { Session } from "./session.ts";

/** Business events, counted once each. Opaque to the rest of the store: texts and sums. */
export interface EventStore {
  /**
   * Takes what was attributed. `id` makes an event known again for as long as `rememberMs`. Resolves, event by event, with whether it counted.
   * All of one event counts, or nothing of it. Of a call that
   * rejects some may have counted: sent again, those are duplicates.
   */
  add(flag: string, events: readonly CountedEvent[], rememberMs: number): Promise<readonly ("accepted" | "duplicate")[]>;
  /** Which minutes have other sums than they had at version `since` (0: all that are kept). */
  changes(flag: string, since: number): Promise<EventChanges>;
  /** Sums by minute and label of the minutes from `fromMinute` (epoch minutes) to `toMinute`, both included. Kept for {@link MINUTES_KEPT}. */
  minutes(flag: string, fromMinute: number, toMinute: number): Promise<readonly MinuteSums[]>;
  /** Sums over users by label, for one rollout. */
  users(flag: string, rollout: string): Promise<readonly UserSums[]>;
  /** Signals since `from`, in order, at most `count`: the newest. */
  signals(flag: string, from: number, count: number): Promise<readonly string[]>;
  /** Signals in the order in which they came, at most `count` of a lane: those after `cursor` ("": all that are kept), and where to go on. */
  signalsAfter(flag: string, cursor: string, count: number): Promise<SignalsRead>;
  /** Events that other programs put in the stream, the oldest first: those after the entry `after` ("", or left out: from the first on). */
  inbox(flag: string, count: number, after?: string): Promise<readonly InboxEntry[]>;
  /** Puts events in the stream, for an instance that can tell whose they are. */
  passOn(flag: string, events: readonly { readonly text: string; readonly as: string }[]): Promise<void>;
  /** These have been dealt with. Resolves with how many of them were still there: the others somebody else has dealt with. */
  done(flag: string, ids: readonly string[]): Promise<number>;
}

/** Minutes for which sums by the minute are kept: windows reach back 24 hours at most. */
export const MINUTES_KEPT = 25 * 60;
/** Sums over users and signals are forgotten after so long without a new one. */
export const IDLE_KEPT_MS = 35 * 86_400_000;
/** About how many signals of a lane are kept, and events in the inbox of which we put there one. */
export const SIGNALS_KEPT = 20_000;
export const INBOX_KEPT = 100_000;

/** Each kind of signal is kept for itself, so that one that is sent every second does not push out the one that is never sent. */
export const SIGNAL_LANES = ["data_integrity", "sync_lag", "sessions_lost", "security"] as const;
export type SignalLane = (typeof SIGNAL_LANES)[number];

export interface CountedEvent {
  readonly id: string;
  readonly minute: number;
  /** Digest of the user, for sums over users; undefined: a signal or nobody in particular. */
  readonly user: string | undefined;
  readonly rollout: string | undefined;
  /** What it adds: label (arm, segment, metric, step, closed sets only), y and n. `usersOnly`: it does not count in the sums by the minute. */
  readonly adds: readonly { readonly label: string; readonly y: number; readonly n: number; readonly usersOnly?: boolean }[];
  /** Text of the signal to keep, if it is one, and its instant. */
  readonly signal: { readonly lane: SignalLane; readonly at: number; readonly text: string } | undefined;
}

export interface EventChanges {
  /** Grows with everything that is added. Smaller than before: the store has lost what it had, and everything is to be read again. */
  readonly version: number;
  readonly minutes: readonly number[];
}

export interface SignalsRead {
  readonly cursor: string;
  /** `arrivedAt`: when it was counted, by the store's clock; epoch milliseconds. */
  readonly signals: readonly { readonly text: string; readonly arrivedAt: number }[];
}

export interface InboxEntry {
  readonly id: string;
  /** When it was put there, by the store's clock; epoch milliseconds. */
  readonly at: number;
  readonly text: string;
  /** What it is known by, if an instance of ours passed it on. */
  readonly as: string | undefined;
}

export interface MinuteSums {
  readonly minute: number;
  readonly label: string;
  readonly count: number;
  readonly y: number;
  readonly n: number;
  /** Of the single events: squares of y. */
  readonly yy: number;
  readonly nn: number;
  readonly yn: number;
}

export interface UserSums {
  readonly label: string;
  readonly users: number;
  readonly y: number;
  readonly n: number;
  readonly yy: number;
  readonly nn: number;
  readonly yn: number;
}

/** Runs work on the session that is open now; rejects with StoreUnavailable when there is none. */
export type WithSession = <T>(work: (session: Pick<Session, "run" | "command">) => Promise<T>) => Promise<T>;

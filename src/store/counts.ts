import { HOUR_MS } from "./counts-text.ts";

/** What clients got, counted by the hour and added up over all instances. Kept for {@link COUNTS_KEPT_MS}. */
export interface CountStore {
  /** Adds a batch, once: sent again after a failure nobody knows the end of, it changes nothing. All of it counts, or nothing. */
  add(flag: string, batch: CountBatch): Promise<void>;
  /** Which hours have other counts than they had at version `since` (0: all that are kept). */
  changes(flag: string, since: number): Promise<CountChanges>;
  /** Hours of which nothing is known are left out. */
  hours(flag: string, hours: readonly number[]): Promise<readonly HourCounts[]>;
}

/** Longer than the longest window of a promise. */
export const COUNTS_KEPT_MS = 32 * 24 * HOUR_MS;

export interface CountBatch {
  /** Who counted: a name that no other run of the program has. */
  readonly writer: string;
  /** Rises from batch to batch of a writer; the next one is sent when this one is known to be written. */
  readonly seq: number;
  readonly hours: readonly HourCounts[];
}

export interface HourCounts {
  /** Hours since 1970, by the clock of who counted. */
  readonly hour: number;
  /** In which of the hour's 60 minutes somebody counted. */
  readonly covered: ReadonlySet<number>;
  readonly cells: readonly CountCell[];
}

/** Requests of one version and segment. Those whose client left before the answer are in none. */
export interface CountCell {
  /** Upstream that answered, else the one that was asked last; "" where none was asked. */
  readonly version: string;
  /** "none" for users in no segment. */
  readonly segment: string;
  /** Without an answer, with a broken one or with a 5xx. */
  readonly failed: number;
  /** The others by duration: upper edge of the bucket in milliseconds (Infinity for the last) -> how many. No zeros. */
  readonly answered: ReadonlyMap<number, number>;
}

export interface CountChanges {
  /** Grows with everything that is added. Smaller than before: the store has lost what it had, and everything is to be read again. */
  readonly version: number;
  readonly hours: readonly number[];
}

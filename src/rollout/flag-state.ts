import type { FlagSettings } from "../config/config.ts";

/**
 * One flag as it is in force: what the control side hands to the workers after each accepted change. Plain data; the
 * sets are shared memory in the layout of core/string-set.ts.
 */
export interface FlagState {
  readonly flag: string;
  /** Number of the accepted change; 0 is the configuration file's own. */
  readonly revision: number;
  readonly settings: FlagSettings;
  /** Users always, and never, on the candidate. */
  readonly allow: SharedArrayBuffer | undefined;
  readonly deny: SharedArrayBuffer | undefined;
  /** Members of each segment, by the segment's name. */
  readonly members: Readonly<Record<string, SharedArrayBuffer>>;
}

import type { Flag } from "../../config/config.ts";
import type { FlagState } from "../../rollout/flag-state.ts";
import type { AuditEntry } from "../../store/store.ts";
import { createHistory, type History } from "./history.ts";

interface KeeperOptions {
  readonly flag: Flag;
  readonly state: () => FlagState;
  /** The newest first. */
  readonly audit: (count: number) => Promise<readonly AuditEntry[]>;
  /** How far back it must reach. */
  readonly lateMs: number;
}

/** How many entries of the audit are asked for, until they reach back far enough. */
const COUNTS = [100, 1_000, 10_000];

/** The history of the settings, made anew when they have changed. */
export class HistoryKeeper {
  readonly #options: KeeperOptions;
  /** The state that was seen last, and since when. */
  #seen: { readonly state: FlagState; readonly since: number } | undefined;
  #made: { readonly state: FlagState; readonly history: Promise<History> } | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Takes note of what is in force. */
  look(now: number): { readonly state: FlagState; readonly since: number } {
    const state = this.#options.state();
    if (this.#seen?.state !== state) this.#seen = { state, since: now };
    return this.#seen;
  }

  async get(now: number): Promise<History> {
    const { state, since } = this.look(now);
    if (this.#made?.state === state) return this.#made.history;
    const made = { state, history: this.#make(state, since, now) };
    this.#made = made;
    made.history.catch(() => {
      if (this.#made === made) this.#made = undefined;
    });
    return made.history;
  }

  async #make(state: FlagState, since: number, now: number): Promise<History> {
    const { flag, audit, lateMs } = this.#options;
    let entries: readonly AuditEntry[] = [];
    for (const count of COUNTS) {
      entries = await audit(count);
      const oldest = entries.at(-1);
      if (entries.length < count || (oldest !== undefined && Date.parse(oldest.at) < now - lateMs)) break;
    }
    return createHistory(flag, state, entries, since);
  }
}

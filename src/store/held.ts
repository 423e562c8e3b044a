import type { Flag } from "../config/config.ts";
import { readFields } from "../config/settings.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { SetId } from "./keys.ts";
import type { HeldDocument } from "./rollout-document.ts";
import { EMPTY_SET, type HeldSet } from "./sets.ts";
import type { StoreHealth } from "./store.ts";
import type { Fields } from "./view.ts";

/** What this instance holds of one flag: all that a state is made of, and all that is kept on disk. */
export interface Held {
  /** Number of the last change that is wholly applied here; 0 is the file's own. */
  readonly revision: number;
  /** Which count of revisions that number belongs to: a store that was begun anew counts anew. Empty at revision 0. */
  readonly history: string;
  readonly accepted: Fields;
  readonly sets: Readonly<Record<SetId, HeldSet>>;
  /** A kill or revival that was said here and that the store has not heard of yet. */
  readonly mark: KillMark | undefined;
  /** The newest document of the rollout that was seen here. No worker is told of it. */
  readonly document: HeldDocument | undefined;
  readonly origin: StoreHealth["origin"];
}

export interface KillMark {
  readonly killed: boolean;
  readonly who: string;
  readonly reason: string;
  /** The revision in force when it was said. */
  readonly revision: number;
}

export const KILL_FIELD = "kill_switch";

export const FROM_FILE: Held = { revision: 0, history: "", accepted: {}, sets: {}, mark: undefined, document: undefined, origin: "file" };

export function setIn(sets: Held["sets"], id: SetId): HeldSet {
  return (Object.hasOwn(sets, id) ? sets[id] : undefined) ?? EMPTY_SET;
}

/** The state that the workers are to run. */
export function stateOf(flag: Flag, held: Held): FlagState {
  const { settings } = readFields(flag.settings, held.accepted);
  const users = (id: SetId): SharedArrayBuffer | undefined => {
    const set = setIn(held.sets, id);
    return set.size === 0 ? undefined : set.buffer;
  };
  const members: Record<string, SharedArrayBuffer> = {};
  for (const { name } of flag.settings.segments) {
    const buffer = users(`segment:${name}`);
    if (buffer) members[name] = buffer;
  }
  return Object.freeze({
    flag: flag.name,
    revision: held.revision,
    settings: held.mark ? { ...settings, killSwitch: held.mark.killed } : settings,
    allow: users("allow"),
    deny: users("deny"),
    members: Object.freeze(members),
  });
}

/** Whether two states would make the workers do, or report, anything different. */
export function sameState(a: FlagState, b: FlagState): boolean {
  const names = Object.keys(a.members);
  return (
    a.revision === b.revision &&
    a.allow === b.allow &&
    a.deny === b.deny &&
    names.length === Object.keys(b.members).length &&
    names.every((name) => a.members[name] === b.members[name]) &&
    JSON.stringify(a.settings) === JSON.stringify(b.settings)
  );
}

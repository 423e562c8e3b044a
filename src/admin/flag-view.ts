import { type Fields, fieldsOf, readFields } from "../config/settings.ts";
import { StringSet } from "../core/string-set.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { InstanceState, Rejection } from "../store/store.ts";
import type { Operations } from "./operations.ts";

/** A flag as the admin API shows it. */
export interface FlagView {
  readonly flag: string;
  readonly revision: number;
  /** The kill switch holds on this instance, by the settings or by itself. */
  readonly killed: boolean;
  /** It holds by this instance alone: the store has not been told yet. */
  readonly killedHere: boolean;
  /** Every setting in force, under the name and in the form in which it can be set. */
  readonly settings: Readonly<Record<string, string>>;
  /** Those of them that were set live; the others come from the configuration file. */
  readonly fields: Readonly<Record<string, string>>;
  /** How many users are on the lists and in the sets of the segments. */
  readonly members: Readonly<Record<string, number>>;
  /** Who runs which revision; null when the store cannot be asked. */
  readonly instances: readonly InstanceState[] | null;
  /** Values that stand in the store and were refused; the settings above go on without them. */
  readonly rejections: readonly Rejection[];
}

export async function viewFlag(operations: Operations, state: FlagState): Promise<FlagView> {
  // A store that is away must not hide the settings that are in force meanwhile.
  const instances = await operations.store.instances(state.flag).catch(() => null);
  return flagViewOf(operations, operations.flag(state.flag) ?? state, instances);
}

export function flagViewOf(operations: Operations, state: FlagState, instances: FlagView["instances"]): FlagView {
  const { flags, rejections } = operations.status();
  const killed = flags.some((status) => status.flag === state.flag && status.killed);
  const fields = operations.store.fields(state.flag);
  return {
    flag: state.flag,
    revision: state.revision,
    killed,
    killedHere: killed && !isKilledForAll(operations, state.flag, fields),
    settings: fieldsOf(state.settings),
    fields,
    members: memberCounts(state),
    instances,
    rejections: rejections.filter((rejection) => rejection.flag === state.flag),
  };
}

function isKilledForAll(operations: Operations, flag: string, fields: Fields): boolean {
  const base = operations.config.flags.find(({ name }) => name === flag)?.settings;
  return base !== undefined && readFields(base, fields).settings.killSwitch;
}

function memberCounts(state: FlagState): Record<string, number> {
  const count = (set: SharedArrayBuffer | undefined): number => (set === undefined ? 0 : new StringSet(set).size);
  const segments = state.settings.segments.map(({ name }) => [`segment.${name}`, count(state.members[name])]);
  return { allow: count(state.allow), deny: count(state.deny), ...Object.fromEntries(segments) };
}

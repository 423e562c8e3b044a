import type { Rollout } from "../controller/rollout.ts";
import type { RolloutView } from "../controller/view.ts";
import type { Board } from "../incidents/incident.ts";
import type { SlaView } from "../sla/sla.ts";
import { type BoardMemory, observeBoard } from "./happenings-board.ts";
import { type BreakerMemory, observeBreakers, observeKill, observeSla, observeStore, type StoreMemory } from "./happenings-health.ts";
import { observeRollout, type RolloutMemory } from "./happenings-rollout.ts";
import { observeTriggers, type TriggerMemory } from "./happenings-triggers.ts";
import type { Happening } from "./notice.ts";

/** What whoever sends sees at one look. What could not be had is undefined, and then nothing is concluded from it. */
export interface SeenWorld {
  readonly at: number;
  /** Who looks. */
  readonly instance: string;
  readonly flags: readonly SeenFlag[];
  readonly board: Board | undefined;
  /** One for each flag of which something is known. */
  readonly sla: readonly SlaView[];
  /** `message` is one sentence for people; empty when all is well. */
  readonly store: { readonly up: boolean; readonly message: string };
}

export interface SeenFlag {
  readonly flag: string;
  /** none: no rollout was ever started; undefined: it could not be read. */
  readonly rollout: Rollout | "none" | undefined;
  /** What the leader saw last. */
  readonly view: RolloutView | undefined;
  readonly killed: boolean;
  /** Who changed the flag's settings last and why, as the audit has it; undefined: not known. */
  readonly lastChange?: { readonly who: string; readonly reason: string } | undefined;
  /** Of the instance that looks. */
  readonly breakers: readonly SeenBreaker[];
}

export interface SeenBreaker {
  readonly route: string;
  readonly upstream: string;
  readonly state: "closed" | "open" | "half-open" | "returning";
  /** budget, errors, accuracy, connect, hand; undefined while it is closed. */
  readonly why: string | undefined;
}

/** What is remembered of a look, so that the next tells what is new, and nothing twice. Plain data, of a size that the configuration bounds. */
export interface SeenMemory {
  readonly flags: Readonly<Record<string, FlagMemory>>;
  /** Undefined: the board was never read. */
  readonly board: BoardMemory | undefined;
  /** Promises that are not kept, by flag and promise. */
  readonly sla: Readonly<Record<string, "warning" | "breached">>;
  readonly store: StoreMemory;
}

export interface FlagMemory {
  /** Undefined: the rollout was never read. */
  readonly rollout: RolloutMemory | "none" | undefined;
  readonly killedSince: number | undefined;
  /** Those that are not closed, by route. */
  readonly breakers: Readonly<Record<string, BreakerMemory>>;
  /** Those that fail, by name. */
  readonly triggers: Readonly<Record<string, TriggerMemory>>;
}

/** What one part of the world makes of a look. */
export interface Observed<T> {
  readonly memory: T;
  readonly happenings: readonly Happening[];
}

/**
 * What is new since `before`, in order of time, and what is to be remembered. The first look ever (`before` undefined) tells nothing of the past, but
 * of what is still wrong. What a rollout went through between two looks is all told, by its stays.
 */
export function observe(before: SeenMemory | undefined, after: SeenWorld): Observed<SeenMemory> {
  const flags = after.flags.map((flag) => [flag.flag, observeFlag(memoryOf(before, flag.flag), flag, after)] as const);
  const board = observeBoard(before?.board, after.board, after.at);
  const sla = observeSla(before?.sla, after.sla, after.at);
  const store = observeStore(before?.store, after.store, after.at);
  const happenings = [...flags.flatMap(([, seen]) => seen.happenings), ...board.happenings, ...sla.happenings, ...store.happenings];
  return {
    memory: {
      flags: Object.fromEntries(flags.map(([flag, { memory }]) => [flag, memory])),
      board: board.memory,
      sla: sla.memory,
      store: store.memory,
    },
    // Clocks of two instances differ: nothing happens later than it is seen.
    happenings: happenings.map((one) => ({ ...one, at: Math.min(one.at, after.at) })).toSorted((a, b) => a.at - b.at),
  };
}

function memoryOf(before: SeenMemory | undefined, flag: string): FlagMemory | undefined {
  return before !== undefined && Object.hasOwn(before.flags, flag) ? before.flags[flag] : undefined;
}

function observeFlag(before: FlagMemory | undefined, flag: SeenFlag, { at, instance }: SeenWorld): Observed<FlagMemory> {
  const kill = observeKill(before?.killedSince, flag, at);
  const rollout = observeRollout(before?.rollout, flag, at);
  const breakers = observeBreakers(before?.breakers ?? {}, flag, instance, at);
  const triggers = observeTriggers(before?.triggers ?? {}, flag, at);
  return {
    memory: { killedSince: kill.memory, rollout: rollout.memory, breakers: breakers.memory, triggers: triggers.memory },
    happenings: [...kill.happenings, ...rollout.happenings, ...triggers.happenings, ...breakers.happenings],
  };
}

import type { Flag } from "../config/config.ts";
import type { FlagState } from "../rollout/flag-state.ts";

/**
 * One word of shared memory per flag, which every worker reads with each decision: a kill counts from the next request on,
 * without a message, a store or an acknowledgement.
 */
export class KillSwitches {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #flags: readonly string[];
  /** Killed on this instance, whatever the settings say. */
  readonly #held = new Set<string>();

  constructor(flags: readonly Flag[]) {
    this.#flags = flags.map((flag) => flag.name);
    this.buffer = new SharedArrayBuffer(Math.max(1, flags.length) * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(this.buffer);
  }

  isKilled(flag: string): boolean {
    return Atomics.load(this.#words, this.#indexOf(flag)) === 1;
  }

  /** Kills the flag at once, until {@link release}. */
  hold(flag: string): void {
    this.#held.add(flag);
    Atomics.store(this.#words, this.#indexOf(flag), 1);
  }

  /** From now on the settings alone decide. */
  release(flag: string, state: FlagState): void {
    this.#held.delete(flag);
    this.follow(state);
  }

  /** Takes over what the settings say, ahead of the message that brings them to the workers. */
  follow({ flag, settings }: FlagState): void {
    Atomics.store(this.#words, this.#indexOf(flag), settings.killSwitch || this.#held.has(flag) ? 1 : 0);
  }

  #indexOf(flag: string): number {
    const index = this.#flags.indexOf(flag);
    if (index < 0) throw new RangeError(`there is no flag ${JSON.stringify(flag)}`);
    return index;
  }
}

import { setTimeout as delay } from "node:timers/promises";
import { StringSet } from "../core/string-set.ts";
import { type Held, setIn } from "./held.ts";
import type { FlagKeys, SetId } from "./keys.ts";
import type { StoreLog } from "./log.ts";
import type { Session } from "./session.ts";
import { EMPTY_SET, type HeldSet, readSet, restoreSet } from "./sets.ts";
import { fieldOf, type View } from "./view.ts";

/** Sets up to this size are read again now and then, should a message have been lost. */
const SMALL = 10_000;

/** A reading that took long is followed by a rest of twice that time, so that edits in a row cannot take the processor. */
const LONG_MS = 50;
const LONGEST_REST_MS = 5_000;

interface SetFollowerOptions {
  readonly id: SetId;
  /** Its place among the sets of the view. */
  readonly index: number;
  readonly keys: FlagKeys;
  readonly key: string;
  readonly instance: string;
  readonly log: StoreLog;
  readonly held: () => Held;
  readonly refresh: (session: Session) => Promise<View>;
  /** Has what was read numbered and puts it in force; resolves with false when Redis holds something else by now. */
  readonly hold: (session: Session, set: HeldSet) => Promise<boolean>;
}

/** One set of users, read apart from the flags, so that a flag never waits for a million users. */
export class SetFollower {
  readonly #options: SetFollowerOptions;
  #reading: Reading | undefined;
  #writeBack = false;
  #restUntil = 0;

  constructor(options: SetFollowerOptions) {
    this.#options = options;
  }

  get key(): string {
    return this.#options.key;
  }

  /** Whether what is held here is what Redis has numbered. A key of a wrong type is refused, and what is held goes on. */
  agrees(view: View, sets = this.#options.held().sets): boolean {
    const { index, id } = this.#options;
    if (view.sets[index]?.kind === "other") return true;
    return (fieldOf(view.digests, id) ?? "") === setIn(sets, id).digest;
  }

  /** The store has lost its memory; of this set too, if it no longer knows what is held here. */
  lost(view: View): void {
    if (this.#held.size > 0 && !this.agrees(view)) this.#writeBack = true;
  }

  /** True: there is reason to read the set, and nobody does. */
  isDue(session: Session, view: View, thorough: boolean): boolean {
    const found = view.sets[this.#options.index];
    if (this.#reading?.session === session || found === undefined || found.kind === "other") return false;
    return found.size !== this.#held.size || !this.agrees(view) || (thorough && found.size > 0 && found.size <= SMALL);
  }

  /** Reads the set unless that is under way in this session. */
  async loadOnce(session: Session): Promise<void> {
    return this.#reading?.session === session ? this.#reading.done : this.load(session);
  }

  /** Reads the set and has its content numbered. A call during a reading makes for one more after it. */
  async load(session: Session): Promise<void> {
    if (this.#reading?.session === session) {
      this.#reading.again = true;
      return this.#reading.done;
    }
    const reading: Reading = { session, again: true, done: Promise.resolve() };
    this.#reading = reading;
    reading.done = this.#readUntilQuiet(reading);
    return reading.done;
  }

  get #held(): HeldSet {
    return setIn(this.#options.held().sets, this.#options.id);
  }

  async #readUntilQuiet(reading: Reading): Promise<void> {
    const { session } = reading;
    try {
      while (reading.again) {
        const rest = this.#restUntil - performance.now();
        if (rest > 0) await delay(rest, undefined, { signal: session.signal });
        reading.again = false;
        if (!(await this.#readOnce(session))) reading.again = true;
      }
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  /** False: what was read is not, or not for long, what Redis holds. */
  async #readOnce(session: Session): Promise<boolean> {
    const { index, id, key, keys, instance, log } = this.#options;
    const view = await this.#options.refresh(session);
    const found = view.sets[index];
    if (found === undefined || found.kind === "other") return true;

    const begun = performance.now();
    const read = found.size === 0 ? EMPTY_SET : await readSet(session, key, found.size);
    const took = performance.now() - begun;
    if (took > LONG_MS) this.#restUntil = performance.now() + Math.min(2 * took, LONGEST_REST_MS);

    // What is held was numbered once. A store of the same history that has no number for it has lost it, and what is in
    // the set now was added since.
    const numbered = fieldOf(view.digests, id);
    const forgotten = numbered === null && view.history === this.#options.held().history;
    const fellBack = this.#writeBack && read.digest === (numbered ?? "");
    if (this.#held.size > 0 && read.digest !== this.#held.digest && (forgotten || fellBack)) {
      log.warn({ set: key, users: this.#held.size }, "the store had lost this set of users; what is held here is written back");
      const added = forgotten ? new StringSet(read.buffer).values() : [];
      const target = { set: key, aside: keys.restoring(id, instance), digests: keys.digests };
      await restoreSet(session, target, id, this.#held, added, found.size);
      this.#restUntil = 0;
      return false;
    }
    this.#writeBack = false;
    return this.#options.hold(session, read);
  }
}

interface Reading {
  readonly session: Session;
  again: boolean;
  done: Promise<void>;
}

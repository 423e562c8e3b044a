import { performance } from "node:perf_hooks";

/**
 * All deadlines of a thread on one timer. A deadline is a node in a list kept per length of timeout: lists of one
 * length expire in the order they were filled, so setting and clearing cost a few pointer writes and no allocation.
 * Precision is one tick, 4 ms unless another is asked for: a deadline fires between its instant and that much later, never early.
 */
const TICK_MS = 4;

/** A thread that looks at its deadlines so much later than it meant to has been held up: by its own work, or for want of a processor. */
const STALL_MS = 25;
/** Of a wait that was longer by as little as this it cannot be said that it was long for that. */
const STALL_SHARE = 0.1;

/** Who is told that its time is up. */
export interface Expiring {
  expired(now: number): void;
}

/** One class for everybody, and not a base of theirs, so that the lists are made of objects of one shape. */
export class Deadline {
  /** Instant on the clock of the list, in milliseconds; 0 while not set. */
  at = 0;
  previous: Deadline | undefined = undefined;
  next: Deadline | undefined = undefined;
  /** Undefined for the node in which a list begins and ends. */
  readonly owner: Expiring | undefined;

  constructor(owner: Expiring | undefined) {
    this.owner = owner;
  }
}

/**
 * Calls back once, `ms` from now or later, when the sockets have been looked at; returns how to take it back. The callback learns how many
 * milliseconds ago that look began: what has arrived since then may not have been heard yet.
 */
export interface Ticker {
  tick(callback: (agoMs: number) => void, ms: number): () => void;
}

/**
 * Timers run before the loop looks at its sockets. What has arrived while this thread was busy must be heard first, or a late thread
 * would blame others for its own delay.
 */
export const loopTicker: Ticker = {
  tick(callback, ms) {
    let turn: NodeJS.Immediate | undefined;
    if (ms === 0) {
      turn = setImmediate(callback, 0);
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(() => {
      const began = performance.now();
      turn = setImmediate(() => callback(performance.now() - began));
    }, ms);
    return () => {
      clearTimeout(timer);
      clearImmediate(turn);
    };
  },
};

/** Lengths whose lists are found without a look into the map: a thread uses a handful. */
const REMEMBERED = 16;
/** Empty lists beyond so many are not kept. */
const MOST_QUEUES = 64;

interface Queue {
  readonly ms: number;
  readonly ends: Deadline;
}

export class Deadlines {
  readonly #now: () => number;
  readonly #queues = new Map<number, Queue>();
  readonly #recent: (Queue | undefined)[] = Array.from({ length: REMEMBERED }, () => undefined);
  #open = 0;
  /** When the clock was last looked at for what is due: now, to within a tick, as long as anything is set. For what need not be exact. */
  lately = 0;
  /** When the next look was arranged. */
  #woundAt = 0;
  /** The last time in which the thread was held up. */
  #stalledFrom = 0;
  #stalledTo = 0;
  readonly #ticker: Ticker;
  readonly #tickMs: number;
  #cancel: (() => void) | undefined;

  constructor(now: () => number = () => performance.now(), ticker: Ticker = loopTicker, tickMs = TICK_MS) {
    this.#now = now;
    this.#ticker = ticker;
    this.#tickMs = tickMs;
  }

  /** How many deadlines are set. */
  get open(): number {
    return this.#open;
  }

  /** Tells the deadline's owner once `ms`, rounded up, have passed, unless cleared before. Setting it again moves it. */
  set(deadline: Deadline, length: number, now = this.#now()): void {
    if (deadline.at !== 0) this.clear(deadline);
    // Whole milliseconds, or remainders of other deadlines would each have a list of their own.
    const ms = Math.ceil(length);
    const recent = this.#recent[ms % REMEMBERED];
    const queue = recent?.ms === ms ? recent : this.#queueOf(ms);
    deadline.at = now + ms;
    const { ends } = queue;
    const last = ends.previous ?? ends;
    last.next = deadline;
    deadline.previous = last;
    deadline.next = ends;
    ends.previous = deadline;
    this.#open++;
    if (this.#cancel === undefined) this.#wind(now);
  }

  /** Whether this thread was held up between `from` and `now` for so much of that time that what took long then may have taken long for that. */
  wasStalled(from: number, now: number): boolean {
    const before = Math.min(this.#stalledTo, now) - Math.max(this.#stalledFrom, from);
    // It may be late at this moment, and not know yet.
    const still = this.#cancel === undefined ? 0 : now - Math.max(this.#woundAt + this.#tickMs, from);
    const heldUp = Math.max(before, still);
    return heldUp > STALL_MS && heldUp > (now - from) * STALL_SHARE;
  }

  clear(deadline: Deadline): void {
    if (deadline.at === 0) return;
    deadline.at = 0;
    if (deadline.previous) deadline.previous.next = deadline.next;
    if (deadline.next) deadline.next.previous = deadline.previous;
    deadline.previous = deadline.next = undefined;
    this.#open--;
  }

  /**
   * Fires what was due when the sockets were last looked at. The timer calls it; tests with a clock of their own call it themselves.
   * What a look at the sockets itself took, long as it may be, makes nothing late: whose answer came meanwhile is heard by the next look.
   */
  expire(now = this.#now(), looked = now): void {
    this.lately = now;
    for (const [length, { ends }] of this.#queues) {
      for (let due = ends.next; due !== undefined && due !== ends && due.at <= looked; due = ends.next) {
        this.clear(due);
        due.owner?.expired(now);
      }
      if (ends.next === ends && this.#queues.size > MOST_QUEUES) this.#forget(length);
    }
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #queueOf(ms: number): Queue {
    let queue = this.#queues.get(ms);
    if (queue === undefined) this.#queues.set(ms, (queue = createQueue(ms)));
    this.#recent[ms % REMEMBERED] = queue;
    return queue;
  }

  #forget(ms: number): void {
    this.#queues.delete(ms);
    if (this.#recent[ms % REMEMBERED]?.ms === ms) this.#recent[ms % REMEMBERED] = undefined;
  }

  #wind(now: number): void {
    this.#woundAt = now;
    this.#cancel ??= this.#ticker.tick(this.#look, this.#tickMs);
  }

  readonly #look = (agoMs: number): void => {
    this.#cancel = undefined;
    const now = this.#now();
    const due = this.#woundAt + this.#tickMs;
    if (now - due > STALL_MS) {
      this.#stalledFrom = due;
      this.#stalledTo = now;
    }
    this.expire(now, now - agoMs);
    if (this.#open > 0 && this.#cancel === undefined) this.#wind(this.#now());
  };
}

function createQueue(ms: number): Queue {
  const ends = new Deadline(undefined);
  ends.previous = ends;
  ends.next = ends;
  return { ms, ends };
}

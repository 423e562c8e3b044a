/**
 * All deadlines of a thread on one timer. A deadline is a node in a list kept per length of timeout: lists of one
 * length expire in the order they were filled, so setting and clearing cost a few pointer writes and no allocation.
 * Precision is one tick: a deadline fires between its instant and `TICK_MS` later, never early.
 */
const TICK_MS = 4;

export abstract class Deadline {
  /** Instant on the clock of the list, in milliseconds; 0 while not set. */
  at = 0;
  previous: Deadline | undefined = undefined;
  next: Deadline | undefined = undefined;
  abstract expired(now: number): void;
}

class Queue extends Deadline {
  constructor() {
    super();
    this.previous = this;
    this.next = this;
  }
  override expired(): void {}
}

export class Deadlines {
  readonly #now: () => number;
  readonly #queues = new Map<number, Queue>();
  #open = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many deadlines are set. */
  get open(): number {
    return this.#open;
  }

  /** Calls `deadline.expired` once `ms`, rounded up, have passed, unless cleared before. Setting it again moves it. */
  set(deadline: Deadline, length: number, now = this.#now()): void {
    if (deadline.at !== 0) this.clear(deadline);
    // Whole milliseconds, or remainders of other deadlines would each have a list of their own.
    const ms = Math.ceil(length);
    let queue = this.#queues.get(ms);
    if (queue === undefined) this.#queues.set(ms, (queue = new Queue()));
    deadline.at = now + ms;
    const last = queue.previous ?? queue;
    last.next = deadline;
    deadline.previous = last;
    deadline.next = queue;
    queue.previous = deadline;
    this.#open++;
    this.#timer ??= setTimeout(this.#tick, TICK_MS);
  }

  clear(deadline: Deadline): void {
    if (deadline.at === 0) return;
    deadline.at = 0;
    if (deadline.previous) deadline.previous.next = deadline.next;
    if (deadline.next) deadline.next.previous = deadline.previous;
    deadline.previous = deadline.next = undefined;
    this.#open--;
  }

  /** Fires what is due. The timer calls it; tests with a clock of their own call it themselves. */
  expire(now = this.#now()): void {
    for (const [length, queue] of this.#queues) {
      for (let due = queue.next; due !== undefined && due !== queue && due.at <= now; due = queue.next) {
        this.clear(due);
        due.expired(now);
      }
      if (queue.next === queue && this.#queues.size > 64) this.#queues.delete(length);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
  }

  /**
   * Timers run before the loop looks at its sockets. What has arrived while this thread was busy must be heard first, or a late thread
   * would blame others for its own delay; so deadlines are looked at when the sockets have been.
   */
  readonly #tick = (): void => {
    this.#turn = setImmediate(this.#look);
  };

  readonly #look = (): void => {
    this.#timer = undefined;
    this.expire();
    if (this.#open > 0) this.#timer ??= setTimeout(this.#tick, TICK_MS);
  };
}

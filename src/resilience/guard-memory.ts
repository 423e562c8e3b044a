import { type Breaker, type BreakerState, FIRST, type OpenReason } from "./breaker.ts";
import { type WindowPlace, windowInts } from "./sliding-window.ts";

/**
 * How the guards of all split routes lie in the memory that an instance's threads share. A cell has a head, which all
 * threads write, and a row per thread, which its thread alone writes (one row more than workers: the control thread's).
 * A thread may be ended at any instruction. So nothing here is locked, each change that others see is one atomic write,
 * and what a thread holds stands in its own row, where it can be given back.
 */
const LINE_INTS = 16; // 64 bytes, so that two threads' rows share no cache line

const HEAD_INTS = 2 * LINE_INTS;
const WORD = 0;
const CONNECT_RUN = 1;
/** In a line of its own: it is written with each extra send, and the word beside it is read with each request. */
const ANNOUNCED = LINE_INTS;

const OPEN_SENDS = 0;
const RECORDS = LINE_INTS;
const RECORD_INTS = LINE_INTS;
/** One may be the state that everybody reads, while the other is being written. */
const RECORDS_PER_ROW = 2;
/** What every state has stands at the beginning of a record. */
const COMMON_INTS = 6;
const STATES: readonly BreakerState[] = ["closed", "open", "half-open", "returning"];
const REASONS: readonly OpenReason[] = ["budget", "errors", "accuracy", "connect", "hand"];
const LOAD_FIELDS = 2;
const LOAD = RECORDS + RECORDS_PER_ROW * RECORD_INTS;
const JUDGED_FIELDS = 3;
const JUDGED = LOAD + windowInts(LOAD_FIELDS);
const ROW_INTS = Math.ceil((JUDGED + windowInts(JUDGED_FIELDS)) / LINE_INTS) * LINE_INTS;

const cellInts = (workers: number): number => HEAD_INTS + (workers + 1) * ROW_INTS;

export function guardBytes(cells: number, workers: number): number {
  return Math.max(1, cells) * cellInts(workers) * Int32Array.BYTES_PER_ELEMENT;
}

/** Gives back what a dead worker held, in every cell. To be called when it has ended and before its replacement starts. */
export function resetWorker(memory: SharedArrayBuffer, worker: number, workers: number): void {
  const ints = new Int32Array(memory);
  const length = cellInts(workers);
  for (let cell = 0; cell + length <= ints.length; cell += length)
    Atomics.store(ints, cell + HEAD_INTS + worker * ROW_INTS + OPEN_SENDS, 0);
}

/** One cell, as one thread sees it. */
export class GuardMemory {
  readonly #ints: Int32Array;
  readonly #rows: number;
  readonly #own: number;
  readonly load: WindowPlace;
  readonly judged: WindowPlace;

  constructor(memory: SharedArrayBuffer, cell: number, worker: number, workers: number) {
    const length = cellInts(workers);
    const bytes = length * Int32Array.BYTES_PER_ELEMENT;
    if (!(worker >= 0 && worker <= workers) || (cell + 1) * bytes > memory.byteLength)
      throw new RangeError(`cell ${cell} and worker ${worker} of ${workers} lie outside ${memory.byteLength} bytes`);
    const ints = new Int32Array(memory, cell * bytes, length);
    this.#ints = ints;
    this.#rows = workers + 1;
    this.#own = worker;
    this.load = { ints, offset: HEAD_INTS + LOAD, stride: ROW_INTS, rows: this.#rows, fields: LOAD_FIELDS };
    this.judged = { ints, offset: HEAD_INTS + JUDGED, stride: ROW_INTS, rows: this.#rows, fields: JUDGED_FIELDS };
  }

  /** Which state holds: a number that never comes again while anybody could still remember it. 0: nothing has happened yet. */
  get word(): number {
    return Atomics.load(this.#ints, WORD);
  }

  /** The state of this word; undefined when another has taken its place, so that what was read may be of both. */
  read(word: number): Breaker | undefined {
    if (word === 0) return FIRST;
    const breaker = this.#decode(this.#recordAt(word % (this.#rows * RECORDS_PER_ROW)));
    return this.word === word ? breaker : undefined;
  }

  /**
   * Puts a state in the place of the word's, for all threads in one write. Undefined when another thread was faster. The
   * state is written beforehand to whichever of the thread's own two records is not the one in force.
   */
  replace(word: number, next: Breaker): number | undefined {
    const slots = this.#rows * RECORDS_PER_ROW;
    const first = this.#own * RECORDS_PER_ROW;
    const current = this.word;
    const slot = current !== 0 && current % slots === first ? first + 1 : first;
    this.#encode(this.#recordAt(slot), next);
    const generation = Math.floor(word / slots) + 1;
    const successor = (generation >= Math.floor(2 ** 31 / slots) ? 1 : generation) * slots + slot;
    return Atomics.compareExchange(this.#ints, WORD, word, successor) === word ? successor : undefined;
  }

  #recordAt(slot: number): number {
    return HEAD_INTS + Math.floor(slot / RECORDS_PER_ROW) * ROW_INTS + RECORDS + (slot % RECORDS_PER_ROW) * RECORD_INTS;
  }

  #encode(at: number, breaker: Breaker): void {
    const { state, since, era, loadEra, openings } = breaker;
    this.#put(at, STATES.indexOf(state), era, loadEra, openings, ...halves(since));
    const own = at + COMMON_INTS;
    if (state === "closed") return this.#put(own, Number(breaker.held));
    this.#put(own, REASONS.indexOf(breaker.why), breaker.level);
    const rest = own + 2;
    if (state === "open") return this.#put(rest, Number(breaker.held));
    if (state === "returning") return this.#put(rest, breaker.step);
    this.#put(rest, breaker.good, Number(breaker.probing), ...halves(breaker.probedAt));
  }

  #put(at: number, ...fields: number[]): void {
    for (const [index, field] of fields.entries()) Atomics.store(this.#ints, at + index, field);
  }

  /** May meet a record that is just being written, and then makes something of it that is thrown away. */
  #decode(at: number): Breaker {
    const field = (index: number): number => Atomics.load(this.#ints, at + index);
    const common = { since: whole(field(4), field(5)), era: field(1), loadEra: field(2), openings: field(3) };
    const own = COMMON_INTS;
    const reopening = { why: REASONS[field(own)] ?? "hand", level: field(own + 1) };
    switch (STATES[field(0)]) {
      case "open":
        return { state: "open", ...common, ...reopening, held: field(own + 2) === 1 };
      case "half-open": {
        const probe = { probing: field(own + 3) === 1, probedAt: whole(field(own + 4), field(own + 5)) };
        return { state: "half-open", ...common, ...reopening, good: field(own + 2), ...probe };
      }
      case "returning":
        return { state: "returning", ...common, ...reopening, step: field(own + 2) };
      default:
        return { state: "closed", ...common, held: field(own) === 1 };
    }
  }

  /** One more attempt in a row that found nobody; the answer is how many there are by now. */
  countUnreachable(era: number): number {
    for (;;) {
      const seen = Atomics.load(this.#ints, CONNECT_RUN);
      const run = seen >> RUN_BITS === (era << RUN_BITS) >> RUN_BITS ? Math.min(RUN_MOST, (seen & RUN_MOST) + 1) : 1;
      if (Atomics.compareExchange(this.#ints, CONNECT_RUN, seen, (era << RUN_BITS) | run) === seen) return run;
    }
  }

  endUnreachable(): void {
    if (Atomics.load(this.#ints, CONNECT_RUN) !== 0) Atomics.store(this.#ints, CONNECT_RUN, 0);
  }

  /**
   * Counts an extra send of this thread as open. The write of a word that all threads write puts them in an order: each
   * sees from then on what those before it had counted, the window's counts too.
   */
  openSend(): void {
    Atomics.add(this.#ints, HEAD_INTS + this.#own * ROW_INTS + OPEN_SENDS, 1);
    Atomics.add(this.#ints, ANNOUNCED, 1);
  }

  closeSend(): void {
    Atomics.sub(this.#ints, HEAD_INTS + this.#own * ROW_INTS + OPEN_SENDS, 1);
  }

  /** Extra sends open now in all threads. */
  get openSends(): number {
    let open = 0;
    for (let row = 0; row < this.#rows; row++) open += this.#ints[HEAD_INTS + row * ROW_INTS + OPEN_SENDS] ?? 0;
    return open;
  }
}

/** A run belongs to an era, of which it keeps the low bits. */
const RUN_BITS = 8;
const RUN_MOST = 2 ** RUN_BITS - 1;

/** Milliseconds since the epoch are longer than one number of the memory. */
function halves(time: number): [number, number] {
  const high = Math.floor(time / 2 ** 31);
  return [high, time - high * 2 ** 31];
}

function whole(high: number, low: number): number {
  return high * 2 ** 31 + low;
}

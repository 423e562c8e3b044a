import { bucketAt } from "./edges.ts";

/**
 * Series in shared memory, for one writer and any number of readers. Rows are handed out in order and never given back: a
 * row holds a key (the label values, packed into one number) and a block of numbers. A new row becomes visible by an
 * atomic store of the row count after its key stands, and blocks begin as zeros, so a reader sees whole rows only. The
 * index from key to row belongs to the writer, which rebuilds it from the rows: a writer that takes over from a dead one
 * goes on adding to the same rows.
 */
export interface TableShape {
  /** How many values each label can have; their product is below 2^53. */
  readonly sizes: readonly number[];
  readonly rows: number;
  /** Upper edges of a histogram's buckets; undefined for a counter. */
  readonly edges: Float64Array | undefined;
}

/** A table and where it lies in a worker's buffer. */
export interface TablePlace extends TableShape {
  readonly offset: number;
}

const NUMBER_BYTES = 8;
/** Row count (an Int32 in 8 bytes) and the number of records that found no row. */
const HEADER_BYTES = 16;

/** Numbers a row holds: one for a counter; for a histogram a count per bucket, one for what lies above, and the sum. */
export function blockLength(shape: TableShape): number {
  return shape.edges === undefined ? 1 : shape.edges.length + 2;
}

export function tableBytes(shape: TableShape): number {
  return HEADER_BYTES + shape.rows * (1 + blockLength(shape)) * NUMBER_BYTES;
}

/** Takes a key apart into the label indices that made it. */
export function unpack(sizes: readonly number[], key: number): number[] {
  const indices: number[] = [];
  let rest = key;
  for (const size of sizes.toReversed()) {
    indices.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return indices;
}

/** Views of one table in one buffer. */
class TableViews {
  readonly count: Int32Array;
  readonly lost: Float64Array;
  readonly keys: Float64Array;
  readonly blocks: Float64Array;

  constructor(buffer: SharedArrayBuffer, place: TablePlace) {
    this.count = new Int32Array(buffer, place.offset, 1);
    this.lost = new Float64Array(buffer, place.offset + NUMBER_BYTES, 1);
    const keysAt = place.offset + HEADER_BYTES;
    this.keys = new Float64Array(buffer, keysAt, place.rows);
    this.blocks = new Float64Array(buffer, keysAt + place.rows * NUMBER_BYTES, place.rows * blockLength(place));
  }
}

/** The writing side. At most one may be alive for a buffer. */
export class SeriesWriter {
  readonly #views: TableViews;
  readonly #rows: number;
  readonly #length: number;
  readonly #edges: Float64Array;
  readonly #sizes: Int32Array;
  /** Row + 1 by hash of the key, 0 where free; at most half full. */
  readonly #index: Int32Array;
  #used: number;

  constructor(buffer: SharedArrayBuffer, place: TablePlace) {
    this.#views = new TableViews(buffer, place);
    this.#rows = place.rows;
    this.#length = blockLength(place);
    this.#edges = place.edges ?? new Float64Array(0);
    this.#sizes = Int32Array.from({ length: 6 }, (_, at) => place.sizes[at] ?? 1);
    this.#index = new Int32Array(2 ** Math.ceil(Math.log2(place.rows * 2 + 1)));
    this.#used = Atomics.load(this.#views.count, 0);
    for (let row = 0; row < this.#used; row++) this.#index[this.#slot(this.#views.keys[row] ?? 0)] = row + 1;
  }

  /** Adds one to the counter with these label indices, given in the order of the shape's sizes. */
  increment(a: number, b = 0, c = 0, d = 0, e = 0, f = 0): void {
    const row = this.#row(this.#key(a, b, c, d, e, f));
    if (row < 0) add(this.#views.lost, 0, 1);
    else add(this.#views.blocks, row, 1);
  }

  /** Counts a record that is not to be counted elsewhere. */
  lose(): void {
    add(this.#views.lost, 0, 1);
  }

  /** Adds a value to the histogram with these label indices. A value that is no finite number counts as lost. */
  observe(value: number, a: number, b = 0, c = 0, d = 0, e = 0, f = 0): void {
    const row = Number.isFinite(value) ? this.#row(this.#key(a, b, c, d, e, f)) : -1;
    if (row < 0) return add(this.#views.lost, 0, 1);
    const at = row * this.#length;
    add(this.#views.blocks, at + bucketAt(this.#edges, value), 1);
    add(this.#views.blocks, at + this.#length - 1, value);
  }

  /** -1 when an index lies outside its label's values: better a record lost than one under a wrong label. */
  #key(a: number, b: number, c: number, d: number, e: number, f: number): number {
    const sizes = this.#sizes;
    const sb = sizes[1] ?? 1;
    const sc = sizes[2] ?? 1;
    const sd = sizes[3] ?? 1;
    const se = sizes[4] ?? 1;
    const sf = sizes[5] ?? 1;
    const inside =
      a >= 0 && a < (sizes[0] ?? 1) && b >= 0 && b < sb && c >= 0 && c < sc && d >= 0 && d < sd && e >= 0 && e < se && f >= 0 && f < sf;
    return inside ? ((((a * sb + b) * sc + c) * sd + d) * se + e) * sf + f : -1;
  }

  /** The key's row, made if there is none yet; -1 when the table is full. */
  #row(key: number): number {
    if (key < 0) return -1;
    const slot = this.#slot(key);
    const found = (this.#index[slot] ?? 0) - 1;
    if (found >= 0) return found;
    if (this.#used === this.#rows) return -1;
    const row = this.#used;
    this.#views.keys[row] = key;
    Atomics.store(this.#views.count, 0, row + 1);
    this.#used = row + 1;
    this.#index[slot] = row + 1;
    return row;
  }

  /** The slot that holds the key, or the free one where it belongs. */
  #slot(key: number): number {
    const mask = this.#index.length - 1;
    // `|` takes a number modulo 2^32 by itself, and `%` on numbers that large is slow.
    const folded = (key | 0) ^ Math.imul((key / 4_294_967_296) | 0, 0x85ebca6b);
    const mixed = Math.imul(folded ^ (folded >>> 16), 0x9e3779b1);
    let slot = (mixed ^ (mixed >>> 15)) & mask;
    for (;;) {
      const entry = this.#index[slot] ?? 0;
      if (entry === 0 || this.#views.keys[entry - 1] === key) return slot;
      slot = (slot + 1) & mask;
    }
  }
}

function add(numbers: Float64Array, at: number, by: number): void {
  numbers[at] = (numbers[at] ?? 0) + by;
}

/** One table added up over several buffers. */
export interface TableTotals {
  /** Block by key, in ascending order of the keys. */
  readonly blocks: ReadonlyMap<number, Float64Array>;
  /** Records that found no row because the table was full, or that made no sense. */
  readonly lost: number;
}

/** Adds up a table over the buffers of all workers. */
export function readTable(buffers: readonly SharedArrayBuffer[], place: TablePlace): TableTotals {
  const length = blockLength(place);
  const sums = new Map<number, Float64Array>();
  let lost = 0;
  for (const buffer of buffers) {
    const views = new TableViews(buffer, place);
    lost += views.lost[0] ?? 0;
    const used = Atomics.load(views.count, 0);
    for (let row = 0; row < used; row++) {
      const key = views.keys[row] ?? 0;
      const block = views.blocks.subarray(row * length, (row + 1) * length);
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, block.slice());
      else for (let at = 0; at < length; at++) add(sum, at, block[at] ?? 0);
    }
  }
  return { blocks: new Map([...sums].sort(([one], [other]) => one - other)), lost };
}

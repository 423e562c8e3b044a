/**
 * Counts of the last seconds, kept by several threads in shared memory. Each thread has a row of buckets that it alone
 * writes, and whoever reads adds the rows up, so no count is lost when a bucket is used again and a thread that dies in
 * the middle leaves at worst one bucket that nobody counts.
 *
 * A bucket says which stretch of time and which era it belongs to. A new era empties the window for all threads at once.
 */
export interface WindowPlace {
  readonly ints: Int32Array;
  /** Where the first row's buckets begin. */
  readonly offset: number;
  /** Distance between two rows. */
  readonly stride: number;
  readonly rows: number;
  /** Counts per bucket. */
  readonly fields: number;
}

const BUCKETS = 10;

/** Stretches are numbered in a circle, of 34 years with stretches of a second. */
const STRETCH_BITS = 30;
/** The stretch of a bucket that is being emptied. */
const NO_STRETCH = -1;
const STRETCH = 0;
const ERA = 1;
const COUNTS = 2;

export function windowInts(fields: number): number {
  return BUCKETS * (COUNTS + fields);
}

export class SlidingWindow {
  readonly #place: WindowPlace;
  readonly #row: number;
  readonly #bucketMs: number;
  readonly #bucketInts: number;
  // The stretch of the last call: most calls fall into the same one.
  #from = 0;
  #until = 0;
  #stretch = 0;
  #slot = 0;

  constructor(place: WindowPlace, ownRow: number, windowMs: number) {
    this.#place = place;
    this.#row = place.offset + ownRow * place.stride;
    this.#bucketMs = windowMs / BUCKETS;
    this.#bucketInts = COUNTS + place.fields;
  }

  /** Counts one; the answer is where, for {@link takeBack}. */
  add(now: number, era: number, field: number): number {
    if (now < this.#from || now >= this.#until) this.#moveTo(now);
    const { ints, fields } = this.#place;
    const bucket = this.#row + this.#slot * this.#bucketInts;
    if (Atomics.load(ints, bucket + STRETCH) !== this.#stretch || Atomics.load(ints, bucket + ERA) !== era) {
      Atomics.store(ints, bucket + STRETCH, NO_STRETCH);
      for (let at = 0; at < fields; at++) Atomics.store(ints, bucket + COUNTS + at, 0);
      Atomics.store(ints, bucket + ERA, era);
      // Last, and a number not seen here before: whoever reads it reads nothing from before it.
      Atomics.store(ints, bucket + STRETCH, this.#stretch);
    }
    const position = bucket + COUNTS + field;
    Atomics.add(ints, position, 1);
    return position;
  }

  /** Only in the same turn as the {@link add} that it undoes. */
  takeBack(position: number): void {
    Atomics.sub(this.#place.ints, position, 1);
  }

  /**
   * Adds up every thread's counts into `sums`, one for each field. An atomic read costs some ten times a plain one, so
   * there is one a bucket, and none for those that do not count. Who must not miss what another thread has counted puts
   * both in an order by an atomic write of the same word in between.
   */
  sum(now: number, era: number, sums: Float64Array): void {
    if (now < this.#from || now >= this.#until) this.#moveTo(now);
    sums.fill(0);
    const { ints, offset, stride, rows, fields } = this.#place;
    for (let row = 0; row < rows; row++) {
      let bucket = offset + row * stride;
      for (let slot = 0; slot < BUCKETS; slot++, bucket += this.#bucketInts) {
        if (ints[bucket + ERA] !== era) continue;
        const stretch = Atomics.load(ints, bucket + STRETCH);
        if (stretch === NO_STRETCH || ints[bucket + ERA] !== era || !this.#isRecent(stretch)) continue;
        for (let at = 0; at < fields; at++) sums[at] = (sums[at] ?? 0) + (ints[bucket + COUNTS + at] ?? 0);
        // Its owner has begun to use it again in the meantime, because it is out of date.
        if (ints[bucket + STRETCH] !== stretch) {
          this.sum(now, era, sums);
          return;
        }
      }
    }
  }

  /** Another thread may be ahead of this one's time: what it has counted has happened. */
  #isRecent(stretch: number): boolean {
    const unused = 32 - STRETCH_BITS;
    const age = ((this.#stretch - stretch) << unused) >> unused;
    return age < BUCKETS && age > -BUCKETS;
  }

  #moveTo(now: number): void {
    const number = Math.floor(now / this.#bucketMs);
    this.#from = number * this.#bucketMs;
    this.#until = this.#from + this.#bucketMs;
    this.#stretch = number % 2 ** STRETCH_BITS;
    this.#slot = number % BUCKETS;
  }
}

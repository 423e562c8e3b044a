/**
 * Memory that workers write and the control side reads: what they count, and the requests that they remember. Each block has one writer at a time: a block returns to the pool only when the thread
 * that wrote it has really ended, so a successor that starts earlier gets another one. Blocks are never cleared and all
 * of them go on being added up, which is why no count is lost with a worker; there are as many as there were ever threads
 * at once.
 */
export class BlockPool {
  readonly #allocate: () => SharedArrayBuffer;
  readonly #all: SharedArrayBuffer[] = [];
  readonly #free: SharedArrayBuffer[] = [];

  constructor(allocate: () => SharedArrayBuffer) {
    this.#allocate = allocate;
  }

  /** Every block, in use or not. */
  get all(): readonly SharedArrayBuffer[] {
    return this.#all;
  }

  /** A block for a thread to write in; it returns when `exited` resolves. */
  lease(exited: Promise<void>): SharedArrayBuffer {
    const block = this.#free.pop() ?? this.#grow();
    void exited.then(() => this.#free.push(block));
    return block;
  }

  #grow(): SharedArrayBuffer {
    const block = this.#allocate();
    this.#all.push(block);
    return block;
  }
}

const NO_BYTES = new Uint8Array(0);

/** The body of an answer that is held back: copied out of memory that was lent, once, if it was said before how long it is. */
export class HeldBody {
  /** How much of it has come. */
  length = 0;
  #bytes: Uint8Array = NO_BYTES;
  /** Of a body whose length nobody knew, until it is asked for. */
  #pieces: Uint8Array[] | undefined;

  /** `announced`: the length that it is said to have, 0 if it is not. Memory that nothing was written to yet costs nothing. */
  constructor(announced: number) {
    if (announced > 0) this.#bytes = Buffer.allocUnsafeSlow(announced);
    else this.#pieces = [];
  }

  add(chunk: Uint8Array): void {
    if (this.#pieces !== undefined) this.#pieces.push(Buffer.from(chunk));
    else this.#bytes.set(chunk, this.length);
    this.length += chunk.length;
  }

  /** What has come, in order. */
  get pieces(): readonly Uint8Array[] {
    return this.#pieces ?? [this.#bytes.subarray(0, this.length)];
  }

  /** What has come, in one piece that nobody will change. */
  get whole(): Uint8Array {
    if (this.#pieces !== undefined) {
      this.#bytes = Buffer.concat(this.#pieces);
      this.#pieces = undefined;
    }
    return this.length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.length);
  }
}

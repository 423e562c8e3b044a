import { DONE, REFUSED } from "../../http/raw-head.ts";
import { ChunkedReader } from "../../http/chunked.ts";
import { REFUSALS } from "../../http/refusals.ts";

export type BodyFailure = "body-too-large" | "request-timeout" | "bad-request";

/** Who takes a body as it comes. */
export interface BodySink {
  /** The bytes are lent until this returns. False: no more for now. */
  onBodyData(bytes: Buffer, start: number, end: number): boolean;
  onBodyEnd(): void;
}

/** Finds the body of one request in what follows its head, and bounds it. */
export class RequestBody {
  /** All of it has been read. */
  complete = false;
  failure: BodyFailure | undefined;
  /** Where the data of the last `read` lie. */
  dataStart = 0;
  dataEnd = 0;
  /** Known length, or -1. */
  readonly length: number;
  readonly #chunks: ChunkedReader | undefined;
  readonly #limit: number;
  #received = 0;

  /** `length` is -1 for a chunked body. `limit`: 0 for none. */
  constructor(length: number, limit: number) {
    this.length = length;
    this.#limit = limit;
    if (length < 0) this.#chunks = new ChunkedReader();
  }

  /** Reads its part of bytes[start, end); returns where the next request begins, which is `end` unless complete. */
  read(bytes: Buffer, start: number, end: number): number {
    const chunks = this.#chunks;
    let next = end;
    if (chunks === undefined) {
      next = Math.min(end, start + this.length - this.#received);
      this.dataStart = start;
      this.dataEnd = next;
    } else {
      const result = chunks.read(bytes, start, end);
      this.dataStart = chunks.dataStart;
      this.dataEnd = chunks.dataEnd;
      if (result === REFUSED) {
        const code = chunks.refusal === undefined ? undefined : REFUSALS[chunks.refusal].failure;
        this.failure = code === "body-too-large" ? "body-too-large" : "bad-request";
        return end;
      }
      if (result === DONE) {
        next = chunks.consumed;
        this.complete = true;
      }
    }
    this.#received += this.dataEnd - this.dataStart;
    if (chunks === undefined) this.complete = this.#received === this.length;
    if (this.#limit > 0 && this.#received > this.#limit) this.failure = "body-too-large";
    return next;
  }
}

/** Gathers a body that comes in several parts. It grows with what has come, not with what was announced. */
export class BodyParts {
  #bytes: Buffer = Buffer.alloc(0);
  used = 0;

  add(bytes: Buffer, start: number, end: number): void {
    const needed = this.used + end - start;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2, 16_384));
      this.#bytes.copy(grown, 0, 0, this.used);
      this.#bytes = grown;
    }
    bytes.copy(this.#bytes, this.used, start, end);
    this.used = needed;
  }

  get whole(): Buffer {
    return this.#bytes.subarray(0, this.used);
  }
}

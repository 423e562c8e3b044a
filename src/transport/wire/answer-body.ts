import { ChunkedReader } from "../../http/chunked.ts";
import { DONE, REFUSED } from "../../http/raw-head.ts";
import type { RawResponse } from "../../http/raw-response.ts";
import type { RefusalName } from "../../http/refusals.ts";
import { forwardedTrailers } from "../trailers.ts";

const NO_TRAILERS: readonly string[] = [];

/** Finds the body of an answer in what follows its head (RFC 9112, 6.3). Reused from answer to answer. */
export class AnswerBody {
  /** All of it has been read. */
  complete = false;
  /** Set when it cannot be told where it ends. */
  refusal: RefusalName | undefined;
  /** Where the data of the last `read` lie, and where it stopped. */
  dataStart = 0;
  dataEnd = 0;
  consumed = 0;
  /** Its end is that of the connection. */
  untilClose = false;
  /** Those that are passed on. */
  trailers = NO_TRAILERS;
  #left = 0;
  #isChunked = false;
  #chunks: ChunkedReader | undefined;

  /** `asked`: the method of the request. */
  begin(head: RawResponse, asked: string): void {
    const { status } = head;
    this.refusal = undefined;
    this.trailers = NO_TRAILERS;
    this.#left = 0;
    this.#isChunked = this.untilClose = false;
    if (asked === "HEAD" || status === 204 || status === 304) {
      // Nothing follows, whatever the head says.
    } else if (head.chunked) {
      this.#isChunked = true;
      this.#chunks ??= new ChunkedReader();
      this.#chunks.reset();
    } else if (head.contentLength >= 0) this.#left = head.contentLength;
    else this.untilClose = true;
    this.complete = !this.#isChunked && !this.untilClose && this.#left === 0;
    this.dataStart = this.dataEnd = this.consumed = head.end;
  }

  read(bytes: Buffer, start: number, end: number): void {
    if (this.#isChunked) this.#readChunks(bytes, start, end);
    else {
      this.dataStart = start;
      this.consumed = this.dataEnd = this.untilClose ? end : Math.min(end, start + this.#left);
      this.#left -= this.dataEnd - start;
      this.complete = !this.untilClose && this.#left === 0;
    }
  }

  #readChunks(bytes: Buffer, start: number, end: number): void {
    const chunks = this.#chunks;
    if (chunks === undefined) return;
    const result = chunks.read(bytes, start, end);
    this.dataStart = chunks.dataStart;
    this.dataEnd = chunks.dataEnd;
    this.consumed = chunks.consumed;
    if (result === REFUSED) this.refusal = chunks.refusal ?? "chunk-size";
    else if (result === DONE) {
      this.complete = true;
      this.trailers = forwardedTrailers(chunks.trailers);
    }
  }
}

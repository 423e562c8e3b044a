import type { ResponseHead } from "./head.ts";
import { CR, DONE, LF, MORE, SP, STRIDE, TEXT, type ReadResult } from "./raw-fields.ts";
import { RawHead } from "./raw-head.ts";
import type { RefusalName } from "./refusals.ts";
import { usualReason } from "./status.ts";

/** `HTTP/1.1 200`, in which 1, 2 and 3 stand for digits of the version and the status. */
const PATTERN = Buffer.from("HTTP/1.1 123");
const STATUS_AT = 9;

/**
 * A response head. Stricter than RFC 9112, 6.3 where that leaves a choice: Content-Length twice is refused even when both agree, and so is any
 * Transfer-Encoding but one `chunked`. A head that is DONE with `refusal` set, or REFUSED, is a bad answer either way.
 */
export class RawResponse extends RawHead implements ResponseHead {
  status = 0;
  #reasonStart = 0;
  #reasonGood = true;
  #reason: string | undefined = undefined;

  override reset(): void {
    super.reset();
    this.status = 0;
    this.#reasonStart = 0;
    this.#reasonGood = true;
    this.#reason = undefined;
  }

  /** Reads the head that begins at `start`. After MORE it is called with the same bytes and start, and a later `end`. */
  read(bytes: Buffer, start: number, end: number, limit: number): ReadResult {
    return this.readHead(bytes, start, end, limit);
  }

  /** What the server wrote; empty when it wrote nothing, or what cannot be sent on. */
  get reason(): string {
    return (this.#reason ??= this.#readReason());
  }

  get version(): "1.0" | "1.1" {
    return this.minor === 1 ? "1.1" : "1.0";
  }

  /** A head of its own, over a copy of the bytes. */
  keep(): RawResponse {
    const { start } = this;
    const length = this.end - start;
    const bytes = Buffer.allocUnsafe(length);
    this.bytes.copy(bytes, 0, start, this.end);
    const used = this.count * STRIDE + 1;
    const slots = this.slots.slice(0, used);
    for (let slot = 0; slot < used; slot += STRIDE) {
      for (let i = slot; i < Math.min(slot + 4, used); i++) slots[i] = (slots[i] ?? 0) - start;
    }
    const kept = new RawResponse(slots);
    kept.copyMeaning(this, bytes);
    kept.status = this.status;
    kept.#reasonStart = this.#reasonStart === 0 ? 0 : this.#reasonStart - start;
    kept.#reasonGood = this.#reasonGood;
    return kept;
  }

  #readReason(): string {
    if (this.end === 0 || !this.#reasonGood || this.#reasonStart === 0) return "";
    const { bytes } = this;
    const start = this.#reasonStart;
    const usual = usualReason(this.status);
    let end = start;
    let same = true;
    for (; bytes[end] !== CR; end++) same &&= bytes[end] === usual.charCodeAt(end - start);
    return same && end - start === usual.length ? usual : this.text(start, end);
  }

  protected override readStartLine(stop: number): ReadResult {
    const { bytes, start } = this;
    let at = this.at;
    if (this.status === 0) {
      at = start + PATTERN.length;
      // One more, so that a status of four digits is none.
      if (at >= stop) return this.#refuseEarly(stop);
      const hundreds = (bytes[start + 9] ?? 0) - 0x30;
      const tens = (bytes[start + 10] ?? 0) - 0x30;
      const ones = (bytes[start + 11] ?? 0) - 0x30;
      const minor = (bytes[start + 7] ?? 0) - 0x30;
      const good =
        bytes[start] === 0x48 &&
        bytes[start + 1] === 0x54 &&
        bytes[start + 2] === 0x54 &&
        bytes[start + 3] === 0x50 &&
        bytes[start + 4] === 0x2f &&
        bytes[start + 5] === 0x31 &&
        bytes[start + 6] === 0x2e &&
        (minor === 0 || minor === 1) &&
        bytes[start + 8] === SP &&
        hundreds >= 0 &&
        hundreds <= 9 &&
        tens >= 0 &&
        tens <= 9 &&
        ones >= 0 &&
        ones <= 9;
      if (!good) {
        const early = this.#refuseEarly(stop);
        return early === MORE ? this.refuse("version-not-supported") : early;
      }
      if (bytes[at] !== SP && bytes[at] !== CR) return this.refuse(bytes[at] === LF ? "bare-lf" : "bad-status-line");
      const status = hundreds * 100 + tens * 10 + ones;
      if (status < 100 || status > 599) return this.refuse("bad-status");
      this.minor = minor;
      this.status = status;
      if (bytes[at] === SP) this.#reasonStart = ++at;
    }
    for (; at < stop; at++) {
      const octet = bytes[at] ?? 0;
      if (TEXT[octet] === 1) continue;
      if (octet === CR || octet === LF) break;
      this.#reasonGood = false;
    }
    this.at = at;
    if (at >= stop) return MORE;
    if (bytes[at] === LF) return this.refuse("bare-lf");
    if (at + 1 >= stop) return MORE;
    if (bytes[at + 1] !== LF) return this.refuse("bare-cr");
    this.at = at + 2;
    this.line = this.at;
    return DONE;
  }

  /** As much of a status line as there is, octet by octet. */
  #refuseEarly(stop: number): ReadResult {
    const { bytes, start } = this;
    const have = Math.min(stop - start, PATTERN.length);
    for (let i = 0; i < have; i++) {
      const octet = bytes[start + i] ?? 0;
      const digit = octet >= 0x30 && octet <= 0x39;
      if (i === 5 || i === 7 || i >= STATUS_AT ? !digit : octet !== PATTERN[i]) return this.refuse("bad-status-line");
    }
    return MORE;
  }

  protected override judge(): RefusalName | undefined {
    this.judgeConnection();
    return this.judgeFraming();
  }
}

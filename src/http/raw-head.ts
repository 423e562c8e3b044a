import { nameOf } from "./field-names.ts";
import { COMMA, RawFields, STRIDE } from "./raw-fields.ts";
import type { RefusalName } from "./refusals.ts";

export { DONE, MORE, REFUSED } from "./raw-fields.ts";

const CONNECTION = nameOf("connection");
const CONTENT_LENGTH = nameOf("content-length");
const TRANSFER_ENCODING = nameOf("transfer-encoding");
const CLOSE = Buffer.from("close");
const KEEP_ALIVE = Buffer.from("keep-alive");
const UPGRADE = Buffer.from("upgrade");
const CHUNKED = Buffer.from("chunked");

/** A message head: fields that say how long the message is, and whether another may follow it. */
export abstract class RawHead extends RawFields {
  /** -1: none given. */
  contentLength = -1;
  chunked = false;
  /** What version and Connection say. */
  keepAlive = false;
  /** Connection names more than the usual `close`, `keep-alive` or `upgrade`. */
  nominates = false;

  /** HTTP/1.x. */
  protected minor = 1;
  #connections = 0;
  /** The first of them. */
  #connectionField = 0;
  #lengths = 0;
  #lengthField = 0;
  #codings = 0;
  #codingField = 0;

  override reset(): void {
    super.reset();
    this.contentLength = -1;
    this.chunked = false;
    this.keepAlive = false;
    this.nominates = false;
    this.minor = 1;
    this.#connections = 0;
    this.#lengths = 0;
    this.#codings = 0;
  }

  protected override note(field: number, length: number, key: number): void {
    switch (length) {
      case 10:
        if (key === CONNECTION.key && this.isField(field, CONNECTION.octets) && ++this.#connections === 1) this.#connectionField = field;
        break;
      case 14:
        if (key === CONTENT_LENGTH.key && this.isField(field, CONTENT_LENGTH.octets)) {
          this.#lengths++;
          this.#lengthField = field;
        }
        break;
      case 17:
        if (key === TRANSFER_ENCODING.key && this.isField(field, TRANSFER_ENCODING.octets)) {
          this.#codings++;
          this.#codingField = field;
        }
        break;
    }
  }

  /** Sets `contentLength`, `chunked`. */
  protected judgeFraming(): RefusalName | undefined {
    if (this.#codings > 0) {
      if (this.#lengths > 0) return "length-with-chunked";
      if (this.minor === 0) return "chunked-in-1.0";
      if (this.#codings > 1 || !this.isValue(this.#codingField, CHUNKED)) {
        return this.namesMember(TRANSFER_ENCODING, CHUNKED) ? "chunked-not-last" : "coding-unknown";
      }
      this.chunked = true;
      return undefined;
    }
    if (this.#lengths === 0) return undefined;
    if (this.#lengths > 1) return "two-lengths";
    const length = this.#lengthOf(this.#lengthField);
    if (length < 0) return length === -2 ? "two-lengths" : "bad-length";
    this.contentLength = length;
    return undefined;
  }

  /** -1: not a length, -2: a list. */
  #lengthOf(field: number): number {
    const { bytes, slots } = this;
    const from = slots[field * STRIDE + 2] ?? 0;
    const to = slots[field * STRIDE + 3] ?? 0;
    if (from === to) return -1;
    let length = 0;
    for (let i = from; i < to; i++) {
      const digit = (bytes[i] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) return bytes.subarray(from, to).includes(COMMA) ? -2 : -1;
      length = length * 10 + digit;
      if (length > Number.MAX_SAFE_INTEGER) return -1;
    }
    return length;
  }

  /** Sets `keepAlive`, `nominates`. */
  protected judgeConnection(): void {
    this.keepAlive = this.minor === 1;
    if (this.#connections === 0) return;
    let close = false;
    let keep = false;
    let field = this.#connectionField;
    for (let left = this.#connections; left > 0; left--) {
      if (this.isValue(field, KEEP_ALIVE)) keep = true;
      else if (this.isValue(field, CLOSE)) close = true;
      else if (!this.isValue(field, UPGRADE)) {
        this.nominates = true;
        close ||= this.hasMember(field, CLOSE);
        keep ||= this.hasMember(field, KEEP_ALIVE);
      }
      if (left > 1) field = this.find(CONNECTION.key, CONNECTION.octets, field + 1);
    }
    this.keepAlive = !close && (keep || this.minor === 1);
  }

  /** Whether Connection names `upgrade`. */
  protected offersUpgrade(): boolean {
    return this.namesMember(CONNECTION, UPGRADE);
  }

  /** Takes over what was read of another head; `bytes` is a copy of it. */
  protected copyMeaning(from: RawHead, bytes: Buffer): void {
    this.bytes = bytes;
    this.end = bytes.length;
    this.count = from.count;
    this.refusal = from.refusal;
    this.contentLength = from.contentLength;
    this.chunked = from.chunked;
    this.keepAlive = from.keepAlive;
    this.nominates = from.nominates;
    this.minor = from.minor;
  }
}

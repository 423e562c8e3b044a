import { NameSet, nameOf } from "./field-names.ts";
import { DONE, RawFields, STRIDE, type ReadResult } from "./raw-fields.ts";
import type { RefusalName } from "./refusals.ts";

const CONTENT_LENGTH = nameOf("content-length");
const TRANSFER_ENCODING = nameOf("transfer-encoding");

/** What is of one connection, or would have been acted on before the trailers came (RFC 9110, 6.5.1). */
const FORBIDDEN = new NameSet([
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "http2-settings",
  "content-length",
  "transfer-encoding",
  "host",
  "authorization",
  "proxy-authorization",
  "proxy-authenticate",
  "www-authenticate",
  "cookie",
  "set-cookie",
  "content-encoding",
  "content-range",
  "content-type",
  "age",
  "cache-control",
  "date",
  "expires",
  "location",
  "max-forwards",
  "pragma",
  "range",
  "retry-after",
  "vary",
]);

const NONE: readonly string[] = Object.freeze([]);

/** The fields behind a chunked body. */
export class RawTrailers extends RawFields {
  read(bytes: Buffer, start: number, end: number, limit: number): ReadResult {
    return this.readHead(bytes, start, end, limit);
  }

  /** Those that may be trailers at all. */
  allowed(): readonly string[] {
    const { bytes, slots, fields } = this;
    if (this.count === 0) return NONE;
    return fields.filter((_, i) => {
      const slot = (i >> 1) * STRIDE;
      return !FORBIDDEN.has(bytes, slots[slot] ?? 0, slots[slot + 1] ?? 0, slots[slot + 4] ?? 0);
    });
  }

  protected override readStartLine(): ReadResult {
    return DONE;
  }

  protected override note(): void {}

  protected override judge(): RefusalName | undefined {
    const framing =
      this.find(CONTENT_LENGTH.key, CONTENT_LENGTH.octets, 0) >= 0 || this.find(TRANSFER_ENCODING.key, TRANSFER_ENCODING.octets, 0) >= 0;
    return framing ? "framing-trailer" : undefined;
  }
}

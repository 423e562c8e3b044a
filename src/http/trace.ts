import { randomHex } from "../core/random-id.ts";

/** A `traceparent` of W3C Trace Context, version 00. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace id of a valid `traceparent`, or undefined. */
export function traceIdOf(traceparent: string): string | undefined {
  return TRACEPARENT.exec(traceparent)?.[1];
}

export function createTraceparent(traceId: string): string {
  return `00-${traceId}-${randomHex(8)}-00`;
}

/** A request id we pass on: printable, without separators that could end a log field or a header, at most 128 long. */
export function isRequestId(text: string): boolean {
  return text.length <= 128 && /^[\w.:@/+=-]+$/.test(text);
}

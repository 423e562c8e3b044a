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
  const length = text.length;
  if (length === 0 || length > 128) return false;
  for (let i = 0; i < length; i++) if (ID_CHARACTERS[text.charCodeAt(i)] !== 1) return false;
  return true;
}

/** By code; looked up one by one, which for a short text is quicker than an expression. */
const ID_CHARACTERS = new Uint8Array(128);
for (const character of "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.:@/+=-")
  ID_CHARACTERS[character.charCodeAt(0)] = 1;

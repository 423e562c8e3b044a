import type { FailureCode } from "../core/failures.ts";

export interface RefusalKind {
  readonly failure: FailureCode;
  /** For the log and the answer's detail. */
  readonly detail: string;
}

/**
 * Everything for which the codec turns bytes away. Two readers could understand them differently, or they are no HTTP/1.x at
 * all. In a response only the detail counts: whatever the endpoint did wrong, its answer is bad.
 */
export const REFUSALS = {
  "empty-lines": { failure: "bad-request", detail: "more than two empty lines before the request" },
  "bare-lf": { failure: "bad-request", detail: "LF without CR" },
  "bare-cr": { failure: "bad-request", detail: "CR without LF" },
  "obs-fold": { failure: "bad-request", detail: "a line begins with a blank" },
  "space-before-colon": { failure: "bad-request", detail: "a blank before the colon of a field" },
  "bad-field-name": { failure: "bad-request", detail: "a bad character in a field name, or no colon" },
  "control-in-value": { failure: "bad-request", detail: "a control character in a field value" },
  "bad-method": { failure: "bad-request", detail: "not a method" },
  "bad-version": { failure: "bad-request", detail: "not an HTTP version" },
  "version-not-supported": { failure: "version-not-supported", detail: "an HTTP version other than 1.0 and 1.1" },
  "head-too-large": { failure: "head-too-large", detail: "the head is over the limit" },
  "two-lengths": { failure: "ambiguous-request", detail: "Content-Length is given more than once" },
  "bad-length": { failure: "bad-request", detail: "Content-Length is not a whole number, or too large" },
  "length-with-chunked": { failure: "ambiguous-request", detail: "both Content-Length and Transfer-Encoding" },
  "chunked-not-last": { failure: "ambiguous-request", detail: "Transfer-Encoding with chunked twice or not at its end" },
  "coding-unknown": { failure: "ambiguous-request", detail: "Transfer-Encoding other than chunked" },
  "chunked-in-1.0": { failure: "ambiguous-request", detail: "HTTP/1.0 has no Transfer-Encoding" },
  expectation: { failure: "expectation-failed", detail: "Expect" },
  "two-hosts": { failure: "ambiguous-request", detail: "Host is given more than once" },
  "no-host": { failure: "bad-request", detail: "HTTP/1.1 needs a Host field" },
  "bad-host": { failure: "bad-request", detail: "Host is not a host and port" },
  connect: { failure: "method-unknown", detail: "CONNECT" },
  trace: { failure: "method-unknown", detail: "TRACE" },
  "target-character": { failure: "bad-request", detail: "a bad character in the target, or no target" },
  "bad-target": { failure: "bad-request", detail: "the target is neither a path nor an http URL" },
  "asterisk-form": { failure: "bad-request", detail: "* is for OPTIONS only" },
  "target-fragment": { failure: "bad-request", detail: "a fragment in the target" },
  backslash: { failure: "ambiguous-request", detail: "a backslash in the path" },
  "double-slash": { failure: "ambiguous-request", detail: "the path begins with //" },
  "bad-escape": { failure: "bad-request", detail: "a bad percent escape in the path" },
  "encoded-slash": { failure: "ambiguous-request", detail: "an encoded slash, backslash or NUL in the path" },
  "dot-segment": { failure: "ambiguous-request", detail: "a dot segment in the path" },
  "bad-status-line": { failure: "upstream-failed", detail: "not a status line" },
  "bad-status": { failure: "upstream-failed", detail: "a status outside 100 to 599" },
  "chunk-size": { failure: "bad-request", detail: "a chunk's size is not hexadecimal, or what follows it is bad" },
  "chunk-size-too-large": { failure: "bad-request", detail: "a chunk's size has more than 13 digits" },
  "chunk-extension": { failure: "bad-request", detail: "a bad chunk extension" },
  "chunk-extension-too-long": { failure: "body-too-large", detail: "the chunk extensions are over the limit" },
  "chunk-end": { failure: "bad-request", detail: "a chunk is not followed by CRLF" },
  "trailer-too-large": { failure: "bad-request", detail: "the trailers are over the limit" },
  "framing-trailer": { failure: "bad-request", detail: "a trailer that frames the message" },
} as const satisfies Record<string, RefusalKind>;

export type RefusalName = keyof typeof REFUSALS;

/**
 * Every way in which the proxy itself answers, or gives up on, a request. One row a failure; HTTP is made of it in
 * proxy/respond.ts and nowhere else.
 */
export interface Failure {
  readonly status: number;
  /** Whose doing it is: a client, a backend, or this proxy. */
  readonly source: "downstream" | "upstream" | "proxy";
  /** The error type of RFC 9209 (Proxy-Status), or undefined where none fits. */
  readonly proxyStatus: string | undefined;
  readonly title: string;
}

export const FAILURES = {
  "bad-request": { status: 400, source: "downstream", proxyStatus: "http_request_error", title: "The request is malformed" },
  "ambiguous-request": {
    status: 400,
    source: "downstream",
    proxyStatus: "http_request_error",
    title: "The request can be read in more than one way",
  },
  "not-json": { status: 400, source: "downstream", proxyStatus: "http_request_error", title: "The request body is not JSON" },
  "ambiguous-user": {
    status: 400,
    source: "downstream",
    proxyStatus: "http_request_error",
    title: "The user key is given twice with different values",
  },
  "no-route": { status: 404, source: "downstream", proxyStatus: "destination_not_found", title: "No route matches this path" },
  "method-not-allowed": {
    status: 405,
    source: "downstream",
    proxyStatus: "http_request_denied",
    title: "The route does not take this method",
  },
  "request-timeout": { status: 408, source: "downstream", proxyStatus: "http_request_error", title: "The request did not arrive in time" },
  "body-too-large": { status: 413, source: "downstream", proxyStatus: "http_request_error", title: "The request body is too large" },
  "key-busy": {
    status: 409,
    source: "downstream",
    proxyStatus: "http_request_denied",
    title: "A request with this Idempotency-Key has no answer that can be given again",
  },
  "key-reused": {
    status: 422,
    source: "downstream",
    proxyStatus: "http_request_denied",
    title: "This Idempotency-Key was used for another request",
  },
  inexpressible: {
    status: 422,
    // Why is a matter of what is behind us.
    source: "proxy",
    proxyStatus: "http_request_denied",
    title: "The request cannot be said in the words of the backend",
  },
  "uri-too-long": { status: 414, source: "downstream", proxyStatus: "http_request_error", title: "The request target is too long" },
  "expectation-failed": {
    status: 417,
    source: "downstream",
    proxyStatus: "http_request_error",
    title: "Only Expect: 100-continue is understood",
  },
  "head-too-large": { status: 431, source: "downstream", proxyStatus: "http_request_error", title: "The request head is too large" },
  "client-gone": { status: 499, source: "downstream", proxyStatus: undefined, title: "The client left before the answer" },
  "method-unknown": { status: 501, source: "downstream", proxyStatus: "http_request_denied", title: "The method is not supported" },
  "upstream-failed": { status: 502, source: "upstream", proxyStatus: "http_response_incomplete", title: "No backend gave a usable answer" },
  "upstream-unreachable": { status: 502, source: "upstream", proxyStatus: "connection_refused", title: "The backend cannot be reached" },
  "too-busy": { status: 503, source: "proxy", proxyStatus: "connection_limit_reached", title: "The proxy is at its connection limit" },
  "upstream-timeout": {
    status: 504,
    source: "upstream",
    proxyStatus: "http_response_timeout",
    title: "The backend did not answer in time",
  },
  "version-not-supported": {
    status: 505,
    source: "downstream",
    proxyStatus: "http_request_error",
    title: "Only HTTP/1.0 and HTTP/1.1 are spoken here",
  },
  loop: { status: 508, source: "downstream", proxyStatus: "proxy_loop_detected", title: "The request has passed this proxy before" },
  internal: { status: 500, source: "proxy", proxyStatus: "proxy_internal_error", title: "The proxy failed" },
} as const satisfies Record<string, Failure>;

export type FailureCode = keyof typeof FAILURES;

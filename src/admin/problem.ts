import { PrometheusError } from "../analysis/prometheus-query.ts";
import { TooBusy } from "../analysis/events/ingest.ts";
import { Refused } from "../controller/desk.ts";
import { DocumentConflict } from "../store/rollout-store.ts";
import { InvalidSettings, RevisionConflict, StoreUnavailable } from "../store/store.ts";

/** Every way in which the admin API refuses. The code is for machines and stays; the detail is for people and may change. */
const PROBLEMS = {
  "malformed-request": { status: 400, title: "The request is malformed" },
  unauthorized: { status: 401, title: "A bearer token is required" },
  "foreign-host": { status: 403, title: "The request was meant for another host" },
  "foreign-origin": { status: 403, title: "The request comes from another site" },
  forbidden: { status: 403, title: "You may not do this" },
  "unknown-path": { status: 404, title: "There is nothing at this path" },
  "unknown-flag": { status: 404, title: "There is no such flag" },
  "unknown-incident": { status: 404, title: "There is no such incident or maintenance" },
  "method-not-allowed": { status: 405, title: "The path does not take this method" },
  refused: { status: 409, title: "This cannot be done now" },
  "revision-conflict": { status: 412, title: "The settings have changed meanwhile" },
  "body-too-large": { status: 413, title: "The request body is too large" },
  "not-json": { status: 415, title: "The request body must be JSON" },
  "invalid-settings": { status: 422, title: "A setting is not valid" },
  "too-busy": { status: 429, title: "Too many events at a time" },
  internal: { status: 500, title: "The admin API failed" },
  "store-unavailable": { status: 503, title: "The settings store cannot be reached" },
  "too-many-viewers": { status: 503, title: "Too many are looking" },
  "no-figures": { status: 503, title: "There are no figures to be had" },
  "too-slow": { status: 504, title: "The program did not answer in time" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One thing that is wrong with a request, and what would be right. */
export interface Fault {
  readonly field: string;
  readonly value: string;
  readonly message: string;
}

export interface ProblemExtras {
  readonly errors?: readonly Fault[];
  /** The revision in force, for `revision-conflict`. */
  readonly current?: number;
  /** The names that would have been right. */
  readonly known?: readonly string[];
}

/** A refusal on its way to the client, as `application/problem+json` (RFC 9457). */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly status: number;
  readonly extras: ProblemExtras;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    extras: ProblemExtras = {},
    headers: Readonly<Record<string, string>> = {},
    cause?: unknown,
  ) {
    super(detail, { cause });
    this.code = code;
    this.status = PROBLEMS[code].status;
    this.extras = extras;
    this.headers = headers;
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return {
      type: "about:blank",
      title: PROBLEMS[this.code].title,
      status: this.status,
      code: this.code,
      detail: this.message,
      ...this.extras,
    };
  }
}

/** What a client is told of anything that was thrown. Only what nobody foresaw becomes `internal`. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof InvalidSettings) {
    const errors = error.rejections.map(({ field, value, message }) => ({ field, value, message }));
    return new Problem("invalid-settings", `Nothing was changed: ${error.message}`, { errors }, {}, error);
  }
  if (error instanceof Refused) {
    const errors = error.faults.map((message) => ({ field: "plan", value: "", message }));
    return new Problem("refused", error.message, errors.length === 0 ? {} : { errors }, {}, error);
  }
  if (error instanceof DocumentConflict)
    return new Problem(
      "refused",
      "Somebody else changed this at the same time; look at it, then try again.",
      {},
      { "retry-after": "1" },
      error,
    );
  if (error instanceof TooBusy) return new Problem("too-busy", error.message, {}, { "retry-after": "1" }, error);
  if (error instanceof PrometheusError) return new Problem("no-figures", error.message, {}, { "retry-after": "5" }, error);
  if (error instanceof RevisionConflict) {
    const detail = `Nothing was changed: ${error.message}. Read the flag again, then send If-Match: "${error.current}".`;
    return new Problem("revision-conflict", detail, { current: error.current }, { etag: `"${error.current}"` }, error);
  }
  if (error instanceof StoreUnavailable) {
    return new Problem(
      "store-unavailable",
      `Nothing was changed. ${error.message.replace(/\.?$/, ".")}`,
      {},
      { "retry-after": "5" },
      error,
    );
  }
  return new Problem("internal", "The log of this instance says what went wrong.", {}, {}, error);
}

import { performance } from "node:perf_hooks";
import { FAILURES, type FailureCode } from "../core/failures.ts";
import { randomHex } from "../core/random-id.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { fieldLine, type HeadEdits, type ResponseHead } from "../http/head.ts";
import { createTraceparent, isRequestId, traceIdOf } from "../http/trace.ts";
import type { AnswerHead } from "../transport/transport.ts";
import type { DropSets } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { servedLines, splitLines, type Fallback } from "./story.ts";

/** Our own fields: nobody else's are passed on, either way. */
const OWN_PREFIX = "x-crossfade-";
const NO_LINES: Uint8Array = new Uint8Array(0);

/** Gives the request the id and the trace it is known by everywhere. A client's own are kept when they are well formed. */
export function nameRequest(exchange: Exchange): void {
  const { head } = exchange.downstream;
  const requestId = head.get("x-request-id");
  exchange.requestId = requestId !== undefined && isRequestId(requestId) ? requestId : randomHex(16);
  const traceparent = head.get("traceparent");
  const traceId = traceparent === undefined ? undefined : traceIdOf(traceparent);
  if (traceId === undefined) return;
  exchange.traceId = traceId;
  exchange.traceparent = traceparent;
}

/** What is changed in the head on its way to an upstream. */
export function upstreamEdits(exchange: Exchange, uncoded: boolean): HeadEdits {
  const { context, downstream, origin } = exchange;
  const { head } = downstream;
  if (exchange.traceId === "") exchange.traceId = randomHex(16);
  const traceparent = exchange.traceparent ?? createTraceparent(exchange.traceId);
  const common = context.forwarding.linesFor(downstream, origin.trusted, exchange.via);
  let set = fieldLine("X-Request-ID", exchange.requestId) + fieldLine("traceparent", traceparent);
  // An answer whose quality is read must be readable.
  if (uncoded) set += IDENTITY_ONLY;
  // An absolute target overrules Host.
  const hosted = head.host !== "" && head.host !== head.get("host");
  if (hosted) set += fieldLine("Host", head.host);
  const drops = origin.trusted ? context.requestDrops.trusted : context.requestDrops.others;
  return { drop: dropOf(drops, uncoded, hosted), dropPrefix: OWN_PREFIX, common, set };
}

const IDENTITY_ONLY = fieldLine("Accept-Encoding", "identity");

function dropOf(drops: DropSets, uncoded: boolean, hosted: boolean): ReadonlySet<string> {
  if (hosted) return uncoded ? drops.uncodedHosted : drops.hosted;
  return uncoded ? drops.uncoded : drops.plain;
}

/** An upstream's answer, or our own (`from` undefined), with what we say of it. */
export function answerOf(exchange: Exchange, from: ResponseHead | undefined, now: number): AnswerHead {
  const { context, identity, served } = exchange;
  const tells = context.config.responseHeaders !== "none";
  let set = fieldLine("X-Request-ID", exchange.requestId);
  if (identity?.setCookie !== undefined) set += fieldLine("Set-Cookie", identity.setCookie);
  let common = NO_LINES;
  if (tells && served !== undefined) {
    const { story } = served.to;
    common = story.common(exchange.decision, exchange.rules, fallbackOf(exchange));
    set += story.timing(now - exchange.startedAt, (served.endedAt || now) - served.startedAt);
  } else if (tells) set += splitLines(exchange.decision, exchange.rules, fallbackOf(exchange));
  const edits = { drop: context.answerDrop, dropPrefix: OWN_PREFIX, common, set };
  return { status: from?.status ?? 200, reason: from?.reason ?? "", from, edits };
}

/** Speaks of the bytes that the upstream sent, which are others now. */
export const OF_THE_BYTES = [
  "content-type",
  "content-encoding",
  "etag",
  "last-modified",
  "accept-ranges",
  "content-md5",
  "digest",
  "content-digest",
  "repr-digest",
];
const JSON_LINE = fieldLine("Content-Type", "application/json");
const translatedDrops = new WeakMap<ReadonlySet<string>, ReadonlySet<string>>();

/** An upstream's answer whose body has been translated. */
export function translatedAnswer(exchange: Exchange, from: ResponseHead, status: number, now: number): AnswerHead {
  const answer = answerOf(exchange, from, now);
  const { edits } = answer;
  let drop = translatedDrops.get(edits.drop);
  if (drop === undefined) translatedDrops.set(edits.drop, (drop = new Set([...edits.drop, ...OF_THE_BYTES])));
  return { ...answer, status, reason: status === from.status ? answer.reason : "", edits: { ...edits, drop, set: edits.set + JSON_LINE } };
}

/** An answer that was given before under the same key. */
export function replayedAnswer(exchange: Exchange, status: number, fields: readonly string[], servedBy: string): AnswerHead {
  const answer = answerOf(exchange, undefined, performance.now());
  const tells = exchange.context.config.responseHeaders !== "none";
  let set = answer.edits.set + (tells ? servedLines(servedBy) : "") + fieldLine("X-Crossfade-Replayed", "true");
  for (let i = 0; i + 1 < fields.length; i += 2) set += fieldLine(fields[i] ?? "", fields[i + 1] ?? "");
  return { ...answer, status, edits: { ...answer.edits, set } };
}

function fallbackOf(exchange: Exchange): Fallback {
  return exchange.fellBack ?? (exchange.fallbackUnavailable ? "unavailable" : undefined);
}

/** The answer to a failure: problem details (RFC 9457) and Proxy-Status (RFC 9209). */
export function failureAnswer(
  exchange: Exchange,
  failure: FailureCode,
  detail: string,
  lines: string,
): { head: AnswerHead; body: Uint8Array } {
  // What went wrong behind us, with its addresses, is for those only who may see what is behind us.
  const internal = FAILURES[failure].source !== "downstream" && exchange.context.config.responseHeaders === "none";
  const answer = problemAnswer(exchange.context.config.name, failure, internal ? "" : detail, exchange.requestId, exchange.route?.dialect);
  const { edits } = answerOf(exchange, undefined, performance.now());
  const set = answer.head.edits.set + lines + edits.set;
  return { head: { ...answer.head, edits: { ...answer.head.edits, common: edits.common ?? NO_LINES, set } }, body: answer.body };
}

/** The same where there is no exchange. */
export function problemAnswer(
  name: string,
  failure: FailureCode,
  detail: string,
  requestId: string,
  dialect?: Dialect,
): { head: AnswerHead; body: Uint8Array } {
  const { status, title, proxyStatus } = FAILURES[failure];
  const problem = {
    type: "about:blank",
    title,
    status,
    code: failure,
    ...(detail === "" ? {} : { detail }),
    ...(requestId === "" ? {} : { request_id: requestId }),
  };
  let set = fieldLine("Content-Type", dialect === undefined ? "application/problem+json" : "application/json");
  if (proxyStatus !== undefined) set += fieldLine("Proxy-Status", `${name}; error=${proxyStatus}`);
  return {
    head: { status, reason: "", from: undefined, edits: { drop: new Set(), dropPrefix: undefined, set } },
    body: Buffer.from((dialect && errorIn(dialect, status, detail === "" ? title : `${title}: ${detail}`)) ?? JSON.stringify(problem)),
  };
}

/** An error in the only shape that clients of a dialect know; undefined where the dialect, which may be anybody's, cannot say it. */
function errorIn(dialect: Dialect, status: number, message: string): string | undefined {
  try {
    return JSON.stringify(dialect.writeError(status, message));
  } catch {
    return undefined;
  }
}

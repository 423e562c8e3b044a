import { FAILURES, type FailureCode } from "../core/failures.ts";
import { randomHex } from "../core/random-id.ts";
import { appendForwarding } from "../http/forwarded.ts";
import type { HeadEdits, ResponseHead } from "../http/head.ts";
import { createTraceparent, isRequestId, traceIdOf } from "../http/trace.ts";
import type { AnswerHead } from "../transport/transport.ts";
import type { Exchange } from "./exchange.ts";

/** Our own fields: nobody else's are passed on, either way. */
const OWN_PREFIX = "x-crossfade-";

/** Gives the request the id and the trace it is known by everywhere. A client's own are kept when they are well formed. */
export function nameRequest(exchange: Exchange): void {
  const { head } = exchange.downstream;
  const requestId = head.get("x-request-id");
  exchange.requestId = requestId !== undefined && isRequestId(requestId) ? requestId : randomHex(16);
  exchange.traceId = traceIdOf(head.get("traceparent") ?? "") ?? "";
}

/** What is changed in the head on its way to an upstream. */
export function upstreamEdits(exchange: Exchange, uncoded: boolean): HeadEdits {
  const { context, downstream, origin } = exchange;
  const { head } = downstream;
  const set: string[] = ["X-Request-ID", exchange.requestId];
  const given = exchange.traceId === "" ? undefined : head.get("traceparent");
  if (given === undefined) exchange.traceId = exchange.traceId || randomHex(16);
  set.push("traceparent", given ?? createTraceparent(exchange.traceId));
  appendForwarding(set, head, {
    peer: downstream.peer,
    trusted: origin.trusted,
    secure: downstream.secure,
    host: head.host,
    version: head.version,
    name: context.config.name,
  });
  const drops = origin.trusted ? context.requestDrops.trusted : context.requestDrops.others;
  // An answer whose quality is read must be readable.
  if (uncoded) set.push("Accept-Encoding", "identity");
  let drop = uncoded ? drops.uncoded : drops.plain;
  if (head.host !== "" && head.host !== head.get("host")) {
    drop = new Set([...drop, "host"]);
    set.push("Host", head.host);
  }
  return { drop, dropPrefix: OWN_PREFIX, set };
}

/** An upstream's answer, or our own (`from` undefined), with what we say of it. */
export function answerOf(exchange: Exchange, from: ResponseHead | undefined): AnswerHead {
  const set: string[] = [];
  appendStory(exchange, set);
  return {
    status: from?.status ?? 200,
    reason: from?.reason ?? "",
    from,
    edits: { drop: exchange.context.answerDrop, dropPrefix: OWN_PREFIX, set },
  };
}

/** The answer to a failure: problem details (RFC 9457) and Proxy-Status (RFC 9209). */
export function failureAnswer(
  exchange: Exchange,
  failure: FailureCode,
  detail: string,
  fields: readonly string[],
): { head: AnswerHead; body: Uint8Array } {
  // What went wrong behind us, with its addresses, is for those only who may see what is behind us.
  const internal = FAILURES[failure].source !== "downstream" && exchange.context.config.responseHeaders === "none";
  const answer = problemAnswer(exchange.context.config.name, failure, internal ? "" : detail, exchange.requestId);
  const set = [...answer.head.edits.set, ...fields];
  appendStory(exchange, set);
  return { head: { ...answer.head, edits: { ...answer.head.edits, set } }, body: answer.body };
}

/** The same where there is no exchange. */
export function problemAnswer(
  name: string,
  failure: FailureCode,
  detail: string,
  requestId: string,
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
  const set = ["Content-Type", "application/problem+json"];
  if (proxyStatus !== undefined) set.push("Proxy-Status", `${name}; error=${proxyStatus}`);
  return {
    head: { status, reason: "", from: undefined, edits: { drop: new Set(), dropPrefix: undefined, set } },
    body: Buffer.from(JSON.stringify(problem)),
  };
}

/** The request's id and the cookie of a user we do not know yet; then who decided what, for those who operate the split. */
function appendStory(exchange: Exchange, set: string[]): void {
  set.push("X-Request-ID", exchange.requestId);
  if (exchange.identity?.setCookie !== undefined) set.push("Set-Cookie", exchange.identity.setCookie);
  const { context, decision, rules, served } = exchange;
  if (context.config.responseHeaders === "none") return;
  if (decision !== undefined && rules !== undefined) {
    set.push("X-Crossfade-Arm", decision.arm, "X-Crossfade-Reason", decision.reason, "X-Crossfade-Revision", String(rules.revision));
  }
  const fallback = exchange.fellBack ?? (exchange.fallbackUnavailable ? "unavailable" : undefined);
  if (fallback !== undefined) set.push("X-Crossfade-Fallback", fallback);
  if (served === undefined) return;
  const { name } = served.to.backend;
  set.push("X-Crossfade-Served-By", name, "X-Service-Version", name);
  const now = performance.now();
  const upstreamMs = (served.endedAt || now) - served.startedAt;
  set.push("Server-Timing", `total;dur=${(now - exchange.startedAt).toFixed(1)}, upstream;desc="${name}";dur=${upstreamMs.toFixed(1)}`);
}

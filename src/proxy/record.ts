import { performance } from "node:perf_hooks";
import { pathOf } from "../http/target.ts";
import type { Context } from "./context.ts";
import type { Exchange } from "./exchange.ts";

/** Files a finished exchange: figures always, a line in the access log when it is sampled or worth one. */
export function record(exchange: Exchange, bytes: number): void {
  const { context, route, decision, downstream, attempts, status, outcome, fellBack } = exchange;
  const durationMs = performance.now() - exchange.startedAt;
  const segment = decision?.segment ?? -1;
  if (route === undefined) context.meters.malformed(status);
  else {
    const to = exchange.servedBy ?? attempts?.all.at(-1)?.to;
    context.meters.request(
      route.index,
      exchange.assigned,
      exchange.servedArm,
      segment,
      outcome,
      status,
      durationMs,
      to?.backend.index ?? -1,
    );
  }

  if (route !== undefined && decision !== undefined) {
    context.ledger?.record(
      exchange.requestId,
      Date.now(),
      route.index,
      exchange.assigned,
      exchange.servedArm,
      segment,
      exchange.identity?.key,
    );
  }

  const { accessLog, config } = context;
  const samplingBp = exchange.rules?.samplingBp ?? config.accessLog.samplingBp;
  if (!accessLog.wanted(samplingBp, outcome, fellBack !== undefined)) return;
  accessLog.write({
    requestId: exchange.requestId,
    traceId: exchange.traceId,
    method: downstream.head.method,
    path: pathOf(downstream.head.target),
    route: route?.name ?? "",
    assigned: exchange.assigned,
    served: exchange.servedArm,
    upstream: exchange.servedBy?.backend.name ?? "",
    reason: decision?.reason,
    fallback: fellBack,
    detail: exchange.detail,
    segment: exchange.rules?.segments[segment]?.name ?? "",
    revision: exchange.rules?.revision ?? 0,
    user: userInLog(exchange),
    status,
    outcome,
    attempts: attempts?.all.length ?? 0,
    durationMs,
    bytes,
    client: exchange.origin.client,
  });
}

/** A user is named in a log by a keyed digest, unless the configuration says otherwise. */
function userInLog(exchange: Exchange): string | undefined {
  const key = exchange.identity?.key;
  const { user } = exchange.context.config.accessLog;
  if (key === undefined || user === "none") return undefined;
  if (user === "plain") return key;
  return digestOf(exchange.context, key);
}

/** Those who come once come again: the digest of a key is made once as long as it is remembered. */
const REMEMBERED = 4_096;
/** Longer keys are not remembered, for clients choose them. */
const LONGEST_REMEMBERED = 128;

function digestOf({ keyedHash, digests }: Context, key: string): string {
  let digest = digests.get(key);
  if (digest !== undefined) return digest;
  digest = keyedHash.digest(key, "hex").slice(0, 16);
  if (key.length > LONGEST_REMEMBERED) return digest;
  if (digests.size >= REMEMBERED) digests.clear();
  // A copy: what was cut out of a longer text would keep all of it.
  digests.set(Buffer.from(key).toString(), digest);
  return digest;
}

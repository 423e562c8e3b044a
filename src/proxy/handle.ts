import type { FailureCode } from "../core/failures.ts";
import { originOf, hasPassed } from "../http/forwarded.ts";
import { decideArm } from "../rollout/decide.ts";
import { Attempts } from "./attempts.ts";
import type { Exchange } from "./exchange.ts";
import { identify } from "./identify.ts";
import { bodyToKeep, planOf } from "./plan.ts";
import { nameRequest } from "./respond.ts";
import { openUpgrade } from "./upgrade.ts";

/** The life of a request, first half: admit, route, identify, decide, read what must be kept. */
export function begin(exchange: Exchange): void {
  const { context, downstream } = exchange;
  const { head } = downstream;
  nameRequest(exchange);
  exchange.origin = originOf(head, downstream.peer, context.isTrusted);

  const refusal = downstream.refusal ?? loopRefusal(exchange);
  if (refusal !== undefined) return exchange.fail(refusal.failure, refusal.detail);

  const match = context.routes.find(head.method, head.target);
  if (match.kind === "no-route") return exchange.fail("no-route", "");
  if (match.kind === "method-not-allowed") return exchange.fail("method-not-allowed", "", ["Allow", match.allow]);
  const { route } = match;
  exchange.route = route;
  const { action } = route;
  if (action.kind === "respond") return exchange.reply(action.status, action.contentType, action.body);

  if (action.kind === "split") {
    const identified = identify(context.identity, head, exchange.origin, downstream.secure);
    if (identified.kind === "ambiguous") return exchange.fail("ambiguous-user", identified.where);
    exchange.identity = identified.identity;
    exchange.rules = context.rules[action.flag];
    if (exchange.rules !== undefined)
      exchange.decision = decideArm(exchange.rules, context.isKilled(action.flag), identified.identity.subject);
  }

  const limit = bodyToKeep(exchange, action);
  if (limit === 0) proceed(exchange);
  else downstream.keepBody(limit);
}

/** Second half: attempts, from which the answer comes. Recording follows when the client has it, or has left. */
export function proceed(exchange: Exchange): void {
  const { route, decision, downstream } = exchange;
  if (route === undefined) return;
  const plan = planOf(exchange, route.action);
  exchange.startClock();
  if (downstream.upgrade) return openUpgrade(exchange, plan);
  exchange.attempts = new Attempts(exchange, plan, route.index, decision?.segment ?? -1);
  exchange.fallbackUnavailable = plan.fallback !== undefined && exchange.idempotent && !exchange.attempts.armed;
  exchange.attempts.begin();
}

function loopRefusal(exchange: Exchange): { failure: FailureCode; detail: string } | undefined {
  const { name } = exchange.context.config;
  return hasPassed(exchange.downstream.head, name) ? { failure: "loop", detail: `Via names ${name}` } : undefined;
}

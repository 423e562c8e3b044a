import type { FailureCode } from "../core/failures.ts";
import { hasPassed, originOf, viaOf } from "../http/forwarded.ts";
import { fieldLine } from "../http/head.ts";
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
  if (match.kind === "method-not-allowed") return exchange.fail("method-not-allowed", "", fieldLine("Allow", match.allow));
  exchange.route = match;
  const { action } = match;
  if (action.kind === "respond") return exchange.reply(action.status, action.contentType, action.body);

  if (action.kind === "split") {
    const identified = identify(context.identity, head, exchange.origin, downstream.secure);
    if (typeof identified === "string") return exchange.fail("ambiguous-user", identified);
    const rules = context.rules[action.flag];
    exchange.identity = identified;
    exchange.rules = rules;
    if (rules !== undefined) exchange.decision = decideArm(rules, context.isKilled(action.flag), identified);
  }

  const plan = planOf(exchange, action);
  exchange.plan = plan;
  const limit = bodyToKeep(exchange, plan);
  if (limit === 0) proceed(exchange, exchange.startedAt);
  else downstream.keepBody(limit);
}

/** Second half: attempts, from which the answer comes. Recording follows when the client has it, or has left. */
export function proceed(exchange: Exchange, now: number): void {
  const { route, plan, decision, downstream } = exchange;
  if (route === undefined || plan === undefined) return;
  exchange.startClock(now);
  if (downstream.upgrade) return openUpgrade(exchange, plan);
  exchange.attempts = new Attempts(exchange, plan, route.index, decision?.segment ?? -1);
  exchange.fallbackUnavailable = plan.fallback !== undefined && exchange.idempotent && !exchange.attempts.armed;
  exchange.attempts.begin(now);
}

function loopRefusal(exchange: Exchange): { failure: FailureCode; detail: string } | undefined {
  const { name } = exchange.context.config;
  exchange.via = viaOf(exchange.downstream.head);
  return hasPassed(exchange.via, name) ? { failure: "loop", detail: `Via names ${name}` } : undefined;
}

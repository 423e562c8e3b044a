import { performance } from "node:perf_hooks";
import type { FailureCode } from "../core/failures.ts";
import { hasPassed, originOf, viaOf } from "../http/forwarded.ts";
import { fieldLine } from "../http/head.ts";
import { isJson } from "../resilience/json-valid.ts";
import { decideArm } from "../rollout/decide.ts";
import { Attempts } from "./attempts.ts";
import { idempotencyKeyOf, KeyClaim } from "./claim.ts";
import { firstMet } from "./conditions.ts";
import type { Exchange } from "./exchange.ts";
import { identify } from "./identify.ts";
import { bodyToKeep, forwardPlan, type Plan, planOf } from "./plan.ts";
import { nameRequest } from "./respond.ts";
import type { CompiledAction } from "./routes.ts";
import { say } from "./said.ts";
import { openUpgrade } from "./upgrade.ts";

/** The life of a request, first part: admit, route, identify, decide, read what must be kept. */
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
  exchange.mayRepeat = match.idempotent;
  const { action } = match;
  if (action.kind === "respond") return exchange.reply(action.status, action.contentType, action.body);

  if (action.kind === "split") {
    const identified = identify(context.identity, head, exchange.origin, downstream.secure);
    if (typeof identified === "string") return exchange.fail("ambiguous-user", identified);
    const rules = context.rules[action.flag];
    exchange.identity = identified;
    exchange.rules = rules;
    if (rules !== undefined) exchange.decision = decideArm(rules, context.isKilled(action.flag), identified);
    exchange.idempotencyKey = idempotencyKeyOf(exchange);
  }

  const plan = planOf(exchange, action, 0);
  exchange.plan = plan;
  const limit = bodyToKeep(exchange, plan);
  if (limit === 0) proceed(exchange, exchange.startedAt);
  else downstream.keepBody(limit);
}

/** Second part, when the body is at hand: whether it makes sense, which of the stable arms is meant, whether it was answered before. */
export function proceed(exchange: Exchange, now: number): void {
  const { route, downstream, idempotencyKey } = exchange;
  if (route === undefined || route.action.kind === "respond") return;
  exchange.startClock(now);
  const { body, head } = downstream;
  const kept = body.kind === "kept" ? body.bytes : undefined;
  // A backend that answers nonsense with an error of its own would be blamed for it.
  if (route.dialect !== undefined && kept !== undefined && !isJson(kept)) return exchange.fail("not-json", "");
  if (route.action.kind === "split" && route.action.conditions.length > 0) {
    exchange.plan = planOf(exchange, route.action, stableOf(exchange, route.action, firstMet(route.action.conditions, head, kept) + 1));
  }
  if (downstream.upgrade && exchange.plan !== undefined) return openUpgrade(exchange, planOfUpgrade(exchange, exchange.plan, now));
  if (idempotencyKey === undefined || body.kind === "stream") return attempt(exchange, now);
  exchange.claim = new KeyClaim(exchange, idempotencyKey);
  exchange.claim.ask(() => attempt(exchange, performance.now()));
}

/** The stable upstream that the conditions name, unless it cannot be told what is asked: then it is the usual one. */
function stableOf(exchange: Exchange, { plans }: Extract<CompiledAction, { kind: "split" }>, met: number): number {
  if (met === 0) return 0;
  return "unsayable" in say(exchange, plans.undecided(met).first) ? 0 : met;
}

/** Last part: attempts, from which the answer comes. Recording follows when the client has it, or has left. */
function attempt(exchange: Exchange, now: number): void {
  const { route, decision, plan: wanted } = exchange;
  if (route === undefined || wanted === undefined) return;
  let plan = wanted;
  let said = say(exchange, plan.first);
  if ("unsayable" in said) {
    if (plan.fallback === undefined) return exchange.fail("inexpressible", said.unsayable);
    divert(exchange, "dialect", said.unsayable);
    plan = forwardPlan(plan.fallback);
  } else plan = admitted(exchange, plan, now);
  if (plan !== wanted) said = say(exchange, plan.first);
  if ("unsayable" in said) return exchange.fail("inexpressible", said.unsayable);
  exchange.plan = plan;
  exchange.attempts = new Attempts(exchange, plan, route.index, decision?.segment ?? -1);
  exchange.fallbackUnavailable = plan.fallback !== undefined && exchange.mayRepeat && !exchange.attempts.armed;
  exchange.attempts.begin(said, now);
}

/** A tunnel is no probe, for nobody learns how it ends: it goes to the candidate only if that is trusted. */
function planOfUpgrade(exchange: Exchange, plan: Plan, now: number): Plan {
  const { guard, fallback } = plan;
  const mode = exchange.rules?.fallback.breaker;
  if (guard === undefined || fallback === undefined || mode === "closed" || (mode !== "open" && !guard.isOut(now))) return plan;
  divert(exchange, "breaker", "");
  return forwardPlan(fallback);
}

/** The plan, or the one without the candidate while its breaker is open. */
function admitted(exchange: Exchange, plan: Plan, now: number): Plan {
  const { guard, fallback } = plan;
  if (guard === undefined || fallback === undefined) return plan;
  const mode = exchange.rules?.fallback.breaker;
  const admission = mode === "open" ? "stable" : mode === "closed" ? guard.pass(now) : guard.admit(now);
  if (admission === "stable") {
    // Whoever cannot be told there is better asked of a candidate that is not trusted than not at all.
    if ("unsayable" in say(exchange, fallback)) return { ...plan, fallback: undefined, guard: undefined };
    divert(exchange, "breaker", "");
    return forwardPlan(fallback);
  }
  exchange.isProbe = admission === "probe";
  exchange.ticket = guard.ticket;
  return plan;
}

function divert(exchange: Exchange, reason: "breaker" | "dialect", detail: string): void {
  const { route, context } = exchange;
  exchange.diverted = reason;
  if (detail !== "") exchange.detail = detail;
  if (route !== undefined) context.meters.fallback(route.index, reason);
}

function loopRefusal(exchange: Exchange): { failure: FailureCode; detail: string } | undefined {
  const { name } = exchange.context.config;
  exchange.via = viaOf(exchange.downstream.head);
  return hasPassed(exchange.via, name) ? { failure: "loop", detail: `Via names ${name}` } : undefined;
}

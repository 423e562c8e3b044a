import { performance } from "node:perf_hooks";
import { Deadline, type Expiring } from "../core/deadlines.ts";
import type { FallbackReason, Outcome } from "../core/words.ts";
import type { FailureCode } from "../core/failures.ts";
import type { AttemptEnd, Urgency } from "../resilience/arm-guard.ts";
import type { Verdict } from "../resilience/assess.ts";
import { mayRetry, maySendAgain, type Means } from "../resilience/retry.ts";
import type { CallFailure } from "../transport/transport.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptOwner, Send } from "./attempt-owner.ts";
import type { Context } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import type { Plan } from "./plan.ts";
import type { Destination } from "./routes.ts";
import { say, type Said } from "./said.ts";

/** How often a request that waits for room in the budget looks for it. */
const BUDGET_LOOK_MS = 8;
/** Once one has waited so long in vain, the breaker opens. */
const BUDGET_PATIENCE_MS = 100;

/**
 * The sends of one exchange, and which of their answers its client gets.
 *
 * Armed (a fallback is wanted and the request may be sent twice): the first answer is held until it is complete and judged. Late, failed or
 * not good enough, the fallback is asked, if the budget allows; a late attempt is left to finish, and is still used if the fallback fails too. With a
 * hedge the fallback is asked before that, beside the first, and the first good answer wins. Not armed: the first answer goes to the client as it
 * comes, and only a send that provably did nothing is made again elsewhere.
 */
export class Attempts implements AttemptOwner, Expiring {
  readonly context: Context;
  readonly routeIndex: number;
  readonly segment: number;
  readonly method: string;
  readonly floorBp: number;
  readonly all: Attempt[] = [];
  /** Why the fallback was asked. */
  fellBack: FallbackReason | undefined;
  /** In words, what was wrong with the attempt that was not served. */
  detail: string | undefined;
  readonly armed: boolean;
  readonly #exchange: Exchange;
  readonly #plan: Plan;
  /** Of the hedge; then, while the budget is spent, of the next look at it. */
  #deadline: Deadline | undefined;
  /** Why the fallback is wanted, since when, though it cannot be asked (yet). */
  #wanted: { readonly reason: FallbackReason; readonly detail: string; readonly since: number } | undefined;
  #fallback: Destination | undefined;
  #timedOut = false;

  constructor(exchange: Exchange, plan: Plan, routeIndex: number, segment: number) {
    this.context = exchange.context;
    this.routeIndex = routeIndex;
    this.segment = segment;
    this.method = exchange.downstream.head.method;
    this.floorBp = plan.floorBp;
    this.#exchange = exchange;
    this.#plan = plan;
    this.#fallback = plan.fallback;
    this.armed = plan.fallback !== undefined && exchange.mayRepeat && exchange.downstream.body.kind !== "stream";
  }

  get answered(): boolean {
    return this.#exchange.answered;
  }

  get keepsAnswer(): boolean {
    return this.#exchange.claim !== undefined;
  }

  /** `said`: the request in the words of the first. */
  begin(said: Said, now: number): void {
    const { guard, hedge, responseTimeMs } = this.#plan;
    if (this.armed && hedge && guard !== undefined) {
      const after = guard.hedgeAfter(now);
      if (after < responseTimeMs) this.#wakeAfter(after, now);
    }
    this.#send({ to: this.#plan.first, said, kind: this.#exchange.isProbe ? "probe" : "first" }, now);
  }

  /** The client has left: nobody waits for anything. */
  abandon(): void {
    this.#stopWaiting();
    for (const attempt of this.all) attempt.cancel("cancelled");
  }

  /** The route's time is up. What lost before may go on being observed. */
  timeOut(): void {
    const now = performance.now();
    this.#timedOut = true;
    this.#fallback = undefined;
    this.#stopWaiting();
    for (const attempt of this.all) {
      if (attempt.mode === "observed") continue;
      // One that was begun when little time was left is not to blame for that.
      if (attempt.to === this.#plan.first || now - attempt.startedAt >= this.#plan.responseTimeMs) attempt.blame();
      attempt.cancel("timeout");
    }
    this.#settle();
  }

  /** The first has taken so long that the fallback is started beside it; or the budget, which was spent, may have room again. */
  expired(now: number): void {
    if (this.answered || this.fellBack !== undefined) return;
    if (this.#wanted === undefined) {
      const fallback = this.#reserve(now, "optional");
      if (fallback !== undefined) this.#send({ ...fallback, kind: "hedge" }, now);
      return;
    }
    const { reason, detail } = this.#wanted;
    if (!this.#fallBack(reason, detail)) return;
    for (const attempt of this.all) if (attempt.to === this.#plan.first) attempt.observe();
  }

  attemptInformed(_attempt: Attempt, status: number, fields: readonly string[]): void {
    this.#exchange.downstream.inform(status, fields);
  }

  attemptStarted(attempt: Attempt): void {
    this.#exchange.start(attempt);
  }

  attemptOverflowed(attempt: Attempt): boolean {
    if (this.#exchange.answered) return false;
    const status = attempt.head?.status ?? 0;
    // Its status is judgement enough: an error does not become an answer by being long.
    if (status >= 500 && this.#mayFallBackFrom(attempt) && this.#fallBack("error", `status ${status}`)) {
      attempt.observe();
      return false;
    }
    if (status >= 500 && this.#hasBetter(attempt)) {
      attempt.cancel("server-error");
      this.#settle();
      return false;
    }
    this.#noteHedge(attempt);
    this.#yield(attempt);
    this.#exchange.start(attempt);
    return true;
  }

  attemptData(attempt: Attempt, chunk: Uint8Array): void {
    this.#exchange.forward(attempt, chunk);
  }

  attemptLate(attempt: Attempt): void {
    if (this.#exchange.answered) return;
    // Without anybody else to wait for, its own answer is all that can be had, however late.
    if (this.#fallBack("latency", `no complete answer within ${this.#plan.responseTimeMs} ms`)) attempt.observe();
  }

  attemptEnded(attempt: Attempt): void {
    if (attempt.mode === "streaming") {
      if (this.#exchange.served === attempt) this.#exchange.finish(attempt);
      else this.#exchange.respond(attempt, attempt.endedAt);
      return;
    }
    if (this.#exchange.answered) return;
    const { verdict } = attempt;
    if (attempt.mode === "observed" || verdict === undefined) this.#settle();
    else if (verdict.good) this.#serve(attempt, attempt.endedAt);
    else if (!this.#mayFallBackFrom(attempt) || !this.#fallBack(verdict.reason, wordsFor(verdict))) this.#settle();
  }

  attemptFailed(attempt: Attempt, failure: CallFailure): void {
    const failed = { kind: failure.kind, reuseRace: failure.kind === "reset" && attempt.reused && attempt.head === undefined };
    const means = this.#means();
    const isWaitedFor = !this.#exchange.answered && attempt.mode !== "observed";
    const endpoints = attempt.to.backend.config.endpoints.length;
    if (isWaitedFor && mayRetry(failed, means, { done: attempt.retries, endpoints })) {
      // What is made again is judged by how that ends.
      this.detail = failure.detail;
      this.#send({ to: attempt.to, said: attempt.said, kind: "retry", again: attempt, fresh: failed.reuseRace }, performance.now());
      return;
    }
    this.#report(attempt, failure.kind);
    if (attempt.mode === "streaming" && this.#exchange.answered) this.#exchange.breakOff(failure.kind, failure.detail);
    else if (attempt.mode === "observed") this.#settle();
    else if (isWaitedFor) {
      if (attempt.to === this.#plan.first && maySendAgain(failed, means) && this.#fallBack("error", failure.detail)) return;
      this.detail = failure.detail;
      this.#settle();
    }
  }

  attemptClosed(attempt: Attempt, outcome: Outcome): void {
    this.#report(attempt, outcome);
  }

  /** Tells those who count over many requests. */
  #report(attempt: Attempt, outcome: Outcome): void {
    const { guard, limits, first, responseTimeMs } = this.#plan;
    if (guard === undefined) return;
    const { endedAt } = attempt;
    if (attempt.isExtra) guard.release(endedAt);
    if (attempt.to !== first) return;
    const tookMs = endedAt - attempt.startedAt;
    const { isProbe, ticket } = this.#exchange;
    const isLate = isProbe && this.armed && tookMs > responseTimeMs && (outcome === "ok" || attempt.unobserved);
    const end = isLate ? "late" : endOf(attempt, outcome);
    guard.record(endedAt, limits, end, isProbe, ticket);
    if (end !== "unjudged" && end !== "unreachable") guard.observe(tookMs, endedAt);
  }

  /** Whether an answer that is not good enough may be asked for elsewhere: the request has been processed once. */
  #mayFallBackFrom(attempt: Attempt): boolean {
    return this.armed && attempt.to === this.#plan.first;
  }

  /** Whether another answer is at hand, or may still come, that an error must not stand in the way of. */
  #hasBetter(attempt: Attempt): boolean {
    const best = bestOf(this.all);
    const usable = best !== undefined && best.verdict?.outcome !== "server-error";
    return usable || this.all.some((other) => other !== attempt && other.state === "open");
  }

  #means(): Means {
    const { body } = this.#exchange.downstream;
    return { idempotent: this.#exchange.mayRepeat, replayable: body.kind !== "stream" || !this.all.some((attempt) => attempt.sent) };
  }

  /** The fallback, if it can be asked: there is one, it can be told what is wanted, and the budget has room. Whoever gets it must ask it. */
  #reserve(now: number, urgency: Urgency): { readonly to: Destination; readonly said: Said } | undefined {
    const to = this.#fallback;
    if (to === undefined) return undefined;
    const said = say(this.#exchange, to);
    const { guard, limits } = this.#plan;
    if ("unsayable" in said) this.#fallback = undefined;
    else if (guard === undefined || guard.takeExtra(now, limits, this.#isStalled(now) ? "optional" : urgency, this.#exchange.ticket)) {
      this.#fallback = undefined;
      return { to, said };
    }
    return undefined;
  }

  /** What is wanted because this thread was held up says nothing about the candidate. */
  #isStalled(now: number): boolean {
    const [first] = this.all;
    return first !== undefined && this.context.deadlines.wasStalled(first.startedAt, now);
  }

  /** Whether somebody else is asked now, or has been already and may still answer. */
  #fallBack(reason: FallbackReason, detail: string): boolean {
    const now = performance.now();
    const hedged = this.all.some((attempt) => attempt.purpose === "hedge" && attempt.state === "open");
    const since = this.#wanted?.since ?? now;
    // A budget that is only short for a moment is no reason to do without the candidate.
    const fallback = hedged ? undefined : this.#reserve(now, now - since < BUDGET_PATIENCE_MS ? "needed" : "overdue");
    if (!hedged && fallback === undefined) {
      this.detail ??= detail;
      this.#wanted = { reason, detail, since };
      this.#exchange.fallbackUnavailable = this.armed;
      // Nobody is turned away for want of budget: whoever waits gets what falls free.
      if (this.#fallback !== undefined) this.#wakeAfter(BUDGET_LOOK_MS, now);
      return false;
    }
    this.#note(reason, detail);
    if (fallback !== undefined) this.#send({ ...fallback, kind: "fallback" }, now);
    return true;
  }

  #note(reason: FallbackReason, detail: string): void {
    this.#stopWaiting();
    if (this.fellBack !== undefined) return;
    this.fellBack = reason;
    this.detail = detail;
    this.#exchange.fallbackUnavailable = false;
    this.context.meters.fallback(this.routeIndex, reason);
  }

  /** A hedge that answers has been a fallback, if one was wanted meanwhile. */
  #noteHedge(attempt: Attempt): void {
    if (attempt.purpose === "hedge") this.#note(this.#wanted?.reason ?? "hedge", this.#wanted?.detail ?? "the stable arm was quicker");
  }

  #send(send: Send, now: number): void {
    const { to, said, fresh = false } = send;
    const isHeld = this.armed || said.translated !== undefined;
    const attempt = new Attempt(this, send, isHeld ? "held" : "streaming", now);
    this.all.push(attempt);
    if (this.armed && to === this.#plan.first) {
      const first = this.all[0] ?? attempt;
      this.context.deadlines.set(attempt.deadline, Math.max(0, this.#plan.responseTimeMs - (now - first.startedAt)), now);
    }
    const call = to.backend.upstream.send(this.#exchange.requestFor(to, said, this.armed, fresh), attempt);
    attempt.call = call;
    // A body that turned out to be malformed as it was sent has ended the attempt before there was a call to cancel.
    if (attempt.state === "failed") call.cancel();
  }

  #serve(attempt: Attempt, now: number): void {
    this.#noteHedge(attempt);
    this.#yield(attempt);
    this.#exchange.respond(attempt, now);
  }

  /** The others have lost. */
  #yield(to: Attempt): void {
    this.#stopWaiting();
    for (const other of this.all) if (other !== to) other.observe();
  }

  #wakeAfter(ms: number, now: number): void {
    this.#deadline ??= new Deadline(this);
    this.context.deadlines.set(this.#deadline, ms, now);
  }

  #stopWaiting(): void {
    this.#wanted = undefined;
    if (this.#deadline !== undefined) this.context.deadlines.clear(this.#deadline);
  }

  /** Nobody else can be asked. Waits for what is still open; then serves the best there is. */
  #settle(): void {
    if (this.#exchange.answered) return;
    const open = this.all.some((attempt) => attempt.state === "open");
    if (this.#fallback !== undefined && this.fellBack === undefined && open) return;
    const best = bestOf(this.all);
    if (best?.verdict?.good) {
      // A late answer of the loser is no match for a winner that is still on its way.
      if (this.all.some((attempt) => attempt.state === "open" && attempt.mode === "held")) return;
      this.#serve(best, performance.now());
      return;
    }
    if (!this.#timedOut && (open || (this.#wanted !== undefined && this.#fallback !== undefined))) return;
    if (best !== undefined) this.#serve(best, performance.now());
    else {
      this.#stopWaiting();
      this.#exchange.fail(this.#failureCode(), this.detail ?? "");
    }
  }

  #failureCode(): FailureCode {
    if (this.#timedOut) return "upstream-timeout";
    const failures = this.all.map((attempt) => attempt.failure?.kind).filter((kind) => kind !== undefined);
    return failures.length > 0 && failures.every((kind) => kind === "connect-failed") ? "upstream-unreachable" : "upstream-failed";
  }
}

/** What was wrong, by the name of the sign if it was one. */
function wordsFor({ sign, detail }: Extract<Verdict, { good: false }>): string {
  return sign === undefined || sign === "quality" ? detail : `${sign}: ${detail}`;
}

/** What a breaker is told of an attempt. */
function endOf({ verdict, stalled, unobserved }: Attempt, outcome: Outcome): AttemptEnd {
  if (stalled || unobserved) return "unjudged";
  switch (outcome) {
    case "ok":
      return "ok";
    case "connect-failed":
      return "unreachable";
    case "cancelled":
    case "refused":
      return "unjudged";
    default:
      return verdict !== undefined && !verdict.good && verdict.sign === "quality" ? "bad-quality" : "error";
  }
}

/** Good before merely complete, complete before an error; the later send wins a tie, for it was asked because of the first. */
function bestOf(attempts: readonly Attempt[]): Attempt | undefined {
  let best: Attempt | undefined;
  let bestRank = 0;
  for (const attempt of attempts) {
    const rank =
      attempt.servable && attempt.isSayable ? (attempt.verdict?.good ? 3 : attempt.verdict?.outcome === "server-error" ? 1 : 2) : 0;
    if (rank > 0 && rank >= bestRank) [best, bestRank] = [attempt, rank];
  }
  return best;
}

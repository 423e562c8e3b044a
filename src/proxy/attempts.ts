import { performance } from "node:perf_hooks";
import type { AttemptKind, FallbackReason } from "../core/words.ts";
import type { FailureCode } from "../core/failures.ts";
import { mayRetry, maySendAgain, type Means } from "../resilience/retry.ts";
import type { CallFailure } from "../transport/transport.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import type { Context } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import type { Plan } from "./plan.ts";
import type { Destination } from "./routes.ts";

/**
 * The sends of one exchange, and which of their answers its client gets.
 *
 * Armed (a fallback is wanted and the request may be sent twice): the first answer is held until it is complete and judged. Late, failed or
 * not good enough, the fallback is asked; a late attempt is left to finish, and is still used if the fallback fails too. Not armed: the
 * first answer goes to the client as it comes, and only a send that provably did nothing is made again elsewhere.
 */
export class Attempts implements AttemptOwner {
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
  #fallback: Destination | undefined;
  #retries = 0;
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
    this.armed = plan.fallback !== undefined && exchange.idempotent && exchange.downstream.body.kind !== "stream";
  }

  get answered(): boolean {
    return this.#exchange.answered;
  }

  begin(now: number): void {
    this.#send(this.#plan.first, "first", false, now);
  }

  /** The client has left: nobody waits for anything. */
  abandon(): void {
    for (const attempt of this.all) attempt.cancel("cancelled");
  }

  /** The route's time is up. What lost before may go on being observed. */
  timeOut(): void {
    this.#timedOut = true;
    this.#fallback = undefined;
    for (const attempt of this.all) if (attempt.mode !== "observed") attempt.cancel("timeout");
    this.#settle();
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
    if (status >= 500 && this.#fallback !== undefined) {
      attempt.observe();
      this.#fallBack("error", `status ${status}`);
      return false;
    }
    for (const other of this.all) if (other !== attempt) other.observe();
    this.#exchange.start(attempt);
    return true;
  }

  attemptData(attempt: Attempt, chunk: Uint8Array): void {
    this.#exchange.forward(attempt, chunk);
  }

  attemptLate(attempt: Attempt): void {
    if (this.#exchange.answered) return;
    attempt.observe();
    this.#fallBack("latency", `no complete answer within ${this.#plan.responseTimeMs} ms`);
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
    else if (this.#fallback !== undefined) this.#fallBack(verdict.reason, verdict.detail);
    else this.#settle();
  }

  attemptFailed(attempt: Attempt, failure: CallFailure): void {
    if (attempt.mode === "streaming" && this.#exchange.answered) {
      this.#exchange.breakOff(failure.kind, failure.detail);
      return;
    }
    if (this.#exchange.answered) return;
    if (attempt.mode === "observed") {
      this.#settle();
      return;
    }
    const failed = { kind: failure.kind, reuseRace: failure.kind === "reset" && attempt.reused && attempt.head === undefined };
    const means = this.#means();
    const endpoints = attempt.to.backend.config.endpoints.length;
    if (mayRetry(failed, means, { done: this.#retries, endpoints })) {
      this.#retries++;
      this.detail = failure.detail;
      this.#send(attempt.to, "retry", failed.reuseRace, performance.now());
    } else if (this.#fallback !== undefined && maySendAgain(failed, means)) this.#fallBack("error", failure.detail);
    else {
      this.detail = failure.detail;
      this.#settle();
    }
  }

  #means(): Means {
    const { body } = this.#exchange.downstream;
    return { idempotent: this.#exchange.idempotent, replayable: body.kind !== "stream" || !this.all.some((attempt) => attempt.sent) };
  }

  #fallBack(reason: FallbackReason, detail: string): void {
    const to = this.#fallback;
    if (to === undefined) return;
    this.#fallback = undefined;
    this.#retries = 0;
    this.fellBack = reason;
    this.detail = detail;
    this.context.meters.fallback(this.routeIndex, reason);
    this.#send(to, "fallback", false, performance.now());
  }

  #send(to: Destination, kind: AttemptKind, fresh: boolean, now: number): void {
    const attempt = new Attempt(this, to, kind, this.armed ? "held" : "streaming", now);
    this.all.push(attempt);
    if (this.armed && to === this.#plan.first) {
      const first = this.all[0] ?? attempt;
      this.context.deadlines.set(attempt.deadline, Math.max(0, this.#plan.responseTimeMs - (now - first.startedAt)), now);
    }
    const call = to.backend.upstream.send(this.#exchange.requestFor(to, this.armed, fresh), attempt);
    attempt.call = call;
    // A body that turned out to be malformed as it was sent has ended the attempt before there was a call to cancel.
    if (attempt.state === "failed") call.cancel();
  }

  #serve(attempt: Attempt, now: number): void {
    for (const other of this.all) if (other !== attempt) other.observe();
    this.#exchange.respond(attempt, now);
  }

  /** Nobody else can be asked. Waits for what is still open; then serves the best there is. */
  #settle(): void {
    if (this.#exchange.answered) return;
    if (this.#fallback !== undefined && this.fellBack === undefined && this.all.some((attempt) => attempt.state === "open")) return;
    const best = bestOf(this.all);
    if (best?.verdict?.good) {
      // A late answer of the loser is no match for a winner that is still on its way.
      if (this.all.some((attempt) => attempt.state === "open" && attempt.mode === "held")) return;
      this.#serve(best, performance.now());
      return;
    }
    if (!this.#timedOut && this.all.some((attempt) => attempt.state === "open")) return;
    if (best !== undefined) this.#serve(best, performance.now());
    else this.#exchange.fail(this.#failureCode(), this.detail ?? "");
  }

  #failureCode(): FailureCode {
    if (this.#timedOut) return "upstream-timeout";
    const failures = this.all.map((attempt) => attempt.failure?.kind).filter((kind) => kind !== undefined);
    return failures.length > 0 && failures.every((kind) => kind === "connect-failed") ? "upstream-unreachable" : "upstream-failed";
  }
}

/** Good before merely complete, complete before an error; the later send wins a tie, for it was asked because of the first. */
function bestOf(attempts: readonly Attempt[]): Attempt | undefined {
  let best: Attempt | undefined;
  let bestRank = 0;
  for (const attempt of attempts) {
    const rank = attempt.servable ? (attempt.verdict?.good ? 3 : attempt.verdict?.outcome === "server-error" ? 1 : 2) : 0;
    if (rank > 0 && rank >= bestRank) [best, bestRank] = [attempt, rank];
  }
  return best;
}

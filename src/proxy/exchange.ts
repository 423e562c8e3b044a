import { performance } from "node:perf_hooks";
import { Deadline, type Expiring } from "../core/deadlines.ts";
import type { FailureCode } from "../core/failures.ts";
import { FAILURES } from "../core/failures.ts";
import type { Arm, FallbackReason, Outcome } from "../core/words.ts";
import type { Origin } from "../http/forwarded.ts";
import { fieldLine, type ResponseHead } from "../http/head.ts";
import type { Decision, Rules } from "../rollout/rules.ts";
import type { Downstream, DownstreamHandler, UpstreamRequest } from "../transport/transport.ts";
import type { Attempt } from "./attempt.ts";
import type { Attempts } from "./attempts.ts";
import type { KeyClaim } from "./claim.ts";
import type { Context } from "./context.ts";
import { begin, proceed } from "./handle.ts";
import type { Identity } from "./identify.ts";
import type { KeptAnswer } from "./keyed-answers.ts";
import type { Plan } from "./plan.ts";
import { record } from "./record.ts";
import { answerOf, failureAnswer, replayedAnswer, translatedAnswer, upstreamEdits } from "./respond.ts";
import type { CompiledRoute, Destination } from "./routes.ts";
import type { Said, Unsayable } from "./said.ts";
import type { Upgrade } from "./upgrade.ts";

/** One request with its story: what was read, decided, tried and answered. The only object that travels. */
export class Exchange implements Expiring, DownstreamHandler {
  readonly context: Context;
  readonly downstream: Downstream;
  readonly startedAt = performance.now();
  requestId = "";
  traceId = "";
  /** The client's own, if it is well formed. */
  traceparent: string | undefined;
  /** The proxies that the request has passed, as one Via field. */
  via = "";
  origin: Origin = { client: "", trusted: false };
  route: CompiledRoute | undefined;
  rules: Rules | undefined;
  decision: Decision | undefined;
  identity: Identity | undefined;
  plan: Plan | undefined;
  attempts: Attempts | undefined;
  /** Carries the connection of a request to change protocols. */
  upgrade: Upgrade | undefined;
  /** Whose answer the client gets. */
  served: Attempt | undefined;
  servedBy: Destination | undefined;
  failure: FailureCode | undefined;
  detail: string | undefined;
  /** Status the client saw; 499 if it left. */
  status = 0;
  outcome: Outcome = "ok";
  /** An answer has been begun; there is no other from here on. */
  answered = false;
  /** The fallback that was wanted cannot be had: the body is too long to be kept, or not to be said in its words, or the budget is spent. */
  fallbackUnavailable = false;
  /** Why the other arm was asked in the first place, though the split said otherwise. */
  diverted: FallbackReason | undefined;
  /** It may be sent to a second backend: the route says so, or its answer is remembered under its key. */
  mayRepeat = false;
  idempotencyKey: string | undefined;
  #said: Map<Destination, Said | Unsayable> | undefined;
  claim: KeyClaim | undefined;
  /** What the breaker said of it: whether it is one that tries out an arm, and what stands for its admission. */
  isProbe = false;
  ticket = 0;
  /** The client has its answer, or has left. */
  ended = false;
  /** Nothing has been waited for yet: it is still `startedAt`. */
  #beginning = true;
  readonly #deadline = new Deadline(this);
  #paused = false;
  #recorded = false;

  constructor(context: Context, downstream: Downstream) {
    this.context = context;
    this.downstream = downstream;
  }

  get assigned(): Arm {
    return this.decision?.arm ?? "none";
  }

  /** Why the other arm was asked, if it was. */
  get fellBack(): FallbackReason | undefined {
    return this.attempts?.fellBack ?? this.upgrade?.fellBack ?? this.diverted;
  }

  get servedArm(): Arm {
    return this.servedBy?.arm ?? "none";
  }

  onBegin(): void {
    begin(this);
    this.#beginning = false;
  }

  onBody(): void {
    if (!this.answered && !this.ended) proceed(this, this.#beginning ? this.startedAt : performance.now());
  }

  onBodyFailed(failure: FailureCode): void {
    this.attempts?.abandon();
    if (this.answered) this.downstream.abort();
    else this.fail(failure, "while reading the body");
  }

  onGone(): void {
    this.context.deadlines.clear(this.#deadline);
    this.attempts?.abandon();
    this.upgrade?.cancel();
    this.status = 499;
    this.outcome = this.outcome === "ok" ? "cancelled" : this.outcome;
    this.#record(0);
  }

  onDrain(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#wait();
    this.served?.call?.resume();
  }

  onAnswered(bytes: number): void {
    this.context.deadlines.clear(this.#deadline);
    this.#record(bytes);
  }

  /** The route's time is up; or, once the answer flows, one side has been silent for too long. */
  expired(now: number): void {
    if (this.answered) {
      this.#stall();
      return;
    }
    // While the body still comes the upstream cannot answer; what it does not read does not come.
    const left = this.downstream.bodyReadAt + (this.route?.timeoutMs ?? 0) - now;
    if (left > 0) this.context.deadlines.set(this.#deadline, Math.ceil(left), now);
    else if (this.upgrade !== undefined) {
      this.upgrade.cancel();
      this.fail("upstream-timeout", "");
    } else if (this.attempts === undefined) this.fail("upstream-timeout", "nothing could be sent in time");
    else this.attempts.timeOut();
  }

  /** Its body by destination, as far as it has been translated. */
  get said(): Map<Destination, Said | Unsayable> {
    return (this.#said ??= new Map());
  }

  /** Begins to count the route's time. */
  startClock(now: number): void {
    this.#wait(now);
  }

  /** The request as an upstream is to see it. */
  requestFor(to: Destination, { body, translated }: Said, isHeld: boolean, fresh: boolean): UpstreamRequest {
    const { downstream } = this;
    const { head } = downstream;
    const edits = upstreamEdits(this, translated !== undefined || (isHeld && to.backend.judge !== undefined));
    return { method: head.method, target: to.targetFor(head.target), from: head, edits, body, downstream, fresh };
  }

  /** Gives the client a complete answer. */
  respond(attempt: Attempt, now: number): void {
    const { head } = attempt;
    if (this.answered || head === undefined) return;
    if (attempt.said.translated !== undefined) return this.#respondTranslated(attempt, head, now);
    this.#serve(attempt, head.status);
    this.context.deadlines.clear(this.#deadline);
    this.claim?.settle(head, head.status, attempt.body, attempt.to.backend.name);
    const bodyless = head.status === 304 || this.downstream.head.method === "HEAD";
    this.downstream.respond(answerOf(this, head, now), bodyless ? undefined : attempt.body, attempt.trailers, attempt.bodyLasts);
  }

  #respondTranslated(attempt: Attempt, head: ResponseHead, now: number): void {
    const translated = attempt.translateAnyway();
    if (translated === undefined) {
      const detail = attempt.verdict?.good === false ? attempt.verdict.detail : "the answer cannot be said in the client's words";
      return this.fail("upstream-failed", detail);
    }
    this.#serve(attempt, translated.status);
    this.context.deadlines.clear(this.#deadline);
    this.claim?.settle(head, translated.status, translated.body, attempt.to.backend.name, true);
    this.downstream.respond(translatedAnswer(this, head, translated.status, now), translated.body, attempt.trailers, true);
  }

  /** Gives the client an answer that was remembered. */
  replay({ status, fields, body, servedBy }: KeptAnswer): void {
    this.answered = true;
    this.status = status;
    this.context.deadlines.clear(this.#deadline);
    this.downstream.respond(replayedAnswer(this, status, fields, servedBy), body, [], true);
  }

  /** Begins an answer that is passed on as it comes. */
  start(attempt: Attempt): void {
    const { head } = attempt;
    if (this.answered || head === undefined) return;
    const now = performance.now();
    this.#serve(attempt, head.status);
    this.#wait(now);
    this.downstream.start(answerOf(this, head, now));
  }

  forward(attempt: Attempt, chunk: Uint8Array): void {
    if (this.served !== attempt) return;
    if (!this.downstream.write(chunk) && this.downstream.open) {
      this.#paused = true;
      attempt.call?.pause();
    }
    this.#wait();
  }

  finish(attempt: Attempt): void {
    if (this.served !== attempt) return;
    this.context.deadlines.clear(this.#deadline);
    this.claim?.settle(attempt.head, this.status, attempt.copy, attempt.to.backend.name);
    this.downstream.end(attempt.trailers);
  }

  /** The answer cannot be completed: the client must see that it is cut. It is filed as what it was, not as a client that left. */
  breakOff(outcome: Outcome, detail: string): void {
    this.outcome = outcome;
    this.detail = detail;
    this.attempts?.abandon();
    this.#record(0);
    this.downstream.abort();
  }

  /** Answers with a failure of the table; `lines` are field lines of its own. */
  fail(failure: FailureCode, detail: string, lines = ""): void {
    if (this.answered) return;
    this.answered = true;
    this.context.deadlines.clear(this.#deadline);
    this.failure = failure;
    this.detail = detail === "" ? undefined : detail;
    this.status = FAILURES[failure].status;
    this.outcome = outcomeOf(failure);
    this.claim?.free();
    const { head, body } = failureAnswer(this, failure, detail, lines);
    this.downstream.respond(head, body, []);
  }

  /** Answers by the configuration itself. */
  reply(status: number, contentType: string, body: Uint8Array): void {
    this.answered = true;
    this.status = status;
    const { edits } = answerOf(this, undefined, performance.now());
    const set = edits.set + fieldLine("Content-Type", contentType);
    this.downstream.respond({ status, reason: "", from: undefined, edits: { ...edits, set } }, body, []);
  }

  /** The connection has been handed over, or refused by the upstream in its own words. */
  tunnelOpened(by: Destination, status: number): void {
    this.answered = true;
    this.context.deadlines.clear(this.#deadline);
    this.servedBy = by;
    this.status = status;
    this.outcome = status >= 500 ? "server-error" : "ok";
    this.#record(0);
  }

  #stall(): void {
    if (this.#paused) {
      this.status = 499;
      this.breakOff("cancelled", "the client stopped reading");
    } else {
      this.served?.blame();
      this.served?.cancel("timeout");
      this.breakOff("timeout", "the upstream stopped sending");
    }
  }

  #serve(attempt: Attempt, status: number): void {
    this.answered = true;
    this.served = attempt;
    this.servedBy = attempt.to;
    this.status = status;
    this.outcome = status >= 500 ? "server-error" : "ok";
    this.detail = this.attempts?.detail;
  }

  /** Sets the deadline anew: it is the upstream's while we wait for bytes, the client's while it does not take them. */
  #wait(now = performance.now()): void {
    const ms = this.#paused ? this.context.config.limits.bodyTimeoutMs : (this.route?.timeoutMs ?? 0);
    if (ms > 0) this.context.deadlines.set(this.#deadline, ms, now);
  }

  /** An answer that was begun has been processed, though nobody had all of it: its key must not be used for another try. */
  #letGoOfKey(): void {
    const head = this.served?.head;
    if (head === undefined) this.claim?.free();
    else this.claim?.settle(head, head.status, undefined, this.servedBy?.backend.name ?? "");
  }

  #record(bytes: number): void {
    this.ended = true;
    if (this.#recorded) return;
    this.#recorded = true;
    this.#letGoOfKey();
    record(this, bytes);
  }
}

function outcomeOf(failure: FailureCode): Outcome {
  switch (failure) {
    case "upstream-timeout":
      return "timeout";
    case "upstream-unreachable":
      return "connect-failed";
    case "upstream-failed":
      return "reset";
    case "internal":
      return "server-error";
    default:
      return "refused";
  }
}

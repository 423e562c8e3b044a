import { performance } from "node:perf_hooks";
import { Deadline, type Expiring } from "../core/deadlines.ts";
import type { AttemptKind, Outcome } from "../core/words.ts";
import { decodeBody } from "../http/coding.ts";
import type { ResponseHead } from "../http/head.ts";
import { assess, type Verdict } from "../resilience/assess.ts";
import { isJson } from "../resilience/json-valid.ts";
import type { Judgement } from "../resilience/signs.ts";
import { LARGEST_ANSWER } from "../store/keyed-answers.ts";
import type { Call, CallFailure, CallHandler } from "../transport/transport.ts";
import { armEndOf } from "./arm-end.ts";
import type { AttemptOwner, Send } from "./attempt-owner.ts";
import { HeldBody } from "./held-body.ts";
import type { Destination } from "./routes.ts";
import type { Said } from "./said.ts";

/** An attempt that nobody waits for keeps no more of its answer than this, enough to read its quality. */
const OBSERVED_BYTES = 262_144;

const NO_TRAILERS: readonly string[] = [];
const NO_BYTES = new Uint8Array(0);

/**
 * One send to one upstream. `held`: its answer is kept until it is complete and judged. `streaming`: bytes go to the client as they
 * come. `observed`: it lost, and is only left to finish so that its true duration is known.
 */
export class Attempt implements Expiring, CallHandler {
  readonly owner: AttemptOwner;
  readonly to: Destination;
  readonly kind: AttemptKind;
  /** The send that it makes again, if it is a retry. */
  readonly again: Attempt | undefined;
  readonly startedAt: number;
  readonly said: Said;
  readonly deadline = new Deadline(this);
  endedAt = 0;
  mode: "held" | "streaming" | "observed";
  state: "open" | "complete" | "failed" = "open";
  call: Call | undefined;
  sent = false;
  reused = false;
  head: ResponseHead | undefined;
  trailers = NO_TRAILERS;
  bytes = 0;
  verdict: Verdict | undefined;
  /** Its answer in the client's words, if those are others. */
  translated: { readonly status: number; readonly body: Uint8Array } | undefined;
  failure: CallFailure | undefined;
  /** This thread was held up for much of its time: how it ended says nothing about its upstream. */
  stalled = false;
  /** It was cut for want of room among those that are observed, and not for what it did. */
  unobserved = false;
  readonly #isJudged: boolean;
  /** It has been tried. */
  #untranslatable = false;
  /** A body that came in one piece, lent or copied. */
  #lent: Uint8Array = NO_BYTES;
  /** One that came in several. */
  #held: HeldBody | undefined;
  #keeping = true;

  constructor(owner: AttemptOwner, send: Send, mode: "held" | "streaming", now: number) {
    const { to, said, kind, again } = send;
    this.owner = owner;
    this.to = to;
    this.said = said;
    this.kind = kind;
    this.again = again;
    this.mode = mode;
    this.startedAt = now;
    this.#isJudged = to.backend.judge !== undefined;
  }

  /** What it is for: its kind, or that of the send which it makes again. */
  get purpose(): AttemptKind {
    return this.again?.purpose ?? this.kind;
  }

  /** How often it was sent before, as far as it is known that nothing came of it. */
  get retries(): number {
    return this.again === undefined ? 0 : this.again.retries + 1;
  }

  /** It was sent to the stable arm besides what the split gives that: the budget knows of it. */
  get isExtra(): boolean {
    return this.purpose === "fallback" || this.purpose === "hedge";
  }

  /** The whole body of a held answer. */
  get body(): Uint8Array {
    return this.#held?.whole ?? this.#lent;
  }

  /** Nobody will change what {@link body} is, so that it can be sent from where it lies. */
  get bodyLasts(): boolean {
    return this.#held !== undefined;
  }

  /** Its whole answer is at hand. */
  get servable(): boolean {
    return this.state === "complete" && this.mode !== "streaming" && this.#keeping;
  }

  /** Ends it without an answer; `outcome` is what its figure is filed under. */
  cancel(outcome: Outcome): void {
    if (this.state !== "open") return;
    this.state = "failed";
    this.call?.cancel();
    this.#close(outcome);
  }

  /** It lost. It may finish, unseen and within bounds; what was never sent need not be sent for that. */
  observe(): void {
    if (this.state !== "open" || this.mode === "observed") return;
    if (!this.sent) {
      this.cut();
      return;
    }
    const { context } = this.owner;
    const { limits } = context.config;
    const left = limits.observedForMs - (performance.now() - this.startedAt);
    if (context.observed.size >= limits.observedAttempts || left <= 0) {
      this.unobserved = left > 0;
      this.cut();
      return;
    }
    this.mode = "observed";
    context.observed.add(this);
    context.deadlines.set(this.deadline, left);
  }

  /** Observation ends before the attempt does: it took at least this long. */
  cut(): void {
    if (this.state !== "open") return;
    this.owner.context.meters.observationCut(this.owner.routeIndex);
    this.cancel("timeout");
  }

  /** It has taken too long, which counts against the endpoint it was sent to, whether or not it is left to finish. */
  blame(): void {
    if (!this.owner.context.deadlines.wasStalled(this.startedAt, performance.now())) this.call?.blame?.();
  }

  expired(): void {
    this.blame();
    if (this.mode === "observed") this.cut();
    else this.owner.attemptLate(this);
  }

  onSent(reused: boolean): void {
    this.sent = true;
    this.reused = reused;
  }

  onInformation(status: number, fields: readonly string[]): void {
    if (this.mode === "streaming") this.owner.attemptInformed(this, status, fields);
  }

  onHead(head: ResponseHead): void {
    this.head = head;
    if (this.mode === "streaming") {
      this.#keeping = this.#isJudged || this.owner.keepsAnswer;
      this.owner.attemptStarted(this);
    } else if (announcedBy(head) > this.owner.context.config.limits.answerBytes) this.#overflow();
  }

  /** Served before this returns, as it is nearly always, the answer is never copied. */
  onWhole(head: ResponseHead, body: Uint8Array, trailers: readonly string[]): void {
    if (body.length > (this.mode === "held" ? this.owner.context.config.limits.answerBytes : OBSERVED_BYTES)) {
      this.#inPieces(head.keep(), body, trailers);
      return;
    }
    this.head = head;
    this.bytes = body.length;
    this.#lent = body;
    this.onEnd(trailers);
    if (this.owner.answered) this.#lent = NO_BYTES;
    else {
      this.head = head.keep();
      this.#lent = Buffer.from(body);
    }
  }

  #inPieces(head: ResponseHead, body: Uint8Array, trailers: readonly string[]): void {
    this.onHead(head);
    // Each may have ended it.
    if (this.state === "open") this.onData(body);
    if (this.state === "open") this.onEnd(trailers);
  }

  onData(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    if (this.mode === "streaming") {
      if (this.#keeping) this.#keep(chunk, this.owner.keepsAnswer ? LARGEST_ANSWER : OBSERVED_BYTES);
      this.owner.attemptData(this, chunk);
      return;
    }
    if (!this.#keeping) return;
    if (this.mode === "observed") {
      this.#keep(chunk, OBSERVED_BYTES);
      return;
    }
    const { answerBytes } = this.owner.context.config.limits;
    this.#add(chunk, answerBytes);
    if (this.bytes > answerBytes) this.#overflow();
  }

  onEnd(trailers: readonly string[]): void {
    this.trailers = trailers;
    this.state = "complete";
    const { meters } = this.owner.context;
    const { routeIndex } = this.owner;
    const { index } = this.to.backend;
    const judgement = this.#judge();
    let verdict = assess(this.head?.status ?? 0, judgement, this.owner.floorBp);
    if (judgement?.quality?.kind === "figure") {
      meters.quality(routeIndex, index, this.to.arm, this.owner.segment, judgement.quality.ratio);
    }
    if (!verdict.good && verdict.sign !== undefined) meters.defect(routeIndex, index, verdict.sign);
    if (verdict.good && this.mode === "held" && this.said.translated !== undefined) verdict = this.#translate(verdict);
    this.verdict = verdict;
    this.#close(verdict.outcome);
    this.owner.attemptEnded(this);
  }

  onFailure(failure: CallFailure): void {
    this.state = "failed";
    this.failure = failure;
    this.#close(failure.kind);
    this.owner.attemptFailed(this, failure);
  }

  #keep(chunk: Uint8Array, limit: number): void {
    if (this.bytes > limit) {
      this.#keeping = false;
      this.#held = undefined;
    } else this.#add(chunk, limit);
  }

  #add(chunk: Uint8Array, limit: number): void {
    if (this.#held === undefined) {
      const announced = this.head === undefined ? 0 : announcedBy(this.head);
      this.#held = new HeldBody(announced <= limit ? announced : 0);
    }
    this.#held.add(chunk);
  }

  /** Too long to judge: it goes to the client as it is, if the client still waits for it. */
  #overflow(): void {
    if (this.said.translated !== undefined && this.mode === "held") {
      this.call?.cancel();
      this.onFailure({ kind: "bad-answer", detail: "the answer is too long to be translated (limits.answer_bytes)" });
      return;
    }
    this.#keeping = false;
    const held = this.#held?.pieces ?? [];
    this.#held = undefined;
    if (this.mode === "observed" || !this.owner.attemptOverflowed(this)) return;
    this.mode = "streaming";
    for (const chunk of held) this.owner.attemptData(this, chunk);
  }

  /** What the answer says of itself, and what it shows. */
  #judge(): Judgement | undefined {
    const { judge } = this.to.backend;
    const { head } = this;
    if (judge === undefined || !this.#keeping) return undefined;
    if (head === undefined || head.status >= 300 || head.status === 204 || this.owner.method === "HEAD") return undefined;
    const plain = this.#plainBody(head);
    if (plain === undefined) return { quality: undefined, sign: "not-json", detail: "the content coding cannot be read" };
    return judge.judge(plain, this.#sentBody());
  }

  #plainBody(head: ResponseHead): Uint8Array | undefined {
    return decodeBody(this.body, head.get("content-encoding"), this.owner.context.config.limits.answerBytes);
  }

  /** What it was sent, as long as that is known: what a client sent lies in memory that serves another request once it has its answer. */
  #sentBody(): Uint8Array | undefined {
    const { body, translated } = this.said;
    return body.kind === "kept" && (translated !== undefined || !this.owner.answered) ? body.bytes : undefined;
  }

  #translate(verdict: Verdict): Verdict {
    const { head, said, to } = this;
    if (head === undefined || said.translated === undefined || to.translation === undefined) return verdict;
    const { meters } = this.owner.context;
    const plain = this.#plainBody(head);
    // Where data are expected, what is no JSON is no answer; elsewhere the status says enough.
    const isData = head.status < 300 && head.status !== 204;
    const readable = plain !== undefined && (!isData || isJson(plain));
    const answer = readable ? to.translation.answer(head.status, plain, said.translated) : undefined;
    this.#untranslatable = true;
    if (answer !== undefined && !("inexpressible" in answer)) {
      if (answer.dropped.length > 0) meters.dropped(this.owner.routeIndex, to.backend.index, answer.dropped.length);
      this.translated = answer;
      this.#untranslatable = false;
      return verdict;
    }
    meters.inexpressible(this.owner.routeIndex, to.backend.index);
    const detail = answer?.inexpressible ?? "the body is not JSON that can be read";
    return { good: false, outcome: "bad-answer", reason: "dialect", sign: undefined, detail };
  }

  /** A client's own words for an answer that was not good, but is the best there is. */
  translateAnyway(): { readonly status: number; readonly body: Uint8Array } | undefined {
    if (this.translated === undefined && this.state === "complete" && !this.#untranslatable) this.#translate({ good: true, outcome: "ok" });
    return this.translated;
  }

  /** Its answer can be given to the client in the client's words. */
  get isSayable(): boolean {
    return this.said.translated === undefined || this.translateAnyway() !== undefined;
  }

  /** The whole answer, however it was given to the client; undefined if it was too long to be kept. */
  get copy(): Uint8Array | undefined {
    return this.#keeping ? this.body : undefined;
  }

  #close(outcome: Outcome): void {
    const { context, routeIndex } = this.owner;
    // What was cut is filed under the time it was given, not under when the clock was looked at: it took at least that long.
    const most = this.mode === "observed" ? context.config.limits.observedForMs : Infinity;
    const tookMs = Math.min(performance.now() - this.startedAt, most);
    this.endedAt = this.startedAt + tookMs;
    context.onProgress();
    context.deadlines.clear(this.deadline);
    if (this.mode === "observed") context.observed.delete(this);
    this.stalled = context.deadlines.wasStalled(this.startedAt, this.endedAt);
    if (this.failure === undefined) this.owner.attemptClosed(this, outcome);
    // What a client's leaving cut short says nothing about the upstream.
    if (outcome === "cancelled") return;
    context.meters.attempt(routeIndex, this.to.backend.index, this.kind, outcome, tookMs);
    if (this.stalled) context.meters.unjudged(routeIndex, this.to.backend.index);
    const end = this.stalled || this.unobserved ? undefined : armEndOf(outcome, this.verdict, this.failure);
    if (end !== undefined) context.meters.armAttempt(routeIndex, this.to.arm, this.owner.segment, end, tookMs);
  }
}

/** The length that an answer is said to have; 0 if it is not. */
function announcedBy(head: ResponseHead): number {
  return Number(head.get("content-length") ?? 0);
}

import {
  isSurelyAbove,
  type Admission,
  advanced,
  type Breaker,
  BREAKER_TIMINGS,
  type BreakerState,
  type BreakerTimings,
  decideAdmission,
  FIRST,
  forced,
  type Judged,
  type OpenConditions,
  opened,
  type OpenReason,
  probed,
  probeEnded,
  reasonToOpen,
  shareBp,
} from "./breaker.ts";
import { Budget, type BudgetSettings } from "./budget.ts";
import { GuardMemory } from "./guard-memory.ts";
import { SlidingWindow } from "./sliding-window.ts";

export type { Admission, BreakerState, OpenReason } from "./breaker.ts";
export { guardBytes, resetWorker } from "./guard-memory.ts";

/** Live settings: they may change between two calls, so each call that needs them takes them. */
export interface GuardSettings extends BudgetSettings, OpenConditions {}

export interface ArmGuardOptions extends Partial<BreakerTimings> {
  /** Of {@link guardBytes} bytes, zeros at first, the same for every thread. */
  readonly memory: SharedArrayBuffer;
  /** Which split route, from 0. */
  readonly cell: number;
  /** This thread's number, from 0; the number `workers` is the control thread's. No two living threads may have the same. */
  readonly worker: number;
  readonly workers: number;
  /** Length of the sliding windows, 10,000 unless given. The same for every thread. */
  readonly windowMs?: number;
}

/** "ok" includes the quality; "unjudged": the client left or the proxy itself lagged, which counts for nothing; "late": a probe that was good, but not in time. */
export type AttemptEnd = "ok" | "error" | "bad-quality" | "unreachable" | "unjudged" | "late";

/** How much an extra send is wanted: it may be left out, it is needed, or a client has waited for it for long. */
export type Urgency = "optional" | "needed" | "overdue";

export interface GuardStatus {
  /** Open until the first request after its time, which then is a probe. */
  readonly state: BreakerState;
  /** Held by hand until it is set to "auto". */
  readonly held: boolean;
  /** When the state began, on the clock of `now`; 0 when nothing has happened yet. */
  readonly since: number;
  /** Why it opened last; undefined while closed. */
  readonly why: OpenReason | undefined;
  /** The part of its requests that the candidate gets, in basis points: 10,000 closed; 500, 2,500, 5,000 returning; else 0. */
  readonly shareBp: number;
  /** How often it has opened by itself since the memory was made. */
  readonly openings: number;
  /** The candidate's requests in the window. */
  readonly requests: number;
  /** Extra sends in the window. */
  readonly extra: number;
  /** Extra sends open now, over all threads. */
  readonly extraOpen: number;
  /** Extra sends in the window as a part of what they may be: 0 unused, 1 spent. */
  readonly budgetUsed: number;
  /** Attempts judged in the window, and how many of them failed or were of bad quality. */
  readonly judged: number;
  readonly errors: number;
  readonly badQuality: number;
}

const OK = 0;
const ERROR = 1;
const BAD_QUALITY = 2;

/**
 * Stands between a split route and its candidate: the breaker that judges the candidate over seconds, and the budget of
 * extra load on the stable upstream, which opens the breaker when it is spent. All guards of one cell, one per thread, act
 * as one.
 */
export class ArmGuard {
  readonly #memory: GuardMemory;
  readonly #budget: Budget;
  readonly #judged: SlidingWindow;
  readonly #sums = new Float64Array(3);
  readonly #timings: BreakerTimings;
  // The state as last read: it changes rarely, and its word tells whether it has.
  #word = 0;
  #breaker: Breaker = FIRST;
  #ticket = 0;
  #probe = 0;

  constructor({ memory, cell, worker, workers, windowMs = 10_000, ...timings }: ArmGuardOptions) {
    this.#memory = new GuardMemory(memory, cell, worker, workers);
    this.#budget = new Budget(this.#memory, worker, windowMs);
    this.#judged = new SlidingWindow(this.#memory.judged, worker, windowMs);
    this.#timings = { ...BREAKER_TIMINGS, ...timings };
  }

  /**
   * Asked once for each request that was decided for the candidate, before anything is sent. "stable": one send, to the
   * stable upstream. `draw` is a random number from 0 up to 1, independent of what decided for the candidate.
   */
  admit(now: number, draw: number): Admission {
    for (;;) {
      const breaker = this.#read();
      const admission = decideAdmission(breaker, now, draw, this.#timings);
      if (admission === "probe") {
        const next = probed(breaker, now);
        // Another thread was faster, or a hand: what holds now decides.
        if (next === undefined || !this.#replace(next)) continue;
        this.#ticket = this.#word;
        this.#probe = this.#word;
        this.#budget.countRequest(now, next.loadEra);
      } else if (admission === "candidate") {
        this.#ticket = breaker.era;
        this.#budget.countRequest(now, breaker.loadEra);
      }
      return admission;
    }
  }

  /** As {@link admit} where a hand lets everybody through: the request counts all the same. */
  pass(now: number): Admission {
    const breaker = this.#read();
    this.#ticket = breaker.era;
    this.#budget.countRequest(now, breaker.loadEra);
    return "candidate";
  }

  /** To be read right after {@link admit} and given to {@link record}: an end that comes late is not judged in another state. */
  get ticket(): number {
    return this.#ticket;
  }

  /**
   * An extra send to the stable upstream is wanted. False: the budget is spent, which opens the breaker if the request has waited for it for
   * long (`overdue`). True: exactly one {@link release} must follow. What is granted opens the breaker too, unless it is `optional`, when more than
   * the share is surely wanted: the minimum alone would let a candidate fail for everybody as long as few ask at a time.
   */
  takeExtra(now: number, settings: GuardSettings, urgency: Urgency = "overdue", ticket?: number): boolean {
    const breaker = this.#read();
    // Who was admitted before the present state began may be in need for what was then.
    const counts = urgency !== "optional" && (ticket ?? breaker.era) === breaker.era;
    if (this.#budget.take(now, breaker.loadEra, settings)) {
      if (counts && (breaker.state === "closed" || breaker.state === "returning")) this.#checkShare(breaker, now, settings);
      return true;
    }
    // A probe is judged by how it ends, not by what others have spent.
    if (counts && urgency === "overdue" && breaker.state !== "half-open") this.#open(breaker.era, now, "budget");
    return false;
  }

  #checkShare({ era, loadEra }: Breaker, now: number, { budgetBp }: GuardSettings): void {
    // Without a share there is only the minimum, and that is granted to whoever asks.
    if (budgetBp === 0) return;
    const { requests, extra } = this.#budget.read(now, loadEra);
    if (isSurelyAbove(Math.min(extra, requests), requests, budgetBp)) this.#open(era, now, "budget");
  }

  release(_now: number): void {
    this.#budget.release();
  }

  /** How the candidate's attempt ended, once for each attempt. Without a ticket it counts for the state that holds now. */
  record(now: number, settings: GuardSettings, end: AttemptEnd, probe: boolean, ticket?: number): void {
    if (probe) return this.#endProbe(now, end, ticket ?? this.#probe);
    const breaker = this.#read();
    const { era } = breaker;
    if (end === "unjudged" || (ticket ?? era) !== era || breaker.state === "open" || breaker.state === "half-open") return;
    this.#judged.add(now, era, end === "ok" ? OK : end === "bad-quality" ? BAD_QUALITY : ERROR);
    if (end === "unreachable") {
      if (this.#memory.countUnreachable(era) >= this.#timings.unreachableRun) return this.#open(era, now, "connect");
    } else this.#memory.endUnreachable();
    if (end !== "ok") {
      const why = reasonToOpen(this.#readJudged(now, era), settings);
      if (why !== undefined) this.#open(era, now, why);
    } else if (breaker.state === "returning") {
      const next = advanced(breaker, now, this.#timings);
      if (next !== undefined) this.#replace(next);
    }
  }

  #endProbe(now: number, end: AttemptEnd, ticket: number): void {
    const breaker = this.#read();
    // Each probe makes a state of its own, so another word means that this one was given up.
    if (this.#word !== ticket || breaker.state !== "half-open") return;
    const good = end === "unjudged" ? undefined : end === "ok";
    const failure = end === "late" ? "budget" : end === "unreachable" ? "connect" : end === "bad-quality" ? "accuracy" : "errors";
    this.#replace(probeEnded(breaker, now, good, failure, this.#timings));
  }

  status(now: number, settings: BudgetSettings = { budgetBp: 2000, budgetMinimum: 3 }): GuardStatus {
    const breaker = this.#read();
    const { requests, extra } = this.#budget.read(now, breaker.loadEra);
    const { ok, errors, badQuality } = this.#readJudged(now, breaker.era);
    const allowed = Math.max((settings.budgetBp * requests) / 10_000, settings.budgetMinimum, 1);
    return {
      state: breaker.state,
      held: "held" in breaker && breaker.held,
      since: breaker.since,
      why: breaker.state === "closed" ? undefined : breaker.why,
      shareBp: shareBp(breaker),
      openings: breaker.openings,
      requests,
      extra,
      extraOpen: this.#memory.openSends,
      budgetUsed: extra / allowed,
      judged: ok + errors + badQuality,
      errors,
      badQuality,
    };
  }

  /** By hand: "open" and "closed" hold until "auto". The budget holds all the same; spent, it only refuses. */
  force(now: number, state: "open" | "closed" | "auto"): void {
    for (;;) {
      const next = forced(this.#read(), now, state);
      if (next === undefined || this.#replace(next)) return;
    }
  }

  /** Opens, unless the era in which the reason was found is over. */
  #open(era: number, now: number, why: OpenReason): void {
    for (;;) {
      const breaker = this.#read();
      const next = breaker.era === era ? opened(breaker, now, why) : undefined;
      if (next === undefined || this.#replace(next)) return;
    }
  }

  #readJudged(now: number, era: number): Judged {
    this.#judged.sum(now, era, this.#sums);
    return { ok: this.#sums[OK] ?? 0, errors: this.#sums[ERROR] ?? 0, badQuality: this.#sums[BAD_QUALITY] ?? 0 };
  }

  #read(): Breaker {
    for (;;) {
      const word = this.#memory.word;
      if (word === this.#word) return this.#breaker;
      const breaker = this.#memory.read(word);
      if (breaker === undefined) continue;
      this.#word = word;
      this.#breaker = breaker;
    }
  }

  /** Puts a state in the place of the one last read. False when another thread has done so before. */
  #replace(next: Breaker): boolean {
    const word = this.#memory.replace(this.#word, next);
    if (word === undefined) return false;
    this.#word = word;
    this.#breaker = next;
    return true;
  }
}

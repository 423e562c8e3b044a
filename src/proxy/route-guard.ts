import { sharedMs } from "../core/shared-clock.ts";
import { ArmGuard, type Admission, type AttemptEnd, type GuardSettings, type Urgency } from "../resilience/arm-guard.ts";
import { LiveQuantile } from "../resilience/live-quantile.ts";

/** Memory that the guards of all workers share, and which of them this is. */
export interface GuardMemory {
  readonly memory: SharedArrayBuffer;
  readonly worker: number;
  readonly workers: number;
}

/** Nine in ten of the candidate's answers are there by then. */
const HEDGE_QUANTILE = 0.9;
const HEDGE_LEAST_MS = 20;
const HEDGE_MOST_MS = 100;

/** What is known of the candidate of one route lately, and what follows: whether it is asked, how often the stable arm may be besides, and when. */
export class RouteGuard {
  readonly #guard: ArmGuard;
  readonly #pace = new LiveQuantile();

  constructor({ memory, worker, workers }: GuardMemory, cell: number) {
    this.#guard = new ArmGuard({ memory, cell, worker, workers });
  }

  /** Asked once for each request of the candidate. */
  admit(now: number): Admission {
    return this.#guard.admit(sharedMs(now), Math.random());
  }

  /** The same where a hand lets everybody through. */
  pass(now: number): Admission {
    return this.#guard.pass(sharedMs(now));
  }

  /** Of the admission just given; goes with what is recorded of it. */
  get ticket(): number {
    return this.#guard.ticket;
  }

  /** Whether the stable arm may be asked besides; if so, {@link release} must follow once. */
  takeExtra(now: number, limits: GuardSettings, urgency: Urgency, ticket: number): boolean {
    return this.#guard.takeExtra(sharedMs(now), limits, urgency, ticket);
  }

  /** Whether the candidate gets no requests at present but for probes: for those that could not be one. */
  isOut(now: number): boolean {
    const { state } = this.#guard.status(sharedMs(now));
    return state === "open" || state === "half-open";
  }

  release(now: number): void {
    this.#guard.release(sharedMs(now));
  }

  record(now: number, limits: GuardSettings, end: AttemptEnd, probe: boolean, ticket: number): void {
    this.#guard.record(sharedMs(now), limits, end, probe, ticket);
  }

  /** An attempt of the candidate took so long, at least. */
  observe(ms: number, now: number): void {
    this.#pace.observe(ms, now);
  }

  /** After how many milliseconds the stable arm is started beside the candidate. */
  hedgeAfter(now: number): number {
    const slow = this.#pace.quantile(HEDGE_QUANTILE, now) ?? HEDGE_MOST_MS;
    return Math.min(HEDGE_MOST_MS, Math.max(HEDGE_LEAST_MS, slow));
  }
}

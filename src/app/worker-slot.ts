import { setTimeout as delay } from "node:timers/promises";
import type { WorkerStatus } from "../admin/operations.ts";
import type { Bind, Cut, FromWorker, KeyQuestion, StateUpdate, ToWorker } from "./protocol.ts";
import { beatsOf, isHung, threadTimeOf, UNWATCHED, type Watch, watchPulse } from "./pulse.ts";
import { countFailures, restartDelay } from "./restart-delay.ts";
import type { ThreadListener, WorkerThread } from "./worker-thread.ts";

/** A worker that neither listens nor fails within this time is taken for dead. */
const START_TIMEOUT_MS = 20_000;
/** How long a new worker waits for its predecessor's thread to end. */
const HANDOVER_MS = 100;
/** How much longer than its own limit a drain may take before the thread is ended. */
const DRAIN_MARGIN_MS = 1_000;

/** What a slot needs of the supervisor. */
export interface SlotHost {
  /** A thread with the worker's program, loaded already where possible. */
  takeThread(listener: ThreadListener): WorkerThread;
  /** The message that puts a thread to work, with memory that is its own until the thread ends. */
  startMessage(
    thread: WorkerThread,
    index: number,
  ): { readonly message: ToWorker; readonly pulse: SharedArrayBuffer; readonly meters: SharedArrayBuffer };
  /** Whether a new thread can bind while the old one still holds the port. */
  readonly portsAreShared: boolean;
  onListening(slot: WorkerSlot, ports: readonly number[]): void;
  onApplied(): void;
  onKey(thread: WorkerThread, question: KeyQuestion): void;
  onFailure(slot: WorkerSlot, failure: SlotFailure): void;
}

export interface SlotFailure {
  readonly reason: string;
  /** Set when the worker could not bind. */
  readonly bind: { readonly bind: Bind; readonly code: string } | undefined;
  /** Milliseconds until the next start; undefined when there will be none. */
  readonly retryMs: number | undefined;
}

/** How a drain of one worker ended; undefined figures when the worker died or hung meanwhile. */
export type SlotDrain = { readonly kind: "drained"; readonly cut: Cut } | { readonly kind: "lost" };

export type SlotStatus = Omit<WorkerStatus, "eventLoopLagMs">;

type Phase =
  | { readonly kind: "stopped" }
  | { readonly kind: "starting"; readonly thread: WorkerThread; readonly timer: NodeJS.Timeout }
  | { readonly kind: "running"; readonly thread: WorkerThread; readonly since: number }
  | { readonly kind: "draining"; readonly thread: WorkerThread; readonly timer: NodeJS.Timeout; readonly done: (end: SlotDrain) => void }
  | { readonly kind: "waiting"; readonly timer: NodeJS.Timeout };

/** One place for a worker: the thread that fills it, and what happened to those before. */
export class WorkerSlot {
  readonly index: number;
  readonly #host: SlotHost;
  #phase: Phase = { kind: "stopped" };
  /** Until the worker has served once, a failure is the end: whoever starts the program wants to know. */
  #proven = false;
  #restarts = 0;
  #failures = 0;
  #lastFailure: string | undefined;
  #applied = -1;
  #pulse: SharedArrayBuffer | undefined;
  #meters: SharedArrayBuffer | undefined;
  #watch: Watch = UNWATCHED;
  #predecessor: Promise<void> = Promise.resolve();

  constructor(index: number, host: SlotHost) {
    this.index = index;
    this.#host = host;
  }

  get isRunning(): boolean {
    return this.#phase.kind === "running";
  }

  /** Number of the last update that this worker's requests are decided by. */
  get applied(): number {
    return this.#applied;
  }

  get status(): SlotStatus {
    const { kind } = this.#phase;
    return {
      index: this.index,
      state:
        kind === "running" || kind === "draining" ? kind : kind === "starting" || this.#lastFailure === undefined ? "starting" : "failed",
      restarts: this.#restarts,
      lastFailure: this.#lastFailure?.split("\n", 1)[0],
    };
  }

  /** The block that the worker counts in; undefined while none runs. */
  get meters(): SharedArrayBuffer | undefined {
    return this.#phase.kind === "running" || this.#phase.kind === "draining" ? this.#meters : undefined;
  }

  launch(): void {
    const thread = this.#host.takeThread({
      onMessage: (message) => this.#onMessage(thread, message),
      onFailure: (reason) => this.#fail(reason),
    });
    const timer = setTimeout(() => this.#fail(`did not start within ${START_TIMEOUT_MS / 1_000} s`), START_TIMEOUT_MS);
    this.#phase = { kind: "starting", thread, timer };
    this.#applied = -1;
    // A predecessor that ends quickly leaves its place, counters included, to this one. One that does not is not waited for,
    // unless it holds a port that cannot be shared.
    const vacated = this.#host.portsAreShared ? Promise.race([this.#predecessor, delay(HANDOVER_MS)]) : this.#predecessor;
    void vacated.then(() => this.#begin(thread));
  }

  apply(update: StateUpdate): void {
    if ("thread" in this.#phase) this.#phase.thread.send({ kind: "states", update });
  }

  /** Looks at the worker's pulse; called once per tick. */
  tick(sinceLastTickMs: number): void {
    if (this.#pulse === undefined || (this.#phase.kind !== "running" && this.#phase.kind !== "draining")) return;
    this.#watch = watchPulse(this.#watch, beatsOf(this.#pulse), sinceLastTickMs, threadTimeOf(this.#pulse, this.#watch));
    if (isHung(this.#watch)) this.#fail(`gave no sign of life for ${Math.round(this.#watch.silentMs)} ms`);
  }

  drain(graceMs: number, timeoutMs: number): Promise<SlotDrain> {
    const phase = this.#phase;
    switch (phase.kind) {
      case "running":
        return new Promise((done) => {
          const timer = setTimeout(() => this.#fail("did not finish its drain"), timeoutMs + DRAIN_MARGIN_MS);
          this.#phase = { kind: "draining", thread: phase.thread, timer, done };
          phase.thread.send({ kind: "drain", graceMs, timeoutMs });
        });
      case "draining":
        return Promise.reject(new Error(`worker ${this.index} is being drained already`));
      case "starting":
      case "waiting":
      case "stopped":
        return this.stop().then(() => ({ kind: "drained", cut: { requests: 0, connections: 0 } }));
    }
  }

  /** Ends the worker at once. Resolves when its thread has ended. */
  async stop(): Promise<void> {
    const phase = this.#phase;
    this.#phase = { kind: "stopped" };
    if ("timer" in phase) clearTimeout(phase.timer);
    if (phase.kind === "draining") phase.done({ kind: "lost" });
    if ("thread" in phase) await phase.thread.terminate();
    await this.#predecessor;
  }

  #begin(thread: WorkerThread): void {
    if (this.#phase.kind !== "starting" || this.#phase.thread !== thread) return;
    const { message, pulse, meters } = this.#host.startMessage(thread, this.index);
    this.#pulse = pulse;
    this.#meters = meters;
    this.#watch = UNWATCHED;
    thread.send(message);
  }

  #onMessage(thread: WorkerThread, message: FromWorker): void {
    switch (message.kind) {
      case "loaded":
        break;
      case "listening":
        if (this.#phase.kind !== "starting") break;
        clearTimeout(this.#phase.timer);
        this.#phase = { kind: "running", thread, since: performance.now() };
        this.#proven = true;
        this.#applied = Math.max(this.#applied, message.update);
        this.#host.onListening(this, message.ports);
        break;
      case "bind-failed":
        this.#fail(`cannot listen on ${message.bind.host}:${message.bind.port}: ${message.message}`, message);
        break;
      case "applied":
        this.#applied = message.update;
        this.#host.onApplied();
        break;
      case "claim":
      case "settle":
        this.#host.onKey(thread, message);
        break;
      case "drained":
        if (this.#phase.kind !== "draining") break;
        clearTimeout(this.#phase.timer);
        this.#phase.done({ kind: "drained", cut: message.cut });
        this.#phase = { kind: "stopped" };
        this.#predecessor = thread.terminate();
        break;
    }
  }

  /** The one place where a worker's failure is dealt with, whatever phase it was in. */
  #fail(reason: string, bind?: { readonly bind: Bind; readonly code: string }): void {
    const phase = this.#phase;
    if (!("thread" in phase)) return;
    if ("timer" in phase) clearTimeout(phase.timer);
    // Not awaited: an endless loop takes its time to end, and the successor need not wait for it.
    this.#predecessor = phase.thread.terminate();
    this.#lastFailure = reason;
    this.#failures = countFailures(this.#failures, phase.kind === "running" ? performance.now() - phase.since : 0);
    this.#phase = { kind: "stopped" };
    if (phase.kind === "draining") phase.done({ kind: "lost" });
    const retryMs = phase.kind === "draining" || !this.#proven ? undefined : restartDelay(this.#failures);
    if (retryMs !== undefined) this.#restart(retryMs);
    this.#host.onFailure(this, { reason, bind, retryMs });
  }

  #restart(delayMs: number): void {
    const go = (): void => {
      this.#restarts++;
      this.launch();
    };
    if (delayMs === 0) go();
    else this.#phase = { kind: "waiting", timer: setTimeout(go, delayMs) };
  }
}

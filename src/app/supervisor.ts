import { availableParallelism } from "node:os";
import type { Config } from "../config/config.ts";
import type { Log } from "../telemetry/log.ts";
import { ledgerBytes } from "../telemetry/request-ledger.ts";
import { readGauges, type WorkerGauges } from "../telemetry/reading.ts";
import { bindOf, BindFailed } from "./binding.ts";
import type { Breakers } from "./breakers.ts";
import type { AnswerDesk } from "./keyed-answers.ts";
import { BlockPool } from "./block-pool.ts";
import type { Bind, Cut, StateUpdate } from "./protocol.ts";
import { allocatePulse, TICK_MS } from "./pulse.ts";
import { type SlotFailure, type SlotHost, type SlotStatus, WorkerSlot } from "./worker-slot.ts";
import { type ThreadListener, WorkerThread } from "./worker-thread.ts";

export interface SupervisorOptions {
  readonly config: Config;
  readonly workerModule: URL;
  readonly secret: Uint8Array;
  readonly kills: SharedArrayBuffer;
  readonly endpoints: SharedArrayBuffer;
  readonly breakers: (workers: number) => Breakers;
  readonly allocateMeters: () => SharedArrayBuffer;
  /** Whether workers can share a port; if not, there is one worker. */
  readonly reusePort: boolean;
  /** Where workers ask about idempotency keys. */
  readonly answers: AnswerDesk;
  readonly log: Log;
  /** Some worker began to serve, stopped serving or applied an update. */
  readonly onChange: () => void;
}

/** What had to be cut so that a drain could end. */
export interface DrainReport extends Cut {
  /** Workers that died or hung while draining; what they had open is not known. */
  readonly lostWorkers: number;
}

class WorkerStartFailed extends Error {
  override readonly name = "WorkerStartFailed";
}

/** Keeps the configured number of workers alive. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: readonly WorkerSlot[];
  readonly #meters: BlockPool;
  readonly #ledgers: BlockPool | undefined;
  readonly #breakers: Breakers;
  #binds: readonly Bind[];
  #update: StateUpdate = { number: 0, states: [] };
  /** Loading the program takes longer than all the rest of a replacement, so one thread has it loaded in advance. */
  #spare: WorkerThread | undefined;
  #starting: { readonly missing: Set<WorkerSlot>; readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #closing = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#meters = new BlockPool(options.allocateMeters);
    const { rememberedRequests } = options.config.events;
    if (rememberedRequests > 0) this.#ledgers = new BlockPool(() => new SharedArrayBuffer(ledgerBytes(rememberedRequests)));
    this.#binds = options.config.listeners.map(bindOf);
    const wanted = options.config.workers === 0 ? availableParallelism() : options.config.workers;
    const workers = options.reusePort ? wanted : 1;
    this.#breakers = options.breakers(workers);
    const host: SlotHost = {
      takeThread: (listener) => this.#takeThread(listener),
      startMessage: (thread, index) => this.#startMessage(thread, index),
      portsAreShared: options.reusePort,
      onListening: (slot, ports) => this.#onListening(slot, ports),
      onApplied: options.onChange,
      onKey: (thread, question) => options.answers.receive(thread, question),
      onFailure: (slot, failure) => this.#onFailure(slot, failure),
    };
    this.#slots = Array.from({ length: workers }, (_, index) => new WorkerSlot(index, host));
  }

  /** Where requests are served, with the ports in use. */
  get binds(): readonly Bind[] {
    return this.#binds;
  }

  /** `gauges` is undefined for a worker that does not run. */
  get workers(): readonly { readonly status: SlotStatus; readonly gauges: WorkerGauges | undefined }[] {
    return this.#slots.map((slot) => ({ status: slot.status, gauges: slot.meters && readGauges(slot.meters) }));
  }

  get breakers(): Breakers {
    return this.#breakers;
  }

  /** Every block that a worker, dead or alive, has counted in. */
  get meters(): readonly SharedArrayBuffer[] {
    return this.#meters.all;
  }

  /** Where workers remember, or remembered, their last requests. */
  get ledgers(): readonly SharedArrayBuffer[] {
    return this.#ledgers?.all ?? [];
  }

  get running(): number {
    return this.#slots.filter((slot) => slot.isRunning).length;
  }

  /**
   * Starts every worker; resolves when all of them serve. Throws {@link BindFailed} or {@link WorkerStartFailed}, with every
   * thread ended, when one of them cannot.
   */
  async start(update: StateUpdate): Promise<void> {
    this.#update = update;
    let last = performance.now();
    this.#ticker = setInterval(() => {
      const now = performance.now();
      for (const slot of this.#slots) slot.tick(now - last);
      last = now;
    }, TICK_MS);
    // Where the system chooses a port, the first worker learns it and the others share it.
    const alone = this.#binds.some(({ port }) => port === 0) ? 1 : 0;
    try {
      await this.#launch(this.#slots.slice(0, alone));
      await this.#launch(this.#slots.slice(alone));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#refillSpare();
  }

  /** Hands new settings to every worker. */
  apply(update: StateUpdate): void {
    this.#update = update;
    for (const slot of this.#slots) slot.apply(update);
  }

  /** Whether every request that begins now is decided by update `number` or a later one. */
  hasApplied(number: number): boolean {
    return this.running > 0 && this.#slots.every((slot) => !slot.isRunning || slot.applied >= number);
  }

  /** Lets every worker finish what it has, for at most `timeoutMs`, and ends it. */
  async drain(graceMs: number, timeoutMs: number): Promise<DrainReport> {
    this.#closing = true;
    const report = { requests: 0, connections: 0, lostWorkers: 0 };
    const ends = await Promise.all(this.#slots.map((slot) => slot.drain(graceMs, timeoutMs)));
    for (const end of ends) {
      if (end.kind === "lost") report.lostWorkers++;
      else {
        report.requests += end.cut.requests;
        report.connections += end.cut.connections;
      }
    }
    await this.stop();
    return report;
  }

  /** Ends every thread at once. */
  async stop(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#ticker);
    const spare = this.#spare?.terminate();
    this.#spare = undefined;
    await Promise.all(this.#slots.map((slot) => slot.stop()));
    await spare;
  }

  async #launch(slots: readonly WorkerSlot[]): Promise<void> {
    if (slots.length === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#starting = { missing: new Set(slots), resolve, reject };
    for (const slot of slots) slot.launch();
    await promise;
    this.#starting = undefined;
  }

  #takeThread(listener: ThreadListener): WorkerThread {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare === undefined) return this.#newThread(listener);
    spare.listen(listener);
    return spare;
  }

  #newThread(listener: ThreadListener): WorkerThread {
    return new WorkerThread(this.#options.workerModule, this.#options.config.workerHeapMb, listener);
  }

  #startMessage(thread: WorkerThread, index: number): ReturnType<SlotHost["startMessage"]> {
    const { config, secret, kills, endpoints, reusePort } = this.#options;
    const pulse = allocatePulse();
    this.#breakers.forget(index);
    const meters = this.#meters.lease(thread.exited);
    void thread.exited.then(() => this.#options.answers.left(thread));
    return {
      pulse,
      meters,
      message: {
        kind: "start",
        index,
        config,
        secret,
        meters,
        ledger: this.#ledgers?.lease(thread.exited),
        pulse,
        kills,
        endpoints,
        guards: this.#breakers.buffer,
        workers: this.#slots.length,
        binds: this.#binds,
        reusePort,
        update: this.#update,
      },
    };
  }

  #onListening(slot: WorkerSlot, ports: readonly number[]): void {
    this.#binds = this.#binds.map((bind, i) => ({ ...bind, port: ports[i] ?? bind.port }));
    const starting = this.#starting;
    if (starting?.missing.delete(slot)) {
      if (starting.missing.size === 0) starting.resolve();
    } else {
      this.#options.log.info({ worker: slot.index, restarts: slot.status.restarts }, "worker serves again");
      this.#refillSpare();
    }
    this.#options.onChange();
  }

  #onFailure(slot: WorkerSlot, { reason, bind, retryMs }: SlotFailure): void {
    if (this.#starting !== undefined && retryMs === undefined) {
      const failure = bind === undefined ? new WorkerStartFailed(`worker ${slot.index} ${reason}`) : new BindFailed(bind.bind, bind.code);
      this.#starting.reject(failure);
      return;
    }
    const restart = retryMs === undefined ? "not restarted" : retryMs === 0 ? "restarted at once" : `restarted in ${retryMs / 1_000} s`;
    this.#options.log.error({ worker: slot.index, reason, retryMs }, `worker failed; ${restart}`);
    this.#options.onChange();
  }

  #refillSpare(): void {
    if (this.#closing || this.#spare !== undefined) return;
    const spare = this.#newThread({
      onMessage: () => {},
      onFailure: (reason) => {
        if (this.#spare === spare) this.#spare = undefined;
        this.#options.log.warn({ reason }, "the spare worker failed; a replacement will take longer to start");
      },
    });
    this.#spare = spare;
  }
}

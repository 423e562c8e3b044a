import { setTimeout as delay } from "node:timers/promises";
import type { Hook, RolloutSettings } from "../config/config.ts";
import type { DocumentWrite, Lease, RolloutStore } from "../store/rollout-store.ts";
import { DocumentConflict, Fenced } from "../store/rollout-store.ts";
import { RevisionConflict, StoreUnavailable } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import { Aftermath } from "./aftermath.ts";
import { GateWebhooks } from "./gate-webhooks.ts";
import { look, type Sources } from "./look.ts";
import { type Next, type Seen } from "./next.ts";
import { planNext } from "./plan-next.ts";
import type { Rollout, TrafficReport } from "./rollout.ts";
import { readRollout, writeRollout } from "./state-text.ts";
import type { RolloutView } from "./view.ts";

/** What the engine of one flag works with. */
export interface EngineParts {
  readonly flag: string;
  readonly instance: string;
  readonly store: RolloutStore;
  readonly settings: RolloutSettings;
  readonly hooks: readonly Hook[];
  readonly sources: Omit<Sources, "webhooks" | "onMissing" | "clockOffMs">;
  /** Waits for every live instance to run the revision. */
  readonly confirm: (revision: number, waitMs: number) => Promise<Omit<TrafficReport, "ms">>;
  /** What else people should know of why figures are as they are, a sentence each. */
  readonly remarks: () => readonly string[];
  /** Appends what the fleet counted lately to the record, when it is time to. */
  readonly record: (lease: Lease, rollout: Rollout, now: number) => Promise<void>;
  readonly log: Log;
  readonly now?: () => number;
}

/** Figures of a second are on their way for so long after it is over. */
const ARRIVAL_MS = 60;
/** How long the others may show what the leader saw. */
const SHOWN_MS = 10_000;

/**
 * Drives the rollout of one flag. Of all instances that run one, the leader acts: it looks every second, asks `planNext` what follows, and
 * writes it: document, settings and audit at one stroke, under its lease's number. A leader that dies leaves the document as it was
 * before or after a write, never between, and whoever leads next goes on from there. Without a store nobody leads and nothing moves.
 */
export class RolloutEngine {
  readonly #parts: EngineParts;
  readonly #now: () => number;
  readonly #sources: Sources;
  readonly #closing = new AbortController();
  #lease: Lease | undefined;
  /** On the steady clock. */
  #leaseEnds = 0;
  #clockOffMs: number | undefined;
  #keeping: Promise<void> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  #nudged: (() => void) | undefined;
  #view: RolloutView | undefined;
  /** The document as it was last read, so that it need not be parsed each second. */
  #known: { readonly version: number; readonly rollout: Rollout } | undefined;
  readonly #aftermath: Aftermath;
  readonly #webhooks: GateWebhooks;
  #background = new Set<Promise<void>>();
  #trouble = "";
  readonly #troubles = new Map<string, string>();

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.#aftermath = new Aftermath({
      ...parts,
      revision: () => parts.sources.inForce().revision,
      now: this.#now,
      nudge: () => this.nudge(),
      inBackground: (work) => this.#inBackground(work),
      signal: this.#closing.signal,
    });
    this.#webhooks = new GateWebhooks(parts.flag, parts.hooks, (work) => this.#inBackground(work));
    this.#sources = {
      ...parts.sources,
      clockOffMs: () => this.#clockOffMs,
      webhooks: (rollout, names, now) => this.#webhooks.answers(rollout, names, now),
      onMissing: (what, error) => this.#noted(what, error instanceof Error ? error.message : String(error)),
    };
  }

  /** What this instance saw last as the leader; undefined when it does not lead. */
  get view(): RolloutView | undefined {
    return this.leads ? this.#view : undefined;
  }

  /** By its own clock: whether the store still thinks so only the store knows, and says so at the next write. */
  get leads(): boolean {
    return this.#lease !== undefined && performance.now() < this.#leaseEnds;
  }

  /** Of this instance against the store's, as of the last lead; undefined: never led. */
  get clockOffMs(): number | undefined {
    return this.#clockOffMs;
  }

  start(): void {
    this.#running = this.#run();
    this.#keeping = this.#keepLease();
  }

  /** Looks at once: somebody has acted. */
  nudge(): void {
    this.#nudged?.();
  }

  /** Gives up the lead. Hooks under way are ended with the process that runs them. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#nudged?.();
    await Promise.all([this.#running, this.#keeping]);
    await Promise.allSettled(this.#background);
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease !== undefined) await this.#parts.store.resign(this.#parts.flag, lease).catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const again = await this.#roundSafely();
      if (!again) await this.#pause();
    }
  }

  /** A look may take longer than the lease: it is prolonged beside it. */
  async #keepLease(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(this.#parts.settings.leaseMs / 3, undefined, { signal }).catch(() => {});
      if (signal.aborted || this.#lease === undefined) continue;
      await this.#lead().catch(() => undefined);
    }
  }

  async #lead(): Promise<Lease | undefined> {
    const { store, flag, settings } = this.#parts;
    const began = performance.now();
    const asked = this.#now();
    const lease = await store.lead(flag, settings.leaseMs);
    const took = performance.now() - began;
    if (lease !== undefined) {
      this.#leaseEnds = began + settings.leaseMs;
      // What the store's clock said is somewhere between the question and the answer.
      const off = asked + took / 2 - lease.at;
      this.#clockOffMs = Math.abs(off) <= took / 2 ? 0 : off;
    }
    if (lease?.fence !== this.#lease?.fence) {
      this.#known = undefined;
      this.#webhooks.forget();
      if (lease !== undefined) this.#parts.log.info({ flag, fence: lease.fence }, "this instance leads the rollout");
    }
    this.#lease = lease;
    return lease;
  }

  /** Until just after the next whole interval of the wall clock, by which all instances publish. */
  async #pause(): Promise<void> {
    const { evaluateMs } = this.#parts.settings;
    const arrival = Math.min(ARRIVAL_MS, evaluateMs / 4);
    const waitMs = evaluateMs - ((this.#now() - arrival) % evaluateMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#nudged = resolve;
    const timer = new AbortController();
    await Promise.race([promise, delay(waitMs, undefined, { signal: timer.signal }).catch(() => {})]);
    timer.abort();
    this.#nudged = undefined;
  }

  async #roundSafely(): Promise<boolean> {
    try {
      const again = await this.#round();
      this.#noteTrouble("");
      return again;
    } catch (error) {
      if (error instanceof Fenced) this.#lease = undefined;
      this.#known = undefined;
      if (error instanceof DocumentConflict) return !this.#closing.signal.aborted;
      // Settings have changed since they were looked at: the next look sees them.
      if (error instanceof RevisionConflict) return false;
      if (error instanceof StoreUnavailable) this.#lease = undefined;
      this.#noteTrouble(error instanceof Error ? error.message : String(error), error);
      return false;
    }
  }

  #noteTrouble(message: string, error?: unknown): void {
    const { log, flag } = this.#parts;
    if (message === this.#trouble) return;
    this.#trouble = message;
    if (message === "") log.info({ flag }, "the rollout goes on");
    else if (error instanceof StoreUnavailable) log.warn({ flag }, `the rollout is held, nothing moves: ${message}`);
    else log.error({ flag, err: error }, `the rollout is held, nothing moves: ${message}`);
  }

  /** One look. True: look again at once. */
  async #round(): Promise<boolean> {
    const { instance } = this.#parts;
    const lease = await this.#lead();
    if (lease === undefined) return false;
    const known = await this.#load();
    if (known === undefined) return false;
    const now = this.#now();
    const seen = await look(known.rollout, this.#sources, now);
    const next = planNext(known.rollout, seen, this.#now(), this.#aftermath.ranHere);
    if (next.kind === "stay") this.#aftermath.confirmTraffic(known.rollout);
    else await this.#write(known, next, lease, seen.inForce.revision);
    // Only now: neither may stand in the way of a rollback.
    const rollout = next.kind === "stay" ? known.rollout : next.rollout;
    await this.#note(rollout, lease, seen, next, now, instance);
    return next.kind !== "stay";
  }

  async #load(): Promise<{ readonly version: number; readonly rollout: Rollout } | undefined> {
    const { store, flag } = this.#parts;
    const stored = await store.load(flag);
    if (stored === undefined) return undefined;
    if (this.#known?.version === stored.version) return this.#known;
    const rollout = readRollout(stored.text);
    this.#known = { version: stored.version, rollout };
    return this.#known;
  }

  async #write(
    known: { readonly version: number },
    next: Exclude<Next, { readonly kind: "stay" }>,
    lease: Lease,
    decidedOn: number,
  ): Promise<void> {
    const { flag, log } = this.#parts;
    const write: DocumentWrite = {
      lease,
      // What raises the share was decided on settings that must still be in force; what lowers it asks for nothing.
      ifRevision: next.kind === "write" && next.raises ? decidedOn : undefined,
      version: known.version,
      text: writeRollout(next.rollout),
      fields: next.kind === "write" ? next.fields : undefined,
      by: next.kind === "write" ? { who: next.who, reason: next.reason } : undefined,
      lowers: next.kind === "write" && next.rollout.state.status === "rolling-back" && next.fields !== undefined,
    };
    const { version, revision } = await this.#parts.store.save(flag, write);
    this.#known = { version, rollout: next.rollout };
    if (next.kind === "write") {
      const { status } = next.rollout.state;
      const told = { flag, status, step: stepOf(next.rollout), revision, who: next.who };
      if (status === "rolling-back" || status === "held") log.warn(told, next.reason);
      else log.info(told, next.reason);
      this.#aftermath.confirmTraffic(next.rollout, revision);
      return;
    }
    this.#aftermath.runHook(next.rollout, next.index);
  }

  /** For people and for later; a store that refuses it stops nothing. */
  async #note(rollout: Rollout, lease: Lease, seen: Seen, next: Next, now: number, instance: string): Promise<void> {
    try {
      await this.#show(lease, rollout, seen, next, now, instance);
      await this.#parts.record(lease, rollout, now);
      this.#noted("record", "");
    } catch (error) {
      if (error instanceof Fenced) throw error;
      this.#noted("record", error instanceof Error ? error.message : String(error));
    }
  }

  /** Warns once of each trouble that does not stop the rollout, as long as it lasts. */
  #noted(what: string, message: string): void {
    if ((this.#troubles.get(what) ?? "") === message) return;
    this.#troubles.set(what, message);
    if (message !== "") this.#parts.log.warn({ flag: this.#parts.flag }, `${what} cannot be had or kept at present: ${message}`);
  }

  async #show(lease: Lease, rollout: Rollout, seen: Seen, next: Next, at: number, leader: string): Promise<void> {
    this.#view = {
      at,
      leader,
      rollout: rollout.id,
      reasons: [...next.reasons, ...this.#parts.remarks()],
      triggers: seen.triggers,
      gates: seen.gates,
      webhooks: seen.webhooks,
      calendar: seen.calendar,
      figuresAgeMs: seen.figuresAgeMs,
      stable: seen.stable,
      requestsPerSecond: seen.requestsPerSecond,
    };
    await this.#parts.store.show(this.#parts.flag, lease, JSON.stringify(this.#view), SHOWN_MS);
  }

  #inBackground(work: Promise<void>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }
}

/** The step that the traffic is at; undefined while it is being, or has been, rolled back, or once the plan is done. */
function stepOf({ state }: Rollout): number | undefined {
  return "step" in state ? state.step : undefined;
}

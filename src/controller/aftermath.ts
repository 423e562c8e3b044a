import { setTimeout as delay } from "node:timers/promises";
import { DocumentConflict } from "../store/rollout-store.ts";
import { StoreUnavailable } from "../store/store.ts";
import type { EngineParts } from "./engine.ts";
import { type HookPayload, runHook } from "./hooks.ts";
import { hookEnded, trafficSeen } from "./plan-next.ts";
import { hookKey } from "./rolling-back.ts";
import type { Rollout } from "./rollout.ts";
import { readRollout, writeRollout } from "./state-text.ts";

interface AftermathParts extends Pick<EngineParts, "flag" | "instance" | "store" | "settings" | "hooks" | "confirm" | "log"> {
  /** Of the settings in force here. */
  readonly revision: () => number;
  readonly now: () => number;
  /** Something has changed that the next look should see. */
  readonly nudge: () => void;
  readonly inBackground: (work: Promise<void>) => void;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

const MOST_TRIES = 10;
const LEAST_CONFIRM_MS = 50;
const CONFIRM_EARLY_MS = 150;

/** What follows the write of a rollback: who has confirmed it, and the hooks one by one. All of it in the background, none of it in the way of the next look. */
export class Aftermath {
  readonly #parts: AftermathParts;
  /** Hooks under way here, by rollout and place. */
  readonly ranHere = new Set<string>();
  #confirming: string | undefined;

  constructor(parts: AftermathParts) {
    this.#parts = parts;
  }

  /** Once everybody should be on the stable arm: who runs that? Asked once a rollback, in the background. */
  confirmTraffic(rollout: Rollout, revision?: number): void {
    const { state } = rollout;
    if (state.status !== "rolling-back" || state.rollback.shift.length > 0 || state.rollback.traffic !== undefined) return;
    const key = `${rollout.id}/${state.rollback.at}`;
    if (this.#confirming === key) return;
    this.#confirming = key;
    const { flag, log } = this.#parts;
    const limitMs = rollout.plan.rollback.trafficLimitMs;
    this.#parts.inBackground(
      (async () => {
        // Hooks begin when the limit is over: who is missing shall be known by then.
        const waitMs = Math.max(LEAST_CONFIRM_MS, limitMs - (this.#parts.now() - state.rollback.at) - CONFIRM_EARLY_MS);
        const receipt = await this.#parts.confirm(revision ?? this.#parts.revision(), Math.min(limitMs, waitMs));
        const report = { ...receipt, ms: Math.max(0, this.#parts.now() - state.rollback.at) };
        await this.#update((current) => (isOf(current, rollout.id, state.rollback.at) ? trafficSeen(current, report) : current));
        if (report.missing.length === 0) log.info({ flag, ...report }, "rolled back: every instance has confirmed");
        else log.error({ flag, ...report }, `rolled back, but not confirmed by ${report.missing.join(", ")}`);
        this.#parts.nudge();
      })().catch((error: unknown) => {
        this.#confirming = undefined;
        log.warn({ flag, err: error }, "who has confirmed the rollback could not be recorded; it is tried again");
      }),
    );
  }

  /** Runs the hook of that place, and records its end. */
  runHook(rollout: Rollout, index: number): void {
    const { state } = rollout;
    if (state.status !== "rolling-back") return;
    const { flag, hooks, log } = this.#parts;
    const name = state.rollback.hooks[index]?.name ?? "";
    const hook = hooks.find((candidate) => candidate.name === name);
    const { rollback } = state;
    const key = hookKey(rollout, rollback, index);
    this.ranHere.add(key);
    const payload: HookPayload = {
      event: "rollback",
      flag,
      rollout: rollout.id,
      plan: rollout.plan.name,
      step: rollback.step,
      reason: rollback.why,
      trigger: rollback.trigger ?? null,
      by: rollback.by,
      traffic: rollback.traffic ?? null,
    };
    this.#parts.inBackground(
      (async () => {
        const result =
          hook === undefined
            ? { status: "failed" as const, ms: 0, detail: `the configuration of ${this.#parts.instance} has no hook ${name}` }
            : await runHook(hook, payload, { drill: false, signal: this.#parts.signal });
        log[result.status === "done" ? "info" : "error"]({ flag, hook: name, ...result }, `rollback hook ${name}: ${result.status}`);
        await this.#updateInTheEnd((current) => (isOf(current, rollout.id, rollback.at) ? hookEnded(current, index, result) : current));
        this.#parts.nudge();
      })().catch((error: unknown) => log.error({ flag, hook: name, err: error }, `the end of hook ${name} could not be recorded`)),
    );
  }

  /** As {@link #update}, again until there is nothing to write any more: a store that was away meanwhile must not leave a hook running for ever. */
  async #updateInTheEnd(change: (rollout: Rollout) => Rollout): Promise<void> {
    const { signal } = this.#parts;
    for (;;) {
      const done = await this.#update(change).then(
        () => true,
        (error: unknown) => {
          if (signal.aborted || !(error instanceof StoreUnavailable)) throw error;
          return false;
        },
      );
      if (done || signal.aborted) return;
      await delay(this.#parts.settings.evaluateMs, undefined, { signal }).catch(() => {});
    }
  }

  /**
   * Changes the newest document. Without a lease: what was done here is true whoever leads by now, and the version sees to it that nobody else's
   * write is lost.
   */
  async #update(change: (rollout: Rollout) => Rollout): Promise<void> {
    const { store, flag } = this.#parts;
    for (let tries = 0; ; tries++) {
      try {
        const stored = await store.load(flag);
        if (stored === undefined) return;
        const current = readRollout(stored.text);
        const changed = change(current);
        if (changed === current) return;
        await store.save(flag, {
          lease: undefined,
          version: stored.version,
          text: writeRollout(changed),
          fields: undefined,
          by: undefined,
        });
        return;
      } catch (error) {
        if (!(error instanceof DocumentConflict) || tries >= MOST_TRIES) throw error;
      }
    }
  }
}

/** Whether it is the rollback of that run, begun at that instant. */
function isOf({ id, state }: Rollout, run: string, at: number): boolean {
  return id === run && "rollback" in state && state.rollback.at === at;
}

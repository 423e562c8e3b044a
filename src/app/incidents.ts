import { setTimeout as delay } from "node:timers/promises";
import type { Config } from "../config/config.ts";
import type { Rollout } from "../controller/rollout.ts";
import { readRollout } from "../controller/state-text.ts";
import { isOpen } from "../incidents/board.ts";
import { IncidentDesk } from "../incidents/desk.ts";
import { AUTOMATIC, followRollback } from "../incidents/from-rollbacks.ts";
import type { Board } from "../incidents/incident.ts";
import { isWell, type Observed } from "../status-page/status.ts";
import { Fenced } from "../store/rollout-store.ts";
import { type SettingsStore, StoreUnavailable } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";

interface IncidentsParts {
  readonly config: Pick<Config, "flags" | "incidents">;
  readonly store: Pick<SettingsStore, "documents" | "rollouts">;
  /** What the program knows of its service to customers. */
  readonly observe: () => Promise<Observed>;
  readonly log: Pick<Log, "info" | "warn">;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

const LOOK_MS = 1_000;
/** Whoever opens an incident is taken to be at it for so long; then another instance tries. */
const LEASE_MS = 10_000;

/** Keeps the board fresh, and has rollbacks open incidents by themselves: on whichever instance is first, and only once. */
export class Incidents {
  readonly desk: IncidentDesk;
  readonly #parts: IncidentsParts;
  readonly #now: () => number;
  readonly #closing = new AbortController();
  readonly #rollouts = new Map<string, { readonly text: string; readonly rollout: Rollout }>();
  #healthySince: number | undefined;
  #running: Promise<void> = Promise.resolve();
  #complained = "";

  constructor(parts: IncidentsParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.desk = new IncidentDesk({ documents: parts.store.documents, now: this.#now });
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  /** Whether any rollout is being rolled back, as far as it is known here. */
  get isRollingBack(): boolean {
    return [...this.#rollouts.values()].some(({ rollout }) => rollout.state.status === "rolling-back");
  }

  /** One look at everything. */
  async look(): Promise<void> {
    const board = await this.desk.refresh();
    for (const { name } of this.#parts.config.flags) await this.#read(name);
    if (!this.#parts.config.incidents.fromRollbacks) return;
    await this.#watch(board);
    for (const { name } of this.#parts.config.flags) await this.#follow(this.#rollouts.get(name)?.rollout);
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.look().then(
        () => (this.#complained = ""),
        (error: unknown) => this.#complain(error),
      );
      await delay(LOOK_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #read(flag: string): Promise<void> {
    const stored = await this.#parts.store.rollouts.load(flag);
    if (stored === undefined) this.#rollouts.delete(flag);
    else if (stored.text !== this.#rollouts.get(flag)?.text) {
      this.#rollouts.set(flag, { text: stored.text, rollout: readRollout(stored.text) });
    }
  }

  /** How long all has been well matters only while an incident waits for it. */
  async #watch({ incidents }: Board): Promise<void> {
    if (!incidents.some((incident) => isOpen(incident) && incident.openedBy === AUTOMATIC)) this.#healthySince = undefined;
    else if (!isWell(await this.#parts.observe())) this.#healthySince = undefined;
    else this.#healthySince ??= this.#now();
  }

  async #follow(rollout: Rollout | undefined): Promise<void> {
    const decide = (board: Board): Board | undefined =>
      followRollback(board, rollout, {
        now: this.#now(),
        resolveAfterMs: this.#parts.config.incidents.resolveAfterMs,
        healthySince: this.#healthySince,
        runs: new Set([...this.#rollouts.values()].map((known) => known.rollout.id)),
      });
    if (decide(this.desk.board()) === undefined) return;
    const lease = await this.#parts.store.documents.lead("incidents", LEASE_MS);
    if (lease === undefined) return;
    // Decided anew on what stands there then: another instance may have said it meanwhile.
    const said = await this.desk.change((board) => {
      const after = decide(board);
      return { board: after ?? board, made: after?.incidents[0]?.id };
    }, lease);
    if (said !== undefined) this.#parts.log.info({ rollout: rollout?.id }, "the status page tells of the rollback");
    await this.#parts.store.documents.resign("incidents", lease);
  }

  /** An absent store is told of elsewhere; another instance that was faster is no fault. */
  #complain(error: unknown): void {
    if (error instanceof StoreUnavailable || error instanceof Fenced) return;
    const message = error instanceof Error ? error.message : String(error);
    if (message !== this.#complained)
      this.#parts.log.warn({ err: error }, "incidents could not be looked after; it is tried again every second");
    this.#complained = message;
  }
}

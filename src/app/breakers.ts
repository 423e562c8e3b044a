import type { BreakerStatus } from "../admin/operations.ts";
import type { Config } from "../config/config.ts";
import { sharedMs } from "../core/shared-clock.ts";
import { BUDGET_MINIMUM } from "../proxy/plan.ts";
import { splitRoutes } from "../proxy/routes.ts";
import { ArmGuard, guardBytes, resetWorker } from "../resilience/arm-guard.ts";
import type { FlagState } from "../rollout/flag-state.ts";

/** The breakers of all split routes: memory that the workers share, read by the control side. */
export class Breakers {
  readonly buffer: SharedArrayBuffer;
  readonly #workers: number;
  readonly #readers: readonly { readonly route: string; readonly flag: string; readonly upstream: string; readonly guard: ArmGuard }[];

  constructor(config: Config, workers: number) {
    const routes = splitRoutes(config);
    this.#workers = workers;
    this.buffer = new SharedArrayBuffer(guardBytes(routes.length, workers));
    this.#readers = routes.flatMap(({ name, action }, cell) => {
      if (action.kind !== "split") return [];
      const guard = new ArmGuard({ memory: this.buffer, cell, worker: workers, workers });
      return [{ route: name, flag: action.flag, upstream: action.candidate.upstream, guard }];
    });
  }

  /** What a worker that has ended had open is given back. */
  forget(worker: number): void {
    resetWorker(this.buffer, worker, this.#workers);
  }

  status(states: readonly FlagState[]): readonly BreakerStatus[] {
    const now = sharedMs();
    return this.#readers.flatMap(({ route, flag, upstream, guard }) => {
      const fallback = states.find((state) => state.flag === flag)?.settings.fallback;
      if (fallback === undefined) return [];
      const mode = fallback.enabled ? fallback.breaker : "off";
      const figures = guard.status(now, { budgetBp: fallback.budgetBp, budgetMinimum: BUDGET_MINIMUM });
      const state = mode === "open" ? "open" : mode === "auto" ? figures.state : "closed";
      return [
        {
          route,
          flag,
          upstream,
          mode,
          state,
          why: mode === "open" ? "hand" : state === "closed" ? undefined : figures.why,
          since: figures.since === 0 ? undefined : new Date(Date.now() - (now - figures.since)).toISOString(),
          openings: figures.openings,
          window: {
            requests: figures.requests,
            extra: figures.extra,
            extraOpen: figures.extraOpen,
            budgetUsed: figures.budgetUsed,
            judged: figures.judged,
            errors: figures.errors,
            badQuality: figures.badQuality,
          },
        },
      ];
    });
  }
}

import type { FiguresTable } from "../../analysis/figures.ts";
import { binEdges, binLatencies, thresholdsOf } from "../../analysis/latency-bins.ts";
import type { Plan } from "../../controller/plan.ts";
import type { FlagState } from "../../rollout/flag-state.ts";
import { flagViewOf } from "../flag-view.ts";
import type { Operations, Status } from "../operations.ts";
import { Part } from "./parts.ts";
import { incidentsShown, noticesShown } from "./told.ts";
import type { LatencyBins, LiveView } from "./view.ts";

/** How long a view waits for what has to be asked for. */
const LIMIT_MS = 400;
const AUDIT_ENTRIES = 20;
const POINT_MS = 10_000;
const BINS_MS = 60_000;

/** What all instances counted, up to `to` (epoch milliseconds). */
export interface Recent {
  readonly to: number;
  readonly tenSeconds: FiguresTable;
  readonly minute: FiguresTable;
}

/** Makes views of one flag, each part by the function that answers for it in the API. */
export class Composer {
  readonly #operations: Operations;
  readonly #flag: string;
  readonly #figures;
  readonly #rollout;
  readonly #instances;
  readonly #audit;
  readonly #recent;
  /** Other instances open incidents and take note too. */
  readonly #told;

  constructor(operations: Operations, flag: string) {
    const { rollouts, store, incidents, notices } = operations;
    this.#operations = operations;
    this.#flag = flag;
    this.#figures = new Part(() => rollouts.figures(flag, "10s"));
    this.#rollout = new Part(() => rollouts.status(flag));
    this.#instances = new Part(() => store.instances(flag));
    this.#audit = new Part(() => store.audit(flag, AUDIT_ENTRIES));
    this.#recent = new Part(() => readRecent(operations, flag));
    this.#told = new Part(() => Promise.allSettled([incidents.refresh(), notices.refresh()]));
  }

  /** Undefined: nothing was counted, or it cannot be had. */
  recent(): Promise<Recent | undefined> {
    return this.#recent.get(LIMIT_MS);
  }

  async view(
    fallbacks: (status: Status) => LiveView["fallbacks"],
  ): Promise<{ readonly view: LiveView; readonly recent: Recent | undefined }> {
    const [figures, rollout, instances, audit, recent] = await Promise.all([
      this.#figures.get(LIMIT_MS),
      this.#rollout.get(LIMIT_MS),
      this.#instances.get(LIMIT_MS),
      this.#audit.get(LIMIT_MS),
      this.recent(),
      this.#told.get(LIMIT_MS),
    ]);
    // From here on nothing is waited for: all of it is of one instant.
    const operations = this.#operations;
    const state = operations.flag(this.#flag);
    if (state === undefined) throw new RangeError(`there is no flag ${JSON.stringify(this.#flag)}`);
    const status = operations.status();
    const board = attempt(() => operations.incidents.board());
    const view: LiveView = {
      at: Date.now(),
      status,
      readiness: operations.readiness(),
      flag: flagViewOf(operations, state, instances ?? null),
      rollout,
      figures,
      latencies: recent && binsOf(recent.minute, thresholds(state, rollout?.rollout?.plan)),
      fallbacks: fallbacks(status),
      audit,
      notices: attempt(() => noticesShown(operations.notices.view(this.#flag))),
      sla: attempt(() => operations.sla.view(this.#flag)),
      incidents: incidentsShown(board?.incidents ?? [], Date.now()),
      maintenance: board?.maintenance ?? [],
    };
    return { view, recent };
  }
}

async function readRecent(operations: Operations, flag: string): Promise<Recent | undefined> {
  const source = operations.recent(flag);
  const to = await source.refresh(Date.now());
  if (to === undefined) return undefined;
  const [tenSeconds, minute] = await Promise.all([source.between(to - POINT_MS, to), source.between(to - BINS_MS, to)]);
  return { to, tenSeconds, minute };
}

/** What durations of the candidate are compared with. */
function thresholds({ settings }: FlagState, plan: Plan | undefined): readonly number[] {
  const checks = plan === undefined ? [] : [...plan.triggers, ...plan.gates, ...plan.steps.flatMap(({ gates }) => gates)];
  return [settings.fallback.responseTimeMs, ...thresholdsOf(checks)];
}

function binsOf({ cells }: FiguresTable, thresholdsMs: readonly number[]): LatencyBins {
  const edgesMs = binEdges(thresholdsMs);
  const counts = (arm: "stable" | "candidate"): readonly number[] =>
    binLatencies(
      cells.map((cell) => cell[arm].latencies),
      edgesMs,
    );
  return { spanMs: BINS_MS, edgesMs, stable: counts("stable"), candidate: counts("candidate") };
}

/** What fails must not take the rest of the view with it. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

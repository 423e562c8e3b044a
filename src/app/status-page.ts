import { setTimeout as delay } from "node:timers/promises";
import type { Status } from "../admin/operations.ts";
import type { FiguresSource } from "../analysis/figures.ts";
import { mergeSketches, Sketch } from "../analysis/latencies.ts";
import type { Config } from "../config/config.ts";
import type { SlaOperations } from "../sla/sla.ts";
import { startStatusListener, type StatusListener } from "../status-page/listener.ts";
import type { StatusSite } from "../status-page/site.ts";
import type { Observed } from "../status-page/status.ts";
import type { Log } from "../telemetry/log.ts";
import { placeOf } from "./binding.ts";

interface ObserverParts {
  readonly config: Pick<Config, "flags" | "routes">;
  readonly status: () => Pick<Status, "draining" | "workers" | "upstreams" | "flags" | "breakers">;
  readonly recent: (flag: string) => FiguresSource;
  readonly sla: Pick<SlaOperations, "view">;
  readonly isRollingBack: () => boolean;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

type Figures = Pick<Observed, "requests" | "failed" | "p95Ms">;

const WAITS_MS = 300_000;
const FAILURES_MS = 60_000;
/** Figures are merged anew after so long, however often somebody asks. */
const FIGURES_MS = 5_000;
/** Longest that anybody waits for them. */
const PATIENCE_MS = 500;
const NO_FIGURES: Figures = { requests: 0, failed: 0, p95Ms: Number.NaN };
const DAY = 86_400_000;

/** What customers notice of the service, from the same state as the readiness, the breakers and the rollout. */
export class CustomerObserver {
  readonly #parts: ObserverParts;
  readonly #now: () => number;
  #figures: { readonly at: number; readonly found: Promise<Figures> } | undefined;
  #last = NO_FIGURES;

  constructor(parts: ObserverParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  /** Never rejects: what cannot be had is not known. */
  async observe(): Promise<Observed> {
    const { config, status, isRollingBack } = this.#parts;
    const now = this.#now();
    if (this.#figures === undefined || Math.abs(now - this.#figures.at) >= FIGURES_MS) {
      const found = this.#count().then(
        (figures) => (this.#last = figures),
        () => (this.#last = NO_FIGURES),
      );
      this.#figures = { at: now, found };
    }
    const patience = new AbortController();
    const figures = await Promise.race([
      this.#figures.found,
      delay(PATIENCE_MS, undefined, { signal: patience.signal }).then(
        () => this.#last,
        () => this.#last,
      ),
    ]);
    patience.abort();
    const seen = status();
    return {
      ...figures,
      reachable: isReachable(config, seen),
      impaired: isRollingBack(),
      availability: this.#availability(),
    };
  }

  async #count(): Promise<Figures> {
    const { config, recent } = this.#parts;
    let requests = 0;
    let failed = 0;
    const waits: Sketch[] = [];
    for (const { name } of config.flags) {
      const source = recent(name);
      const to = await source.refresh(this.#now());
      if (to === undefined) continue;
      const minute = await source.between(to - FAILURES_MS, to);
      for (const arm of minute.cells.flatMap(({ stable, candidate }) => [stable, candidate])) {
        requests += arm.requests;
        failed += arm.failed;
      }
      const whole = await source.between(to - WAITS_MS, to);
      for (const { stable, candidate } of whole.cells) {
        for (const arm of [stable.waits, candidate.waits]) if (arm instanceof Sketch) waits.push(arm);
      }
    }
    return { requests, failed, p95Ms: mergeSketches(waits).quantile(0.95) };
  }

  /** The lowest of the flags'. */
  #availability(): Observed["availability"] {
    const rows = this.#parts.config.flags.flatMap(({ name }) =>
      this.#parts.sla
        .view(name)
        .rows.filter(
          ({ promise, version, segment, state }) =>
            promise === "availability" && version === "all" && segment === "all" && state !== "no-data",
        ),
    );
    const lowest = rows.toSorted((a, b) => a.value - b.value)[0];
    if (lowest === undefined || !Number.isFinite(lowest.value)) return undefined;
    return { ratio: lowest.value, days: Math.max(1, Math.round(Math.min(lowest.windowMs, lowest.coveredMs) / DAY)) };
  }
}

/** Somebody serves, and every stable side has an endpoint that is not known to be lost. A drain is no outage: requests go elsewhere. */
function isReachable(
  { routes }: Pick<Config, "routes">,
  { draining, workers, upstreams }: Pick<Status, "draining" | "workers" | "upstreams">,
): boolean {
  if (!draining && !workers.some(({ state }) => state === "running")) return false;
  const needed = new Set(
    routes.flatMap(({ action }) =>
      action.kind === "split" ? [action.stable.upstream, ...action.stableFor.map(({ target }) => target.upstream)] : [],
    ),
  );
  return [...needed].every((upstream) => {
    const own = upstreams.filter(({ name }) => name === upstream);
    return own.length === 0 || own.some(({ healthy }) => healthy !== false);
  });
}

/** Opens the listener for customers, where the configuration has one. */
export async function openStatusPage(
  { config, statusPage }: { readonly config: Pick<Config, "statusPage">; readonly statusPage: Pick<StatusSite, "answer"> },
  log: Pick<Log, "error">,
): Promise<(StatusListener & { readonly url: string }) | undefined> {
  const { address } = config.statusPage;
  if (address === undefined) return undefined;
  const listener = await startStatusListener({
    ...address,
    answer: (asked) => statusPage.answer(asked),
    onError: (error) => log.error({ err: error }, "the status page failed"),
  });
  return { ...listener, url: `http://${placeOf({ host: address.host, port: listener.port })}/status` };
}

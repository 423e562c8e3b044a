import type { BusinessSource } from "../analysis/business.ts";
import { createBusinessSource, type EventsSource } from "../analysis/events/business-source.ts";
import { EventDesk, type IngestReport } from "../analysis/events/ingest.ts";
import { ReportTally } from "../analysis/events/reported.ts";
import type { FiguresSource } from "../analysis/figures.ts";
import { createPrometheusSource } from "../analysis/prometheus-source.ts";
import { encodeRecord } from "../analysis/recording.ts";
import { encodeTick } from "../analysis/tick.ts";
import { createTickMeter, type TickMeter } from "../analysis/tick-meter.ts";
import { FleetWindows, recordingOf } from "../analysis/windows.ts";
import type { ClockOff } from "../analysis/windows-instances.ts";
import type { Config, Flag } from "../config/config.ts";
import { RolloutDesk } from "../controller/desk.ts";
import type { DrillParts } from "../controller/drill.ts";
import { RolloutEngine } from "../controller/engine.ts";
import { type InForce, percentageOf } from "../controller/fields.ts";
import { runHook } from "../controller/hooks.ts";
import type { Sources } from "../controller/look.ts";
import type { Rollout, TrafficReport } from "../controller/rollout.ts";
import { readRollout } from "../controller/state-text.ts";
import { setTimeout as delay } from "node:timers/promises";
import type { ChangeOptions, Receipt } from "../admin/operations.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { Lease } from "../store/rollout-store.ts";
import { type Author, type SettingsStore, StoreUnavailable } from "../store/store.ts";
import type { RolloutFigures } from "../telemetry/exposition.ts";
import type { ReportedFigures } from "../telemetry/reported.ts";
import type { Log } from "../telemetry/log.ts";
import { findRequest } from "../telemetry/request-ledger.ts";
import { type HealthProbes, probeOnce } from "./health.ts";

export interface RolloutsParts {
  readonly config: Config;
  readonly instance: string;
  readonly store: SettingsStore;
  /** What workers count in or ever counted in, and where they remember their last requests. */
  readonly meters: () => readonly SharedArrayBuffer[];
  readonly ledgers: () => readonly SharedArrayBuffer[];
  readonly probes: HealthProbes;
  readonly state: (flag: string) => FlagState;
  readonly isKilled: (flag: string) => boolean;
  /** Who runs a revision, as soon as everybody does or the time is over. */
  readonly receipt: (flag: string, revision: number, waitMs: number) => Promise<Receipt>;
  readonly change: (flag: string, fields: Readonly<Record<string, string | null>>, by: Author, options: ChangeOptions) => Promise<Receipt>;
  /** Breakers of a flag's routes that are not closed, a sentence each. */
  readonly openBreakers: (flag: string) => readonly string[];
  readonly log: Log;
}

/** Entries that are read from the store at a time. */
const PUBLISHED_AT_A_TIME = 2_000;
/** An instance that has not told for so many intervals what it counted counts as silent. */
const SILENT_AFTER = 10;
/** How often events that other programs left in the store are fetched. */
const INBOX_EVERY_MS = 1_000;

/** Windows, events, engine and desk of every flag, put together. */
export class Rollouts {
  readonly desk: RolloutDesk;
  readonly #flags: ReadonlyMap<string, FlagRollout>;

  constructor(parts: RolloutsParts) {
    this.#flags = new Map(parts.config.flags.map((flag) => [flag.name, new FlagRollout(flag, parts)]));
    this.desk = new RolloutDesk({
      config: parts.config,
      store: parts.store.rollouts,
      // Webhooks are asked by the leader alone; for the acts of people they count as silent.
      sources: (flag) => ({ ...this.#of(flag).sources, webhooks: silent, clockOffMs: () => this.#of(flag).engine.clockOffMs }),
      change: async (flag, fields, by, waitMs) => parts.change(flag, fields, by, { ifRevision: undefined, waitMs }),
      caughtUp: (flag) => this.#of(flag).caughtUp(),
      segments: (flag) => parts.state(flag).settings.segments,
      confirm: (flag, revision, waitMs) => this.#of(flag).confirm(revision, waitMs),
      drillParts: (flag, by) => this.#of(flag).drillParts(by),
      nudge: (flag) => this.#of(flag).engine.nudge(),
      view: (flag) => this.#of(flag).engine.view,
    });
  }

  start(): void {
    for (const flag of this.#flags.values()) flag.start();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#flags.values()].map((flag) => flag.close()));
  }

  /** For the metrics. */
  figures(): RolloutFigures[] {
    return [...this.#flags.values()].map((flag) => flag.rolloutFigures);
  }

  /** What users and systems said, likewise. */
  reported(): ReportedFigures[] {
    return [...this.#flags.values()].map((flag) => flag.reportedFigures);
  }

  /** What all instances counted in the last minutes. */
  recent(flag: string): FiguresSource {
    return this.#of(flag).recent;
  }

  takeEvents(flag: string, body: unknown, who: string): Promise<IngestReport> {
    return this.#of(flag).takeEvents(body, who);
  }

  #of(flag: string): FlagRollout {
    const found = this.#flags.get(flag);
    if (found === undefined) throw new RangeError(`there is no flag ${JSON.stringify(flag)}`);
    return found;
  }
}

/** One flag. */
class FlagRollout {
  readonly engine: RolloutEngine;
  readonly sources: Omit<Sources, "webhooks" | "onMissing" | "clockOffMs">;
  readonly #figures: FiguresSource;
  readonly #flag: Flag;
  readonly #parts: RolloutsParts;
  readonly #meter: TickMeter;
  readonly #windows: FleetWindows;
  readonly #events: EventDesk;
  readonly #tally: ReportTally;
  readonly #closing = new AbortController();
  #business: { readonly rollout: string; readonly source: EventsSource } | undefined;
  #outside: EventsSource | undefined;
  #document: { readonly version: number; readonly rollout: Rollout } | undefined;
  #running: readonly Promise<void>[] = [];

  constructor(flag: Flag, parts: RolloutsParts) {
    const { config, store } = parts;
    const { rollouts } = store;
    const { name } = flag;
    this.#flag = flag;
    this.#parts = parts;
    this.#meter = createTickMeter({ config, flag: name, buffers: parts.meters, now: Date.now() });
    this.#windows = new FleetWindows({
      fetch: (after) => rollouts.published(name, after, PUBLISHED_AT_A_TIME),
      recorded: (after, count) => rollouts.recorded(name, after, count),
      resolutionMs: config.rollout.publishMs,
    });
    const { prometheus } = config.rollout;
    this.#figures = prometheus === undefined ? this.#windows : createPrometheusSource({ url: prometheus, config, flag: name });
    this.sources = {
      figures: this.#figures,
      business: (rollout) => this.#businessOf(rollout),
      inForce: () => this.#inForce(),
      probeStable: (timeoutMs) => this.#probeStable(timeoutMs),
      self: parts.instance,
      alive: async () => (await store.instances(name)).filter(({ alive }) => alive).map(({ instance }) => instance),
      hookLimits: Object.fromEntries(config.hooks.map((hook) => [hook.name, hook.timeoutMs])),
      silent: (alive) => this.#windows.silent(alive, SILENT_AFTER * config.rollout.publishMs),
      routes: config.routes.filter(({ action }) => action.kind === "split" && action.flag === name).map((route) => route.name),
      segments: () => parts.state(name).settings.segments.map((segment) => segment.name),
    };
    this.#events = new EventDesk({
      flag,
      store: store.events,
      state: () => parts.state(name),
      audit: (count) => store.audit(name, count),
      findRequest: (id) => findRequest(parts.ledgers(), id),
      routeFlags: config.routes.map(({ action }) => (action.kind === "split" ? action.flag : undefined)),
      stepAt: (ms) => stepAt(this.#document?.rollout, ms),
      ignoredUsers: config.identityIgnore,
      log: parts.log,
      lateMs: config.events.lateMs,
      prepare: () => this.#readDocument(),
    });
    this.#tally = new ReportTally({ store: store.events, flag: name, business: () => this.#businessNow() });
    this.engine = new RolloutEngine({
      flag: name,
      instance: parts.instance,
      store: rollouts,
      settings: config.rollout,
      hooks: config.hooks,
      sources: this.sources,
      confirm: (revision, waitMs) => this.confirm(revision, waitMs),
      remarks: () => [...parts.openBreakers(name), ...clocksInWords(this.#windows.clocksOff())],
      record: (lease, rollout, now) => this.#record(lease, rollout, now),
      log: parts.log,
    });
  }

  start(): void {
    this.#running = [this.#publish(), this.#pollEvents()];
    this.engine.start();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.engine.close(), ...this.#running]);
    this.#windows.close();
  }

  #businessOf(rollout: Rollout): BusinessSource {
    if (this.#business?.rollout !== rollout.id) {
      this.#business = { rollout: rollout.id, source: createBusinessSource(this.#parts.store.events, this.#flag.name, rollout.id) };
    }
    return this.#business.source;
  }

  /** Of the rollout that there is, else of no rollout in particular. */
  #businessNow(): BusinessSource {
    const rollout = this.#document?.rollout;
    if (rollout !== undefined) return this.#businessOf(rollout);
    return (this.#outside ??= createBusinessSource(this.#parts.store.events, this.#flag.name, undefined));
  }

  #inForce(): InForce {
    const { revision, settings } = this.#parts.state(this.#flag.name);
    return {
      revision,
      enabled: settings.enabled,
      killed: this.#parts.isKilled(this.#flag.name),
      percentageBp: settings.weightBp,
      segments: Object.fromEntries(settings.segments.map(({ name, weightBp }) => [name, weightBp])),
    };
  }

  /** Resolves once the record of the rollout has been read, or after some seconds: then its figures do not reach back as far as was asked. */
  async caughtUp(): Promise<void> {
    await Promise.race([this.#windows.caughtUp(), delay(CAUGHT_UP_MS)]);
  }

  async confirm(revision: number, waitMs: number): Promise<Omit<TrafficReport, "ms">> {
    const { acknowledged, missing } = await this.#parts.receipt(this.#flag.name, revision, waitMs);
    return { revision, acknowledged, missing };
  }

  /**
   * Every stable upstream of the flag's routes must have an endpoint that answers. With 0 ms what the last probes said. An endpoint that has not
   * answered within so short a time may be well and this program busy: it counts as it was before, or a rollback would be made in stages for nothing.
   */
  async #probeStable(timeoutMs: number): Promise<{ readonly healthy: boolean; readonly detail: string } | undefined> {
    const { config, probes } = this.#parts;
    const names = new Set(
      config.routes.flatMap(({ action }) =>
        action.kind === "split" && action.flag === this.#flag.name
          ? [action.stable.upstream, ...action.stableFor.map(({ target }) => target.upstream)]
          : [],
      ),
    );
    const found = await Promise.all(
      config.upstreams
        .filter(({ name }) => names.has(name))
        .map(async (upstream) => {
          const known = probes.all.filter((endpoint) => endpoint.upstream === upstream.name);
          const answers = await Promise.all(
            known.map(async ({ healthy, detail }, index) => {
              const endpoint = upstream.endpoints[index];
              if (timeoutMs === 0 || endpoint === undefined) return { good: healthy, detail };
              const stop = AbortSignal.timeout(timeoutMs);
              const asked = await probeOnce(upstream, endpoint, 2 * timeoutMs, stop);
              if (!stop.aborted || asked.good) return asked;
              return { good: healthy, detail: `no answer within ${timeoutMs} ms, before that: ${detail}` };
            }),
          );
          const text = `${upstream.name}: ${answers.map(({ detail }) => detail).join(", ")}`;
          const good = answers.some((answer) => answer.good) || (answers.every((answer) => answer.good === false) ? false : undefined);
          return { good, text };
        }),
    );
    const detail = found.map(({ text }) => text).join("; ");
    if (found.some(({ good }) => good === false)) return { healthy: false, detail };
    return found.length > 0 && found.every(({ good }) => good === true) ? { healthy: true, detail } : undefined;
  }

  drillParts(by: Author): DrillParts {
    const { change } = this.#parts;
    const flag = this.#flag.name;
    return {
      write: (fields, reason, options) => change(flag, fields, { who: by.who, reason }, options),
      candidateRequestsSince: async (at) => {
        const to = await this.#figures.refresh(Date.now());
        if (to === undefined || to <= at) return undefined;
        const { cells, coveredMs } = await this.#figures.between(at, to);
        return coveredMs === 0 ? undefined : cells.reduce((sum, { candidate }) => sum + candidate.attempts, 0);
      },
      runHook,
      probeStable: async () => (await this.#probeStable(PROBE_MS)) ?? { healthy: false, detail: "nothing is known of it" },
      now: Date.now,
      pause: async (ms) => {
        await delay(ms);
      },
    };
  }

  /** Whatever gates and triggers are judged by. */
  get recent(): FiguresSource {
    return this.#windows;
  }

  get rolloutFigures(): RolloutFigures {
    const state = this.#document?.rollout.state;
    const step = state !== undefined && "step" in state ? state.step + 1 : 0;
    return { flag: this.#flag.name, status: state?.status ?? "idle", step, leads: this.engine.leads };
  }

  get reportedFigures(): ReportedFigures {
    return this.#tally.figures;
  }

  async takeEvents(body: unknown, who: string): Promise<IngestReport> {
    const report = await this.#events.take(body, who);
    this.#tally.took(report);
    return report;
  }

  /** Tells the fleet what this instance counted, at every whole interval. What could not be told goes with the next. */
  async #publish(): Promise<void> {
    const { config, store, log } = this.#parts;
    const { publishMs } = config.rollout;
    await this.#every(
      publishMs,
      async () => {
        const delta = this.#meter.take(Date.now());
        await store.rollouts.publish(this.#flag.name, encodeTick(delta.tick));
        delta.commit();
      },
      (error) => log.warn({ flag: this.#flag.name, err: error }, "what was counted could not be published; it goes with the next"),
    );
  }

  async #pollEvents(): Promise<void> {
    await this.#every(
      INBOX_EVERY_MS,
      async () => {
        await this.#readDocument();
        this.#tally.took(await this.#events.poll());
        await this.#tally.refresh();
      },
      (error) =>
        this.#parts.log.warn({ flag: this.#flag.name, err: error }, "events could not be fetched from the store; it is tried again"),
    );
  }

  /** Runs `work` at whole intervals of the wall clock until all is closed. An absent store is told of elsewhere. */
  async #every(ms: number, work: () => Promise<void>, onError: (error: unknown) => void): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(ms - (Date.now() % ms), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await work().catch((error: unknown) => {
        if (!(error instanceof StoreUnavailable)) onError(error);
      });
    }
  }

  async #readDocument(): Promise<void> {
    const stored = await this.#parts.store.rollouts.load(this.#flag.name);
    if (stored === undefined || stored.version === this.#document?.version) return;
    this.#document = { version: stored.version, rollout: readRollout(stored.text) };
  }

  async #record(lease: Lease, rollout: Rollout, now: number): Promise<void> {
    const { config, store } = this.#parts;
    if (this.#figures !== this.#windows) await this.#windows.refresh(now);
    const stays = rollout.stays.map(({ from, to, step }) => ({ from, to, step, percentageBp: percentageOf(rollout.plan, step) }));
    const entry = recordingOf(this.#windows, this.#businessOf(rollout), { now, periodMs: config.rollout.recordMs, stays });
    if (entry !== undefined) await store.rollouts.record(this.#flag.name, lease, encodeRecord(entry));
  }
}

function clocksInWords(clocks: readonly ClockOff[]): string[] {
  return clocks.map(({ instance, offMs }) => {
    const seconds = (Math.abs(offMs) / 1_000).toFixed(1);
    return `the clock of ${instance} is ${seconds} s ${offMs > 0 ? "ahead of" : "behind"} the store's; its figures are counted by the store's`;
  });
}

const PROBE_MS = 1_000;
const CAUGHT_UP_MS = 5_000;

const silent: Sources["webhooks"] = (_, names) => names.map((name) => ({ name, verdict: "no-data", why: `${name} was not asked` }));

/** Of a user's act at that instant. */
function stepAt(rollout: Rollout | undefined, ms: number): { readonly rollout: string; readonly step: number } | undefined {
  const stay = rollout?.stays.find(({ from, to }) => ms >= from && (to === undefined || ms < to));
  return rollout === undefined || stay === undefined ? undefined : { rollout: rollout.id, step: stay.step };
}

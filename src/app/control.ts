import type { IngestReport } from "../analysis/events/ingest.ts";
import type { FiguresSource } from "../analysis/figures.ts";
import type { ChangeOptions, ExplainQuery, FlagStatus, Operations, Readiness, Receipt, Status, WorkerStatus } from "../admin/operations.ts";
import type { Config } from "../config/config.ts";
import { StringSet } from "../core/string-set.ts";
import { type Explanation, explainArm } from "../rollout/explain.ts";
import type { NoticeDesk } from "../notify/desk.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import { compileRules } from "../rollout/rules.ts";
import type { Author, Rejection, SettingsStore, StoreHealth, StoreListener } from "../store/store.ts";
import { StoreUnavailable } from "../store/store.ts";
import { createExposition, type Exposition, type LiveFigures, type RefusalCode } from "../telemetry/exposition.ts";
import type { Log } from "../telemetry/log.ts";
import { createReading, type Reading } from "../telemetry/reading.ts";
import { placeOf, urlOf } from "./binding.ts";
import type { EndpointBoard } from "./endpoint-health.ts";
import type { HealthProbes } from "./health.ts";
import type { KillSwitches } from "./kill-switches.ts";
import { createNotices } from "./notices.ts";
import type { StateUpdate } from "./protocol.ts";
import { assessReadiness } from "./readiness.ts";
import { collectReceipt } from "./receipts.ts";
import { Incidents } from "./incidents.ts";
import { Rollouts } from "./rollouts.ts";
import { CustomerObserver } from "./status-page.ts";
import { StatusSite } from "../status-page/site.ts";
import { viewFor } from "../status-page/status.ts";
import { SlaDesk } from "./sla.ts";
import type { Supervisor } from "./supervisor.ts";

export interface ControlParts {
  readonly config: Config;
  readonly instance: string;
  readonly version: string;
  readonly store: SettingsStore;
  readonly supervisor: Supervisor;
  readonly probes: HealthProbes;
  readonly board: EndpointBoard;
  readonly kills: KillSwitches;
  /** That signs sticky cookies. */
  readonly secret: Uint8Array;
  readonly log: Log;
}

/** The control side: what is in force, who runs it, and what operators may ask. */
export class Control implements Operations, StoreListener {
  readonly config: Config;
  readonly instance: string;
  readonly version: string;
  readonly store: SettingsStore;
  readonly rollouts: Rollouts["desk"];
  readonly sla: SlaDesk;
  readonly incidents: Incidents["desk"];
  readonly statusPage: StatusSite;
  readonly #incidents: Incidents;
  readonly notices: NoticeDesk;
  readonly #rollouts: Rollouts;
  readonly #parts: ControlParts;
  readonly #startedAt = new Date();
  /** On the steady clock: the other one may be set. */
  readonly #begun = performance.now();
  readonly #reading: Reading;
  readonly #exposition: Exposition;
  #states: readonly FlagState[] = [];
  #updates = 0;
  /** Revisions that the workers have been told of and not all have confirmed, with the update that brings them. */
  readonly #unconfirmed = new Map<string, { readonly revision: number; readonly update: number }>();
  readonly #rejectionCounts: Record<Rejection["kind"], number> = { "invalid-value": 0, "unknown-field": 0, "wrong-type": 0 };
  readonly #refusals: Record<RefusalCode, number> = { unauthorized: 0, forbidden: 0, "foreign-host": 0, "foreign-origin": 0 };
  readonly #listeners = new Set<(flag: string) => void>();
  #draining = false;

  constructor(parts: ControlParts) {
    this.config = parts.config;
    this.instance = parts.instance;
    this.version = parts.version;
    this.store = parts.store;
    this.#parts = parts;
    const buffers = (): readonly SharedArrayBuffer[] => parts.supervisor.meters;
    this.#reading = createReading(parts.config, buffers);
    this.#exposition = createExposition({ config: parts.config, buffers, live: () => this.#live() });
    this.#rollouts = new Rollouts({
      config: parts.config,
      instance: parts.instance,
      store: parts.store,
      meters: buffers,
      ledgers: () => parts.supervisor.ledgers,
      probes: parts.probes,
      state: (flag) => this.#stateOf(flag),
      isKilled: (flag) => parts.kills.isKilled(flag),
      receipt: (flag, revision, waitMs) => this.#receipt(flag, revision, true, waitMs),
      change: (flag, fields, by, options) => this.change(flag, fields, by, options),
      openBreakers: (flag) => this.#openBreakers(flag),
      log: parts.log,
    });
    this.rollouts = this.#rollouts.desk;
    const { config, instance, store, log } = parts;
    this.sla = new SlaDesk({ config, instance, store, meters: buffers, log });
    const observer = new CustomerObserver({
      config,
      status: () => this.status(),
      recent: (flag) => this.recent(flag),
      sla: this.sla,
      isRollingBack: () => this.#incidents.isRollingBack,
    });
    this.#incidents = new Incidents({ config, store, observe: () => observer.observe(), log });
    this.incidents = this.#incidents.desk;
    this.statusPage = new StatusSite({
      settings: config.statusPage,
      look: async () => viewFor(await observer.observe(), this.incidents.board(), Date.now()),
      now: () => performance.now(),
    });
    this.notices = createNotices({
      config,
      instance,
      store,
      secret: parts.secret,
      rollout: (flag) => this.rollouts.status(flag),
      isKilled: (flag) => parts.kills.isKilled(flag),
      breakers: () => parts.supervisor.breakers.status(this.#states),
      board: () => this.incidents.refresh().catch(() => undefined),
      sla: (flag) => this.sla.view(flag),
      log,
    });
  }

  /** Begins to publish what is counted and, where it leads, to drive rollouts. */
  startRollouts(): void {
    this.#rollouts.start();
    this.sla.start();
    this.#incidents.start();
    this.notices.start();
  }

  /** Gives up every lead. */
  async stopRollouts(): Promise<void> {
    await Promise.all([this.#rollouts.close(), this.sla.close(), this.notices.close(), this.#incidents.close()]);
  }

  recent(flag: string): FiguresSource {
    return this.#rollouts.recent(flag);
  }

  onSettings(listener: (flag: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  takeEvents(flag: string, body: unknown, who: string): Promise<IngestReport> {
    return this.#rollouts.takeEvents(flag, body, who);
  }

  /** Takes the store's first states; the workers start with what this returns. */
  begin(): StateUpdate {
    this.#states = this.store.states;
    for (const state of this.#states) {
      this.#parts.kills.follow(state);
      this.#unconfirmed.set(state.flag, { revision: state.revision, update: this.#updates });
    }
    return { number: this.#updates, states: this.#states };
  }

  /** The admin API has let somebody not do something. */
  countRefusal(code: RefusalCode): void {
    this.#refusals[code]++;
  }

  beginDraining(): void {
    this.#draining = true;
  }

  // What the store tells.

  onState(state: FlagState): void {
    if (this.#states.length === 0) return; // Before begin(), which takes all states at once.
    this.#parts.kills.follow(state);
    this.#states = this.#states.map((known) => (known.flag === state.flag ? state : known));
    const number = ++this.#updates;
    this.#unconfirmed.set(state.flag, { revision: state.revision, update: number });
    this.#parts.supervisor.apply({ number, states: this.#states });
    const { enabled, killSwitch, weightBp } = state.settings;
    this.#parts.log.info(
      { flag: state.flag, revision: state.revision, enabled, killSwitch, percentage: weightBp / 100 },
      "settings changed",
    );
    for (const listener of this.#listeners) listener(state.flag);
  }

  onRejected(rejection: Rejection): void {
    this.#rejectionCounts[rejection.kind]++;
    this.#parts.log.warn({ flag: rejection.flag, field: rejection.field, kind: rejection.kind }, `setting refused: ${rejection.message}`);
  }

  onHealth(health: StoreHealth): void {
    if (health.up && health.message === "") this.#parts.log.info({ store: health.kind }, "store reached");
    else this.#parts.log.warn({ store: health.kind, origin: health.origin }, health.message);
  }

  /** Some worker came, went or applied an update: confirms what all of them run by now. */
  onWorkersChanged(): void {
    for (const [flag, { revision, update }] of this.#unconfirmed) {
      if (!this.#parts.supervisor.hasApplied(update)) continue;
      this.#unconfirmed.delete(flag);
      this.store.acknowledge(flag, revision);
    }
  }

  // What operators ask.

  flag(name: string): FlagState | undefined {
    return this.#states.find((state) => state.flag === name);
  }

  status(): Status {
    return {
      instance: this.instance,
      version: this.version,
      startedAt: this.#startedAt.toISOString(),
      uptimeSeconds: Math.round((performance.now() - this.#begun) / 1_000),
      draining: this.#draining,
      listeners: this.#parts.supervisor.binds.map((bind) => ({ name: bind.name, address: bind.secure ? urlOf(bind) : placeOf(bind) })),
      store: this.store.health,
      workers: this.#workers(),
      upstreams: this.#parts.probes.all.map(({ upstream, endpoint, healthy, detail }) => ({ name: upstream, endpoint, healthy, detail })),
      flags: this.#states.map((state) => this.#flagStatus(state)),
      breakers: this.#parts.supervisor.breakers.status(this.#states),
      rejections: this.store.rejections,
      traffic: this.#reading.traffic(),
    };
  }

  readiness(): Readiness {
    return assessReadiness({
      config: this.config,
      draining: this.#draining,
      workers: this.#workers(),
      endpoints: this.#parts.probes.all,
      store: this.store.health,
    });
  }

  metrics(): Promise<{ readonly text: string; readonly contentType: string }> {
    return this.#exposition.metrics();
  }

  explain(query: ExplainQuery): Explanation {
    const state = this.flag(query.flag);
    const flag = this.config.flags.find(({ name }) => name === query.flag);
    if (state === undefined || flag === undefined) throw new RangeError(`there is no flag ${JSON.stringify(query.flag)}`);
    return explainArm(compileRules(flag, state), this.#parts.kills.isKilled(query.flag), query);
  }

  async change(
    flag: string,
    fields: Readonly<Record<string, string | null>>,
    by: Author,
    { ifRevision, waitMs }: ChangeOptions,
  ): Promise<Receipt> {
    const revision = await this.store.change(flag, fields, by, ifRevision);
    return this.#receipt(flag, revision, true, waitMs);
  }

  async kill(flag: string, killed: boolean, by: Author, waitMs: number): Promise<Receipt> {
    const { kills, log } = this.#parts;
    if (killed) kills.hold(flag);
    log.warn({ flag, killed, by: by.who, reason: by.reason }, killed ? "kill switch set on this instance" : "kill switch being lifted");
    try {
      const { revision, shared } = await this.store.kill(flag, killed, by);
      const state = this.store.states.find((candidate) => candidate.flag === flag);
      // Once the store has it the settings alone decide, also when somebody has said otherwise since.
      if (state !== undefined && (shared || state.settings.killSwitch === killed)) kills.release(flag, state);
      return await this.#receipt(flag, revision, shared, waitMs);
    } catch (error) {
      if (!killed || !(error instanceof StoreUnavailable)) throw error;
      log.error({ flag, reason: error.message }, "the kill holds on this instance only: it could not be recorded");
      return { flag, revision: this.flag(flag)?.revision ?? 0, acknowledged: [this.instance], missing: [], shared: false };
    }
  }

  #openBreakers(flag: string): string[] {
    return this.#parts.supervisor.breakers
      .status(this.#states)
      .filter((breaker) => breaker.flag === flag && breaker.state !== "closed")
      .map(
        ({ route, state, why }) =>
          `the breaker of route ${route} is ${state} here${why === undefined ? "" : ` (${why})`}: the candidate gets few requests`,
      );
  }

  #stateOf(flag: string): FlagState {
    const state = this.flag(flag);
    if (state === undefined) throw new RangeError(`there is no flag ${JSON.stringify(flag)}`);
    return state;
  }

  #receipt(flag: string, revision: number, shared: boolean, waitMs: number): Promise<Receipt> {
    const appliedHere = (): boolean => !this.#unconfirmed.has(flag) && (this.flag(flag)?.revision ?? -1) >= revision;
    return collectReceipt(this.store, { flag, revision, shared, waitMs, appliedHere, instance: this.instance });
  }

  #workers(): WorkerStatus[] {
    return this.#parts.supervisor.workers.map(({ status, gauges }) => ({ ...status, eventLoopLagMs: gauges?.lagMs ?? 0 }));
  }

  #flagStatus({ flag, revision, settings, members }: FlagState): FlagStatus {
    return {
      flag,
      revision,
      enabled: settings.enabled,
      killed: this.#parts.kills.isKilled(flag),
      percentage: settings.weightBp / 100,
      segments: settings.segments.map(({ name, weightBp, override }) => {
        const set = members[name];
        return { name, percentage: weightBp / 100, override, members: set === undefined ? 0 : new StringSet(set).size };
      }),
    };
  }

  #live(): LiveFigures {
    return {
      version: this.version,
      flags: this.#states.map((state) => ({ state, killed: this.#parts.kills.isKilled(state.flag) })),
      storeUp: this.store.health.up,
      rejections: this.#rejectionCounts,
      workers: this.#parts.supervisor.workers.map(({ status, gauges }) => ({ worker: status.index, restarts: status.restarts, gauges })),
      upstreams: this.#parts.probes.all.map(({ upstream, endpoint, healthy }, index) => ({
        upstream,
        endpoint,
        up: healthy,
        ejections: this.#parts.board.ejections(index),
      })),
      rollouts: this.#rollouts.figures(),
      sla: this.sla.figures(),
      reported: this.#rollouts.reported(),
      channels: this.notices.view().channels.map(({ name, failingSince }) => ({ channel: name, up: failingSince === undefined })),
      refusals: this.#refusals,
      breakers: this.#parts.supervisor.breakers
        .status(this.#states)
        .map(({ route, upstream, state, window }) => ({ route, upstream, state, budgetUsed: window.budgetUsed })),
    };
  }
}

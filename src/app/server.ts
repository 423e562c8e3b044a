import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { startAdmin } from "../admin/server.ts";
import type { Config } from "../config/config.ts";
import { loadDialects } from "../dialects/registry.ts";
import { randomHex } from "../core/random-id.ts";
import { createAnswerStore, createStore } from "../store/create.ts";
import { stickySecret } from "../store/sticky-secret.ts";
import type { Log } from "../telemetry/log.ts";
import { allocateMeters } from "../telemetry/worker-meters.ts";
import { Breakers } from "./breakers.ts";
import { bindOf, mayShareAPort, requireFreePorts } from "./binding.ts";
import { Control } from "./control.ts";
import { EndpointBoard } from "./endpoint-health.ts";
import { type EndpointHealth, startProbes } from "./health.ts";
import { AnswerDesk } from "./keyed-answers.ts";
import { KillSwitches } from "./kill-switches.ts";
import type { Bind } from "./protocol.ts";
import { type DrainReport, Supervisor } from "./supervisor.ts";
import { openStatusPage } from "./status-page.ts";

export interface ServerOptions {
  readonly config: Config;
  readonly log: Log;
  readonly version: string;
  /** The program of the worker threads. Default: this package's own. */
  readonly workerModule?: URL;
  /** Let another program that shares the same ports go on running beside this one, to hand over without a gap. Default: false. */
  readonly sharePorts?: boolean;
  /** How this program is called among those that share a store. Default: made of host, process and chance. */
  readonly instance?: string;
}

export interface RunningServer {
  readonly control: Control;
  /** With the ports in use. */
  readonly listeners: readonly Bind[];
  readonly admin: { readonly url: string; readonly port: number };
  /** The listener of the status page, where it has one of its own. */
  readonly statusPage: { readonly url: string; readonly port: number } | undefined;
  /** Resolves when every endpoint of every upstream has been probed once. */
  readonly firstProbes: Promise<void>;
  /** Readiness says no, requests are served on for `delayMs`, then what is under way is finished and everything ends. */
  drain(delayMs?: number): Promise<DrainReport>;
  /** Ends everything at once. */
  stop(): Promise<void>;
}

/** Idle connections may bring a last request for so long, so that none is met by a closed door. */
const IDLE_GRACE_MS = 1_000;

/**
 * Starts the whole program in this process: store, workers, probes, admin API. Rejects, with everything ended again, when a
 * listener cannot be had or a worker cannot start.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, log } = options;
  const instance = options.instance ?? `${hostname()}-${process.pid}-${randomHex(2)}`;
  if (options.sharePorts !== true) await requireFreePorts(config.listeners.map(bindOf));

  // Whatever is wrong with a module is found out here, and not by a worker.
  await loadDialects(config.dialects);
  await using started = new AsyncDisposableStack();
  const secret = config.sticky.secret === undefined ? await stickySecret(config.stateDirectory, log) : Buffer.from(config.sticky.secret);
  const kills = new KillSwitches(config.flags);
  const board = new EndpointBoard(config);
  const answers = createAnswerStore({ config, ttlMs: config.limits.idempotencyTtlMs, instance, log });
  // Closed after the workers have ended, which give back what they have claimed.
  started.defer(() => answers.close());
  const supervisor = new Supervisor({
    config,
    workerModule: options.workerModule ?? ownWorker(),
    secret,
    kills: kills.buffer,
    endpoints: board.buffer,
    breakers: (workers) => new Breakers(config, workers),
    allocateMeters: () => allocateMeters(config),
    reusePort: await mayShareAPort(),
    answers: new AnswerDesk(answers),
    log,
    onChange: () => control.onWorkersChanged(),
  });
  started.defer(() => supervisor.stop());
  const store = createStore({ config, instance, log });
  started.defer(() => store.close());
  const probes = startProbes(config.upstreams, {
    onChange(health, endpoint) {
      board.setHealth(endpoint, health.healthy);
      logHealth(log, health);
    },
  });
  started.defer(() => probes.stop());
  const control = new Control({ config, instance, version: options.version, store, supervisor, probes, board, kills, secret, log });

  await store.start(control);
  const update = control.begin();
  const onError = (error: unknown, request: string): void => log.error({ err: error, request }, "the admin API failed");
  const admin = await startAdmin(control, { ...config.admin, onError, onRefused: (code) => control.countRefusal(code) });
  started.defer(() => admin.close());
  const page = await openStatusPage(control, log);
  if (page !== undefined) started.defer(() => page.close());
  await supervisor.start(update);
  control.onWorkersChanged();
  control.startRollouts();
  started.defer(() => control.stopRollouts());

  const parts = started.move();
  const drain = async (delayMs: number): Promise<DrainReport> => {
    control.beginDraining();
    await delay(delayMs);
    const report = await supervisor.drain(Math.min(IDLE_GRACE_MS, config.drainTimeoutMs / 2), config.drainTimeoutMs);
    await parts.disposeAsync();
    return report;
  };
  let draining: Promise<DrainReport> | undefined;
  return {
    control,
    get listeners() {
      return supervisor.binds;
    },
    admin: { url: admin.url, port: admin.port },
    statusPage: page && { url: page.url, port: page.port },
    firstProbes: probes.firstRound,
    drain: (delayMs = config.drainDelayMs) => (draining ??= drain(delayMs)),
    stop: () => parts.disposeAsync(),
  };
}

/** The program of the worker threads beside this file, in the form, source or built, in which this file runs. */
function ownWorker(): URL {
  return new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);
}

function logHealth(log: Log, { upstream, endpoint, healthy, detail }: EndpointHealth): void {
  if (healthy === true) log.info({ upstream, endpoint }, `upstream ${upstream} answers at ${endpoint}: ${detail}`);
  else
    log.warn(
      { upstream, endpoint, detail },
      `upstream ${upstream} is not healthy at ${endpoint} (${detail}): start or mend it, or correct upstreams.${upstream} in the configuration`,
    );
}

import type { Config } from "../config/config.ts";
import type { Log } from "../telemetry/log.ts";
import { bannerOf } from "./banner.ts";
import { BindFailed, urlOf } from "./binding.ts";
import { type RunningServer, startServer } from "./server.ts";
import type { DrainReport } from "./supervisor.ts";

export interface ServeOptions {
  readonly config: Config;
  readonly log: Log;
  readonly version: string;
  readonly workerModule?: URL;
  readonly sharePorts?: boolean;
  /** Where the banner goes; undefined when nobody is looking. */
  readonly terminal: { readonly write: (text: string) => unknown } | undefined;
}

/**
 * Runs the program until it is told to end, and resolves with the code to exit with; the caller exits at once, for threads
 * may be left. The first SIGTERM or SIGINT drains (0 afterwards), a second one stops at once (1).
 */
export async function runServe(options: ServeOptions): Promise<number> {
  const { log, terminal, config } = options;
  const end = Promise.withResolvers<number>();
  let server: RunningServer | undefined;
  let ending = false;

  const finish = async (code: number): Promise<void> => {
    ending = true;
    if (server === undefined) {
      end.resolve(1);
      return;
    }
    try {
      logDrain(log, await server.drain());
      end.resolve(code);
    } catch (error) {
      log.fatal({ err: error }, "the drain failed");
      end.resolve(1);
    }
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (ending) {
      log.warn({ signal }, "second signal: stopping at once");
      end.resolve(1);
      return;
    }
    log.info(
      { signal, drainDelayMs: config.drainDelayMs, drainTimeoutMs: config.drainTimeoutMs },
      "draining; a second signal stops at once",
    );
    void finish(0);
  };
  // The workers do not need this thread, so they may finish what they have.
  const onFatal = (error: unknown): void => {
    log.fatal({ err: error }, "the control thread failed; draining");
    if (!ending) void finish(1);
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal).on("uncaughtException", onFatal).on("unhandledRejection", onFatal);

  try {
    const began = performance.now();
    const started = startServer(options);
    server = await Promise.race([started, end.promise.then(() => undefined)]);
    if (server === undefined) return 1;
    const listeners = server.listeners.map((bind) => `${bind.name} ${urlOf(bind)}`);
    const { workers, store, instance } = server.control.status();
    log.info(
      {
        instance,
        listeners,
        admin: server.admin.url,
        dashboard: `${server.admin.url}/`,
        statusPage: server.statusPage?.url ?? `${server.admin.url}/status`,
        workers: workers.length,
        store: store.kind,
        startMs: Math.round(performance.now() - began),
      },
      "serving",
    );
    await Promise.race([server.firstProbes, end.promise]);
    terminal?.write(bannerOf(server));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // A port that is taken is no riddle: where in the program it was found out helps nobody.
    log.fatal(error instanceof BindFailed ? { code: error.code } : { err: error }, message);
    terminal?.write(`\ncrossfade cannot start: ${message}\n`);
    return 1;
  }
  return end.promise;
}

function logDrain(log: Log, { requests, connections, lostWorkers }: DrainReport): void {
  if (requests + connections + lostWorkers === 0) log.info("drained: every request was answered");
  else
    log.warn(
      { requests, connections, lostWorkers },
      `drained; cut after the drain timeout: ${requests} requests, ${connections} connections, ${lostWorkers} workers that did not answer`,
    );
}

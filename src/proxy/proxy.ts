import type { Config } from "../config/config.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { AccessLog } from "../telemetry/access-log.ts";
import type { Meters } from "../telemetry/meters.ts";
import type { RequestLedger } from "../telemetry/request-ledger.ts";
import type { Accept, Transport } from "../transport/transport.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { Context } from "./context.ts";
import { Exchange } from "./exchange.ts";
import type { KeyedAnswers } from "./keyed-answers.ts";
import type { GuardMemory } from "./route-guard.ts";
import { problemAnswer } from "./respond.ts";
import { FAILURES } from "../core/failures.ts";

/** The data path of one worker. */
export interface Proxy {
  /** What listeners call for each request. */
  readonly accept: Accept;
  /** Swaps in new settings; requests under way keep those they began with. */
  apply(states: readonly FlagState[]): void;
  /** Ends the observation of lost attempts, which nobody waits for, so that a drain can finish. */
  stopObserving(): void;
  /** Lost attempts that are left to finish. */
  readonly observed: number;
}

export interface ProxyOptions {
  readonly config: Config;
  readonly transport: Transport;
  readonly meters: Meters;
  readonly accessLog: AccessLog;
  /** Signs sticky cookies and hashes user ids in logs. At least 16 bytes. */
  readonly secret: Uint8Array;
  /** Shared memory, one number per flag in the configuration's order: 1 means killed, whatever the settings say. */
  readonly kills: Int32Array;
  /**
   * Called for each request that begins and each attempt that ends. Timers do not run while one look at the sockets brings many of them, so
   * these are what shows that a busy thread gets on.
   */
  readonly onProgress: () => void;
  /** All that the configuration may name. Those that come with the program unless given. */
  readonly dialects?: ReadonlyMap<string, Dialect>;
  /** Shared with the other workers; memory of its own unless given. */
  readonly guards?: GuardMemory;
  /** Where answers are remembered under idempotency keys. Unless given, none is. */
  readonly keyedAnswers?: KeyedAnswers;
  /** Where the last requests of split routes are remembered. Unless given, none is. */
  readonly ledger?: RequestLedger | undefined;
}

export function createProxy(options: ProxyOptions): Proxy {
  const context = new Context(options);
  return {
    accept: {
      request(downstream) {
        context.onProgress();
        return new Exchange(context, downstream);
      },
      malformed(failure, detail) {
        context.meters.malformed(FAILURES[failure].status);
        return problemAnswer(context.config.name, failure, detail, "");
      },
    },
    apply: (states) => context.apply(states),
    stopObserving() {
      for (const attempt of context.observed) attempt.cut();
    },
    get observed() {
      return context.observed.size;
    },
  };
}

import type { Config } from "../config/config.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { Claim, Settlement } from "../store/keyed-answers.ts";

/**
 * What the control thread and a worker say to each other. Nothing is sent per request, but for those with an idempotency key: figures, heartbeat
 * and kill switch are shared memory.
 */
export type ToWorker =
  | ({ readonly kind: "start" } & WorkerStart)
  | { readonly kind: "states"; readonly update: StateUpdate }
  /** Word of the key that `id` asked for. */
  | { readonly kind: "claimed"; readonly id: number; readonly claim: Claim }
  /** Finish what is under way, for at most `timeoutMs`; idle connections may bring one last request for `graceMs`. */
  | { readonly kind: "drain"; readonly graceMs: number; readonly timeoutMs: number };

export interface WorkerStart {
  /** Its number, for the log. */
  readonly index: number;
  readonly config: Config;
  readonly secret: Uint8Array;
  /** Where this worker counts; nobody else writes there while it lives. */
  readonly meters: SharedArrayBuffer;
  /** Where it remembers its last requests; of the layout of telemetry/request-ledger.ts. Undefined: none is remembered. */
  readonly ledger: SharedArrayBuffer | undefined;
  /** Layout of pulse.ts. */
  readonly pulse: SharedArrayBuffer;
  /** One Int32 per flag in the configuration's order; 1 means killed. */
  readonly kills: SharedArrayBuffer;
  /** What is known of endpoints; its layout is told in transport/endpoints.ts. */
  readonly endpoints: SharedArrayBuffer;
  /** What breakers count; of the layout of resilience/guard-memory.ts, for so many workers. */
  readonly guards: SharedArrayBuffer;
  readonly workers: number;
  /** The configuration's listeners, port 0 replaced by the port in use where one is known. */
  readonly binds: readonly Bind[];
  readonly reusePort: boolean;
  readonly update: StateUpdate;
}

/** A listener, without its certificate and key: this is what errors and the log may hold. */
export interface Bind {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** It speaks TLS. */
  readonly secure: boolean;
}

/** All settings in force. Numbered per process: revisions are per flag, and a store that comes back empty may repeat one. */
export interface StateUpdate {
  readonly number: number;
  readonly states: readonly FlagState[];
}

export type FromWorker =
  /** The program is loaded; a `start` would be answered quickly. */
  | { readonly kind: "loaded" }
  /** Requests are served on these ports, in the order of `binds`, under the settings of this update. */
  | { readonly kind: "listening"; readonly ports: readonly number[]; readonly update: number }
  | { readonly kind: "bind-failed"; readonly bind: Bind; readonly code: string; readonly message: string }
  /** Requests that begin from now on are decided by this update. */
  | { readonly kind: "applied"; readonly update: number }
  | { readonly kind: "drained"; readonly cut: Cut }
  | KeyQuestion;

/** What a worker asks and tells about idempotency keys; `id` is its own number for the claim. */
export type KeyQuestion =
  | { readonly kind: "claim"; readonly id: number; readonly scope: string; readonly key: string; readonly fingerprint: string }
  | { readonly kind: "settle"; readonly id: number; readonly settlement: Settlement };

/** What a drain that ran out of time had to close. */
export interface Cut {
  readonly requests: number;
  readonly connections: number;
}

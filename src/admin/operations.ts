import type { IngestReport } from "../analysis/events/ingest.ts";
import type { FiguresSource } from "../analysis/figures.ts";
import type { Config } from "../config/config.ts";
import type { RolloutDesk } from "../controller/desk.ts";
import type { BreakerMode } from "../core/words.ts";
import type { BreakerState, OpenReason } from "../resilience/arm-guard.ts";
import type { Explanation } from "../rollout/explain.ts";
import type { NoticeOperations } from "../notify/operations.ts";
import type { IncidentDesk } from "../incidents/desk.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import type { StatusSite } from "../status-page/site.ts";
import type { SlaOperations } from "../sla/sla.ts";
import type { RouteTraffic } from "../telemetry/reading.ts";
import type { Author, Rejection, SettingsStore, StoreHealth } from "../store/store.ts";

/** What the admin API may ask of the running program. The control side implements it. */
export interface Operations {
  readonly config: Config;
  readonly instance: string;
  readonly version: string;
  readonly store: SettingsStore;
  flag(name: string): FlagState | undefined;
  status(): Status;
  readiness(): Readiness;
  /** The Prometheus text, and its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
  explain(query: ExplainQuery): Explanation;
  /** Writes settings; with `waitMs` above 0 it waits so long for every live instance to confirm. */
  change(flag: string, fields: Readonly<Record<string, string | null>>, by: Author, options: ChangeOptions): Promise<Receipt>;
  kill(flag: string, killed: boolean, by: Author, waitMs: number): Promise<Receipt>;
  readonly rollouts: Pick<RolloutDesk, "status" | "start" | "act" | "drill" | "figures" | "experiment" | "recorded">;
  /** What people were told, by which channel, and who has taken note. */
  readonly notices: NoticeOperations;
  /** What all instances counted in the last minutes; the same source whatever rollouts are judged by. */
  recent(flag: string): FiguresSource;
  /** Calls back whenever other settings of a flag have come into force, until what it returns is called. */
  onSettings(listener: (flag: string) => void): () => void;
  /** What customers are told of troubles and of work that is announced. */
  readonly incidents: Pick<IncidentDesk, "board" | "refresh" | "open" | "update" | "announce" | "cancel">;
  /** What a customer may know, as it is shown to them. */
  readonly statusPage: Pick<StatusSite, "answer">;
  /** What was promised, and what is kept of it. */
  readonly sla: SlaOperations;
  /** Feedback of users and reports of other systems, as it came. */
  takeEvents(flag: string, body: unknown, who: string): Promise<IngestReport>;
}

export interface ChangeOptions {
  readonly ifRevision: number | undefined;
  readonly waitMs: number;
}

export interface ExplainQuery {
  readonly flag: string;
  readonly user: string;
  /** As if the user were in this segment. Undefined: looked up in the sets. */
  readonly segment: string | undefined;
  /** Basis points. */
  readonly atBp: number | undefined;
}

/** Who runs a revision. */
export interface Receipt {
  readonly flag: string;
  readonly revision: number;
  readonly acknowledged: readonly string[];
  readonly missing: readonly string[];
  /** False: no store could be reached, so other instances have not been told (they will be, once there is one). */
  readonly shared: boolean;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is not as it should be though requests are served. */
  readonly degraded: readonly string[];
  /** Why not ready; empty when ready. */
  readonly reasons: readonly string[];
}

export interface Status {
  readonly instance: string;
  readonly version: string;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly draining: boolean;
  readonly listeners: readonly { readonly name: string; readonly address: string }[];
  readonly store: StoreHealth;
  readonly workers: readonly WorkerStatus[];
  readonly upstreams: readonly {
    readonly name: string;
    readonly endpoint: string;
    readonly healthy: boolean | undefined;
    readonly detail: string;
  }[];
  readonly flags: readonly FlagStatus[];
  readonly breakers: readonly BreakerStatus[];
  readonly rejections: readonly Rejection[];
  readonly traffic: readonly RouteTraffic[];
}

/** The breaker of one split route, as all workers of this instance see it. */
export interface BreakerStatus {
  readonly route: string;
  readonly flag: string;
  /** The candidate's. */
  readonly upstream: string;
  /** As the flag's `fallback.breaker` is set; `off` also while there is no fallback. */
  readonly mode: BreakerMode;
  readonly state: BreakerState;
  readonly why: OpenReason | undefined;
  /** When the state began. */
  readonly since: string | undefined;
  readonly openings: number;
  /** Of the last ten seconds. */
  readonly window: {
    /** Of the candidate. */
    readonly requests: number;
    /** Sends to the stable arm besides its own. */
    readonly extra: number;
    readonly extraOpen: number;
    /** 1: all of the budget. */
    readonly budgetUsed: number;
    readonly judged: number;
    readonly errors: number;
    readonly badQuality: number;
  };
}

export interface WorkerStatus {
  readonly index: number;
  readonly state: "starting" | "running" | "draining" | "failed";
  readonly restarts: number;
  readonly lastFailure: string | undefined;
  readonly eventLoopLagMs: number;
}

export interface FlagStatus {
  readonly flag: string;
  readonly revision: number;
  readonly enabled: boolean;
  readonly killed: boolean;
  readonly percentage: number;
  readonly segments: readonly {
    readonly name: string;
    readonly percentage: number;
    readonly override: boolean;
    readonly members: number;
  }[];
}

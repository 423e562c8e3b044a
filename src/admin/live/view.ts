import type { Incident, Maintenance } from "../../incidents/incident.ts";
import type { NoticesView } from "../../notify/notice.ts";
import type { SlaView } from "../../sla/sla.ts";
import type { AuditEntry } from "../../store/store.ts";
import type { FiguresView, RolloutStatus } from "../../controller/desk.ts";
import type { FlagView } from "../flag-view.ts";
import type { Readiness, Status } from "../operations.ts";

/**
 * What `GET /api/live?flag=` tells by server-sent events, a JSON text each: `history` (LivePoint[], once, oldest first), then every second a `view`
 * (LiveView) and a `point` (LivePoint). Each part is what the API of its own answers at that moment. Numbers that are NaN are null in JSON.
 */
export interface LiveView {
  /** Epoch milliseconds; of all that follows. */
  readonly at: number;
  /** As GET /api/status. */
  readonly status: Status;
  readonly readiness: Readiness;
  /** As GET /api/flags/{flag}. */
  readonly flag: FlagView;
  /** As GET /api/rollout/{flag}; undefined while the store cannot be asked. */
  readonly rollout: RolloutStatus | undefined;
  /** As GET /api/rollout/{flag}/figures?span=10s, of the fleet; undefined when they cannot be had. */
  readonly figures: FiguresView | undefined;
  /** Of the last minute, of the fleet. */
  readonly latencies: LatencyBins | undefined;
  /** Why requests fell back on this instance in the last minute, by reason; reasons that did not occur are 0. */
  readonly fallbacks: Readonly<Record<string, number>>;
  /** The last 20, newest first; undefined while the store cannot be asked. */
  readonly audit: readonly AuditEntry[] | undefined;
  /** As GET /api/notices, of what is over and of messages only the newest. */
  readonly notices: NoticesView | undefined;
  readonly sla: SlaView | undefined;
  /** Open ones, and the newest of those that were resolved in the last 14 days. */
  readonly incidents: readonly Incident[];
  readonly maintenance: readonly Maintenance[];
}

/** Durations of both arms' attempts as counts of the same bins. */
export interface LatencyBins {
  readonly spanMs: number;
  /** Upper edges, milliseconds, rising; the last bin is everything above the last edge, so there is one count more than edges. */
  readonly edgesMs: readonly number[];
  readonly stable: readonly number[];
  readonly candidate: readonly number[];
}

/** Of the ten seconds before `at`, over the fleet and all routes of the flag. */
export interface LivePoint {
  readonly at: number;
  /** The global figure in force, per cent. */
  readonly percentage: number;
  readonly stable: ArmPoint;
  readonly candidate: ArmPoint;
  /** Requests by the arm that the split assigned; segments without any are left out. */
  readonly segments: Readonly<Record<string, { readonly stable: number; readonly candidate: number }>>;
}

export interface ArmPoint {
  /** Requests a second. */
  readonly rate: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** 0..1. */
  readonly errors: number;
  readonly quality: number;
  /** Share of the arm's requests that the other arm answered, 0..1. */
  readonly fallbacks: number;
}

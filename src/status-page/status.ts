import { isOpen, lastAt } from "../incidents/board.ts";
import { type Board, type Impact, type IncidentState, stateOf, type Wording } from "../incidents/incident.ts";

/** What a customer may know, and nothing else: whatever is shown to customers is made of this. */

export const CUSTOMER_STATUSES = ["operational", "degraded", "maintenance", "incident"] as const;
/** From well to bad; the worst that holds is shown. */
export type CustomerStatus = (typeof CUSTOMER_STATUSES)[number];

/** What the program knows of its service to customers. */
export interface Observed {
  /** Requests can be answered: somebody serves, and every stable side has an endpoint that is not known to be lost. */
  readonly reachable: boolean;
  /**
   * A rollback is under way: customers may notice, though they are answered. A breaker that is open is nothing of the kind: whoever it keeps from the
   * candidate is answered by the stable side, as nearly everybody is.
   */
  readonly impaired: boolean;
  /** Requests of customers in the last minute, and how many of them had no answer or a 5xx. */
  readonly requests: number;
  readonly failed: number;
  /** What customers waited in the last five minutes: 95 % of them not longer. NaN: nobody asked anything. */
  readonly p95Ms: number;
  /** Share of requests answered, 0..1, and over how many days; undefined: not known. */
  readonly availability: { readonly ratio: number; readonly days: number } | undefined;
}

/** Fewer requests say nothing of the service: one failure would be a catastrophe. */
const FEWEST_REQUESTS = 20;
/** Share of failed requests from which the service is degraded, or is not one any more. */
const DEGRADED_FROM = 0.05;
const INCIDENT_FROM = 0.5;

/** Resolved incidents are shown for so long. */
const SHOWN_MS = 14 * 86_400_000;
const MOST_RESOLVED = 20;

export interface CustomerView {
  readonly at: number;
  readonly status: CustomerStatus;
  /** Undefined: not known. */
  readonly p95Ms: number | undefined;
  readonly availability: Observed["availability"];
  /** Open ones first, then those resolved lately; newest first. */
  readonly incidents: readonly CustomerIncident[];
  /** Not over yet; the next one first. Cancelled ones stay as long as they would have lasted. */
  readonly maintenance: readonly CustomerMaintenance[];
}

export interface CustomerIncident {
  readonly id: string;
  readonly title: Wording;
  readonly impact: Impact;
  readonly state: IncidentState;
  readonly openedAt: number;
  readonly updates: readonly { readonly at: number; readonly state: IncidentState; readonly text: Wording }[];
}

export interface CustomerMaintenance {
  readonly id: string;
  readonly title: Wording;
  readonly text: Wording;
  readonly from: number;
  readonly to: number;
  readonly state: "announced" | "under-way" | "cancelled";
  /** When it was announced, or else cancelled. */
  readonly changedAt: number;
}

export function viewFor(observed: Observed, board: Board, now: number): CustomerView {
  const open = board.incidents.filter(isOpen);
  const resolved = board.incidents.filter((incident) => !isOpen(incident) && now - lastAt(incident) < SHOWN_MS);
  return {
    at: now,
    status: statusOf(observed, board, now),
    p95Ms: Number.isFinite(observed.p95Ms) ? observed.p95Ms : undefined,
    availability: observed.availability,
    incidents: [...open, ...resolved.slice(0, MOST_RESOLVED)].map((incident) => ({
      id: incident.id,
      title: incident.title,
      impact: incident.impact,
      state: stateOf(incident),
      openedAt: incident.openedAt,
      updates: incident.updates.map(({ at, state, text }) => ({ at, state, text })),
    })),
    maintenance: board.maintenance
      .filter(({ to }) => to > now)
      .toSorted((a, b) => a.from - b.from)
      .map(({ id, title, text, from, to, cancelled, changedAt }) => ({
        id,
        title,
        text,
        from,
        to,
        state: cancelled ? "cancelled" : from <= now ? "under-way" : "announced",
        changedAt,
      })),
  };
}

/** Requests are answered as they should be, whatever people have said of it. */
export function isWell(observed: Observed): boolean {
  return observed.reachable && !observed.impaired && failedShare(observed) < DEGRADED_FROM;
}

function failedShare({ requests, failed }: Observed): number {
  return requests >= FEWEST_REQUESTS ? failed / requests : 0;
}

/** The worst that holds. */
export function statusOf(observed: Observed, { incidents, maintenance }: Board, now: number): CustomerStatus {
  const { reachable, impaired } = observed;
  const open = incidents.filter(isOpen);
  const share = failedShare(observed);
  if (!reachable || share >= INCIDENT_FROM || open.some(({ impact }) => impact === "outage")) return "incident";
  if (maintenance.some(({ from, to, cancelled }) => !cancelled && from <= now && now < to)) return "maintenance";
  if (impaired || share >= DEGRADED_FROM || open.some(({ impact }) => impact === "degraded")) return "degraded";
  return "operational";
}

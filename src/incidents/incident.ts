/** What people are told of troubles and of work that is announced. Instants are epoch milliseconds. */

export const IMPACTS = ["none", "degraded", "outage"] as const;
/** What it means for customers. */
export type Impact = (typeof IMPACTS)[number];

export const INCIDENT_STATES = ["investigating", "identified", "monitoring", "resolved"] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

export const PRIORITIES = ["P0", "P1", "P2", "P3"] as const;
export type Priority = (typeof PRIORITIES)[number];

export const LANGUAGES = ["en", "fr"] as const;
export type Language = (typeof LANGUAGES)[number];

/** The same in each language; where one is missing the other is shown. At least one is there. */
export type Wording = Partial<Readonly<Record<Language, string>>>;

export interface IncidentUpdate {
  readonly at: number;
  readonly state: IncidentState;
  /** For customers. */
  readonly text: Wording;
  /** Who wrote it; never shown to customers. */
  readonly by: string;
}

export interface Incident {
  /** `inc-` and a number that rises. */
  readonly id: string;
  readonly priority: Priority;
  readonly impact: Impact;
  readonly title: Wording;
  readonly openedAt: number;
  readonly openedBy: string;
  /** Undefined: by a person. Else the rollout (its id) whose rollback opened it. */
  readonly rollout: string | undefined;
  /** In order of time; the first one opened it, and the last one's state is the incident's. */
  readonly updates: readonly IncidentUpdate[];
}

export interface Maintenance {
  /** `mnt-` and a number that rises. */
  readonly id: string;
  readonly title: Wording;
  readonly text: Wording;
  readonly from: number;
  readonly to: number;
  readonly announcedBy: string;
  readonly cancelled: boolean;
  /** When it was announced, or else cancelled. */
  readonly changedAt: number;
}

/** The document "incidents". */
export interface Board {
  readonly next: number;
  /** Newest first; resolved ones stay for 90 days. */
  readonly incidents: readonly Incident[];
  readonly maintenance: readonly Maintenance[];
}

export function stateOf({ updates }: Incident): IncidentState {
  return updates.at(-1)?.state ?? "investigating";
}

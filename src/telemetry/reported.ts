import { METRICS } from "./names.ts";
import type { MetricText } from "./text-format.ts";

/** What became of the events that this instance was sent, by {@link ReportedFigures.events}. */
export const EVENT_RESULTS = ["accepted", "duplicate", "passed-on", "refused"] as const;
export type EventResult = (typeof EVENT_RESULTS)[number];

/** How grave a security incident is that another system reports. */
export const INCIDENT_PRIORITIES = ["P0", "P1", "P2", "P3"] as const;
export type IncidentPriority = (typeof INCIDENT_PRIORITIES)[number];

/** What users and other systems said, of one flag. */
export interface ReportedFigures {
  readonly flag: string;
  /** Of this instance since its start. */
  readonly events: Readonly<Record<EventResult, number>>;
  /** The last report, of the whole fleet; undefined: none of late. */
  readonly syncLagSeconds: number | undefined;
  /** 0..1, likewise. */
  readonly dataIntegrity: number | undefined;
  /** Reported to the fleet since this instance started: every instance says the same. */
  readonly sessionsLost: number;
  readonly security: Readonly<Record<IncidentPriority, number>>;
  /** Of the last hour, of the whole fleet. */
  readonly business: readonly {
    readonly arm: string;
    readonly segment: string;
    readonly metric: string;
    readonly numerator: number;
    readonly denominator: number;
  }[];
}

export function writeReported(text: MetricText, all: readonly ReportedFigures[]): void {
  text.metric(METRICS.events);
  for (const { flag, events } of all) {
    for (const result of EVENT_RESULTS) text.sample(METRICS.events, [flag, result], events[result]);
  }
  text.metric(METRICS.syncLag);
  for (const { flag, syncLagSeconds } of all) if (syncLagSeconds !== undefined) text.sample(METRICS.syncLag, [flag], syncLagSeconds);
  text.metric(METRICS.dataIntegrity);
  for (const { flag, dataIntegrity } of all) if (dataIntegrity !== undefined) text.sample(METRICS.dataIntegrity, [flag], dataIntegrity);
  text.metric(METRICS.sessionsLost);
  for (const { flag, sessionsLost } of all) text.sample(METRICS.sessionsLost, [flag], sessionsLost);
  text.metric(METRICS.security);
  for (const { flag, security } of all) {
    for (const priority of INCIDENT_PRIORITIES) text.sample(METRICS.security, [flag, priority], security[priority]);
  }
  text.metric(METRICS.numerator);
  for (const { flag, business } of all) {
    for (const { arm, segment, metric, numerator } of business) text.sample(METRICS.numerator, [flag, arm, segment, metric], numerator);
  }
  text.metric(METRICS.denominator);
  for (const { flag, business } of all) {
    for (const { arm, segment, metric, denominator } of business) {
      text.sample(METRICS.denominator, [flag, arm, segment, metric], denominator);
    }
  }
}

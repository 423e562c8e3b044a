import type { ComponentType } from "preact";
import { ActsCard } from "./acts-card.tsx";
import { AuditCard } from "./audit-card.tsx";
import { GatesCard, TriggersCard } from "./check-cards.tsx";
import { ExplainCard } from "./explain-card.tsx";
import { InstancesCard, RejectionsCard, UpstreamsCard, WorkersCard } from "./fleet-cards.tsx";
import { IncidentsCard } from "./incidents-card.tsx";
import { NoticesCard } from "./notices-card.tsx";
import type { PanelProps } from "./panel.ts";
import { PlanCard } from "./plan-card.tsx";
import { SlaCard } from "./sla-card.tsx";
import { StateCard } from "./state-card.tsx";

export { WayBack } from "./acts-card.tsx";
export type { PanelProps } from "./panel.ts";

/**
 * The panels that show the rollout and take people's acts, in the order in which they are read. Each is one or more `<Card>`s (components/card.tsx;
 * a grid of twelve columns): headings of level 3. The page puts headings of level 2 over the three groups.
 */
export const PANELS: Readonly<Record<"plan" | "checks" | "operations", readonly ComponentType<PanelProps>[]>> = {
  /** Timeline, state in words, acts. */
  plan: [PlanCard, StateCard, ActsCard],
  /** Gates, triggers, webhooks. */
  checks: [GatesCard, TriggersCard],
  /** Notices, incidents, SLA, explain, audit, instances. */
  operations: [NoticesCard, IncidentsCard, SlaCard, ExplainCard, InstancesCard, UpstreamsCard, WorkersCard, RejectionsCard, AuditCard],
};

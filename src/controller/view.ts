import type { Seen } from "./next.ts";

/** What the leader saw at its last look, for people. */
export interface RolloutView extends Pick<
  Seen,
  "triggers" | "gates" | "webhooks" | "calendar" | "figuresAgeMs" | "stable" | "requestsPerSecond"
> {
  /** Epoch milliseconds. */
  readonly at: number;
  /** The instance that leads. */
  readonly leader: string;
  readonly rollout: string;
  /** Why the rollout stays where it is, or what was done. */
  readonly reasons: readonly string[];
}

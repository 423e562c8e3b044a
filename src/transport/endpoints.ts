import { performance } from "node:perf_hooks";

/** What choosing an endpoint needs to know of each. */
export interface EndpointState {
  /** Requests under way or waiting. */
  readonly load: number;
  /** Until when others are preferred, after a failure to connect. Milliseconds on the performance clock. */
  readonly shunnedUntil: number;
}

/** An endpoint that could not be connected to is left alone this long, while there is another. */
export const SHUN_MS = 1_000;
/** More than any load. */
const SHUNNED = 1e6;

/** The least loaded endpoint that can be reached; among equals in turn. If none can, the least loaded of all. */
export function chooseEndpoint<E extends EndpointState>(endpoints: readonly [E, ...E[]], turn: number): E {
  const [first] = endpoints;
  if (endpoints.length === 1) return first;
  const now = performance.now();
  let best = first;
  let bestScore = Infinity;
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[(turn + i) % endpoints.length] ?? first;
    const score = endpoint.load + (endpoint.shunnedUntil > now ? SHUNNED : 0);
    if (score < bestScore) [best, bestScore] = [endpoint, score];
  }
  return best;
}

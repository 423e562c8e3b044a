import type { Plan } from "./attempts.ts";
import type { Exchange } from "./exchange.ts";
import type { CompiledAction } from "./routes.ts";

/** Whole bodies up to this size are sent in one write, which is cheaper than a stream, and can be sent again. */
const SMALL_BODY = 65_536;

type Sending = Exclude<CompiledAction, { kind: "respond" }>;

/** Whether the candidate's answer is to be replaced when it is not good enough. */
function fallsBack(exchange: Exchange, action: CompiledAction): boolean {
  return action.kind === "split" && exchange.decision?.arm === "candidate" && (exchange.rules?.fallback.enabled ?? false);
}

/** How much of the body is kept before anything is sent; 0 sends it as it comes. */
export function bodyToKeep(exchange: Exchange, action: Sending): number {
  const { head, body } = exchange.downstream;
  if (body.kind === "none") return 0;
  const { replayBytes } = exchange.context.config.limits;
  if (fallsBack(exchange, action) && exchange.idempotent) return replayBytes;
  // A body of unknown length may be a conversation: holding it back would stop it.
  const length = Number(head.get("content-length") ?? Number.NaN);
  return length <= Math.min(SMALL_BODY, replayBytes) ? length : 0;
}

/** Who is asked, and who else if need be. */
export function planOf(exchange: Exchange, action: CompiledAction): Plan {
  if (action.kind === "respond") throw new TypeError("a route that answers by itself sends nothing");
  const { rules, decision } = exchange;
  if (action.kind === "forward" || rules === undefined || decision === undefined) {
    const first = action.kind === "forward" ? action.to : action.stable;
    return { first, fallback: undefined, responseTimeMs: 0, floorBp: 0, readsQuality: true };
  }
  return {
    first: decision.arm === "candidate" ? action.candidate : action.stable,
    fallback: fallsBack(exchange, action) ? action.stable : undefined,
    responseTimeMs: rules.fallback.responseTimeMs,
    floorBp: decision.arm === "candidate" ? rules.fallback.accuracyBp : 0,
    readsQuality: true,
  };
}

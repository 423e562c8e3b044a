import type { AssignedArm } from "../core/words.ts";
import type { Rules } from "../rollout/rules.ts";
import type { Exchange } from "./exchange.ts";
import type { CompiledAction, Destination } from "./routes.ts";

/** Whole bodies up to this size are sent in one write, which is cheaper than a stream, and can be sent again. */
const SMALL_BODY = 65_536;

/** Who is asked, and what for. */
export interface Plan {
  readonly first: Destination;
  /** Who answers instead, if that is wanted. */
  readonly fallback: Destination | undefined;
  /** How long the first has, in milliseconds, when there is a fallback. */
  readonly responseTimeMs: number;
  /** Floor of quality, in basis points. */
  readonly floorBp: number;
}

export function forwardPlan(to: Destination): Plan {
  return { first: to, fallback: undefined, responseTimeMs: 0, floorBp: 0 };
}

/** The plans of a split route, by arm. They follow from the rules, and are made when those have changed. */
export class SplitPlans {
  /** For a request that nothing was decided for. */
  readonly undecided: Plan;
  readonly #to: { readonly stable: Destination; readonly candidate: Destination };
  #rules: Rules | undefined;
  #stable: Plan;
  #candidate: Plan;

  constructor(stable: Destination, candidate: Destination) {
    this.#to = { stable, candidate };
    this.undecided = forwardPlan(stable);
    this.#stable = this.undecided;
    this.#candidate = this.undecided;
  }

  of(rules: Rules, arm: AssignedArm): Plan {
    if (rules !== this.#rules) this.#make(rules);
    return arm === "candidate" ? this.#candidate : this.#stable;
  }

  #make(rules: Rules): void {
    const { stable, candidate } = this.#to;
    const { enabled, responseTimeMs, accuracyBp } = rules.fallback;
    this.#rules = rules;
    this.#stable = { first: stable, fallback: undefined, responseTimeMs, floorBp: 0 };
    this.#candidate = { first: candidate, fallback: enabled ? stable : undefined, responseTimeMs, floorBp: accuracyBp };
  }
}

/** Who is asked, and who else if need be. */
export function planOf(exchange: Exchange, action: Exclude<CompiledAction, { kind: "respond" }>): Plan {
  if (action.kind === "forward") return action.plan;
  const { rules, decision } = exchange;
  return rules === undefined || decision === undefined ? action.plans.undecided : action.plans.of(rules, decision.arm);
}

/** How much of the body is kept before anything is sent; 0 sends it as it comes. */
export function bodyToKeep(exchange: Exchange, plan: Plan): number {
  const { body, bodyLength } = exchange.downstream;
  if (body.kind === "none") return 0;
  const { replayBytes } = exchange.context.config.limits;
  if (plan.fallback !== undefined && exchange.idempotent) return replayBytes;
  // A body of unknown length may be a conversation: holding it back would stop it.
  return bodyLength > 0 && bodyLength <= Math.min(SMALL_BODY, replayBytes) ? bodyLength : 0;
}

import type { AssignedArm } from "../core/words.ts";
import type { GuardSettings } from "../resilience/arm-guard.ts";
import type { Rules } from "../rollout/rules.ts";
import type { Exchange } from "./exchange.ts";
import type { RouteGuard } from "./route-guard.ts";
import type { CompiledAction, Destination } from "./routes.ts";

/** Whole bodies up to this size are sent in one write, which is cheaper than a stream, and can be sent again. */
const SMALL_BODY = 65_536;
/** Extra sends to the stable arm that may always be open. */
export const BUDGET_MINIMUM = 3;

/** Who is asked, and what for. */
export interface Plan {
  readonly first: Destination;
  /** Who answers instead, if that is wanted. */
  readonly fallback: Destination | undefined;
  /** How long the first has, in milliseconds, when there is a fallback. */
  readonly responseTimeMs: number;
  /** Floor of quality, in basis points. */
  readonly floorBp: number;
  /** Whether the first may be asked at all, and how often the other besides; undefined: nobody counts. */
  readonly guard: RouteGuard | undefined;
  readonly limits: GuardSettings;
  /** The fallback is started beside a first that takes long. */
  readonly hedge: boolean;
}

const UNLIMITED: GuardSettings = { budgetBp: 10_000, budgetMinimum: BUDGET_MINIMUM, errorRateBp: 0, accuracyBp: 0 };

export function forwardPlan(to: Destination): Plan {
  return { first: to, fallback: undefined, responseTimeMs: 0, floorBp: 0, guard: undefined, limits: UNLIMITED, hedge: false };
}

interface ArmPlans {
  readonly stable: Plan;
  readonly candidate: Plan;
}

/** The plans of a split route, by arm and by which of its stable upstreams is meant. They follow from the rules, and are made when those have changed. */
export class SplitPlans {
  readonly guard: RouteGuard;
  readonly #stable: readonly Destination[];
  readonly #candidate: Destination;
  readonly #undecided: readonly Plan[];
  #rules: Rules | undefined;
  #plans: readonly ArmPlans[] = [];

  /** `stable`: the usual one first. */
  constructor(stable: readonly Destination[], candidate: Destination, guard: RouteGuard) {
    this.guard = guard;
    this.#stable = stable;
    this.#candidate = candidate;
    this.#undecided = stable.map(forwardPlan);
  }

  /** For a request that nothing was decided for. */
  undecided(stable: number): Plan {
    return this.#undecided[stable] ?? forwardPlan(this.#candidate);
  }

  of(rules: Rules, arm: AssignedArm, stable: number): Plan {
    if (rules !== this.#rules) this.#make(rules);
    return this.#plans[stable]?.[arm] ?? this.undecided(stable);
  }

  #make(rules: Rules): void {
    const { enabled, responseTimeMs, accuracyBp, errorRateBp, budgetBp, breaker, hedge } = rules.fallback;
    this.#rules = rules;
    const limits = { budgetBp, budgetMinimum: BUDGET_MINIMUM, errorRateBp, accuracyBp };
    this.#plans = this.#stable.map((to) => ({
      stable: { ...forwardPlan(to), responseTimeMs },
      candidate: {
        first: this.#candidate,
        fallback: enabled ? to : undefined,
        responseTimeMs,
        floorBp: accuracyBp,
        guard: enabled && breaker !== "off" ? this.guard : undefined,
        limits,
        hedge,
      },
    }));
  }
}

/** Who is asked, and who else if need be. `stable` is the number of the stable upstream that is meant. */
export function planOf(exchange: Exchange, action: Exclude<CompiledAction, { kind: "respond" }>, stable: number): Plan {
  if (action.kind === "forward") return action.plan;
  const { rules, decision } = exchange;
  return rules === undefined || decision === undefined ? action.plans.undecided(stable) : action.plans.of(rules, decision.arm, stable);
}

/** How much of the body is kept before anything is sent; 0 sends it as it comes. */
export function bodyToKeep(exchange: Exchange, plan: Plan): number {
  const { body, bodyLength } = exchange.downstream;
  if (body.kind === "none") return 0;
  const { replayBytes } = exchange.context.config.limits;
  if (exchange.idempotencyKey !== undefined || (plan.fallback !== undefined && exchange.mayRepeat)) return replayBytes;
  if (exchange.route?.readsBody) return replayBytes;
  // A body of unknown length may be a conversation: holding it back would stop it.
  return bodyLength > 0 && bodyLength <= Math.min(SMALL_BODY, replayBytes) ? bodyLength : 0;
}

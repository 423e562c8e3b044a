import type { Config, Route, Target, Upstream as UpstreamConfig } from "../config/config.ts";
import type { AssignedArm } from "../core/words.ts";
import { plainPathOf, queryOf } from "../http/target.ts";
import { pointerSteps, type Step } from "../resilience/json-figures.ts";
import type { Transport, Upstream } from "../transport/transport.ts";
import { forwardPlan, SplitPlans, type Plan } from "./plan.ts";
import { Story } from "./story.ts";

/** An upstream with its number, its connections and its quality pointer taken apart. */
export interface Backend {
  readonly index: number;
  readonly name: string;
  readonly config: UpstreamConfig;
  readonly upstream: Upstream;
  readonly qualitySteps: readonly Step[] | undefined;
}

/** Where an arm of a route sends its requests. */
export interface Destination {
  readonly backend: Backend;
  readonly arm: AssignedArm | "none";
  /** The target this destination sees for a request's target. */
  targetFor(target: string): string;
  /** What answers from here say of how they came to be. */
  readonly story: Story;
}

export type CompiledAction =
  | { readonly kind: "split"; readonly flag: number; readonly plans: SplitPlans }
  | { readonly kind: "forward"; readonly plan: Plan }
  | { readonly kind: "respond"; readonly status: number; readonly contentType: string; readonly body: Uint8Array };

export interface CompiledRoute {
  readonly kind: "route";
  readonly index: number;
  readonly name: string;
  readonly methods: ReadonlySet<string>;
  readonly path: string;
  readonly prefix: boolean;
  readonly action: CompiledAction;
  readonly idempotent: boolean;
  readonly timeoutMs: number;
}

export type RouteMatch = CompiledRoute | { readonly kind: "method-not-allowed"; readonly allow: string } | { readonly kind: "no-route" };

/** The routes in the order of the file; the first that takes path and method wins. */
export class RouteTable {
  readonly #routes: readonly CompiledRoute[];
  readonly #exact = new Map<string, CompiledRoute[]>();
  readonly #prefixes: CompiledRoute[] = [];

  constructor(routes: readonly CompiledRoute[]) {
    this.#routes = routes;
    for (const route of routes) {
      if (route.prefix) this.#prefixes.push(route);
      else this.#exact.set(route.path, [...(this.#exact.get(route.path) ?? []), route]);
    }
  }

  find(method: string, target: string): RouteMatch {
    const path = plainPathOf(target);
    let best: CompiledRoute | undefined;
    for (const route of this.#exact.get(path) ?? []) {
      if (takes(route, method)) {
        best = route;
        break;
      }
    }
    for (const route of this.#prefixes) {
      if (best !== undefined && best.index < route.index) break;
      if (takes(route, method) && isBelow(route, path)) {
        best = route;
        break;
      }
    }
    if (best !== undefined) return best;
    const others = this.#routes.filter((route) => (route.prefix ? isBelow(route, path) : route.path === path));
    if (others.length === 0) return { kind: "no-route" };
    return { kind: "method-not-allowed", allow: [...new Set(others.flatMap((route) => [...route.methods]))].join(", ") };
  }
}

function takes(route: CompiledRoute, method: string): boolean {
  return route.methods.size === 0 || route.methods.has(method);
}

function isBelow(route: CompiledRoute, path: string): boolean {
  return path.startsWith(route.path) || (route.path.endsWith("/") && path === route.path.slice(0, -1));
}

export function compileBackends(config: Config, transport: Transport): readonly Backend[] {
  return config.upstreams.map((upstream, index) => ({
    index,
    name: upstream.name,
    config: upstream,
    upstream: transport.upstream(upstream),
    qualitySteps: upstream.quality && pointerSteps(upstream.quality.pointer),
  }));
}

export function compileRoutes(config: Config, backends: readonly Backend[]): readonly CompiledRoute[] {
  return config.routes.map((route, index) => ({
    kind: "route",
    index,
    name: route.name,
    methods: new Set(route.match.methods),
    path: route.match.path,
    prefix: route.match.prefix,
    action: compileAction(route, config, backends),
    idempotent: route.idempotent,
    timeoutMs: route.timeoutMs,
  }));
}

function compileAction(route: Route, config: Config, backends: readonly Backend[]): CompiledAction {
  const { action } = route;
  switch (action.kind) {
    case "split":
      return {
        kind: "split",
        flag: config.flags.findIndex((flag) => flag.name === action.flag),
        plans: new SplitPlans(
          destination(route, action.stable, "stable", backends),
          destination(route, action.candidate, "candidate", backends),
        ),
      };
    case "forward":
      return { kind: "forward", plan: forwardPlan(destination(route, action.target, "none", backends)) };
    case "respond":
      return { kind: "respond", status: action.status, contentType: action.contentType, body: Buffer.from(action.body) };
  }
}

function destination(route: Route, target: Target, arm: Destination["arm"], backends: readonly Backend[]): Destination {
  const backend = backends.find((candidate) => candidate.name === target.upstream);
  if (backend === undefined) throw new Error(`route ${route.name} names the unknown upstream ${target.upstream}`);
  const { path, prefix } = route.match;
  const base = target.path?.replace(/\*\*$/, "");
  const story = new Story(backend.name);
  if (base === undefined) return { backend, arm, story, targetFor: (requested) => requested };
  if (!prefix) return { backend, arm, story, targetFor: (requested) => base + queryOf(requested) };
  return { backend, arm, story, targetFor: (requested) => base + plainPathOf(requested).slice(path.length) + queryOf(requested) };
}

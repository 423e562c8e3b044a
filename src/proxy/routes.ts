import type { Condition, Config, Route, Target, Upstream as UpstreamConfig } from "../config/config.ts";
import type { AssignedArm } from "../core/words.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { createTranslation, type Translation } from "../dialects/translation.ts";
import { plainPathOf, queryOf } from "../http/target.ts";
import { createJudge, FALLBACK_ALGORITHMS, type Judge, type SignSettings } from "../resilience/signs.ts";
import type { Transport, Upstream } from "../transport/transport.ts";
import { forwardPlan, SplitPlans, type Plan } from "./plan.ts";
import { type GuardMemory, RouteGuard } from "./route-guard.ts";
import { Story } from "./story.ts";

/** An upstream with its number, its connections and what its answers are judged by. */
export interface Backend {
  readonly index: number;
  readonly name: string;
  readonly config: UpstreamConfig;
  readonly upstream: Upstream;
  readonly judge: Judge | undefined;
}

/** Where an arm of a route sends its requests. */
export interface Destination {
  readonly backend: Backend;
  readonly arm: AssignedArm | "none";
  /** The target this destination sees for a request's target. */
  targetFor(target: string): string;
  /** From and to what the route's clients speak; undefined where that is the same. */
  readonly translation: Translation | undefined;
  /** What answers from here say of how they came to be. */
  readonly story: Story;
}

export type CompiledAction =
  | {
      readonly kind: "split";
      readonly flag: number;
      readonly plans: SplitPlans;
      /** Of the stable upstreams after the usual one. */
      readonly conditions: readonly Condition[];
    }
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
  /** What its clients speak. */
  readonly dialect: Dialect | undefined;
  /** The body must be at hand before it is known what is sent to whom. */
  readonly readsBody: boolean;
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

/** What routes are compiled with, besides the configuration. */
export interface Means {
  readonly transport: Transport;
  readonly dialects: ReadonlyMap<string, Dialect>;
  readonly guards: GuardMemory;
}

export function compileBackends(config: Config, { transport, dialects }: Means): readonly Backend[] {
  return config.upstreams.map((upstream, index) => ({
    index,
    name: upstream.name,
    config: upstream,
    upstream: transport.upstream(upstream),
    judge: createJudge(upstream.quality, signsOf(upstream, dialects)),
  }));
}

/** Signs with the places at which to look: those of the file, else those of the upstream's dialect. */
function signsOf({ signs, dialect }: UpstreamConfig, dialects: ReadonlyMap<string, Dialect>): SignSettings | undefined {
  if (signs === undefined) return undefined;
  const known = dialect === undefined ? undefined : dialects.get(dialect)?.paths;
  const { paths } = signs;
  return {
    enabled: signs.enabled,
    paths: {
      success: paths.success ?? known?.success,
      algorithm: paths.algorithm ?? known?.algorithm,
      fallbackFlags: paths.fallbackFlags ?? known?.fallbackFlags ?? [],
      matches: paths.matches ?? known?.matches,
      answerIds: paths.answerIds ?? known?.answerIds,
      requestIds: paths.requestIds ?? known?.requestIds,
      scores: paths.scores ?? known?.scores,
      confidences: paths.confidences ?? known?.confidences,
    },
    fallbackAlgorithms: signs.algorithms ?? FALLBACK_ALGORITHMS,
    confidenceAtMost: signs.confidenceAtMost,
  };
}

export function compileRoutes(config: Config, backends: readonly Backend[], means: Means): readonly CompiledRoute[] {
  return config.routes.map((route, index) => ({
    kind: "route",
    index,
    name: route.name,
    methods: new Set(route.match.methods),
    path: route.match.path,
    prefix: route.match.prefix,
    action: compileAction(route, config, backends, means),
    idempotent: route.idempotent,
    timeoutMs: route.timeoutMs,
    dialect: dialectOf(route.dialect, means.dialects),
    readsBody:
      route.dialect !== undefined || (route.action.kind === "split" && route.action.stableFor.some(({ when }) => when.kind === "body")),
  }));
}

function dialectOf(name: string | undefined, dialects: ReadonlyMap<string, Dialect>): Dialect | undefined {
  const dialect = name === undefined ? undefined : dialects.get(name);
  if (name !== undefined && dialect === undefined) throw new Error(`there is no dialect ${name}`);
  return dialect;
}

function compileAction(route: Route, config: Config, backends: readonly Backend[], means: Means): CompiledAction {
  const { action } = route;
  const to = (target: Target, arm: Destination["arm"]): Destination => destination(route, target, arm, backends, means.dialects);
  switch (action.kind) {
    case "split": {
      const stable = [action.stable, ...action.stableFor.map(({ target }) => target)].map((target) => to(target, "stable"));
      const guard = new RouteGuard(means.guards, splitRoutes(config).indexOf(route));
      return {
        kind: "split",
        flag: config.flags.findIndex((flag) => flag.name === action.flag),
        plans: new SplitPlans(stable, to(action.candidate, "candidate"), guard),
        conditions: action.stableFor.map(({ when }) => when),
      };
    }
    case "forward":
      return { kind: "forward", plan: forwardPlan(to(action.target, "none")) };
    case "respond":
      return { kind: "respond", status: action.status, contentType: action.contentType, body: Buffer.from(action.body) };
  }
}

/** The routes that have a breaker, in the order of its memory. */
export function splitRoutes(config: Config): readonly Route[] {
  return config.routes.filter(({ action }) => action.kind === "split");
}

function destination(
  route: Route,
  target: Target,
  arm: Destination["arm"],
  backends: readonly Backend[],
  dialects: ReadonlyMap<string, Dialect>,
): Destination {
  const backend = backends.find((candidate) => candidate.name === target.upstream);
  if (backend === undefined) throw new Error(`route ${route.name} names the unknown upstream ${target.upstream}`);
  const { path, prefix } = route.match;
  const base = target.path?.replace(/\*\*$/, "");
  const story = new Story(backend.name);
  const clients = dialectOf(route.dialect, dialects);
  const spoken = dialectOf(backend.config.dialect, dialects);
  const translation = clients === undefined || spoken === undefined || clients === spoken ? undefined : createTranslation(clients, spoken);
  const fixed = { backend, arm, story, translation };
  if (base === undefined) return { ...fixed, targetFor: (requested) => requested };
  if (!prefix) return { ...fixed, targetFor: (requested) => base + queryOf(requested) };
  return { ...fixed, targetFor: (requested) => base + plainPathOf(requested).slice(path.length) + queryOf(requested) };
}

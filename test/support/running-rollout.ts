import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { RolloutStatus } from "../../src/controller/desk.ts";
import type { Rollback, Rollout, RolloutState } from "../../src/controller/rollout.ts";
import { type App, configOf, configText, startApp, temporaryDirectory } from "./app.ts";
import { type Backend, type Reply, type Scope, startBackend, until } from "./backend.ts";
import { Load } from "./load.ts";
import { type RedisServer, startRedis } from "./redis.ts";

/** Instances in this process on one real Redis, with a stable and a candidate backend, to let plans of seconds run against. */

/** What a plan of days does, in seconds. */
export const QUICK = "rollout: { lease: 2s, evaluate: 200ms, publish: 200ms, record: 1s }";
export const BY = { who: "test", reason: "trial" };
/** The status is not asked for all the time: that would be most of what a slow machine does. */
const POLL_MS = 50;

export interface Candidate extends Backend {
  /** When each request arrived, epoch milliseconds. */
  readonly arrivals: readonly number[];
  /** What it took itself for those that it made wait, milliseconds: a busy machine keeps no exact time. */
  readonly took: readonly number[];
  /** How it answers from now on. */
  become(mood: Mood): void;
}

/** well: 200 · broken: 500 · silent: never · a function: 200 after so many milliseconds, by the number of the request. */
export type Mood = "well" | "broken" | "silent" | ((request: number) => number);

/** A candidate that can be told to fail, and that remembers when it was asked. */
export async function startCandidate(scope: Scope): Promise<Candidate> {
  const arrivals: number[] = [];
  const took: number[] = [];
  let mood: Mood = "well";
  const timers = new Set<NodeJS.Timeout>();
  scope.teardown(() => timers.forEach((timer) => clearTimeout(timer)));
  const say = (res: ServerResponse): void => void res.setHeader("content-type", "application/json").end('{"name":"new"}');
  const listener: RequestListener = (_: IncomingMessage, res) => {
    arrivals.push(Date.now());
    if (mood === "well") say(res);
    else if (mood === "broken") res.writeHead(500).end("broken");
    else if (mood !== "silent") {
      const began = performance.now();
      const timer = setTimeout(() => {
        timers.delete(timer);
        took.push(performance.now() - began);
        say(res);
      }, mood(arrivals.length));
      timers.add(timer);
    }
  };
  const backend = await startBackend(scope, "new", listener);
  return {
    port: backend.port,
    origin: backend.origin,
    get requests() {
      return backend.requests;
    },
    close: () => backend.close(),
    arrivals,
    took,
    become: (next) => (mood = next),
  };
}

export interface FleetSetup {
  /** Default: two. */
  readonly instances?: number;
  /** Further top-level lines of the configuration. Default: {@link QUICK}. */
  readonly more?: string;
  /** Of the flag. Default: after ten seconds, and no breaker, so that nothing but the rollout takes traffic away. */
  readonly fallback?: string;
  /** Further members of `admin`. */
  readonly admin?: string;
}

export interface Fleet {
  readonly redis: RedisServer;
  readonly apps: readonly App[];
  readonly one: App;
  readonly other: App;
  readonly old: Backend;
  readonly fresh: Candidate;
  /** Where hooks are run. */
  readonly folder: string;
  /** Sends requests to every instance until the test ends. */
  load(perSecond: number, onReply?: (user: string, reply: Reply) => void): readonly Load[];
  rollout(): Promise<Rollout>;
  /** Resolves once the rollout is in a state like that. */
  reached(status: RolloutState["status"], limitMs?: number): Promise<Rollout>;
  /** Which instance leads, and one that does not. */
  roles(): Promise<{ readonly leader: App; readonly follower: App }>;
}

export const FALLBACK = "conditions: { response_time: 10s }, breaker: off";

/** A machine that is busy with other things for some seconds loses nobody a request. */
export function patientText(text: string, fallback = FALLBACK): string {
  return text.replace("conditions: { response_time: 3s }", fallback).replace("timeout: 5s", "timeout: 60s");
}

export async function startFleet(scope: Scope, { instances = 2, more = QUICK, fallback, admin = "" }: FleetSetup = {}): Promise<Fleet> {
  const redis = await startRedis();
  scope.teardown(() => redis.stop());
  const folder = await temporaryDirectory(scope);
  const old = await startBackend(scope, "old");
  const fresh = await startCandidate(scope);
  const text = configText({ stable: old.origin, candidate: fresh.origin, store: redis.url, workers: 1, more });
  const config = configOf(patientText(text, fallback).replace("address: 127.0.0.1:0 }\nstore", `address: 127.0.0.1:0${admin} }\nstore`));
  const hooks = config.hooks.map((hook) => (hook.kind === "command" ? { ...hook, folder } : hook));
  const names = ["one", "other", "third"].slice(0, instances);
  const apps: App[] = [];
  for (const instance of names) apps.push(await startApp(scope, { ...config, hooks }, { instance }));
  const one = at(apps, 0);
  const status = (): Promise<RolloutStatus> => one.control.rollouts.status("move");
  const rollout = async (): Promise<Rollout> => {
    const { rollout: found } = await status();
    if (found === undefined) throw new Error("there is no rollout");
    return found;
  };
  return {
    redis,
    apps,
    one,
    other: at(apps, instances - 1),
    old,
    fresh,
    folder,
    load(perSecond, onReply) {
      const options = { connections: 20, perSecond: perSecond / apps.length, ...(onReply && { onReply }) };
      const load = apps.map(({ port }) => new Load(port, options).start());
      scope.teardown(() => Promise.all(load.map((each) => each.stop())));
      return load;
    },
    rollout,
    async reached(wanted, limitMs = 60_000) {
      const isThere = async (): Promise<boolean> => (await rollout()).state.status === wanted || delay(POLL_MS, false);
      await until(`the rollout is ${wanted}`, isThere, limitMs).catch(async (cause: unknown) => {
        const { view, rollout: found } = await status();
        throw new Error(`not ${wanted} but ${JSON.stringify(found?.state)}: ${JSON.stringify(view?.reasons)}`, { cause });
      });
      return rollout();
    },
    async roles() {
      await until("somebody leads", async () => (await status()).leader !== undefined || delay(POLL_MS, false));
      const { leader } = await status();
      const leads = at(apps, Math.max(0, names.indexOf(leader ?? "")));
      return { leader: leads, follower: apps.find((app) => app !== leads) ?? leads };
    },
  };
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`nothing at ${index}`);
  return found;
}

/** A plan of these steps, with these lines beside. */
export function planText(steps: readonly string[], more = ""): string {
  return ["name: quick", "flag: move", "steps:", ...steps.map((step) => `  - ${step}`), more].join("\n");
}

export const ERRORS = "triggers: [ { metric: errors, at_most: 10%, window: 10s, min_sample: 20 } ]";
export const HALF = "{ name: half, percentage: 50, dwell: 1h }";

export async function begin({ one }: Pick<Fleet, "one">, plan: string): Promise<void> {
  const receipt = await one.control.rollouts.start("move", plan, BY, true, 10_000);
  if (receipt.missing.length > 0) throw new Error(`not confirmed by ${receipt.missing.join(", ")}`);
}

export function rollbackOf({ state }: Rollout): Rollback {
  if (!("rollback" in state)) throw new Error(`it is ${state.status}`);
  return state.rollback;
}

/** Requests without an answer, and answers that are not 200. */
export function lostBy(load: readonly Load[]): readonly unknown[] {
  return load.flatMap(({ lost, replies }) => [...lost, ...[...replies].filter(([reply]) => !reply.startsWith("200 "))]);
}

/** Every share that was written, in order, with its instant. */
export async function sharesOf({ one }: Fleet): Promise<readonly { readonly percentage: number; readonly at: number }[]> {
  const audit = await one.control.store.audit("move", 100);
  return audit
    .toReversed()
    .flatMap(({ at, changes }) =>
      changes.filter(({ field }) => field === "rollout_percentage").map(({ to }) => ({ percentage: Number(to), at: Date.parse(at) })),
    );
}

/** The leader has looked again, that much later. */
export async function looked({ one }: Fleet, ms: number): Promise<void> {
  const from = Date.now();
  const hasLooked = async (): Promise<boolean> => {
    const { view } = await one.control.rollouts.status("move");
    return (view?.at ?? 0) >= from + ms || delay(POLL_MS, false);
  };
  await until(`the leader looks for ${ms} ms`, hasLooked, ms + 30_000);
}

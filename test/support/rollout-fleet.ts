import type { ChildProcess } from "node:child_process";
import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Rollout } from "../../src/controller/rollout.ts";
import { readRollout } from "../../src/controller/state-text.ts";
import { flagKeys } from "../../src/store/keys.ts";
import { configText } from "./app.ts";
import { ask, type Scope, until } from "./backend.ts";
import { type Program, runProgram } from "./program.ts";
import { type Caught, openGate } from "./redis-gate.ts";
import type { RedisServer } from "./redis.ts";

/** Instances of `crossfade serve` on one Redis, to be killed and stopped in the middle of a rollout. */

export const LEASE_MS = 1_000;
const KEYS = flagKeys("crossfade:", "move", []);

/** A machine with too much to do takes so long for what takes two seconds otherwise. */
export const PATIENCE_MS = 60_000;

export interface Member extends Program {
  readonly port: number;
  readonly instance: string;
  /** A request to the admin API: what it says, and the status. */
  call(method: "GET" | "POST" | "PATCH", path: string, body?: object, who?: string): Promise<Said>;
  /** What is in force on it. */
  flag(): Promise<{ readonly percentage: number; readonly killed: boolean }>;
}

export interface Said {
  readonly status: number;
  /** The JSON as it came. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface FleetSetup {
  readonly redis: RedisServer;
  readonly stable: string;
  readonly candidate: string;
  /** Further lines of the configuration file. */
  readonly more?: string;
}

/** One more instance, behind a gate of its own. */
export async function startMember(
  scope: Scope,
  { redis, stable, candidate, more = "" }: FleetSetup,
  catches: (rollout: Rollout) => Caught["when"] | undefined = () => undefined,
): Promise<Member> {
  let kill = (): void => undefined;
  const gate = await openGate(scope, redis.port, (rollout) => {
    const when = catches(rollout);
    return when && { when, spring: () => kill() };
  });
  const quick = `rollout: { lease: ${LEASE_MS}ms, evaluate: 100ms, publish: 100ms, record: 1s }\n${more}`;
  const program = await runProgram(scope, configText({ stable, candidate, store: gate.url, workers: 1, more: quick }));
  kill = () => void program.process.kill("SIGKILL");
  const serving = (): (typeof program.lines)[number] | undefined => program.lines.find(({ msg }) => msg === "serving");
  await until("the program serves", () => serving() !== undefined || isDead(program.process), PATIENCE_MS);
  const [port, adminPort] = [serving()?.["listeners"], serving()?.["admin"]].map((place) => Number(/:(\d+)$/.exec(String(place))?.[1]));
  if (port === undefined || adminPort === undefined || !(adminPort > 0)) throw new Error(`it does not serve: ${program.errors()}`);
  const call: Member["call"] = async (method, path, body, who = "ops") => {
    const reply = await ask(adminPort, {
      method,
      path,
      headers: { "content-type": "application/json", "x-crossfade-user": who },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: reply.status, body: JSON.parse(reply.body) };
  };
  const { body } = await call("GET", "/api/status");
  return {
    ...program,
    port,
    instance: String(body["instance"]),
    call,
    flag: async () => {
      const { body } = await call("GET", "/api/flags/move");
      return flagIn(body);
    },
  };
}

function isDead({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function flagIn(body: Said["body"]): { readonly percentage: number; readonly killed: boolean } {
  const settings = body["settings"];
  const given = typeof settings === "object" && settings !== null && "rollout_percentage" in settings ? settings.rollout_percentage : "?";
  const share = Number(given);
  return { percentage: share, killed: body["killed"] === true };
}

export interface Audited {
  readonly who: string;
  readonly reason: string;
  readonly status: string;
}

/** What stands in Redis at one instant. */
export interface Stored {
  /** Undefined: there is no document. */
  readonly rollout: Rollout | undefined;
  readonly version: number;
  /** Number of the lease under which the document was written. */
  readonly fence: number;
  /** As the settings have it; NaN: not at all. */
  readonly percentage: number;
  /** Who leads; "" for nobody. */
  readonly leader: string;
  /** Of the last lease that was handed out. */
  readonly lease: number;
  /** The oldest first. */
  readonly audit: readonly Audited[];
}

const LOOK = `
local document = redis.call('HMGET', KEYS[2], 'version', 'text', 'fence')
local audit = {}
for i, entry in ipairs(redis.call('XRANGE', KEYS[4], '-', '+')) do audit[i] = entry[2] end
return cjson.encode({ redis.call('HGET', KEYS[1], 'rollout_percentage') or '', document[1] or '0', document[2] or '',
  redis.call('GET', KEYS[3]) or '', redis.call('GET', KEYS[5]) or '', document[3] or '0', audit })`;

const LOOKED_AT = [KEYS.flags, KEYS.rollout, KEYS.lease, KEYS.audit, KEYS.fence];

export async function look(redis: RedisServer): Promise<Stored> {
  return storedIn(await redis.cli("EVAL", LOOK, LOOKED_AT.length, ...LOOKED_AT));
}

function storedIn(text: string): Stored {
  const [percentage, version, document, lease, fence, number, audit]: unknown[] = JSON.parse(text);
  return {
    rollout: document === "" ? undefined : readRollout(String(document)),
    version: Number(version),
    fence: Number(number),
    percentage: percentage === "" ? Number.NaN : Number(percentage),
    leader: /^\d+:[^:]*:(.*)$/s.exec(String(lease))?.[1] ?? "",
    lease: Number(String(fence).split(":", 1)[0]),
    audit: Array.isArray(audit) ? audit.map(auditedOf) : [],
  };
}

function auditedOf(flat: unknown): Audited {
  const parts = Array.isArray(flat) ? flat.map(String) : [];
  const field = (name: string): string => parts[parts.indexOf(name) + 1] ?? "";
  return { who: field("who"), reason: field("reason"), status: field("status") };
}

/** The steps that were entered, by the document: names, `back` for the rollback, `done` at the end of it or of the plan. */
export function stepsOf({ plan, stays, state }: Rollout): readonly string[] {
  const entered = stays.map(({ step }) => (step < 0 ? "back" : (plan.steps[step]?.name ?? "?")));
  return state.status === "completed" || state.status === "rolled-back" ? [...entered, "done"] : entered;
}

/** The same, by what the audit says of the last run. */
export function stepsAudited(audit: readonly Audited[]): readonly string[] {
  const entered: string[] = [];
  for (const { reason } of audit) {
    const began = /^\S+ started at (\S+) /.exec(reason) ?? /^resumed by \S+ at (\S+) .*after the rollback/.exec(reason);
    const moved = /^from \S+ \(.*? %\) to (\S+) \(/.exec(reason);
    if (began?.[1] !== undefined) entered.splice(0, entered.length, began[1]);
    else if (moved?.[1] !== undefined) entered.push(moved[1]);
    else if (reason.startsWith("rolled back from ") && / in \d+ ms/.test(reason)) entered.push("done");
    else if (reason.startsWith("rolled back from ")) entered.push("back");
    else if (reason.startsWith("completed after ")) entered.push("done");
  }
  return entered;
}

/** The share that goes with the document, percent; undefined where a person's edit may stand. */
function shareOf({ plan, state }: Rollout): number | undefined {
  if (state.status === "rolling-back" || state.status === "rolled-back") return 0;
  if (state.status === "completed") return (plan.steps.at(-1)?.percentageBp ?? 0) / 100;
  if (state.status === "held" && state.cause === "foreign") return undefined;
  return (plan.steps[state.step]?.percentageBp ?? 0) / 100;
}

/** What does not fit together at that instant; empty: it all does. */
export function discordIn({ rollout, percentage, audit, fence, lease }: Stored): string {
  if (rollout === undefined) return stepsAudited(audit).length === 0 ? "" : `no document, and the audit says ${stepsAudited(audit).join()}`;
  const share = shareOf(rollout);
  if (share !== undefined && share !== percentage) return `${rollout.state.status} with ${percentage} %, not ${share} %`;
  if (fence > lease) return `written under lease ${fence}, and the last one is ${lease}`;
  const [kept, told] = [stepsOf(rollout).join(), stepsAudited(audit).join()];
  return kept === told ? "" : `the document has entered ${kept}, the audit ${told}`;
}

/** Looks at Redis all the time, and keeps what did not fit together. Also who was seen to lead, in order. */
export class Witness {
  readonly discords: string[] = [];
  readonly leaders: string[] = [];
  /** Leases under which documents were written, in order of the versions. */
  readonly fences: number[] = [];
  looks = 0;
  readonly #redis: RedisServer;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  #version = 0;

  constructor(redis: RedisServer) {
    this.#redis = redis;
  }

  start(scope: Scope): this {
    this.#running = this.#run();
    scope.teardown(() => this.stop());
    return this;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const client = new Redis(this.#redis.port, { protocol: 2, maxRetriesPerRequest: 0 });
    client.on("error", () => undefined);
    while (!this.#stopped) {
      const text = await client.eval(LOOK, LOOKED_AT.length, ...LOOKED_AT).catch(() => undefined);
      if (typeof text === "string") this.#note(storedIn(text));
      // The pace of looking, not a wait for anything.
      await delay(10);
    }
    client.disconnect();
  }

  #note(stored: Stored): void {
    this.looks++;
    const discord = discordIn(stored);
    if (discord !== "" && this.discords.at(-1) !== discord) this.discords.push(discord);
    if (stored.version < this.#version) this.discords.push(`version ${stored.version} after ${this.#version}`);
    if (stored.version !== this.#version) this.fences.push(stored.fence);
    this.#version = stored.version;
    if (stored.leader !== "" && stored.leader !== this.leaders.at(-1)) this.leaders.push(stored.leader);
  }
}

/** A write at which whoever makes it dies. */
export interface Trap {
  readonly what: string;
  readonly when: Caught["when"];
  readonly fits: (rollout: Rollout) => boolean;
}

/** Two instances, of which the one that dies is replaced at once. */
export class Pair {
  readonly redis: RedisServer;
  readonly #scope: Scope;
  readonly #setup: FleetSetup;
  /** Everyone there ever was. */
  readonly #members: Member[] = [];
  readonly #deaths: { readonly member: Member; readonly at: number; readonly survived: boolean }[] = [];
  readonly #traps: Trap[] = [];
  /** Held up at a write, and dead in a moment if not yet. */
  readonly #caught = new Set<Life>();
  #starting = new Set<Promise<void>>();
  #over = false;
  #failed: unknown;

  constructor(scope: Scope, setup: FleetSetup) {
    this.#scope = scope;
    this.#setup = setup;
    this.redis = setup.redis;
  }

  async start(): Promise<this> {
    await startQuickly(this.#scope, this.#setup);
    this.#scope.teardown(async () => {
      this.#over = true;
      await Promise.all(this.#starting);
    });
    this.#add();
    this.#add();
    await this.whole();
    await this.leader();
    return this;
  }

  get living(): readonly Member[] {
    const caught = new Set([...this.#caught].map(({ member }) => member));
    return this.#members.filter((member) => !isDead(member.process) && !caught.has(member));
  }

  /** One that lives. */
  async any(): Promise<Member> {
    await until("somebody lives", () => this.#check() && this.living.length > 0, PATIENCE_MS);
    const [first] = this.living;
    if (first === undefined) throw new Error("nobody lives");
    return first;
  }

  async whole(): Promise<readonly Member[]> {
    await until("both live", () => this.#check() && this.living.length === 2, PATIENCE_MS);
    return this.living;
  }

  async leader(): Promise<Member> {
    let found: Member | undefined;
    await until(
      "somebody leads",
      async () => {
        const { leader } = await look(this.redis);
        found = this.living.find(({ instance }) => instance === leader);
        return found !== undefined;
      },
      PATIENCE_MS,
    );
    return found ?? this.any();
  }

  async follower(): Promise<Member> {
    const [both, leader] = [await this.whole(), await this.leader()];
    return both.find((member) => member !== leader) ?? leader;
  }

  /** One trap after the other, each for whoever is first to make that write. */
  trap(...traps: readonly Trap[]): void {
    this.#traps.push(...traps);
  }

  /** Resolves when all traps have been sprung. */
  async sprung(): Promise<void> {
    while (this.#traps.length > 0) {
      const [next] = this.#traps;
      await until(`whoever writes this dies: ${next?.what}`, () => this.#check() && this.#traps[0] !== next, PATIENCE_MS);
    }
    await until("who was caught is dead", () => [...this.#caught].every(({ dead }) => dead), PATIENCE_MS);
  }

  /** From the death of each leader that left another one behind to the next lead, milliseconds. */
  get takeovers(): readonly number[] {
    const leads = this.#members
      .flatMap((member) => member.lines.filter(({ msg }) => msg === LEADS).map(({ time }) => ({ member, at: Date.parse(String(time)) })))
      .toSorted((a, b) => a.at - b.at);
    return this.#deaths.flatMap(({ member, at, survived }) => {
      const led = leads.findLast((lead) => lead.at <= at);
      const next = leads.find((lead) => lead.at > at);
      return survived && led?.member === member && next !== undefined ? [next.at - at] : [];
    });
  }

  #check(): boolean {
    if (this.#failed !== undefined) throw this.#failed;
    return true;
  }

  #add(): void {
    if (this.#over) return;
    const starting = this.#start().catch((error: unknown) => void (this.#failed = error));
    this.#starting.add(starting);
    void starting.finally(() => this.#starting.delete(starting));
  }

  async #start(): Promise<void> {
    const life: Life = { member: undefined, dead: false };
    const started = startMember(this.#scope, this.#setup, (rollout) => {
      const [next] = this.#traps;
      if (next?.fits(rollout) !== true) return undefined;
      this.#traps.shift();
      this.#caught.add(life);
      return next.when;
    });
    const member = await started.catch((error: unknown) => {
      // It may lead, and be caught, before it says that it serves.
      if (!this.#caught.has(life)) throw error;
      life.dead = true;
      return undefined;
    });
    if (member === undefined) {
      this.#add();
      return;
    }
    life.member = member;
    this.#members.push(member);
    const buried = (): void => {
      life.dead = true;
      this.#deaths.push({ member, at: Date.now(), survived: this.living.length > 0 });
      this.#add();
    };
    if (isDead(member.process)) buried();
    else member.process.once("exit", buried);
  }
}

interface Life {
  member: Member | undefined;
  dead: boolean;
}

const LEADS = "this instance leads the rollout";

/** Programs start in half the time when what they are made of has been compiled before, and when nobody watches them do it. */
async function startQuickly(scope: Scope, setup: FleetSetup): Promise<void> {
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "crossfade-test", "compiled");
  process.env["NODE_COMPILE_CACHE"] = cache;
  delete process.env["NODE_OPTIONS"];
  const known = await access(cache).then(
    () => true,
    () => false,
  );
  if (known) return;
  // It is written by a program that ends in peace.
  const first = await startMember(scope, setup);
  first.process.kill("SIGTERM");
  await first.exit;
}

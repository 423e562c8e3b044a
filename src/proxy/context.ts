import type { Config } from "../config/config.ts";
import { Deadlines } from "../core/deadlines.ts";
import { KeyedHash } from "../core/keyed-hash.ts";
import { FORWARDED_FIELDS, Forwarding } from "../http/forwarded.ts";
import type { FlagState } from "../rollout/flag-state.ts";
import { compileRules, type Rules } from "../rollout/rules.ts";
import type { AccessLog } from "../telemetry/access-log.ts";
import type { Meters } from "../telemetry/meters.ts";
import type { RequestLedger } from "../telemetry/request-ledger.ts";
import type { Attempt } from "./attempt.ts";
import { createIdentityRules, type IdentityRules } from "./identify.ts";
import { BUILT_IN } from "../dialects/registry.ts";
import { guardBytes } from "../resilience/arm-guard.ts";
import type { KeyedAnswers } from "./keyed-answers.ts";
import type { ProxyOptions } from "./proxy.ts";
import { compileBackends, compileRoutes, RouteTable, splitRoutes } from "./routes.ts";
import { createTrust } from "./trust.ts";

/** Fields of ours that a backend may not set, since operators believe them. */
const ANSWER_DROP: ReadonlySet<string> = new Set(["x-request-id", "x-service-version"]);

/** Fields of a request that are never passed on. Each set is made once, so that an engine knows it again. */
export interface DropSets {
  readonly plain: ReadonlySet<string>;
  /** The answer must come without a content coding. */
  readonly uncoded: ReadonlySet<string>;
  /** Host is written anew. */
  readonly hosted: ReadonlySet<string>;
  readonly uncodedHosted: ReadonlySet<string>;
}

/** By who sent the request. */
interface RequestDrops {
  readonly trusted: DropSets;
  readonly others: DropSets;
}

function createRequestDrops(config: Config): RequestDrops {
  // Written anew for every upstream, whatever came.
  const always = [...FORWARDED_FIELDS, "x-request-id", "traceparent"];
  const believed = [
    ...config.identity
      .filter((source) => source.kind === "header" && source.trustedOnly)
      .map((source) => ("name" in source ? source.name : "")),
    ...(config.segmentHeader ? [config.segmentHeader.name] : []),
    ...config.overrides.filter((override) => override.source === "header").map((override) => override.name),
  ];
  const sets = (named: readonly string[]): DropSets => {
    const names = named.map((name) => name.replaceAll("_", "-"));
    return {
      plain: new Set(names),
      uncoded: new Set([...names, "accept-encoding"]),
      hosted: new Set([...names, "host"]),
      uncodedHosted: new Set([...names, "accept-encoding", "host"]),
    };
  };
  return { trusted: sets(always), others: sets([...always, ...believed]) };
}

/** What a candidate is late by a client waits longer. */
const TICK_MS = 2;

/** Everything a request needs and no request owns. */
export class Context {
  readonly config: Config;
  readonly meters: Meters;
  readonly accessLog: AccessLog;
  readonly ledger: RequestLedger | undefined;
  /** Under the sticky secret: signs cookies, and stands for users in logs. */
  readonly keyedHash: KeyedHash;
  /** Keyed digests of users, for the log. */
  readonly digests = new Map<string, string>();
  readonly kills: Int32Array;
  /** Undefined: no answer is remembered. */
  readonly keyedAnswers: KeyedAnswers | undefined;
  readonly onProgress: () => void;
  readonly deadlines = new Deadlines(undefined, undefined, TICK_MS);
  readonly routes: RouteTable;
  readonly identity: IdentityRules;
  readonly forwarding: Forwarding;
  readonly isTrusted: (address: string) => boolean;
  readonly requestDrops: RequestDrops;
  readonly answerDrop = ANSWER_DROP;
  /** Attempts that lost and are left to finish. */
  readonly observed = new Set<Attempt>();
  /** Rules by the flag's number; replaced as a whole, never changed. */
  rules: readonly Rules[];

  constructor(options: ProxyOptions) {
    const { config } = options;
    this.config = config;
    this.meters = options.meters;
    this.accessLog = options.accessLog;
    this.ledger = options.ledger;
    this.keyedHash = new KeyedHash(options.secret);
    this.forwarding = new Forwarding(config.name);
    this.kills = options.kills;
    this.keyedAnswers = config.limits.idempotencyTtlMs > 0 ? options.keyedAnswers : undefined;
    this.onProgress = options.onProgress;
    const alone = { memory: new SharedArrayBuffer(guardBytes(splitRoutes(config).length, 1)), worker: 0, workers: 1 };
    const means = { transport: options.transport, dialects: options.dialects ?? BUILT_IN, guards: options.guards ?? alone };
    this.routes = new RouteTable(compileRoutes(config, compileBackends(config, means), means));
    this.identity = createIdentityRules(config, this.keyedHash);
    this.isTrusted = createTrust(config.trustedHops);
    this.requestDrops = createRequestDrops(config);
    this.rules = config.flags.map((flag) =>
      compileRules(flag, { flag: flag.name, revision: 0, settings: flag.settings, allow: undefined, deny: undefined, members: {} }),
    );
  }

  apply(states: readonly FlagState[]): void {
    this.rules = this.config.flags.map((flag, index) => {
      const state = states.find((candidate) => candidate.flag === flag.name);
      const before = this.rules[index];
      if (state === undefined && before !== undefined) return before;
      return compileRules(
        flag,
        state ?? { flag: flag.name, revision: 0, settings: flag.settings, allow: undefined, deny: undefined, members: {} },
      );
    });
  }

  isKilled(flag: number): boolean {
    return Atomics.load(this.kills, flag) === 1;
  }
}

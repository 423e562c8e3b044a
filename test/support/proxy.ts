import type { Test } from "tap";
import type { Config } from "../../src/config/config.ts";
import { parseConfig } from "../../src/config/parse.ts";
import type { KeyedAnswers } from "../../src/proxy/keyed-answers.ts";
import { createProxy, type Proxy } from "../../src/proxy/proxy.ts";
import type { FlagState } from "../../src/rollout/flag-state.ts";
import type { AccessEntry } from "../../src/telemetry/access-log.ts";
import { createNodeTransport } from "../../src/transport/node/engine.ts";
import { createWireTransport } from "../../src/transport/wire/engine.ts";
import type { CreateTransport, ListenTls, Transport } from "../../src/transport/transport.ts";

/** Every engine; each behaviour of the data path is tested on each. */
export const ENGINES: readonly (readonly [string, CreateTransport])[] = [
  ["wire", createWireTransport],
  ["node", createNodeTransport],
];

export interface RecordedRequest {
  readonly route: number;
  readonly assigned: string;
  readonly served: string;
  readonly segment: number;
  readonly outcome: string;
  readonly status: number;
  readonly ms: number;
}

export interface RecordedAttempt {
  readonly upstream: number;
  readonly kind: string;
  readonly outcome: string;
  readonly ms: number;
}

export interface RecordedArmAttempt {
  readonly arm: string;
  readonly segment: number;
  readonly end: string;
  readonly ms: number;
}

/** Everything the data path reported, with a way to wait for more. */
export class Recorder {
  readonly requests: RecordedRequest[] = [];
  readonly attempts: RecordedAttempt[] = [];
  /** Those that say something of their arm. */
  readonly armAttempts: RecordedArmAttempt[] = [];
  readonly qualities: number[] = [];
  readonly fallbacks: string[] = [];
  readonly malformed: number[] = [];
  readonly defects: { readonly upstream: number; readonly defect: string }[] = [];
  readonly unjudged: number[] = [];
  readonly dropped: { readonly upstream: number; readonly count: number }[] = [];
  readonly inexpressible: number[] = [];
  readonly log: AccessEntry[] = [];
  cuts = 0;
  #waiting: (() => void)[] = [];

  readonly meters = {
    request: (route: number, assigned: string, served: string, segment: number, outcome: string, status: number, ms: number): void => {
      this.requests.push({ route, assigned, served, segment, outcome, status, ms });
      this.#wake();
    },
    attempt: (_route: number, upstream: number, kind: string, outcome: string, ms: number): void => {
      this.attempts.push({ upstream, kind, outcome, ms });
      this.#wake();
    },
    armAttempt: (_route: number, arm: string, segment: number, end: string, ms: number): void => {
      this.armAttempts.push({ arm, segment, end, ms });
      this.#wake();
    },
    quality: (_route: number, _upstream: number, _arm: string, _segment: number, ratio: number): void => {
      this.qualities.push(ratio);
      this.#wake();
    },
    fallback: (_route: number, reason: string): void => {
      this.fallbacks.push(reason);
      this.#wake();
    },
    observationCut: (): void => {
      this.cuts++;
      this.#wake();
    },
    defect: (_route: number, upstream: number, defect: string): void => {
      this.defects.push({ upstream, defect });
      this.#wake();
    },
    unjudged: (_route: number, upstream: number): void => {
      this.unjudged.push(upstream);
      this.#wake();
    },
    dropped: (_route: number, upstream: number, count: number): void => {
      this.dropped.push({ upstream, count });
      this.#wake();
    },
    inexpressible: (_route: number, upstream: number): void => {
      this.inexpressible.push(upstream);
      this.#wake();
    },
    malformed: (status: number): void => {
      this.malformed.push(status);
      this.#wake();
    },
  };

  /** Resolves as soon as the condition holds; the test's own time limit is the bound. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  readonly accessLog = {
    wanted: (): boolean => true,
    write: (entry: AccessEntry): void => {
      this.log.push(entry);
      this.#wake();
    },
    flush: (): void => {},
  };

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export interface TestProxy {
  readonly url: string;
  readonly port: number;
  readonly config: Config;
  readonly proxy: Proxy;
  readonly transport: Transport;
  readonly recorder: Recorder;
  readonly kills: Int32Array;
  apply(state: Partial<FlagState>): void;
}

/** A configuration from YAML text and the files that it names; a wrong one fails the test with every problem. */
export function configOf(text: string, files: Readonly<Record<string, string>> = {}): Config {
  const readFile = (name: string): { value: string } | { wrong: string } => {
    const value = files[name];
    return value === undefined ? { wrong: "is not among the files of this test" } : { value };
  };
  const parsed = parseConfig(text, {}, { readFile, now: Date.now() });
  if ("problems" in parsed) throw new Error(parsed.problems.map((p) => `${p.line}: ${p.path}: ${p.message}`).join("\n"));
  return parsed.config;
}

export interface ProxyExtras {
  /** Certificate and key with which the listener speaks TLS. */
  readonly tls?: ListenTls;
  /** Texts of the files that the configuration names. */
  readonly files?: Readonly<Record<string, string>>;
  readonly keyedAnswers?: KeyedAnswers;
}

/** Runs the data path in this process, on a port of its own. */
export async function startProxy(
  t: Test,
  create: CreateTransport,
  yaml: string,
  { tls, files, keyedAnswers }: ProxyExtras = {},
): Promise<TestProxy> {
  const config = configOf(yaml, files);
  const transport = create(config);
  const recorder = new Recorder();
  const kills = new Int32Array(new SharedArrayBuffer(4 * Math.max(1, config.flags.length)));
  const proxy = createProxy({
    config,
    transport,
    meters: recorder.meters,
    accessLog: recorder.accessLog,
    secret: Buffer.alloc(32, 7),
    kills,
    onProgress: () => {},
    ...(keyedAnswers === undefined ? {} : { keyedAnswers }),
  });
  const port = await transport.listen({ name: "test", host: "127.0.0.1", port: 0, reusePort: false, tls }, proxy.accept);
  t.teardown(() => {
    proxy.stopObserving();
    transport.destroy();
  });
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    port,
    config,
    proxy,
    transport,
    recorder,
    kills,
    apply(state) {
      const [flag] = config.flags;
      if (flag === undefined) throw new Error("the configuration has no flag");
      proxy.apply([{ flag: flag.name, revision: 1, settings: flag.settings, allow: undefined, deny: undefined, members: {}, ...state }]);
    },
  };
}

/** A configuration that splits POST and GET /api/match between two backends. */
export function splitYaml(
  urls: { stable: string; candidate: string },
  options: {
    percentage?: number;
    responseTime?: string;
    accuracy?: string;
    idempotent?: boolean;
    timeout?: string;
    quality?: boolean;
    /** More of the flag's fallback_system. */
    fallback?: string;
    extra?: string;
  } = {},
): string {
  const {
    percentage = 100,
    responseTime = "20s",
    accuracy = "85%",
    idempotent = true,
    timeout = "30s",
    quality = false,
    fallback = "",
    extra = "",
  } = options;
  return `
listeners: [{ name: public, address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
store: memory
trusted_hops: [127.0.0.1/32]
upstreams:
  v1: { endpoints: ["${urls.stable}"] }
  v2: { endpoints: ["${urls.candidate}"]${quality ? ", quality: { pointer: /matches/*/confidence, reduce: mean, scale: 1 }" : ""} }
identity: [header:x-user-id, query:user_id, cookie, address]
segment_header: { name: x-user-segment, values: { beta: beta_users, enterprise: enterprise } }
overrides:
  - { header: x-feature-flag, value: v2_enabled, arm: candidate }
  - { query: version, value: v1, arm: stable }
routes:
  - name: match
    match: { path: /api/match }
    stable: v1
    candidate: { upstream: v2, path: /api/v2/match }
    flag: v2_migration
    idempotent: ${idempotent}
    timeout: ${timeout}
  - { name: v1, match: { path: /v1/** }, upstream: v1, idempotent: true, timeout: ${timeout} }
  - { name: plain, match: { path: /plain, methods: [POST, GET, HEAD] }, upstream: v1, idempotent: false, timeout: ${timeout} }
${extra}
flags:
  v2_migration:
    enabled: true
    rollout_percentage: ${percentage}
    user_segments:
      beta_users: { percentage: 100, override_global: true }
      enterprise: { percentage: 0, override_global: true }
    fallback_system:
      enabled: true
      conditions: { response_time: ${responseTime}, error_rate: 1%, accuracy: ${accuracy} }
      ${fallback}
`;
}

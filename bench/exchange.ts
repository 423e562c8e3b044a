import { parseArgs } from "node:util";
import type { Config } from "../src/config/config.ts";
import { parseConfig } from "../src/config/parse.ts";
import { KeyedHash } from "../src/core/keyed-hash.ts";
import { buildStringSet } from "../src/core/string-set.ts";
import { signId } from "../src/http/cookies.ts";
import { createProxy, type Proxy } from "../src/proxy/proxy.ts";
import { createAccessLog } from "../src/telemetry/access-log.ts";
import { openLines, type LineWriter } from "../src/telemetry/line-writer.ts";
import { allocateMeters, createMeters } from "../src/telemetry/worker-meters.ts";
import { ANSWER_BODY, answerAll, BenchDownstream, BenchRequestHead, createBenchTransport, done } from "./exchange-engine.ts";
import { decimals, median, table } from "./figures.ts";
import { wholeNumber } from "./whole-number.ts";

const USAGE = `What a request costs above the engine: routing, identity, split, attempts, fields, figures, access log.

Usage: node bench/exchange.ts [--requests 200000] [--rounds 5] [--only text]

An engine without sockets brings requests with a body of 1 kB, some at a time, and answers them with 1 kB in one piece.
Time is processor time of the thread; allocation is what the heap grows by between two collections, and needs node
--expose-gc.

Example: node --expose-gc bench/exchange.ts --only candidate
`;

/** Requests under way at a time. */
const OPEN = 16;
/** Requests between two turns of the event loop, in which lines are written. */
const TURN = 8_000;
/** Few enough that the collector does not run meanwhile. */
const SHORT = 320;
const USERS = 4_096;

const SECRET = Buffer.alloc(32, 7);
const KEYED = new KeyedHash(SECRET);
interface Case {
  readonly name: string;
  readonly percentage: number;
  readonly fallback: boolean;
  readonly quality: boolean;
  /** Percent of the requests that get a line in the access log. */
  readonly logged: number;
  readonly trusted: boolean;
  readonly segments: boolean;
  /** What a user sends besides the usual. */
  readonly fields: (user: number) => readonly string[];
  readonly whole: boolean;
}

const byHeader = (user: number): readonly string[] => ["X-User-ID", `user-${user}`];
const usual: Case = {
  name: "stable",
  percentage: 0,
  fallback: true,
  quality: false,
  logged: 1,
  trusted: false,
  segments: false,
  fields: byHeader,
  whole: true,
};

const CASES: readonly Case[] = [
  usual,
  { ...usual, name: "candidate, armed", percentage: 100 },
  { ...usual, name: "half and half, armed", percentage: 50 },
  { ...usual, name: "candidate, not armed", percentage: 100, fallback: false },
  { ...usual, name: "candidate, armed, quality read", percentage: 100, quality: true },
  { ...usual, name: "candidate, armed, all logged", percentage: 100, logged: 100 },
  { ...usual, name: "candidate, armed, two segments", percentage: 100, segments: true },
  {
    ...usual,
    name: "candidate, armed, behind a trusted hop",
    percentage: 100,
    trusted: true,
    fields: (user) => [
      ...byHeader(user),
      "X-Forwarded-For",
      `198.51.100.${user & 255}`,
      "X-Forwarded-Proto",
      "https",
      "X-Request-ID",
      `0af7651916cd43dd8448eb211c80${user.toString(16).padStart(4, "0")}`,
      "traceparent",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ],
  },
  {
    ...usual,
    name: "candidate, armed, cookie",
    percentage: 100,
    fields: (user) => ["Cookie", `theme=dark; cf_id=${signId(`anon-${user}`, KEYED)}`],
  },
  { ...usual, name: "candidate, armed, unknown user", percentage: 100, fields: () => [] },
  { ...usual, name: "stable, in three pieces", whole: false },
];

function configOf(it: Case): Config {
  const quality = it.quality ? ", quality: { pointer: /matches/*/confidence, reduce: mean, scale: 1 }" : "";
  const parsed = parseConfig(
    `
listeners: [{ name: public, address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
store: memory
${it.trusted ? "trusted_hops: [192.0.2.0/24]" : ""}
upstreams:
  v1: { endpoints: ["http://127.0.0.1:1"] }
  v2: { endpoints: ["http://127.0.0.1:2"]${quality} }
identity: [header:x-user-id, cookie]
sticky: { cookie: cf_id }
routes:
  - name: match
    match: { path: /api/match }
    stable: v1
    candidate: { upstream: v2, path: /api/v2/match }
    flag: migration
    idempotent: true
    timeout: 30s
flags:
  migration:
    enabled: true
    rollout_percentage: ${it.percentage}
    ${it.segments ? "user_segments: { enterprise: { percentage: 100 }, beta: { percentage: 100, override_global: true } }" : ""}
    monitoring_enhanced: { sampling_rate: ${it.logged}% }
    fallback_system:
      enabled: ${it.fallback}
      conditions: { response_time: 100ms, error_rate: 1%, accuracy: 85% }
`,
    {},
  );
  if ("problems" in parsed) throw new Error(parsed.problems.map((p) => `${p.path}: ${p.message}`).join("\n"));
  return parsed.config;
}

function proxyOf(it: Case, lines: LineWriter): Proxy {
  const config = configOf(it);
  const meters = createMeters(config, allocateMeters(config));
  const kills = new Int32Array(new SharedArrayBuffer(4));
  const proxy = createProxy({
    config,
    transport: createBenchTransport(),
    meters,
    accessLog: createAccessLog({ enabled: true, lines }),
    secret: SECRET,
    kills,
    onProgress() {},
  });
  const [flag] = config.flags;
  if (flag !== undefined) {
    const names = it.segments ? ["enterprise", "beta"] : [];
    const members = Object.fromEntries(names.map((name, at) => [name, buildStringSet(everyFourth(at))]));
    proxy.apply([{ flag: flag.name, revision: 7, settings: flag.settings, allow: undefined, deny: undefined, members }]);
  }
  return proxy;
}

function* everyFourth(first: number): Generator<string> {
  for (let user = first; user < USERS; user += 4) yield `user-${user}`;
}

function headsOf(it: Case): readonly BenchRequestHead[] {
  return Array.from(
    { length: USERS },
    (_, user) =>
      new BenchRequestHead([
        "Host",
        "match.example.com",
        "User-Agent",
        "matcher/2.1",
        "Accept",
        "application/json",
        "Accept-Encoding",
        "gzip",
        "Content-Type",
        "application/json",
        "Content-Length",
        "1024",
        ...it.fields(user),
      ]),
  );
}

interface Cost {
  readonly microseconds: number;
  /** NaN where the collector cannot be asked. */
  readonly bytes: number;
}

async function measure(it: Case, requests: number, rounds: number): Promise<Cost> {
  const lines = openLines("/dev/null");
  const proxy = proxyOf(it, lines);
  const heads = headsOf(it);
  const run = (count: number): number => {
    const start = process.threadCpuUsage();
    for (let at = 0; at < count; at += OPEN) {
      for (let i = at; i < at + OPEN; i++) {
        const downstream = new BenchDownstream(heads[i & (USERS - 1)] ?? NOBODY);
        downstream.handler = proxy.accept.request(downstream);
        downstream.handler.onBegin();
      }
      answerAll(it.whole);
    }
    const { user, system } = process.threadCpuUsage(start);
    return user + system;
  };
  const round = async (): Promise<number> => {
    let microseconds = 0;
    for (let at = 0; at < requests; at += TURN) {
      microseconds += run(TURN);
      await new Promise(setImmediate);
    }
    return microseconds / (Math.ceil(requests / TURN) * TURN);
  };
  await round();
  done.answered = 0;
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) times.push(await round());
  const expected = Math.ceil(requests / TURN) * TURN * rounds;
  if (done.answered !== expected) throw new Error(`${it.name}: ${done.answered} of ${expected} requests were answered`);

  const bytes = Array.from({ length: 5 }, () => {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    run(SHORT);
    return globalThis.gc === undefined ? Number.NaN : (process.memoryUsage().heapUsed - before) / SHORT;
  });
  await lines.close();
  return { microseconds: median(times), bytes: median(bytes) };
}

const NOBODY = new BenchRequestHead([]);

try {
  const { values } = parseArgs({
    options: {
      requests: { type: "string", default: "200000" },
      rounds: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) process.stdout.write(USAGE);
  else {
    const rows = [["", "us/request", "bytes/request"]];
    const exact = CASES.filter(({ name }) => name === values.only);
    for (const it of exact.length > 0 ? exact : CASES.filter(({ name }) => name.includes(values.only))) {
      const cost = await measure(it, wholeNumber("requests", values.requests), wholeNumber("rounds", values.rounds));
      rows.push([it.name, decimals(cost.microseconds, 2), decimals(cost.bytes, 0)]);
    }
    process.stdout.write(`${table(rows)}\n(answers of ${ANSWER_BODY.length} bytes)\n`);
    if (done.written === 0) throw new Error("nothing was written");
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

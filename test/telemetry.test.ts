import { execFileSync, spawnSync } from "node:child_process";
import { createReadStream, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import t from "tap";
import type { Config } from "../src/config/config.ts";
import { parseConfig } from "../src/config/parse.ts";
import { ARMS, ATTEMPT_KINDS, FALLBACK_REASONS, OUTCOMES } from "../src/core/words.ts";
import { createAccessLog, createSampler, type AccessEntry } from "../src/telemetry/access-log.ts";
import { bucketAt, durationEdges, qualityEdges } from "../src/telemetry/edges.ts";
import { createExposition, type LiveFigures } from "../src/telemetry/exposition.ts";
import { openLines, type LineWriter } from "../src/telemetry/line-writer.ts";
import { createLog } from "../src/telemetry/log.ts";
import { compatibleMetrics, METRICS } from "../src/telemetry/names.ts";
import { createReading, quantileOf, readGauges } from "../src/telemetry/reading.ts";
import { RecentShares } from "../src/telemetry/recent-shares.ts";
import { blockLength, readTable, SeriesWriter, tableBytes, unpack, type TablePlace } from "../src/telemetry/series.ts";
import { allocateMeters, createMeters } from "../src/telemetry/worker-meters.ts";

const FILE = `
listeners: [{ name: public, address: 127.0.0.1:0 }]
store: memory
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062] }
  v2: { endpoints: [http://127.0.0.1:5070] }
routes:
  - { name: match, match: { methods: [POST], path: /api/match }, stable: v1, candidate: { upstream: v2 }, flag: f, idempotent: true, timeout: 4321ms }
  - { name: direct, match: { path: /api/v1/** }, upstream: v1 }
flags:
  f:
    enabled: true
    rollout_percentage: 25
    user_segments:
      beta_users: { percentage: 100, override_global: true }
      enterprise: { percentage: 0, override_global: true }
    fallback_system: { enabled: true, conditions: { response_time: 110ms, error_rate: 1%, accuracy: 87% } }
`;

function configOf(edit: (config: Config) => Config = (config) => config): Config {
  const parsed = parseConfig(FILE, {});
  if ("problems" in parsed) throw new Error(parsed.problems.map((problem) => JSON.stringify(problem)).join("\n"));
  return edit(parsed.config);
}

function figures(config: Config, over: Partial<LiveFigures> = {}): LiveFigures {
  const flags = config.flags.map((flag) => ({
    state: { flag: flag.name, revision: 7, settings: flag.settings, allow: undefined, deny: undefined, members: {} },
    killed: false,
  }));
  return {
    version: "0.0.0",
    flags,
    storeUp: true,
    rejections: { "invalid-value": 0 },
    workers: [],
    upstreams: [],
    breakers: [],
    rollouts: [],
    sla: [],
    reported: [],
    channels: [],
    refusals: { unauthorized: 0, forbidden: 0, "foreign-host": 0, "foreign-origin": 0 },
    ...over,
  };
}

/** The value of one sample in the text, by its name and labels as they stand there. */
function sample(text: string, series: string): number | undefined {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

function place(over: Partial<TablePlace> = {}): TablePlace {
  return { sizes: [3, 5, 7], rows: 64, edges: undefined, offset: 0, ...over };
}

const bufferFor = (table: TablePlace): SharedArrayBuffer => new SharedArrayBuffer(table.offset + tableBytes(table));

t.test("edges are ascending, distinct, and hold every threshold of the configuration", async (t) => {
  const base = configOf();
  const [flag] = base.flags;
  const [route] = base.routes;
  if (flag === undefined || route === undefined) throw new Error("the configuration has a flag and a route");
  fc.assert(
    fc.property(
      fc.array(fc.record({ ms: fc.double({ min: 0, max: 100_000, noNaN: true }), bp: fc.nat(10_000) }), { maxLength: 5 }),
      fc.array(fc.nat(100_000), { maxLength: 5 }),
      (conditions, timeouts) => {
        const flags = conditions.map(({ ms, bp }) => {
          const fallback = { ...flag.settings.fallback, responseTimeMs: ms, accuracyBp: bp };
          return { ...flag, settings: { ...flag.settings, fallback } };
        });
        const config = { flags, routes: timeouts.map((timeoutMs) => ({ ...route, timeoutMs })) };
        const durations = durationEdges(config);
        const qualities = qualityEdges(config);
        const rising = (edges: Float64Array) => edges.every((edge, at) => at === 0 || edge > (edges[at - 1] ?? edge));
        return (
          rising(durations) &&
          rising(qualities) &&
          [50, 100, 150, 200, ...timeouts, ...conditions.map(({ ms }) => ms)].every((ms) => ms === 0 || durations.includes(ms)) &&
          conditions.every(({ bp }) => qualities.includes(bp / 10_000)) &&
          (durations[0] ?? 0) > 0 &&
          qualities[0] === 0 &&
          qualities.at(-1) === 1
        );
      },
    ),
  );
  t.ok(durationEdges(base).includes(110));
  t.ok(durationEdges(base).includes(4321));
  t.ok(qualityEdges(base).includes(0.87));
});

t.test("a value falls into the first bucket whose edge is at or above it", async () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(1_000), { minLength: 1 }), fc.nat(1_100), (numbers, value) => {
      const edges = Float64Array.from(numbers).sort();
      const expected = edges.findIndex((edge) => value <= edge);
      return bucketAt(edges, value) === (expected < 0 ? edges.length : expected);
    }),
  );
});

t.test("series add up to what was recorded, whatever the labels, the writers and the takeovers", async () => {
  const table = place({ offset: 16 });
  const label = fc.tuple(fc.nat(2), fc.nat(4), fc.nat(6));
  fc.assert(
    fc.property(fc.array(fc.record({ label, buffer: fc.nat(1), takeover: fc.boolean() }), { maxLength: 300 }), (records) => {
      const small = { ...table, rows: 3 * 5 * 7 };
      const buffers = [bufferFor(small), bufferFor(small)];
      const writers = buffers.map((buffer) => new SeriesWriter(buffer, small));
      const expected = new Map<string, number>();
      for (const { label: labels, buffer: at, takeover } of records) {
        const buffer = buffers[at];
        if (takeover && buffer !== undefined) writers[at] = new SeriesWriter(buffer, small);
        writers[at]?.increment(...labels);
        expected.set(labels.join(), (expected.get(labels.join()) ?? 0) + 1);
      }
      const { blocks, lost } = readTable(buffers, small);
      const found = new Map([...blocks].map(([key, block]) => [unpack(small.sizes, key).join(), block[0] ?? 0]));
      return lost === 0 && found.size === expected.size && [...expected].every(([labels, count]) => found.get(labels) === count);
    }),
  );
});

t.test("a full table counts what it could not take, and goes on with the series it has", async (t) => {
  const table = place({ rows: 2 });
  const buffer = bufferFor(table);
  const writer = new SeriesWriter(buffer, table);
  writer.increment(0, 0, 0);
  writer.increment(0, 0, 1);
  writer.increment(0, 0, 2);
  writer.increment(0, 0, 3);
  writer.increment(0, 0, 0);
  const { blocks, lost } = readTable([buffer], table);
  t.equal(lost, 2);
  t.same(
    [...blocks.values()].map((block) => block[0]),
    [2, 1],
  );
});

t.test("a record whose labels are outside the closed sets is lost, not counted under another label", async (t) => {
  const table = place();
  const buffer = bufferFor(table);
  const writer = new SeriesWriter(buffer, table);
  writer.increment(3, 0, 0);
  writer.increment(0, 5, 0);
  writer.increment(0, 0, -1);
  writer.increment(Number.NaN, 0, 0);
  const { blocks, lost } = readTable([buffer], table);
  t.equal(lost, 4);
  t.equal(blocks.size, 0);
});

t.test("a histogram's buckets hold every value once, and its sum is theirs", async () => {
  const edges = Float64Array.of(1, 10, 100);
  const table = place({ sizes: [2], edges, rows: 2 });
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 500, noNaN: true })), (values) => {
      const buffer = bufferFor(table);
      const writer = new SeriesWriter(buffer, table);
      for (const value of values) writer.observe(value, 1);
      writer.observe(Number.NaN, 1);
      const { blocks, lost } = readTable([buffer], table);
      const block = blocks.get(1) ?? new Float64Array(blockLength(table));
      const within = (low: number, high: number) => values.filter((value) => value > low && value <= high).length;
      const sum = values.reduce((total, value) => total + value, 0);
      return (
        lost === 1 &&
        block[0] === within(-1, 1) &&
        block[1] === within(1, 10) &&
        block[2] === within(10, 100) &&
        block[3] === within(100, 500) &&
        block[4] === sum
      );
    }),
  );
});

t.test("keys above 32 bits are told apart", async (t) => {
  const table = place({ sizes: [2 ** 20, 2 ** 20], rows: 1_024 });
  const buffer = bufferFor(table);
  const writer = new SeriesWriter(buffer, table);
  for (let index = 0; index < 1_000; index++) writer.increment(index * 1_000, 12_345);
  const { blocks, lost } = readTable([buffer], table);
  t.equal(lost, 0);
  t.equal(blocks.size, 1_000);
  t.ok([...blocks.values()].every((block) => block[0] === 1));
});

t.test("a reader beside a running writer sees whole rows only, and in the end every count", async (t) => {
  const table = place({ sizes: [40, 50], rows: 2_000, edges: Float64Array.of(1, 2, 3) });
  const buffer = bufferFor(table);
  const rounds = 200;
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import(workerData.module).then(({ SeriesWriter }) => {
       const writer = new SeriesWriter(workerData.buffer, workerData.table);
       for (let round = 0; round < workerData.rounds; round++)
         for (let a = 0; a < 40; a++) for (let b = 0; b < 50; b++) writer.observe(2, a, b);
       parentPort.postMessage("done");
     });`,
    { eval: true, workerData: { module: new URL("../src/telemetry/series.ts", import.meta.url).href, buffer, table, rounds } },
  );
  let done = false;
  worker.on("message", () => (done = true));
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  let before = 0;
  let strange = 0;
  while (!done) {
    const { blocks } = readTable([buffer], table);
    let count = 0;
    for (const [key, block] of blocks) {
      count += block[1] ?? 0;
      if (key < 0 || key >= 2_000 || block[0] !== 0 || block[2] !== 0 || block[3] !== 0) strange++;
    }
    if (count < before) strange++;
    before = count;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await exited;
  t.equal(strange, 0);
  const { blocks, lost } = readTable([buffer], table);
  t.equal(lost, 0);
  t.equal(blocks.size, 2_000);
  t.ok([...blocks.values()].every((block) => block[1] === rounds && block[4] === 2 * rounds));
});

t.test("a replaced worker's counts stay, its open requests do not", async (t) => {
  const config = configOf();
  const buffer = allocateMeters(config);
  const first = createMeters(config, buffer);
  first.request(0, "candidate", "stable", 1, "ok", 200, 130);
  first.recordLoad(9, 4, 2);
  first.recordLag(80, 1_000);
  const second = createMeters(config, buffer);
  second.request(0, "candidate", "stable", 1, "ok", 200, 140);
  t.same(readGauges(buffer), { connections: 0, exchanges: 0, observing: 0, lagMs: 0, lagPeakMs: 0 });
  t.equal(createReading(config, () => [buffer]).traffic()[0]?.requests, 2);
});

t.test("meters refuse memory that was made for another configuration", async (t) => {
  const config = configOf();
  const other = configOf((same) => ({ ...same, upstreams: same.upstreams.slice(1) }));
  t.throws(() => createMeters(config, allocateMeters(other)), { message: /another one/ });
});

t.test("the peak of the lag is kept for at least a window, and forgotten after two", async (t) => {
  const config = configOf();
  const buffer = allocateMeters(config);
  const meters = createMeters(config, buffer);
  const peak = () => readGauges(buffer).lagPeakMs;
  meters.recordLag(50, 1_000);
  meters.recordLag(2, 1_100);
  t.equal(readGauges(buffer).lagMs, 2);
  t.equal(peak(), 50);
  meters.recordLag(1, 31_100);
  t.equal(peak(), 50);
  meters.recordLag(3, 61_200);
  t.equal(peak(), 3);
});

t.test("percentiles are read off by interpolation, never outside the bucket that holds them", async (t) => {
  const edges = durationEdges(configOf());
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.001, max: 60_000, noNaN: true }), { minLength: 1 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, quantile) => {
        const counts = new Float64Array(edges.length + 1);
        for (const value of values) counts[bucketAt(edges, value)] = (counts[bucketAt(edges, value)] ?? 0) + 1;
        const exact = values.toSorted((one, other) => one - other)[Math.ceil(quantile * values.length - 1e-9) - 1] ?? 0;
        const bucket = bucketAt(edges, exact);
        const estimate = quantileOf(edges, counts, quantile);
        return estimate >= (edges[bucket - 1] ?? 0) && estimate <= (edges[bucket] ?? Number.POSITIVE_INFINITY);
      },
    ),
  );
  t.equal(quantileOf(Float64Array.of(100, 200), Float64Array.of(0, 10, 0), 0.5), 150);
  t.equal(quantileOf(Float64Array.of(100, 200), Float64Array.of(0, 0, 3), 0.5), 200, "beyond the last edge nothing finer is known");
  t.ok(Number.isNaN(quantileOf(Float64Array.of(100), Float64Array.of(0, 0), 0.5)), "no data is no figure");
});

t.test("traffic of a route is added up over workers, by arm, segment, outcome and fallback", async (t) => {
  const config = configOf();
  const buffers = [allocateMeters(config), allocateMeters(config)];
  for (const buffer of buffers) {
    const meters = createMeters(config, buffer);
    meters.request(0, "stable", "stable", -1, "ok", 200, 40);
    meters.request(0, "candidate", "candidate", 0, "ok", 200, 60);
    meters.request(0, "candidate", "stable", 0, "ok", 200, 150);
    meters.request(0, "candidate", "none", -1, "timeout", 504, 5_000);
    meters.request(1, "none", "none", -1, "ok", 200, 10);
    meters.fallback(0, "latency");
    meters.attempt(0, 0, "first", "ok", 40);
    meters.attempt(0, 0, "fallback", "ok", 45);
    meters.attempt(0, 1, "first", "ok", 700);
    meters.attempt(0, 1, "first", "connect-failed", 0.2);
    meters.attempt(0, 1, "first", "cancelled", 1);
  }
  const [match, direct] = createReading(config, () => buffers).traffic();
  t.match(match, {
    route: "match",
    requests: 8,
    byAssigned: { none: 0, stable: 2, candidate: 6 },
    byServed: { none: 2, stable: 4, candidate: 2 },
    bySegment: [
      { segment: "none", stable: 2, candidate: 2 },
      { segment: "beta_users", stable: 0, candidate: 4 },
    ],
    byOutcome: { ok: 6, timeout: 2 },
    fallbacks: { latency: 2 },
  });
  t.same(
    match?.attempts.map(({ upstream, count }) => [upstream, count]),
    [
      ["v1", 4],
      ["v2", 2],
    ],
    "attempts that never reached v2, or that the client ended, say nothing of its speed",
  );
  t.ok((match?.attempts[1]?.p50 ?? 0) > 500, "the true latency counts, not the moment of the fallback");
  t.equal(direct?.requests, 2);
  t.ok(Number.isNaN(direct?.attempts[0]?.p95));
});

t.test("the exposition says what clients saw, what upstreams took and what is configured", async (t) => {
  const config = configOf();
  const buffers = [allocateMeters(config), allocateMeters(config)];
  for (const buffer of buffers) {
    const meters = createMeters(config, buffer);
    meters.request(0, "candidate", "stable", 0, "ok", 200, 110);
    meters.attempt(0, 1, "first", "timeout", 812);
    meters.quality(0, 1, "candidate", 0, 0.9);
    meters.fallback(0, "latency");
    meters.observationCut(0);
    meters.malformed(431);
    meters.request(0, "candidate", "stable", 99, "ok", 200, 1);
  }
  const workers = [{ worker: 0, restarts: 3, gauges: { connections: 5, exchanges: 2, observing: 1, lagMs: 4, lagPeakMs: 20 } }];
  const upstreams = [
    { upstream: "v1", endpoint: "http://127.0.0.1:5062", up: true, ejections: 0 },
    { upstream: "v2", endpoint: "http://127.0.0.1:5070", up: undefined, ejections: 0 },
  ];
  const exposition = createExposition({
    config,
    buffers: () => buffers,
    live: () => figures(config, { workers, upstreams, rejections: { "invalid-value": 4 } }),
  });
  const { text, contentType } = await exposition.metrics();
  t.match(contentType, /^text\/plain; version=0\.0\.4/);

  const expected: Record<string, number | undefined> = {
    'crossfade_requests_total{route="match",assigned="candidate",served="stable",segment="beta_users",outcome="ok",code="200"}': 2,
    'crossfade_request_duration_seconds_bucket{route="match",assigned="candidate",served="stable",segment="beta_users",le="0.1"}': 0,
    'crossfade_request_duration_seconds_bucket{route="match",assigned="candidate",served="stable",segment="beta_users",le="0.11"}': 2,
    'crossfade_request_duration_seconds_bucket{route="match",assigned="candidate",served="stable",segment="beta_users",le="+Inf"}': 2,
    'crossfade_request_duration_seconds_sum{route="match",assigned="candidate",served="stable",segment="beta_users"}': 0.22,
    'crossfade_attempt_duration_seconds_count{route="match",upstream="v2",kind="first",outcome="timeout"}': 2,
    'crossfade_attempt_duration_seconds_sum{route="match",upstream="v2",kind="first",outcome="timeout"}': 1.624,
    'crossfade_quality_ratio_bucket{route="match",upstream="v2",segment="beta_users",le="0.87"}': 0,
    'crossfade_quality_ratio_bucket{route="match",upstream="v2",segment="beta_users",le="0.9"}': 2,
    'crossfade_fallbacks_total{route="match",reason="latency"}': 2,
    'crossfade_fallbacks_total{route="match",reason="error"}': 0,
    'crossfade_fallbacks_total{route="direct",reason="error"}': undefined,
    'crossfade_observation_cut_total{route="match"}': 2,
    'crossfade_malformed_requests_total{code="431"}': 2,
    'crossfade_records_lost_total{table="requests"}': 2,
    'crossfade_records_lost_total{table="attempts"}': 0,
    'crossfade_flag_percentage{flag="f",segment=""}': 25,
    'crossfade_flag_percentage{flag="f",segment="beta_users"}': 100,
    'crossfade_flag_enabled{flag="f"}': 1,
    'crossfade_kill_switch{flag="f"}': 0,
    'crossfade_config_revision{flag="f"}': 7,
    'crossfade_config_rejected_total{reason="invalid-value"}': 4,
    crossfade_store_up: 1,
    'crossfade_event_loop_lag_seconds{worker="0"}': 0.004,
    'crossfade_event_loop_lag_peak_seconds{worker="0"}': 0.02,
    'crossfade_worker_restarts_total{worker="0"}': 3,
    'crossfade_open_connections{worker="0"}': 5,
    'crossfade_open_exchanges{worker="0"}': 2,
    'crossfade_open_observations{worker="0"}': 1,
    'crossfade_upstream_up{upstream="v1",endpoint="http://127.0.0.1:5062"}': 1,
    'crossfade_upstream_up{upstream="v2",endpoint="http://127.0.0.1:5070"}': undefined,
    [`crossfade_build_info{version="0.0.0",node="${process.version}"}`]: 1,
  };
  for (const [series, value] of Object.entries(expected)) t.equal(sample(text, series), value, series);
  t.match(text, /^process_cpu_seconds_total /m);
  t.notMatch(text, /^http_requests_total/m, "the compatible names come only when asked for");
});

t.test("with a prefix, the names of existing dashboards are filled as far as they are true", async (t) => {
  const config = configOf((same) => ({ ...same, metricsPrefix: "supersmartmatch" }));
  const buffer = allocateMeters(config);
  const meters = createMeters(config, buffer);
  let now = 0;
  const exposition = createExposition({ config, buffers: () => [buffer], live: () => figures(config), now: () => now });
  const read = async (series: string) => sample((await exposition.metrics()).text, series);

  t.equal(await read("malformed_requests_total"), 0);
  t.equal(await read('supersmartmatch_traffic_split_ratio{version="v2"}'), undefined, "without traffic there is no split");
  meters.request(0, "stable", "stable", -1, "ok", 200, 40);
  meters.request(0, "candidate", "candidate", -1, "ok", 200, 60);
  meters.request(0, "candidate", "stable", 1, "ok", 200, 150);
  meters.request(0, "candidate", "none", 1, "timeout", 504, 4_321);
  meters.request(1, "none", "none", -1, "server-error", 500, 10);
  meters.quality(0, 1, "candidate", 1, 0.5);
  meters.malformed(400);
  meters.malformed(404);
  now = 10_000;
  const expected: Record<string, number> = {
    'http_requests_total{version="v1",status="200"}': 2,
    'http_requests_total{version="v1",status="500"}': 1,
    'http_requests_total{version="v2",status="200"}': 1,
    'http_requests_total{version="none",status="504"}': 1,
    'http_request_duration_seconds_count{version="v1"}': 3,
    'supersmartmatch_response_time_seconds_count{version="v1",endpoint="match"}': 2,
    'supersmartmatch_response_time_seconds_count{version="v1",endpoint="direct"}': 1,
    'supersmartmatch_accuracy_score_sum{version="v2",user_segment="enterprise"}': 0.5,
    'supersmartmatch_traffic_split_ratio{version="v2"}': 0.75,
    'supersmartmatch_traffic_split_ratio{version="v1"}': 0.25,
    malformed_requests_total: 1,
  };
  for (const [series, value] of Object.entries(expected)) t.equal(await read(series), value, series);
});

t.test("recent shares speak of the last minute, not of all time", async (t) => {
  const shares = new RecentShares(60_000);
  shares.update(new Map([["v1", 900]]), 0);
  t.same([...shares.update(new Map([["v1", 1_000]]), 50_000)], [["v1", 1]]);
  const later = shares.update(
    new Map([
      ["v1", 1_050],
      ["v2", 50],
    ]),
    110_000,
  );
  t.same(
    [...later],
    [
      ["v1", 0.5],
      ["v2", 0.5],
    ],
  );
  const quiet = new Map([
    ["v1", 1_050],
    ["v2", 50],
  ]);
  t.equal(shares.update(quiet, 200_000).size, 0);
});

t.test("a configuration with odd names still makes a text that Prometheus can read", async (t) => {
  const config = configOf((same) => ({ ...same, routes: same.routes.map((route, at) => ({ ...route, name: `a"b\\c\n${at}` })) }));
  const buffer = allocateMeters(config);
  createMeters(config, buffer).observationCut(0);
  const { text } = await createExposition({ config, buffers: () => [buffer], live: () => figures(config) }).metrics();
  t.equal(sample(text, 'crossfade_observation_cut_total{route="a\\"b\\\\c\\n0"}'), 1);
});

const promtool = spawnSync("promtool", ["--version"]).status === 0;

t.test("promtool finds nothing to complain about", { skip: promtool ? false : "promtool is not installed" }, async (t) => {
  const config = configOf((same) => ({ ...same, metricsPrefix: "supersmartmatch" }));
  const buffer = allocateMeters(config);
  const meters = createMeters(config, buffer);
  for (const assigned of ARMS) {
    for (const served of ARMS) for (const outcome of OUTCOMES) meters.request(0, assigned, served, -1, outcome, 200, 1);
  }
  for (const kind of ATTEMPT_KINDS) meters.attempt(0, 0, kind, "ok", 3);
  for (const reason of FALLBACK_REASONS) meters.fallback(0, reason);
  meters.quality(0, 1, "candidate", -1, 0.7);
  const { text } = await createExposition({ config, buffers: () => [buffer], live: () => figures(config) }).metrics();
  // prom-client's own three gauges that end in _total are the only ones it may name.
  const own = text.split("\n").filter((line) => !line.includes("nodejs_active_"));
  const result = spawnSync("promtool", ["check", "metrics"], { input: own.join("\n"), encoding: "utf8" });
  t.equal(result.stdout + result.stderr, "");
  t.equal(result.status, 0);
});

// Measured with 10 split routes, 5 segments, 2 workers, 13,000 lines: 6 to 13 ms, 25 ms at the first call.
t.test("a scrape of a large configuration is complete", async (t) => {
  const config = configOf((same) => {
    const [route] = same.routes;
    return { ...same, routes: route === undefined ? [] : Array.from({ length: 10 }, (_, at) => ({ ...route, name: `route-${at}` })) };
  });
  const buffers = [allocateMeters(config), allocateMeters(config)];
  for (const buffer of buffers) {
    const meters = createMeters(config, buffer);
    for (let route = 0; route < 10; route++) {
      for (let segment = -1; segment < 2; segment++) {
        for (const served of ["stable", "candidate"] as const) meters.request(route, "candidate", served, segment, "ok", 200, 20);
      }
    }
  }
  const exposition = createExposition({ config, buffers: () => buffers, live: () => figures(config) });
  const started = performance.now();
  const { text } = await exposition.metrics();
  t.comment(`${text.split("\n").length} lines in ${(performance.now() - started).toFixed(1)} ms`);
  t.equal(text.match(/^crossfade_requests_total\{.*\} 2$/gm)?.length, 60);
});

t.test("every metric is documented", async (t) => {
  const documentation = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8");
  for (const { name } of [...Object.values(METRICS), ...Object.values(compatibleMetrics("<prefix>"))]) {
    t.ok(documentation.includes(`\`${name}`), name);
  }
});

/* The logs */

const ENTRY: AccessEntry = {
  requestId: "req-1",
  traceId: "0af7651916cd43dd8448eb211c80319c",
  method: "POST",
  path: "/api/match",
  route: "match",
  assigned: "candidate",
  served: "stable",
  upstream: "v1",
  reason: "percentage",
  fallback: "latency",
  detail: undefined,
  segment: "none",
  revision: 3,
  user: undefined,
  status: 200,
  outcome: "ok",
  attempts: 2,
  durationMs: 141.23456,
  bytes: 1_834,
  client: "127.0.0.1",
};

function memoryLines(): LineWriter & { readonly lines: string[]; lost: number } {
  const lines: string[] = [];
  return { lines, lost: 0, write: (line) => void lines.push(line), flush() {}, flushSync() {}, close: async () => {} };
}

t.test("a line of the access log has the documented fields and no query", async (t) => {
  const memory = memoryLines();
  const log = createAccessLog({ enabled: true, worker: 1, lines: memory, now: () => Date.UTC(2030, 0, 2, 3, 4, 5, 6) });
  log.write({ ...ENTRY, path: "/api/match?user_id=42" });
  t.same(JSON.parse(memory.lines[0] ?? ""), {
    level: "info",
    time: "2030-01-02T03:04:05.006Z",
    log: "access",
    worker: 1,
    request_id: "req-1",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    method: "POST",
    path: "/api/match",
    route: "match",
    assigned: "candidate",
    served: "stable",
    upstream: "v1",
    reason: "percentage",
    fallback: "latency",
    segment: "none",
    revision: 3,
    status: 200,
    outcome: "ok",
    attempts: 2,
    duration_ms: 141.235,
    bytes: 1834,
    client: "127.0.0.1",
  });
  const documentation = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8");
  log.write({ ...ENTRY, detail: "x", user: "y" });
  for (const field of Object.keys(JSON.parse(memory.lines[1] ?? "")))
    t.ok(documentation.includes(`\`${field}\``), `${field} is documented`);
});

t.test("whatever a client sends, a line stays one line of JSON that says the same", async () => {
  const memory = memoryLines();
  const log = createAccessLog({ enabled: true, lines: memory });
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme", maxLength: 50 }), (user, detail) => {
      memory.lines.length = 0;
      log.write({ ...ENTRY, detail, user, path: `/${detail}`, client: user });
      const line = memory.lines[0] ?? "";
      const parsed: unknown = JSON.parse(line);
      if (typeof parsed !== "object" || parsed === null || !("user" in parsed) || !("detail" in parsed)) return false;
      return line.indexOf("\n") === line.length - 1 && parsed.user === user && parsed.detail === detail;
    }),
  );
});

t.test("sampling draws all at 100 %, none at 0 %, and the share asked for between", async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1 }), fc.integer({ min: 1, max: 9_999 }), (seed, shareBp) => {
      const sampled = createSampler(seed);
      const calls = 20_000;
      let drawn = 0;
      for (let call = 0; call < calls; call++) {
        if (sampled(0) || sampled(-1) || sampled(Number.NaN) || !sampled(10_000)) return false;
        if (sampled(shareBp)) drawn++;
      }
      const share = shareBp / 10_000;
      // Six standard deviations: a fair draw leaves them once in five hundred million.
      return Math.abs(drawn - calls * share) <= 6 * Math.sqrt(calls * share * (1 - share)) + 1;
    }),
    { seed: 20_300_101, numRuns: 50 },
  );
});

t.test("what went wrong has a line whatever the sampling, up to a bound that is told", async (t) => {
  const memory = memoryLines();
  let now = 5_000;
  const log = createAccessLog({ enabled: true, lines: memory, forcedPerSecond: 3, seed: 1, now: () => now });
  t.notOk(log.wanted(0, "ok", false));
  t.ok(log.wanted(0, "ok", true));
  t.ok(log.wanted(0, "timeout", false));
  t.ok(log.wanted(0, "reset", false));
  t.notOk(log.wanted(0, "reset", false));
  t.notOk(log.wanted(0, "ok", true));
  t.ok(log.wanted(10_000, "reset", false), "sampled lines are not bounded by outages");
  t.equal(memory.lines.length, 0);
  now = 6_000;
  t.ok(log.wanted(0, "reset", false));
  t.match(JSON.parse(memory.lines[0] ?? ""), { level: "warn", log: "access", suppressed: 2, lost: 0 });
  memory.lost = 5;
  log.write(ENTRY);
  log.flush();
  t.match(JSON.parse(memory.lines.at(-1) ?? ""), { suppressed: 0, lost: 5 });
});

t.test("a log that is switched off wants and writes nothing", async (t) => {
  const memory = memoryLines();
  const log = createAccessLog({ enabled: false, lines: memory });
  t.notOk(log.wanted(10_000, "timeout", true));
  log.write(ENTRY);
  log.flush();
  t.equal(memory.lines.length, 0);
});

t.test("the program's log writes its level in words and who speaks", async (t) => {
  const memory = memoryLines();
  const log = createLog("info", { log: "worker", worker: 2 }, memory);
  log.debug("not this");
  log.warn({ upstream: "v1" }, "the endpoint does not answer");
  t.equal(memory.lines.length, 1);
  t.match(JSON.parse(memory.lines[0] ?? ""), {
    level: "warn",
    log: "worker",
    worker: 2,
    upstream: "v1",
    msg: "the endpoint does not answer",
    time: /^\d{4}-.*Z$/,
  });
});

function directory(t: Tap): string {
  const made = mkdtempSync(join(tmpdir(), "crossfade-lines-"));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

type Tap = { teardown(end: () => unknown): void };

t.test("lines reach a file whole and in order, however long they are", async (t) => {
  const file = join(directory(t), "log");
  const writer = openLines(file);
  const lines = Array.from(
    { length: 3_000 },
    (_, at) => `${at} ${"é".repeat((at * 37) % 300)}${at === 1_500 ? "x".repeat(200_000) : ""}\n`,
  );
  for (const line of lines) writer.write(line);
  await writer.close();
  t.equal(writer.lost, 0);
  t.equal(readFileSync(file, "utf8"), lines.join(""));
  writer.write("too late\n");
  t.equal(writer.lost, 1);
});

t.test("lines are written when a thread ends in a hurry", async (t) => {
  const file = join(directory(t), "log");
  const writer = openLines(file);
  t.teardown(() => writer.close());
  writer.write("last words\n");
  writer.flushSync();
  t.equal(readFileSync(file, "utf8"), "last words\n");
});

t.test("a file that cannot be opened is an error at once, a disk that fails costs lines only", async (t) => {
  t.throws(() => openLines("/nowhere/at/all"), { code: "ENOENT" });
  const writer = openLines("/dev/full");
  writer.write("one\n");
  writer.write("two\n");
  await writer.close();
  t.equal(writer.lost, 2);
});

t.test("a pipe that nobody reads costs lines, not memory or time; what is read is whole", async (t) => {
  const pipe = join(directory(t), "pipe");
  execFileSync("mkfifo", [pipe]);
  // Opened for both, so that neither end waits for the other.
  const fd = openSync(pipe, "r+");
  const writer = openLines(fd);
  const line = (at: number) => `${at} ${"x".repeat(400)}\n`;
  const count = 20_000;
  for (let at = 0; at < count; at++) writer.write(line(at));
  t.ok(writer.lost > 5_000, "8 MB do not fit into what is held");
  const lost = writer.lost;

  const reader = createReadStream(pipe, { encoding: "utf8" });
  let text = "";
  const all = new Promise<void>((resolve) => {
    reader.on("data", (part) => {
      text += part;
      if (text.split("\n").length === count - lost + 1) resolve();
    });
  });
  writer.flush();
  await all;
  await writer.close();
  reader.destroy();
  closeSync(fd);
  t.equal(writer.lost, lost);
  const lines = text.split("\n").slice(0, -1);
  t.ok(lines.every((one, at) => `${one}\n` === line(at)));
});

t.test("two writers on one pipe do not tear each other's lines", async (t) => {
  const pipe = join(directory(t), "pipe");
  execFileSync("mkfifo", [pipe]);
  const fd = openSync(pipe, "r+");
  const writers = [openLines(fd), openLines(fd)];
  const count = 2_000;
  for (let at = 0; at < count; at++) writers[at % 2]?.write(`${JSON.stringify({ at, text: "y".repeat(at % 500) })}\n`);
  const reader = createReadStream(pipe, { encoding: "utf8" });
  let text = "";
  const all = new Promise<void>((resolve) => {
    reader.on("data", (part) => {
      text += part;
      if (text.split("\n").length === count + 1) resolve();
    });
  });
  await Promise.all(writers.map((writer) => writer.close()));
  await all;
  reader.destroy();
  closeSync(fd);
  const seen = text
    .split("\n")
    .slice(0, -1)
    .map((line) => String(JSON.parse(line).at));
  t.equal(new Set(seen).size, count);
});

t.test(
  "writing to a pipe leaves no descriptor behind",
  { skip: process.platform === "linux" ? false : "counts /proc/self/fd" },
  async (t) => {
    const pipe = join(directory(t), "pipe");
    execFileSync("mkfifo", [pipe]);
    const fd = openSync(pipe, "r+");
    t.teardown(() => closeSync(fd));
    const before = readdirSync("/proc/self/fd").length;
    const writer = openLines(fd);
    writer.write("a line\n");
    await writer.close();
    t.equal(readdirSync("/proc/self/fd").length, before);
  },
);

import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { createServer, type RequestListener } from "node:http";
import { delimiter, join } from "node:path";
import fc from "fast-check";
import t, { type Test } from "tap";
import { bucketLatencies, bucketMoments, bucketsOf } from "../src/analysis/prometheus-buckets.ts";
import { createPrometheusSource, type PrometheusOptions } from "../src/analysis/prometheus-source.ts";
import type { FiguresSource, FiguresTable } from "../src/analysis/figures.ts";
import type { Config } from "../src/config/config.ts";
import { parseConfig } from "../src/config/parse.ts";
import { createExposition } from "../src/telemetry/exposition.ts";
import { allocateMeters, createMeters } from "../src/telemetry/worker-meters.ts";

import { until } from "./support/backend.ts";

const FILE = `
listeners: [{ name: public, address: 127.0.0.1:0 }]
store: memory
upstreams:
  v1: { endpoints: [http://127.0.0.1:5062] }
  v2: { endpoints: [http://127.0.0.1:5070] }
routes:
  - { name: "match", match: { methods: [POST], path: /api/match }, stable: v1, candidate: { upstream: v2 }, flag: f, idempotent: true }
  - { name: "other", match: { methods: [POST], path: /api/other }, stable: v1, candidate: { upstream: v2 }, flag: g, idempotent: true }
flags:
  f:
    enabled: true
    rollout_percentage: 25
    user_segments: { beta_users: { percentage: 100, override_global: true } }
  g: { enabled: true, rollout_percentage: 25 }
`;

function configOf(): Config {
  const parsed = parseConfig(FILE, {});
  if ("problems" in parsed) throw new Error(parsed.problems.map((problem) => JSON.stringify(problem)).join("\n"));
  return parsed.config;
}

const config = configOf();
const [V1, V2] = [0, 1];
const [MATCH, OTHER] = [0, 1];
const NOBODY = -1;
const BETA = 0;

/** A port of 127.0.0.1 with a server behind it, for as long as the test runs. */
async function serve(t: Test, listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** What one instance counts, and the server where it is scraped. */
async function startInstance(t: Test) {
  let meters = createMeters(config, new SharedArrayBuffer(0 + allocateMeters(config).byteLength));
  let exposition = fresh();
  function fresh() {
    const buffer = allocateMeters(config);
    meters = createMeters(config, buffer);
    const live = () => ({
      version: "0.0.0",
      flags: [],
      storeUp: true,
      rejections: {},
      workers: [],
      upstreams: [],
      breakers: [],
      rollouts: [],
      sla: [],
      reported: [],
      channels: [],
      refusals: { unauthorized: 0, forbidden: 0, "foreign-host": 0, "foreign-origin": 0 },
    });
    return createExposition({ config, buffers: () => [buffer], live });
  }
  const port = await serve(t, (_, res) => {
    void exposition.metrics().then(({ text, contentType }) => {
      res.setHeader("content-type", contentType).end(text);
    });
  });
  return {
    port,
    meters: () => meters,
    /** As a new process at the same address. */
    restart: () => (exposition = fresh()),
  };
}

/** Resolves once Prometheus has stored an answer of each instance to a question that it asked after this call. */
async function scraped(url: string, instances: number): Promise<void> {
  const asked = Date.now() / 1_000;
  const query = `count(timestamp(crossfade_build_info) > ${asked}) == ${instances}`;
  await until(
    "Prometheus scrapes every instance",
    async () => {
      const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
      return (await response.text()).includes('"value"');
    },
    40_000,
  );
}

type Instance = Awaited<ReturnType<typeof startInstance>>;

/** The binary of $PROMETHEUS, or on the PATH. */
function prometheusBinary(): string | undefined {
  const given = process.env["PROMETHEUS"];
  const paths = given === undefined ? (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "prometheus")) : [given];
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const BINARY = prometheusBinary();
const SCRAPE_MS = 500;

/** A Prometheus with an empty store that scrapes these ports. */
async function startPrometheus(t: Test, binary: string, ports: readonly number[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "crossfade-prometheus-"));
  const targets = ports.map((port) => `"127.0.0.1:${port}"`).join(", ");
  await writeFile(
    join(directory, "prometheus.yml"),
    `global: { scrape_interval: ${SCRAPE_MS}ms, scrape_timeout: ${SCRAPE_MS}ms }\nscrape_configs: [{ job_name: crossfade, static_configs: [{ targets: [${targets}] }] }]\n`,
  );
  const args = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0", "--log.format=json"];
  const child = spawn(binary, args, { cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await ended;
    await rm(directory, { recursive: true, force: true });
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const address = (): string | undefined =>
    /"address":"(127\.0\.0\.1:\d+)"[^\n]*"msg":"Listening on"|"msg":"Listening on","address":"(127\.0\.0\.1:\d+)"/
      .exec(log)
      ?.slice(1)
      .find((found) => found !== undefined);
  await until("Prometheus listens", () => address() !== undefined, 30_000).catch((cause: unknown) => {
    throw new Error(`Prometheus does not start: ${log}`, { cause });
  });
  const url = `http://${address()}`;
  await until("Prometheus is ready", async () => (await fetch(`${url}/-/ready`)).ok, 30_000);
  return url;
}

const sourceOf = (url: string, over: Partial<PrometheusOptions> = {}): FiguresSource =>
  createPrometheusSource({ url, config, flag: "f", ...over });

/** The sums over all cells of the table. */
function sums({ cells }: FiguresTable, arm: "stable" | "candidate") {
  const of = cells.map((cell) => cell[arm]);
  const sum = (figure: (arm: (typeof of)[number]) => number): number => of.reduce((total, figures) => total + figure(figures), 0);
  return {
    requests: sum(({ requests }) => requests),
    failed: sum(({ failed }) => failed),
    fellBack: sum(({ fellBack }) => fellBack),
    attempts: sum(({ attempts }) => attempts),
    errors: sum(({ errors }) => errors),
    unavailable: sum(({ unavailable }) => unavailable),
    timed: sum(({ latencies }) => latencies.count),
    over100: sum(({ latencies }) => latencies.over(100)),
    waited: sum(({ waits }) => waits.count),
    rated: sum(({ quality }) => quality.count),
    quality: sum(({ quality }) => quality.sum),
  };
}

const NOTHING = {
  requests: 0,
  failed: 0,
  fellBack: 0,
  attempts: 0,
  errors: 0,
  unavailable: 0,
  timed: 0,
  over100: 0,
  waited: 0,
  rated: 0,
  quality: 0,
};

/** Traffic of one burst: 60 on stable, 40 on candidate of which 6 fail and 4 time out and fall back. */
function burst({ meters }: Instance): void {
  const m = meters();
  for (let i = 0; i < 60; i++) {
    m.request(MATCH, "stable", "stable", NOBODY, "ok", 200, 80);
    m.attempt(MATCH, V1, "first", "ok", 79);
  }
  for (let i = 0; i < 30; i++) {
    m.request(MATCH, "candidate", "candidate", i < 10 ? BETA : NOBODY, "ok", 200, 40);
    m.attempt(MATCH, V2, "first", "ok", 39);
    m.quality(MATCH, V2, "candidate", i < 10 ? BETA : NOBODY, 0.9);
  }
  for (let i = 0; i < 6; i++) {
    m.request(MATCH, "candidate", "candidate", NOBODY, "server-error", 503, 20);
    m.attempt(MATCH, V2, "first", "server-error", 19);
  }
  for (let i = 0; i < 4; i++) {
    m.request(MATCH, "candidate", "stable", NOBODY, "ok", 200, 180);
    m.attempt(MATCH, V2, "first", "timeout", 150);
    m.attempt(MATCH, V1, "fallback", "ok", 79);
  }
  for (let i = 0; i < 3; i++) {
    // An answer that is poor is no error, one that shows a sign of failure is.
    m.request(MATCH, "candidate", "stable", NOBODY, "ok", 200, 60);
    m.attempt(MATCH, V2, "first", "degraded", 30);
    m.defect(MATCH, V2, i < 2 ? "quality" : "success-false");
  }
  // A client that got a part of its answer only.
  m.request(MATCH, "candidate", "candidate", NOBODY, "reset", 200, 60);
  // None of these says anything of the arms: a client that left, an attempt that was ended, another flag's route.
  m.request(MATCH, "candidate", "none", NOBODY, "cancelled", 499, 5);
  m.attempt(MATCH, V2, "first", "cancelled", 5);
  m.request(OTHER, "candidate", "candidate", NOBODY, "ok", 200, 5);
  m.attempt(OTHER, V2, "first", "ok", 5);
}

const STABLE = { ...NOTHING, requests: 60, attempts: 64, timed: 64, waited: 60 };
const CANDIDATE = {
  requests: 44,
  failed: 7,
  fellBack: 7,
  attempts: 43,
  errors: 11,
  unavailable: 10,
  timed: 43,
  over100: 4,
  // The one whose client left is among those who waited: durations carry no status.
  waited: 45,
  rated: 30,
  quality: 27,
};

if (BINARY === undefined) {
  t.test("NO PROMETHEUS HERE (neither $PROMETHEUS nor on the PATH): figures out of recorded answers of one only", async (t) => {
    const vector = (result: unknown[]) => JSON.stringify({ status: "success", data: { resultType: "vector", result } });
    const port = await serve(t, (req, res) => {
      let body = "";
      req.setEncoding("utf8").on("data", (text: string) => (body += text));
      req.on("end", () => {
        const query = new URLSearchParams(body).get("query") ?? "";
        const of = (labels: Record<string, string>, value: number) => ({
          metric: { route: "match", ...labels },
          value: [1, String(value)],
        });
        const arm = { assigned: "candidate", served: "stable", segment: "none", code: "200", outcome: "ok" };
        if (query.includes("requests_total")) res.end(vector([of(arm, 40)]));
        else if (query.includes("attempt_duration_seconds_bucket"))
          res.end(vector([of({ upstream: "v2", outcome: "ok", le: "0.1" }, 36), of({ upstream: "v2", outcome: "ok", le: "+Inf" }, 40)]));
        else if (query.startsWith("max(")) res.end(vector([of({}, 1_700_000_000.25)]));
        else res.end(vector([]));
      });
    });
    const source = sourceOf(`http://127.0.0.1:${port}`);
    t.equal(await source.refresh(1_700_000_001_000), 1_700_000_000_250);
    const found = sums(await source.between(1_700_000_000_000 - 60_000, 1_700_000_000_000), "candidate");
    t.same(found, { ...NOTHING, requests: 40, fellBack: 40, attempts: 40, timed: 40, over100: 4 });
  });
} else {
  t.test("figures of a span are what the instances counted in it, also in series that were born meanwhile", async (t) => {
    const instances = [await startInstance(t), await startInstance(t)];
    const url = await startPrometheus(
      t,
      BINARY,
      instances.map(({ port }) => port),
    );
    const source = sourceOf(url);
    const all = () => scraped(url, instances.length);
    await all();
    const start = Date.now();
    // Before the span every series is there on the first instance, none on the second.
    for (const instance of instances.slice(0, 1)) burst(instance);
    await all();
    const from = Date.now();
    for (const instance of instances) burst(instance);
    await all();
    const to = (await source.refresh(Date.now())) ?? 0;
    t.ok(to > from && to <= Date.now(), "the newest sample is from within the span");

    const table = await source.between(from, to);
    const doubled = (one: typeof NOTHING): Record<string, number> =>
      Object.fromEntries(Object.entries(one).map(([name, value]) => [name, 2 * value]));
    const rounded = (one: typeof NOTHING): Record<string, number> =>
      Object.fromEntries(Object.entries(one).map(([name, value]) => [name, Math.round(value * 1e6) / 1e6]));
    t.same(rounded(sums(table, "stable")), doubled(STABLE));
    t.same(rounded(sums(table, "candidate")), doubled(CANDIDATE));
    t.same(table.instances, instances.map(({ port }) => `127.0.0.1:${port}`).sort());
    t.equal(table.coveredMs, to - from);
    t.same(
      new Set(table.cells.map(({ route, segment }) => `${route}/${segment}`)),
      new Set(["match/none", "match/beta_users", "match/all"]),
    );
    const attempts = table.cells.find(({ segment }) => segment === "all");
    t.equal(attempts?.candidate.requests, 0, "cells of attempts hold nothing else");
    t.ok(Math.abs((attempts?.candidate.latencies.mean() ?? 0) - (30 * 39 + 6 * 19 + 4 * 150 + 3 * 30) / 43) < 1e-6, "the mean is exact");

    const whole = await source.between(start, to);
    t.equal(sums(whole, "candidate").requests, 3 * CANDIDATE.requests, "a span from before the first series holds all of them");

    const later = await source.between(to, Date.now() + 1_000);
    t.same(sums(later, "candidate"), NOTHING, "afterwards nothing is counted");
    t.same((await source.between(from - 3_600_000, from - 3_000_000)).coveredMs, 0, "before Prometheus was there nothing is covered");
    t.same((await source.between(to, to)).cells, [], "an empty span is empty");
    t.same((await sourceOf(url, { flag: "nobody" }).between(from, to)).cells, [], "a flag without routes has no figures");
  });

  t.test("an instance that starts anew is not taken for one that counted backwards", async (t) => {
    const instance = await startInstance(t);
    const url = await startPrometheus(t, BINARY, [instance.port]);
    const source = sourceOf(url);
    for (let i = 0; i < 10; i++) burst(instance);
    await scraped(url, 1);
    await scraped(url, 1);
    const from = Date.now();
    await scraped(url, 1);
    instance.restart();
    burst(instance);
    await scraped(url, 1);
    await scraped(url, 1);
    const to = (await source.refresh(Date.now())) ?? 0;
    const found = sums(await source.between(from, to), "candidate");
    // A counter that began anew is estimated by Prometheus, which reckons to the edges of the span.
    t.ok(found.requests >= CANDIDATE.requests && found.requests <= 2 * CANDIDATE.requests, `${found.requests} requests`);
    t.ok(found.errors >= CANDIDATE.errors && found.errors <= found.attempts, `${found.errors} errors`);
  });

  t.test("counters that Prometheus met in the middle of their life are not counted whole", async (t) => {
    const instance = await startInstance(t);
    for (let i = 0; i < 50; i++) burst(instance);
    const from = Date.now();
    const url = await startPrometheus(t, BINARY, [instance.port]);
    await scraped(url, 1);
    burst(instance);
    await scraped(url, 1);
    const source = sourceOf(url);
    const to = (await source.refresh(Date.now())) ?? 0;
    const { requests } = sums(await source.between(from, to), "candidate");
    t.ok(requests < 5 * CANDIDATE.requests, `${requests} requests, of 2,244 since the start`);
  });

  t.test("a Prometheus that does not scrape us is named", async (t) => {
    const url = await startPrometheus(t, BINARY, []);
    await t.rejects(sourceOf(url).refresh(Date.now()), { message: /has no crossfade_build_info.*: is crossfade scraped\?$/ });
    const other = sourceOf(url, { labels: { job: "elsewhere" } });
    await t.rejects(other.refresh(Date.now()), { message: /crossfade_build_info\{job="elsewhere"\}/ });
  });
}

t.test("what cannot be had is refused with a reason, and within the time limit", async (t) => {
  const now = 1_700_000_000_000;
  const port = await serve(t, (_, res) => res.end());
  const closed = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(address === null || typeof address === "string" ? 0 : address.port));
    });
  });
  await t.rejects(sourceOf(`http://127.0.0.1:${closed}`).refresh(now), { message: /cannot be reached \(ECONNREFUSED\)/ });
  await t.rejects(sourceOf(`http://127.0.0.1:${port}`).refresh(now), { message: /does not answer as Prometheus does \(status 200/ });

  const rejects = async (message: RegExp, listener: RequestListener, over: Partial<PrometheusOptions> = {}) => {
    const source = sourceOf(`http://127.0.0.1:${await serve(t, listener)}`, over);
    await t.rejects(source.refresh(now), { name: "PrometheusError", message });
    await t.rejects(source.between(now - 1_000, now), { name: "PrometheusError", message });
  };
  await rejects(/status 404: "<html> not here/, (_, res) => res.writeHead(404).end("<html>\nnot here</html>"));
  await rejects(/does not answer as Prometheus does/, (_, res) =>
    res.end(JSON.stringify({ status: "success", data: { resultType: "matrix", result: [] } })),
  );
  await rejects(/refuses the query: bad_data: parse error/, (_, res) =>
    res.writeHead(400).end(JSON.stringify({ status: "error", errorType: "bad_data", error: "parse error" })),
  );
  await rejects(/did not answer within 50 ms/, () => undefined, { timeoutMs: 50 });
  await rejects(/did not answer within 50 ms/, (_, res) => void res.write("{"), { timeoutMs: 50 });
  await rejects(/cannot be reached/, (_, res) => res.writeHead(302, { location: "http://127.0.0.1:1/" }).end());
  const flood = Buffer.alloc(1_048_576, " ");
  await rejects(/more than 16777216 bytes/, (_, res) => {
    const pour = (): void => {
      while (res.writable && res.write(flood));
    };
    res.on("drain", pour);
    pour();
  });
  await rejects(/is crossfade scraped|cannot be reached/, (_, res) => res.destroy());
  t.throws(() => sourceOf("ftp://user:secret@host"), { message: /^(?!.*secret).*http or https URL/ });
});

t.test("a user in the address is sent as authorization and shown nowhere", async (t) => {
  let said: string | undefined;
  let path: string | undefined;
  const port = await serve(t, (req, res) => {
    said = req.headers.authorization;
    path = req.url;
    res.writeHead(500).end("broken");
  });
  const failed = await sourceOf(`http://ann:s%40cret@127.0.0.1:${port}/prom/`)
    .refresh(1)
    .catch((error: unknown) => String(error));
  t.equal(said, `Basic ${Buffer.from("ann:s@cret").toString("base64")}`);
  t.equal(path, "/prom/api/v1/query");
  t.match(failed, /status 500/);
  t.notMatch(failed, /cret/);
});

t.test("buckets: counts are exact on edges, and estimates stay between them", async () => {
  const buckets = fc
    .uniqueArray(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 30 })
    .chain((edges) => fc.record({ edges: fc.constant(edges), values: fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 200 }) }));
  fc.assert(
    fc.property(buckets, fc.integer({ min: 0, max: 90_000 }), fc.double({ min: 0, max: 1, noNaN: true }), ({ edges, values }, ms, q) => {
      const at = (edge: number): number => values.filter((value) => value <= edge).length;
      const counts = new Map([...edges, Infinity].map((edge) => [edge, at(edge)] as const));
      const latencies = bucketLatencies(
        bucketsOf(
          counts,
          values.reduce((sum, value) => sum + value, 0),
        ),
      );
      const exact = edges.every((edge) => latencies.over(edge) === values.length - at(edge));
      const sorted = edges.toSorted((a, b) => a - b);
      const below = sorted.findLast((edge) => edge <= ms) ?? 0;
      const above = sorted.find((edge) => edge >= ms) ?? Infinity;
      const between =
        latencies.over(ms) <= values.length - (below === 0 ? 0 : at(below)) + 1e-9 &&
        latencies.over(ms) >= values.length - at(above) - 1e-9;
      const quantile = latencies.quantile(q);
      if (values.length === 0) return latencies.count === 0 && Number.isNaN(quantile) && Number.isNaN(latencies.mean());
      const truth = values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)] ?? 0;
      const lowEdge = sorted.findLast((edge) => edge < truth) ?? 0;
      const highEdge = sorted.find((edge) => edge >= truth) ?? lowEdge;
      return exact && between && quantile >= lowEdge - 1e-9 && quantile <= highEdge + 1e-9;
    }),
  );
});

t.test("buckets of quality: the sum is exact, the variance never negative", async () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 100 }), (values) => {
      const edges = Array.from({ length: 21 }, (_, step) => step / 20);
      const counts = new Map([...edges, Infinity].map((edge) => [edge, values.filter((value) => value <= edge).length] as const));
      const sum = values.reduce((total, value) => total + value, 0);
      const moments = bucketMoments(bucketsOf(counts, sum));
      const squares = values.reduce((total, value) => total + value * value, 0);
      const close = Math.abs(moments.squares - squares) <= values.length * 0.05 + 1e-9;
      return moments.count === values.length && moments.sum === sum && close && moments.squares * moments.count >= sum ** 2 - 1e-9;
    }),
  );
});

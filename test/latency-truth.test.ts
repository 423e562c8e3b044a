import { monitorEventLoopDelay } from "node:perf_hooks";
import t from "tap";
import { configOf, configText, startApp } from "./support/app.ts";
import { until } from "./support/backend.ts";
import { ask } from "./support/client.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";
import { type Answer, json, startBackend } from "./support/upstreams.ts";
import { quantileOf } from "../src/telemetry/reading.ts";

const CANDIDATE = 1;
const RESPONSE_TIME_MS = 100;
const REQUESTS = 600;
const EVERY_MS = 10;
const TOLERANCE_MS = 10;
/** Backends, load and proxy share this thread; a request passes through it so many times between the two clocks that are compared. */
const TURNS = 4;
const RESOLUTION_MS = 2;

/** How far the clocks may be apart: more where the machine kept this thread from running meanwhile. */
function watchTolerance(): () => number {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  return () => {
    delays.disable();
    return TOLERANCE_MS + TURNS * Math.max(0, delays.percentile(95) / 1e6 - RESOLUTION_MS);
  };
}

/** Numbers from 0 up to 1 that are the same with each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Latencies of a log-normal distribution, by its median and its 95th percentile. */
function logNormal(medianMs: number, p95Ms: number, random: () => number): () => number {
  const sigma = Math.log(p95Ms / medianMs) / 1.644_853_6;
  return () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return medianMs * Math.exp(sigma * normal);
  };
}

/** A candidate that takes as long as it is told, and remembers how long it really took. */
function taking(latency: () => number, truth: number[]): Answer {
  return (_req, res) => {
    const began = performance.now();
    setTimeout(() => {
      truth.push(performance.now() - began);
      json(res, { by: "v2" });
    }, latency());
  };
}

function p95(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(0.95 * sorted.length) - 1] ?? Number.NaN;
}

/** So many requests, one every 10 ms whatever becomes of those before. Rejects if one gets no good answer. */
async function send(url: string): Promise<readonly string[]> {
  const answers: Promise<string>[] = [];
  const began = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(REQUESTS, Math.floor((performance.now() - began) / EVERY_MS));
      while (answers.length < due) answers.push(one(url));
      if (due < REQUESTS) return;
      clearInterval(timer);
      resolve();
    }, EVERY_MS);
  });
  return Promise.all(answers);
}

async function one(url: string): Promise<string> {
  const { status, headers } = await ask(url, { method: "POST", body: "{}", headers: { "x-user-id": "u1" } });
  if (status !== 200) throw new Error(`status ${status}`);
  return String(headers["x-crossfade-fallback"] ?? "none");
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 2 }, async (t) => {
    for (const [medianMs, p95Ms] of [
      [60, 161],
      [70, 188],
      [55, 148],
    ] as const) {
      t.test(`a candidate with a P95 of ${p95Ms} ms is seen with it, though it is cut off at ${RESPONSE_TIME_MS} ms`, async (t) => {
        const truth: number[] = [];
        const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
        const v2 = await startBackend(t, taking(logNormal(medianMs, p95Ms, seeded(p95Ms)), truth));
        const yaml = splitYaml(
          { stable: v1.url, candidate: v2.url },
          {
            responseTime: `${RESPONSE_TIME_MS}ms`,
            fallback: "breaker: off",
            extra: "limits: { observed_for: 10s, observed_attempts: 1000 }",
          },
        );
        const { url, recorder, proxy } = await startProxy(t, create, yaml);
        const toleranceMs = watchTolerance();
        const fallbacks = (await send(`${url}/api/match`)).filter((fallback) => fallback === "latency").length;
        const mine = (): number[] => recorder.attempts.filter(({ upstream }) => upstream === CANDIDATE).map(({ ms }) => ms);
        await recorder.until(() => mine().length === REQUESTS);
        t.comment(`${fallbacks} of ${REQUESTS} fell back; P95 ${p95(truth).toFixed(1)} ms, recorded ${p95(mine()).toFixed(1)} ms`);
        t.ok(fallbacks > REQUESTS / 20, "more than one in twenty was cut off, so the P95 is among those");
        t.ok(p95(truth) > RESPONSE_TIME_MS + TOLERANCE_MS);
        const tolerated = toleranceMs();
        t.ok(Math.abs(p95(mine()) - p95(truth)) <= tolerated, `${p95(mine())} for ${p95(truth)} ms, within ${tolerated} ms`);
        t.equal(recorder.cuts, 0);
        t.equal(proxy.observed, 0);
        t.ok(
          recorder.attempts
            .filter(({ upstream }) => upstream === CANDIDATE)
            .every(({ kind, outcome }) => kind === "first" && outcome === "ok"),
          "late is not failed",
        );
      });
    }

    t.test("what is beyond the bounds of observation is counted, and filed under the time it was given", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, () => {});
      const extra = "limits: { observed_for: 300ms, observed_attempts: 4 }";
      const yaml = splitYaml({ stable: v1.url, candidate: v2.url }, { responseTime: "100ms", fallback: "breaker: off", extra });
      const { url, recorder, proxy } = await startProxy(t, create, yaml);
      const answers = await Promise.all(Array.from({ length: 12 }, () => one(`${url}/api/match`)));
      t.ok(answers.every((fallback) => fallback === "latency"));
      await recorder.until(() => recorder.cuts === 12);
      const lost = recorder.attempts.filter(({ upstream }) => upstream === CANDIDATE);
      t.equal(lost.length, 12);
      t.ok(lost.every(({ outcome, ms }) => outcome === "timeout" && ms >= 100));
      t.ok(lost.filter(({ ms }) => ms >= 300).length >= 4, "those that were observed had all of that time");
      t.equal(proxy.observed, 0);
    });
  });
}

t.test("whoever reads the metrics reads the true P95 too", async (t) => {
  const truth: number[] = [];
  const old = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
  const fresh = await startBackend(t, taking(logNormal(60, 161, seeded(161)), truth));
  const text = configText({ stable: old.url, candidate: fresh.url, percentage: 100, workers: 1 })
    .replace("response_time: 3s }", "response_time: 100ms }, breaker: off")
    .replace("health: { path: /health }", "");
  const app = await startApp(t, configOf(text));
  const toleranceMs = watchTolerance();
  await send(`http://127.0.0.1:${app.port}/api/match`);
  let read = bucketsOf("");
  await until("all attempts are counted", async () => {
    read = bucketsOf((await app.control.metrics()).text);
    return read.counts.reduce((sum, count) => sum + count, 0) === REQUESTS;
  });
  const seen = quantileOf(read.edges, read.counts, 0.95);
  t.comment(`P95 ${p95(truth).toFixed(1)} ms, from the buckets ${seen.toFixed(1)} ms`);
  // Where the buckets are wider, because this machine was so busy that its timers came late, they cannot say more.
  const above = read.edges.findIndex((edge) => edge >= p95(truth));
  const width = (read.edges[above] ?? Infinity) - (read.edges[above - 1] ?? 0);
  t.ok(Math.abs(seen - p95(truth)) <= (width > 25 ? width : 0) + toleranceMs(), `${seen} for ${p95(truth)} ms`);
});

/** The candidate's attempts in a text of metrics: the buckets' upper edges in milliseconds, and how many are in each. */
function bucketsOf(text: string): { readonly edges: Float64Array; readonly counts: Float64Array } {
  const within = new Map<number, number>();
  for (const [, labels = "", count = ""] of text.matchAll(/^crossfade_attempt_duration_seconds_bucket\{(.*)\} (\d+)$/gm)) {
    if (!labels.includes('upstream="new"')) continue;
    const edge = /le="([^"]+)"/.exec(labels)?.[1] ?? "";
    const ms = edge === "+Inf" ? Infinity : Math.round(Number(edge) * 1e6) / 1000;
    within.set(ms, (within.get(ms) ?? 0) + Number(count));
  }
  const sorted = [...within].sort(([a], [b]) => a - b);
  const counts = sorted.map(([, count], at) => count - (sorted[at - 1]?.[1] ?? 0));
  const edges = sorted.map(([edge]) => edge).filter((edge) => edge < Infinity);
  return { edges: Float64Array.from(edges), counts: Float64Array.from(counts) };
}

import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import fc from "fast-check";
import t from "tap";
import { incidentsShown, noticesShown } from "../src/admin/live/told.ts";
import type { Incident, IncidentState } from "../src/incidents/incident.ts";
import type { Delivery, Notice } from "../src/notify/notice.ts";
import { History } from "../src/admin/live/history.ts";
import { Part } from "../src/admin/live/parts.ts";
import { percentageAt, pointOf, unknownPoint } from "../src/admin/live/point.ts";
import { RecentFallbacks } from "../src/admin/live/recent-fallbacks.ts";
import { eventOf, Viewers } from "../src/admin/live/viewers.ts";
import { binEdges, binLatencies, thresholdsOf } from "../src/analysis/latency-bins.ts";
import type { Check } from "../src/analysis/check.ts";
import { Sketch } from "../src/analysis/latencies.ts";
import { mergeCells } from "../src/analysis/tick.ts";
import type { AuditEntry } from "../src/store/store.ts";
import { upperEdgeMs } from "../src/telemetry/latency-layout.ts";
import { portOf, until } from "./support/backend.ts";
import { cellLists, cellOf, sketches } from "./support/windows.ts";

const T0 = 1_800_000_000_000;
const durations = fc.double({ min: 0.05, max: 20_000, noNaN: true });

t.test("bins hold every duration once, and what lies beyond an edge is the sum of the bins beyond it", (t) => {
  fc.assert(
    fc.property(fc.array(sketches, { maxLength: 4 }), fc.array(durations, { maxLength: 5 }), (parts, thresholds) => {
      const edges = binEdges(thresholds);
      const bins = binLatencies(parts, edges);
      const sum = (from: number): number => bins.slice(from).reduce((total, count) => total + count, 0);
      const count = parts.reduce((total, part) => total + part.count, 0);
      if (bins.length !== edges.length + 1 || bins.some((bin) => bin < 0) || sum(0) !== count) return false;
      return edges.every((edge, at) => sum(at + 1) === parts.reduce((total, part) => total + part.over(edge), 0));
    }),
  );
  t.end();
});

t.test("an edge stands on every threshold, each once, in order", (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(durations, fc.constantFrom(0, -5, Number.NaN, Infinity, 100)), { maxLength: 6 }), (thresholds) => {
      const edges = binEdges(thresholds);
      const isRising = edges.every((edge, at) => edge > (edges[at - 1] ?? 0) && Number.isFinite(edge));
      return isRising && thresholds.every((ms) => !(ms > 0 && Number.isFinite(ms)) || edges.includes(ms));
    }),
  );
  t.same(binEdges([]).slice(0, 4), [5, 10, 15, 20]);
  const sketch = new Sketch(Uint32Array.of(999, 7, 1_000, 5));
  t.equal(upperEdgeMs(999), 100);
  const [within = 0, over = 0] = binLatencies([sketch], [100]);
  t.same([within, over], [7, 5], "exactly 100 ms is within 100 ms");
  t.end();
});

t.test("thresholds are the limits of durations, not of quotients or shares", (t) => {
  const check = (metric: Check["metric"], of: Check["of"], value: number): Check => ({
    name: metric,
    metric,
    of,
    limit: { kind: "at-most", value },
    window: { kind: "step" },
    forMs: 0,
    minSample: 1,
    risk: 0.05,
    each: "all",
    route: undefined,
    segment: undefined,
    required: true,
  });
  const checks = [
    check("p95", "candidate", 120),
    check("p95", "ratio", 1.1),
    check("errors", "candidate", 0.05),
    check("p50", "candidate", 40),
  ];
  t.same(thresholdsOf(checks), [120, 40]);
  t.end();
});

t.test("a point adds up all routes and segments", (t) => {
  fc.assert(
    fc.property(fc.array(cellLists, { maxLength: 3 }), (lists) => {
      const cells = mergeCells([...lists, []]);
      const point = pointOf({ from: T0 - 10_000, to: T0, coveredMs: 10_000, instances: ["a"], cells }, T0, 25);
      const all = (of: (cell: (typeof cells)[number]) => number): number => cells.reduce((sum, cell) => sum + of(cell), 0);
      const requests = all(({ candidate }) => candidate.requests);
      const inSegments = Object.values(point.segments).reduce((sum, { stable, candidate }) => sum + stable + candidate, 0);
      const counted = all(({ candidate }) => candidate.latencies.count);
      return (
        point.candidate.rate === requests / 10 &&
        Object.is(point.candidate.fallbacks, all(({ candidate }) => candidate.fellBack) / requests) &&
        inSegments === requests + all(({ stable }) => stable.requests) &&
        Object.values(point.segments).every(({ stable, candidate }) => stable + candidate > 0) &&
        Number.isNaN(point.candidate.p95) === (counted === 0) &&
        !(point.candidate.p50 > point.candidate.p95 || point.candidate.p95 > point.candidate.p99)
      );
    }),
  );
  const half = pointOf({ from: T0 - 10_000, to: T0, coveredMs: 5_000, instances: ["a"], cells: [cellOf(50)] }, T0, 25);
  t.equal(half.stable.rate, 10, "a rate is of the time that is covered");
  t.match(half, { at: T0, percentage: 25, segments: { none: { stable: 50, candidate: 50 } } });
  const empty = pointOf({ from: T0 - 10_000, to: T0, coveredMs: 10_000, instances: ["a"], cells: [] }, T0, 25);
  t.equal(empty.stable.rate, 0, "silence is no request, not nothing known");
  t.ok(Number.isNaN(empty.stable.p95) && Number.isNaN(empty.stable.errors));
  t.ok(Object.values(unknownPoint(T0, 25).candidate).every(Number.isNaN));
  t.match(eventOf("point", unknownPoint(T0, 25)), /^event: point\ndata: \{"at":1800000000000,"percentage":25,"stable":\{"rate":null,/);
  t.end();
});

t.test("the percentage of the past is what later changes say it was", (t) => {
  const change = (second: number, from: string | null, to: string | null, status: AuditEntry["status"] = "accepted"): AuditEntry => ({
    id: `${second}-0`,
    at: new Date(T0 + second * 1_000).toISOString(),
    who: "ann",
    reason: "",
    revision: second,
    status,
    changes: [
      { field: "enabled", from: "false", to: "true" },
      { field: "rollout_percentage", from, to },
    ],
  });
  const entries = [change(40, "50", "75"), change(30, "101", "200", "refused"), change(20, "25%", "50"), change(10, null, "25")];
  const at = (second: number): number => percentageAt(T0 + second * 1_000, 75, 5, entries);
  t.same([at(50), at(40), at(35), at(20), at(15), at(10), at(5)], [75, 75, 50, 50, 25, 25, 5]);
  t.equal(percentageAt(T0, 75, 5, []), 75);
  t.end();
});

t.test("the history is an hour of points five seconds apart, whatever comes", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(9_000_000), { maxLength: 300 }), (offsets) => {
      const history = new History();
      for (const offset of offsets) history.add(unknownPoint(T0 + offset, 0));
      const points = history.since(T0 + 9_000_000);
      const steps = points.map(({ at }) => Math.round(at / 5_000));
      return steps.every((step, index) => step > (steps[index - 1] ?? 0)) && points.every(({ at }) => at > T0 + 5_400_000);
    }),
  );
  const history = new History();
  for (let second = 0; second < 10_000; second++) history.add(unknownPoint(T0 + second * 1_000, second));
  const points = history.since(T0 + 9_999_000);
  t.equal(points.length, 720);
  t.equal(points.at(-1)?.at, T0 + 9_998_000);
  history.putBefore([unknownPoint(T0, 1), unknownPoint(T0 + 9_998_000, 2)]);
  t.same(history.since(T0 + 9_999_000), points, "what is too much or known already is left out");
  const young = new History();
  young.add(unknownPoint(T0 + 60_000, 2));
  young.putBefore([unknownPoint(T0, 1), unknownPoint(T0 + 60_000, 3)]);
  t.same(
    young.since(T0 + 61_000).map(({ percentage }) => percentage),
    [1, 2],
  );
  t.end();
});

t.test("fallbacks of the last minute are differences of counts that only rise", (t) => {
  const recent = new RecentFallbacks();
  t.same(recent.lastMinute, { latency: 0, error: 0, quality: 0, breaker: 0, hedge: 0, dialect: 0 });
  recent.take(0, { latency: 100 });
  t.equal(recent.lastMinute["latency"], 0, "what was before the program looked is not of this minute");
  for (let second = 1; second <= 120; second++)
    recent.take(second * 1_000, { latency: 100 + second, ...(second > 90 && { error: second - 90 }) });
  t.match(recent.lastMinute, { latency: 60, error: 30, quality: 0 });
  recent.take(300_000, { latency: 220, error: 30 });
  t.match(recent.lastMinute, { latency: 0, error: 0 }, "nothing since long ago");
  t.end();
});

t.test("a part that is late has its last answer, one that fails has none, and neither is asked twice at a time", async (t) => {
  let asked = 0;
  let answer = Promise.withResolvers<string>();
  const part = new Part(() => {
    asked++;
    return answer.promise;
  });
  t.equal(await part.get(1), undefined, "nobody waits for it");
  t.equal(await part.get(60_000), undefined, "the less when it was late before");
  t.equal(asked, 1);
  answer.resolve("one");
  await answer.promise;
  answer = Promise.withResolvers();
  t.equal(await part.get(0), "one", "its last answer");
  await until("it is asked again", async () => (await part.get(0)) === "one" && asked === 2);
  answer.reject(new Error("the store is away"));
  await until("it has failed", async () => (await part.get(0)) === undefined);
  answer = Promise.withResolvers();
  answer.resolve("two");
  await until("it answers again", async () => (await part.get(60_000)) === "two");
});

/** A server that hands its responses over, and readers of them. */
async function openStream(scope: { teardown(end: () => unknown): void }) {
  const responses: ServerResponse[] = [];
  const server = createServer((_, response) => {
    response.flushHeaders();
    responses.push(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    responses,
    join: (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) =>
        get({ host: "127.0.0.1", port: portOf(server.address()).port, agent: false }, resolve).on("error", reject),
      ),
  };
}

t.test("who does not take what is sent goes without, holds up nobody, and goes on with the newest", async (t) => {
  const { responses, join } = await openStream(t);
  const [good, slow] = [await join(), await join()];
  const viewers = new Viewers();
  for (const response of responses) viewers.add(response, [Buffer.from("hello\n")]);
  let read = "";
  good.setEncoding("latin1").on("data", (chunk: string) => (read += chunk));
  slow.pause();
  const view = (number: number): Buffer => Buffer.from(`${String(number).padStart(6, "0")}${"x".repeat(200_000)}\n`);
  const bytes = view(0).length;
  const kept = (): number => Math.max(...responses.map(({ writableLength }) => writableLength));
  for (let number = 0; number < 100; number++) {
    viewers.send(view(number));
    if (kept() > 2 * bytes) t.fail(`${kept()} bytes are kept for the slow one`);
    await until("the good one has it", () => read.length >= 6 + (number + 1) * bytes);
  }
  const numbers = read.split("\n").map((line) => Number(line.slice(0, 6)));
  t.same(
    numbers.slice(1, -1),
    Array.from({ length: 100 }, (_, number) => number),
    "the good one misses nothing",
  );
  t.equal(viewers.count, 2);
  let late = "";
  slow.setEncoding("latin1").on("data", (chunk: string) => (late += chunk));
  slow.resume();
  await until("the slow one has caught up", () => responses.every(({ writableNeedDrain }) => !writableNeedDrain));
  viewers.send(view(100));
  await until("it has the newest", () => late.includes("\n000100x"));
  const lines = late.split("\n").slice(1, -1);
  t.ok(lines.length < 100, `it missed some of them: ${lines.length}`);
  t.ok(
    lines.every((line) => line.length === bytes - 1),
    "and had each whole",
  );
  const gone = new Promise((resolve) => good.once("end", resolve));
  viewers.end();
  await gone;
  t.match(read, /retry: 1000\n\n$/);
});

t.test("who has left is forgotten", async (t) => {
  const { responses, join } = await openStream(t);
  const viewers = new Viewers();
  t.teardown(() => viewers.end());
  const reader = await join();
  for (const response of responses) viewers.add(response, []);
  t.equal(viewers.count, 1);
  reader.destroy();
  await until("it is gone", () => viewers.count === 0);
  for (const response of responses) viewers.add(response, [Buffer.from("x")]);
  t.equal(viewers.count, 0, "nor is it taken up again");
});

t.test("of what people were told a view has what lasts and the newest of what is over, however much is kept", async (t) => {
  const told = (number: number, over: boolean): Notice => ({
    id: `ntc-${number}`,
    kind: "killed",
    severity: "P1",
    group: `g${number}`,
    flag: undefined,
    facts: {},
    openedAt: number,
    lastAt: number,
    count: 1,
    acknowledged: undefined,
    resolvedAt: over ? number : undefined,
    levels: {},
  });
  const sent = ({ id }: Notice): Delivery => {
    const rest = { channel: "ops", part: "first", index: 0, dueAt: 0, tries: 1, nextAt: 0, status: "sent", detail: "" } as const;
    return { ...rest, id: `${id}.1`, notice: id };
  };
  const notices = Array.from({ length: 200 }, (_, i) => told(200 - i, i % 10 > 0));
  const shown = noticesShown({ sender: "a", channels: [], notices, deliveries: notices.map(sent) });
  t.equal(shown.notices.filter(({ resolvedAt }) => resolvedAt === undefined).length, 20, "all that lasts");
  t.same(
    shown.notices.filter(({ resolvedAt }) => resolvedAt !== undefined).map(({ id }) => id),
    notices
      .filter(({ resolvedAt }) => resolvedAt !== undefined)
      .slice(0, 20)
      .map(({ id }) => id),
  );
  t.same(
    shown.deliveries.map(({ notice }) => notice),
    shown.notices.map(({ id }) => id),
  );

  const day = 86_400_000;
  const incident = (number: number, state: IncidentState, at: number): Incident => {
    const rest = { priority: "P2", impact: "none", title: {}, openedBy: "a", rollout: undefined } as const;
    return { ...rest, id: `inc-${number}`, openedAt: at, updates: [{ at, state, text: {}, by: "a" }] };
  };
  const now = 100 * day;
  const incidents = [
    ...Array.from({ length: 30 }, (_, i) => incident(90 - i, "resolved", now - i * 1_000)),
    incident(2, "monitoring", now - 80 * day),
    incident(1, "resolved", now - 15 * day),
  ];
  t.same(incidentsShown(incidents, now), [...incidents.slice(0, 20), incidents[30]]);
  t.same(incidentsShown(incidents.slice(30), now), [incidents[30]]);
});

import { createServer, get as httpGet } from "node:http";
import t, { type Test } from "tap";
import { Composer } from "../src/admin/live/compose.ts";
import type { LiveView } from "../src/admin/live/view.ts";
import { eventOf, Viewers } from "../src/admin/live/viewers.ts";
import { startAdmin } from "../src/admin/server.ts";
import { temporaryDirectory } from "./support/app.ts";
import { ask, type Reply, until } from "./support/backend.ts";
import { createFakeOperations } from "./support/fake-operations.ts";
import { openLive, type Viewer } from "./support/live.ts";
import { bytesInUse } from "./support/memory.ts";
import { begin, ERRORS, type Fleet, HALF, planText, startFleet } from "./support/running-rollout.ts";

// Somebody who looks for seconds at what comes every second: a busy machine takes its time.
t.setTimeout(300_000);

const FLAGS = "crossfade:{move}:flags";
const EVERY_SECOND = "rollout: { publish: 1s, evaluate: 1s, lease: 5s }";
const PATIENCE_MS = 60_000;

/** What the API answers, read as JSON. */
async function api<T>(port: number, path: string, pick: (body: Record<string, unknown>) => T): Promise<T> {
  const { status, body } = await ask(port, { path });
  if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
  return pick(JSON.parse(body));
}

const whole = (body: Record<string, unknown>): Record<string, unknown> => body;

const FLEETING = new Set(["uptimeSeconds", "eventLoopLagMs", "detail", "at", "figuresAgeMs", "requestsPerSecond"]);

/** Without what differs from one instant to the next though nothing has happened. */
function lasting(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (name, member: unknown) => (FLEETING.has(name) ? undefined : member)));
}

function looking(test: Test, { one }: Pick<Fleet, "one">): Promise<Viewer> {
  return openLive(test, one.admin.port);
}

t.test("a viewer is given the history once, then a view and a point every second", async (t) => {
  const fleet = await startFleet(t, { instances: 1, more: EVERY_SECOND });
  const viewer = await looking(t, fleet);
  t.match(viewer.response.headers, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
  });
  await until("some seconds", () => viewer.points.length >= 4, PATIENCE_MS);
  t.ok(viewer.history !== undefined);
  t.equal(viewer.text().match(/^event: history$/gm)?.length, 1);
  t.ok(viewer.text().startsWith("event: history\n"), "first of all");
  const seconds = viewer.points.map(({ at }) => Math.round(at / 1_000));
  t.same(
    seconds,
    [...new Set(seconds)].sort((one, other) => one - other),
    "a second is told once, in order",
  );
  t.ok(viewer.views.length >= viewer.points.length);
  t.match(viewer.views.at(-1), {
    readiness: { ready: true },
    status: { instance: "one", flags: [{ flag: "move" }] },
    flag: { flag: "move", instances: [{ instance: "one", alive: true }] },
    rollout: { flag: "move" },
    figures: { span: "10s" },
    latencies: { spanMs: 60_000 },
    fallbacks: { latency: 0, error: 0, quality: 0, breaker: 0, hedge: 0, dialect: 0 },
    audit: [],
    incidents: [],
    maintenance: [],
  });
});

t.test("an edit by redis-cli is seen at once, as the API has it", async (t) => {
  const fleet = await startFleet(t, { instances: 1, more: EVERY_SECOND });
  const viewer = await looking(t, fleet);
  await viewer.next("figures", ({ latencies }) => latencies !== undefined);
  const seen = viewer.next("the edit", ({ flag }) => flag.settings["rollout_percentage"] === "33");
  await fleet.redis.cli("HSET", FLAGS, "rollout_percentage", "33", "fallback.response_time", "150ms");
  const view = await seen;
  t.same(view.flag.settings, await api(fleet.one.admin.port, "/api/flags/move", ({ settings }) => settings));
  await viewer.next("it is confirmed", ({ flag }) => flag.instances?.every(({ revision }) => revision === flag.revision) === true);
  t.same(lasting(viewer.views.at(-1)?.flag), lasting(await api(fleet.one.admin.port, "/api/flags/move", whole)));
  t.ok(view.latencies?.edgesMs.includes(150), "an edge stands on the threshold");
  await viewer.next("a point of it", () => viewer.points.at(-1)?.percentage === 33);
  await fleet.redis.cli("HSET", FLAGS, "rollout_percentage", "a lot");
  const refused = await viewer.next("what was refused", ({ flag: { rejections } }) => rejections.length > 0);
  t.match(refused.flag, { settings: { rollout_percentage: "33" }, rejections: [{ field: "rollout_percentage", value: "a lot" }] });
});

t.test("what somebody does by the API is seen at once too", async (t) => {
  const fleet = await startFleet(t, { instances: 1, more: EVERY_SECOND });
  const viewer = await looking(t, fleet);
  await viewer.next("a first view", () => true);
  const seen = viewer.next("the kill", ({ flag }) => flag.killed);
  const body = JSON.stringify({ killed: true, reason: "lost sessions" });
  const headers = { "content-type": "application/json", "x-crossfade-user": "zoe" };
  await ask(fleet.one.admin.port, { path: "/api/flags/move/kill", method: "POST", headers, body });
  t.match(await seen, { status: { flags: [{ killed: true }] } });
  await viewer.next("who did it", ({ audit }) => audit?.[0]?.who === "zoe" && audit[0].reason === "lost sessions");
  await ask(fleet.one.admin.port, { path: "/api/flags/move/kill", method: "POST", headers, body: JSON.stringify({ killed: false }) });
  await begin(fleet, planText([HALF], ERRORS));
  await viewer.next("the rollout", ({ rollout }) => rollout?.rollout?.state.status === "progressing" && rollout.view !== undefined);
});

t.test("every number is the API's of that moment, on each instance", async (t) => {
  const fleet = await startFleet(t, { instances: 2, more: EVERY_SECOND, fallback: "conditions: { response_time: 2s }, breaker: off" });
  await fleet.redis.cli("HSET", FLAGS, "rollout_percentage", "40");
  fleet.fresh.become((request) => request % 20);
  const load = fleet.load(200);
  const viewers = await Promise.all([fleet.one, fleet.other].map(({ admin }) => openLive(t, admin.port)));
  await until("traffic on both arms", () => viewers.every(({ points }) => (points.at(-1)?.candidate.rate ?? 0) > 10), PATIENCE_MS);
  fleet.fresh.become("broken");
  await until("fallbacks are seen", () => viewers.every(({ views }) => (views.at(-1)?.fallbacks["error"] ?? 0) > 5), PATIENCE_MS);
  await Promise.all(load.map((each) => each.stop()));

  for (const [index, viewer] of viewers.entries()) {
    const { admin } = fleet.apps[index] ?? fleet.one;
    const instance = ["one", "other"][index];
    // Settled: what was under way when the traffic stopped has been counted.
    const asked = await settled(viewer, admin.port);
    const view = await viewer.next("what the API says", ({ status }) => same(status.traffic, asked.traffic));
    t.equal(view.status.instance, instance);
    t.same(lasting(view.status), lasting(asked));
    t.same(view.fallbacks, sumOfFallbacks(asked), `reasons on ${instance}: all of them were within the minute`);
    t.same(lasting(view.rollout), lasting(await api(admin.port, "/api/rollout/move", whole)));
    t.same(view.audit, await api(admin.port, "/api/audit?count=20", ({ entries }) => entries));
    t.same(lasting(view.flag), lasting(await api(admin.port, "/api/flags/move", whole)));
    await figuresAgree(t, viewer, admin.port);
  }
});

interface AskedStatus {
  readonly traffic: readonly { readonly fallbacks: Readonly<Record<string, number>> }[];
}

function sumOfFallbacks({ traffic }: AskedStatus): Record<string, number> {
  const sum: Record<string, number> = { latency: 0, error: 0, quality: 0, breaker: 0, hedge: 0, dialect: 0 };
  for (const { fallbacks } of traffic) for (const [reason, count] of Object.entries(fallbacks)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The status once it is the same in two views and in the API between them. */
async function settled(viewer: Viewer, port: number): Promise<AskedStatus & Record<string, unknown>> {
  for (let tries = 0; tries < 50; tries++) {
    const before = await viewer.next("a view", () => true);
    const asked = await api(port, "/api/status", (body) => ({ ...body, traffic: body["traffic"] as AskedStatus["traffic"] })); // as the API describes it
    if (same(before.status.traffic, asked.traffic)) return asked;
  }
  throw new Error("the traffic does not settle");
}

interface AskedFigures {
  readonly to: number;
  readonly coveredMs: number;
  readonly rows: readonly { readonly stable: Arm; readonly candidate: Arm }[];
}

interface Arm {
  readonly requests: number;
  readonly attempts: number;
}

/** For some instant up to which both have figures. */
async function figuresAgree(test: Test, viewer: Viewer, port: number): Promise<void> {
  const figures = (span: string): Promise<AskedFigures> =>
    api(port, `/api/rollout/move/figures?span=${span}`, (body) => body as unknown as AskedFigures); // as the API describes it
  for (let tries = 0; tries < 50; tries++) {
    const from = viewer.views.length;
    const [ten, minute] = [await figures("10s"), await figures("1m")];
    await until("a view after it", () => viewer.views.length > from + 1);
    const view = viewer.views.find((each) => each.figures?.to === ten.to);
    const point = viewer.points.find(({ at }) => at === ten.to);
    if (view === undefined || point === undefined || minute.to !== ten.to) continue;
    test.same(view.figures, ten, "figures");
    for (const arm of ["stable", "candidate"] as const) {
      const requests = ten.rows.reduce((sum, row) => sum + row[arm].requests, 0);
      test.equal(Math.round((point[arm].rate * ten.coveredMs) / 1_000), requests, `requests of the ${arm} arm`);
    }
    const bins = viewer.views.find((each) => each.figures?.to === minute.to)?.latencies;
    for (const arm of ["stable", "candidate"] as const) {
      const counted = bins?.[arm].reduce((sum, count) => sum + count, 0);
      test.equal(
        counted,
        minute.rows.reduce((sum, row) => sum + row[arm].attempts, 0),
        `durations of the ${arm} arm`,
      );
    }
    return;
  }
  throw new Error("no figures of the same instant");
}

t.test("what people are told is the same on every instance, as the API has it", async (t) => {
  const fleet = await startFleet(t, { instances: 2, more: EVERY_SECOND });
  const viewer = await looking(t, fleet);
  await viewer.next("a first view", () => true);
  const told = { title: "Slow answers", text: "We are looking into it.", priority: "P2", impact: "degraded" };
  const headers = { "content-type": "application/json" };
  const opened = await ask(fleet.other.admin.port, { path: "/api/incidents", method: "POST", headers, body: JSON.stringify(told) });
  t.ok(opened.status < 300, opened.body);
  const view = await viewer.next("the incident", ({ incidents }) => incidents.length === 1, PATIENCE_MS);
  t.match(view.incidents, [{ title: { en: "Slow answers" }, impact: "degraded" }]);
  const { port } = fleet.one.admin;
  t.same(view.incidents, await api(port, "/api/incidents", ({ incidents }) => incidents));
  t.same(view.maintenance, []);
  // What follows from an incident is told a moment later.
  const agree = async (path: string, seen: (view: LiveView | undefined) => unknown): Promise<boolean> => {
    const asked = await api(port, path, whole);
    await viewer.next("a view", () => true);
    return same(lasting(seen(viewer.views.at(-1))), lasting(asked));
  };
  await until("notices agree", () => agree("/api/notices?flag=move", (each) => each?.notices), PATIENCE_MS);
  await until("the SLA agrees", () => agree("/api/sla?flag=move", (each) => each?.sla), PATIENCE_MS);
});

t.test("a store that stops takes its own parts away and nothing else; they come back with it", async (t) => {
  const fleet = await startFleet(t, { instances: 1, more: EVERY_SECOND });
  const viewer = await looking(t, fleet);
  await viewer.next("all parts", ({ rollout, figures, audit, flag }) => [rollout, figures, audit, flag.instances].every(Boolean));
  fleet.redis.pause();
  t.teardown(() => fleet.redis.resume());
  const blind = await viewer.next("parts are missing", ({ rollout, figures, audit }) => !rollout && !figures && !audit, PATIENCE_MS);
  t.match(blind, { flag: { flag: "move", instances: null, settings: { rollout_percentage: "0" } }, status: { instance: "one" } });
  const from = viewer.views.length;
  await until("views go on", () => viewer.views.length > from + 3, PATIENCE_MS);
  await viewer.next("what is the matter is said", ({ status }) => !status.store.up, PATIENCE_MS);
  await until("points go on, without figures", () => viewer.points.at(-1)?.stable.rate === null, PATIENCE_MS);
  fleet.redis.resume();
  await viewer.next("all is there again", ({ rollout, figures, audit }) => [rollout, figures, audit].every(Boolean), PATIENCE_MS);
  await fleet.redis.kill();
  await viewer.next("gone for good", ({ rollout, status }) => !rollout && !status.store.up, PATIENCE_MS);
  const killed = viewer.next("the kill that holds without a store", ({ flag }) => flag.killed && flag.killedHere, PATIENCE_MS);
  await ask(fleet.one.admin.port, {
    path: "/api/flags/move/kill",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  await killed;
  await fleet.redis.restart({ empty: true });
  await viewer.next("back, though empty", ({ rollout, figures }) => [rollout, figures].every(Boolean), PATIENCE_MS);
  t.equal(viewer.isOver, false, "it was one stream all the time");
  const seconds = viewer.points.map(({ at }) => at);
  t.same(
    seconds,
    seconds.toSorted((one, other) => one - other),
  );
});

t.test("who comes later, or after a restart, sees what was before", async (t) => {
  const fleet = await startFleet(t, { instances: 2, more: EVERY_SECOND });
  await fleet.redis.cli("HSET", FLAGS, "rollout_percentage", "50");
  fleet.load(100);
  const counts = (viewer: Viewer): number => (viewer.history ?? []).filter(({ stable }) => stable.rate > 5).length;
  await until(
    "a history with traffic",
    async () => {
      const viewer = await looking(t, fleet);
      await viewer.next("a view", () => true);
      viewer.leave();
      return counts(viewer) >= 2;
    },
    PATIENCE_MS,
  );
  // A program that has just been started knows it from the others.
  const folder = await temporaryDirectory(t);
  const admin = await startAdmin(fleet.other.control, { host: "127.0.0.1", port: 0, token: undefined, dashboard: folder });
  t.teardown(() => admin.close());
  const fresh = await openLive(t, admin.port);
  await fresh.next("a view", () => true);
  t.ok(counts(fresh) >= 1, `${counts(fresh)} points with traffic`);
  t.ok(fresh.history?.every(({ at, percentage }, index, all) => at > (all[index - 1]?.at ?? 0) && [0, 50].includes(percentage)));
});

t.test("when the program ends, every stream ends and says when to come again", async (t) => {
  const fleet = await startFleet(t, { instances: 1, more: EVERY_SECOND });
  const viewers = await Promise.all(Array.from({ length: 3 }, () => looking(t, fleet)));
  await viewers[0]?.next("a view", () => true);
  await fleet.one.stop();
  await until("all are over", () => viewers.every(({ isOver }) => isOver));
  for (const viewer of viewers) {
    t.match(viewer.text(), /\n\nretry: \d+\n\n$/);
    t.equal(viewer.response.complete, true, "ended, not cut");
  }
});

/** An admin API of a program without traffic. */
async function open(test: Test, token?: string) {
  const operations = createFakeOperations();
  const errors: unknown[] = [];
  const folder = await temporaryDirectory(test);
  const admin = await startAdmin(operations, {
    host: "127.0.0.1",
    port: 0,
    token,
    dashboard: folder,
    onError: (error) => errors.push(error),
  });
  test.teardown(() => admin.close());
  const get = (path: string, headers: Readonly<Record<string, string>> = {}, method = "GET"): Promise<Reply> =>
    ask(admin.port, { path, headers, method });
  return { admin, operations, errors, get, look: (headers = {}) => openLive(test, admin.port, { flag: "v2_migration", headers }) };
}

t.test("live takes the same rights as everything else", async (t) => {
  const { get, look } = await open(t, "s3cret");
  t.equal((await get("/api/live")).status, 401);
  t.equal((await get("/api/live", { authorization: "Bearer wrong" })).status, 401);
  const viewer = await look({ authorization: "Bearer s3cret" });
  t.equal(viewer.response.statusCode, 200);
  await viewer.next("a view", () => true);
});

t.test("what is asked wrongly is said, and HEAD is answered without a stream", async (t) => {
  const { get } = await open(t);
  t.match(await get("/api/live?flag=other"), { status: 404, body: /unknown-flag/ });
  t.match(await get("/api/live?flags=v2_migration"), { status: 400, body: /Did you mean flag\?/ });
  t.match(await get("/api/live", {}, "POST"), { status: 405, headers: { allow: "GET, HEAD" } });
  t.match(await get("/api/live", { host: "evil.example" }), { status: 403 });
  for (const foreign of [{ "sec-fetch-site": "cross-site" }, { origin: "http://evil.example" }]) {
    t.match(await get("/api/live", foreign), { status: 403, body: /foreign-origin/ }, "another's page takes no viewer's place");
  }
  t.match(await get("/api/live", {}, "HEAD"), { status: 200, body: "", headers: { "content-type": "text/event-stream; charset=utf-8" } });
});

t.test("64 may look, the next is told so, and has room when one leaves", async (t) => {
  const { get, look } = await open(t);
  const viewers = await Promise.all(Array.from({ length: 64 }, () => look()));
  await viewers[63]?.next("the last one sees", () => true);
  t.match(await get("/api/live"), {
    status: 503,
    body: /too-many-viewers/,
    headers: { "content-type": /problem\+json/, "retry-after": "10" },
  });
  t.equal((await get("/api/status")).status, 200, "the rest of the API goes on");
  viewers[0]?.leave();
  await until("there is room", async () => (await get("/api/live", {}, "HEAD")).status === 200);
  const late = await look();
  await late.next("a view", () => true);
});

t.test("a failure inside is told once, and the stream goes on when it is over", async (t) => {
  const { operations, errors, look } = await open(t);
  const viewer = await look();
  await viewer.next("a view", () => true);
  operations.faults.broken = true;
  await until("it is told", () => errors.length > 0);
  await operations.change("v2_migration", { rollout_percentage: "20" }, { who: "ann", reason: "" }, { ifRevision: undefined, waitMs: 0 });
  operations.faults.broken = false;
  await viewer.next("the change", ({ flag }) => flag.settings["rollout_percentage"] === "20");
  t.match(errors, [{ message: "the secret inside" }]);
  t.notMatch(viewer.text(), /secret/);
});

t.test("views are made for those who look, at most ten a second, the same for all", async (t) => {
  const { operations, look } = await open(t);
  const viewers = await Promise.all(Array.from({ length: 20 }, () => look()));
  await Promise.all(viewers.map((viewer) => viewer.next("a view", () => true)));
  const from = viewers[0]?.views.length ?? 0;
  const began = performance.now();
  let revision = 0;
  while (performance.now() - began < 1_000) {
    await operations.change(
      "v2_migration",
      { rollout_percentage: String(++revision % 100) },
      { who: "ann", reason: "" },
      { ifRevision: undefined, waitMs: 0 },
    );
    await new Promise((resolve) => setImmediate(resolve));
  }
  const last = String(revision % 100);
  await Promise.all(
    viewers.map((viewer) => until("the last one", () => viewer.views.at(-1)?.flag.settings["rollout_percentage"] === last)),
  );
  const seen = (viewers[0]?.views.length ?? 0) - from;
  const seconds = (performance.now() - began) / 1_000;
  t.ok(revision > 50 && seen <= 10 * seconds + 2, `${seen} views of ${revision} changes in ${seconds} s`);
  const texts = new Set(viewers.map(({ text }) => text().split("event: view\n").at(-1)));
  t.equal(texts.size, 1);
});

t.test("thousands of views to 20 viewers leave nothing behind", async (t) => {
  const { admin, operations } = await open(t);
  const composer = new Composer(operations, "v2_migration");
  const viewers = new Viewers();
  const server = createServer((_, response) => viewers.add(response, []));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : admin.port;
  let read = 0;
  for (let index = 0; index < 20; index++) {
    const sent = httpGet({ host: "127.0.0.1", port, agent: false }, (response) =>
      response.on("data", (chunk: Buffer) => (read += chunk.length)).on("error", () => {}),
    );
    sent.on("error", () => {}).flushHeaders();
    t.teardown(() => sent.destroy());
  }
  t.teardown(() => {
    viewers.end();
    server.closeAllConnections();
    server.close();
  });
  await until("all are there", () => viewers.count === 20);
  let view: LiveView | undefined;
  const send = async (count: number): Promise<void> => {
    for (let number = 0; number < count; number++) {
      // Making one takes longer than sending it.
      if (number % 10 === 0) view = (await composer.view(() => ({}))).view;
      viewers.send(Buffer.from(eventOf("view", view)));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await send(1_000);
  const before = bytesInUse();
  await send(4_000);
  const grown = bytesInUse() - before;
  t.ok(read > 5_000 * 20 * 1_000, `${read} bytes were read`);
  t.ok(grown < 4_000_000, `${grown} bytes more after 4,000 views`);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { configOf, configText, startApp } from "./support/app.ts";
import { ask, startBackend, until } from "./support/backend.ts";
import { Load } from "./support/load.ts";
import { runProgram, serveProgram } from "./support/program.ts";
import { startRedis } from "./support/redis.ts";

const FAILING_CONTROL = new URL("./support/failing-control.ts", import.meta.url);
/** Nothing listens here: port 1 takes a privilege to open. */
const NOWHERE = "http://127.0.0.1:1";

/** A backend whose answers wait until the test gives them. */
async function startSlowBackend(t: Test): Promise<{ readonly origin: string; readonly waiting: ServerResponse[] }> {
  const waiting: ServerResponse[] = [];
  const { origin } = await startBackend(t, "slow", (_, res) => void waiting.push(res));
  return { origin, waiting };
}

t.test("a change is confirmed once every worker decides by it", async (t) => {
  const old = await startBackend(t, "old");
  const fresh = await startBackend(t, "new");
  const app = await startApp(t, configOf(configText({ stable: old.origin, candidate: fresh.origin, workers: 3 })));
  const by = { who: "test", reason: "trial" };
  for (const [percentage, name] of [
    ["100", "new"],
    ["0", "old"],
  ] as const) {
    const receipt = await app.control.change("move", { rollout_percentage: percentage }, by, { ifRevision: undefined, waitMs: 5_000 });
    t.match(receipt, { flag: "move", acknowledged: [app.control.instance], missing: [], shared: true });
    for (let i = 0; i < 20; i++) t.equal((await ask(app.port, { headers: { "x-user-id": `u${i}` } })).body, JSON.stringify({ name }));
  }
});

t.test("the kill switch works at once without a store, and survives until it is lifted", async (t) => {
  const old = await startBackend(t, "old");
  const fresh = await startBackend(t, "new");
  const config = configOf(configText({ stable: old.origin, candidate: fresh.origin, percentage: 100, store: "redis://127.0.0.1:1" }));
  const app = await startApp(t, config);
  await app.firstProbes;
  t.match(app.control.readiness(), { ready: true, degraded: [String] }, "a lost store is no reason to stop");
  const who = async (): Promise<string> => (await ask(app.port, { headers: { "x-user-id": "u1" } })).body;
  t.match(await who(), "new");

  const killing = app.control.kill("move", true, { who: "test", reason: "trial" }, 0);
  t.match(await who(), "old", "the very next request");
  t.match(await killing, { flag: "move", shared: false });
  t.ok(app.control.status().flags[0]?.killed);
  t.match(app.control.explain({ flag: "move", user: "u1", segment: undefined, atBp: undefined }), { arm: "stable", reason: "kill-switch" });
  await app.control.kill("move", false, { who: "test", reason: "over" }, 0);
  await until("the candidate serves again", async () => (await who()).includes("new"));
});

t.test("a kill that somebody lifts at the same moment does not stay behind on this instance", async (t) => {
  const old = await startBackend(t, "old");
  const app = await startApp(t, configOf(configText({ stable: old.origin, candidate: old.origin, percentage: 100 })));
  const by = { who: "test", reason: "trial" };
  const killing = app.control.kill("move", true, by, 0);
  await app.control.change("move", { kill_switch: "false" }, by, { ifRevision: undefined, waitMs: 0 });
  t.match(await killing, { shared: true });
  t.match(app.control.status().flags[0], { revision: 2, killed: false }, "once both are recorded, the last word counts");
});

t.test("a write by any client of Redis reaches every worker, and a receipt names the instance that has not confirmed", async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  const old = await startBackend(t, "old");
  const fresh = await startBackend(t, "new");
  const text = configText({ stable: old.origin, candidate: fresh.origin, store: redis.url });
  const app = await startApp(t, configOf(text));
  const other = await serveProgram(t, text);
  const who = async (port: number): Promise<string> => (await ask(port, { headers: { "x-user-id": "u1" } })).body;

  await redis.cli("HSET", "crossfade:{move}:flags", "rollout_percentage", "100");
  const written = performance.now();
  await until("this instance decides by it", async () => (await who(app.port)).includes("new"));
  t.comment(`${Math.round(performance.now() - written)} ms from the write to the first request that follows it`);
  await until("and the other one", async () => (await who(other.port)).includes("new"));

  const by = { who: "test", reason: "trial" };
  const both = await app.control.change("move", { rollout_percentage: "50" }, by, { ifRevision: undefined, waitMs: 5_000 });
  t.equal(both.acknowledged.length, 2, "both confirm");
  t.same(both.missing, []);
  other.process.kill("SIGSTOP");
  const one = await app.control.change("move", { rollout_percentage: "75" }, by, { ifRevision: undefined, waitMs: 300 });
  other.process.kill("SIGCONT");
  t.same(one.acknowledged, [app.control.instance]);
  t.same(
    one.missing,
    both.acknowledged.filter((instance) => instance !== app.control.instance),
  );
});

t.test("a value that makes no sense changes nothing and is reported; a crash of Redis costs no request", async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  const old = await startBackend(t, "old");
  const app = await startApp(t, configOf(configText({ stable: old.origin, candidate: old.origin, percentage: 25, store: redis.url })));
  const load = new Load(app.port, { connections: 8, perSecond: 200 }).start();
  t.teardown(() => load.stop());
  await redis.cli("HSET", "crossfade:{move}:flags", "rollout_percentage", "101");
  await until("the refusal is known", () => app.control.status().rejections.length === 1);
  t.match(app.control.status().rejections[0], { flag: "move", field: "rollout_percentage", value: "101", kind: "invalid-value" });
  t.equal(app.control.status().flags[0]?.percentage, 25);
  t.match((await app.control.metrics()).text, /^crossfade_config_rejected_total\{reason="invalid-value"\} 1$/m);
  await redis.cli("HSET", "crossfade:{move}:flags", "rollout_percentage", "10");
  await until("the next value holds", () => app.control.status().flags[0]?.percentage === 10);
  t.same(app.control.status().rejections, []);

  await redis.kill();
  await until("the loss is known", () => !app.control.status().store.up);
  const { answered } = load;
  await until("requests go on", () => load.answered > answered + 100);
  t.match(app.control.readiness(), { ready: true, degraded: [String] });
  await load.stop();
  t.same(load.lost, []);
  t.equal(app.control.status().flags[0]?.percentage, 10, "the last good settings hold");
});

t.test("ready means that the stable side of every split can be reached", async (t) => {
  const old = await startBackend(t, "old");
  const app = await startApp(t, configOf(configText({ stable: old.origin, candidate: NOWHERE, more: "drain: { timeout: 1s }" })));
  await app.firstProbes;
  const { ready, degraded } = app.control.readiness();
  t.ok(ready, "a candidate that is missing is taken care of");
  t.match(degraded, [/^upstream new cannot be reached: http:\/\/127\.0\.0\.1:1 \(connection refused/]);

  const lost = await startApp(t, configOf(configText({ stable: NOWHERE, candidate: old.origin })));
  await lost.firstProbes;
  t.match(lost.control.readiness(), { ready: false, reasons: [/^upstream old cannot be reached/] });
  t.ok(
    lost.lines.some((line) => /upstream old is not healthy at .*: start or mend it, or correct upstreams\.old/.test(line.msg)),
    "the log says what to do",
  );
});

t.test("SIGKILL of the candidate costs nobody an answer, and a stable side that is gone costs nobody a complete one", async (t) => {
  const old = await startBackend(t, "old");
  const fresh = spawn(process.execPath, [fileURLToPath(new URL("./support/backend-program.ts", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => fresh.kill("SIGKILL"));
  const [candidate]: string[] = await once(createInterface({ input: fresh.stdout }), "line");
  const app = await startApp(t, configOf(configText({ stable: old.origin, candidate: candidate ?? "", percentage: 100 })));
  const load = new Load(app.port, { connections: 16, perSecond: 300 }).start();
  t.teardown(() => load.stop());
  const seen = (reply: string): number => load.replies.get(reply) ?? 0;
  await until("the candidate serves", () => seen('200 {"name":"new"}') > 100);
  fresh.kill("SIGKILL");
  await until("the stable side serves", () => seen('200 {"name":"old"}') > 100);
  t.same([...load.replies.keys()].sort(), ['200 {"name":"new"}', '200 {"name":"old"}'], "nobody noticed");
  await until("readiness notices", () => app.control.readiness().degraded.some((remark) => remark.startsWith("upstream new")));
  t.ok(app.control.readiness().ready);

  await old.close();
  await until("refusals", () => [...load.replies.keys()].filter((reply) => reply.startsWith("502 ")).length > 20);
  await load.stop();
  t.same(load.lost, [], "every request got a complete answer");
});

t.test("SIGTERM under load loses no request", async (t) => {
  const old = await startBackend(t, "old");
  const program = await serveProgram(t, configText({ stable: old.origin, candidate: old.origin, more: "drain: { timeout: 10s }" }));
  const load = new Load(program.port, { connections: 16, perSecond: 300 }).start();
  t.teardown(() => load.stop());
  await until("requests flow", () => load.answered > 300);
  program.process.kill("SIGTERM");
  await program.logged(/^drained/);
  const { answered } = load;
  await load.stop();
  t.same(await program.exit, { code: 0, signal: null });
  // After the drain nobody listens; before it nothing may fail.
  const early = load.lost.filter(({ code }) => code !== "ECONNREFUSED");
  t.same(early, [], "only connections that nobody takes any more fail");
  t.match(await program.logged(/^drained/), { level: "info" });
  t.ok(answered > 300);
});

t.test("two programs hand the ports over without losing a request", async (t) => {
  const old = await startBackend(t, "old");
  const first = await serveProgram(t, configText({ stable: old.origin, candidate: old.origin }));
  const load = new Load(first.port, { connections: 8, perSecond: 200 }).start();
  t.teardown(() => load.stop());
  await until("requests flow", () => load.answered > 100);
  const second = await serveProgram(t, configText({ stable: old.origin, candidate: old.origin, port: first.port }), ["--share-ports"]);
  t.equal(second.port, first.port);
  first.process.kill("SIGTERM");
  t.match(await first.exit, { code: 0 });
  const { answered } = load;
  await until("the second one serves", () => load.answered > answered + 100);
  await load.stop();
  t.same(load.lost, []);
});

t.test("a drain waits for the slow request, answers it, and says no to readiness meanwhile", async (t) => {
  const slow = await startSlowBackend(t);
  const program = await serveProgram(t, configText({ stable: slow.origin, candidate: slow.origin }));
  const answer = ask(program.port);
  await until("the request is at the backend", () => slow.waiting.length === 1);
  program.process.kill("SIGTERM");
  await until("not ready", async () => (await ask(program.adminPort, { path: "/readyz" })).status === 503);
  t.match((await ask(program.adminPort, { path: "/readyz" })).body, /draining/);
  slow.waiting[0]?.end("at last");
  t.match(await answer, { status: 200, body: "at last", headers: { connection: "close" } });
  t.same(await program.exit, { code: 0, signal: null });
});

t.test("a drain that takes too long cuts what is left, counts it and ends well", async (t) => {
  const slow = await startSlowBackend(t);
  const program = await serveProgram(t, configText({ stable: slow.origin, candidate: slow.origin, more: "drain: { timeout: 200ms }" }));
  const answer = ask(program.port);
  await until("the request is at the backend", () => slow.waiting.length === 1);
  program.process.kill("SIGTERM");
  await t.rejects(answer);
  t.same(await program.exit, { code: 0, signal: null });
  t.match(await program.logged(/^drained/), { level: "warn", requests: 1, connections: 1, lostWorkers: 0 });
});

t.test("a second signal stops at once", async (t) => {
  const slow = await startSlowBackend(t);
  const program = await serveProgram(t, configText({ stable: slow.origin, candidate: slow.origin }));
  const answer = ask(program.port);
  await until("the request is at the backend", () => slow.waiting.length === 1);
  program.process.kill("SIGINT");
  await program.logged(/^draining/);
  program.process.kill("SIGTERM");
  await t.rejects(answer);
  t.same(await program.exit, { code: 1, signal: null });
});

t.test("when the control thread fails, the workers finish what they have", async (t) => {
  const slow = await startSlowBackend(t);
  const program = await serveProgram(t, configText({ stable: slow.origin, candidate: slow.origin }), [], FAILING_CONTROL);
  const answer = ask(program.port);
  await until("the request is at the backend", () => slow.waiting.length === 1);
  program.process.kill("SIGUSR2");
  await program.logged(/^the control thread failed/);
  slow.waiting[0]?.end("in spite of it");
  t.match(await answer, { status: 200, body: "in spite of it" });
  t.same(await program.exit, { code: 1, signal: null });
});

t.test("a port that is taken is named, with what to do", async (t) => {
  const old = await startBackend(t, "old");
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.teardown(() => other.close());
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  const listener = await runProgram(t, configText({ stable: old.origin, candidate: old.origin, port }));
  t.same(await listener.exit, { code: 1, signal: null });
  t.match(await listener.logged(/^listener/), {
    level: "fatal",
    msg: new RegExp(`^listener "public" cannot use 127\\.0\\.0\\.1:${port}: another program has the port .*; stop it, or give`),
  });

  const admin = await runProgram(t, configText({ stable: old.origin, candidate: old.origin, adminPort: port }));
  t.same(await admin.exit, { code: 1, signal: null });
  t.match((await admin.logged(/admin\.address/)).msg, /is taken by another program/);

  const first = await startApp(t, configOf(configText({ stable: old.origin, candidate: old.origin })));
  await t.rejects(
    startApp(t, configOf(configText({ stable: old.origin, candidate: old.origin, port: first.port }))),
    { name: "BindFailed", code: "EADDRINUSE" },
    "sharing a port among our own workers does not hide that another program of ours has it",
  );
});

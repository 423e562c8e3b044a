import { once } from "node:events";
import { Worker } from "node:worker_threads";
import t from "tap";
import { KillSwitches } from "../src/app/kill-switches.ts";
import { BlockPool } from "../src/app/block-pool.ts";
import { isHung, TICK_MS, UNWATCHED, watchPulse } from "../src/app/pulse.ts";
import { countFailures, restartDelay } from "../src/app/restart-delay.ts";
import { ownThreadNumber, readThreadTime } from "../src/app/thread-time.ts";
import { WorkerThread } from "../src/app/worker-thread.ts";
import { type App, configOf, configText, type LogLine, startApp } from "./support/app.ts";
import { ask, startBackend, until } from "./support/backend.ts";
import { Load } from "./support/load.ts";
import { serveProgram } from "./support/program.ts";

const FAULTY = new URL("./support/faulty-worker.ts", import.meta.url);
const HOARDING = new URL("./support/hoarding-worker.mjs", import.meta.url);
const DYING = new URL("./support/dying-worker.ts", import.meta.url);

t.test("a silent worker is hung after half a second of watching", async (t) => {
  let watch = watchPulse(UNWATCHED, 7, TICK_MS);
  let ticks = 0;
  while (!isHung(watch)) {
    watch = watchPulse(watch, 7, TICK_MS);
    ticks++;
  }
  t.equal(ticks * TICK_MS, 500);
  t.notOk(isHung(watchPulse(watch, 8, TICK_MS)), "one beat clears it");
});

t.test("ticks that come late count against nobody", async (t) => {
  let watch = watchPulse(UNWATCHED, 7, TICK_MS);
  for (let i = 0; i < 100; i++) watch = watchPulse(watch, 7, TICK_MS * 3);
  t.notOk(isHung(watch), "a starved or sleeping machine is no fault of the worker");
  for (let i = 0; i < 10; i++) watch = watchPulse(watch, 7, TICK_MS);
  t.ok(isHung(watch));
});

t.test("a thread that is not let run is starved, not hung; one that runs all the time, or waits for ever, is hung", async (t) => {
  const after = (ticks: number, runnable: boolean, ranMsPerTick: number): boolean => {
    let watch = UNWATCHED;
    for (let i = 0; i <= ticks; i++) watch = watchPulse(watch, 0, TICK_MS, { runnable, cpuMs: i * ranMsPerTick });
    return isHung(watch);
  };
  t.notOk(after(1_000, true, 0), "runnable, and no processor to be had");
  t.notOk(after(40, true, 2), "or next to none");
  t.ok(after(10, true, TICK_MS), "an endless loop");
  t.ok(after(10, true, TICK_MS / 4), "an endless loop on a busy machine");
  t.ok(after(10, false, 0), "waiting for what never comes");
});

t.test("the system tells what a thread has run", { skip: ownThreadNumber() === 0 && "this system does not" }, async (t) => {
  const before = readThreadTime(ownThreadNumber());
  const { user } = process.cpuUsage();
  while (process.cpuUsage().user - user < 50_000);
  const after = readThreadTime(ownThreadNumber());
  t.match([before, after], [{ runnable: true }, { runnable: true }], "it runs while it asks");
  t.ok((after?.cpuMs ?? 0) > (before?.cpuMs ?? 0) + 5, "and its time goes on");
  t.equal(readThreadTime(0), undefined);
  t.equal(readThreadTime(2 ** 30), undefined, "a thread that is gone");
});

t.test("restarts come at once at first, then ever more slowly, and a healthy minute forgives", async (t) => {
  const delays: number[] = [];
  let failures = 0;
  for (let i = 0; i < 10; i++) {
    failures = countFailures(failures, 0);
    delays.push(restartDelay(failures));
  }
  t.same(delays, [0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  t.equal(countFailures(failures, 59_999), 11);
  t.equal(countFailures(failures, 60_000), 1);
});

t.test("a block of counters has one writer at a time and is never given up", async (t) => {
  const pool = new BlockPool(() => new SharedArrayBuffer(8));
  const first = Promise.withResolvers<void>();
  const mine = pool.lease(first.promise);
  const beside = pool.lease(new Promise(() => {}));
  t.not(beside, mine, "while the first writer lives, a second one gets a block of its own");
  first.resolve();
  await first.promise;
  await until("the block is free", () => pool.lease(new Promise(() => {})) === mine);
  t.ok(pool.all.includes(mine) && pool.all.includes(beside), "all of them go on being read");
});

t.test("a kill of this instance outlives settings that do not know of it", async (t) => {
  const [flag] = configOf(configText({ stable: "http://127.0.0.1:1", candidate: "http://127.0.0.1:1" })).flags;
  if (flag === undefined) throw new Error("no flag");
  const state = { flag: flag.name, revision: 3, settings: flag.settings, allow: undefined, deny: undefined, members: {} };
  const kills = new KillSwitches([flag]);
  const seenByWorkers = new Int32Array(kills.buffer);
  kills.hold("move");
  kills.follow(state);
  t.equal(seenByWorkers[0], 1);
  kills.release("move", state);
  t.equal(seenByWorkers[0], 0);
  kills.follow({ ...state, settings: { ...flag.settings, killSwitch: true } });
  t.equal(seenByWorkers[0], 1, "a kill in the settings counts as well");
  t.throws(() => kills.hold("mvoe"), { message: 'there is no flag "mvoe"' });
});

for (const [fault, told] of [
  ["throw", /threw Error: a fault of the test/],
  ["heap", /used up its heap of 64 MiB|gave no sign of life/],
  ["spin", /gave no sign of life/],
  ["block", /gave no sign of life/],
] as const) {
  t.test(`a worker that does "${fault}" is replaced within a second and takes only its own open requests with it`, async (t) => {
    const old = await startBackend(t, "old");
    const config = configOf(configText({ stable: old.origin, candidate: old.origin, more: "worker_heap: 64MiB" }));
    const app = await startApp(t, config, { workerModule: FAULTY });
    const load = new Load(app.port, { connections: 16, perSecond: 200 }).start();
    t.teardown(() => load.stop());
    await until("both workers have answered", () => new Set(load.threads).size === 2 && load.answered > 200);

    const began = performance.now();
    await t.rejects(ask(app.port, { headers: { "x-test-fault": fault } }), "the request that does the harm is lost");
    await until(
      "the replacement serves",
      () => restartsOf(app) === 1 && app.control.status().workers.every(({ state }) => state === "running"),
    );
    const tookMs = performance.now() - began;
    t.comment(`${fault}: replaced ${Math.round(tookMs)} ms after the fault was sent`);
    // A heap takes a while to fill before there is a fault, and a loop is timed by what it runs, which is less on a busy machine.
    if (fault !== "heap" && fault !== "spin") t.ok(tookMs < 1_000, `within a second: ${tookMs}`);
    t.match(failuresOf(app)[0]?.reason, told, "the log says why");
    t.match(app.control.status().workers.find(({ restarts }) => restarts === 1)?.lastFailure, told, "and the status");

    const { answered } = load;
    await until("the load goes on", () => load.answered > answered + 200);
    await load.stop();
    const bereft = new Set(load.lost.flatMap(({ thread }) => thread ?? []));
    t.ok(bereft.size <= 1, `all requests that were lost were with one worker: ${JSON.stringify(load.lost)}`);
    for (const thread of bereft) t.notOk(load.threads.includes(thread), "which is the one that is gone");
    t.ok(load.lost.length <= load.threads.length, "a connection loses one request at most");
    t.same([...load.replies.keys()], ['200 {"name":"old"}'], "every answer is complete and right");

    const counted = (): number => app.control.status().traffic[0]?.requests ?? 0;
    await until("all answers are counted", () => counted() >= load.answered);
    t.comment(`${fault}: ${load.answered} answered, ${load.lost.length} lost, ${counted()} counted`);
    t.ok(counted() <= load.answered + load.lost.length + 1, "nothing is counted twice");
    t.equal(failuresOf(app).length, 1, "no other worker was blamed");
  });
}

t.test("a heap that is full, however fast it fills and whatever others do, never takes the process with it", async (t) => {
  const reasons: string[] = [];
  const ends: Promise<void>[] = [];
  for (let i = 0; i < 10; i++) {
    const failed = Promise.withResolvers<string>();
    const thread = new WorkerThread(HOARDING, 64, { onMessage() {}, onFailure: failed.resolve });
    ends.push(thread.exited);
    // The next begins while this one still ends, as a replacement does.
    reasons.push(await failed.promise);
  }
  await Promise.all(ends);
  t.same(
    reasons,
    Array.from({ length: 10 }, () => "used up its heap of 64 MiB"),
  );
});

t.test("a worker that throws still writes what its access log holds", async (t) => {
  const old = await startBackend(t, "old");
  const config = configText({ stable: old.origin, candidate: old.origin, workers: 1 });
  const main = new URL("./support/faulty-program.ts", import.meta.url);
  const program = await serveProgram(t, config.replace("access_log: { enabled: false }", ""), [], main);
  for (let i = 0; i < 5; i++) await ask(program.port, { headers: { "x-user-id": "alice" } });
  await t.rejects(ask(program.port, { headers: { "x-test-fault": "throw" } }));
  await program.logged(/^worker serves again$/);
  const lines = program.lines.filter(({ log, route }) => log === "access" && route === "match");
  t.equal(lines.length, 5);
  t.match(lines[0], { user: /^[0-9a-f]{16}$/ });
  t.notMatch(JSON.stringify(program.lines), "alice");
});

t.test("a worker that always dies is started ever more slowly, and everybody is told", async (t) => {
  const old = await startBackend(t, "old");
  const app = await startApp(t, configOf(configText({ stable: old.origin, candidate: old.origin, workers: 1 })), { workerModule: DYING });
  await until("the restarts are no longer free", () => failuresOf(app).some((line) => line.retryMs === 1_000));
  t.same(
    failuresOf(app).map((line) => line.retryMs),
    [0, 0, 0, 1_000],
  );
  const [worker] = app.control.status().workers;
  t.match(worker, { state: "failed", restarts: 3, lastFailure: "threw Error: died young" });
  t.match(app.control.readiness(), { ready: false, reasons: ["no worker is serving"] });
  t.match((await app.control.metrics()).text, /^crossfade_worker_restarts_total\{worker="0"\} 3$/m);
});

t.test("a worker that cannot even start ends the start with the reason", async (t) => {
  const old = await startBackend(t, "old");
  const workerModule = new URL("./support/no-such-worker.ts", import.meta.url);
  await t.rejects(startApp(t, configOf(configText({ stable: old.origin, candidate: old.origin })), { workerModule }), {
    name: "WorkerStartFailed",
    message: /no-such-worker/,
  });
});

t.test("a busy control thread neither stalls the workers nor makes it blame them", async (t) => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const answered = (): number => Atomics.load(words, 0);
  const others = new Worker(new URL("./support/load-thread.ts", import.meta.url), { workerData: words.buffer });
  t.teardown(() => others.terminate());
  const [origin]: string[] = await once(others, "message");
  const app = await startApp(t, configOf(configText({ stable: origin ?? "", candidate: origin ?? "" })));
  others.postMessage(app.port);
  await until("requests flow", () => answered() > 20);

  // At least as long as three hung workers, and until the workers have answered: how fast they do is the machine's affair.
  const before = answered();
  const began = performance.now();
  const busyMs = (): number => performance.now() - began;
  while (busyMs() < 1_500 || (answered() < before + 75 && busyMs() < 30_000));
  const meanwhile = answered() - before;
  t.ok(meanwhile >= 75, `${meanwhile} requests were answered while this thread was busy for ${Math.round(busyMs())} ms`);
  await until("the control side has looked again", () => answered() > before + meanwhile + 50);
  t.equal(Atomics.load(words, 1), 0, "none was lost");
  t.same(failuresOf(app), []);
});

function restartsOf(app: App): number {
  return app.control.status().workers.reduce((sum, worker) => sum + worker.restarts, 0);
}

function failuresOf(app: App): readonly LogLine[] {
  return app.lines.filter((line) => line.msg.startsWith("worker failed"));
}

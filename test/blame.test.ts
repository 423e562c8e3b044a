import t, { type Test } from "tap";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createProxy } from "../src/proxy/proxy.ts";
import { sharedMs } from "../src/core/shared-clock.ts";
import { ArmGuard, guardBytes, type GuardStatus } from "../src/resilience/arm-guard.ts";
import type { CreateTransport } from "../src/transport/transport.ts";
import { ask, type Answer } from "./support/client.ts";
import { configOf, ENGINES, Recorder, splitYaml } from "./support/proxy.ts";

/** Longer than any pause that counts as being held up. */
const BUSY_MS = 200;

/** Two backends on a thread of their own: the stable one answers at once; the candidate says that it has been asked, and answers 20 ms later as the path wants. */
const BACKENDS = `
const { createServer } = require("node:http");
const { parentPort, workerData } = require("node:worker_threads");
const stable = createServer((req, res) => { req.resume(); res.end('{"by":"v1"}'); });
const candidate = createServer((req, res) => {
  req.resume();
  parentPort.postMessage("asked");
  res.on("finish", () => { Atomics.add(workerData, 0, 1); Atomics.notify(workerData, 0); });
  setTimeout(() => {
    if (req.headers["x-wanted"] === "reset") return res.destroy();
    res.statusCode = req.headers["x-wanted"] === "error" ? 500 : 200;
    res.end('{"by":"v2"}');
  }, 20);
});
stable.listen(0, "127.0.0.1", () => candidate.listen(0, "127.0.0.1", () =>
  parentPort.postMessage([stable.address().port, candidate.address().port])));
`;

interface Watched {
  readonly recorder: Recorder;
  status(): GuardStatus;
  /** Blocks this thread until the candidate has handed its answer over to the system, and for so long at least. */
  sleepUntilAnswered(ms: number): void;
  /** One request, while whose candidate's answer is awaited this thread does something. */
  request(wanted: "good" | "error" | "reset", meanwhile: () => void): Promise<Answer>;
}

async function start(t: Test, create: CreateTransport, options: Parameters<typeof splitYaml>[1] = {}): Promise<Watched> {
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const backends = new Worker(BACKENDS, { eval: true, workerData: answered });
  t.teardown(() => backends.terminate());
  const [[stable, candidate]] = (await once(backends, "message")) as [[number, number]];
  const yaml = splitYaml({ stable: `http://127.0.0.1:${stable}`, candidate: `http://127.0.0.1:${candidate}` }, options);
  const config = configOf(yaml);
  const transport = create(config);
  const recorder = new Recorder();
  const memory = new SharedArrayBuffer(guardBytes(1, 1));
  const proxy = createProxy({
    config,
    transport,
    meters: recorder.meters,
    accessLog: recorder.accessLog,
    secret: Buffer.alloc(32, 7),
    kills: new Int32Array(new SharedArrayBuffer(4)),
    onProgress: () => {},
    guards: { memory, worker: 0, workers: 1 },
  });
  const port = await transport.listen({ name: "test", host: "127.0.0.1", port: 0, reusePort: false, tls: undefined }, proxy.accept);
  t.teardown(() => {
    proxy.stopObserving();
    transport.destroy();
  });
  const guard = new ArmGuard({ memory, cell: 0, worker: 1, workers: 1 });
  return {
    recorder,
    status: () => guard.status(sharedMs()),
    sleepUntilAnswered(ms) {
      Atomics.wait(answered, 0, 0);
      beBusy(ms);
    },
    async request(wanted, meanwhile) {
      const asked = once(backends, "message");
      const answer = ask(`http://127.0.0.1:${port}/api/match`, {
        method: "POST",
        body: "{}",
        headers: { "x-user-id": "u1", "x-wanted": wanted },
      });
      await asked;
      meanwhile();
      return answer;
    },
  };
}

function beBusy(ms = BUSY_MS): void {
  const began = performance.now();
  while (performance.now() - began < ms);
}

/** Requests until one found this thread free all the time: how often a busy machine lets that happen is its affair. */
async function judged(proxy: Watched, wanted: "good" | "error" | "reset"): Promise<number> {
  let requests = 0;
  while (proxy.status().judged === 0) {
    requests++;
    await proxy.request(wanted, () => {});
  }
  return requests;
}

const CANDIDATE = 1;

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, async (t) => {
    for (const wanted of ["good", "error", "reset"] as const) {
      t.test(`an attempt that ended "${wanted}" while this thread was held up is counted, and held against nobody`, async (t) => {
        const proxy = await start(t, create);
        const answer = await proxy.request(wanted, () => beBusy());
        t.equal(answer.status, 200);
        t.equal(answer.headers["x-crossfade-served-by"], wanted === "good" ? "v2" : "v1");
        t.ok(proxy.recorder.unjudged.includes(CANDIDATE));
        t.match(proxy.status(), { state: "closed", requests: 1, judged: 0, errors: 0, badQuality: 0 });
        const attempt = proxy.recorder.attempts.find(({ upstream }) => upstream === CANDIDATE);
        t.ok((attempt?.ms ?? 0) >= BUSY_MS, "its time is recorded as it was here");
      });

      t.test(`one that ended "${wanted}" while it was not is judged`, async (t) => {
        const proxy = await start(t, create);
        const requests = await judged(proxy, wanted);
        t.match(proxy.status(), { judged: 1, errors: wanted === "good" ? 0 : 1 });
        t.equal(proxy.recorder.unjudged.filter((upstream) => upstream === CANDIDATE).length, requests - 1);
      });
    }

    t.test("however many of them fail meanwhile, the breaker stays closed", async (t) => {
      const proxy = await start(t, create);
      for (let i = 0; i < 6; i++) await proxy.request("error", () => beBusy());
      t.match(proxy.status(), { state: "closed", judged: 0, openings: 0 });
    });

    t.test("an answer that had come before response_time is not late because this thread was", async (t) => {
      const proxy = await start(t, create, { responseTime: "500ms" });
      const answer = await proxy.request("good", () => proxy.sleepUntilAnswered(600));
      t.equal(answer.headers["x-crossfade-served-by"], "v2");
      t.equal(answer.headers["x-crossfade-fallback"], undefined);
      t.same(proxy.recorder.fallbacks, []);
    });
  });
}

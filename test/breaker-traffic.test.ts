import t, { type Test } from "tap";
import { createProxy } from "../src/proxy/proxy.ts";
import { sharedMs } from "../src/core/shared-clock.ts";
import { ArmGuard, guardBytes, type GuardStatus } from "../src/resilience/arm-guard.ts";
import type { BreakerMode } from "../src/core/words.ts";
import type { CreateTransport } from "../src/transport/transport.ts";
import { type App, configOf as appConfigOf, configText, startApp } from "./support/app.ts";
import { ask as askPort, startBackend as startNamed, until } from "./support/backend.ts";
import { ask, type Answer } from "./support/client.ts";
import { Load } from "./support/load.ts";
import { configOf, ENGINES, Recorder, splitYaml } from "./support/proxy.ts";
import { type Answer as Answering, type Backend, json, startBackend, startRawBackend } from "./support/upstreams.ts";

const FAULTY = new URL("./support/faulty-worker.ts", import.meta.url);
/** The number of the upstream v2 in the configuration. */
const CANDIDATE = 1;
const GOOD = { by: "v2", matches: [{ confidence: 0.9 }] };

interface Guarded {
  readonly url: string;
  readonly recorder: Recorder;
  status(): GuardStatus;
  setBreaker(mode: BreakerMode): void;
}

/** The data path with one split route, and a look at what stands before its candidate. */
async function startGuarded(t: Test, create: CreateTransport, yaml: string): Promise<Guarded> {
  const config = configOf(yaml);
  const [flag] = config.flags;
  if (flag === undefined) throw new Error("no flag");
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
    url: `http://127.0.0.1:${port}`,
    recorder,
    status: () => guard.status(sharedMs()),
    setBreaker(breaker) {
      const settings = { ...flag.settings, fallback: { ...flag.settings.fallback, breaker } };
      proxy.apply([{ flag: flag.name, revision: 1, settings, allow: undefined, deny: undefined, members: {} }]);
    },
  };
}

let asked = 0;
/** One request, which both backends know by its id. */
async function post({ url }: Guarded): Promise<Answer & { readonly id: string }> {
  const id = `request-${++asked}`;
  const answer = await ask(`${url}/api/match`, {
    method: "POST",
    body: "{}",
    headers: { "x-user-id": "u1", "content-type": "application/json", "x-request-id": id },
  });
  return { ...answer, id };
}

/** Requests one after the other until something holds; says how many answers there were of each kind. */
async function postUntil(proxy: Guarded, holds: () => boolean): Promise<Record<string, number>> {
  const kinds: Record<string, number> = {};
  while (!holds()) {
    const answer = await post(proxy);
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    const kind = kindOf(answer);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

function kindOf({ headers }: Answer): string {
  return `${String(headers["x-crossfade-served-by"])} ${String(headers["x-crossfade-fallback"] ?? "-")}`;
}

function idsOf(backend: Backend): readonly string[] {
  return backend.requests.map(({ headers }) => String(headers["x-request-id"]));
}

async function startBoth(
  t: Test,
  candidate: Answering,
  stable: Answering = (_req, res) => json(res, { by: "v1" }),
): Promise<[Backend, Backend]> {
  return Promise.all([startBackend(t, stable), startBackend(t, candidate)]);
}

const failing: Answering = (_req, res) => json(res, { by: "v2" }, 500);
const well: Answering = (_req, res) => json(res, GOOD);
const slow =
  (ms: number): Answering =>
  (_req, res) =>
    void setTimeout(() => json(res, GOOD), ms);

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    t.test(
      "slow for everybody: the stable arm gets its budget besides, everybody a whole good answer, and then each request is sent once",
      async (t) => {
        let sent = 0;
        let open = 0;
        let extra = 0;
        const over: string[] = [];
        const seen = new Set<unknown>();
        const [v1, v2] = await startBoth(
          t,
          (req, res) => {
            seen.add(req.headers["x-request-id"]);
            slow(400)(req, res);
          },
          (req, res) => {
            const isExtra = seen.has(req.headers["x-request-id"]);
            if (isExtra) {
              open++;
              extra++;
              if (open > 3 && extra > sent / 5) over.push(`${open} open, ${extra} extra sends of ${sent} requests`);
            }
            setTimeout(() => {
              if (isExtra) open--;
              json(res, { by: "v1" });
            }, 20);
          },
        );
        const yaml = splitYaml({ stable: v1.url, candidate: v2.url }, { responseTime: "60ms" });
        const proxy = await startGuarded(t, create, yaml);
        const answers: (Answer & { id: string })[] = [];
        const client = async (): Promise<void> => {
          for (let i = 0; i < 12; i++) {
            sent++;
            answers.push(await post(proxy));
          }
        };
        await Promise.all(Array.from({ length: 24 }, client));
        t.same(over, []);
        t.ok(extra > 0, `${extra} extra sends`);
        t.equal(answers.length, 288);
        for (const { status, body } of answers)
          if (status !== 200 || !/^\{"by":"v[12]"/.test(body.toString())) t.fail(`${status} ${body.toString()}`);
        t.match(proxy.status(), { state: "open", why: "budget", openings: 1 });
        const diverted = answers.filter((answer) => kindOf(answer) === "v1 breaker").map(({ id }) => id);
        t.ok(diverted.length > 200, `${diverted.length} while it was open`);
        const [toStable, toCandidate] = [idsOf(v1), idsOf(v2)];
        for (const id of diverted) if (seen.has(id)) t.fail(`${id} was sent to the candidate though the breaker was open`);
        t.equal(new Set(toStable).size, toStable.length, "none is sent to the stable arm twice");
        t.equal(new Set(toCandidate).size, toCandidate.length, "nor to the candidate");
        // Whose connection to the candidate was not yet there when it was given up: only the stable arm heard of it.
        const late = answers.filter((answer) => kindOf(answer) === "v1 latency").map(({ id }) => id);
        const known = new Set([...toCandidate, ...diverted, ...late]);
        t.same(
          toStable.filter((id) => !known.has(id)),
          [],
          "whatever else came to the stable arm was the candidate's",
        );
        const unheard = late.filter((id) => !seen.has(id)).length;
        t.equal(toCandidate.length + diverted.length + unheard, 288);
        await until("every attempt has ended", () => proxy.recorder.attempts.length === toStable.length + toCandidate.length + unheard);
        t.equal(proxy.status().extraOpen, 0, "nothing is left open");
      },
    );

    t.test("whoever found the budget spent gets what falls free", async (t) => {
      const held: (() => void)[] = [];
      const [v1, v2] = await startBoth(
        t,
        () => {},
        (_req, res) => void held.push(() => json(res, { by: "v1" })),
      );
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { responseTime: "50ms" }));
      const asking = Array.from({ length: 10 }, () => post(proxy));
      await until("the breaker is open", () => proxy.status().state === "open");
      for (let i = 0; i < 10; i++) {
        await until("the stable arm is asked", () => held.length > 0);
        t.ok(held.length <= 3);
        t.ok(proxy.status().extraOpen <= 3);
        held.shift()?.();
      }
      for (const answer of await Promise.all(asking)) t.match(kindOf(answer), /^v1 (?:latency|breaker)$/);
      t.equal(v1.requests.length, 10);
    });

    t.test("server errors beyond error_rate open it, and then the candidate is left alone", async (t) => {
      const [v1, v2] = await startBoth(t, failing);
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { fallback: "budget: 100%" }));
      t.same(Object.keys(await postUntil(proxy, () => proxy.status().state !== "closed")), ["v1 error"]);
      // A busy machine may make the proxy late, and then it blames nobody.
      const needed = 3 + proxy.recorder.unjudged.filter((upstream) => upstream === CANDIDATE).length;
      t.match(proxy.status(), { state: "open", why: "errors", errors: 0, extraOpen: 0 });
      for (let i = 0; i < 20; i++) t.equal(kindOf(await post(proxy)), "v1 breaker");
      t.equal(v2.requests.length, needed);
      t.equal(v1.requests.length, needed + 20, "one send each");
      t.equal(proxy.recorder.fallbacks.filter((reason) => reason === "breaker").length, 20);
      t.match(proxy.recorder.log.at(-1), { fallback: "breaker", attempts: 1, assigned: "candidate", served: "stable", upstream: "v1" });
    });

    t.test("bad quality beyond accuracy opens it", async (t) => {
      const [v1, v2] = await startBoth(t, (_req, res) => json(res, { by: "v2", matches: [{ confidence: 0.1 }] }));
      const proxy = await startGuarded(
        t,
        create,
        splitYaml({ stable: v1.url, candidate: v2.url }, { quality: true, fallback: "budget: 100%" }),
      );
      const kinds = await postUntil(proxy, () => proxy.status().state !== "closed");
      t.match(proxy.status(), { state: "open", why: "accuracy" });
      t.same(Object.keys(kinds), ["v1 quality"]);
    });

    t.test("a candidate that nobody listens at opens it after five", async (t) => {
      const [v1, gone] = await startBoth(t, well);
      await gone.close();
      const yaml = splitYaml({ stable: v1.url, candidate: gone.url }, { fallback: "budget: 100%" }).replace(
        "error_rate: 1%",
        "error_rate: 0%",
      );
      const proxy = await startGuarded(t, create, yaml);
      const kinds = await postUntil(proxy, () => proxy.status().state !== "closed");
      t.same(kinds, { "v1 error": 5 + proxy.recorder.unjudged.filter((upstream) => upstream === CANDIDATE).length });
      t.match(proxy.status(), { state: "open", why: "connect" });
      t.equal(kindOf(await post(proxy)), "v1 breaker");
    });

    t.test("a request that may not be sent twice is spared the candidate too", async (t) => {
      const [v1, gone] = await startBoth(t, well);
      await gone.close();
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: gone.url }, { idempotent: false }));
      await postUntil(proxy, () => proxy.status().state !== "closed");
      t.equal(kindOf(await post(proxy)), "v1 breaker");
    });

    t.test("set by hand it acts on the next request: open, closed, off, and back to its figures", async (t) => {
      const [v1, v2] = await startBoth(t, well);
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      t.equal(kindOf(await post(proxy)), "v2 -");
      proxy.setBreaker("open");
      for (let i = 0; i < 3; i++) t.equal(kindOf(await post(proxy)), "v1 breaker");
      t.equal(v2.requests.length, 1);
      proxy.setBreaker("auto");
      t.equal(kindOf(await post(proxy)), "v2 -", "its figures never were bad");
      v2.answer = failing;
      await postUntil(proxy, () => proxy.status().state === "open");
      proxy.setBreaker("closed");
      for (let i = 0; i < 10; i++) t.equal(kindOf(await post(proxy)), "v1 error", "closed, the candidate is asked");
      proxy.setBreaker("off");
      for (let i = 0; i < 10; i++) t.equal(kindOf(await post(proxy)), "v1 error");
      proxy.setBreaker("auto");
      t.equal(kindOf(await post(proxy)), "v1 breaker");
    });

    t.test("set to closed while it is open, the budget is what it is for a closed one", async (t) => {
      const [v1, v2] = await startBoth(t, failing);
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { responseTime: "80ms" }));
      await postUntil(proxy, () => proxy.status().state === "open");
      proxy.setBreaker("closed");
      const before = v2.requests.length;
      const answering: (() => void)[] = [];
      v1.answer = (_req, res) => void answering.push(() => json(res, { by: "v1" }));
      v2.answer = () => {};
      const asking = Promise.allSettled(Array.from({ length: 50 }, () => post(proxy)));
      await until("all are with the candidate", () => v2.requests.length - before === 50);
      // 20 % of some 54 are 10, of which those before have had some. With the minimum alone there would never be more than three.
      await until("the stable arm has what the budget allows", () => answering.length > 3, 3000);
      const finish = setInterval(() => answering.splice(0).forEach((answer) => answer()), 1);
      t.teardown(() => clearInterval(finish));
      await asking;
    });

    t.test("a kept connection that the candidate closes just as it is used again is no failure of its", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startRawBackend(t, (socket) => {
        let requests = 0;
        // Each connection carries one request; the second one meets its end.
        socket.on("data", () => {
          if (++requests === 2) socket.destroy();
          else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nv2");
        });
      });
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      for (let i = 0; i < 12; i++) t.equal(kindOf(await post(proxy)), "v2 -");
      t.ok(proxy.recorder.attempts.filter(({ kind }) => kind === "retry").length >= 5, "connections were lost");
      t.match(proxy.status(), { state: "closed", errors: 0 });
    });

    t.test("late attempts that are not observed, because enough others are, are no errors", async (t) => {
      const waiting: (() => void)[] = [];
      const [v1, v2] = await startBoth(t, (_req, res) => void waiting.push(() => json(res, GOOD)));
      const options = { responseTime: "50ms", fallback: "budget: 100%", extra: "limits: { observed_attempts: 1 }" };
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, options));
      const answers = await Promise.all(Array.from({ length: 8 }, () => post(proxy)));
      t.same(new Set(answers.map(kindOf)), new Set(["v1 latency"]));
      t.equal(proxy.recorder.cuts, 7);
      for (const answer of waiting) answer();
      await proxy.recorder.until(() => proxy.recorder.attempts.length === 16);
      t.match(proxy.status(), { state: "closed", errors: 0, openings: 0 }, "nobody knows how they would have ended");
    });

    t.test("a send of the fallback that is made again counts as open as long as that lasts", async (t) => {
      let requests = 0;
      const waiting: (() => void)[] = [];
      const v1 = await startRawBackend(t, (socket) => {
        let own = 0;
        socket.on("data", () => {
          requests++;
          const answer = (): void => void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nv1");
          if (++own === 1 && requests <= 1) answer();
          else if (own === 2) socket.destroy();
          else waiting.push(answer);
        });
      });
      const v2 = await startBackend(t, failing);
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      t.equal((await ask(`${proxy.url}/v1/warm`)).status, 200);
      const asking = post(proxy);
      await until("it is asked again", () => waiting.length === 1);
      t.equal(proxy.status().extraOpen, 1);
      waiting.shift()?.();
      t.equal(kindOf(await asking), "v1 error");
      await proxy.recorder.until(() => proxy.recorder.attempts.length === 4);
      t.equal(proxy.status().extraOpen, 0);
    });

    t.test("a client that leaves while it waits for the budget, or for an extra send, leaves nothing behind", async (t) => {
      const [v1, v2] = await startBoth(
        t,
        () => {},
        () => {},
      );
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { responseTime: "50ms" }));
      const leave = new AbortController();
      const asking = Array.from({ length: 8 }, () =>
        ask(`${proxy.url}/api/match`, { method: "POST", body: "{}", headers: { "x-user-id": "u1" }, signal: leave.signal }),
      );
      await until("the budget is spent", () => proxy.status().state === "open" && v1.requests.length >= 3);
      leave.abort();
      await Promise.allSettled(asking);
      await proxy.recorder.until(() => proxy.recorder.requests.length === 8);
      t.ok(proxy.recorder.requests.every(({ outcome }) => outcome === "cancelled"));
      t.match(proxy.status(), { extraOpen: 0, errors: 0 });
    });

    t.test("probes bring a candidate back that is well again, and nobody notices", { timeout: 60_000 }, async (t) => {
      const [v1, v2] = await startBoth(t, failing);
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      await postUntil(proxy, () => proxy.status().state === "open");
      v2.answer = well;
      const before = v2.requests.length;
      const unjudged = (): number => proxy.recorder.unjudged.filter((upstream) => upstream === CANDIDATE).length;
      const unjudgedBefore = unjudged();
      const kinds = await postUntil(proxy, () => proxy.status().state === "returning");
      // A probe during which this thread was held up says nothing, and is followed by another one.
      const probes = 5 + unjudged() - unjudgedBefore;
      t.equal(v2.requests.length - before, probes, "five good probes, and nobody besides");
      t.same(Object.keys(kinds).sort(), ["v1 breaker", "v2 -"]);
      t.equal(kinds["v2 -"], probes, "a probe is served like any other");
      t.equal(proxy.status().openings, 1);
    });

    t.test("probes that are answered too late bring nobody back", { timeout: 60_000 }, async (t) => {
      const [v1, v2] = await startBoth(t, slow(150));
      const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { responseTime: "60ms" }));
      while (proxy.status().state === "closed") await Promise.all(Array.from({ length: 20 }, () => post(proxy)));
      t.match(proxy.status(), { state: "open", why: "budget" });
      await postUntil(proxy, () => proxy.status().openings > 1 || proxy.status().state === "returning");
      t.match(proxy.status(), { state: "open", openings: 2 }, "the candidate is as slow as it was");
    });

    t.test(
      "a probe that meets a connection that was closed meanwhile says nothing against the candidate",
      { timeout: 60_000 },
      async (t) => {
        const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
        let isWell = true;
        let isClosing = false;
        const v2 = await startRawBackend(t, (socket) => {
          let own = 0;
          socket.on("data", () => {
            own++;
            const status = isWell ? "200 OK" : "500 Oops";
            if (isClosing && own > 1) socket.destroy();
            else socket.write(`HTTP/1.1 ${status}\r\ncontent-length: 2\r\n\r\nv2`);
          });
        });
        const proxy = await startGuarded(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
        await post(proxy);
        isWell = false;
        await postUntil(proxy, () => proxy.status().state === "open");
        isWell = isClosing = true;
        await postUntil(proxy, () => proxy.status().openings > 1 || proxy.status().state === "returning");
        t.match(proxy.status(), { state: "returning", openings: 1 });
      },
    );
  });
}

t.test("all workers of a program share one breaker, and it outlives a worker that dies", { timeout: 60_000 }, async (t) => {
  const old = await startNamed(t, "old");
  const fresh = await startNamed(t, "new", (_req, res) => res.writeHead(500).end());
  const text = configText({ stable: old.origin, candidate: fresh.origin, percentage: 100, workers: 2 });
  const app = await startApp(t, appConfigOf(text), { workerModule: FAULTY });
  t.match(breakerOf(app), { mode: "auto", state: "closed", openings: 0 });
  t.match((await app.control.metrics()).text, /^crossfade_breaker_state\{route="match",upstream="new"\} 0$/m);

  const diverted = new Map<string, number>();
  const load = new Load(app.port, {
    connections: 16,
    perSecond: 200,
    onReply(_user, { headers }) {
      const thread = String(headers["x-test-thread"]);
      if (headers["x-crossfade-fallback"] === "breaker") diverted.set(thread, (diverted.get(thread) ?? 0) + 1);
    },
  }).start();
  t.teardown(() => load.stop());
  await until("both workers leave the candidate alone", () => diverted.size === 2 && [...diverted.values()].every((count) => count > 20));
  const sent = fresh.requests;
  // The load connects again too, and would make the replacement one of those that are known.
  const known = new Set(diverted.keys());
  t.ok(sent < 40, `${sent} requests were enough for both`);
  t.match(breakerOf(app), { state: "open", why: /^(?:errors|budget)$/, openings: 1, window: { extraOpen: 0 } });
  const { text: metrics } = await app.control.metrics();
  t.match(metrics, /^crossfade_breaker_state\{route="match",upstream="new"\} 3$/m);
  t.match(metrics, /^crossfade_fallback_budget_ratio\{route="match"\} \d/m);

  await t.rejects(askPort(app.port, { headers: { "x-test-fault": "throw" } }));
  await until(
    "the replacement serves",
    () => restartsOf(app) === 1 && app.control.status().workers.every(({ state }) => state === "running"),
  );
  await until("the replacement is asked too", async () => {
    // A connection of its own each time, for the load's keep to the worker that they have.
    const { headers } = await askPort(app.port, { headers: { "x-user-id": "alice" } });
    return headers["x-crossfade-fallback"] === "breaker" && !known.has(String(headers["x-test-thread"]));
  });
  const now = breakerOf(app);
  t.not(now?.state, "closed");
  t.ok((now?.openings ?? 0) >= 1);
  t.ok(fresh.requests <= sent + (now?.openings ?? 0) + 1, "only probes went there in the meantime");
  await load.stop();
  t.same([...load.replies.keys()], ['200 {"name":"old"}'], "everybody was answered, and well");
  t.equal(breakerOf(app)?.window.extraOpen, 0);
});

t.test("what a worker had open when it died is given back", { timeout: 60_000 }, async (t) => {
  let held = 0;
  let isHolding = true;
  const old = await startNamed(t, "old", (_req, res) => {
    if (isHolding) held++;
    else res.end('{"name":"old"}');
  });
  const fresh = await startNamed(t, "new", (_req, res) => res.writeHead(500).end());
  const text = configText({ stable: old.origin, candidate: fresh.origin, percentage: 100, workers: 1 });
  const app = await startApp(t, appConfigOf(text), { workerModule: FAULTY });
  const asking = [0, 1].map(() => askPort(app.port, { headers: { "x-user-id": "alice" } }));
  await until("two extra sends are open", () => held === 2);
  t.equal(breakerOf(app)?.window.extraOpen, 2);
  const ends = Promise.allSettled(asking);
  await t.rejects(askPort(app.port, { headers: { "x-test-fault": "throw" } }));
  await ends;
  isHolding = false;
  await until(
    "the replacement serves",
    () => restartsOf(app) === 1 && app.control.status().workers.every(({ state }) => state === "running"),
  );
  t.equal(breakerOf(app)?.window.extraOpen, 0);
  t.equal((await askPort(app.port, { headers: { "x-user-id": "alice" } })).status, 200);
});

function breakerOf(app: App): ReturnType<App["control"]["status"]>["breakers"][number] | undefined {
  return app.control.status().breakers[0];
}

function restartsOf(app: App): number {
  return app.control.status().workers.reduce((sum, { restarts }) => sum + restarts, 0);
}

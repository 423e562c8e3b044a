import t, { type Test } from "tap";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { until } from "./support/backend.ts";
import { ask, type Answer } from "./support/client.ts";
import { ENGINES, splitYaml, startProxy, type TestProxy } from "./support/proxy.ts";
import { type Backend, bodyOf, json, startBackend, startRawBackend } from "./support/upstreams.ts";

const HEDGED = { fallback: "hedge: true" };
/** When the stable arm is started beside a candidate of which nothing is known yet. */
const FIRST_HEDGE_MS = 100;
const GOOD = { by: "v2", matches: [{ confidence: 0.9 }] };

/** A backend whose answers the test gives. */
interface Asked extends Backend {
  /** Of requests that have no answer yet, in the order in which they came. */
  readonly waiting: ServerResponse[];
  /** The oldest of them, as soon as there is one. */
  next(): Promise<ServerResponse>;
}

async function startAsked(t: Test): Promise<Asked> {
  const waiting: ServerResponse[] = [];
  const backend = await startBackend(t, async (req, res) => {
    await bodyOf(req);
    waiting.push(res);
  });
  const next = async (): Promise<ServerResponse> => {
    await until("it is asked", () => waiting.length > 0);
    const res = waiting.shift();
    if (res === undefined) throw new Error("nothing waits");
    return res;
  };
  return Object.assign(backend, { waiting, next });
}

function post(proxy: TestProxy, signal?: AbortSignal): Promise<Answer> {
  const headers = { "x-user-id": "u1", "content-type": "application/json" };
  return ask(`${proxy.url}/api/match`, { method: "POST", body: "{}", headers, ...(signal ? { signal } : {}) });
}

function said(answer: Answer): unknown {
  const { "x-crossfade-served-by": by, "x-crossfade-fallback": fallback } = answer.headers;
  return { status: answer.status, arm: answer.headers["x-crossfade-arm"], by, fallback, body: JSON.parse(answer.body.toString()).by };
}

const fromStable = (fallback: string): unknown => ({ status: 200, arm: "candidate", by: "v1", fallback, body: "v1" });
const FROM_CANDIDATE = { status: 200, arm: "candidate", by: "v2", fallback: undefined, body: "v2" };

/** Waits until everything that was sent has been recorded, and gives what was. */
async function attemptsOf(proxy: TestProxy, count: number): Promise<unknown[]> {
  await proxy.recorder.until(() => proxy.recorder.attempts.length >= count);
  return proxy.recorder.attempts.map(({ kind, outcome }) => `${kind} ${outcome}`).sort();
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    t.test(
      "the stable arm is started beside a slow candidate long before response_time, and the first good answer is served",
      async (t) => {
        const [v1, v2] = await Promise.all([startAsked(t), startAsked(t)]);
        const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
        const asked = post(proxy);
        const late = await v2.next();
        json(await v1.next(), { by: "v1" });
        const answer = await asked;
        t.same(said(answer), fromStable("hedge"));
        t.ok(answer.ms >= FIRST_HEDGE_MS, "the candidate was given its time");
        t.same(proxy.recorder.fallbacks, ["hedge"]);
        t.equal(proxy.proxy.observed, 1, "the candidate's attempt goes on");
        const servedAt = performance.now();
        await until("some time has passed", () => performance.now() - servedAt > 50);
        json(late, GOOD);
        t.same(await attemptsOf(proxy, 2), ["first ok", "hedge ok"]);
        const lost = proxy.recorder.attempts.find(({ kind }) => kind === "first");
        t.ok((lost?.ms ?? 0) >= FIRST_HEDGE_MS + 50, `and its true time is recorded, not what it had taken when it lost: ${lost?.ms}`);
        t.equal(proxy.proxy.observed, 0);
        t.equal(proxy.recorder.cuts, 0);
      },
    );

    t.test("a candidate that answers while the hedge runs is served, and the hedge is left to finish for its true time", async (t) => {
      const [v1, v2] = await Promise.all([startAsked(t), startAsked(t)]);
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
      const asked = post(proxy);
      const late = await v1.next();
      json(await v2.next(), GOOD);
      t.same(said(await asked), FROM_CANDIDATE);
      t.same(proxy.recorder.fallbacks, [], "nobody fell back");
      t.equal(proxy.proxy.observed, 1);
      const [first] = proxy.recorder.attempts;
      t.match(first, { kind: "first", outcome: "ok" });
      t.ok((first?.ms ?? 0) >= FIRST_HEDGE_MS);
      const servedAt = performance.now();
      await until("some time has passed", () => performance.now() - servedAt > 30);
      json(late, { by: "v1" });
      t.same(await attemptsOf(proxy, 2), ["first ok", "hedge ok"]);
      t.ok((proxy.recorder.attempts[1]?.ms ?? 0) >= 30, "all of its time, not what there was when it lost");
      t.equal(proxy.proxy.observed, 0);
    });

    t.test("a candidate that answers before that is alone", async (t) => {
      const v1 = await startAsked(t);
      const v2 = await startBackend(t, (_req, res) => json(res, GOOD));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
      for (let i = 0; i < 50; i++) t.same(said(await post(proxy)), FROM_CANDIDATE);
      // One that is much quicker than nine in ten of those before can be told from those that are not.
      t.ok(v1.requests.length <= 10, `${v1.requests.length} hedges of 50`);
      t.same(proxy.recorder.fallbacks, []);
    });

    t.test("an error of the hedge does no harm while the candidate answers well", async (t) => {
      const [v1, v2] = await Promise.all([startAsked(t), startAsked(t)]);
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
      for (const fail of [(res: ServerResponse) => void res.destroy(), (res: ServerResponse) => json(res, { by: "v1" }, 503)]) {
        const before = proxy.recorder.attempts.length;
        const asked = post(proxy);
        fail(await v1.next());
        await proxy.recorder.until(() => proxy.recorder.attempts.length > before);
        json(await v2.next(), GOOD);
        t.same(said(await asked), FROM_CANDIDATE);
      }
      t.same(proxy.recorder.fallbacks, []);
      t.same(await attemptsOf(proxy, 4), ["first ok", "first ok", "hedge reset", "hedge server-error"]);
    });

    t.test("nor does a stable arm that nobody listens at", async (t) => {
      const [gone, v2] = await Promise.all([startAsked(t), startAsked(t)]);
      await gone.close();
      const proxy = await startProxy(t, create, splitYaml({ stable: gone.url, candidate: v2.url }, HEDGED));
      const asked = post(proxy);
      t.same(await attemptsOf(proxy, 1), ["hedge connect-failed"]);
      json(await v2.next(), GOOD);
      t.same(said(await asked), FROM_CANDIDATE);
    });

    t.test("a candidate that turns out bad while the hedge runs is replaced by it, for that reason and with no further send", async (t) => {
      const [v1, v2] = await Promise.all([startAsked(t), startAsked(t)]);
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { ...HEDGED, quality: true }));
      const bad: readonly (readonly [string, (res: ServerResponse) => unknown])[] = [
        ["error", (res) => res.destroy()],
        ["error", (res) => json(res, { by: "v2" }, 500)],
        ["quality", (res) => json(res, { by: "v2", matches: [{ confidence: 0.2 }] })],
      ];
      for (const [reason, answer] of bad) {
        const before = proxy.recorder.attempts.length;
        const asked = post(proxy);
        const hedge = await v1.next();
        answer(await v2.next());
        await proxy.recorder.until(() => proxy.recorder.attempts.length > before);
        json(hedge, { by: "v1" });
        t.same(said(await asked), fromStable(reason));
      }
      t.same(proxy.recorder.fallbacks, ["error", "error", "quality"], "each is counted once");
      t.equal(v1.requests.length, 3);
    });

    t.test("one that is late for response_time while the hedge runs as well", async (t) => {
      const [v1, v2] = await Promise.all([startAsked(t), startAsked(t)]);
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { ...HEDGED, responseTime: "150ms" }));
      const asked = post(proxy);
      const hedge = await v1.next();
      await proxy.recorder.until(() => proxy.recorder.fallbacks.length > 0);
      json(hedge, { by: "v1" });
      t.same(said(await asked), fromStable("latency"));
      t.equal(v1.requests.length, 1);
      json(await v2.next(), GOOD);
      t.same(await attemptsOf(proxy, 2), ["first ok", "hedge ok"]);
    });

    t.test("a candidate that was late is served after all if the hedge then fails", async (t) => {
      const [v1, v2] = await Promise.all([startAsked(t), startAsked(t)]);
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { ...HEDGED, responseTime: "150ms" }));
      const asked = post(proxy);
      const hedge = await v1.next();
      await proxy.recorder.until(() => proxy.recorder.fallbacks.length > 0);
      json(hedge, { by: "v1" }, 503);
      await proxy.recorder.until(() => proxy.recorder.attempts.length > 0);
      json(await v2.next(), GOOD);
      t.same(said(await asked), { ...FROM_CANDIDATE, fallback: "latency" });
    });

    t.test("both bad: the client gets the stable arm's answer and the reason why the candidate's was none", async (t) => {
      for (const first of ["hedge", "candidate"]) {
        const [v1, v2] = await Promise.all([startAsked(t), startAsked(t)]);
        const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
        const asked = post(proxy);
        const [hedge, candidate] = [await v1.next(), await v2.next()];
        const answers = [(): void => json(hedge, { by: "v1" }, 503), (): void => json(candidate, { by: "v2" }, 500)];
        if (first === "candidate") answers.reverse();
        answers[0]?.();
        await proxy.recorder.until(() => proxy.recorder.attempts.length === 1);
        answers[1]?.();
        t.same(said(await asked), { status: 503, arm: "candidate", by: "v1", fallback: "error", body: "v1" }, `the ${first} ended first`);
      }
    });

    t.test("a hedge that met a connection just being closed is sent again, and is a hedge still", async (t) => {
      const v2 = await startAsked(t);
      let requests = 0;
      const v1 = await startRawBackend(t, (socket, connection) => {
        let own = 0;
        socket.on("data", () => {
          requests++;
          // The second request of the first connection meets its end.
          if (connection === 1 && ++own === 2) socket.destroy();
          else socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"by":"v1"}');
        });
      });
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
      t.equal((await ask(`${proxy.url}/v1/warm`)).status, 200);
      const answer = await post(proxy);
      t.equal(requests, 3, "the warming one, the one that was lost, and the one that was answered");
      t.same(said(answer), fromStable("hedge"));
      t.same(proxy.recorder.fallbacks, ["hedge"]);
    });

    t.test("with the hedge off there is one send, however long the candidate takes within response_time", async (t) => {
      const v1 = await startAsked(t);
      const v2 = await startBackend(t, (_req, res) => setTimeout(() => json(res, GOOD), 3 * FIRST_HEDGE_MS));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      t.same(said(await post(proxy)), FROM_CANDIDATE);
      t.equal(v1.requests.length, 0);
      t.same(proxy.recorder.fallbacks, []);
    });

    t.test("it can be switched on and off live", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (_req, res) => setTimeout(() => json(res, GOOD), 4 * FIRST_HEDGE_MS));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      const [flag] = proxy.config.flags;
      if (flag === undefined) throw new Error("no flag");
      const set = (hedge: boolean): void => proxy.apply({ settings: { ...flag.settings, fallback: { ...flag.settings.fallback, hedge } } });
      set(true);
      t.same(said(await post(proxy)), fromStable("hedge"));
      set(false);
      t.same(said(await post(proxy)), FROM_CANDIDATE);
      t.equal(v1.requests.length, 1);
    });

    t.test("a request that may not be sent twice never is", async (t) => {
      const v1 = await startAsked(t);
      const v2 = await startBackend(t, (_req, res) => setTimeout(() => json(res, GOOD), 3 * FIRST_HEDGE_MS));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { ...HEDGED, idempotent: false }));
      t.same(said(await post(proxy)), FROM_CANDIDATE);
      t.equal(v1.requests.length, 0);
    });

    t.test("a response_time that comes before the hedge leaves nothing for it to do", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startAsked(t);
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { ...HEDGED, responseTime: "60ms" }));
      t.same(said(await post(proxy)), fromStable("latency"));
      json(await v2.next(), GOOD);
      t.same(await attemptsOf(proxy, 2), ["fallback ok", "first ok"]);
    });

    t.test("a client that leaves cancels both, and nobody is blamed", async (t) => {
      const [v1, v2] = await Promise.all([startRawBackend(t, () => {}), startRawBackend(t, () => {})]);
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
      const leave = new AbortController();
      const asked = post(proxy, leave.signal);
      const [socket] = (await once(v1.server, "connection")) as [Socket];
      await once(socket, "data");
      t.equal(v2.sockets.size, 1);
      const closed = Promise.all([...v1.sockets, ...v2.sockets].map((open) => once(open, "close")));
      leave.abort();
      await t.rejects(asked);
      await closed;
      await proxy.recorder.until(() => proxy.recorder.log.length === 1);
      t.match(proxy.recorder.log[0], { status: 499, attempts: 2 });
      t.same(proxy.recorder.attempts, []);
      t.same(proxy.recorder.fallbacks, []);
      t.equal(proxy.proxy.observed, 0);
    });

    t.test("the budget bounds hedges", async (t) => {
      const v2 = await startAsked(t);
      const seen = new Set<unknown>();
      v2.server.on("request", (req) => seen.add(req.headers["x-request-id"]));
      let hedges = 0;
      const v1 = await startBackend(t, (req, res) => {
        // What the candidate has not seen was sent here alone.
        if (req.url === "/v1/after" || !seen.has(req.headers["x-request-id"])) json(res, { by: "v1" });
        else hedges++;
      });
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, HEDGED));
      const asked = Array.from({ length: 60 }, () => post(proxy));
      await until("all are with one of the two", () => v2.waiting.length + v1.requests.length - hedges === 60);
      const there = performance.now();
      await until("each has waited long enough for a hedge", () => performance.now() - there > 1.5 * FIRST_HEDGE_MS);
      // What was sent along with them has come too when another one that was sent after it has its answer.
      await ask(`${proxy.url}/v1/after`);
      const candidates = v2.requests.length;
      for (const res of v2.waiting) json(res, GOOD);
      const answers = await Promise.all(asked);
      t.ok(hedges >= 3 && hedges <= Math.max(3, candidates / 5), `${hedges} hedges of ${candidates} requests`);
      t.equal(answers.filter(({ headers }) => headers["x-crossfade-served-by"] === "v2").length, candidates);
      t.equal(candidates, 60, "a hedge that may not be sent is no reason to open the breaker");
      t.ok(answers.every(({ status }) => status === 200));
    });
  });
}

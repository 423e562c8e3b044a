import t, { type Test } from "tap";
import { AnswerDesk, AskedAnswers } from "../src/app/keyed-answers.ts";
import type { KeyedAnswers } from "../src/proxy/keyed-answers.ts";
import { createMemoryAnswers } from "../src/store/keyed-answers-memory.ts";
import type { CreateTransport } from "../src/transport/transport.ts";
import { type Answer, ask } from "./support/client.ts";
import { ENGINES, splitYaml, startProxy, type TestProxy } from "./support/proxy.ts";
import { recordLog } from "./support/store-watch.ts";
import { bodyOf, json, startBackend } from "./support/upstreams.ts";

interface World {
  readonly proxy: TestProxy;
  readonly stable: { requests: readonly { readonly headers: Readonly<Record<string, unknown>> }[] };
  readonly candidate: { requests: readonly { readonly headers: Readonly<Record<string, unknown>> }[] };
}

type Backend = Parameters<typeof startBackend>[1];

/** A route whose requests may not be repeated, and where keys are remembered. */
async function world(
  t: Test,
  create: CreateTransport,
  candidate: Backend,
  { stable: answer, ...options }: Parameters<typeof splitYaml>[1] & { readonly stable?: Backend } = {},
): Promise<World> {
  const stable = await startBackend(t, answer ?? (async (req, res) => json(res, { by: "v1", got: (await bodyOf(req)).toString() })));
  const other = await startBackend(t, candidate);
  const store = createMemoryAnswers({ ttlMs: 60_000, log: recordLog() });
  t.teardown(() => store.close());
  const desk = new AnswerDesk(store);
  const asker = {
    send: (message: Parameters<Parameters<AnswerDesk["receive"]>[0]["send"]>[0]) => {
      if (message.kind === "claimed") keyedAnswers.claimed(message.id, message.claim);
    },
  };
  const keyedAnswers: AskedAnswers = new AskedAnswers((question) => desk.receive(asker, question));
  const yaml = splitYaml({ stable: stable.url, candidate: other.url }, { idempotent: false, ...options });
  return { proxy: await startProxy(t, create, yaml, { keyedAnswers }), stable, candidate: other };
}

function post(proxy: TestProxy, key: string | undefined, body = "{}", user = "u1"): Promise<Answer> {
  const headers = { "x-user-id": user, "content-type": "application/json", ...(key === undefined ? {} : { "idempotency-key": key }) };
  return ask(`${proxy.url}/api/match`, { method: "POST", body, headers });
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    t.test("with a key a failed order goes to the other arm, and the key goes to both", async (t) => {
      const { proxy, stable, candidate } = await world(t, create, (_req, res) => json(res, { no: 1 }, 500));
      const answer = await post(proxy, '"order-1"', '{"n":1}');
      t.equal(answer.status, 200);
      t.same(JSON.parse(answer.body.toString()), { by: "v1", got: '{"n":1}' });
      t.equal(answer.headers["x-crossfade-fallback"], "error");
      t.equal(candidate.requests[0]?.headers["idempotency-key"], '"order-1"');
      t.equal(stable.requests[0]?.headers["idempotency-key"], '"order-1"');
    });

    t.test("without a key it does not: the client is told what the candidate said", async (t) => {
      const { proxy, stable } = await world(t, create, (_req, res) => json(res, { no: 1 }, 500));
      const answer = await post(proxy, undefined);
      t.equal(answer.status, 500);
      t.equal(stable.requests.length, 0);
    });

    t.test("a retry gets the answer that was served, though the other arm would answer now", async (t) => {
      let broken = true;
      const { proxy, stable, candidate } = await world(t, create, (_req, res) => json(res, { by: "v2" }, broken ? 500 : 200));
      const first = await post(proxy, "k1");
      broken = false;
      const again = await post(proxy, "k1");
      t.equal(again.status, 200);
      t.equal(again.body.toString(), first.body.toString());
      t.equal(again.headers["x-crossfade-replayed"], "true");
      t.equal(again.headers["x-crossfade-served-by"], "v1");
      t.equal(again.headers["content-type"], first.headers["content-type"]);
      t.equal(again.headers["content-length"], String(first.body.length));
      t.equal(candidate.requests.length, 1, "nobody was asked again");
      t.equal(stable.requests.length, 1);
      const other = await post(proxy, "k1", "{}", "u2");
      t.equal(other.headers["x-crossfade-replayed"], undefined, "another user's key is another key");
    });

    t.test("a key that comes again with another body is refused", async (t) => {
      const { proxy, candidate } = await world(t, create, (_req, res) => json(res, { by: "v2" }));
      await post(proxy, "k1", '{"a":1}');
      const answer = await post(proxy, "k1", '{"a":2}');
      t.equal(answer.status, 422);
      t.match(JSON.parse(answer.body.toString()), { code: "key-reused" });
      t.equal(candidate.requests.length, 1);
    });

    t.test("while the first is under way a second with its key is refused, and not sent", async (t) => {
      const arrived = Promise.withResolvers<void>();
      const leave = Promise.withResolvers<void>();
      const { proxy, candidate } = await world(t, create, async (_req, res) => {
        arrived.resolve();
        await leave.promise;
        json(res, { by: "v2" });
      });
      const first = post(proxy, "k1");
      await arrived.promise;
      const second = await post(proxy, "k1");
      t.equal(second.status, 409);
      leave.resolve();
      t.equal((await first).status, 200);
      t.equal(candidate.requests.length, 1);
    });

    t.test("an answer that asks for another try is not kept", async (t) => {
      const { proxy, candidate } = await world(t, create, (_req, res) => json(res, {}, 429));
      await post(proxy, "k1");
      const answer = await post(proxy, "k1");
      t.equal(answer.status, 429);
      t.equal(candidate.requests.length, 2);
    });

    t.test("a client that left before anything was answered may try again", async (t) => {
      const arrived = Promise.withResolvers<void>();
      const { proxy, candidate } = await world(t, create, (_req, res) => {
        arrived.resolve();
        if (candidate.requests.length > 1) json(res, { by: "v2" });
      });
      const leaving = new AbortController();
      const first = fetch(`${proxy.url}/api/match`, {
        method: "POST",
        body: "{}",
        headers: { "x-user-id": "u1", "content-type": "application/json", "idempotency-key": "k1" },
        signal: leaving.signal,
      });
      await arrived.promise;
      leaving.abort();
      await t.rejects(first);
      await proxy.recorder.until(() => proxy.recorder.requests.some(({ status }) => status === 499));
      const answer = await post(proxy, "k1");
      t.equal(answer.status, 200);
      t.notOk(answer.headers["x-crossfade-replayed"]);
    });

    t.test("the stable arm's answers are remembered too, in however many pieces they come", async (t) => {
      const { proxy, stable } = await world(t, create, (_req, res) => json(res, {}), {
        percentage: 0,
        stable: (_req, res) => {
          res.writeHead(201, { "content-type": "text/plain" });
          res.write("or");
          setImmediate(() => res.end("der"));
        },
      });
      t.equal((await post(proxy, "k1")).body.toString(), "order");
      const again = await post(proxy, "k1");
      t.match(again, { status: 201, headers: { "x-crossfade-replayed": "true", "content-type": "text/plain" } });
      t.equal(again.body.toString(), "order");
      t.equal(stable.requests.length, 1);
    });

    t.test("an order that was answered by one arm is not given to the other after a rollback, however long it is", async (t) => {
      const { proxy, stable, candidate } = await world(t, create, (_req, res) => json(res, { by: "v2" }));
      const order = JSON.stringify({ text: "x".repeat(100_000) });
      await post(proxy, "k1", order);
      proxy.kills[0] = 1;
      const again = await post(proxy, "k1", order);
      t.match(again.headers, { "x-crossfade-replayed": "true", "x-crossfade-served-by": "v2" });
      t.same([candidate.requests.length, stable.requests.length], [1, 0]);
    });

    t.test("clients whom nobody knows share no keys", async (t) => {
      const { proxy, candidate } = await world(t, create, (_req, res) => {
        res.setHeader("set-cookie", "session=mine");
        json(res, { by: "v2" });
      });
      const headers = { "content-type": "application/json", "idempotency-key": "k1" };
      const anonymous = () => ask(`${proxy.url}/api/match`, { method: "POST", body: "{}", headers });
      await anonymous();
      t.equal((await anonymous()).headers["x-crossfade-replayed"], undefined);
      t.equal(candidate.requests.length, 2);
    });

    t.test("while nobody can say what became of a key the request goes to one arm alone", async (t) => {
      const stable = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const candidate = await startBackend(t, (_req, res) => json(res, {}, 500));
      let settled = 0;
      const keyedAnswers: KeyedAnswers = {
        claim: (_scope, _key, _fingerprint, done) => done({ kind: "unavailable" }),
        settle: () => void settled++,
      };
      const yaml = splitYaml({ stable: stable.url, candidate: candidate.url }, { idempotent: false });
      const proxy = await startProxy(t, create, yaml, { keyedAnswers });
      t.equal((await post(proxy, "k1")).status, 500);
      t.same([stable.requests.length, settled], [0, 1]);
    });

    t.test("an answer that broke off has been processed: its key is used up", async (t) => {
      const { proxy, candidate } = await world(t, create, (_req, res) => json(res, {}), {
        percentage: 0,
        stable: (_req, res) => {
          res.writeHead(200, { "content-length": "10" });
          res.write("half");
          setImmediate(() => res.destroy());
        },
      });
      await t.rejects(post(proxy, "k1"));
      await proxy.recorder.until(() => proxy.recorder.requests.length === 1);
      t.equal((await post(proxy, "k1")).status, 409);
      t.equal(candidate.requests.length, 0);
    });

    t.test("a key where nobody remembers any is passed on, and nothing more", async (t) => {
      const { proxy, candidate } = await world(t, create, (_req, res) => json(res, { by: "v2" }), {
        extra: "limits: { idempotency_ttl: 0 }",
      });
      await post(proxy, "k1");
      const again = await post(proxy, "k1");
      t.equal(again.headers["x-crossfade-replayed"], undefined);
      t.equal(candidate.requests.length, 2);
      t.equal(candidate.requests[0]?.headers["idempotency-key"], "k1");
    });
  });
}

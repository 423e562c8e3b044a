import t, { type Test } from "tap";
import type { ServerResponse } from "node:http";
import type { Config } from "../src/config/config.ts";
import { EndpointBoard } from "../src/app/endpoint-health.ts";
import { judgeBody, MOST_BYTES } from "../src/app/health-answer.ts";
import { type EndpointHealth, type HealthProbes, startProbes } from "../src/app/health.ts";
import { HEALTHY, UNHEALTHY, UNKNOWN } from "../src/transport/endpoints.ts";
import { json, startBackend, startRawBackend } from "./support/upstreams.ts";
import { configOf } from "./support/proxy.ts";

function configWith(url: string, health: string): Config {
  return configOf(`
store: memory
upstreams: { one: { endpoints: ["${url}"], health: { path: /up, interval: 100ms, timeout: 10s, ${health} } } }
routes: [{ name: all, match: { path: /** }, upstream: one }]
`);
}

/** What the first check of an endpoint says. */
async function check(t: Test, url: string, health: string): Promise<EndpointHealth> {
  const probes = startProbes(configWith(url, health).upstreams, { onChange() {} });
  t.teardown(() => probes.stop());
  await probes.firstRound;
  return firstOf(probes);
}

function firstOf(probes: HealthProbes): EndpointHealth {
  const [health] = probes.all;
  if (health === undefined) throw new Error("nothing is probed");
  return health;
}

t.test("one check", { jobs: 4 }, async (t) => {
  const answering = (answer: (res: ServerResponse) => unknown) => startBackend(t, (_req, res) => answer(res));
  const status = (code: number) => answering((res) => res.writeHead(code).end("x"));
  const FIELD = "field: { pointer: /status, equals: ok }";
  const cases: readonly [name: string, url: string, health: string, healthy: boolean, detail: RegExp][] = [
    ["any 2xx is good where nothing is said", (await status(204)).url, "", true, /^status 204 in \d+ ms$/],
    ["503 is not", (await status(503)).url, "", false, /^status 503 in/],
    ["nor is 302, which is not followed", (await status(302)).url, "", false, /^status 302 in/],
    ["a given status is good", (await status(418)).url, "status: [200, 418]", true, /^status 418 in/],
    ["another is not, 2xx or not", (await status(204)).url, "status: [200, 418]", false, /^status 204 in/],
    ["the expected value", (await answering((res) => json(res, { status: "ok" }))).url, FIELD, true, /^field \/status is "ok" in/],
    [
      "another value",
      (await answering((res) => json(res, { status: "degraded" }))).url,
      FIELD,
      false,
      /^field \/status is "degraded", not "ok" in/,
    ],
    ["no value", (await answering((res) => json(res, {}))).url, FIELD, false, /^field \/status is missing, not "ok" in/],
    ["no JSON", (await answering((res) => res.end("<html>"))).url, FIELD, false, /^the answer is not JSON in/],
    [
      "the right value with a wrong status",
      (await answering((res) => json(res, { status: "ok" }, 500))).url,
      FIELD,
      false,
      /^status 500 in/,
    ],
    [
      "the right value, and much more",
      (await answering((res) => json(res, { status: "ok", more: "x".repeat(MOST_BYTES) }))).url,
      FIELD,
      false,
      /^the answer is longer than 64 kB in/,
    ],
    [
      "an answer without an end",
      (
        await answering((res) => {
          res.writeHead(200);
          const pour = (): void => void (res.destroyed || (res.write("x".repeat(10_000)) ? setImmediate(pour) : res.once("drain", pour)));
          pour();
        })
      ).url,
      FIELD,
      false,
      /^the answer is longer than 64 kB in/,
    ],
    [
      "an answer that breaks off",
      (await startRawBackend(t, (socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")))).url,
      FIELD,
      false,
      /^the answer broke off in/,
    ],
  ];
  for (const [name, url, health, healthy, detail] of cases) {
    t.test(name, async (t) => {
      const found = await check(t, url, health);
      t.equal(found.healthy, healthy, found.detail);
      t.match(found.detail, detail);
    });
  }

  t.test("a head in time and a body that does not come is no answer", async (t) => {
    const { url } = await answering((res) => res.writeHead(200, { "content-length": "9" }).write("{"));
    const { upstreams } = configWith(url, FIELD);
    const hurried = upstreams.map((upstream) => ({ ...upstream, health: upstream.health && { ...upstream.health, timeoutMs: 50 } }));
    const probes = startProbes(hurried, { onChange() {} });
    t.teardown(() => probes.stop());
    await probes.firstRound;
    t.match(firstOf(probes), { healthy: false, detail: "no answer within 50 ms" });
  });
});

t.test("a field is found by its pointer", async (t) => {
  const judge = (document: unknown, pointer: string, equals: string | number | boolean): string => {
    const { good, detail } = judgeBody(Buffer.from(JSON.stringify(document)), { pointer, equals });
    return `${good ? "good" : "bad"}: ${detail}`;
  };
  t.equal(judge({ a: [{ "b/c": true }] }, "/a/0/b~1c", true), "good: field /a/0/b~1c is true");
  t.equal(judge({ n: 3 }, "/n", 3), "good: field /n is 3");
  t.equal(judge({ n: "3" }, "/n", 3), "good: field /n is 3", "texts of numbers are meant too");
  t.equal(judge({ n: null }, "/n", "null"), 'bad: field /n is null, not "null"');
  t.equal(judge({ n: ["ok"] }, "/n", "ok"), 'bad: field /n is a list, not "ok"');
  t.equal(judge({ n: {} }, "/n", "ok"), 'bad: field /n is an object, not "ok"');
  t.equal(judge({}, "/toString/name", "toString"), 'bad: field /toString/name is missing, not "toString"');
  t.equal(judge([{ up: 1 }, { up: 1 }], "/*/up", 1), "good: field /*/up is 1");
  t.equal(judge([{ up: 1 }, { up: 0 }], "/*/up", 1), "bad: field /*/up is 0, not 1", "every one of them");
  t.equal(judge([], "/*/up", 1), "bad: field /*/up is missing, not 1");
  t.ok(judge({ n: "x".repeat(1_000) }, "/n", "ok").length < 120, "a long text is shown in part");
});

t.test("the first result counts at once, any other change takes two in a row", async (t) => {
  // What the backend answers, check by check; the last goes on.
  const script = [200, 500, 200, 500, 500, 200, 500, 200, 200];
  let answered = 0;
  const backend = await startBackend(t, (_req, res) => void res.writeHead(script[answered++] ?? 200).end());
  const changes: [checks: number, healthy: boolean | undefined][] = [];
  const details: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const config = configWith(backend.url, "");
  const upstreams = config.upstreams.map((upstream) => ({ ...upstream, health: upstream.health && { ...upstream.health, intervalMs: 1 } }));
  const board = new EndpointBoard(config);
  const words = new Int32Array(board.buffer);
  t.equal(words[0], UNKNOWN);
  const probes = startProbes(upstreams, {
    onChange({ healthy, detail }, index) {
      board.setHealth(index, healthy);
      t.equal(words[0], healthy === true ? HEALTHY : UNHEALTHY);
      changes.push([answered, healthy]);
      details.push(detail);
      if (changes.length === 3) resolve();
    },
  });
  t.teardown(() => probes.stop());
  await promise;
  t.same(changes, [
    [1, true],
    [5, false],
    [9, true],
  ]);
  t.match(details, [/^status 200 in/, /^status 500 in/, /^status 200 in/]);
});

t.test("endpoints are numbered through all upstreams", async (t) => {
  const [a, b] = [
    await startBackend(t, (_req, res) => void res.end()),
    await startBackend(t, (_req, res) => void res.writeHead(500).end()),
  ];
  const config = configOf(`
store: memory
upstreams:
  first: { endpoints: ["${a.url}"] }
  second: { endpoints: ["${a.url}/", "${b.url}"], health: { path: / } }
routes: [{ name: a, match: { path: /a }, upstream: first }, { name: b, match: { path: /b }, upstream: second }]
`);
  const board = new EndpointBoard(config);
  const probes = startProbes(config.upstreams, { onChange: ({ healthy }, index) => board.setHealth(index, healthy) });
  t.teardown(() => probes.stop());
  await probes.firstRound;
  t.same([...new Int32Array(board.buffer)], [HEALTHY, HEALTHY, UNHEALTHY, 0, 0, 0]);
  new Int32Array(board.buffer)[5] = 7;
  t.equal(board.ejections(2), 7);
});

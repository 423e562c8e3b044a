import t from "tap";
import { ask, startBackend, until, type Reply } from "./support/backend.ts";
import { configOf, startApp } from "./support/app.ts";

function config(origins: readonly string[], more: string): string {
  return `
listeners: [ { name: public, address: 127.0.0.1:0 } ]
admin: { address: 127.0.0.1:0 }
store: memory
workers: 2
access_log: { enabled: false }
upstreams:
  unused: { endpoints: [ "${origins[0]}" ] }
  all: { endpoints: [ ${origins.map((origin) => `"${origin}"`).join(", ")} ], ${more} }
routes:
  - { name: unused, match: { path: /unused }, upstream: unused }
  - { name: all, match: { path: /** }, upstream: all, idempotent: true, timeout: 20s }
identity: [address]
`;
}

function namesOf(replies: readonly Reply[]): Set<string> {
  return new Set(replies.map(({ body }) => JSON.parse(body).name));
}

async function many(port: number, count: number): Promise<Reply[]> {
  const replies: Reply[] = [];
  // Each on a connection of its own, so that every worker is asked.
  for (let i = 0; i < count; i++) replies.push(await ask(port));
  return replies;
}

t.test("what a check finds takes traffic away from an endpoint in every worker, and brings it back", async (t) => {
  let status = "ok";
  const [b, c] = await Promise.all(
    ["b", "c"].map((name) =>
      startBackend(t, name, (req, res) => {
        const answer = req.url === "/ready" ? { status: name === "b" ? status : "ok" } : { name };
        res.setHeader("content-type", "application/json").end(JSON.stringify(answer));
      }),
    ),
  );
  if (b === undefined || c === undefined) throw new Error("two backends");
  const health = "health: { path: /ready, interval: 100ms, timeout: 5s, field: { pointer: /status, equals: ok } }";
  const app = await startApp(t, configOf(config([b.origin, c.origin], health)));
  const own = () => app.control.status().upstreams.find(({ name, endpoint }) => name === "all" && endpoint === b.origin);
  await app.firstProbes;
  t.equal(own()?.healthy, true);
  t.same(namesOf(await many(app.port, 16)), new Set(["b", "c"]));

  status = "degraded";
  await until("the endpoint is known to be unhealthy", () => own()?.healthy === false);
  t.match(own()?.detail, /^field \/status is "degraded", not "ok"/);
  t.same(namesOf(await many(app.port, 16)), new Set(["c"]), "in every worker, from the next request on");

  status = "ok";
  await until("the endpoint is known to be healthy again", () => own()?.healthy === true);
  t.same(namesOf(await many(app.port, 16)), new Set(["b", "c"]));
});

t.test("a worker that takes the place of another knows what was found before", async (t) => {
  const [a, b] = [await startBackend(t, "a"), await startBackend(t, "b")];
  const app = await startApp(t, configOf(config([a.origin, b.origin], "health: { path: /health, interval: 100ms }")), {
    workerModule: new URL("./support/faulty-worker.ts", import.meta.url),
  });
  await app.firstProbes;
  await b.close();
  const healthOf = () => app.control.status().upstreams.find(({ name, endpoint }) => name === "all" && endpoint === b.origin)?.healthy;
  await until("the endpoint is known to be unhealthy", () => healthOf() === false);
  await ask(app.port, { headers: { "x-test-fault": "throw" } }).catch(() => {});
  await until("the worker was replaced", () => app.lines.some(({ msg }) => msg === "worker serves again"));
  t.same(namesOf(await many(app.port, 16)), new Set(["a"]));
});

import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import t, { type Test } from "tap";
import { bannerOf } from "../src/app/banner.ts";
import { run } from "../src/cli/program.ts";
import { type App, configOf, configText, startApp } from "./support/app.ts";
import { ask, type Reply, startBackend, until } from "./support/backend.ts";
import { startRedis } from "./support/redis.ts";
import { parseXml } from "./support/xml.ts";

// A busy machine takes its time.
t.setTimeout(300_000);

const PATHS = ["/status", "/status.json", "/status.rss", "/status.css"];

async function page(port: number, path = "/status.json"): Promise<Reply> {
  return ask(port, { path, headers: { host: "status.example" } });
}

async function statusAt(port: number): Promise<string> {
  return JSON.parse((await page(port)).body).status;
}

function portOf({ statusPage }: App): number {
  if (statusPage === undefined) throw new Error("there is no status page");
  return statusPage.port;
}

async function crossfade(
  t: Test,
  words: readonly string[],
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const [out, err] = [t.capture(process.stdout, "write", () => true), t.capture(process.stderr, "write", () => true)];
  const told = (captured: typeof out): string =>
    captured
      .args()
      .map(([text]) => String(text))
      .join("");
  try {
    return { code: await run(words), stdout: told(out), stderr: told(err) };
  } finally {
    out.restore();
    err.restore();
  }
}

t.test("customers are told of the service, and of nothing inside it", async (t) => {
  const old = await startBackend(t, "poison-old");
  const fresh = await startBackend(t, "poison-new", (_, res) => void res.writeHead(500).end("poison-body"));
  const text = configText({
    stable: old.origin,
    candidate: fresh.origin,
    percentage: 37,
    workers: 1,
    more: "status_page: { address: 127.0.0.1:0 }",
  })
    .replaceAll("old", "poisonold")
    .replaceAll(/\bnew\b/g, "poisonnew")
    .replaceAll("move", "poisonflag")
    .replace("name: match", "name: poisonroute")
    .replace("path: /health }", "path: /health, interval: 200ms }")
    .replace("name: public", "name: poisonlistener");
  const app = await startApp(t, configOf(text), { instance: "poison-instance", version: "99.88.77" });
  const port = portOf(app);
  await app.firstProbes;
  await until("all is well", async () => (await statusAt(port)) === "operational");

  for (let i = 0; i < 60; i++) await ask(app.port, { headers: { "x-user-id": `poison-user-${i}` } });
  const inside = [app.port, app.admin.port, old.port, fresh.port, "99.88.77", "poison"].map(String);
  await until("the response time is known", async () => JSON.parse((await page(port)).body).responseTime !== null, 20_000);
  await app.control.incidents.open(
    { title: { en: "Slow" }, text: { en: "Looking" }, priority: "P0", impact: "degraded", state: "identified", rollout: "poison-rollout" },
    "poison-person",
  );
  await until("it is told", async () => (await statusAt(port)) === "degraded");
  for (const path of PATHS) {
    for (const [where, body] of [
      ["for customers", await page(port, path)],
      ["on the admin address", await ask(app.admin.port, { path, headers: { host: "whoever.example" } })],
    ] as const) {
      t.equal(body.status, 200, `${path} ${where}`);
      const said = JSON.stringify(body.headers) + body.body;
      for (const word of inside) t.notOk(new RegExp(`(?<![\\d.])${word}`).test(said), `${word} in ${path} ${where}`);
      if (path !== "/status.css") t.notMatch(said, /37 ?%|percent/i, `the share in ${path} ${where}`);
    }
  }
  t.equal(parseXml((await page(port, "/status.rss")).body).name, "rss");

  await old.close();
  await until("nobody can be answered", async () => (await statusAt(port)) === "incident", 30_000);
});

t.test("the listener of the page has nothing else on it, and bounds on everything", async (t) => {
  const old = await startBackend(t, "old");
  const app = await startApp(
    t,
    configOf(
      configText({
        stable: old.origin,
        candidate: old.origin,
        workers: 1,
        more: "status_page: { address: 127.0.0.1:0, title: Matching, language: fr }",
      }),
    ),
  );
  const port = portOf(app);
  t.match(bannerOf(app), `http://127.0.0.1:${port}/status\n`, "whoever starts the program is told where it is");
  for (const path of [
    "/",
    "/metrics",
    "/api/status",
    "/api/incidents",
    "/readyz",
    "/healthz",
    "/status/",
    "/status.js",
    "//status",
    "/STATUS",
    "/assets/x",
  ]) {
    t.equal((await page(port, path)).status, 404, path);
  }
  t.equal((await ask(port, { path: "/status", method: "POST", headers: { "content-type": "application/json" }, body: "{}" })).status, 405);
  const head = await ask(port, { path: "/status?lang=en", method: "HEAD" });
  t.equal(head.body, "");
  t.ok(Number(head.headers["content-length"]) > 500);
  t.equal(head.headers["content-language"], "en");
  t.equal((await ask(port, { path: "/status" })).headers["content-language"], "fr", "the language that is set, where none is asked for");
  t.equal((await ask(port, { path: "/status", headers: { padding: "x".repeat(9_000) } })).status, 431);
  const slow = connect(port, "127.0.0.1");
  slow.write("GET /status HTTP/1.1\r\nHost: a\r\nX-Slow: ");
  slow.resume();
  await once(slow, "close");
  t.pass("who does not finish a head is let go");
  // A body that never comes is not waited for.
  const unfinished = request({ port, path: "/status", method: "GET", headers: { "content-length": "10" } });
  unfinished.on("error", () => {});
  unfinished.flushHeaders();
  const [answer] = await once(unfinished, "response");
  t.equal(answer.statusCode, 200);
  unfinished.destroy();
});

t.test("an address that is taken is told, with what to do", async (t) => {
  const old = await startBackend(t, "old");
  const setup = configText({
    stable: old.origin,
    candidate: old.origin,
    workers: 1,
    more: `status_page: { address: "127.0.0.1:${old.port}" }`,
  });
  await t.rejects(
    startApp(t, configOf(setup)),
    /status_page\.address 127\.0\.0\.1:\d+ is taken by another program: stop it, or choose another port/,
  );
  t.throws(
    () =>
      configOf(
        setup
          .replace(/status_page: .*/, "status_page: { address: 127.0.0.1:7 }")
          .replace("address: 127.0.0.1:0 }\nstore", "address: 127.0.0.1:7 }\nstore"),
      ),
    /status_page\.address.*port of its own/s,
  );
  t.throws(() => configOf(setup.replace(/status_page: .*/, "status_page: { language: de, url: nowhere }")), /language.*url/s);
});

t.test("what one instance is told, every instance shows; a route may publish the page", async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  const old = await startBackend(t, "old");
  const text = configText({
    stable: old.origin,
    candidate: old.origin,
    workers: 1,
    store: redis.url,
    more: "status_page: { address: 127.0.0.1:0 }",
  });
  const one = await startApp(t, configOf(text), { instance: "one" });
  const publishing = text
    .replace("upstreams:\n", `upstreams:\n  about: { endpoints: [ "http://127.0.0.1:${portOf(one)}" ] }\n`)
    .replace("routes:\n", "routes:\n  - { name: status, match: { methods: [GET, HEAD], path: /status }, upstream: about }\n");
  const other = await startApp(t, configOf(publishing), { instance: "other" });
  const admin = ["--admin", one.admin.url];

  const opened = await crossfade(t, [
    "incident",
    "open",
    ...admin,
    "--title",
    "Slow answers",
    "--title-fr",
    "Réponses lentes",
    "--text",
    "Looking",
    "--impact",
    "outage",
  ]);
  t.match(opened, { code: 0, stdout: "inc-1 is open.\n" });
  await until("the other instance shows it", async () => (await statusAt(portOf(other))) === "incident");
  t.match((await ask(portOf(other), { path: "/status?lang=fr" })).body, "Réponses lentes");
  const published = await ask(other.port, { path: "/status" });
  t.equal(published.status, 200);
  await until("the published page shows it", async () => /Slow answers/.test((await ask(other.port, { path: "/status" })).body));

  t.match(
    await crossfade(t, ["incident", "update", "inc-1", ...admin, "--state", "identified", "--text", "A disk", "--impact", "degraded"]),
    { stdout: "inc-1 is identified.\n" },
  );
  t.match(await crossfade(t, ["incident", "resolve", "inc-1", ...admin, "--text", "Over"]), { stdout: "inc-1 is resolved.\n" });
  t.match(await crossfade(t, ["incident", "list", ...admin]), { code: 0, stdout: /inc-1\s+resolved\s+degraded\s+P2\s+\S+\s+Slow answers/ });
  t.match(await crossfade(t, ["incident", "resolve", "inc-9", ...admin, "--text", "x"]), {
    code: 1,
    stderr: /no incident "inc-9".*GET \/api\/incidents/,
  });
  t.match(await crossfade(t, ["incident", "open", ...admin, "--title", "x"]), { code: 2, stderr: /--text/ });
  t.match(await crossfade(t, ["maintenance", "announce", ...admin, "--title", "Work", "--text", "Soon", "--for", "90m"]), {
    code: 0,
    stdout: /^mnt-2 is announced, from \S+ to \S+\.\n$/,
  });
  await until("it is under way", async () => (await statusAt(portOf(other))) === "maintenance");
  t.match(await crossfade(t, ["maintenance", "cancel", "mnt-2", ...admin]), { code: 0, stdout: "mnt-2 is cancelled.\n" });
  t.match(await crossfade(t, ["maintenance", "list", ...admin]), { code: 0, stdout: /mnt-2\s+cancelled/ });
  t.match(await crossfade(t, ["maintenance", "cancel", "mnt-2", ...admin]), { code: 1, stderr: /cancelled already/ });
  await until("all is well", async () => (await statusAt(portOf(other))) === "operational");

  await redis.kill();
  const known = await crossfade(t, ["incident", "list", ...admin]);
  t.match(known, { code: 0, stdout: /inc-1/, stderr: /cannot be reached/ });
  t.match(await page(portOf(other), "/status?lang=en"), { status: 200, body: /Slow answers/ });
  t.match(await crossfade(t, ["incident", "open", ...admin, "--title", "x", "--text", "y"]), { code: 1, stderr: /Nothing was changed/ });
});

t.test("what is said wrongly is refused, with all that is wrong", async (t) => {
  const old = await startBackend(t, "old");
  const app = await startApp(t, configOf(configText({ stable: old.origin, candidate: old.origin, workers: 1 })));
  const post = async (path: string, body: unknown): Promise<{ readonly status: number; readonly body: string }> =>
    ask(app.admin.port, { path, method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  t.equal(app.statusPage, undefined);
  t.equal((await page(app.admin.port)).status, 200, "it is on the admin address all the same");
  t.match(bannerOf(app), `${app.admin.url}/status\n`);
  t.match(bannerOf(app), `${app.admin.url}/ `, "and so is the dashboard");
  const all = await post("/api/incidents", { title: "a\u0007b", text: { de: "x" }, impact: "bad", priority: "P9", colour: "red" });
  t.equal(all.status, 422);
  for (const field of ["title", "text", "impact", "priority", "colour"]) t.match(all.body, `"field": "${field}`);
  t.match(await post("/api/incidents", { title: "x".repeat(201), text: "y" }), { status: 422, body: /1 to 200 characters/ });
  t.match(await post("/api/incidents/inc-1/updates", { text: "y" }), { status: 422, body: /state is missing/ });
  t.match(await post("/api/incidents/inc-1/updates", { state: "resolved", text: "y" }), { status: 404, body: /unknown-incident/ });
  t.match(await post("/api/maintenance", { title: "x", text: "y", from: "tomorrow", to: "2026-11-24T22:00" }), {
    status: 422,
    body: /with its zone/,
  });
  t.match(await post("/api/maintenance", { title: "x", text: "y", to: "2020-01-01T00:00Z" }), { status: 409, body: /before it begins/ });
  t.match(await post("/api/incidents", { title: { fr: "Lent" }, text: { fr: "On\nregarde" } }), {
    status: 201,
    body: /"fr": "On\\nregarde"/,
  });
  t.match(JSON.parse((await ask(app.admin.port, { path: "/api/incidents" })).body), {
    current: true,
    incidents: [{ id: "inc-1", openedBy: "admin" }],
    maintenance: [],
  });
});

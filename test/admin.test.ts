import { type IncomingHttpHeaders, type RequestOptions, request as httpRequest } from "node:http";
import { connect } from "node:net";
import t, { type Test } from "tap";
import { parseChange } from "../src/admin/change-request.ts";
import { problemOf } from "../src/admin/problem.ts";
import { type AdminServer, startAdmin } from "../src/admin/server.ts";
import { DocumentConflict } from "../src/store/rollout-store.ts";
import { type FakeOperations, createFakeOperations } from "./support/fake-operations.ts";

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; an empty object for anything else. */
  readonly json: Record<string, unknown>;
}

interface Send extends Pick<RequestOptions, "method" | "headers"> {
  readonly body?: string;
}

/** node:http rather than fetch, which would not let a test say what Host or Origin it sends. */
function send(admin: AdminServer, path: string, { method = "GET", headers = {}, body }: Send = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port: admin.port, path, method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        const isJson = /json/.test(response.headers["content-type"] ?? "") && text !== "";
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: isJson ? JSON.parse(text) : {} });
      });
    });
    request.on("error", reject);
    // As bytes: with a string Node would write the head as UTF-8 as well, and names in it would be encoded twice.
    request.end(body === undefined ? undefined : Buffer.from(body));
  });
}

function sendJson(admin: AdminServer, method: string, path: string, body: unknown, headers: IncomingHttpHeaders = {}): Promise<Reply> {
  return send(admin, path, { method, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
}

interface World {
  readonly admin: AdminServer;
  readonly operations: FakeOperations;
  readonly errors: unknown[];
}

async function open(test: Test, options: { token?: string; flags?: string[]; host?: string } = {}): Promise<World> {
  const operations = createFakeOperations(options.flags);
  const errors: unknown[] = [];
  const admin = await startAdmin(operations, {
    host: options.host ?? "127.0.0.1",
    port: 0,
    token: options.token,
    onError: (error) => errors.push(error),
  });
  test.teardown(() => admin.close());
  return { admin, operations, errors };
}

t.test("probes and figures", async (t) => {
  const { admin, operations } = await open(t);
  t.match(await send(admin, "/healthz"), { status: 200, json: { alive: true } });
  t.match(await send(admin, "/readyz"), { status: 200, json: { ready: true, degraded: [], reasons: [] } });
  operations.faults.degraded.push("redis is down");
  t.match(await send(admin, "/readyz"), { status: 200, json: { ready: true, degraded: ["redis is down"] } }, "degraded is still ready");
  operations.faults.reasons.push("v1 cannot be reached");
  t.match(await send(admin, "/readyz"), { status: 503, json: { ready: false, reasons: ["v1 cannot be reached"] } });
  const metrics = await send(admin, "/metrics");
  t.match(metrics, {
    status: 200,
    text: "crossfade_store_up 1\n",
    headers: { "content-type": "text/plain; version=0.0.4", "cache-control": "no-store" },
  });
  const head = await send(admin, "/metrics", { method: "HEAD" });
  t.match(head, { status: 200, text: "", headers: { "content-length": String(metrics.text.length) } }, "HEAD is GET without the body");
  t.match((await send(admin, "/")).text, /PATCH +\/api\/flags\/\{flag\}/, "the index lists what there is");
  t.match(await send(admin, "/api/status"), { status: 200, json: { instance: "host-a", flags: [{ flag: "v2_migration" }] } });
});

t.test("a flag is read and changed under the same names", async (t) => {
  const { admin, operations } = await open(t);
  const before = await send(admin, "/api/flags/v2_migration");
  t.equal(before.headers.etag, '"0"');
  t.match(before.json, {
    flag: "v2_migration",
    revision: 0,
    settings: {
      enabled: "true",
      kill_switch: "false",
      rollout_percentage: "10",
      "segment.enterprise": "0",
      "fallback.response_time": "100ms",
      "fallback.error_rate": "1",
      "monitoring.sampling_rate": "100",
    },
    fields: {},
    members: { "segment.beta_users": 2, allow: 0 },
    instances: [{ instance: "host-a", alive: true }],
    rejections: [{ field: "rollout_percentage" }],
  });
  const changed = await sendJson(
    admin,
    "PATCH",
    "/api/flags/v2_migration",
    { fields: { rollout_percentage: "25" }, reason: "second step", wait: "2s" },
    { "x-crossfade-user": Buffer.from("zoé").toString("latin1") },
  );
  t.match(changed, {
    status: 200,
    headers: { etag: '"1"' },
    json: { flag: "v2_migration", revision: 1, acknowledged: ["host-a"], missing: [], shared: true },
  });
  t.match(operations.writes, [{ who: "zoé", reason: "second step", changes: [{ field: "rollout_percentage", to: "25" }] }]);
  t.match((await send(admin, "/api/flags/v2_migration")).json, {
    revision: 1,
    settings: { rollout_percentage: "25" },
    fields: { rollout_percentage: "25" },
  });
  await sendJson(admin, "PATCH", "/api/flags/v2_migration", { rollout_percentage: 12.5, kill_switch: true, reason: "flat" });
  t.match(
    operations.flag("v2_migration")?.settings,
    { weightBp: 1_250, killSwitch: true },
    "numbers and booleans, without the level of fields",
  );
  await sendJson(admin, "PATCH", "/api/flags/v2_migration", { rollout_percentage: null });
  t.equal(operations.flag("v2_migration")?.settings.weightBp, 1_000, "null goes back to the file's value");
  t.match(operations.writes.at(-1), { who: "admin", reason: "" });
  t.match(await send(admin, "/api/audit?count=2"), { status: 200, json: { entries: [{ revision: 3 }, { revision: 2, reason: "flat" }] } });
  t.match(await send(admin, "/api/flags"), { status: 200, json: { flags: [{ flag: "v2_migration", percentage: 10 }] } });
});

t.test("a change names who has not confirmed it", async (t) => {
  const { admin, operations } = await open(t);
  operations.faults.missing.push("host-b");
  const waited = await sendJson(admin, "PATCH", "/api/flags/v2_migration", { rollout_percentage: 25, wait: "1s" });
  t.strictSame(waited.json.missing, ["host-b"]);
});

t.test("If-Match keeps two people from overwriting each other", async (t) => {
  const { admin, operations } = await open(t);
  const patch = (percentage: number, revision: string) =>
    sendJson(admin, "PATCH", "/api/flags/v2_migration", { rollout_percentage: percentage }, { "if-match": revision });
  t.match(await patch(20, '"0"'), { status: 200, json: { revision: 1 } });
  const late = await patch(30, '"0"');
  t.match(late, {
    status: 412,
    headers: { etag: '"1"', "content-type": /^application\/problem\+json/ },
    json: { code: "revision-conflict", current: 1 },
  });
  t.equal(operations.flag("v2_migration")?.settings.weightBp, 2_000);
  t.equal((await patch(30, "1")).status, 200, "a bare number will do");
  t.equal((await patch(40, "*")).status, 200, "any revision");
  t.match(await patch(50, '"latest"'), { status: 400, json: { detail: /"7"/ } });
});

t.test("what is wrong is said, with what would be right", async (t) => {
  const { admin, operations } = await open(t, { flags: ["v2_migration", "other"] });
  const path = "/api/flags/v2_migration";
  t.match(await send(admin, "/api/flags/v2_migrashun"), {
    status: 404,
    json: { code: "unknown-flag", known: ["v2_migration", "other"], detail: /Did you mean v2_migration\?/ },
  });
  t.match(await send(admin, "/api/flag"), { status: 404, json: { code: "unknown-path", detail: /GET \/api lists/ } });
  t.match(await send(admin, path, { method: "DELETE" }), { status: 405, headers: { allow: "GET, HEAD, PATCH" } });
  t.match(await send(admin, "/api/flags/%ff"), { status: 400, json: { code: "malformed-request" } });
  t.match(await send(admin, "//api/flags"), { status: 404 });
  t.match(await send(admin, "http://127.0.0.1/api/flags"), { status: 400, json: { detail: /must be a path/ } });
  t.match(await sendJson(admin, "PATCH", path, { fields: { rollout_percentage: "101" } }), {
    status: 422,
    json: { code: "invalid-settings", errors: [{ field: "rollout_percentage", value: "101", message: /0 to 100/ }] },
  });
  t.match(await sendJson(admin, "PATCH", path, { fields: { rollout_percent: "10" } }), {
    status: 422,
    json: { detail: /did you mean rollout_percentage/ },
  });
  t.match(await sendJson(admin, "PATCH", path, { fields: { segment: { enterprise: 5 }, a: [1] } }), {
    status: 422,
    json: { errors: [{ field: "segment", message: /segment\.NAME/ }, { field: "a" }] },
  });
  t.match(await sendJson(admin, "PATCH", path, { fields: {}, reason: "x" }), { status: 422, json: { detail: /Nothing to change/ } });
  t.match(await sendJson(admin, "PATCH", path, { fields: { enabled: true }, extra: 1 }), {
    status: 422,
    json: { errors: [{ field: "extra" }] },
  });
  t.match(await sendJson(admin, "PATCH", path, { enabled: true, wait: 2 }), {
    status: 422,
    json: { errors: [{ field: "wait", message: /"2s"/ }] },
  });
  t.match(await sendJson(admin, "PATCH", path, { enabled: true, wait: "2h" }), { status: 422, json: { errors: [{ field: "wait" }] } });
  t.match(await sendJson(admin, "PATCH", path, [1]), { status: 400, json: { detail: /JSON object/ } });
  t.match(await send(admin, path, { method: "PATCH" }), { status: 400, json: { detail: /JSON object/ } }, "no body");
  t.match(await send(admin, path, { method: "PATCH", headers: { "content-type": "application/json" }, body: "{" }), {
    status: 400,
    json: { detail: /not JSON/ },
  });
  t.match(await send(admin, path, { method: "PATCH", body: '{"enabled":false}' }), { status: 415, json: { code: "not-json" } });
  t.match(await sendJson(admin, "POST", `${path}/kill`, { killed: "yes" }), { status: 422, json: { errors: [{ field: "killed" }] } });
  t.match(await sendJson(admin, "POST", `${path}/kill`, { kiled: false }), { status: 422, json: { errors: [{ field: "kiled" }] } });
  t.match(await send(admin, "/api/explain?user=ann"), { status: 400, json: { detail: /Say which flag.*v2_migration, other/ } });
  t.match(await send(admin, "/api/explain?flag=other"), { status: 400, json: { detail: /Say whom/ } });
  t.match(await send(admin, "/api/explain?flag=other&user=ann&segement=x"), { status: 400, json: { detail: /Did you mean segment\?/ } });
  t.match(await send(admin, "/api/explain?flag=other&user=ann&user=ben"), { status: 400, json: { detail: /given twice/ } });
  t.match(await send(admin, "/api/explain?flag=other&user=ann&segment=beta"), {
    status: 400,
    json: { known: ["beta_users", "enterprise"] },
  });
  t.match(await send(admin, "/api/explain?flag=other&user=ann&at=101"), { status: 400, json: { detail: /from 0 to 100/ } });
  t.match(await send(admin, "/api/audit?flag=other&count=0"), { status: 400, json: { detail: /1 to 1000/ } });
  t.strictSame(operations.writes, [], "none of it changed anything");
});

t.test("a body over the limit is refused, and the answer arrives", async (t) => {
  const { admin, operations } = await open(t);
  const reply = await sendJson(admin, "PATCH", "/api/flags/v2_migration", { reason: "x".repeat(1_000_000), enabled: false });
  t.match(reply, { status: 413, json: { code: "body-too-large", detail: /65536 bytes/ } });
  t.strictSame(operations.writes, []);
});

t.test("kill needs neither a body nor a store", async (t) => {
  const { admin, operations } = await open(t);
  operations.faults.storeDown = true;
  t.match(await send(admin, "/api/flags/v2_migration/kill", { method: "POST" }), { status: 200, json: { revision: 1, shared: false } });
  t.equal(operations.flag("v2_migration")?.settings.killSwitch, true);
  t.match(await sendJson(admin, "PATCH", "/api/flags/v2_migration", { enabled: false }), {
    status: 503,
    json: { code: "store-unavailable", detail: /redis is down/ },
  });
  t.match(
    await send(admin, "/api/flags/v2_migration"),
    { status: 200, json: { instances: null, killed: true, killedHere: true, fields: {}, settings: { kill_switch: "true" } } },
    "settings show without a store",
  );
  await sendJson(admin, "POST", "/api/flags/v2_migration/kill", { killed: false, reason: "fixed" });
  t.equal(operations.flag("v2_migration")?.settings.killSwitch, false);
  t.match(operations.writes.at(-1), { reason: "fixed" });
});

t.test("explain passes the question on", async (t) => {
  const { admin } = await open(t);
  t.match((await send(admin, "/api/explain?user=bea")).json, {
    arm: "candidate",
    reason: "segment",
    segment: "beta_users",
    rule: /beta_users 100/,
  });
  t.match((await send(admin, "/api/explain?user=ann&segment=enterprise&flag=v2_migration")).json, { arm: "stable", segment: "enterprise" });
  t.match((await send(admin, "/api/explain?user=ann&at=100%25")).json, { flag: "v2_migration", at: { percentage: 100, arm: "candidate" } });
});

t.test("with a token, only the probes answer without it", async (t) => {
  const { admin, operations } = await open(t, { token: "s3cret" });
  for (const path of [
    "/",
    "/metrics",
    "/api/status",
    "/api/flags",
    "/api/flags/v2_migration",
    "/api/explain?user=a",
    "/api/audit",
    "/nothing",
  ]) {
    t.match(await send(admin, path), { status: 401, headers: { "www-authenticate": /^Bearer/ } }, path);
  }
  t.equal((await send(admin, "/healthz")).status, 200);
  t.equal((await send(admin, "/readyz")).status, 200);
  t.match(await sendJson(admin, "POST", "/api/flags/v2_migration/kill", {}), { status: 401 });
  t.strictSame(operations.writes, []);
  const bearing = (token: string) => send(admin, "/api/status", { headers: { authorization: token, host: "crossfade.internal:9090" } });
  t.equal((await bearing("Bearer s3cret")).status, 200, "whatever the Host");
  t.equal((await bearing("bearer  s3cret")).status, 200, "the scheme has no case");
  for (const wrong of ["Bearer s3cre", "Bearer s3cret2", "Bearer ", "Basic s3cret", "s3cret", "Bearer s3cret x"]) {
    t.equal((await bearing(wrong)).status, 401, wrong);
  }
});

t.test("a page in a browser cannot use an admin API without a token", async (t) => {
  const { admin, operations } = await open(t);
  const kill = (headers: IncomingHttpHeaders) => send(admin, "/api/flags/v2_migration/kill", { method: "POST", headers });
  const own = `127.0.0.1:${admin.port}`;
  for (const host of [
    "evil.example",
    "evil.example:9090",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "10.0.0.1",
    "user@localhost",
    "a b",
  ]) {
    t.match(await kill({ host }), { status: 403, json: { code: "foreign-host" } }, `Host: ${host}`);
    t.match(await send(admin, "/api/audit", { headers: { host } }), { status: 403 }, `reading, Host: ${host}`);
  }
  t.equal((await send(admin, "/healthz", { headers: { host: "evil.example" } })).status, 200, "a probe may call it as it likes");
  for (const headers of [
    { host: own, origin: "https://evil.example" },
    { host: own, origin: "null" },
    { host: own, origin: "http://localhost:3000" },
    { host: own, "sec-fetch-site": "cross-site" },
    { host: own, "sec-fetch-site": "same-site" },
  ]) {
    t.match(await kill(headers), { status: 403, json: { code: "foreign-origin" } }, JSON.stringify(headers));
  }
  t.strictSame(operations.writes, []);
  for (const headers of [
    { host: own },
    { host: "localhost" },
    { host: "LOCALHOST.:1" },
    { host: `[::1]:${admin.port}` },
    { host: own, origin: `http://${own}`, "sec-fetch-site": "same-origin" },
    { host: own, "sec-fetch-site": "none" },
  ]) {
    t.equal((await kill(headers)).status, 200, JSON.stringify(headers));
  }
});

t.test("an address that others reach needs a token", async (t) => {
  const operations = createFakeOperations();
  await t.rejects(startAdmin(operations, { host: "0.0.0.0", port: 0, token: undefined }), {
    message: /set admin\.token, or bind it to 127\.0\.0\.1/,
  });
  await t.rejects(startAdmin(operations, { host: "127.0.0.1", port: 0, token: "" }), { message: /admin\.token is empty/ });
  const { admin } = await open(t, { host: "0.0.0.0", token: "s3cret" });
  t.equal(admin.url, `http://127.0.0.1:${admin.port}`, "the url can be called");
  await t.rejects(startAdmin(operations, { host: "127.0.0.1", port: admin.port, token: undefined }), {
    message: /is taken by another program/,
  });
});

t.test("a failure inside is logged, not told, and the next request is answered", async (t) => {
  const { admin, operations, errors } = await open(t);
  operations.faults.broken = true;
  const reply = await send(admin, "/api/status");
  t.match(reply, { status: 500, json: { code: "internal" } });
  t.notMatch(reply.text, /secret/);
  t.match(errors, [{ message: "the secret inside" }]);
  t.equal((await send(admin, "/healthz")).status, 200);
});

t.test("a client that leaves in the middle of its body is no failure", async (t) => {
  const { admin, errors } = await open(t);
  const socket = connect(admin.port, "127.0.0.1");
  socket.write(
    "PATCH /api/flags/v2_migration HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
  );
  // A full turn of another request shows that the head has been taken up before the client leaves.
  await send(admin, "/healthz");
  socket.destroy();
  await new Promise((resolve) => socket.once("close", resolve));
  t.equal((await send(admin, "/healthz")).status, 200);
  t.strictSame(errors, []);
});

t.test("closing ends connections that nobody uses", async (t) => {
  const operations = createFakeOperations();
  const admin = await startAdmin(operations, { host: "127.0.0.1", port: 0, token: undefined });
  const socket = connect(admin.port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const ended = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await admin.close();
  await ended;
  await t.rejects(send(admin, "/healthz"), { code: "ECONNREFUSED" });
});

t.test("whoever is overtaken while writing is told so in words that fit a rollout, an incident and a notice", async (t) => {
  const problem = problemOf(new DocumentConflict("version 3"));
  t.match(problem, { code: "refused", status: 409, headers: { "retry-after": "1" } });
  t.equal(problem.message, "Somebody else changed this at the same time; look at it, then try again.");
});

t.test("odd member names stay what they are", (t) => {
  const { fields } = parseChange(JSON.parse('{"fields": {"__proto__": "1", "constructor": "2"}}'));
  t.strictSame(Object.entries(fields), [
    ["__proto__", "1"],
    ["constructor", "2"],
  ]);
  t.end();
});

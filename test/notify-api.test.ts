import t, { type Test } from "tap";
import { findRoute } from "../src/admin/routes.ts";
import { type AdminServer, startAdmin } from "../src/admin/server.ts";
import { run } from "../src/cli/program.ts";
import type { Notifications } from "../src/config/config-told.ts";
import type { NoticeDesk } from "../src/notify/desk.ts";
import { StoreUnavailable } from "../src/store/store.ts";
import { ask, type Reply, until } from "./support/backend.ts";
import { createFakeOperations } from "./support/fake-operations.ts";
import { Clock, NOBODY, SharedDocuments, startDesk, World } from "./support/notice-desk.ts";
import { type Faulty, startWebReceiver, type WebReceiver } from "./support/receivers.ts";

const DAY = 86_400_000;
const TOKEN = "the-token-of-this-test";

interface Opened {
  readonly admin: AdminServer;
  readonly desk: NoticeDesk;
  readonly clock: Clock;
  readonly world: World;
  readonly documents: SharedDocuments;
  readonly receiver: WebReceiver;
  /** Path and query of the link that was sent last. */
  link(): string;
}

/** A program that has told one receiver of a kill. */
async function open(t: Test, fault?: (count: number) => Faulty): Promise<Opened> {
  const receiver = await startWebReceiver(t, fault);
  const setup = { documents: new SharedDocuments(), clock: new Clock(), world: new World() };
  const notifications: Notifications = {
    ...NOBODY,
    channels: [{ kind: "webhook", name: "ops", language: "fr", timeoutMs: 5_000, url: receiver.url, headers: {}, secret: undefined }],
    routes: [{ severities: ["P1", "info"], kinds: [], channels: ["ops"] }],
    url: "https://ops.example/crossfade",
  };
  const { desk } = startDesk(t, { ...setup, notifications });
  const admin = await startAdmin({ ...createFakeOperations(["move"]), notices: desk }, { host: "127.0.0.1", port: 0, token: TOKEN });
  t.teardown(() => admin.close());
  await until("it leads", () => desk.view().sender !== undefined);
  setup.world.kill("move", true);
  await until("it was tried", () => receiver.seen.length === 1);
  const link = (): string => {
    const { acknowledge } = JSON.parse(receiver.seen.at(-1)?.body ?? "{}");
    return String(acknowledge).replace("https://ops.example/crossfade", "");
  };
  return { ...setup, admin, desk, receiver, link };
}

const get = ({ admin }: Opened, path: string): Promise<Reply> => ask(admin.port, { path, headers: { host: "ops.example" } });
const press = ({ admin }: Opened, path: string): Promise<Reply> =>
  ask(admin.port, {
    path,
    method: "POST",
    headers: { host: "ops.example", "content-type": "application/x-www-form-urlencoded", origin: "https://ops.example" },
  });

t.test("the link of a message shows a page, and only its button acknowledges", async (t) => {
  const opened = await open(t);
  const path = opened.link();
  t.match(path, /^\/notices\/ntc-1\/ack\?/);
  const page = await get(opened, path);
  t.equal(page.status, 200);
  t.match(page.headers, { "content-type": /text\/html/, "referrer-policy": "no-referrer", "cache-control": "no-store" });
  t.match(page.headers["content-security-policy"], /default-src 'none'/);
  t.match(page.body, /<html lang="fr">[^]*<form method="post"><button type="submit">Prendre en charge/);
  t.notMatch(page.body, /<script|undefined/);
  t.equal(opened.desk.view().notices[0]?.acknowledged, undefined, "looking changes nothing");
  t.equal((await ask(opened.admin.port, { path, method: "HEAD" })).status, 200);
  t.equal(opened.desk.view().notices[0]?.acknowledged, undefined);
  const done = await press(opened, path);
  t.equal(done.status, 200);
  t.match(done.body, /C’est noté/);
  t.match(opened.desk.view().notices[0], { acknowledged: { by: "ops", via: "link" } });
  t.match((await press(opened, path)).body, /prise en charge par ops/);
  t.match((await get(opened, path)).body, /prise en charge par ops/);
});

t.test("a link that was changed, belongs to another notice or is old acknowledges nothing", async (t) => {
  const opened = await open(t);
  const path = opened.link();
  const changed = [
    path.replace("by=ops", "by=boss"),
    path.replace("ntc-1", "ntc-2"),
    path.replace(/until=\d+/, (text) => `${text}0`),
    path.replace(/sig=[^&]+/, "sig=x"),
    path.replace(/&sig=[^&]+/, ""),
    path.replace("ntc-1", "%3Cscript%3E"),
    "/notices/ntc-1/ack",
  ];
  for (const wrong of changed) {
    for (const answer of [await get(opened, wrong), await press(opened, wrong)]) {
      t.equal(answer.status, 404, wrong);
      t.notMatch(answer.body, /<form|<script|Notification|move/, "and tells nothing");
    }
  }
  opened.clock.move(7 * DAY - 1_000);
  t.equal((await get(opened, path)).status, 200, "for seven days");
  opened.clock.move(2_000);
  t.equal((await press(opened, path)).status, 410);
  t.equal(opened.desk.view().notices[0]?.acknowledged, undefined);
});

t.test("a page tells what is over, and what cannot be kept now", async (t) => {
  const opened = await open(t);
  const path = opened.link();
  const another = await open(t);
  const theirs = another.link();
  const { desk } = another;
  t.capture(desk, "acknowledge", () => Promise.reject(new StoreUnavailable("away")));
  const failed = await press(another, theirs);
  t.equal(failed.status, 503);
  t.match(failed.body, /injoignable/);
  opened.clock.move(60_000);
  opened.world.kill("move", false);
  await until("it is over", () => typeof opened.desk.view().notices[0]?.resolvedAt === "number");
  t.match((await get(opened, path)).body, /terminée depuis/);
  t.match((await press(opened, path)).body, /terminée depuis/);
});

t.test("nobody without a right has every view made anew", async (t) => {
  t.match(findRoute("POST", "/notices/ntc-1/ack").route, { open: true, quiet: true });
});

t.test("the API lists, acknowledges and tests, for those who may", async (t) => {
  const opened = await open(t, (count) => (count > 0 ? "error" : undefined));
  const { admin } = opened;
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", "x-crossfade-user": "ada" };
  t.equal((await ask(admin.port, { path: "/api/notices" })).status, 401);
  t.equal((await ask(admin.port, { path: "/api/notices/ntc-1/ack", method: "POST" })).status, 401);
  const list = await ask(admin.port, { path: "/api/notices?flag=move", headers });
  t.match(JSON.parse(list.body), { sender: "host-a", notices: [{ id: "ntc-1", kind: "killed" }], channels: [{ name: "ops" }] });
  t.equal((await ask(admin.port, { path: "/api/notices?flga=move", headers })).status, 400);
  const failed = await ask(admin.port, { path: "/api/notices/test", method: "POST", headers, body: '{"channel":"ops"}' });
  t.match(JSON.parse(failed.body), { channel: "ops", ok: false, detail: /HTTP 500/ });
  t.notMatch(failed.body, /SECRET|S3CRET/);
  const unknown = await ask(admin.port, { path: "/api/notices/test", method: "POST", headers, body: '{"channel":"opps"}' });
  t.equal(unknown.status, 409);
  t.match(unknown.body, /no channel .*opps.*Known: ops/);
  t.equal((await ask(admin.port, { path: "/api/notices/test", method: "POST", headers, body: '{"chanel":"ops"}' })).status, 422);
  const acknowledged = await ask(admin.port, { path: "/api/notices/ntc-1/ack", method: "POST", headers, body: '{"reason":"mine"}' });
  t.match(JSON.parse(acknowledged.body), { id: "ntc-1", acknowledged: { by: "ada", via: "cli" } });
  const none = await ask(admin.port, { path: "/api/notices/ntc-7/ack", method: "POST", headers });
  t.equal(none.status, 409);
  t.match(none.body, /no notice/);
});

t.test("an acknowledgement in a browser says so", async (t) => {
  const opened = await open(t);
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", "sec-fetch-site": "same-origin" };
  const answer = await ask(opened.admin.port, { path: "/api/notices/ntc-1/ack", method: "POST", headers, body: "{}" });
  t.match(JSON.parse(answer.body), { acknowledged: { via: "dashboard" } });
});

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line of a user, in this process. */
async function crossfade(t: Test, words: readonly string[]): Promise<Ran> {
  const [out, err] = [t.capture(process.stdout, "write", () => true), t.capture(process.stderr, "write", () => true)];
  const told = (captured: typeof out): string =>
    captured
      .args()
      .map(([text]) => String(text))
      .join("");
  try {
    const code = await run(words);
    return { code, stdout: told(out), stderr: told(err) };
  } finally {
    out.restore();
    err.restore();
  }
}

t.test("the command line lists, acknowledges and tests", async (t) => {
  const opened = await open(t, (count) => (count === 2 ? "busy" : undefined));
  const where = ["--admin", opened.admin.url, "--token", TOKEN];
  const notices = (...words: string[]): Promise<Ran> => crossfade(t, ["notices", ...words, ...where]);
  await until("it is recorded", () => opened.desk.view().deliveries[0]?.status === "sent");
  t.match(
    (await notices("list")).stdout,
    /1 notice\n.*\n\s+ntc-1\s+P1\s+killed\s+move .* open\n[^]*sent by host-a[^]*ops\s+webhook\s+0\s+last sent/,
  );
  t.match(JSON.parse((await notices("list", "--json")).stdout), { notices: [{ id: "ntc-1" }] });
  t.match(await notices("test", "ops"), { code: 0, stdout: /^ops: taken after \d+ ms/ });
  t.match(await notices("test", "ops"), { code: 1, stdout: /^ops: not taken: HTTP 429/ });
  t.match(await notices("test", "nobody"), { code: 1, stderr: /no channel "nobody".*Known: ops/ });
  t.match(await notices("ack", "ntc-1", "--reason", "mine"), { code: 0, stdout: /^ntc-1: acknowledged by / });
  t.match((await notices("list")).stdout, /acknowledged by/);
  t.match(await notices("ack", "ntc-99"), { code: 1, stderr: /no notice "ntc-99"/ });
  t.match(await notices("ack"), { code: 2, stderr: /missing required argument 'id'/ });
  for (const command of ["list", "ack", "test"])
    t.match((await crossfade(t, ["notices", command, "--help"])).stdout, /Example:\n {2}crossfade notices/);
});

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent } from "node:http";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { bucketOf } from "../src/core/bucket.ts";
import type { AuditEntry } from "../src/store/store.ts";
import { type App, configOf, startApp } from "./support/app.ts";
import { ask, type Reply, startBackend, until } from "./support/backend.ts";
import { Load } from "./support/load.ts";
import { serveProgram } from "./support/program.ts";
import { type RedisServer, startRedis } from "./support/redis.ts";

/** What the whole is for, end to end: the real servers, a real Redis that anybody edits, real sockets. */

const FLAGS = "crossfade:{move}:flags";
/** Requests sent at once on a connection. */
const BATCH = 20;
const SEGMENT = "crossfade:{move}:segment:";

function configText(store: string, stable: string, candidate: string, workers = 2): string {
  return `
listeners: [ { name: public, address: 127.0.0.1:0 } ]
admin: { address: 127.0.0.1:0 }
store: ${store}
workers: ${workers}
access_log: { enabled: false }
upstreams:
  old: { endpoints: [ "${stable}" ], health: { path: /health } }
  new: { endpoints: [ "${candidate}" ] }
routes:
  - { name: match, match: { path: /api/match }, stable: old, candidate: { upstream: new }, flag: move, idempotent: true, timeout: 10s }
identity: [ "header:x-user-id" ]
flags:
  move:
    enabled: true
    rollout_percentage: 0
    user_segments:
      beta: { percentage: 100, override_global: true }
      enterprise: { percentage: 0, override_global: true }
    fallback_system: { conditions: { response_time: 5s } }
`;
}

async function redisOf(t: Test): Promise<RedisServer> {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  return redis;
}

/** A service that answers its name to each head and costs next to nothing, since there are 30,000 to answer. Resolves with its origin. */
async function startInstant(t: Test, name: string): Promise<string> {
  const body = JSON.stringify({ name });
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const server = createServer((socket) => {
    let text = "";
    socket.setEncoding("latin1").on("error", () => {});
    socket.on("data", (chunk: string) => {
      const heads = (text + chunk).split("\r\n\r\n");
      text = heads.pop() ?? "";
      socket.write(answer.repeat(heads.length));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

async function twoInstances(
  t: Test,
  redis: RedisServer,
  workers: number,
): Promise<{ readonly apps: readonly [App, App]; start(): Promise<App> }> {
  const [old, fresh] = [await startInstant(t, "old"), await startInstant(t, "new")];
  const start = (): Promise<App> => startApp(t, configOf(configText(redis.url, old, fresh, workers)));
  return { apps: [await start(), await start()], start };
}

/** Resolves when every worker of both instances decides by at least this revision, and both have said so in the store. */
async function confirmed(app: App, revision: number): Promise<void> {
  await until(`two instances run revision ${revision}`, async () => {
    const instances = await app.control.store.instances("move");
    return instances.length === 2 && instances.every((instance) => instance.revision >= revision);
  });
}

/** The users whom an instance puts on the candidate, by the heads of its answers, in the order of what was asked on one connection. */
async function candidatesAt({ port }: App, users: readonly string[]): Promise<ReadonlySet<string>> {
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  const closed = new AbortController();
  let text = "";
  socket.on("data", (chunk: string) => (text += chunk)).on("close", () => closed.abort());
  const found = new Set<string>();
  for (let from = 0; from < users.length; from += BATCH) {
    const batch = users.slice(from, from + BATCH);
    text = "";
    socket.write(batch.map((user) => `GET /api/match HTTP/1.1\r\nHost: t\r\nX-User-ID: ${user}\r\n\r\n`).join(""));
    const answers = (): number => text.split('{"name":').length - 1;
    while (answers() < batch.length) await once(socket, "data", { signal: closed.signal });
    // Answers come in the order of the requests.
    const told = text.match(/(?<=\r\nx-crossfade-arm: )\w+/gi) ?? [];
    for (const [i, user] of batch.entries()) if (told[i] === "candidate") found.add(user);
  }
  socket.destroy();
  return found;
}

/** Who is in one of them only. */
function difference(one: ReadonlySet<string>, other: ReadonlySet<string>): string[] {
  return [...one.symmetricDifference(other)];
}

t.test("up and down again: nobody moves back, and 50 % is always the same half, on every instance and after a restart", async (t) => {
  const redis = await redisOf(t);
  const { apps, start } = await twoInstances(t, redis, 1);
  const users = Array.from({ length: 2_000 }, (_, i) => `person-${i}`);
  const beta = new Set(users.slice(0, 100));
  const enterprise = new Set(users.slice(100, 200));
  await redis.cli("SADD", `${SEGMENT}beta`, ...beta);
  await confirmed(apps[0], 1);
  await redis.cli("SADD", `${SEGMENT}enterprise`, ...enterprise);
  await confirmed(apps[0], 2);

  let revision = 2;
  const turnTo = async (percentage: number): Promise<ReadonlySet<string>> => {
    await redis.cli("HSET", FLAGS, "rollout_percentage", percentage);
    await confirmed(apps[0], ++revision);
    const [here, there] = await Promise.all([candidatesAt(apps[0], users), candidatesAt(apps[1], users)]);
    t.same(difference(here, there), [], `${percentage} %: both instances agree for every user`);
    const expected = users.filter((user) => beta.has(user) || (!enterprise.has(user) && bucketOf("move", user) < percentage * 100));
    t.same(difference(here, new Set(expected)), [], `${percentage} %: those whom any program would compute`);
    t.ok(beta.isSubsetOf(here), "beta is always on the candidate");
    t.ok(enterprise.isDisjointFrom(here), "enterprise never is");
    return here;
  };
  const at = new Map<number, ReadonlySet<string>>();
  let before: ReadonlySet<string> = new Set();
  for (const percentage of [0, 10, 25, 50, 75, 100]) {
    const here = await turnTo(percentage);
    t.ok(before.isSubsetOf(here), `${percentage} %: nobody has moved back`);
    at.set(percentage, here);
    before = here;
  }
  const half = await turnTo(50);
  t.same(difference(half, at.get(50) ?? new Set()), [], "the later half is the earlier half");

  await apps[1].stop();
  const again = await start();
  await confirmed(apps[0], revision);
  t.same(difference(await candidatesAt(again, users), half), [], "a restart moves nobody");
});

/** The values of both edited fields that each revision stands for. */
function settingsByRevision(audit: readonly AuditEntry[]): ReadonlyMap<number, Settings> {
  let [global, beta] = [0, 100];
  const found = new Map([[0, { global, beta }]]);
  for (const { revision, changes } of audit.toReversed()) {
    for (const { field, to } of changes) {
      if (field === "rollout_percentage") global = Number(to);
      if (field === "segment.beta") beta = Number(to);
    }
    found.set(revision, { global, beta });
  }
  return found;
}

function inWords(tookMs: readonly number[]): string {
  const sorted = tookMs.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

interface Settings {
  readonly global: number;
  readonly beta: number;
}

/** What does not fit between an answer and the settings that it names; undefined when all does. */
function misfit(user: string, reply: Reply, isBeta: boolean, settings: ReadonlyMap<number, Settings>): string | undefined {
  const told = reply.headers;
  const named = settings.get(Number(told["x-crossfade-revision"]));
  const weight = isBeta ? named?.beta : named?.global;
  const arm = weight === undefined ? "unknown" : bucketOf("move", user) < weight * 100 ? "candidate" : "stable";
  const served = arm === "candidate" && told["x-crossfade-fallback"] === undefined ? "new" : "old";
  const right =
    reply.status === 200 &&
    told["x-crossfade-arm"] === arm &&
    told["x-crossfade-reason"] === (isBeta ? "segment" : "percentage") &&
    told["x-crossfade-served-by"] === served &&
    reply.body === JSON.stringify({ name: served });
  return right ? undefined : JSON.stringify({ user, isBeta, named, arm, reply });
}

t.test("200 edits under load: each is in force at once and as a whole, and no request is lost", async (t) => {
  const redis = await redisOf(t);
  const { apps } = await twoInstances(t, redis, 2);
  // The first connection's users are the members of a segment; those who come later than these are nobody's.
  const members = new Set(Array.from({ length: 5_000 }, (_, n) => `user-0-${n}`));
  await redis.cli("SADD", `${SEGMENT}beta`, ...members);
  await confirmed(apps[0], 1);

  const answers: [user: string, reply: Reply][] = [];
  const loads = apps.map(({ port }) =>
    new Load(port, { connections: 4, perSecond: 100, onReply: (user, reply) => void answers.push([user, reply]) }).start(),
  );
  t.teardown(() => Promise.all(loads.map((load) => load.stop())));

  const edit = async (global: number): Promise<string> =>
    redis.cli("HSET", FLAGS, "rollout_percentage", global, "segment.beta", 100 - global);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const seen = async ({ port }: App, revision: number): Promise<void> => {
    for (;;) {
      const reply = await ask(port, { headers: { "x-user-id": "prober" }, agent });
      answers.push(["prober", reply]);
      if (Number(reply.headers["x-crossfade-revision"]) >= revision) return;
    }
  };
  const tookMs: number[] = [];
  for (let n = 1; n <= 200; n++) {
    const begun = performance.now();
    await edit((n % 99) + 1);
    await Promise.all(apps.map((app) => seen(app, n + 1)));
    tookMs.push(performance.now() - begun);
  }
  t.comment(
    `from HSET to an answer by it on both instances: ${inWords(tookMs)}; of the last 150, when all is warm: ${inWords(tookMs.slice(50))}`,
  );

  // Faster than anybody can follow: what is in force may skip an edit, never take half of one.
  await Promise.all(Array.from({ length: 50 }, (_, n) => edit(n * 2)));
  const last = await redis.cli("HGET", FLAGS, "rollout_percentage");
  await until("the last edit is in force on both", () =>
    apps.every((app) => app.control.flag("move")?.settings.weightBp === Number(last) * 100),
  );
  const { answered } = loads[0] ?? { answered: 0 };
  await until("the load goes on", () => (loads[0]?.answered ?? 0) > answered + 20);
  await Promise.all(loads.map((load) => load.stop()));

  const settings = settingsByRevision(await apps[0].control.store.audit("move", 1_000));
  t.ok(
    [...settings.values()].every(({ global, beta }) => global + beta === 100),
    "no revision is half an edit",
  );
  const wrong = answers.flatMap(([user, reply]) => misfit(user, reply, members.has(user), settings) ?? []);
  t.same(wrong, [], `${answers.length} answers fit the settings that they name`);
  t.same(
    loads.flatMap((load) => load.lost),
    [],
    "none is lost",
  );
});

t.test("SIGKILL of Redis and of the candidate under load: nobody goes without an answer, and every answer is counted", async (t) => {
  const redis = await redisOf(t);
  const old = await startBackend(t, "old");
  const fresh = spawn(process.execPath, [fileURLToPath(new URL("./support/backend-program.ts", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => fresh.kill("SIGKILL"));
  const [candidate = ""]: string[] = await once(createInterface({ input: fresh.stdout }), "line");
  const program = await serveProgram(t, configText(redis.url, old.origin, candidate));
  const load = new Load(program.port, { connections: 16, perSecond: 300 }).start();
  t.teardown(() => load.stop());
  const served = (by: string): number => load.replies.get(`200 {"name":"${by}"}`) ?? 0;

  await redis.cli("HSET", FLAGS, "rollout_percentage", 100);
  await until("the candidate serves", () => served("new") > 100);
  const before = served("old");
  fresh.kill("SIGKILL");
  await redis.kill();
  await until("the stable side serves everybody", () => served("old") > before + 300);
  await redis.restart({ empty: true });
  await until("the settings are in the store again", async () => (await redis.cli("HGET", FLAGS, "rollout_percentage")) === "100");
  const { answered } = load;
  await until("the load goes on", () => load.answered > answered + 100);
  await load.stop();
  t.same(load.lost, [], "none is lost");
  t.same([...load.replies.keys()].toSorted(), ['200 {"name":"new"}', '200 {"name":"old"}'], "and each has one whole answer");

  const { body } = await ask(program.adminPort, { path: "/metrics" });
  const counts = [...body.matchAll(/^crossfade_requests_total\{.*\} (\d+)$/gm)].map(([, count]) => Number(count));
  t.equal(
    counts.reduce((sum, count) => sum + count, 0),
    load.answered,
    "the figures know every one",
  );
  t.equal(Number(/^crossfade_config_revision\{flag="move"\} (\d+)$/m.exec(body)?.[1]), 1, "under the number that the settings had");
});

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import t, { type Test } from "tap";
import type { Config } from "../src/config/config.ts";
import { StringSet } from "../src/core/string-set.ts";
import { flagKeys } from "../src/store/keys.ts";
import { createLastGood } from "../src/store/last-good.ts";
import { createRedisStore } from "../src/store/redis-store.ts";
import { type SettingsStore, StoreUnavailable } from "../src/store/store.ts";
import { type RedisServer, startRedis, startSentinel, until } from "./support/redis.ts";
import { flagOf, recordLog, type RecordedLog, type StoreWatch, watchStore } from "./support/store-watch.ts";

const ME = { who: "tester", reason: "because" };
const KEYS = flagKeys("crossfade:", "f", ["beta", "beta_users"]);

/** Where nothing listens: a server's port after the server is gone. */
async function nowhere(t: Test): Promise<RedisServer> {
  const redis = await server(t);
  await redis.kill();
  return redis;
}

async function server(t: Test, options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  t.teardown(() => redis.stop());
  return redis;
}

async function dataDirectory(redis: RedisServer): Promise<string> {
  return (await redis.cli("CONFIG", "GET", "dir")).split("\n")[1] ?? "";
}

async function directory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "crossfade-state-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Takes connections and never says a word, as a Sentinel does whose machine is gone. */
async function silentPort(t: Test): Promise<number> {
  const taken = new Set<Socket>();
  const listening = createServer((socket) => void taken.add(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  await once(listening, "listening");
  t.teardown(() => {
    for (const socket of taken) socket.destroy();
    listening.close();
  });
  const address = listening.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface Opened {
  readonly store: SettingsStore;
  readonly watch: StoreWatch;
  readonly log: RecordedLog;
  readonly startedInMs: number;
}

async function open(
  t: Test,
  where: string | Config["store"],
  options: { readonly directory?: string; readonly instance?: string } = {},
): Promise<Opened> {
  const log = recordLog();
  const address = typeof where === "string" ? ({ kind: "redis", url: where } as const) : where;
  if (address.kind === "memory") throw new Error("not for these tests");
  const store = createRedisStore({
    config: { store: address, flags: [flagOf()] },
    instance: options.instance ?? randomUUID(),
    log,
    lastGood: createLastGood({ directory: options.directory, prefix: "crossfade:", log }),
  });
  t.teardown(() => store.close());
  const watch = watchStore();
  const begun = performance.now();
  await store.start(watch);
  return { store, watch, log, startedInMs: performance.now() - begun };
}

function count(buffer: SharedArrayBuffer | undefined): number {
  return buffer ? new StringSet(buffer).size : 0;
}

t.test("absent at start: the file's values serve at once, and the store's as soon as it is there", async (t) => {
  const redis = await nowhere(t);
  const { store, watch, startedInMs } = await open(t, redis.url);
  t.ok(startedInMs < 1_500, `started in ${startedInMs} ms`);
  t.match(store.health, { up: false, origin: "file" });
  t.match(store.health.message, /Nothing answers at redis:\/\/127\.0\.0\.1:\d+: is Redis running.*the configuration file serve/);
  t.match(watch.states, [{ revision: 0, settings: { weightBp: 0 } }]);
  await t.rejects(store.change("f", { rollout_percentage: "5" }, ME), StoreUnavailable);
  await t.rejects(store.instances("f"), StoreUnavailable);

  await redis.restart({ empty: true });
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "25");
  t.match(await watch.state((s) => s.settings.weightBp === 2_500), { revision: 1 });
  t.match(await watch.health((h) => h.up), { message: "", origin: "store" });
  t.equal(await store.change("f", { rollout_percentage: "5" }, ME), 2);
});

t.test("a restart without Redis serves the last good settings and users from disk", async (t) => {
  const state = await directory(t);
  const redis = await server(t);
  const first = await open(t, redis.url, { directory: state });
  await redis.cli("SADD", KEYS.sets[3]?.key ?? "", "u1", "u2");
  await first.watch.state((s) => count(s.members["beta_users"]) === 2);
  t.equal(await first.store.change("f", { rollout_percentage: "25" }, ME), 2);
  await first.store.close();
  await redis.kill();

  const second = await open(t, redis.url, { directory: state });
  t.match(second.store.health, { up: false, origin: "disk", message: /the last good settings, kept on disk, serve/ });
  t.match(second.watch.states, [{ revision: 2, settings: { weightBp: 2_500 } }]);
  t.equal(count(second.watch.states[0]?.members["beta_users"]), 2);

  await redis.restart({ empty: true });
  await second.watch.health((h) => h.up);
  t.equal(await redis.cli("HGET", KEYS.flags, "rollout_percentage"), "25", "a store that came back empty has it from there");
  await until(async () => (await redis.cli("SCARD", KEYS.sets[3]?.key ?? "")) === "2", "the users to be written back");
});

t.test("a kill without Redis is in force here, survives a restart and is shared when Redis returns", async (t) => {
  const state = await directory(t);
  const redis = await server(t);
  const here = await open(t, redis.url, { directory: state });
  await here.store.change("f", { rollout_percentage: "25" }, ME);
  await redis.cli("SAVE");
  await redis.kill();
  await here.watch.health((h) => !h.up);
  t.same(await here.store.kill("f", true, ME), { revision: 1, shared: false });
  t.match(here.watch.states.at(-1), { revision: 1, settings: { killSwitch: true, weightBp: 2_500 } });
  await here.store.close();

  const again = await open(t, redis.url, { directory: state });
  t.match(again.watch.states, [{ settings: { killSwitch: true } }]);
  await redis.restart({ empty: false });
  await again.watch.health((h) => h.up);
  await until(async () => (await redis.cli("HGET", KEYS.flags, "kill_switch")) === "true", "the kill to be shared");
  t.match(await again.watch.state((s) => s.revision === 2), { settings: { killSwitch: true } });
  t.match((await again.store.audit("f", 1))[0], { who: "tester", reason: "because", revision: 2 });

  const other = await open(t, redis.url);
  t.match(other.watch.states.at(-1), { revision: 2, settings: { killSwitch: true } });
  await other.store.kill("f", false, ME);
  await again.watch.state((s) => !s.settings.killSwitch);
});

t.test("a revival without Redis counts unless the store has had changes since", async (t) => {
  const redis = await server(t);
  const here = await open(t, redis.url);
  await here.store.kill("f", true, ME);
  await redis.cli("SAVE");
  await redis.kill();
  await here.watch.health((h) => !h.up);
  t.same(await here.store.kill("f", false, ME), { revision: 1, shared: false });
  t.match(here.watch.states.at(-1), { settings: { killSwitch: false } });
  await redis.restart({ empty: false });
  await until(async () => (await redis.cli("HEXISTS", KEYS.flags, "kill_switch")) === "0", "the revival to be shared");
  await here.watch.state((s) => s.revision === 2 && !s.settings.killSwitch);

  // The state comes while the new connection is still being set up; a kill said now would be shared a moment later.
  await here.watch.health((h) => h.up);
  t.same(await here.store.kill("f", true, ME), { revision: 3, shared: true });
  await redis.cli("SAVE");
  const folder = await dataDirectory(redis);
  await redis.kill();
  await here.watch.health((h) => !h.up);
  await here.store.kill("f", false, ME);
  // Somebody edits before this instance is back: on the same data, where it does not see them.
  const aside = await server(t, { args: ["--dir", folder] });
  await aside.cli("HSET", KEYS.flags, "rollout_percentage", "5", "kill_switch", "yes");
  await aside.cli("SAVE");
  await aside.kill();
  await redis.restart({ empty: false });
  t.match(
    await here.watch.state((s) => s.revision === 4),
    { settings: { weightBp: 500, killSwitch: true } },
    "who killed since then is right, from the first moment on",
  );
  await until(() => here.log.lines.some((line) => /revived here without the store/.test(line.message)), "the log to say so");
});

t.test("Redis killed and back empty: everything is written back, and a later edit of one field leaves the others", async (t) => {
  const redis = await server(t);
  const a = await open(t, redis.url, { instance: "a" });
  const b = await open(t, redis.url, { instance: "b" });
  await redis.cli("SADD", KEYS.sets[0]?.key ?? "", "vip");
  await a.watch.state((s) => s.revision === 1 && count(s.allow) === 1);
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "25", "segment.beta", "7");
  await Promise.all([a, b].map(({ watch }) => watch.state((s) => s.revision === 2)));
  await redis.kill();
  for (const { watch } of [a, b]) {
    t.match(await watch.health((h) => !h.up), { origin: "store", message: /the settings last read from it go on/ });
    t.match(watch.states.at(-1), { revision: 2, settings: { weightBp: 2_500 } });
  }
  await redis.restart({ empty: true });
  await Promise.all([a, b].map(({ watch }) => watch.health((h) => h.up)));
  await until(async () => (await redis.cli("SISMEMBER", KEYS.sets[0]?.key ?? "", "vip")) === "1", "the set to be written back");
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "30");
  for (const { watch } of [a, b]) {
    const state = await watch.state((s) => s.revision === 3);
    t.match(state, { settings: { weightBp: 3_000, segments: [{ weightBp: 700 }] } });
    t.equal(count(state.allow), 1);
    t.notOk(
      watch.states.some((s) => s.revision > 0 && count(s.allow) === 0),
      "no request was answered by a setting that never was",
    );
  }
  const audit = await a.store.audit("f", 10);
  t.same(
    audit.map(({ status, revision }) => [status, revision]),
    [
      ["accepted", 3],
      ["restored", 2],
    ],
    "written back once",
  );
});

t.test("a FLUSHALL under a live connection is a loss of data, and an edit right after it stays an edit", async (t) => {
  const redis = await server(t);
  const { store, watch } = await open(t, redis.url);
  await redis.cli("SADD", KEYS.sets[1]?.key ?? "", "foe", "fiend");
  await watch.state((s) => count(s.deny) === 2);
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "25", "segment.beta", "7");
  await watch.state((s) => s.revision === 2);
  const client = new Redis(redis.port, { protocol: 2 });
  t.teardown(() => client.disconnect());
  await client
    .multi()
    .flushall()
    .hset(KEYS.flags, "rollout_percentage", "30")
    .sadd(KEYS.sets[1]?.key ?? "", "third")
    .exec();
  const state = await watch.state((s) => s.revision === 4 && count(s.deny) === 3);
  t.match(state, { settings: { weightBp: 3_000, segments: [{ weightBp: 700 }] } });
  t.same(await client.hgetall(KEYS.flags), { rollout_percentage: "30", "segment.beta": "7" });
  t.same((await client.smembers(KEYS.sets[1]?.key ?? "")).toSorted(), ["fiend", "foe", "third"]);
  t.notOk(watch.states.some((s) => s.revision >= 2 && count(s.deny) < 2));
  await until(async () => (await store.instances("f")).length === 1, "the instance to be listed again");
});

t.test("a store that fell back to an older revision is brought forward; one that was begun anew is believed", async (t) => {
  const redis = await server(t);
  const { store, watch } = await open(t, redis.url);
  await store.change("f", { rollout_percentage: "10" }, ME);
  await redis.cli("SADD", KEYS.sets[0]?.key ?? "", "old");
  await watch.state((s) => s.revision === 2);
  await redis.cli("SAVE");
  await redis.cli("SADD", KEYS.sets[0]?.key ?? "", "new");
  await watch.state((s) => s.revision === 3);
  await store.change("f", { rollout_percentage: "20" }, ME);
  await redis.kill();
  await watch.health((h) => !h.up);
  await redis.restart({ empty: false });
  await watch.health((h) => h.up);
  t.equal(await redis.cli("HGET", KEYS.flags, "rollout_percentage"), "20");
  await until(async () => (await redis.cli("SCARD", KEYS.sets[0]?.key ?? "")) === "2", "the set to be brought forward");
  t.match(watch.states.at(-1), { revision: 4, settings: { weightBp: 2_000 } });
  t.match((await store.audit("f", 1))[0], { status: "restored", reason: "the store had fallen back to revision 2" });

  await redis.kill();
  await watch.health((h) => !h.up);
  const elsewhere = await server(t);
  const fresh = await open(t, elsewhere.url);
  await fresh.store.change("f", { "segment.beta": "3" }, ME);
  await elsewhere.cli("SAVE");
  const moved = await startRedis({ port: redis.port, args: ["--dir", await dataDirectory(elsewhere)] });
  t.teardown(() => moved.stop());
  t.match(await watch.state((s) => s.revision === 1), { settings: { weightBp: 0, segments: [{ weightBp: 300 }] } });
});

t.test("an instance that was restarted knows as well that the store fell back", async (t) => {
  const redis = await server(t);
  const path = await directory(t);
  const first = await open(t, redis.url, { directory: path });
  await first.store.change("f", { rollout_percentage: "10" }, ME);
  await redis.cli("SAVE");
  await first.store.change("f", { rollout_percentage: "20" }, ME);
  await first.store.close();
  await redis.restart({ empty: false });
  t.equal(await redis.cli("HGET", KEYS.flags, "rollout_percentage"), "10");
  const again = await open(t, redis.url, { directory: path });
  t.match(again.store.states[0], { revision: 2, settings: { weightBp: 2_000 } });
  t.equal(await redis.cli("HGET", KEYS.flags, "rollout_percentage"), "20");
  await again.store.close();

  await redis.restart({ empty: true });
  const third = await open(t, redis.url, { directory: path });
  t.match(third.store.states[0], { revision: 2, settings: { weightBp: 2_000 } });
  t.notMatch(await redis.cli("GET", KEYS.revision), "undefined");
});

t.test("a Redis that hangs is noticed, and what was edited meanwhile is seen afterwards", async (t) => {
  const redis = await server(t);
  const { store, watch } = await open(t, redis.url);
  await store.change("f", { rollout_percentage: "10" }, ME);
  redis.pause();
  t.match(await watch.health((h) => !h.up), { message: /does not answer .*is the process stopped/ });
  await t.rejects(store.change("f", { rollout_percentage: "11" }, ME), StoreUnavailable);
  const begun = performance.now();
  t.match(await store.kill("f", true, ME), { shared: false });
  t.ok(performance.now() - begun < 1_000, "a kill does not wait for it");
  await store.kill("f", false, ME);
  const absent = await open(t, redis.url);
  t.ok(absent.startedInMs < 1_500, `another starts in ${absent.startedInMs} ms`);
  redis.resume();
  await Promise.all([watch, absent.watch].map((one) => one.health((h) => h.up)));
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "12");
  await watch.state((s) => s.settings.weightBp === 1_200 && !s.settings.killSwitch);
});

t.test("either connection cut: an edit made at that moment is seen", async (t) => {
  const redis = await server(t);
  const { watch } = await open(t, redis.url);
  const client = new Redis(redis.port, { protocol: 2 });
  t.teardown(() => client.disconnect());
  for (const [i, half] of ["data", "changes", "data", "changes"].entries()) {
    let id = "";
    await until(async () => {
      const line = (await redis.cli("CLIENT", "LIST")).split("\n").find((one) => new RegExp(`name=crossfade:\\S+:${half} `).test(one));
      id = /id=(\d+)/.exec(line ?? "")?.[1] ?? "";
      return id !== "";
    }, `the ${half} connection, told by its name`);
    await client
      .multi()
      .client("KILL", "ID", id)
      .hset(KEYS.flags, "rollout_percentage", String(i + 1))
      .exec();
    t.ok(await watch.state((s) => s.settings.weightBp === (i + 1) * 100));
    await watch.health((h) => h.up);
    await redis.cli("HSET", KEYS.flags, "segment.beta", String(i + 1));
    await watch.state((s) => s.settings.segments[0]?.weightBp === (i + 1) * 100);
  }
});

t.test("a wrong or missing password says what to set, and shows none", async (t) => {
  const redis = await server(t, { password: "right" });
  const wrong = await open(t, `redis://:secret-guess@127.0.0.1:${redis.port}/0`);
  t.match(wrong.store.health.message, /refuses the user or password; correct it in store/);
  t.notMatch(wrong.store.health.message, /secret-guess/);
  t.match(wrong.store.health.message, /redis:\/\/:\*\*\*@127/);
  const missing = await open(t, `redis://127.0.0.1:${redis.port}`);
  t.match(missing.store.health.message, /wants a password and none was given; put it into store/);
  const right = await open(t, redis.url);
  t.match(right.store.health, { up: true, message: "" });
});

t.test("a user who may not be told of changes sees them by looking", async (t) => {
  const redis = await server(t);
  await redis.cli("ACL", "SETUSER", "poor", "on", ">pw", "~crossfade:*", "+@all", "-client|tracking", "resetchannels");
  const { store, watch } = await open(t, `redis://poor:pw@127.0.0.1:${redis.port}`);
  t.match(store.health, { up: true, message: /does not tell of changes .*within 1 s/ });
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "25");
  await redis.cli("SADD", KEYS.sets[0]?.key ?? "", "vip");
  await watch.state((s) => s.settings.weightBp === 2_500 && count(s.allow) === 1);
});

t.test("a replica, and a key of ours that somebody overwrote, are named with what to do", async (t) => {
  const redis = await server(t);
  const replica = await server(t, { args: ["--replicaof", "127.0.0.1", String(redis.port)] });
  await until(async () => (await replica.cli("INFO", "replication")).includes("master_link_status:up"), "the replica to catch up");
  const onReplica = await open(t, replica.url);
  t.match(onReplica.store.health, { up: false, message: /is a replica and refuses writes; point store at the master/ });

  await redis.cli("SET", KEYS.audit, "mine");
  const { store, watch } = await open(t, redis.url);
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "25");
  t.match(await watch.health((h) => !h.up), { message: /audit holds a string where a stream belongs.*delete or rename it/ });
  await redis.cli("DEL", KEYS.audit);
  await watch.state((s) => s.settings.weightBp === 2_500);
  await watch.health((h) => h.up);
  t.equal((await store.audit("f", 10)).length, 1);
});

t.test("Sentinel: after a failover the new master is followed, and nothing is lost", async (t) => {
  const setup = await startSentinel();
  t.teardown(() => setup.stop());
  const address: Config["store"] = {
    kind: "sentinel",
    sentinels: setup.sentinels,
    master: setup.name,
    username: undefined,
    password: undefined,
    sentinelPassword: undefined,
    db: 0,
  };
  const a = await open(t, address, { instance: "a" });
  const b = await open(t, address, { instance: "b" });
  t.equal(a.store.health.up, true);
  t.equal(await a.store.change("f", { rollout_percentage: "25" }, ME), 1);
  // What a master has not handed on dies with it.
  for (const { watch } of [a, b]) await watch.state(({ revision }) => revision === 1);
  await setup.master.cli("WAIT", "1", "10000");
  await setup.master.kill();
  const begun = performance.now();
  for (const { watch } of [a, b]) {
    await watch.health((h) => !h.up);
    t.match(watch.states.at(-1), { revision: 1, settings: { weightBp: 2_500 } });
  }
  await Promise.all([a, b].map(({ watch }) => watch.health((h) => h.up, 40_000)));
  t.comment(`on the new master ${Math.round(performance.now() - begun)} ms after the old one died`);
  await setup.replica.cli("HSET", KEYS.flags, "segment.beta", "3");
  for (const { watch } of [a, b]) {
    t.match(await watch.state((s) => s.revision === 2), { settings: { weightBp: 2_500, segments: [{ weightBp: 300 }] } });
  }
  t.equal(await b.store.change("f", { rollout_percentage: "30" }, ME), 3);

  // Each costs a second; two of them took up all the time that a connection was once given.
  const silent = await Promise.all([silentPort(t), silentPort(t)]);
  const late = await open(t, { ...address, sentinels: [...silent.map((port) => ({ host: "127.0.0.1", port })), ...setup.sentinels] });
  t.match(await late.watch.health((h) => h.up), { origin: "store" }, "Sentinels that are gone do not keep us from those that are there");
});

t.test("a million users: read, edited, kept on disk and written back", async (t) => {
  const state = await directory(t);
  const redis = await server(t);
  const key = KEYS.sets[3]?.key ?? "";
  for (let i = 0; i < 10; i++) {
    await redis.cli(
      "EVAL",
      "for i = ARGV[1], ARGV[1] + 99999 do redis.call('SADD', KEYS[1], 'user-' .. string.format('%.0f', i)) end",
      "1",
      key,
      i * 100_000,
    );
  }
  const { store, watch, startedInMs } = await open(t, redis.url, { directory: state });
  const first = await watch.state((s) => count(s.members["beta_users"]) === 1_000_000, 60_000);
  t.comment(
    `a million users read within ${Math.round(startedInMs)} ms, held in ${Math.round((first.members["beta_users"]?.byteLength ?? 0) / 1e6)} MB`,
  );
  const users = new StringSet(first.members["beta_users"] ?? new SharedArrayBuffer(0));
  t.ok(users.has("user-0") && users.has("user-999999") && !users.has("user-1000000"));
  await redis.cli("SADD", key, "one-more");
  const begun = performance.now();
  await redis.cli("HSET", KEYS.flags, "rollout_percentage", "25");
  await watch.state((s) => s.settings.weightBp === 2_500);
  t.comment(`an edit of the flags while they are read again: ${(performance.now() - begun).toFixed(1)} ms`);
  await watch.state((s) => s.revision === 3 && count(s.members["beta_users"]) === 1_000_001, 60_000);
  await store.close();
  await redis.kill();

  const offline = await open(t, redis.url, { directory: state });
  t.equal(count(offline.watch.states[0]?.members["beta_users"]), 1_000_001);
  await redis.restart({ empty: true });
  await until(async () => (await redis.cli("SCARD", key)) === "1000001", "a million users to be written back", 60_000);
});

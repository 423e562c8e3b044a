import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";
import type { Config } from "../src/config/config.ts";
import { flagKeys } from "../src/store/keys.ts";
import { createLastGood } from "../src/store/last-good.ts";
import { createRedisStore } from "../src/store/redis-store.ts";
import { DocumentConflict, type DocumentWrite, Fenced, type Lease } from "../src/store/rollout-store.ts";
import { type AuditEntry, type SettingsStore, StoreUnavailable } from "../src/store/store.ts";
import { type RedisServer, startRedis, startSentinel, until } from "./support/redis.ts";
import { flagOf, recordLog, type RecordedLog, type StoreWatch, watchStore } from "./support/store-watch.ts";

const ALICE = { who: "alice", reason: "it is time" };
const KEYS = flagKeys("crossfade:", "f", ["beta", "beta_users"]);
const SAVER = join(import.meta.dirname, "support", "rollout-saver.ts");

async function server(t: Test, options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  t.teardown(() => redis.stop());
  return redis;
}

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "crossfade-state-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

interface Opened {
  readonly store: SettingsStore;
  readonly watch: StoreWatch;
  readonly log: RecordedLog;
}

async function open(t: Test, where: Exclude<Config["store"], { kind: "memory" }>, instance: string, directory?: string): Promise<Opened> {
  const log = recordLog();
  const lastGood = createLastGood({ directory, prefix: "crossfade:", log });
  const store = createRedisStore({ config: { store: where, flags: [flagOf()] }, instance, log, lastGood });
  t.teardown(() => store.close());
  const watch = watchStore();
  await store.start(watch);
  return { store, watch, log };
}

const at = (redis: RedisServer) => ({ kind: "redis", url: redis.url }) as const;

function write(version: number, text: string, more: Partial<DocumentWrite> = {}): DocumentWrite {
  return { lease: undefined, version, text, fields: undefined, by: ALICE, ...more };
}

async function lead({ store }: Opened): Promise<Lease> {
  const lease = await store.rollouts.lead("f", 60_000);
  if (lease === undefined) throw new Error("somebody else leads");
  return lease;
}

/** What stands in Redis, looked at without a store, which would put it right. */
async function found(
  redis: RedisServer,
): Promise<{ step: number; percentage: number; beta: number; revision: number; version: number; noted: number }> {
  const text = await redis.cli("HGET", KEYS.rollout, "text");
  const [, , , reason = "0"] = /\bwho\n(\S+)\n(reason)\n(\d+)/.exec(await redis.cli("XREVRANGE", KEYS.audit, "+", "-", "COUNT", 1)) ?? [];
  const parsed: unknown = text === "" ? { step: 0 } : JSON.parse(text);
  return {
    step: typeof parsed === "object" && parsed !== null && "step" in parsed ? Number(parsed.step) : Number.NaN,
    percentage: Math.round(Number(await redis.cli("HGET", KEYS.flags, "rollout_percentage")) * 100),
    beta: Math.round(Number(await redis.cli("HGET", KEYS.accepted, "segment.beta")) * 100),
    revision: Number((await redis.cli("GET", KEYS.revision)).split(":")[0]),
    version: Number(await redis.cli("HGET", KEYS.rollout, "version")),
    noted: Number(reason),
  };
}

function same(step: number): Awaited<ReturnType<typeof found>> {
  return { step, percentage: step, beta: step, revision: step, version: step, noted: step };
}

t.test("kill -9 of who saves: document, settings and audit stand all together or not at all", async (t) => {
  const redis = await server(t);
  const directory = await folder(t);
  let acknowledged = 0;
  for (let life = 0; life < 4; life++) {
    await redis.cli("DEL", KEYS.lease);
    const child = spawn(process.execPath, [SAVER, redis.url, directory], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    let lines = 0;
    for await (const line of createInterface(child.stdout)) {
      acknowledged = Math.max(acknowledged, Number(line));
      // The next one is on its way while this line is read.
      if (++lines === 20 + 7 * life) child.kill("SIGKILL");
    }
    t.same((await exited)[1], "SIGKILL");
    const now = await found(redis);
    t.same(now, same(now.step));
    t.ok(now.step === acknowledged || now.step === acknowledged + 1, `step ${now.step}, of which ${acknowledged} was acknowledged`);
    acknowledged = now.step;
  }
  t.equal(Number(await redis.cli("XLEN", KEYS.audit)), acknowledged, "each of them once");
  const other = await open(t, at(redis), "other");
  t.equal((await other.store.rollouts.load("f"))?.version, acknowledged);
  t.match(other.store.states[0], { revision: acknowledged, settings: { weightBp: acknowledged } });
});

t.test(
  "SIGKILL of Redis in the middle of saves: what it finds on its disk again is whole, and what was acknowledged comes back",
  async (t) => {
    const redis = await server(t, { args: ["--appendonly", "yes", "--appendfsync", "always"] });
    let a = await open(t, at(redis), "a");
    let version = 0;
    for (let round = 0; round < 4; round++) {
      const lease = await lead(a);
      const saving = (async () => {
        for (;;) {
          const share = String((version + 1) / 100);
          const text = JSON.stringify({ step: version + 1, padding: "x".repeat(20_000) });
          const fields = { rollout_percentage: share, "segment.beta": share };
          ({ version } = await a.store.rollouts.save(
            "f",
            write(version, text, { lease, fields, by: { who: "a", reason: String(version + 1) } }),
          ));
        }
      })();
      const before = version;
      await until(() => version > before + 20, "some saves");
      const failed = t.rejects(saving, StoreUnavailable);
      await redis.kill();
      await failed;
      await a.watch.health((h) => !h.up);
      await a.store.close();
      await redis.restart({ empty: false });
      const now = await found(redis);
      t.same(now, same(now.step));
      t.ok(now.step >= version, `step ${now.step}, of which ${version} was acknowledged`);
      version = now.step;
      await redis.cli("DEL", KEYS.lease);
      a = await open(t, at(redis), "a");
    }
  },
);

t.test("Redis back empty: settings and document come back together, and the newest wins whoever is first", async (t) => {
  const redis = await server(t);
  const [first, second] = [await folder(t), await folder(t)];
  const a = await open(t, at(redis), "a", first);
  const b = await open(t, at(redis), "b", second);
  const lease = await lead(a);
  await a.store.rollouts.save("f", write(0, "10", { lease, fields: { rollout_percentage: "10" } }));
  await b.store.rollouts.load("f");
  await b.store.close();
  await a.store.rollouts.save("f", write(1, "25", { lease, fields: { rollout_percentage: "25" } }));
  await a.store.close();

  await redis.restart({ empty: true });
  const again = await open(t, at(redis), "b", second);
  t.same(await again.store.rollouts.load("f"), { version: 1, text: "10" }, "the older one, from the disk of who was first");
  t.match(again.store.states[0], { revision: 1, settings: { weightBp: 1_000 } });
  const leader = await open(t, at(redis), "a", first);
  t.same(await leader.store.rollouts.load("f"), { version: 2, text: "25" });
  t.same(await again.store.rollouts.load("f"), { version: 2, text: "25" });
  await again.watch.state((s) => s.revision === 2 && s.settings.weightBp === 2_500);
  t.equal((await lead(leader)).fence > lease.fence, true);
  const audit = await leader.store.audit("f", 10);
  t.same([...new Set(audit.map(({ status }) => status))], ["restored"]);
  t.match(audit[0]?.reason, /fallen back to version 1 of the rollout's document/);

  // Under live connections, and both at once.
  await redis.kill();
  await Promise.all([again, leader].map(({ watch }) => watch.health((h) => !h.up)));
  await redis.restart({ empty: true });
  await Promise.all([again, leader].map(({ watch }) => watch.health((h) => h.up)));
  t.same(await again.store.rollouts.load("f"), { version: 2, text: "25" });
  const restored = (entry: AuditEntry): boolean => /document/.test(entry.reason);
  t.equal((await leader.store.audit("f", 10)).filter(restored).length, 1, "written back once");
});

t.test("a document alone, beside which nothing was ever set, comes back too", async (t) => {
  const redis = await server(t);
  const directory = await folder(t);
  const a = await open(t, at(redis), "a", directory);
  await a.store.rollouts.save("f", write(0, "waiting"));
  t.equal(await redis.cli("EXISTS", KEYS.revision), "0", "no revision is begun for it");
  await redis.cli("FLUSHALL");
  t.same(await a.store.rollouts.load("f"), { version: 1, text: "waiting" });
  await a.store.close();
  await redis.restart({ empty: true });
  const again = await open(t, at(redis), "a", directory);
  t.same(await again.store.rollouts.load("f"), { version: 1, text: "waiting" });
  t.same(await again.store.rollouts.save("f", write(1, "on", { fields: { rollout_percentage: "5" } })), { version: 2, revision: 1 });
});

t.test("a store that fell back has the last write brought forward", async (t) => {
  const redis = await server(t);
  const a = await open(t, at(redis), "a");
  const b = await open(t, at(redis), "b");
  const lease = await lead(a);
  await a.store.rollouts.save("f", write(0, "10", { lease, fields: { rollout_percentage: "10" } }));
  await redis.cli("SAVE");
  await a.store.rollouts.save("f", write(1, "0", { lease, fields: { rollout_percentage: "0" } }));
  await redis.kill();
  await Promise.all([a, b].map(({ watch }) => watch.health((h) => !h.up)));
  await redis.restart({ empty: false });
  await Promise.all([a, b].map(({ watch }) => watch.health((h) => h.up)));
  for (const { store } of [a, b]) t.same(await store.rollouts.load("f"), { version: 2, text: "0" });
  t.match(await b.watch.state((s) => s.revision === 2), { settings: { weightBp: 0 } }, "a rollback is not undone by it");
});

t.test("two writes of one version, one of them lost: nobody takes the one for the other", async (t) => {
  const redis = await server(t);
  const a = await open(t, at(redis), "a");
  const lease = await lead(a);
  await a.store.rollouts.save("f", write(0, "first", { lease }));
  await redis.cli("SAVE");
  const dump = (await redis.cli("CONFIG", "GET", "dir")).split("\n")[1] ?? "";
  await a.store.rollouts.save("f", write(1, "lost", { lease }));
  await redis.kill();
  await a.watch.health((h) => !h.up);
  // Where the write was never heard of, somebody acts before the leader is back.
  const aside = await server(t, { args: ["--dir", dump] });
  const person = await open(t, at(aside), "p");
  t.same(await person.store.rollouts.save("f", write(1, "paused by a person")), { version: 2, revision: 0 });
  await person.store.close();
  await aside.cli("SAVE");
  await aside.kill();
  await redis.restart({ empty: false });
  await a.watch.health((h) => h.up);
  await t.rejects(a.store.rollouts.save("f", write(2, "after the lost one", { lease })), DocumentConflict);
  t.same(await a.store.rollouts.load("f"), { version: 3, text: "paused by a person" });
  await until(() => a.log.lines.some(({ message }) => /lost another version 2/.test(message)), "the log to say so");
});

t.test("a store that was begun anew and has a document is believed", async (t) => {
  const redis = await server(t);
  const a = await open(t, at(redis), "a");
  await a.store.rollouts.save("f", write(0, "x", { fields: { rollout_percentage: "10" } }));
  await a.store.rollouts.save("f", write(1, "old", { fields: { rollout_percentage: "20" } }));
  await redis.kill();
  await a.watch.health((h) => !h.up);
  const elsewhere = await server(t);
  const fresh = await open(t, at(elsewhere), "fresh");
  await fresh.store.rollouts.save("f", write(0, "new", { fields: { rollout_percentage: "3" } }));
  await elsewhere.cli("SAVE");
  const dump = (await elsewhere.cli("CONFIG", "GET", "dir")).split("\n")[1] ?? "";
  const moved = await startRedis({ port: redis.port, args: ["--dir", dump] });
  t.teardown(() => moved.stop());
  await a.watch.state((s) => s.revision === 1 && s.settings.weightBp === 300);
  await a.watch.health((h) => h.up);
  t.same(await a.store.rollouts.load("f"), { version: 1, text: "new" });
});

t.test("without a store nothing is led, read or written, and it says why", async (t) => {
  const redis = await server(t);
  const a = await open(t, at(redis), "a");
  const lease = await lead(a);
  await redis.kill();
  await a.watch.health((h) => !h.up);
  const { rollouts } = a.store;
  const works: readonly (() => Promise<unknown>)[] = [
    () => rollouts.lead("f", 1_000),
    () => rollouts.resign("f", lease),
    () => rollouts.leader("f"),
    () => rollouts.load("f"),
    () => rollouts.save("f", write(0, "x", { lease })),
    () => rollouts.publish("f", "x"),
    () => rollouts.published("f", "", 1),
    () => rollouts.record("f", lease, "x"),
    () => rollouts.recorded("f", "", 1),
    () => rollouts.show("f", lease, "x", 1_000),
    () => rollouts.shown("f"),
  ];
  for (const work of works) await t.rejects(work, { name: "StoreUnavailable", message: /redis:\/\/127/ });

  await redis.restart({ empty: true });
  await a.watch.health((h) => h.up);
  await t.rejects(rollouts.save("f", write(0, "x", { lease })), Fenced, "the store does not know the lease any more");
  t.ok((await lead(a)).fence > lease.fence);
});

t.test("a Redis that is slow is waited for, one that hangs is not; what was asked of it happened wholly or not", async (t) => {
  const redis = await server(t);
  const a = await open(t, at(redis), "a");
  const lease = await lead(a);
  redis.pause();
  const late = Promise.all([
    a.store.rollouts.lead("f", 60_000),
    a.store.rollouts.save("f", write(0, "1", { lease, fields: { rollout_percentage: "0.01" } })),
  ]);
  const slow = setTimeout(() => redis.resume(), 600);
  t.match(await late, [
    { instance: "a", fence: lease.fence },
    { version: 1, revision: 1 },
  ]);
  clearTimeout(slow);

  redis.pause();
  const begun = performance.now();
  await t.rejects(a.store.rollouts.save("f", write(1, "2", { lease, fields: { rollout_percentage: "0.02" } })), StoreUnavailable);
  t.ok(performance.now() - begun < 4_000, `given up after ${Math.round(performance.now() - begun)} ms`);
  redis.resume();
  await a.watch.health((h) => h.up);
  const document = await a.store.rollouts.load("f");
  const percentage = await redis.cli("HGET", KEYS.flags, "rollout_percentage");
  t.equal(Number(percentage) * 100, Number(document?.text));
  t.equal(document?.version, Number(document?.text));
  t.match(await a.store.rollouts.lead("f", 60_000), { fence: lease.fence }, "the lease had not ended meanwhile");
});

t.test("a Redis without memory refuses a save as a whole, and the settings go on", async (t) => {
  const redis = await server(t);
  const a = await open(t, at(redis), "a");
  const lease = await lead(a);
  await a.store.rollouts.save("f", write(0, "one", { lease }));
  await redis.cli("CONFIG", "SET", "maxmemory", "1");
  const fields = { rollout_percentage: "5" };
  await t.rejects(a.store.rollouts.save("f", write(1, "two", { lease, fields })), {
    name: "StoreUnavailable",
    message: /used up its memory/,
  });
  await redis.cli("CONFIG", "SET", "maxmemory", "0");
  await a.watch.health((h) => h.up);
  t.same(await a.store.rollouts.load("f"), { version: 1, text: "one" });
  t.equal(await redis.cli("EXISTS", KEYS.flags), "0");
  t.same(await a.store.rollouts.save("f", write(1, "two", { lease, fields })), { version: 2, revision: 1 });
});

t.test("Sentinel: after a failover the rollout goes on where it was, under a new lease that is higher", async (t) => {
  const setup = await startSentinel();
  t.teardown(() => setup.stop());
  const address = {
    kind: "sentinel",
    sentinels: setup.sentinels,
    master: setup.name,
    username: undefined,
    password: undefined,
    sentinelPassword: undefined,
    db: 0,
  } as const;
  const [a, b] = [await open(t, address, "a"), await open(t, address, "b")];
  const lease = await lead(a);
  await a.store.rollouts.save("f", write(0, "10", { lease, fields: { rollout_percentage: "10" } }));
  await a.store.rollouts.record("f", lease, "noted");
  await b.store.rollouts.publish("f", "tick");
  await setup.master.cli("WAIT", "1", "10000");
  await setup.master.kill();
  for (const { watch } of [a, b]) await watch.health((h) => !h.up);
  await t.rejects(a.store.rollouts.save("f", write(1, "25", { lease })), StoreUnavailable);
  await Promise.all([a, b].map(({ watch }) => watch.health((h) => h.up, 40_000)));
  t.same(await b.store.rollouts.load("f"), { version: 1, text: "10" });
  t.same(await b.store.rollouts.leader("f"), { instance: "a", fence: lease.fence });
  t.match(await a.store.rollouts.lead("f", 60_000), { fence: lease.fence }, "who led before may go on");
  await a.store.rollouts.resign("f", lease);
  const next = await lead(b);
  t.ok(next.fence > lease.fence);
  await t.rejects(a.store.rollouts.save("f", write(1, "25", { lease })), Fenced);
  t.same(await b.store.rollouts.save("f", write(1, "0", { lease: next, fields: { rollout_percentage: "0" } })), {
    version: 2,
    revision: 2,
  });
  t.match(await a.watch.state((s) => s.revision === 2), { settings: { weightBp: 0 } });
  t.same((await b.store.rollouts.recorded("f", "", 9)).length, 1);
  t.same((await b.store.rollouts.published("f", "", 9)).length, 1);
});

import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { Config } from "../src/config/config.ts";
import { createStore } from "../src/store/create.ts";
import type { DocumentStore } from "../src/store/documents.ts";
import { documentKeys, flagKeys } from "../src/store/keys.ts";
import { DocumentConflict, Fenced, type Lease } from "../src/store/rollout-store.ts";
import { type SettingsStore, StoreUnavailable } from "../src/store/store.ts";
import { type RedisServer, startRedis, until } from "./support/redis.ts";
import { flagOf, recordLog, type RecordedLog, type StoreWatch, watchStore } from "./support/store-watch.ts";

// A busy machine takes its time.
t.setTimeout(300_000);

const KEYS = documentKeys("crossfade:", "incidents");

async function server(t: Test, options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  t.teardown(() => redis.stop());
  return redis;
}

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "crossfade-documents-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

interface Opened {
  readonly store: SettingsStore;
  readonly documents: DocumentStore;
  readonly watch: StoreWatch;
  readonly log: RecordedLog;
}

async function open(t: Test, where: Config["store"], instance: string, stateDirectory = ""): Promise<Opened> {
  const log = recordLog();
  const store = createStore({ config: { store: where, flags: [flagOf()], stateDirectory }, instance, log });
  t.teardown(() => store.close());
  const watch = watchStore();
  await store.start(watch);
  return { store, documents: store.documents, watch, log };
}

const at = (redis: RedisServer) => ({ kind: "redis", url: redis.url }) as const;
const MEMORY = { kind: "memory" } as const;

function write(version: number, text: string, lease?: Lease): Parameters<DocumentStore["save"]>[1] {
  return { version, text, lease };
}

async function lead({ documents }: Pick<Opened, "documents">): Promise<Lease> {
  const lease = await documents.lead("incidents", 60_000);
  if (lease === undefined) throw new Error("somebody else leads");
  return lease;
}

for (const kind of ["redis", "memory"] as const) {
  const where = async (t: Test): Promise<Config["store"]> => (kind === "redis" ? at(await server(t)) : MEMORY);

  t.test(`${kind}: a document is written whole, under the version that was read`, async (t) => {
    const { documents } = await open(t, await where(t), "a");
    t.equal(await documents.load("incidents"), undefined);
    t.equal(documents.held("incidents"), undefined);
    t.equal(await documents.save("incidents", write(0, "first é")), 1);
    t.same(await documents.load("incidents"), { version: 1, text: "first é" });
    await t.rejects(documents.save("incidents", write(0, "late")), DocumentConflict);
    await t.rejects(documents.save("incidents", write(2, "early")), DocumentConflict);
    t.equal(await documents.save("incidents", write(1, "second")), 2);
    t.same(documents.held("incidents"), { version: 2, text: "second" });
    t.equal(await documents.load("notices"), undefined, "each is for itself");
    await t.rejects(documents.save("sla", write(0, "")), RangeError);
    await t.rejects(documents.save("sla", write(0, "x".repeat(1_048_577))), RangeError);
    t.equal(await documents.save("sla", write(0, "x".repeat(1_048_576))), 1);
  });

  t.test(`${kind}: a lease is good until it is given up, and nothing is written under an old one`, async (t) => {
    const { documents } = await open(t, await where(t), "a");
    const lease = await lead({ documents });
    t.equal((await documents.lead("incidents", 60_000))?.fence, lease.fence, "it is prolonged");
    t.equal(await documents.save("incidents", write(0, "one", lease)), 1);
    await documents.resign("incidents", lease);
    await t.rejects(documents.save("incidents", write(1, "two", lease)), Fenced);
    const next = await lead({ documents });
    t.ok(next.fence > lease.fence);
    t.equal(await documents.save("incidents", write(1, "two", next)), 2);
    t.equal(await documents.save("incidents", write(2, "three")), 3, "without a lease the version alone decides");
  });

  t.test(`${kind}: it survives a restart with its state directory`, async (t) => {
    const directory = await folder(t);
    const place = await where(t);
    const a = await open(t, place, "a", directory);
    const lease = await lead(a);
    await a.documents.save("incidents", write(0, "kept", lease));
    await a.store.close();
    const again = await open(t, place, "b", directory);
    t.same(await again.documents.load("incidents"), { version: 1, text: "kept" });
    await a.documents.resign("incidents", lease).catch(() => {});
    if (kind === "memory") t.ok((await lead(again)).fence > lease.fence, "a later lease has a higher number");
  });
}

t.test("of two instances that write at once one hears of the conflict; both see the same afterwards", async (t) => {
  const redis = await server(t);
  const [a, b] = [await open(t, at(redis), "a"), await open(t, at(redis), "b")];
  for (let version = 0; version < 10; version++) {
    const tries = await Promise.allSettled([
      a.documents.save("incidents", write(version, `a${version}`)),
      b.documents.save("incidents", write(version, `b${version}`)),
    ]);
    t.same(tries.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    for (const tried of tries) if (tried.status === "rejected") t.type(tried.reason, DocumentConflict);
    t.same(await a.documents.load("incidents"), await b.documents.load("incidents"));
  }
});

t.test("of two instances one leads; the other may once the lease is over, and then the first one's writes are refused", async (t) => {
  const redis = await server(t);
  const [a, b] = [await open(t, at(redis), "a"), await open(t, at(redis), "b")];
  const lease = await lead(a);
  t.equal(await b.documents.lead("incidents", 60_000), undefined);
  await redis.cli("DEL", KEYS.lease);
  const other = await lead(b);
  t.ok(other.fence > lease.fence);
  await t.rejects(a.documents.save("incidents", write(0, "from the dead", lease)), Fenced);
  t.equal(await redis.cli("EXISTS", KEYS.document), "0", "nothing of it was written");
  t.equal(await b.documents.save("incidents", write(0, "alive", other)), 1);
});

t.test("no flag's keys are a document's, whatever it is called", async (t) => {
  const { lease, fence } = flagKeys("crossfade:", "incidents", []);
  t.notOk([lease, fence].some((key) => Object.values(KEYS).includes(key)));
});

t.test("a Redis that comes back empty gets the newest that an instance has seen", async (t) => {
  const redis = await server(t);
  const { documents, log, watch } = await open(t, at(redis), "a");
  await documents.save("incidents", write(0, "one"));
  await documents.save("incidents", write(1, "two"));
  await redis.restart({ empty: true });
  await watch.health((health) => health.up);
  await until(async () => (await redis.cli("HGET", KEYS.document, "text")) === "two", "the document to be written back");
  t.match(await redis.cli("HGET", KEYS.document, "version"), "2");
  t.ok(log.lines.some(({ message }) => message === "the store had lost the document incidents; it was written back"));
  t.same(await documents.load("incidents"), { version: 2, text: "two" });
});

t.test("a Redis that comes back older gets the newest; one that has got newer is believed", async (t) => {
  const redis = await server(t, { args: ["--dbfilename", "old.rdb"] });
  const { documents, watch } = await open(t, at(redis), "a");
  await documents.save("incidents", write(0, "one"));
  await redis.cli("SAVE");
  await documents.save("incidents", write(1, "two"));
  await redis.restart({ empty: false });
  await watch.health((health) => health.up);
  await until(async () => (await redis.cli("HGET", KEYS.document, "text")) === "two", "the document to be written back");
  const other = await open(t, at(redis), "b");
  await other.documents.save("incidents", write(2, "three"));
  t.same(await documents.load("incidents"), { version: 3, text: "three" });
});

t.test("what was kept on disk comes back into an empty Redis, and not into another store that has a document of its own", async (t) => {
  const directory = await folder(t);
  const first = await server(t);
  const a = await open(t, at(first), "a", directory);
  for (const version of [0, 1, 2]) await a.documents.save("incidents", write(version, `v${version + 1}`));
  await a.store.close();

  const empty = await server(t);
  const b = await open(t, at(empty), "a", directory);
  t.same(await b.documents.load("incidents"), { version: 3, text: "v3" });
  await b.store.close();

  const foreign = await server(t);
  const c = await open(t, at(foreign), "c");
  await c.documents.save("incidents", write(0, "of its own"));
  const d = await open(t, at(foreign), "d", directory);
  t.same(await d.documents.load("incidents"), { version: 1, text: "of its own" });
});

t.test("without a store what is on disk is held, and nothing can be loaded or saved", async (t) => {
  const directory = await folder(t);
  const redis = await server(t);
  const a = await open(t, at(redis), "a", directory);
  await a.documents.save("incidents", write(0, "known"));
  await a.store.close();
  await redis.kill();
  const b = await open(t, at(redis), "b", directory);
  t.same(b.documents.held("incidents"), { version: 1, text: "known" });
  await t.rejects(b.documents.load("incidents"), StoreUnavailable);
  await t.rejects(b.documents.save("incidents", write(1, "more")), StoreUnavailable);
});

t.test("a file that cannot be understood is reported and left out", async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, "document-incidents.json"), "{ half");
  const { documents, log } = await open(t, MEMORY, "a", directory);
  t.equal(documents.held("incidents"), undefined);
  t.ok(log.lines.some(({ message }) => message.startsWith("a document on disk cannot be read")));
  await documents.save("incidents", write(0, "new"));
  t.match(await readFile(join(directory, "document-incidents.json"), "utf8"), '"text":"new"');
  t.same(
    (await readdir(directory)).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

t.test("kill -9 of Redis in the middle of saves loses nothing that was acknowledged", async (t) => {
  const redis = await server(t, { args: ["--appendonly", "yes", "--appendfsync", "always"] });
  let version = 0;
  for (let round = 0; round < 3; round++) {
    const { store, documents, watch } = await open(t, at(redis), `a${round}`);
    const saving = (async () => {
      for (;;) version = await documents.save("incidents", write(version, `${version + 1} ${"x".repeat(10_000)}`));
    })();
    const before = version;
    await until(() => version > before + 20, "some saves");
    const failed = t.rejects(saving, StoreUnavailable);
    await redis.kill();
    await failed;
    await watch.health((health) => !health.up);
    await store.close();
    await redis.restart({ empty: false });
    const found = Number(await redis.cli("HGET", KEYS.document, "version"));
    t.ok(found === version || found === version + 1, `version ${found}, of which ${version} was acknowledged`);
    t.equal((await redis.cli("HGET", KEYS.document, "text")).split(" ")[0], String(found), "text and version belong together");
    version = found;
  }
});

t.test("a key that somebody has overwritten is told of, keeps no setting from working, and is mended when it is deleted", async (t) => {
  const redis = await server(t);
  const { store, documents, log, watch } = await open(t, at(redis), "a");
  await documents.save("incidents", write(0, "one"));
  await redis.cli("DEL", KEYS.document);
  await redis.cli("SET", KEYS.document, "nonsense");
  // Either it was written back before the second command, which then replaced it as a whole, or not: it is nonsense now.
  await t.rejects(documents.load("incidents"), StoreUnavailable);
  await t.rejects(documents.save("incidents", write(1, "two")), StoreUnavailable);
  t.same(documents.held("incidents"), { version: 1, text: "one" });
  await until(() => log.lines.some(({ message }) => message.startsWith("the document incidents cannot be followed")), "the warning");
  t.equal(await store.change("f", { rollout_percentage: "7" }, { who: "alice", reason: "" }), 1);
  t.equal(watch.healths.filter(({ up }) => !up).length, 0);
  await redis.cli("DEL", KEYS.document);
  t.same(await documents.load("incidents"), { version: 1, text: "one" });

  await redis.cli("DEL", KEYS.lease);
  await redis.cli("LPUSH", KEYS.lease, "nonsense");
  await t.rejects(documents.lead("incidents", 1_000), StoreUnavailable);
  t.equal(await documents.save("incidents", write(1, "two")), 2, "a person needs no lease");
});

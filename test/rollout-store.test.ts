import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Redis } from "ioredis";
import t, { type Test } from "tap";
import { createStore } from "../src/store/create.ts";
import { flagKeys, followedPrefixes } from "../src/store/keys.ts";
import { createRecordLog, idAfter, isAfter } from "../src/store/record-log.ts";
import { digestOf, documentAfter, type HeldDocument, identOf, reconcile } from "../src/store/rollout-document.ts";
import { DocumentConflict, type DocumentWrite, Fenced, type Lease } from "../src/store/rollout-store.ts";
import { InvalidSettings, RevisionConflict, type SettingsStore } from "../src/store/store.ts";
import type { DocumentView } from "../src/store/view.ts";
import { startRedis } from "./support/redis.ts";
import { flagOf, recordLog, watchStore } from "./support/store-watch.ts";
import { type OpenedStore, storeWorld, type StoreWorld } from "./support/store-world.ts";

const redis = await startRedis();
const foreign = new Redis(redis.port, { protocol: 2 });
t.teardown(async () => {
  foreign.disconnect();
  await redis.stop();
});

const ALICE = { who: "alice", reason: "it is time" };

function redisWorld(t: Test): StoreWorld & { readonly keys: ReturnType<typeof flagKeys> } {
  const made = storeWorld(t, redis);
  return { ...made, keys: flagKeys(made.prefix, "f", ["beta", "beta_users"]) };
}

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "crossfade-state-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function openMemory(t: Test, stateDirectory: string): Promise<OpenedStore> {
  const store = createStore({
    config: { store: { kind: "memory" }, flags: [flagOf()], stateDirectory },
    instance: "alone",
    log: recordLog(),
  });
  t.teardown(() => store.close());
  const watch = watchStore();
  await store.start(watch);
  return { store, watch };
}

function write(version: number, text: string, more: Partial<DocumentWrite> = {}): DocumentWrite {
  return { lease: undefined, version, text, fields: undefined, by: undefined, ...more };
}

async function lead(store: SettingsStore, ttlMs = 60_000): Promise<Lease> {
  const lease = await store.rollouts.lead("f", ttlMs);
  if (lease === undefined) throw new Error("somebody else leads");
  return lease;
}

const KINDS = {
  redis: async (t: Test) => redisWorld(t).open("alone"),
  memory: async (t: Test) => openMemory(t, await folder(t)),
};

for (const [kind, open] of Object.entries(KINDS)) {
  t.test(`${kind}: document, settings and audit are written at one stroke, under a version`, async (t) => {
    const { store, watch } = await open(t);
    const { rollouts } = store;
    t.equal(await rollouts.load("f"), undefined);
    const lease = await lead(store);
    t.same(await rollouts.save("f", write(0, "one", { lease, by: ALICE, fields: { rollout_percentage: "10" } })), {
      version: 1,
      revision: 1,
    });
    t.match(watch.states.at(-1), { revision: 1, settings: { weightBp: 1_000 } }, "in force here at once");
    t.same(await rollouts.load("f"), { version: 1, text: "one" });

    t.same(await rollouts.save("f", write(1, "two", { lease, by: ALICE })), { version: 2, revision: 1 }, "no setting: no revision");
    const same = write(2, "three", { lease, by: ALICE, fields: { rollout_percentage: "10" } });
    t.same(await rollouts.save("f", same), { version: 3, revision: 1 }, "a setting that has the value already changes nothing");
    t.same(await rollouts.save("f", write(3, "four")), { version: 4, revision: 1 }, "a person's act, of which nothing is to be recorded");
    t.same(
      (await store.audit("f", 10)).map(({ who, reason, revision, status, changes }) => [who, reason, revision, status, changes.length]),
      [
        ["alice", "it is time", 1, "accepted", 0],
        ["alice", "it is time", 1, "accepted", 0],
        ["alice", "it is time", 1, "accepted", 1],
      ],
    );
    t.same(await rollouts.save("f", write(4, "five", { fields: { rollout_percentage: "20" } })), { version: 5, revision: 2 });
    t.match((await store.audit("f", 1))[0], { who: "alone", revision: 2 }, "a setting never changes without a trace");
  });

  t.test(`${kind}: what is refused leaves nothing behind`, async (t) => {
    const { store } = await open(t);
    const { rollouts } = store;
    const lease = await lead(store);
    await rollouts.save("f", write(0, "one", { lease }));
    const fields = { rollout_percentage: "50" };
    await t.rejects(rollouts.save("f", write(0, "two", { lease, fields })), DocumentConflict);
    await t.rejects(rollouts.save("f", write(2, "two", { lease, fields })), DocumentConflict);
    await t.rejects(rollouts.save("f", write(1, "two", { lease, fields: { rollout_percentage: "500" } })), InvalidSettings);
    await t.rejects(rollouts.save("f", write(1, "two", { lease: { ...lease, fence: lease.fence - 1 }, fields })), Fenced);
    await t.rejects(rollouts.save("f", write(1, "two", { lease: { ...lease, instance: "other" }, fields })), Fenced);
    await t.rejects(rollouts.save("f", write(1, "")), RangeError);
    await t.rejects(rollouts.save("f", write(1, "x".repeat(2 ** 20 + 1))), RangeError);
    await t.rejects(rollouts.save("other", write(0, "two")), /no flag "other"; known: f/);
    await t.rejects(rollouts.lead("other", 1_000), /no flag "other"; known: f/);
    t.same(await rollouts.load("f"), { version: 1, text: "one" });
    t.match(store.states[0], { revision: 0, settings: { weightBp: 0 } });
    t.same(await store.audit("f", 10), []);
  });

  t.test(`${kind}: a lease is kept while it is prolonged, and good for nothing once it was given up`, async (t) => {
    const { store } = await open(t);
    const { rollouts } = store;
    t.equal(await rollouts.leader("f"), undefined);
    const before = Date.now();
    const lease = await lead(store);
    t.ok(lease.at >= before - 1 && lease.at <= Date.now() + 1, `${lease.at} is the time of the store`);
    const again = await lead(store);
    t.same({ ...again, at: 0 }, { ...lease, at: 0 });
    t.ok(again.at >= lease.at);
    t.same(await rollouts.leader("f"), { instance: lease.instance, fence: lease.fence });
    await rollouts.save("f", write(0, "one", { lease }));
    await rollouts.record("f", lease, "noted");
    await rollouts.show("f", lease, "seen", 60_000);
    t.equal(await rollouts.shown("f"), "seen");
    await rollouts.resign("f", lease);
    t.equal(await rollouts.leader("f"), undefined);
    await t.rejects(rollouts.save("f", write(1, "two", { lease })), Fenced);
    await t.rejects(rollouts.record("f", lease, "too late"), Fenced);
    await t.rejects(rollouts.show("f", lease, "too late", 1_000), Fenced);
    const next = await lead(store);
    t.ok(next.fence > lease.fence, `${next.fence} after ${lease.fence}`);
    await rollouts.resign("f", lease);
    t.same(await rollouts.leader("f"), { instance: next.instance, fence: next.fence }, "an old lease takes nothing away");
    t.same(
      (await rollouts.recorded("f", "", 10)).map(({ text }) => text),
      ["noted"],
    );
  });

  t.test(`${kind}: what was published and recorded is read in order, from anywhere`, async (t) => {
    const { store } = await open(t);
    const { rollouts } = store;
    const lease = await lead(store);
    const texts = Array.from({ length: 1_203 }, (_, i) => `tick ${i} ü`);
    for (const text of texts) await rollouts.record("f", lease, text);
    const all = await rollouts.recorded("f", "", 5_000);
    t.same(
      all.map(({ text }) => text),
      texts,
    );
    t.same(
      (await rollouts.recorded("f", all[600]?.id ?? "", 601)).map(({ text }) => text),
      texts.slice(601, 1_202),
    );
    t.same(await rollouts.recorded("f", all.at(-1)?.id ?? "", 5), []);
    for (const text of texts.slice(0, 5)) await rollouts.publish("f", text);
    const published = await rollouts.published("f", "", 100);
    t.same(
      published.map(({ instance, text }) => [instance, text]),
      texts.slice(0, 5).map((text) => ["alone", text]),
    );
    t.same(await rollouts.published("f", published[2]?.id ?? "", 1), published.slice(3, 4));
    await t.rejects(rollouts.published("f", "yesterday", 1), RangeError);
    await t.rejects(rollouts.recorded("f", "yesterday", 1), RangeError);
  });

  t.test(`${kind}: what was decided on settings that are others by now is not written`, async (t) => {
    const { store } = await open(t);
    const { rollouts } = store;
    const revision = await store.change("f", { rollout_percentage: "10" }, ALICE);
    t.equal(await store.change("f", { rollout_percentage: "0" }, { who: "ops", reason: "it smells" }), revision + 1);
    const advance = { fields: { rollout_percentage: "25" }, by: ALICE };
    await t.rejects(rollouts.save("f", write(0, "on", { ...advance, ifRevision: revision })), { name: "RevisionConflict", current: 2 });
    await t.rejects(rollouts.save("f", write(0, "on", { by: ALICE, ifRevision: revision })), RevisionConflict, "nor a document alone");
    t.equal(await rollouts.load("f"), undefined);
    t.match(store.states[0], { revision: 2, settings: { weightBp: 0 } });
    t.equal((await store.audit("f", 10)).length, 2);
    t.same(await rollouts.save("f", write(0, "on", { ...advance, ifRevision: 2 })), { version: 1, revision: 3 });
    await t.rejects(rollouts.save("f", write(0, "on", { ...advance, ifRevision: 9 })), DocumentConflict, "the document counts first");
  });

  t.test(`${kind}: a write that lowers is a revision of its own, and raises nothing that was lowered meanwhile`, async (t) => {
    const { store, watch } = await open(t);
    const { rollouts } = store;
    const back = (text: string) =>
      write(Number(text), text, { fields: { rollout_percentage: "0", "segment.beta": "0" }, by: ALICE, lowers: true });
    t.same(await rollouts.save("f", back("0")), { version: 1, revision: 1 });
    t.same(await rollouts.save("f", back("1")), { version: 2, revision: 2 }, "although every figure is that already");
    t.match(watch.states.at(-1), { revision: 2, settings: { weightBp: 0 } });
    await t.rejects(store.change("f", { rollout_percentage: "50" }, ALICE, 1), RevisionConflict, "who put 50 aside is told");
    t.same(
      (await store.audit("f", 10)).map(({ who, revision, status, changes }) => [who, revision, status, changes.length]),
      [
        ["alice", 2, "accepted", 0],
        ["alice", 1, "accepted", 2],
      ],
    );
    await store.change("f", { rollout_percentage: "3" }, { who: "ops", reason: "less" });
    const stage = write(2, "stage", { fields: { rollout_percentage: "8", "segment.beta": "8" }, lowers: true });
    t.same(await rollouts.save("f", stage), { version: 3, revision: 4 });
    t.match(watch.states.at(-1), { settings: { weightBp: 300, segments: [{ name: "beta", weightBp: 0 }, {}] } });
    await t.rejects(rollouts.save("f", { ...stage, version: 3, fields: { rollout_percentage: "much" } }), InvalidSettings);
    t.same(await rollouts.save("f", write(3, "noted", { lowers: true })), { version: 4, revision: 4 }, "without settings none is renewed");
  });

  t.test(`${kind}: a drill makes a revision that decides nothing`, async (t) => {
    const { store, watch } = await open(t);
    const before = watch.states.at(-1)?.settings;
    t.equal(await store.change("f", { drill: "2026-11-22 alice" }, ALICE), 1);
    t.strictSame(watch.states.at(-1), { ...watch.states[0], revision: 1, settings: { ...before, drill: "2026-11-22 alice" } });
    await t.rejects(store.change("f", { drill: "x".repeat(129) }, ALICE), InvalidSettings);
    await t.rejects(store.change("f", { drill: "two\nlines" }, ALICE), InvalidSettings);
    t.equal(await store.change("f", { drill: null }, ALICE), 2);
    t.strictSame(watch.states.at(-1)?.settings, before);
  });
}

t.test("two who race for the lease a thousand times: no number is held by two, and only the last one acts", async (t) => {
  const { open, keys } = redisWorld(t);
  const racers = await Promise.all(
    ["a", "b"].map(async (instance) => ({ instance, ...(await open(instance)), old: undefined as Lease | undefined })),
  );
  const holders = new Map<number, string>();
  let [version, highest, acted, fenced] = [0, 0, 0, 0];
  for (let round = 0; round < 1_000; round++) {
    // Whose word is sent first changes at odd intervals.
    if (round % 3 === 0) racers.reverse();
    const leases = await Promise.all(racers.map(({ store }) => store.rollouts.lead("f", 60_000)));
    const winners = racers.filter((_, i) => leases[i] !== undefined);
    if (winners.length !== 1) t.fail(`round ${round} has ${winners.length} leaders`);
    const [winner, lease] = [winners[0], leases.find((one) => one !== undefined)];
    if (winner === undefined || lease === undefined) throw new Error("nobody leads");
    if (lease.instance !== winner.instance || (holders.get(lease.fence) ?? winner.instance) !== winner.instance)
      t.fail(`${lease.fence} is held by two`);
    if (lease.fence <= highest) t.fail(`${lease.fence} after ${highest}`);
    holders.set(lease.fence, winner.instance);
    highest = lease.fence;
    // All who ever led try to act at once.
    const tries = await Promise.allSettled(
      racers.map(({ store, old }, i) =>
        store.rollouts.save("f", write(version, `${round}`, { lease: leases[i] ?? old ?? { instance: "a", fence: 1, at: 0 } })),
      ),
    );
    for (const [i, attempt] of tries.entries()) {
      if (attempt.status === "fulfilled") {
        if (leases[i] === undefined) t.fail("a save went through without the lease");
        acted++;
        version = attempt.value.version;
      } else if (attempt.reason instanceof Fenced) fenced++;
      else t.fail(String(attempt.reason));
    }
    winner.old = lease;
    // The lease ends: its time is over, it is given up, or the store has lost it.
    const end = round % 4;
    if (end === 0) await winner.store.rollouts.resign("f", lease);
    else if (end === 1) await foreign.del(keys.lease);
    else if (end === 2) await foreign.del(keys.lease, keys.fence);
    else {
      await foreign.del(keys.lease, keys.fence, keys.rollout);
      // Whoever holds the newest document has had a look.
      for (const { store } of racers) await store.rollouts.load("f");
    }
  }
  t.same([acted, fenced, holders.size], [1_000, 1_000, 1_000]);
  t.ok(new Set(holders.values()).size === 2, "each of them has led");
});

t.test("a save that is under way when another takes the lead comes before that, or not at all", async (t) => {
  const { open, keys } = redisWorld(t);
  const [a, b] = [await open("a"), await open("b")];
  let [version, went] = [0, 0];
  for (let round = 0; round < 100; round++) {
    const lease = await lead(a.store);
    await foreign.del(keys.lease);
    const saving = a.store.rollouts.save("f", write(version, `${round}`, { lease })).catch((error: unknown) => error);
    // From the same moment to some turns later.
    for (let turn = 0; turn < (round % 10) * 20; turn++) await Promise.resolve();
    if (round % 2 === 0) await a.store.rollouts.leader("f");
    const next = await lead(b.store);
    const seen = (await b.store.rollouts.load("f"))?.version ?? 0;
    const outcome = await saving;
    if (outcome instanceof Fenced) version = seen;
    else if (typeof outcome === "object" && outcome !== null && "version" in outcome) {
      if (outcome.version !== seen) t.fail(`version ${String(outcome.version)} was written when another led and had read ${seen}`);
      went++;
      version = seen;
    } else t.fail(String(outcome));
    await b.store.rollouts.resign("f", next);
  }
  t.ok(went < 100, `${went} of 100 went before`);
});

t.test("of two who write the same version at once, one is told", async (t) => {
  const { open } = redisWorld(t);
  const both = await Promise.all([open("a"), open("b")]);
  for (let version = 0; version < 100; version++) {
    const tries = await Promise.allSettled(both.map(({ store }, i) => store.rollouts.save("f", write(version, `${version} by ${i}`))));
    const written = tries.filter(({ status }) => status === "fulfilled");
    const told = tries.filter((one) => one.status === "rejected" && one.reason instanceof DocumentConflict);
    if (written.length !== 1 || told.length !== 1) t.fail(`version ${version}: ${written.length} written, ${told.length} told`);
    const winner = tries.findIndex(({ status }) => status === "fulfilled");
    t.same(await both[1 - winner]?.store.rollouts.load("f"), { version: version + 1, text: `${version} by ${winner}` });
  }
});

t.test("a lease ends by itself, and one program restarted under its old name is another holder", async (t) => {
  const { open, keys } = redisWorld(t);
  const { store } = await open("same");
  const lease = await lead(store, 60_000);
  const again = await open("same");
  t.equal(await again.store.rollouts.lead("f", 60_000), undefined);
  await t.rejects(again.store.rollouts.save("f", write(0, "x", { lease })), Fenced);
  await lead(store, 40);
  t.ok((await foreign.pttl(keys.lease)) <= 40);
  let next: Lease | undefined;
  while (next === undefined) next = await again.store.rollouts.lead("f", 60_000);
  t.ok(next.fence > lease.fence);
  t.equal(await store.rollouts.lead("f", 60_000), undefined);
});

t.test("the number of a lease does not go back when the clock or the store does", async (t) => {
  const { open, keys } = redisWorld(t);
  const [a, b] = [await open("a"), await open("b")];
  const first = await lead(a.store);
  await foreign.del(keys.fence, keys.lease);
  const { fence } = await lead((await open("knows nothing")).store);
  t.ok(fence > first.fence, "the time knows it, where nobody does");
  await foreign.del(keys.fence, keys.lease);
  const future = Date.now() * 1_000 + 1e12;
  await foreign.set(keys.fence, `${future}:somebody`);
  const lease = await lead(a.store);
  t.equal(lease.fence, future + 1);
  await a.store.rollouts.save("f", write(0, "one", { lease }));
  await foreign.del(keys.fence, keys.lease);
  t.equal((await lead(b.store)).fence, future + 2, "the document knows it");
  await b.store.rollouts.load("f");
  await foreign.del(keys.fence, keys.lease, keys.rollout);
  t.equal((await lead(b.store)).fence, future + 3, "who has seen it knows it");
  await foreign.set(keys.lease, "by hand");
  const after = await lead(a.store);
  t.ok(after.fence > future + 3, "a lease without an end is none");
  await foreign.set(keys.fence, "99999999999999999999:x");
  await foreign.del(keys.lease);
  t.ok(Number.isSafeInteger((await lead(a.store)).fence), "nor is a number that cannot grow");
});

t.test("nobody sees a document without its settings, nor settings without their document", async (t) => {
  const { open, keys } = redisWorld(t);
  const [a, b] = [await open("a"), await open("b")];
  const lease = await lead(a.store);
  let over = false;
  const looks: [string, string][] = [];
  const look = async (): Promise<void> => {
    while (!over) {
      const reply = await foreign.multi().hget(keys.flags, "rollout_percentage").hget(keys.rollout, "text").exec();
      looks.push([String(reply?.[0]?.[1]), String(reply?.[1]?.[1])]);
    }
  };
  const follow = async (): Promise<number> => {
    let seen = 0;
    while (!over) {
      const document = await b.store.rollouts.load("f");
      const weight = b.store.states[0]?.settings.weightBp ?? 0;
      if (weight < Number(document?.text ?? 0)) t.fail(`step ${document?.text ?? ""} while the settings are at ${weight}`);
      seen = Math.max(seen, Number(document?.text ?? 0));
    }
    return seen;
  };
  const watching = [look(), follow()];
  let version = 0;
  for (let step = 1; step <= 300; step++) {
    const fields = { rollout_percentage: String(step / 100) };
    ({ version } = await a.store.rollouts.save("f", write(version, String(step), { lease, fields, by: ALICE })));
  }
  over = true;
  const [, seen = 0] = await Promise.all(watching);
  t.ok(looks.length > 20 && seen > 20, `${looks.length} looks, step ${seen} seen by the other`);
  const written = looks.filter(([percentage]) => percentage !== "null");
  t.same(
    written.filter(([percentage, step]) => Math.round(Number(percentage) * 100) !== Number(step)),
    [],
  );
  t.equal((await a.store.audit("f", 1_000)).length, 300);
});

t.test("a person's act and an edit by hand go between the leader's writes, and neither is lost", async (t) => {
  const { open, keys } = redisWorld(t);
  const [a, b] = [await open("a"), await open("b")];
  const lease = await lead(a.store);
  const step = async ({ store }: OpenedStore, by: Lease | undefined, field: string): Promise<number> => {
    let conflicts = 0;
    for (let done = 0; done < 40;) {
      const { version, text } = (await store.rollouts.load("f")) ?? { version: 0, text: "" };
      const change = write(version, `${text}${field};`, { lease: by, fields: { [field]: String(done + 1) }, by: ALICE });
      try {
        await store.rollouts.save("f", change);
        done++;
      } catch (error) {
        if (!(error instanceof DocumentConflict)) throw error;
        conflicts++;
      }
    }
    return conflicts;
  };
  const hand = async (): Promise<void> => {
    for (let i = 1; i <= 40; i++) await foreign.hset(keys.flags, "monitoring.sampling_rate", String(i));
  };
  await Promise.all([step(a, lease, "rollout_percentage"), step(b, undefined, "segment.beta"), hand()]);
  const document = await a.store.rollouts.load("f");
  t.equal(document?.version, 80);
  t.equal(document?.text.split(";").filter((part) => part === "segment.beta").length, 40);
  t.same(await foreign.hgetall(keys.flags), { rollout_percentage: "40", "segment.beta": "40", "monitoring.sampling_rate": "40" });
  t.same(a.store.fields("f"), await foreign.hgetall(keys.flags), "the edits by hand are in force");
  const audit = await a.store.audit("f", 1_000);
  t.equal(audit.filter(({ who }) => who === "alice").length, 80);
  const revision = audit[0]?.revision ?? 0;
  t.same(
    audit.map((entry) => entry.revision),
    Array.from({ length: revision }, (_, i) => revision - i),
    "every number stands in the audit once",
  );
});

t.test("what others write of the rollout makes no noise among the settings", async (t) => {
  const keys = flagKeys("p:", "f", ["beta"]);
  const followed = followedPrefixes("p:", "f");
  for (const key of [keys.rollout, keys.lease, keys.fence, keys.windows, keys.record, keys.show]) {
    t.notOk(followed.some((prefix) => key.startsWith(prefix)));
    t.ok(key.startsWith("p:{f}:"), "one slot with the flag's other keys");
  }
});

t.test("streams and what is shown end by themselves", async (t) => {
  const { open, keys } = redisWorld(t);
  const { store } = await open("a");
  const lease = await lead(store);
  const ago = (minutes: number): number => lease.at - minutes * 60_000;
  for (let i = 0; i < 500; i++) await foreign.xadd(keys.windows, `${ago(16)}-${i}`, "i", "a", "t", `old ${"x".repeat(100)}`);
  for (let i = 0; i < 500; i++) await foreign.xadd(keys.windows, `${ago(14)}-${i}`, "i", "a", "t", `kept ${"x".repeat(100)}`);
  await Promise.all(Array.from({ length: 2_500 }, (_, i) => store.rollouts.publish("f", `tick ${i} ${"x".repeat(100)}`)));
  const published = await store.rollouts.published("f", "", 10_000);
  const starting = (word: string): number => published.filter(({ text }) => text.startsWith(word)).length;
  t.same([starting("kept"), starting("tick")], [500, 2_500], "all of a quarter of an hour, however often one publishes");
  t.ok(starting("old") < 100, `${starting("old")} older ones`);
  t.ok((await foreign.pttl(keys.windows)) > 1_190_000 && (await foreign.pttl(keys.windows)) <= 1_200_000);
  await store.rollouts.show("f", lease, "seen", 5_000);
  t.ok((await foreign.pttl(keys.show)) <= 5_000 && (await foreign.pttl(keys.show)) > 0);
  await foreign.pexpire(keys.show, 1);
  while ((await foreign.exists(keys.show)) === 1);
  t.equal(await store.rollouts.shown("f"), undefined);
});

t.test("the record is bounded by its bytes, and ends by itself", async (t) => {
  const { open, keys } = redisWorld(t);
  const { store } = await open("a");
  const lease = await lead(store);
  const bytesOf = async (): Promise<readonly number[]> => (await store.rollouts.recorded("f", "", 50_000)).map(({ text }) => text.length);
  for (let i = 0; i < 1_200; i++) await store.rollouts.record("f", lease, `${i} ${"x".repeat(1_000)}`);
  t.equal((await bytesOf()).length, 1_200);
  const large = "x".repeat(2 ** 22);
  for (let i = 0; i < 20; i++) await store.rollouts.record("f", lease, large);
  const kept = await bytesOf();
  const sum = kept.reduce((all, bytes) => all + bytes, 0);
  t.ok(sum <= 2 ** 26 && sum > 2 ** 26 - 2 ** 22 - 1_100, `${kept.length} entries of ${sum} bytes`);
  t.equal(kept.at(-1), large.length, "the newest are kept");
  const ttl = await foreign.pttl(keys.record);
  t.ok(ttl > 59 * 86_400_000 && ttl <= 60 * 86_400_000);
  await foreign.del(keys.record);
  await foreign.xadd(keys.record, "*", "mine", "too");
  await store.rollouts.record("f", lease, "after somebody's own");
  t.same(
    (await store.rollouts.recorded("f", "", 9)).map(({ text }) => text),
    ["", "after somebody's own"],
  );
});

t.test("others hear at once of a rollback that changes no figure", async (t) => {
  const { open } = redisWorld(t);
  const [a, b] = [await open("a"), await open("b")];
  const first = write(0, "0", { fields: { rollout_percentage: "0" }, lowers: true });
  await a.store.rollouts.save("f", first);
  await b.watch.state(({ revision }) => revision === 1);
  const begun = performance.now();
  for (let version = 1; version <= 20; version++) {
    const { revision } = await a.store.rollouts.save("f", { ...first, version });
    await b.watch.state((state) => state.revision === revision);
  }
  // By looking alone, once a second, it would be ten.
  t.ok(performance.now() - begun < 5_000, `twenty took ${(performance.now() - begun).toFixed(0)} ms`);
});

t.test("a hand that comes between a look and its write wins", async (t) => {
  const { open } = redisWorld(t);
  const [leader, operator] = [await open("a"), await open("b")];
  let [version, written, told] = [0, 0, 0];
  for (let round = 0; round < 300; round++) {
    const { revision } = await leader.store.rollouts.save("f", write(version, "at 10", { fields: { rollout_percentage: "10" } }));
    version++;
    const advance = write(version, "at 25", { fields: { rollout_percentage: "25" }, ifRevision: revision });
    const zero = operator.store.change("f", { rollout_percentage: "0" }, ALICE);
    const [, save] = await Promise.allSettled(
      round % 2 === 0
        ? [zero, leader.store.rollouts.save("f", advance)]
        : [zero, foreign.ping().then(() => leader.store.rollouts.save("f", advance))],
    );
    if (save?.status === "fulfilled") {
      version++;
      written++;
    } else if (save?.reason instanceof RevisionConflict) told++;
    else t.fail(String(save?.reason));
    await leader.store.rollouts.load("f");
    if (leader.store.states[0]?.settings.weightBp !== 0) t.fail(`round ${round}: the operator's 0 was overwritten`);
  }
  t.ok(told > 0, `${written} came before the operator, ${told} after`);
});

t.test("no key of ours that somebody has spoiled keeps a person from rolling back", async (t) => {
  const { open, keys } = redisWorld(t);
  const log = recordLog();
  const { store, watch } = await open("a", log);
  const { rollouts } = store;
  let version = 0;
  const back = (): DocumentWrite => write(version, "back", { fields: { rollout_percentage: "0" }, by: ALICE, lowers: true });
  const on = (): DocumentWrite => write(version, "on", { fields: { rollout_percentage: "10" }, by: ALICE });
  const rollBack = async (what: string): Promise<void> => {
    t.match(await rollouts.save("f", back()), { version: version + 1 }, what);
    version++;
    t.match(store.states[0], { settings: { weightBp: 0 } });
  };
  for (const key of [keys.show, keys.lease, keys.fence]) {
    await rollouts.save("f", on());
    version++;
    await foreign.del(key);
    await foreign.hset(key, "a", "b");
    t.same([await rollouts.leader("f"), await rollouts.shown("f")], [undefined, undefined]);
    await rollBack(key);
    await foreign.del(key);
  }
  for (const spoil of [
    () => foreign.set(keys.audit, "mine"),
    () => foreign.xadd(keys.audit, "18446744073709551615-18446744073709551615", "a", "b"),
  ]) {
    await foreign.del(keys.audit);
    await rollouts.save("f", on());
    version++;
    await foreign.del(keys.audit);
    await spoil();
    log.lines.length = 0;
    await rollBack("audit");
    t.match(
      log.lines.find(({ message }) => message.includes(`${keys.audit} takes no entry; delete or rename it`)),
      { details: { entries: [{ who: "alice", reason: "it is time" }] } },
      "what is not recorded stands in the log",
    );
    await rollBack("once more, where nothing changes");
    t.match(await store.kill("f", true, ALICE), { shared: true }, "nor from a kill");
    t.equal(await store.change("f", { "segment.beta": "0" }, ALICE), store.states[0]?.revision, "nor from lowering by hand");
    await foreign.hset(keys.flags, "segment.beta_users", "0");
    await watch.state(({ settings }) => settings.segments[1]?.weightBp === 0);
    t.equal(store.health.up, true);
    await foreign.del(keys.audit);
    await store.kill("f", false, ALICE);
    await store.change("f", { "segment.beta": null, "segment.beta_users": null }, ALICE);
  }
  await foreign.del(keys.audit);
  await foreign.set(keys.audit, "mine");
  await t.rejects(rollouts.save("f", on()), /audit holds a string where a stream belongs/, "what raises is recorded, or refused");
  await t.rejects(rollouts.save("f", write(version, "approved", { by: ALICE })), /audit holds/, "and so is what a person says");
  t.match(store.states[0], { settings: { weightBp: 0 } });
});

t.test("a document of 200 kB is sent once to each who follows, not with every look", async (t) => {
  const { open } = redisWorld(t);
  const [a, b] = [await open("a"), await open("b")];
  const text = "ü".repeat(100_000);
  const begun = performance.now();
  await a.store.rollouts.save("f", write(0, text));
  t.comment(`a save of 200 kB took ${(performance.now() - begun).toFixed(1)} ms`);
  t.same(await b.store.rollouts.load("f"), { version: 1, text });
  const sent = async (): Promise<number> => Number(/total_net_output_bytes:(\d+)/.exec(await redis.cli("INFO", "stats"))?.[1]);
  const before = await sent();
  for (let i = 0; i < 50; i++) await b.store.rollouts.load("f");
  t.ok((await sent()) - before < 150_000, `${(await sent()) - before} bytes for 50 looks`);
  t.equal((await a.store.rollouts.load("f"))?.text.length, 100_000);
});

t.test("what a fleet publishes, in bytes", async (t) => {
  const { open, keys } = redisWorld(t);
  const { store } = await open("a");
  await foreign.del(keys.windows);
  const figure = async (section: string, name: string): Promise<number> =>
    Number(new RegExp(`${name}:(\\d+)`).exec(await redis.cli("INFO", section))?.[1]);
  for (const size of [500, 2_000, 10_000]) {
    await foreign.del(keys.windows);
    const text = "x".repeat(size);
    await store.rollouts.publish("f", text);
    const before = await figure("stats", "total_net_input_bytes");
    const begun = performance.now();
    for (let i = 0; i < 900; i++) await store.rollouts.publish("f", text);
    const took = performance.now() - begun;
    const bytes = ((await figure("stats", "total_net_input_bytes")) - before) / 900;
    const kept = Number(await foreign.memory("USAGE", keys.windows, "SAMPLES", 0));
    t.comment(
      `a tick of ${size} B a second: ${Math.round(bytes)} B/s an instance, ${(kept / 1e6).toFixed(2)} MB for 15 min; ${(took / 900).toFixed(2)} ms each`,
    );
    t.ok(bytes < size + 500, `${bytes} bytes`);
  }
});

t.test("a key of another type is named, and the settings go on", async (t) => {
  const { open, keys } = redisWorld(t);
  const { store, watch } = await open("a");
  const lease = await lead(store);
  const { rollouts } = store;
  const spoiled: readonly (readonly [string, "set" | "sadd", RegExp, readonly (() => Promise<unknown>)[]])[] = [
    [
      keys.lease,
      "sadd",
      /lease holds a set where a string belongs.*delete or rename it/,
      [() => rollouts.lead("f", 9), () => rollouts.resign("f", lease)],
    ],
    [keys.fence, "sadd", /fence holds a set where a string belongs/, [() => rollouts.lead("f", 9), () => rollouts.record("f", lease, "x")]],
    [keys.windows, "set", /windows holds/, [() => rollouts.publish("f", "x"), () => rollouts.published("f", "", 1)]],
    [keys.record, "set", /record holds/, [() => rollouts.record("f", lease, "x"), () => rollouts.recorded("f", "", 1)]],
    [keys.show, "sadd", /show holds a set/, [() => rollouts.show("f", lease, "x", 9)]],
    [
      keys.rollout,
      "set",
      /rollout is not the document of a rollout; delete or rename it/,
      [() => rollouts.load("f"), () => rollouts.save("f", write(0, "x"))],
    ],
  ];
  for (const [key, how, message, works] of spoiled) {
    const kept = await foreign.dumpBuffer(key);
    await foreign.del(key);
    await (how === "set" ? foreign.set(key, "1") : foreign.sadd(key, "1"));
    for (const work of works) await t.rejects(work(), { name: "StoreUnavailable", message });
    t.match(await store.change("f", { rollout_percentage: String(spoiled.findIndex(([one]) => one === key) + 1) }, ALICE), Number);
    await foreign.del(key);
    if (kept !== null) await foreign.restore(key, 0, kept);
  }
  t.equal(watch.healths.length, 1, "nobody thought the store away");
  await foreign.hset(keys.rollout, "version", "one");
  t.match(await watch.rejection((r) => r.field === "rollout"), { kind: "wrong-type" });
  await foreign.del(keys.rollout);
  t.same(await rollouts.save("f", write(0, "x")), { version: 1, revision: 6 });
  await foreign.hset(keys.rollout, "text", "y".repeat(2 ** 20 + 1));
  await t.rejects(rollouts.load("f"), /is not the document/);
});

t.test("a flag whose hash cannot be read still has its rollout noted, but nothing set", async (t) => {
  const { open, keys } = redisWorld(t);
  const { store, watch } = await open("a");
  await foreign.set(keys.flags, "25");
  await watch.rejection((r) => r.field === "flags");
  t.same(await store.rollouts.save("f", write(0, "held", { by: ALICE })), { version: 1, revision: 0 });
  await t.rejects(store.rollouts.save("f", write(1, "on", { fields: { rollout_percentage: "5" } })), InvalidSettings);
  t.same(await store.rollouts.load("f"), { version: 1, text: "held" });
  await foreign.del(keys.rollout);
  t.same(await store.rollouts.load("f"), { version: 1, text: "held" }, "and it is written back");
});

t.test("memory: document and record survive a restart, and half a line is no entry", async (t) => {
  const directory = await folder(t);
  const first = await openMemory(t, directory);
  const lease = await lead(first.store);
  await first.store.rollouts.save("f", write(0, "one", { lease, fields: { rollout_percentage: "10" } }));
  for (const text of ["r1", "r2"]) await first.store.rollouts.record("f", lease, text);
  // As after kill -9: nothing is closed.
  const file = (await readdir(directory)).find((name) => name.includes(".record.")) ?? "";
  await writeFile(join(directory, file), '{"id":"99999999999999-0","text":"ha', { flag: "a" });

  const second = await openMemory(t, directory);
  t.same(await second.store.rollouts.load("f"), { version: 1, text: "one" });
  t.match(second.store.states[0], { revision: 1, settings: { weightBp: 1_000 } });
  await t.rejects(second.store.rollouts.save("f", write(1, "two", { lease })), Fenced);
  const next = await lead(second.store);
  t.ok(next.fence > lease.fence);
  await second.store.rollouts.record("f", next, "r3");
  const record = await second.store.rollouts.recorded("f", "", 10);
  t.same(
    record.map(({ text }) => text),
    ["r1", "r2", "r3"],
  );
  t.ok(isAfter(record[2]?.id ?? "", record[1]?.id ?? ""));
});

t.test("memory: the record is bounded, by files and without a directory", async (t) => {
  const directory = await folder(t);
  for (const where of [directory, undefined]) {
    let now = 1_000;
    const log = createRecordLog({ directory: where, flag: "f", log: recordLog(), now: () => now });
    if (where !== undefined) {
      // Files as they are after a long time: whoever appends one entry more drops the oldest.
      for (let file = 0; file < 21; file++) {
        const lines = Array.from({ length: 2_500 }, (_, i) => `${JSON.stringify({ id: `${100 + file}-${i}`, text: `${file}/${i}` })}\n`);
        await writeFile(join(directory, `f.record.${100 + file}-0.log`), lines.join(""));
      }
    } else for (let i = 0; i < 52_500; i++) await log.append(`${Math.floor(i / 2_500)}/${i % 2_500}`);
    now = 2_000;
    await log.append("last");
    const all = await log.read("", 100_000);
    t.equal(all.length, where === undefined ? 50_000 : 50_001);
    t.equal(all.at(-1)?.text, "last");
    t.equal(all.at(-2)?.text, "20/2499");
    t.equal(all[0]?.text, where === undefined ? "1/1" : "1/0");
    t.same(
      (await log.read(all[24_999]?.id ?? "", 2)).map(({ text }) => text),
      all.slice(25_000, 25_002).map(({ text }) => text),
    );
  }
});

t.test("memory: a disk that refuses the record is complained of once, and does not stop the rollout", async (t) => {
  const directory = await folder(t);
  const blocked = join(directory, "file");
  await writeFile(blocked, "");
  const log = recordLog();
  const record = createRecordLog({ directory: join(blocked, "below"), flag: "f", log, now: Date.now });
  await record.append("one");
  await record.append("two");
  t.match(log.lines, [{ level: "warn", message: /cannot be kept on disk; make room/ }]);
  t.equal(log.lines.length, 1);
});

t.test("ids grow whatever the clock does", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), (clock) => {
      let last = "";
      return clock.every((now) => {
        const id = idAfter(last, now);
        const grows = isAfter(id, last);
        last = id;
        return grows;
      });
    }),
  );
  t.notOk(isAfter("5-1", "5-1"));
  t.ok(isAfter("5-10", "5-9"));
  t.pass();
});

/** Instances that look one after the other at a store that somebody else does not touch. */
t.test("whatever instances hold, they and the store come to one document, and it is the newest", async (t) => {
  const document = fc
    .record({ version: fc.integer({ min: 1, max: 4 }), fence: fc.integer({ min: 0, max: 2 }), text: fc.constantFrom("p", "q") })
    .map((one): HeldDocument => ({ ...one, digest: digestOf(one.text), history: "h" }));
  fc.assert(
    fc.property(
      fc.array(fc.option(document, { nil: undefined }), { minLength: 1, maxLength: 4 }),
      fc.option(document, { nil: undefined }),
      (held, begun) => {
        const all = [...held, begun].flatMap((one) => (one === undefined ? [] : [one]));
        let stored = begun;
        const holds = [...held];
        const viewed = (): DocumentView => (stored === undefined ? { kind: "none" } : { kind: "document", ...stored });
        for (let round = 0; round < 12; round++) {
          for (const i of holds.keys()) {
            const step = reconcile(holds[i], viewed(), "h");
            if (step.kind === "restore") stored = step.document;
            else holds[i] = documentAfter(holds[i], { document: viewed(), history: "h" }); // Only these two are looked at.
          }
        }
        const newest = Math.max(0, ...all.map(({ version }) => version));
        return (
          holds.every((one) => identOf(one) === identOf(stored)) &&
          (stored?.version ?? 0) >= newest &&
          (all.length === 0) === (stored === undefined)
        );
      },
    ),
    { numRuns: 2_000 },
  );
  t.pass();
});

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Redis } from "ioredis";
import t, { type Test } from "tap";
import { readFields } from "../src/config/settings.ts";
import { buildStringSet, StringSet } from "../src/core/string-set.ts";
import { createStore } from "../src/store/create.ts";
import { isLost, judgeEdit, writeBack } from "../src/store/decide.ts";
import { FROM_FILE } from "../src/store/held.ts";
import { followedPrefixes } from "../src/store/keys.ts";
import { createLastGood } from "../src/store/last-good.ts";
import { stickySecret } from "../src/store/sticky-secret.ts";
import { InvalidSettings, RevisionConflict, type SettingsStore } from "../src/store/store.ts";
import { type Fields, sameFields, type View, withFields } from "../src/store/view.ts";
import { startRedis, until } from "./support/redis.ts";
import { flagOf, recordLog, type StoreWatch, watchStore } from "./support/store-watch.ts";
import { storeWorld, type StoreWorld } from "./support/store-world.ts";

const redis = await startRedis();
const foreign = new Redis(redis.port, { protocol: 2 });
t.teardown(async () => {
  foreign.disconnect();
  await redis.stop();
});

const ME = { who: "tester", reason: "because" };

interface World extends StoreWorld {
  /** Names of the flag's keys. */
  readonly key: (name: string) => string;
}

function world(t: Test): World {
  const made = storeWorld(t, redis);
  return { ...made, key: (name) => `${made.prefix}{f}:${name}` };
}

/** Milliseconds of a share of the sorted figures. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function users(buffer: SharedArrayBuffer | undefined): string[] {
  return buffer ? [...new StringSet(buffer).values()].toSorted() : [];
}

async function directory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "crossfade-state-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

t.test("a bare HSET reaches every instance, under one number and with one audit entry", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  t.equal(a.store.health.origin, "store");
  t.equal(a.watch.states.at(-1)?.revision, 0);

  await foreign.hset(key("flags"), "rollout_percentage", "25", "segment.beta", "10");
  for (const { watch, store } of [a, b]) {
    const state = await watch.state((s) => s.revision === 1);
    t.equal(state.settings.weightBp, 2_500);
    t.equal(state.settings.segments[0]?.weightBp, 1_000);
    t.same(store.fields("f"), { rollout_percentage: "25", "segment.beta": "10" });
  }
  const audit = await a.store.audit("f", 10);
  t.equal(audit.length, 1);
  t.match(audit[0], { who: "redis", status: "accepted", revision: 1 });
  t.same(audit[0]?.changes, [
    { field: "rollout_percentage", from: null, to: "25" },
    { field: "segment.beta", from: null, to: "10" },
  ]);
  const late = await open("c");
  t.equal(late.watch.states.at(-1)?.revision, 1, "an instance that comes later has the same number");
});

t.test("200 edits are seen in order by two instances", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  const took: number[] = [];
  for (let edit = 1; edit <= 200; edit++) {
    const begun = performance.now();
    await foreign.hset(key("flags"), "rollout_percentage", String(edit / 2));
    await Promise.all([a, b].map(({ watch }) => watch.state((s) => s.settings.weightBp === edit * 50)));
    took.push(performance.now() - begun);
  }
  for (const { watch } of [a, b]) {
    t.same(
      watch.states.map((s) => [s.revision, s.settings.weightBp]),
      Array.from({ length: 201 }, (_, i) => [i, i * 50]),
    );
  }
  t.equal((await a.store.audit("f", 1_000)).length, 200);
  const sorted = took.toSorted((x, y) => x - y);
  t.comment(`edit to both instances: p50 ${quantile(sorted, 0.5).toFixed(2)} ms, p99 ${quantile(sorted, 0.99).toFixed(2)} ms`);
});

t.test("an invalid value changes nothing, is reported by all and audited once", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  await foreign.hset(key("flags"), "rollout_percentage", "25");
  await Promise.all([a, b].map(({ watch }) => watch.state((s) => s.revision === 1)));

  await foreign.hset(key("flags"), "rollout_percentage", "101", "segment.beta", "30");
  for (const { watch } of [a, b]) {
    const rejection = await watch.rejection((r) => r.field === "rollout_percentage");
    t.match(rejection, { flag: "f", value: "101", kind: "invalid-value" });
    t.match(rejection.message, /0 to 100/);
  }
  await until(async () => (await a.store.audit("f", 10)).length === 2, "the refusal in the audit");
  t.match((await a.store.audit("f", 10))[0], { status: "refused", revision: 1, who: "redis" });

  const late = await open("late");
  t.match(late.watch.states.at(-1), { revision: 1, settings: { weightBp: 2_500 } }, "no part of it is in force");
  t.equal(late.watch.rejections.length, 1, "one who comes later is told too");

  await foreign.hset(key("flags"), "enabled", "false");
  for (const { watch } of [a, b, late]) {
    const state = await watch.state((s) => !s.settings.enabled);
    t.match(state, { revision: 2, settings: { weightBp: 2_500 } }, "a later edit goes through, the refused one stays out");
  }
  await foreign.hset(key("flags"), "rollout_percentage", "30");
  for (const { watch } of [a, b, late]) {
    const state = await watch.state((s) => s.revision === 3);
    t.equal(state.settings.weightBp, 3_000);
    t.equal(state.settings.segments[0]?.weightBp, 3_000, "once all is right, all is in force");
    t.equal(watch.rejections.length, 1, "nothing is reported twice");
  }
  const audit = await a.store.audit("f", 10);
  t.same(
    audit.map((entry) => [entry.revision, entry.status]),
    [
      [3, "accepted"],
      [2, "accepted"],
      [1, "refused"],
      [1, "accepted"],
    ],
  );
});

t.test("an unknown field is reported with the nearest one, and a kill gets through beside a typo", async (t) => {
  const { open, key } = world(t);
  const { store, watch } = await open("a");
  await foreign.hset(key("flags"), "rollout_percentag", "25", "kill_switch", "on");
  const state = await watch.state((s) => s.settings.killSwitch);
  t.equal(state.revision, 1);
  const rejection = await watch.rejection((r) => r.kind === "unknown-field");
  t.match(rejection.message, /rollout_percentage/);
  const audit = await store.audit("f", 10);
  t.same(
    audit.map(({ status, changes }) => [status, changes.map(({ field }) => field)]),
    [
      ["refused", ["rollout_percentag"]],
      ["accepted", ["kill_switch"]],
    ],
  );
});

t.test("sets of users are followed, numbered once and audited", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  const both = [a, b];
  const settled = async (revision: number): Promise<void> => {
    for (const { watch } of both) await watch.state((s) => s.revision === revision);
  };
  await foreign.sadd(key("segment:beta_users"), "u1", "u2", "ünïcode");
  await settled(1);
  for (const { watch } of both) t.same(users(watch.states.at(-1)?.members["beta_users"]), ["u1", "u2", "ünïcode"]);
  await foreign.sadd(key("allow"), "vip");
  await settled(2);
  await foreign.sadd(key("deny"), "foe");
  await settled(3);
  await foreign.multi().srem(key("segment:beta_users"), "u1").sadd(key("segment:beta_users"), "u3").exec();
  await settled(4);
  for (const { watch } of both) {
    const state = watch.states.at(-1);
    t.same(users(state?.members["beta_users"]), ["u2", "u3", "ünïcode"], "an edit that keeps the size is seen");
    t.same([users(state?.allow), users(state?.deny)], [["vip"], ["foe"]]);
    t.notOk(state?.members["beta"]);
  }
  await foreign.del(key("segment:beta_users"));
  await settled(5);
  for (const { watch } of both) t.equal(watch.states.at(-1)?.members["beta_users"], undefined);
  const audit = await a.store.audit("f", 10);
  t.same(
    audit.map(({ revision, changes }) => [revision, changes[0]?.field, changes[0]?.from, changes[0]?.to]),
    [
      [5, "segment:beta_users", "3 users", null],
      [4, "segment:beta_users", "3 users", "3 users"],
      [3, "deny", null, "1 users"],
      [2, "allow", null, "1 users"],
      [1, "segment:beta_users", null, "3 users"],
    ],
  );
  t.same(
    a.watch.states.map(({ revision }) => revision),
    [0, 1, 2, 3, 4, 5],
    "one state a change",
  );
});

t.test("change() writes all or nothing, with author, number and conflict", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  t.equal(await a.store.change("f", { rollout_percentage: "10", "segment.beta": "20" }, ME), 1);
  t.match(a.store.states[0], { revision: 1, settings: { weightBp: 1_000 } }, "in force here at once");
  await b.watch.state((s) => s.revision === 1);

  await t.rejects(a.store.change("f", { rollout_percentage: "12", enabled: "perhaps" }, ME), InvalidSettings);
  await t.rejects(a.store.change("f", { rollout_percentage: "12" }, ME, 0), RevisionConflict);
  t.same(await foreign.hgetall(key("flags")), { rollout_percentage: "10", "segment.beta": "20" }, "neither wrote anything");
  t.equal(await a.store.change("f", { rollout_percentage: "10" }, ME), 1, "nothing differs: the number stays");
  t.equal(await b.store.change("f", { rollout_percentage: "12", "segment.beta": null }, ME, 1), 2);
  t.match(await a.watch.state((s) => s.revision === 2), { settings: { weightBp: 1_200 } });
  t.equal(a.watch.states.at(-1)?.settings.segments[0]?.weightBp, 5_000, "a removed field has the file's value");
  const audit = await a.store.audit("f", 10);
  t.match(audit, [
    { who: "tester", reason: "because", revision: 2, status: "accepted" },
    { who: "tester", reason: "because", revision: 1, status: "accepted" },
  ]);
  t.throws(() => a.store.fields("other"), /no flag "other"; known: f/);
});

t.test("a change puts right what a bare edit left wrong", async (t) => {
  const { open, key } = world(t);
  const { store, watch } = await open("a");
  await foreign.hset(key("flags"), "rollout_percentage", "40", "enabled", "perhaps");
  await watch.rejection((r) => r.field === "enabled");
  t.equal(await store.change("f", { rollout_percentage: "40" }, ME), 1, "a value that stands there refused is a change");
  t.match(store.states[0], { settings: { weightBp: 4_000, enabled: true } });
  t.equal(await store.change("f", { enabled: null }, ME), 1, "taking the wrong value away changes nothing in force");
  t.same(await foreign.hgetall(key("flags")), { rollout_percentage: "40" });
});

t.test("changes and bare edits at once: one number each, and all agree in the end", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      await Promise.all([
        a.store.change("f", { rollout_percentage: String(i + 1) }, { who: "a", reason: "" }),
        b.store.change("f", { "segment.beta": String(i + 1) }, { who: "b", reason: "" }),
        foreign.hset(key("flags"), "segment.beta_users", String(i + 1)),
      ]);
    }),
  );
  const last = Number((await foreign.get(key("revision")))?.split(":")[0]);
  const states = await Promise.all([a, b].map(({ watch }) => watch.state((s) => s.revision === last)));
  t.same(states[0]?.settings, states[1]?.settings);
  t.same(a.store.fields("f"), await foreign.hgetall(key("flags")));
  const audit = (await a.store.audit("f", 1_000)).toReversed();
  t.same(
    audit.map(({ revision }) => revision),
    Array.from({ length: last }, (_, i) => i + 1),
    "every number stands in the audit once",
  );
  t.equal(audit.filter(({ who }) => who === "a").length, 20);
  t.equal(audit.filter(({ who }) => who === "b").length, 20);
});

t.test("a DEL of the flags is a return to the file's values", async (t) => {
  const { open, key } = world(t);
  const { watch } = await open("a");
  await foreign.hset(key("flags"), "rollout_percentage", "25");
  await watch.state((s) => s.revision === 1);
  await foreign.del(key("flags"));
  t.match(await watch.state((s) => s.revision === 2), { settings: { weightBp: 0 } });
  t.equal(await foreign.exists(key("flags")), 0, "and nobody writes it back");
});

t.test("a key of a wrong type is reported and the last good goes on", async (t) => {
  const { open, key } = world(t);
  const { store, watch } = await open("a");
  await foreign.hset(key("flags"), "rollout_percentage", "25");
  await foreign.sadd(key("allow"), "vip");
  await watch.state((s) => s.revision === 2 && s.allow !== undefined);
  await foreign.set(key("flags"), "25");
  const rejection = await watch.rejection((r) => r.kind === "wrong-type" && r.field === "flags");
  t.match(rejection.message, /is not a hash/);
  await foreign.set(key("allow"), "vip");
  t.match(await watch.rejection((r) => r.field === "allow"), { kind: "wrong-type", flag: "f" });
  await t.rejects(store.change("f", { enabled: "false" }, ME), InvalidSettings);
  t.match(store.states[0], { revision: 2, settings: { weightBp: 2_500 } });
  t.same(users(store.states[0]?.allow), ["vip"]);
  t.equal(store.health.up, true);

  t.match(await store.kill("f", true, ME), { shared: false }, "a kill works here all the same");
  t.equal(store.states[0]?.settings.killSwitch, true);
  await foreign.del(key("flags"), key("allow"));
  await until(async () => (await foreign.hget(key("flags"), "kill_switch")) === "true", "the kill to be shared");
  await watch.state((s) => s.allow === undefined && s.settings.killSwitch && s.settings.weightBp === 0);
});

t.test("a huge value is refused without a look at it, and stalls nobody", async (t) => {
  const { open, key } = world(t);
  const { store, watch } = await open("a");
  await foreign.hset(key("flags"), "rollout_percentage", "25");
  await watch.state((s) => s.revision === 1);
  await foreign.hset(key("flags"), "segment.beta", "9".repeat(20_000_000));
  t.match(await watch.rejection((r) => r.field === "flags"), { kind: "wrong-type", message: /more than 1,000 fields or 64 KiB/ });
  t.match(store.states[0], { revision: 1, settings: { weightBp: 2_500 } });
  t.equal(await foreign.hget(key("seen"), "segment.beta"), null, "nor is it copied");
  await t.rejects(store.change("f", { enabled: "false" }, ME), InvalidSettings);
  await foreign.hset(key("flags"), "segment.beta", "9");
  t.match(await watch.state((s) => s.revision === 2), { settings: { weightBp: 2_500, segments: [{ weightBp: 900 }] } });
  t.same(store.rejections, []);
});

t.test("half a character in a reason is no fault of the store", async (t) => {
  const { open } = world(t);
  const { store, watch } = await open("a");
  t.equal(await store.change("f", { rollout_percentage: "10" }, { who: "half \ud83d", reason: "a smile \ud83d" }), 1);
  t.match(await store.audit("f", 1), [{ who: "half \ufffd", reason: "a smile \ufffd" }]);
  t.ok(watch.healths.every(({ up }) => up));
});

t.test("a receipt names who has not confirmed, and who is gone", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  const revision = await a.store.change("f", { rollout_percentage: "10" }, ME);
  a.store.acknowledge("f", revision);
  await until(async () => (await a.store.instances("f")).some((one) => one.instance === "a" && one.revision === revision), "a's word");
  t.match(await a.store.instances("f"), [
    { instance: "a", revision: 1, alive: true },
    { instance: "b", revision: 0, alive: true },
  ]);
  b.store.acknowledge("f", revision);
  await until(async () => (await a.store.instances("f")).every((one) => one.revision === revision), "b's word");

  const now = Number((await redis.cli("TIME")).split("\n")[0]) * 1_000;
  await foreign.hset(key("instances"), "dead", JSON.stringify({ revision: 0, at: now - 8_000 }));
  await foreign.hset(key("instances"), "forgotten", JSON.stringify({ revision: 0, at: now - 70_000 }), "garbage", "?");
  await foreign.hset(key("instances"), "ahead", JSON.stringify({ revision: 0, at: now + 3_600_000 }));
  t.match(
    (await a.store.instances("f")).find((one) => one.instance === "dead"),
    { alive: false, revision: 0 },
    "one that is silent is named, as not alive",
  );
  t.notOk(
    (await a.store.instances("f")).some((one) => one.instance === "ahead" && one.alive),
    "nor is one from before the clock was set back",
  );
  a.store.acknowledge("f", revision);
  await until(async () => (await foreign.hkeys(key("instances"))).toSorted().join() === "a,b,dead", "the long silent to be forgotten");
  await b.store.close();
  t.notOk(await foreign.hexists(key("instances"), "b"), "one that ends withdraws");
});

t.test("kill and revival reach everyone", async (t) => {
  const { open, key } = world(t);
  const a = await open("a");
  const b = await open("b");
  t.same(await a.store.kill("f", true, ME), { revision: 1, shared: true });
  await b.watch.state((s) => s.settings.killSwitch && s.revision === 1);
  t.equal(await foreign.hget(key("flags"), "kill_switch"), "true");
  t.same(await b.store.kill("f", false, ME), { revision: 2, shared: true });
  await a.watch.state((s) => !s.settings.killSwitch && s.revision === 2);
  await foreign.hset(key("flags"), "kill_switch", "1");
  await a.watch.state((s) => s.settings.killSwitch);
  await foreign.hdel(key("flags"), "kill_switch");
  await a.watch.state((s) => !s.settings.killSwitch);
});

t.test("prefixes of what is followed never begin one another, whatever the names", async (t) => {
  const prefixes = ["v2", "v2_migration"].flatMap((flag) => followedPrefixes("crossfade:", flag));
  for (const one of prefixes)
    t.notOk(
      prefixes.some((other) => other !== one && other.startsWith(one)),
      one,
    );
});

const rawFields = fc.dictionary(
  fc.constantFrom("rollout_percentage", "enabled", "kill_switch", "segment.beta", "typo", "__proto__"),
  fc.constantFrom("0", "25", "101", "true", "x", ""),
  { maxKeys: 4 },
);

t.test("whatever is written, only valid settings come into force, and judging ends", async (t) => {
  const flag = flagOf();
  const property = fc.property(fc.array(rawFields, { maxLength: 6 }), (edits) => {
    let accepted: Fields = {};
    let seen: Fields = {};
    let revision = 0;
    for (const raw of edits) {
      const first = judgeEdit(flag, viewOf({ raw, seen, accepted, revision }));
      if (!first) continue;
      ({ accepted, revision } = first);
      seen = raw;
      const { rejections } = readFields(flag.settings, accepted);
      if (rejections.length > 0) return false;
      if (judgeEdit(flag, viewOf({ raw, seen, accepted, revision }))) return false;
    }
    return true;
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test("writing back keeps what is held, but for fields edited since", async (t) => {
  const flag = flagOf();
  const fields = fc.dictionary(fc.constantFrom("rollout_percentage", "enabled", "segment.beta"), fc.constantFrom("0", "1"));
  fc.assert(
    fc.property(fields, fields, fc.boolean(), (accepted, edit, fellBack) => {
      const old: Fields = fellBack ? { rollout_percentage: "7" } : {};
      const held = { ...FROM_FILE, revision: 5, history: "h", accepted };
      const view = {
        ...viewOf({ raw: withFields(old, edit), seen: old, accepted: old, revision: 4 }),
        history: "h",
        ...(fellBack ? {} : { revision: undefined }),
      };
      if (!isLost(held, view)) return false;
      const back = writeBack(flag, held, view, "me");
      const raw = withFields(view.raw, back.written);
      const expected = withFields(accepted, Object.fromEntries(Object.entries(edit).filter(([name, value]) => old[name] !== value)));
      return sameFields(raw, expected);
    }),
  );
  const other = { ...viewOf({ raw: {}, seen: {}, accepted: {}, revision: 1 }), history: "another" };
  t.notOk(isLost({ ...FROM_FILE, revision: 5, history: "h" }, other), "a store that was begun anew has not lost anything");
  const killedThere = {
    ...viewOf({ raw: { kill_switch: "1" }, seen: { kill_switch: "1" }, accepted: { kill_switch: "1" }, revision: 4 }),
    history: "h",
  };
  t.equal(
    writeBack(flag, { ...FROM_FILE, revision: 5, history: "h" }, killedThere, "me").written["kill_switch"],
    "true",
    "a kill is never undone",
  );
});

function viewOf(of: Pick<View, "raw" | "seen" | "accepted" | "revision">): View {
  return {
    kind: "hash",
    fingerprint: "",
    revisionText: "",
    history: "",
    digests: {},
    sets: [],
    document: { kind: "none" },
    fence: "",
    ...of,
  };
}

t.test("without Redis the same settings come from the file, changes and the disk", async (t) => {
  const stateDirectory = await directory(t);
  const open = async (): Promise<{ store: SettingsStore; watch: StoreWatch }> => {
    const store = createStore({
      config: { store: { kind: "memory" }, flags: [flagOf()], stateDirectory },
      instance: "me",
      log: recordLog(),
    });
    const watch = watchStore();
    await store.start(watch);
    return { store, watch };
  };
  const { store, watch } = await open();
  t.match(store.health, { kind: "memory", up: true, origin: "file", message: "" });
  t.equal(await store.change("f", { rollout_percentage: "25" }, ME), 1);
  t.match(watch.states.at(-1), { revision: 1, settings: { weightBp: 2_500 } });
  await t.rejects(store.change("f", { rollout_percentage: "250" }, ME), InvalidSettings);
  await t.rejects(store.change("f", { rollout_percentage: "30" }, ME, 7), RevisionConflict);
  t.same(await store.kill("f", true, ME), { revision: 2, shared: true });
  store.acknowledge("f", 2);
  t.match(await store.instances("f"), [{ instance: "me", revision: 2, alive: true }]);
  t.match(await store.audit("f", 1), [{ revision: 2, who: "tester", changes: [{ field: "kill_switch", from: null, to: "true" }] }]);
  await store.close();

  const again = await open();
  t.match(again.store.health, { origin: "disk" });
  t.match(again.watch.states, [{ revision: 2, settings: { weightBp: 2_500, killSwitch: true } }]);
  t.equal(await again.store.change("f", { kill_switch: null }, ME), 3, "the numbers go on");
  await again.store.close();
});

t.test("the last good on disk: a damaged file is reported and ignored, a directory that cannot be written is one warning", async (t) => {
  const path = await directory(t);
  const log = recordLog();
  const held = { ...FROM_FILE, revision: 3, history: "h", accepted: { enabled: "false" } };
  const kept = createLastGood({ directory: path, prefix: "p", log });
  t.equal((await kept.load()).size, 0);
  t.same(log.lines, [], "nothing there yet is no fault");
  kept.keep("f", { ...held, revision: 2 });
  kept.keep("f", held);
  t.equal(await kept.settle(), true);
  t.match((await createLastGood({ directory: path, prefix: "p", log }).load()).get("f"), {
    revision: 3,
    origin: "disk",
    accepted: { enabled: "false" },
  });
  t.equal((await createLastGood({ directory: path, prefix: "other", log }).load()).size, 0, "settings of another store are left alone");

  const file = join(path, "last-good.json");
  for (const damaged of ["", "{", "[]", '{"version":2,"prefix":"p","flags":{}}', (await readFile(file, "utf8")).replace("3", '"x"')]) {
    await writeFile(file, damaged);
    log.lines.length = 0;
    t.equal((await createLastGood({ directory: path, prefix: "p", log }).load()).size, 0);
    t.match(log.lines, [{ level: "warn", message: /cannot be read and are ignored/ }]);
  }

  log.lines.length = 0;
  const blocked = join(path, "file");
  await writeFile(blocked, "");
  const nowhere = createLastGood({ directory: join(blocked, "state"), prefix: "p", log });
  for (let i = 0; i < 3; i++) {
    nowhere.keep("f", { ...held, revision: i });
    t.equal(await nowhere.settle(), false);
  }
  t.match(log.lines, [{ level: "warn", message: /make the state directory writable/ }]);
});

t.test("two instances in one state directory are warned of each other, and each can still be restarted", async (t) => {
  const path = await directory(t);
  const begin = () => {
    const log = recordLog();
    return { log, kept: createLastGood({ directory: path, prefix: "p", log }) };
  };
  const held = (revision: number, ...users: string[]) => {
    const set = { digest: `d${users.join("")}`, size: users.length, buffer: buildStringSet(users) };
    return { ...FROM_FILE, revision, history: "h", sets: { allow: set } };
  };
  const [one, other] = [begin(), begin()];
  await one.kept.load();
  await other.kept.load();
  one.kept.keep("f", held(1, "u"));
  await one.kept.settle();
  other.kept.keep("f", held(1, "w"));
  await other.kept.settle();
  t.same([one.log.lines, other.log.lines], [[], []], "the first write of each takes over what a predecessor left");
  // Starting, a third one removes the file of the set that only the first one needs.
  await begin().kept.load();
  for (let revision = 2; revision < 4; revision++) {
    for (const { kept } of [other, one]) {
      kept.keep("f", held(revision, kept === one.kept ? "u" : "w"));
      await kept.settle();
    }
  }
  for (const { log } of [one, other]) t.match(log.lines, [{ level: "warn", message: /give each a state_directory of its own/ }], "once");
  const { log, kept } = begin();
  const found = (await kept.load()).get("f");
  t.match(found, { revision: 3, history: "h" });
  t.same(users(found?.sets["allow"]?.buffer), ["u"], "whole, for the one that wrote last");
  t.same(log.lines, []);
});

t.test("what a full disk refused is written when there is room again", async (t) => {
  const path = await directory(t);
  const blocked = join(path, "state");
  await writeFile(blocked, "");
  const log = recordLog();
  const kept = createLastGood({ directory: blocked, prefix: "p", log });
  kept.keep("f", { ...FROM_FILE, revision: 5, history: "h" });
  t.equal(await kept.settle(), false);
  await rm(blocked);
  t.equal(await kept.settle(), true, "without another change");
  t.match((await createLastGood({ directory: blocked, prefix: "p", log }).load()).get("f"), { revision: 5, history: "h" });
});

t.test("the sticky secret is made once, and by one of several that begin at once", async (t) => {
  const path = join(await directory(t), "state");
  const log = recordLog();
  const made = await Promise.all([stickySecret(path, log), stickySecret(path, log), stickySecret(path, log)]);
  t.equal(made[0]?.length, 32);
  for (const secret of made) t.same(Buffer.from(secret), Buffer.from(made[0] ?? []));
  t.same(Buffer.from(await stickySecret(path, log)), Buffer.from(made[0] ?? []), "the same after a restart");
  t.equal((await stat(join(path, "sticky-secret"))).mode & 0o777, 0o600);
  t.same(await readdir(path), ["sticky-secret"], "no temporary file is left");
  t.same(log.lines, []);
  await chmod(join(path, "sticky-secret"), 0o600);
  await writeFile(join(path, "sticky-secret"), "short");
  t.equal((await stickySecret(path, log)).length, 32);
  t.match(log.lines, [{ message: /another length/ }]);
  t.equal((await stickySecret(join(path, "sticky-secret", "below"), log)).length, 32);
  t.match(log.lines.at(-1), { message: /cannot be kept/ });
});

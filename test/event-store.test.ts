import t from "tap";
import fc from "fast-check";
import { createMemoryEvents } from "../src/store/event-store-memory.ts";
import { createRedisEvents } from "../src/store/event-store-redis.ts";
import { type CountedEvent, type EventStore, MINUTES_KEPT, type SignalLane, type SignalsRead } from "../src/store/event-store.ts";
import { StoreUnavailable } from "../src/store/store.ts";
import { countedEvent, redisFor, sessions, stopSharedRedis, withEachStore } from "./support/events.ts";
import { until } from "./support/redis.ts";

const REMEMBER = 8 * 86_400_000;
const A = "assigned:stable:none:accuracy:0";
const B = "assigned:candidate:none:revenue:1";
const SERVED = "served:stable:none:accuracy:0";

t.teardown(stopSharedRedis);

interface Sums {
  units: number;
  y: number;
  n: number;
  yy: number;
  nn: number;
  yn: number;
}

/** What the sums should be, by the definition: all events gathered first, then squared. */
function naive(events: readonly CountedEvent[]): { minutes: Map<string, Sums>; users: Map<string, Sums> } {
  const first = [...new Map(events.toReversed().map((event) => [event.id, event])).values()];
  const minutes = new Map<string, Sums>();
  const totals = new Map<string, { label: string; y: number; n: number }>();
  const plus = (into: Map<string, Sums>, key: string, y: number, n: number): void => {
    const sums = into.get(key) ?? { units: 0, y: 0, n: 0, yy: 0, nn: 0, yn: 0 };
    into.set(key, {
      units: sums.units + 1,
      y: sums.y + y,
      n: sums.n + n,
      yy: sums.yy + y * y,
      nn: sums.nn + n * n,
      yn: sums.yn + y * n,
    });
  };
  for (const { minute, user, rollout, adds } of first) {
    for (const { label, y, n, usersOnly } of adds) {
      if (usersOnly !== true) plus(minutes, `${minute} ${label}`, y, n);
      if (user === undefined || rollout === undefined) continue;
      const total = totals.get(`${rollout} ${user} ${label}`) ?? { label: `${rollout} ${label}`, y: 0, n: 0 };
      totals.set(`${rollout} ${user} ${label}`, { ...total, y: total.y + y, n: total.n + n });
    }
  }
  const users = new Map<string, Sums>();
  for (const { label, y, n } of totals.values()) plus(users, label, y, n);
  return { minutes, users };
}

async function isThere(store: EventStore): Promise<boolean> {
  return store.changes("f", 0).then(
    () => true,
    () => false,
  );
}

async function stored(store: EventStore, flag: string, around: number): Promise<ReturnType<typeof naive>> {
  const minutes = new Map<string, Sums>();
  for (const { minute, label, count, y, n, yy, nn, yn } of await store.minutes(flag, around - 20, around + 20)) {
    minutes.set(`${minute} ${label}`, { units: count, y, n, yy, nn, yn });
  }
  const users = new Map<string, Sums>();
  for (const rollout of ["r1", "r2"]) {
    for (const { label, users: units, y, n, yy, nn, yn } of await store.users(flag, rollout)) {
      users.set(`${rollout} ${label}`, { units, y, n, yy, nn, yn });
    }
  }
  return { minutes, users };
}

/** Sums in another order differ in their last digits. */
function same(found: Map<string, Sums>, wanted: Map<string, Sums>): string[] {
  const wrong: string[] = [];
  for (const key of new Set([...found.keys(), ...wanted.keys()])) {
    const a = Object.values(found.get(key) ?? {});
    const b = Object.values(wanted.get(key) ?? {});
    const near = a.length === b.length && a.every((value, i) => Math.abs(value - (b[i] ?? NaN)) <= 1e-9 * (1 + Math.abs(value)));
    if (!near) wrong.push(`${key}: ${a.join(" ")} instead of ${b.join(" ")}`);
  }
  return wrong;
}

withEachStore(t, "an event counts once, by the minute and over its user", async (t, { store }, { now }) => {
  const minute = Math.floor(now / 60_000);
  const event = countedEvent({ minute });
  t.same(await store.add("f", [event, event], REMEMBER), ["accepted", "duplicate"]);
  t.same(await store.add("f", [event], REMEMBER), ["duplicate"]);
  t.same(await store.add("f", [], REMEMBER), []);
  t.same(await store.minutes("f", minute, minute), [{ minute, label: A, count: 1, y: 1, n: 1, yy: 1, nn: 1, yn: 1 }]);
  t.same(await store.users("f", "r1"), [{ label: A, users: 1, y: 1, n: 1, yy: 1, nn: 1, yn: 1 }]);
  t.same(await store.users("f", "other"), []);
  t.same(await store.users("other flag", "r1"), []);
});

withEachStore(t, "what one user says again and again is one observation", async (t, { store }, { now }) => {
  const minute = Math.floor(now / 60_000);
  const of = (id: string, y: number): CountedEvent => countedEvent({ id, minute, adds: [{ label: A, y, n: 1 }] });
  await store.add("f", [of("1", 1), of("2", 1), of("3", 0)], REMEMBER);
  await store.add("f", [of("4", 1)], REMEMBER);
  t.same(await store.users("f", "r1"), [{ label: A, users: 1, y: 3, n: 4, yy: 9, nn: 16, yn: 12 }]);
  t.same(await store.minutes("f", minute, minute), [{ minute, label: A, count: 4, y: 3, n: 4, yy: 3, nn: 4, yn: 3 }]);
});

withEachStore(t, "sums equal those of a naive model, whatever comes in whatever order", async (t, { store }, { now }) => {
  const minute = Math.floor(now / 60_000);
  const adds = fc.array(
    fc.record({
      label: fc.constantFrom(A, B, SERVED),
      y: fc.oneof(fc.constantFrom(0, 1, -3), fc.double({ min: -1000, max: 1000, noNaN: true })),
      n: fc.constantFrom(0, 1),
      usersOnly: fc.boolean(),
    }),
    { maxLength: 4 },
  );
  const event = fc.record({
    id: fc.nat(25).map(String),
    minute: fc.integer({ min: minute - 3, max: minute }),
    user: fc.constantFrom("u1", "u2", "u3", undefined),
    rollout: fc.constantFrom("r1", "r2", undefined),
    adds,
    signal: fc.constant(undefined),
  });
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(event, { maxLength: 20 }), { maxLength: 5 }), async (batches) => {
      const flag = `f${runs++}`;
      for (const batch of batches) {
        const before = await store.changes(flag, 0);
        const results = await store.add(flag, batch, REMEMBER);
        if (results.includes("accepted") !== (await store.changes(flag, 0)).version > before.version) throw new Error("the version");
      }
      const wanted = naive(batches.flat());
      const found = await stored(store, flag, minute);
      const wrong = [...same(found.minutes, wanted.minutes), ...same(found.users, wanted.users)];
      if (wrong.length > 0) throw new Error(wrong.join("\n"));
    }),
    { numRuns: 60 },
  );
  t.equal(runs, 60);
});

t.test("Redis and memory hold the very same numbers", async (t) => {
  const redis = await redisFor(t);
  const now = Date.now();
  const minute = Math.floor(now / 60_000);
  const stores = [createMemoryEvents({ now: () => now }), createRedisEvents({ using: sessions(t, redis), now: () => now })];
  const events = Array.from({ length: 300 }, (_, i) =>
    countedEvent({
      id: `e${i % 280}`,
      minute: minute - (i % 4),
      user: `u${i % 37}`,
      adds: [{ label: i % 3 === 0 ? A : B, y: (i * 0.1) ** 3 / 7, n: i % 2 }],
    }),
  );
  const [memory, other] = await Promise.all(
    stores.map(async (store) => {
      for (let i = 0; i < events.length; i += 70) await store.add("f", events.slice(i, i + 70), REMEMBER);
      const { minutes, users } = await stored(store, "f", minute);
      return { minutes: Object.fromEntries(minutes), users: Object.fromEntries(users) };
    }),
  );
  t.same(other, memory);
});

withEachStore(t, "of an event that many instances send at once, one counts", async (t, { store, other }, { now }) => {
  const minute = Math.floor(now / 60_000);
  const events = Array.from({ length: 20 }, (_, i) => countedEvent({ id: `e${i}`, minute, user: `u${i % 3}` }));
  const sent = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? store : other).add("f", events, REMEMBER));
  const accepted = (await Promise.all(sent)).flat().filter((result) => result === "accepted").length;
  t.equal(accepted, 20);
  const { users, minutes } = naive(events);
  const found = await stored(store, "f", minute);
  t.same([...same(found.users, users), ...same(found.minutes, minutes)], []);
});

withEachStore(
  t,
  "an id is known as long as it is to be remembered, across midnights and clocks that differ",
  async (t, { store }, clock) => {
    const start = Math.floor(clock.now / 86_400_000) * 86_400_000 + 86_390_000; // ten seconds before midnight
    const event = countedEvent({ adds: [] });
    const at = async (ms: number, id = event.id): Promise<string | undefined> => {
      clock.now = start + ms;
      return (await store.add("f", [{ ...event, id }], REMEMBER))[0];
    };
    t.equal(await at(20_000), "accepted", "counted after midnight by one clock");
    t.equal(await at(0), "duplicate", "and known before midnight by another");
    t.equal(await at(3 * 86_400_000), "duplicate");
    t.equal(await at(REMEMBER), "duplicate", "as long as promised");
    t.equal(await at(0, "at the end of a day"), "accepted");
    t.equal(await at(REMEMBER, "at the end of a day"), "duplicate");
  },
);

withEachStore(t, "changes name the minutes that have other sums, and only those", async (t, { store }, { now }) => {
  const minute = Math.floor(now / 60_000);
  t.same(await store.changes("f", 0), { version: 0, minutes: [] });
  await store.add("f", [countedEvent({ id: "1", minute }), countedEvent({ id: "2", minute: minute - 100 })], REMEMBER);
  const first = await store.changes("f", 0);
  t.same(new Set(first.minutes), new Set([minute - 100, minute]));
  await store.add("f", [countedEvent({ id: "1", minute })], REMEMBER);
  t.same(await store.changes("f", first.version), { version: first.version, minutes: [] }, "a duplicate changes nothing");
  await store.add("f", [countedEvent({ id: "3", minute: minute - 100 })], REMEMBER);
  const second = await store.changes("f", first.version);
  t.same(second.minutes, [minute - 100]);
  t.ok(second.version > first.version);
});

withEachStore(t, "an event too old for the sums by the minute still counts over its user", async (t, { store }, { now }) => {
  const minute = Math.floor(now / 60_000) - MINUTES_KEPT - 2;
  t.same(await store.add("f", [countedEvent({ minute })], REMEMBER), ["accepted"]);
  t.same(await store.minutes("f", minute, minute), []);
  t.same((await store.changes("f", 0)).minutes, []);
  t.equal((await store.users("f", "r1")).length, 1);
});

function textsOf({ signals }: SignalsRead): readonly string[] {
  return signals.map(({ text }) => text);
}

withEachStore(t, "a signal says when it was counted, whatever its own time", async (t, { store }) => {
  const before = Date.now();
  await store.add("f", [countedEvent({ id: "s", user: undefined, adds: [], signal: { lane: "security", at: 30, text: "s" } })], REMEMBER);
  const { signals } = await store.signalsAfter("f", "", 10);
  const arrivedAt = signals[0]?.arrivedAt ?? 0;
  t.ok(arrivedAt >= before - 1_000 && arrivedAt <= Date.now() + 1_000, `${arrivedAt} is about ${before}`);
});

withEachStore(t, "signals come back in order of time and, for those who follow, in the order in which they came", async (t, { store }) => {
  const signal = (id: string, at: number, lane: SignalLane = "sync_lag"): CountedEvent =>
    countedEvent({ id, user: undefined, rollout: undefined, adds: [], signal: { lane, at, text: id } });
  await store.add("f", [signal("c", 30), signal("a", 10), signal("b", 20, "security")], REMEMBER);
  t.same(await store.signals("f", 0, 10), ["a", "b", "c"]);
  t.same(await store.signals("f", 15, 10), ["b", "c"]);
  t.same(await store.signals("f", 0, 2), ["b", "c"], "the newest");
  const first = await store.signalsAfter("f", "", 10);
  t.same(textsOf(first).toSorted(), ["a", "b", "c"]);
  await store.add("f", [signal("late", 5)], REMEMBER);
  t.same(textsOf(await store.signalsAfter("f", first.cursor, 10)), ["late"]);
  t.same(textsOf(await store.signalsAfter("f", first.cursor, 10)), ["late"], "as long as one does not go on");
  let cursor = "";
  const all: string[] = [];
  for (let i = 0; i < 5; i++) {
    const next = await store.signalsAfter("f", cursor, 1);
    all.push(...textsOf(next));
    ({ cursor } = next);
  }
  t.same(all.toSorted(), ["a", "b", "c", "late"], "bit by bit");
});

withEachStore(t, "the inbox gives what was put in until it has been dealt with", async (t, { store, other }) => {
  await store.passOn("f", [
    { text: "one", as: "1" },
    { text: "two", as: "2" },
    { text: "three", as: "3" },
  ]);
  const all = await other.inbox("f", 10);
  t.same(
    all.map(({ text, as }) => [text, as]),
    [
      ["one", "1"],
      ["two", "2"],
      ["three", "3"],
    ],
  );
  const [first, second] = all.map(({ id }) => id);
  t.same(
    (await store.inbox("f", 1, first)).map(({ text }) => text),
    ["two"],
  );
  t.equal(await store.done("f", [first ?? "", second ?? ""]), 2);
  t.equal(await other.done("f", [first ?? ""]), 0, "somebody else was faster");
  t.same(
    (await other.inbox("f", 10)).map(({ text }) => text),
    ["three"],
  );
  t.equal(await store.done("f", []), 0);
});

t.test("every key of Redis has an end, or a bound", async (t) => {
  const redis = await redisFor(t);
  const store = createRedisEvents({ using: sessions(t, redis) });
  const signal = { lane: "security" as const, at: Date.now(), text: "x" };
  await store.add("f", [countedEvent(), countedEvent({ id: "2", adds: [], signal })], REMEMBER);
  await store.passOn("f", [{ text: "x", as: "y" }]);
  const keys = (await redis.cli("KEYS", "*")).split("\n").toSorted();
  t.equal(keys.length, 7);
  for (const key of keys) {
    t.match(key, /^crossfade:\{f\}:events/, "one hash tag");
    const ttl = Number(await redis.cli("PTTL", key));
    if (key === "crossfade:{f}:events") t.equal(ttl, -1);
    else t.ok(ttl > 0 && ttl <= 36 * 86_400_000, `${key} lives ${ttl} ms`);
  }
  const minute = keys.find((key) => key.includes(":minute:")) ?? "";
  t.ok(Number(await redis.cli("PTTL", minute)) <= (MINUTES_KEPT + 1) * 60_000);
});

t.test("a store that is lost is told of, and what came back empty begins anew", async (t) => {
  const redis = await redisFor(t);
  const store = createRedisEvents({ using: sessions(t, redis) });
  await store.add("f", [countedEvent()], REMEMBER);
  const { version } = await store.changes("f", 0);
  await redis.kill();
  await t.rejects(store.add("f", [countedEvent({ id: "2" })], REMEMBER), StoreUnavailable);
  await redis.restart({ empty: true });
  t.same(await store.changes("f", version), { version: 0, minutes: [] });
  t.same(await store.add("f", [countedEvent({ id: "2" })], REMEMBER), ["accepted"]);
});

t.test("what was saved is there after a crash, ids and sums alike", async (t) => {
  const redis = await redisFor(t);
  const store = createRedisEvents({ using: sessions(t, redis) });
  await store.add("f", [countedEvent()], REMEMBER);
  await redis.cli("SAVE");
  await store.add("f", [countedEvent({ id: "2" })], REMEMBER);
  await redis.restart({ empty: false });
  await until(() => isThere(store), "the store to be back");
  t.same(await store.add("f", [countedEvent(), countedEvent({ id: "2" })], REMEMBER), ["duplicate", "accepted"]);
  t.match(await store.users("f", "r1"), [{ users: 1, y: 2, yy: 4 }]);
});

t.test("Redis killed in the middle of many batches: each batch counted whole or not at all, none twice", async (t) => {
  const redis = await redisFor(t, ["--appendonly", "yes", "--appendfsync", "always"]);
  const store = createRedisEvents({ using: sessions(t, redis) });
  const batches = Array.from({ length: 60 }, (_, b) =>
    Array.from({ length: 50 }, (_, i) => countedEvent({ id: `${b}-${i}`, user: `u${(b * 50 + i) % 200}` })),
  );
  await store.changes("f", 0);
  let answered = 0;
  const { promise: some, resolve } = Promise.withResolvers<void>();
  const sending = batches.map(async (batch) => {
    await store.add("f", batch, REMEMBER);
    if (++answered === 10) resolve();
  });
  const settled = Promise.allSettled(sending);
  await some;
  await redis.kill();
  const lost = (await settled).filter(({ status }) => status === "rejected").length;
  t.ok(lost > 0 && lost <= 50, `${lost} batches had no answer`);
  await redis.restart({ empty: false });
  await until(() => isThere(store), "the store to be back");
  const counted = (await store.users("f", "r1"))[0]?.n ?? 0;
  t.equal(counted % 50, 0, "whole batches");
  t.ok(counted >= 500, "what was answered is kept");
  const again = (await Promise.all(batches.map((batch) => store.add("f", batch, REMEMBER)))).flat();
  t.equal(again.filter((result) => result === "duplicate").length, counted);
  const wanted = naive(batches.flat());
  const found = await stored(store, "f", Math.floor(Date.now() / 60_000));
  t.same(same(found.users, wanted.users), []);
});

t.test("a key that holds something else is named, and the connection goes on", async (t) => {
  const redis = await redisFor(t);
  const store = createRedisEvents({ using: sessions(t, redis) });
  await redis.cli("SET", "crossfade:{f}:events", "mine");
  await t.rejects(store.inbox("f", 10), { name: "StoreUnavailable", message: /crossfade:\{f\}:events/ });
  const event = countedEvent();
  await redis.cli("SET", `crossfade:{f}:events:minute:${event.minute}`, "mine");
  await t.rejects(store.add("f", [event], REMEMBER), { message: /holds a string where a hash belongs/ });
  t.same(await store.users("f", "r1"), [], "nothing of it was written");
  await redis.cli("DEL", `crossfade:{f}:events:minute:${event.minute}`);
  t.same(await store.add("f", [event], REMEMBER), ["accepted"], "and it counts when it is sent again");
});

import { equal } from "node:assert/strict";
import t from "tap";
import fc from "fast-check";
import type { BusinessCell } from "../src/analysis/business.ts";
import { createBusinessSource } from "../src/analysis/events/business-source.ts";
import { type DeskOptions, EventDesk, TooBusy } from "../src/analysis/events/ingest.ts";
import { readFields } from "../src/config/settings.ts";
import { bucketOf } from "../src/core/bucket.ts";
import type { FlagState } from "../src/rollout/flag-state.ts";
import { createRedisEvents } from "../src/store/event-store-redis.ts";
import { createMemoryEvents } from "../src/store/event-store-memory.ts";
import type { EventStore } from "../src/store/event-store.ts";
import { type AuditEntry, StoreUnavailable } from "../src/store/store.ts";
import { type KnownRequest, userDigest } from "../src/telemetry/request-ledger.ts";
import { type Clock, redisFor, sessions, stopSharedRedis, withEachStore } from "./support/events.ts";
import { until } from "./support/redis.ts";
import { flagOf, recordLog, type RecordedLog } from "./support/store-watch.ts";

t.teardown(stopSharedRedis);

const FLAG = flagOf("f");
const HOUR = 3_600_000;
const NOTHING = { accepted: 0, duplicates: 0, passedOn: 0, late: 0, unattributed: 0, refused: [] };

function stateAt(percentage: string, revision: number): FlagState {
  const { settings } = readFields(FLAG.settings, { rollout_percentage: percentage });
  return { flag: "f", revision, settings, allow: undefined, deny: undefined, members: {} };
}

interface Desk {
  readonly desk: EventDesk;
  readonly log: RecordedLog;
  readonly requests: Map<string, KnownRequest>;
}

/** An instance. 10 % until an hour ago, 50 % since; the steps of rollout r1 accordingly, which began two hours ago. */
function deskOf(store: EventStore, clock: Clock, options: Partial<DeskOptions> = {}): Desk {
  const began = clock.now - HOUR;
  const audit: AuditEntry[] = [
    {
      id: "1-0",
      at: new Date(began).toISOString(),
      who: "ops",
      reason: "",
      revision: 1,
      status: "accepted",
      changes: [{ field: "rollout_percentage", from: "10", to: "50" }],
    },
  ];
  const state = stateAt("50", 1);
  const requests = new Map<string, KnownRequest>();
  const log = recordLog();
  const desk = new EventDesk({
    flag: FLAG,
    store,
    state: () => state,
    audit: async (count) => audit.slice(0, count),
    findRequest: (id) => requests.get(id),
    routeFlags: ["f"],
    stepAt: (ms) => (ms < began - HOUR ? undefined : { rollout: "r1", step: ms < began ? 0 : 1 }),
    ignoredUsers: [],
    log,
    now: () => clock.now,
    ...options,
  });
  return { desk, log, requests };
}

function request(clock: Clock, changes: Partial<KnownRequest> = {}): KnownRequest {
  return { at: clock.now - 1_000, route: 0, assigned: "candidate", served: "candidate", segment: -1, user: userDigest("u"), ...changes };
}

/** On the stable arm at 10 %, on the candidate at 50 %. */
const MOVED = Array.from({ length: 100 }, (_, i) => `user-${i}`).filter((user) => {
  const bucket = bucketOf(FLAG.salt, user);
  return bucket >= 1_000 && bucket < 5_000;
});

/** `assigned candidate accuracy 1: users 1 y 2 n 3` */
function inWords(cells: readonly BusinessCell[], what = ""): string[] {
  return cells
    .map(
      ({ arm, segment, metric, sums }) => `${what}${arm} ${segment} ${metric}: users ${sums.users} y ${sums.y} n ${sums.n} yy ${sums.yy}`,
    )
    .toSorted();
}

withEachStore(t, "a batch is counted, and what is wrong in it is named", async (t, { store }, clock) => {
  const { desk, log, requests } = deskOf(store, clock);
  requests.set("known", request(clock));
  const events = [
    { id: "e1", type: "match", user: "u1", confirmed: true },
    { id: "e1", type: "match", user: "u1", confirmed: true },
    { type: "rating", request_id: "known", rating: 4, of: 5 },
    { type: "rating", user: "u1", rating: 7, of: 5 },
    { type: "conversion", user: "u1", at: clock.now - 8 * 86_400_000 },
    { type: "conversion", user: "u1", at: clock.now + HOUR },
    { type: "sync_lag", seconds: 0.4 },
    { type: "conversion", request_id: "of another instance" },
  ];
  const report = await desk.take({ events }, "shop");
  t.match(report, { accepted: 3, duplicates: 1, passedOn: 1, late: 1, unattributed: 0 });
  t.same(
    report.refused.map(({ index, kind, field }) => [index, kind, field]),
    [
      [3, "invalid", "rating"],
      [4, "late", "at"],
      [5, "future", "at"],
    ],
  );
  t.match(report.refused[1]?.message, /^events\[4\]: at: \d{4}-.* is longer ago than events are accepted for \(168 hours\)/);
  t.match(log.lines, [{ level: "warn", details: { who: "shop", refused: 3, field: "rating" } }]);
  t.match(await desk.take({ events: events.slice(0, 3) }, "shop"), { accepted: 0, duplicates: 3 });
  t.match(await desk.take("nonsense", "shop"), { ...NOTHING, refused: [{ index: undefined, field: "events" }] });
});

withEachStore(t, "what other programs put in the stream is counted once, whoever reads it", async (t, { store, other }, clock) => {
  const one = deskOf(store, clock);
  const two = deskOf(other, clock);
  for (const user of ["a", "b", "c"]) await store.passOn("f", [{ text: JSON.stringify({ type: "conversion", user }), as: `x:${user}` }]);
  const reports = await Promise.all([one.desk.poll(), two.desk.poll(), one.desk.poll()]);
  t.equal(reports[0].accepted + reports[1].accepted, 3);
  t.equal(reports[2], reports[0], "polls of one instance do not overlap");
  t.same(await store.inbox("f", 10), []);
  t.same(await one.desk.poll(), NOTHING);
});

t.test("XADD by any client is enough, and what cannot be read is told of and taken out", async (t) => {
  const redis = await redisFor(t);
  const clock = { now: Date.now() };
  const store = createRedisEvents({ using: sessions(t, redis) });
  const { desk, log } = deskOf(store, clock);
  const add = async (...fields: string[]): Promise<string> => redis.cli("XADD", "crossfade:{f}:events", "*", ...fields);
  const event = '{"type":"conversion","user":"u1"}';
  await add("event", event);
  await add("event", event);
  await add("event", "not json");
  await add("event", '{"type":"rating","user":"u1"}');
  const id = await add("something", "else");
  const report = await desk.poll();
  t.match(report, { accepted: 2, duplicates: 0, refused: { length: 3 } }, "two entries are two events");
  t.ok(report.refused.some(({ message }) => message.startsWith(`entry ${id}: the field event is not JSON; XADD it as`)));
  t.equal(log.lines.length, 1);
  t.equal(await redis.cli("XLEN", "crossfade:{f}:events"), "0");
});

withEachStore(t, "an event of a request is counted by the instance that knows it", async (t, { store, other }, clock) => {
  const asked = deskOf(store, clock);
  const knows = deskOf(other, clock);
  knows.requests.set("r", request(clock));
  const body = { events: [{ type: "match", request_id: "r", confirmed: true }] };
  t.match(await asked.desk.take(body, "shop"), { accepted: 0, passedOn: 1 });
  t.match(await asked.desk.take(body, "shop"), { accepted: 0, passedOn: 1 }, "sent twice");
  t.same(await asked.desk.poll(), NOTHING, "left for the others");
  t.match(await knows.desk.poll(), { accepted: 1, duplicates: 1 });
  clock.now += 61_000;
  t.same(await asked.desk.poll(), NOTHING, "and nobody is missing it");
  t.match(await knows.desk.take(body, "shop"), { duplicates: 1 }, "known under whichever way it comes");
});

withEachStore(t, "an event that has been waiting counts once when its request becomes known", async (t, { store }, clock) => {
  const { desk, requests } = deskOf(store, clock);
  await desk.take({ events: [{ type: "conversion", request_id: "r" }] }, "shop");
  t.same(await desk.poll(), NOTHING);
  requests.set("r", request(clock));
  clock.now += 30_000;
  t.match(await desk.poll(), { accepted: 1, duplicates: 0 }, "though the stream is read from the beginning again");
  t.same(await desk.poll(), NOTHING);
});

withEachStore(t, "an event that no instance can place is given up after a while, once", async (t, { store, other }, clock) => {
  const desks = [deskOf(store, clock), deskOf(other, clock)];
  await desks[0]?.desk.take({ events: [{ type: "conversion", request_id: "forgotten" }] }, "shop");
  for (const { desk } of desks) t.same(await desk.poll(), NOTHING);
  clock.now += 30_000;
  for (const { desk } of desks) t.same(await desk.poll(), NOTHING, "also when the stream is read from the beginning again");
  t.equal((await store.inbox("f", 10)).length, 1);
  clock.now += 30_000;
  const reports = await Promise.all(desks.map(({ desk }) => desk.poll()));
  t.equal(
    reports.reduce((sum, { unattributed }) => sum + unattributed, 0),
    1,
  );
  t.match(
    reports.flatMap(({ refused }) => refused)[0]?.message,
    /request_id: forgotten is a request that no instance remembers; send user/,
  );
  t.same(await store.inbox("f", 10), []);
});

withEachStore(
  t,
  "an instance that dies after it counted and before it said so makes nothing count twice",
  async (t, { store, other }, clock) => {
    const dying: EventStore = { ...bound(store), done: () => Promise.reject(new Error("killed")) };
    await store.passOn("f", [{ text: '{"type":"conversion","user":"u1"}', as: "x:1" }]);
    await t.rejects(deskOf(dying, clock).desk.poll(), { message: "killed" });
    t.match(await deskOf(other, clock).desk.poll(), { accepted: 0, duplicates: 1 });
    t.same(await store.inbox("f", 10), []);
    t.match(await store.users("f", "r1"), [{ users: 1 }, { users: 1 }], "present, and with one conversion");
  },
);

withEachStore(t, "an instance that dies before it counted loses nothing", async (t, { store, other }, clock) => {
  const dying: EventStore = { ...bound(store), add: () => Promise.reject(new Error("killed")) };
  await store.passOn("f", [{ text: '{"type":"conversion","user":"u1"}', as: "x:1" }]);
  const { desk } = deskOf(dying, clock);
  await t.rejects(desk.poll(), { message: "killed" });
  t.match(await deskOf(other, clock).desk.poll(), { accepted: 1 });
});

t.test("while Redis is away events are not taken; sent again they count once", async (t) => {
  const redis = await redisFor(t, ["--appendonly", "yes", "--appendfsync", "always"]);
  const clock = { now: Date.now() };
  const store = createRedisEvents({ using: sessions(t, redis) });
  const { desk } = deskOf(store, clock);
  const batch = (from: number): object => ({
    events: Array.from({ length: 20 }, (_, i) => ({ id: `e${from + i}`, type: "conversion", user: `u${i % 5}` })),
  });
  t.match(await desk.take(batch(0), "shop"), { accepted: 20 });
  await redis.kill();
  await t.rejects(desk.take(batch(10), "shop"), StoreUnavailable);
  await t.rejects(desk.poll(), StoreUnavailable);
  await redis.restart({ empty: false });
  await until(
    () =>
      desk.poll().then(
        () => true,
        () => false,
      ),
    "the store to be back",
  );
  t.match(await desk.take(batch(10), "shop"), { accepted: 10, duplicates: 10 });
  const users = await store.users("f", "r1");
  t.equal(
    users.filter(({ label }) => label.startsWith("assigned:") && label.includes("conversion")).reduce((sum, { y }) => sum + y, 0),
    30,
  );
});

withEachStore(t, "a user who is moved between steps stands in both strata, each time on the arm of then", async (t, { store }, clock) => {
  const { desk } = deskOf(store, clock);
  const [user = ""] = MOVED;
  const match = (id: string, at: number, confirmed: boolean): object => ({ id, type: "match", user, at, confirmed });
  const events = [
    match("1", clock.now - HOUR - 5_000, true),
    match("2", clock.now - HOUR - 4_000, false),
    match("3", clock.now - 1_000, true),
  ];
  t.match(await desk.take({ events }, "shop"), { accepted: 3 });
  const source = createBusinessSource(store, "f", "r1");
  await source.refresh(clock.now);
  const [first, second] = source.steps();
  t.match([first?.step, second?.step], [0, 1]);
  t.match(inWords(first?.assigned ?? [])[0], "stable none accuracy: users 1 y 1 n 2 yy 1");
  t.match(inWords(second?.assigned ?? [])[0], "candidate none accuracy: users 1 y 1 n 1 yy 1");
  const overall = inWords(source.overall?.() ?? []);
  for (const expected of ["stable none accuracy: users 1 y 1 n 2 yy 1", "candidate none accuracy: users 1 y 1 n 1 yy 1"]) {
    t.ok(
      overall.some((text) => text.startsWith(expected)),
      `over all steps too: ${expected}`,
    );
  }
  t.same(
    source.adoption().toSorted((a, b) => (a.arm < b.arm ? -1 : 1)),
    [
      { arm: "candidate", segment: "none", users: 1 },
      { arm: "stable", segment: "none", users: 1 },
    ],
  );
});

withEachStore(t, "sliding figures follow the time of the events, to the minute", async (t, { store }, clock) => {
  const { desk } = deskOf(store, clock);
  const minute = Math.floor(clock.now / 60_000) * 60_000;
  const event = (id: string, at: number): object => ({ id, type: "revenue", user: MOVED[0] ?? "", at, amount: 2 });
  await desk.take({ events: [event("1", minute - 10), event("2", minute - 60_010), event("3", minute - 10 * 60_000 - 10)] }, "shop");
  const source = createBusinessSource(store, "f", "r1");
  await source.refresh(clock.now);
  t.same(inWords(source.between(minute - 120_000, minute).cells), ["candidate none revenue: users 2 y 4 n 0 yy 8"]);
  t.same(
    inWords(source.between(minute - 30_000, minute).cells),
    ["candidate none revenue: users 1 y 2 n 0 yy 4"],
    "from the beginning of its minute",
  );
  t.equal(source.between(minute - 30_000, minute).from, minute - 60_000, "which it says");
  t.same(source.between(minute, minute + 1).cells, []);
  await desk.take({ events: [event("late", minute - 10 * 60_000 - 20)] }, "shop");
  await source.refresh(clock.now);
  t.same(
    inWords(source.between(minute - 11 * 60_000, minute - 10 * 60_000).cells),
    ["candidate none revenue: users 2 y 4 n 0 yy 8"],
    "what comes late is in its place",
  );
});

withEachStore(t, "signals are there, by the time that they speak of, in order", async (t, { store }, clock) => {
  const { desk } = deskOf(store, clock);
  const { now } = clock;
  const source = createBusinessSource(store, "f", undefined);
  await desk.take({ events: [{ type: "security", severity: "P1", at: now - 1_000, note: "theirs" }] }, "siem");
  await source.refresh(now);
  await desk.take(
    {
      events: [
        { type: "sync_lag", seconds: "400ms" },
        { type: "sessions_lost", count: 2, at: now - 5_000 },
      ],
    },
    "sync",
  );
  await source.refresh(now);
  const { signals } = source.between(now - HOUR, now + 1);
  t.same(
    signals.map(({ kind, at, value, note }) => ({ kind, at, value, note })),
    [
      { kind: "sessions_lost", at: now - 5_000, value: 2, note: "" },
      { kind: "security", at: now - 1_000, value: 1, note: "theirs" },
      { kind: "sync_lag", at: now, value: 0.4, note: "" },
    ],
  );
  t.ok(
    signals.every(({ arrivedAt = 0 }) => Math.abs(arrivedAt - now) < 60_000),
    "each says when it was told",
  );
  t.same(
    source.signalsOf?.("sessions_lost", now - HOUR, now + 1).map(({ value }) => value),
    [2],
  );
  t.same(source.steps(), []);
});

t.test("a refresh reads what has changed and nothing else", async (t) => {
  const clock = { now: Date.now() };
  const memory = createMemoryEvents({ now: () => clock.now });
  const calls: string[] = [];
  const store: EventStore = {
    ...bound(memory),
    changes: async (...args) => (calls.push("changes"), memory.changes(...args)),
    minutes: async (flag, from, to) => (calls.push(`minutes ${to - from + 1}`), memory.minutes(flag, from, to)),
    users: async (...args) => (calls.push("users"), memory.users(...args)),
  };
  const { desk } = deskOf(memory, clock);
  const event = (id: string, ago: number): object => ({ id, type: "conversion", user: "u", at: clock.now - ago });
  await desk.take({ events: [event("1", 0), event("2", 60_000), event("3", 20 * 60_000)] }, "shop");
  const source = createBusinessSource(store, "f", "r1");
  const seen = async (): Promise<string[]> => {
    calls.length = 0;
    await source.refresh(clock.now);
    return [...calls];
  };
  t.same(await seen(), ["changes", "minutes 1", "minutes 2", "users"]);
  t.same(await seen(), ["changes"]);
  await desk.take({ events: [event("4", 60_000)] }, "shop");
  t.same(await seen(), ["changes", "minutes 1", "users"]);
});

t.test("figures follow a store that was emptied", async (t) => {
  const redis = await redisFor(t);
  const clock = { now: Date.now() };
  const store = createRedisEvents({ using: sessions(t, redis) });
  const { desk } = deskOf(store, clock);
  const source = createBusinessSource(store, "f", "r1");
  const events = [
    { id: "1", type: "conversion", user: "u" },
    { type: "sync_lag", seconds: 1 },
  ];
  await desk.take({ events }, "shop");
  await source.refresh(clock.now);
  t.equal(source.steps().length, 1);
  await redis.cli("FLUSHALL");
  await source.refresh(clock.now);
  t.same([source.steps(), source.between(0, clock.now + 1).cells, source.between(0, clock.now + 1).signals], [[], [], []]);
  await desk.take({ events }, "shop");
  await source.refresh(clock.now);
  t.equal(source.between(0, clock.now + 1).signals.length, 1);
});

withEachStore(
  t,
  "figures equal a naive model, whatever is sent in whatever order, twice, by several instances",
  async (t, { store, other }, clock) => {
    const users = ["a", "b", "c", "d", ...MOVED.slice(0, 3)];
    const { now } = clock;
    const event = fc.record({
      id: fc.nat(40).map((n) => `e${n}`),
      user: fc.constantFrom(...users),
      ago: fc.constantFrom(0, 1_000, 70_000, HOUR - 1, HOUR + 1, HOUR + 100_000),
      what: fc.oneof(
        fc.boolean().map((confirmed) => ({ type: "match" as const, confirmed })),
        fc.nat(5).map((rating) => ({ type: "rating" as const, rating, of: 5 })),
        fc.constant({ type: "conversion" as const }),
        fc.integer({ min: -50, max: 100 }).map((amount) => ({ type: "revenue" as const, amount })),
      ),
    });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(event, { maxLength: 15 }), { maxLength: 4 }), async (batches) => {
        const flag = { ...FLAG, name: `f${runs++}` };
        const desks = [deskOf(store, clock, { flag }), deskOf(other, clock, { flag })];
        const sent = batches.map((batch) => batch.map(({ id, user, ago, what }) => ({ id, user, at: now - ago, ...what })));
        for (const [i, events] of [...sent, ...sent].entries()) await desks[i % 2]?.desk.take({ events }, "shop");
        const source = createBusinessSource(other, flag.name, "r1");
        await source.refresh(now);

        const first = [
          ...new Map(
            batches
              .flat()
              .toReversed()
              .map((one) => [one.id, one]),
          ).values(),
        ];
        const totals = new Map<string, { y: number; n: number; users: Map<string, { y: number; n: number }> }>();
        for (const { user, ago, what } of first) {
          const step = ago > HOUR ? 0 : 1;
          const arm = bucketOf(FLAG.salt, user) < (step === 0 ? 1_000 : 5_000) ? "candidate" : "stable";
          const said: [string, number, number][] =
            what.type === "match"
              ? [
                  ["accuracy", what.confirmed ? 1 : 0, 1],
                  ["conversion", 0, 1],
                  ["revenue", 0, 1],
                ]
              : what.type === "rating"
                ? [["satisfaction", what.rating / 5, 1]]
                : what.type === "conversion"
                  ? [["conversion", 1, 0]]
                  : [["revenue", what.amount, 0]];
          for (const [metric, y, n] of said) {
            const key = `${step} ${arm} none ${metric}`;
            const total = totals.get(key) ?? { y: 0, n: 0, users: new Map() };
            totals.set(key, total);
            total.y += y;
            total.n += n;
            const one = total.users.get(user) ?? { y: 0, n: 0 };
            total.users.set(user, { y: one.y + y, n: one.n + n });
          }
        }
        const words = (y: number, n: number, people: number, yy: number): string =>
          `users ${people} y ${y.toFixed(6)} n ${n} yy ${yy.toFixed(6)}`.replaceAll("-0.000000", "0.000000");
        const wanted = [...totals].map(([key, { y, n, users: each }]) => {
          const yy = [...each.values()].reduce((sum, one) => sum + one.y ** 2, 0);
          return `${key}: ${words(y, n, each.size, yy)}`;
        });
        const found = source
          .steps()
          .flatMap(({ step, assigned }) =>
            assigned.map(
              ({ arm, segment, metric, sums }) => `${step} ${arm} ${segment} ${metric}: ${words(sums.y, sums.n, sums.users, sums.yy)}`,
            ),
          );
        equal(found.toSorted().join("\n"), wanted.toSorted().join("\n"));
        const sliding = source.between(now - 3 * HOUR, now + 60_000).cells;
        const events = (metric: string): number =>
          sliding.filter((cell) => cell.metric === metric).reduce((sum, { sums }) => sum + sums.users, 0);
        equal(events("satisfaction"), first.filter(({ what }) => what.type === "rating").length);
        equal(events("accuracy"), first.filter(({ what }) => what.type === "match").length);
      }),
      { numRuns: 40 },
    );
    t.equal(runs, 40);
  },
);

t.test("the history is made once as long as the settings stay", async (t) => {
  const clock = { now: Date.now() };
  let state = stateAt("50", 1);
  let asked = 0;
  let isAway = true;
  const { desk } = deskOf(createMemoryEvents(), clock, {
    state: () => state,
    audit: async () => {
      asked++;
      if (isAway) throw new StoreUnavailable("away");
      return [];
    },
  });
  const body = { events: [{ type: "conversion", user: "u" }] };
  await t.rejects(desk.take(body, "shop"), StoreUnavailable);
  isAway = false;
  t.match(await desk.take(body, "shop"), { accepted: 1 }, "and asked for again after a failure");
  await desk.take(body, "shop");
  await desk.take({ events: [{ type: "sync_lag", seconds: 0 }] }, "shop");
  t.equal(asked, 2);
  state = stateAt("60", 2);
  await desk.take(body, "shop");
  t.equal(asked, 3);
});

t.test("thousands of events at once are no matter", async (t) => {
  const redis = await redisFor(t);
  const clock = { now: Date.now() };
  const store = createRedisEvents({ using: sessions(t, redis) });
  const { desk } = deskOf(store, clock);
  const events = Array.from({ length: 1_000 }, (_, i) => ({
    id: `e${i}`,
    type: "match",
    user: `u${i}`,
    confirmed: true,
    at: clock.now - i * 1_000,
  }));
  t.match(await desk.take({ events }, "shop"), { accepted: 1_000, refused: [] });
  for (let i = 0; i < 2_500; i++) await store.passOn("f", [{ text: `{"type":"conversion","user":"u${i}"}`, as: `x:${i}` }]);
  let accepted = 0;
  for (let i = 0; i < 3; i++) accepted += (await desk.poll()).accepted;
  t.equal(accepted, 2_500, "a stream that is longer than one reading");
});

/** A store that counts only when it is told to, and how many batches are with it. */
function slowStore(): { readonly store: EventStore; readonly under: () => number; readonly goOn: () => void } {
  const store = createMemoryEvents();
  const waiting: (() => void)[] = [];
  const add: EventStore["add"] = async (...args) => {
    await new Promise<void>((resolve) => void waiting.push(resolve));
    return store.add(...args);
  };
  return { store: { ...bound(store), add }, under: () => waiting.length, goOn: () => waiting.shift()?.() };
}

t.test("of a flood of batches two are under way, eight wait, and the others are sent away before anything is asked for them", async (t) => {
  const { store, under, goOn } = slowStore();
  let prepared = 0;
  const { desk } = deskOf(store, { now: Date.now() }, { prepare: async () => void prepared++ });
  const batch = (i: number) => desk.take({ events: [{ type: "match", user: `u${i}`, confirmed: true }] }, "feed");
  const all = Array.from({ length: 200 }, (_, i) => batch(i).catch((error: unknown) => error));
  await until(() => under() === 2, "two batches");
  t.equal(prepared, 2, "nothing is read for those who wait");
  const sentAway = await Promise.all(all.slice(10));
  t.ok(sentAway.every((error) => error instanceof TooBusy && error.retryAfterMs > 0));
  for (let done = 0; done < 10; done++) {
    await until(() => under() > 0, "a batch");
    t.ok(under() <= 2, "never more than two");
    goOn();
  }
  for (const report of await Promise.all(all.slice(0, 10))) t.match(report, { accepted: 1 });
  t.equal(prepared, 10);
  const next = batch(0);
  await until(() => under() === 1, "a batch after the flood");
  goOn();
  t.match(await next, { accepted: 1 });
});

t.test("an incident is counted in the middle of a flood of feedback", async (t) => {
  const { store, under, goOn } = slowStore();
  const { desk } = deskOf(store, { now: Date.now() });
  const flood = Array.from({ length: 20 }, (_, i) =>
    desk.take({ events: [{ type: "match", user: `u${i}`, confirmed: true }] }, "feed").catch((error: unknown) => error),
  );
  await until(() => under() === 2, "the flood");
  const incidents = Array.from({ length: 20 }, (_, i) =>
    desk.take({ events: [{ id: `i${i}`, type: "security", severity: "P0" }] }, "soc").catch((error: unknown) => error),
  );
  await until(() => under() === 3, "the incident");
  const mixed = {
    events: [
      { type: "security", severity: "P0" },
      { type: "conversion", user: "u" },
    ],
  };
  await t.rejects(desk.take(mixed, "feed"), TooBusy, "not as a passenger of feedback");
  for (let done = 0; done < 19; done++) {
    await until(() => under() > 0, "a batch");
    goOn();
  }
  const counted = (results: readonly unknown[]): number => results.filter((result) => !(result instanceof TooBusy)).length;
  t.same([counted(await Promise.all(flood)), counted(await Promise.all(incidents))], [10, 9], "a flood of incidents has its bound too");
});

t.test("a batch that fails gives its place to the next", async (t) => {
  const { desk } = deskOf(createMemoryEvents(), { now: Date.now() }, { prepare: () => Promise.reject(new StoreUnavailable("away")) });
  for (let i = 0; i < 20; i++) await t.rejects(desk.take({ events: [] }, "feed"), StoreUnavailable);
});

/** The methods of a store as a plain object, so that a test can replace some. */
function bound(store: EventStore): EventStore {
  return {
    add: (...args) => store.add(...args),
    changes: (...args) => store.changes(...args),
    minutes: (...args) => store.minutes(...args),
    users: (...args) => store.users(...args),
    signals: (...args) => store.signals(...args),
    signalsAfter: (...args) => store.signalsAfter(...args),
    inbox: (...args) => store.inbox(...args),
    passOn: (...args) => store.passOn(...args),
    done: (...args) => store.done(...args),
  };
}

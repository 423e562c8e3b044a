import t from "tap";
import fc from "fast-check";
import { SIGNAL_KINDS } from "../src/analysis/business.ts";
import { parseEvent, parseEvents, type ParseOptions } from "../src/analysis/events/parse.ts";
import { wireOf } from "../src/analysis/events/wire.ts";
import type { BusinessEvent } from "../src/analysis/events/event.ts";

const NOW = 1_780_000_000_000;
const OPTIONS: ParseOptions = { now: NOW, segments: ["enterprise", "beta_users"], ignoredUsers: ["anonymous"] };

function one(event: object): BusinessEvent {
  const result = parseEvent(event, OPTIONS);
  if ("faults" in result) throw new Error(result.faults.map(({ message }) => message).join("; "));
  return result.event;
}

function wrong(event: unknown): string[] {
  return parseEvents({ events: [event] }, OPTIONS).refused.map(({ field, message }) => `${field} | ${message}`);
}

t.test("every type of event is read", async (t) => {
  t.match(one({ type: "match", user: "u1", confirmed: true, at: "2026-05-04T09:30:00Z" }), {
    kind: "user",
    user: "u1",
    at: Date.UTC(2026, 4, 4, 9, 30),
    said: { type: "match", confirmed: true },
  });
  t.match(one({ type: "rating", request_id: "r", rating: 4, of: 5 }), { requestId: "r", said: { ratio: 0.8 }, at: NOW });
  t.match(one({ type: "conversion", user: 17, segment: "enterprise", served: "candidate" }), {
    user: "17",
    segment: "enterprise",
    served: "candidate",
  });
  t.match(one({ type: "revenue", user: " u1 ", amount: -12.5, at: NOW - 5 }), { user: "u1", said: { amount: -12.5 }, at: NOW - 5 });
  t.match(one({ type: "data_integrity", ratio: 0.99 }), { kind: "signal", reported: { value: 0.99 } });
  t.match(one({ type: "sync_lag", seconds: 0.4 }), { reported: { value: 0.4 } });
  t.match(one({ type: "sync_lag", seconds: "400ms" }), { reported: { value: 0.4 } });
  t.match(one({ type: "sessions_lost", count: 0 }), { reported: { value: 0 } });
  t.match(one({ type: "security", severity: "p1", note: "somebody got in" }), { reported: { value: 1, note: "somebody got in" } });
});

t.test("what is wrong is named with its place, field, value and what would be right", async (t) => {
  const { events, refused } = parseEvents(
    { events: [{ type: "conversion", user: "u1" }, { type: "revenue", user: "u1", amount: "12" }, 3, { type: "conversion", user: "u2" }] },
    OPTIONS,
  );
  t.same(
    events.map(({ index }) => index),
    [0, 3],
  );
  t.same(refused[0], {
    index: 1,
    kind: "invalid",
    field: "amount",
    value: '"12"',
    message: 'events[1]: amount: "12" is not an amount of money as a number, such as 12.5; below 0 for one that is paid back',
  });
  t.match(refused[1], { index: 2, value: "3", message: /events\[2\]: 3 is not an event/ });
});

t.test("mistakes and what is said of them", async (t) => {
  const rows: readonly (readonly [unknown, RegExp])[] = [
    [{ user: "u" }, /^type \| .*is missing; send one of match, rating/],
    [{ type: "mach", user: "u" }, /did you mean match\?/],
    [{ type: "toString", user: "u" }, /is not known/],
    [{ type: "conversion" }, /^user \| .*send user, or the X-Request-ID/],
    [{ type: "conversion", user: "" }, /is not a text of 1 to 1024/],
    [{ type: "conversion", user: "  " }, /stands for nobody/],
    [{ type: "conversion", user: "Anonymous" }, /stands for nobody/],
    [{ type: "conversion", user: "u", segment: "enterprises" }, /did you mean enterprise\?/],
    [{ type: "conversion", user: "u", served: "V2" }, /known: stable, candidate/],
    [{ type: "conversion", user: "u", servd: "stable" }, /^servd \| .*did you mean served\?/],
    [{ type: "match", user: "u" }, /confirmed: is missing; send true or false/],
    [{ type: "match", user: "u", confirmed: "yes" }, /"yes" is neither true nor false/],
    [{ type: "rating", user: "u", rating: 6, of: 5 }, /rating: 6 is not a number from 0 to 5/],
    [
      { type: "rating", user: "u", rating: 4 },
      /^of \| events\[0\]: of: is missing; send the best rating there is, a number above 0 such as 5$/,
    ],
    [{ type: "rating", user: "u", rating: 0, of: 0 }, /of: 0 is not the best rating/],
    [{ type: "revenue", user: "u", amount: Infinity }, /amount: Infinity/],
    [{ type: "conversion", user: "u", at: 1_780_000_000 }, /looks like seconds; send milliseconds/],
    [{ type: "conversion", user: "u", at: "2026-05-04T09:30:00" }, /is not a time; send one such as 2026-05-04T09:30:00Z/],
    [{ type: "conversion", user: "u", at: "2026-13-04T09:30:00Z" }, /is not a time/],
    [{ type: "conversion", user: "u", id: "x".repeat(201) }, /id: .*1 to 200/],
    [{ type: "data_integrity", ratio: 99 }, /a share from 0 to 1/],
    [{ type: "sync_lag", seconds: "soon" }, /a duration such as 400ms/],
    [{ type: "sessions_lost", count: 1.5 }, /is not a whole number/],
    [{ type: "security", severity: "high" }, /is not P0, P1, P2 or P3/],
  ];
  for (const [event, message] of rows) {
    const said = wrong(event);
    t.equal(said.length, 1, JSON.stringify(event));
    t.match(said[0], message);
  }
  t.match(wrong({ type: "rating", user: "u", rating: -1, of: -5, segment: "x" })[0], /segment.*; of.*; rating/, "all of one event at once");
});

t.test("a batch as a whole may be wrong", async (t) => {
  for (const body of [undefined, null, 3, "x", {}, { events: {} }, { events: null }]) {
    const { events, refused } = parseEvents(body, OPTIONS);
    t.equal(events.length, 0);
    t.match(refused, [{ index: undefined, field: "events" }]);
  }
  const many = Array.from({ length: 1_001 }, () => ({ type: "conversion", user: "u" }));
  t.match(parseEvents({ events: many }, OPTIONS).refused, [{ message: /1001 are more than a batch may hold; send at most 1000/ }]);
  t.equal(parseEvents({ events: many.slice(1) }, OPTIONS).events.length, 1_000);
  t.same(parseEvents({ events: [] }, OPTIONS), { events: [], refused: [] });
});

t.test("an event without an id is known again by its time or its request, and by nothing else", async (t) => {
  const id = (event: object): string => one(event).id;
  t.equal(id({ type: "conversion", user: "u", id: "a" }), id({ type: "conversion", user: "v", id: "a" }), "its own id says it all");
  t.not(id({ type: "conversion", user: "u" }), id({ type: "conversion", user: "u" }), "two conversions, or one sent twice: both count");
  t.not(id({ type: "sync_lag", seconds: 1 }), id({ type: "sync_lag", seconds: 1 }));
  t.equal(id({ type: "conversion", user: "u", at: NOW }), id({ at: new Date(NOW).toISOString(), user: "u", type: "conversion" }));
  t.not(id({ type: "conversion", user: "u", at: NOW }), id({ type: "conversion", user: "u", at: NOW + 1 }));
  t.equal(id({ type: "match", request_id: "r", confirmed: true }), id({ type: "match", request_id: "r", confirmed: true }));
  t.not(id({ type: "match", request_id: "r", confirmed: true }), id({ type: "match", request_id: "r", confirmed: false }));
  const later = parseEvent({ type: "match", request_id: "r", confirmed: true }, { ...OPTIONS, now: NOW + 1000 });
  t.equal("event" in later && later.event.id, id({ type: "match", request_id: "r", confirmed: true }), "whenever it is sent");
  const named = parseEvent({ type: "conversion", user: "u" }, OPTIONS, "stream:1-0");
  t.equal("event" in named && named.event.id, "stream:1-0");
});

t.test("a signal is taken for what it says, whatever else it has", async (t) => {
  t.match(one({ type: "security", severity: "P0", user: "u1", host: "db-3", note: 5 }), { reported: { value: 0, note: "" } });
  t.equal(wrong({ type: "security", severity: "P0", segment: "nobody's" }).length, 0);
});

t.test("an event survives being passed on", async (t) => {
  const events = [
    { type: "match", request_id: "r", confirmed: false, at: NOW - 7 },
    { type: "rating", user: "u", request_id: "r", rating: 2, of: 3, segment: "enterprise", served: "stable" },
    { type: "conversion", user: "u" },
    { type: "revenue", user: "u", amount: 0.1 },
    { type: "data_integrity", ratio: 0.5 },
    { type: "sync_lag", seconds: 0.1 },
    { type: "sessions_lost", count: 2 },
    { type: "security", severity: "P2", note: "x" },
  ];
  for (const given of events) {
    const event = one(given);
    const again = parseEvent(JSON.parse(JSON.stringify(wireOf(event))), { ...OPTIONS, now: 0 }, event.id);
    t.same("event" in again && again.event, event);
  }
});

t.test("nothing that is sent makes it throw, and every event is either taken or named", async (t) => {
  const types = ["match", "rating", "conversion", "revenue", ...SIGNAL_KINDS];
  const value = fc.oneof(
    fc.anything({ withBigInt: true, withNullPrototype: true, withSparseArray: true }),
    fc.constantFrom("u1", 1, true, NOW, "P0"),
  );
  const names = [
    "id",
    "type",
    "at",
    "user",
    "request_id",
    "segment",
    "served",
    "confirmed",
    "rating",
    "of",
    "amount",
    "ratio",
    "seconds",
    "count",
    "severity",
  ];
  const event = fc.oneof(
    fc.anything(),
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), value),
    fc.tuple(fc.constantFrom(...types), fc.dictionary(fc.constantFrom(...names), value)).map(([type, rest]) => ({ ...rest, type })),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), (events) => {
      const { events: taken, refused } = parseEvents({ events }, OPTIONS);
      t.equal(taken.length + refused.length, events.length);
      for (const { event } of taken) {
        if (!Number.isSafeInteger(event.at)) throw new Error("at");
        JSON.stringify(event);
      }
      for (const { message } of refused) if (message.length > 3_000) throw new Error("a message without end");
    }),
    { numRuns: 1_000 },
  );
  fc.assert(
    fc.property(fc.anything(), (body) => void parseEvents(body, OPTIONS)),
    { numRuns: 500 },
  );
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error("no");
      },
      has: () => {
        throw new Error("no");
      },
      getOwnPropertyDescriptor: () => {
        throw new Error("no");
      },
    },
  );
  t.equal(parseEvents({ events: [hostile] }, OPTIONS).refused.length, 1);
  t.equal(parseEvents(hostile, OPTIONS).refused.length, 1);
});

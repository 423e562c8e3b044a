import fc from "fast-check";
import t from "tap";
import { encodeRecord } from "../src/analysis/recording.ts";
import { encodeTick } from "../src/analysis/tick.ts";
import type { FiguresTable } from "../src/analysis/figures.ts";
import { FleetWindows, recordingOf } from "../src/analysis/windows.ts";
import { summarize, summarizeSpans } from "../src/analysis/windows-summary.ts";
import { cellOf, FakeBusiness, FakeStreams, tickAt } from "./support/windows.ts";

const MINUTE = 60_000;
const T0 = 1_800_000_000_000;
const STAYS = [{ from: T0, step: 0, percentageBp: 1_000 }];

/** An instance that publishes a tick a second, each with so many requests. */
class Instance {
  seq: number;
  last: number;
  readonly name: string;
  readonly streams: FakeStreams;

  constructor(streams: FakeStreams, name: string, from = T0) {
    this.streams = streams;
    this.name = name;
    this.seq = from;
    this.last = from;
  }

  /** `to` is by its own clock, `at` by the store's. */
  tick(to: number, count: number, ms = 50, at?: number): void {
    const text = encodeTick(tickAt(this.seq++, this.last, to, count === 0 ? [] : [cellOf(count, ms)]));
    this.last = to;
    this.streams.publish(this.name, text, at);
  }
}

function requestsIn({ cells }: FiguresTable): number {
  return cells.reduce((sum, { candidate }) => sum + candidate.requests, 0);
}

/** Everything that must be the same, whoever added it up. */
function factsOf(table: FiguresTable | undefined): string {
  const cells = table?.cells.map(({ route, stable, candidate }) => [
    route,
    ...[stable, candidate].map((arm) => ({ ...arm, p95: arm.latencies.quantile(0.95) })),
  ]);
  return JSON.stringify([table?.coveredMs, table?.instances, cells]);
}

/** Refreshed, with the record read to its end. */
async function refreshed(windows: FleetWindows, now: number): Promise<number | undefined> {
  const to = await windows.refresh(now);
  await windows.caughtUp();
  return to;
}

function windowsOf(streams: FakeStreams, keepMs = 900_000): FleetWindows {
  return new FleetWindows({ fetch: streams.fetch, recorded: streams.recorded, keepMs });
}

/** Leads as an instance does, once. */
async function lead(windows: FleetWindows, streams: FakeStreams, now: number, stays = STAYS): Promise<void> {
  await refreshed(windows, now);
  const entry = recordingOf(windows, new FakeBusiness(), { now, periodMs: MINUTE, stays });
  if (entry !== undefined) streams.append(encodeRecord(entry));
}

t.test("a window holds what all instances counted in it, and says whose and how much time that is", async (t) => {
  const streams = new FakeStreams();
  const windows = windowsOf(streams);
  t.equal(await refreshed(windows, T0), undefined, "nothing is there yet");
  t.same(await windows.between(T0, T0 + 5_000), { from: T0, to: T0 + 5_000, coveredMs: 0, instances: [], cells: [] });
  const [a, b] = [new Instance(streams, "a"), new Instance(streams, "b", T0 + 2_000)];
  for (let second = 1; second <= 10; second++) {
    a.tick(T0 + second * 1_000, 1);
    if (second > 2) b.tick(T0 + second * 1_000, 10);
  }
  streams.publish("c", "this is no tick");
  t.equal(await refreshed(windows, T0 + 10_000), T0 + 10_000);
  const all = await windows.between(T0 - 5_000, T0 + 10_000);
  t.equal(requestsIn(all), 10 + 80);
  t.match(all, { coveredMs: 10_000, instances: ["a", "b"] });
  const early = await windows.between(T0, T0 + 2_000);
  t.equal(requestsIn(early), 2);
  t.match(early, { coveredMs: 2_000, instances: ["a"] });
  t.equal(await windows.between(T0, T0 + 2_000), early, "what was asked before is not added up again");
  a.tick(T0 + 11_000, 0);
  await refreshed(windows, T0 + 11_000);
  t.match(await windows.between(T0 + 10_000, T0 + 11_000), { coveredMs: 1_000, cells: [] }, "no traffic is not no data");
});

t.test("windows that follow one another add up to the one over all of them", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ instance: fc.constantFrom("a", "b"), ms: fc.integer({ min: 1, max: 4_000 }), count: fc.nat(5) }), {
        maxLength: 60,
      }),
      fc.array(fc.nat(100_000), { minLength: 1, maxLength: 5 }),
      async (ticks, cuts) => {
        const streams = new FakeStreams();
        const windows = windowsOf(streams);
        const instances = { a: new Instance(streams, "a"), b: new Instance(streams, "b") };
        for (const { instance, ms, count } of ticks) instances[instance].tick(instances[instance].last + ms, count);
        await refreshed(windows, T0);
        const edges = [0, ...cuts, 300_000].toSorted((one, other) => one - other).map((ms) => T0 + ms);
        const parts = await Promise.all(edges.slice(1).map((to, at) => windows.between(edges[at] ?? 0, to)));
        const whole = await windows.between(T0, T0 + 300_000);
        return (
          parts.reduce((sum, part) => sum + requestsIn(part), 0) === requestsIn(whole) &&
          requestsIn(whole) === ticks.reduce((sum, { count }) => sum + count, 0)
        );
      },
    ),
    { numRuns: 60 },
  );
});

t.test("what is published twice counts once, also by an instance of the same name that began anew", async (t) => {
  const streams = new FakeStreams();
  const windows = windowsOf(streams);
  const text = encodeTick(tickAt(T0, T0, T0 + 1_000, [cellOf(3)]));
  streams.publish("a", text);
  await refreshed(windows, T0);
  streams.publish("a", text);
  streams.publish("a", encodeTick(tickAt(T0 + 1, T0 + 1_000, T0 + 2_000, [cellOf(3)])));
  streams.publish("a", encodeTick(tickAt(T0 + 60_000, T0 + 60_000, T0 + 61_000, [cellOf(4)])));
  await refreshed(windows, T0);
  t.equal(requestsIn(await windows.between(T0, T0 + 100_000)), 10);
});

t.test("the record goes on by minutes, ends an entry where the step changes, and holds nothing from before the rollout", async (t) => {
  const streams = new FakeStreams();
  const windows = windowsOf(streams);
  const a = new Instance(streams, "a", T0 - 10_000);
  const stays = [...STAYS, { from: T0 + 90_000, step: 1, percentageBp: 2_500 }];
  const entries = [];
  const business = new FakeBusiness();
  const cell = { arm: "stable", segment: "none", metric: "accuracy", sums: { users: 1, y: 1, n: 1, yy: 1, nn: 1, yn: 1 } } as const;
  business.strata = [{ step: 0, assigned: [cell], served: [] }];
  for (let now = T0 - 9_000; now <= T0 + 200_000; now += 1_000) {
    a.tick(now, 1);
    await refreshed(windows, now);
    const entry = recordingOf(windows, business, { now, periodMs: MINUTE, stays });
    t.equal(
      entry === undefined ? undefined : recordingOf(windows, business, { now, periodMs: MINUTE, stays }),
      undefined,
      "one entry a refresh",
    );
    if (entry === undefined) continue;
    entries.push(entry);
    streams.append(encodeRecord(entry));
    if (entries.length === 2) business.strata = [{ step: 0, assigned: [cell, cell], served: [] }];
  }
  t.match(
    entries.map(({ from, to, step, percentageBp }) => [from - T0, to - T0, step, percentageBp]),
    [
      [0, 60_000, 0, 1_000],
      [60_000, 90_000, 0, 1_000],
      [90_000, 150_000, 1, 2_500],
    ],
  );
  t.same(
    entries.map(({ figures }) => figures.map(({ cells }) => cells[0]?.candidate.requests)),
    [[60], [30], [60]],
  );
  t.same(
    entries.map(({ strata }) => strata.length),
    [1, 0, 1],
    "only strata that have changed",
  );
  t.same(
    entries.map(({ business }) => business[0]?.sums.users),
    [60_000, 30_000, 60_000],
  );
  t.same(
    entries.map(({ after }) => after),
    ["", ...streams.entries.slice(0, 2).map(({ id }) => id)],
  );
});

t.test("where no step is in force, what is counted is recorded, and nothing else", async (t) => {
  for (const [what, last] of [
    ["rolled back", { from: T0 + 60_000, step: -1, percentageBp: 0 }],
    ["held", { from: T0, to: T0 + 60_000, step: 0, percentageBp: 1_000 }],
  ] as const) {
    const streams = new FakeStreams();
    const windows = windowsOf(streams);
    const a = new Instance(streams, "a");
    const stays = [...STAYS.map((stay) => ({ ...stay, to: T0 + 60_000 })).filter(({ from }) => from !== last.from), last];
    const business = new FakeBusiness();
    business.isEmpty = true;
    const entries = [];
    for (let now = T0 + 1_000; now <= T0 + 1_000_000; now += 1_000) {
      // One request long after the rollout has come to rest.
      a.tick(now, now <= T0 + 60_000 || now === T0 + 700_000 ? 1 : 0);
      if (now === T0 + 900_000) business.isEmpty = false;
      if (now === T0 + 960_000) business.isEmpty = true;
      await refreshed(windows, now);
      const entry = recordingOf(windows, business, { now, periodMs: MINUTE, stays });
      if (entry === undefined) continue;
      entries.push(entry);
      streams.append(encodeRecord(entry));
    }
    t.equal(
      entries.reduce((sum, { figures }) => sum + figures.reduce((own, { cells }) => own + (cells[0]?.candidate.requests ?? 0), 0), 0),
      61,
      what,
    );
    t.ok(entries.length <= 5, `${entries.length} entries in a quarter of an hour`);
    t.ok(
      entries.some(({ business: cells }) => cells.length > 0),
      "what people report is",
    );
    t.equal(requestsIn(await windows.between(T0 - 1_000_000, T0 + 1_000_000)), 61);
    t.ok((windows.recordState()?.pending.length ?? 0) <= 200, "what is empty does not pile up");
  }
});

t.test("an entry of which nobody knows whether it was written is neither lost nor doubled", async (t) => {
  for (const written of [true, false]) {
    const streams = new FakeStreams();
    const windows = windowsOf(streams, 1_000);
    const a = new Instance(streams, "a");
    for (let second = 1; second <= 100; second++) a.tick(T0 + second * 1_000, 1);
    await refreshed(windows, T0);
    const entry = recordingOf(windows, new FakeBusiness(), { now: T0 + 100_000, periodMs: MINUTE, stays: STAYS });
    if (entry === undefined) throw new Error("there is an entry");
    if (written) streams.append(encodeRecord(entry));
    await lead(windows, streams, T0 + 100_000);
    await refreshed(windows, T0);
    t.equal(streams.entries.length, 1, "in the end there is one");
    t.equal(requestsIn(await windows.between(T0, T0 + 200_000)), 100);
  }
});

t.test("an instance that publishes late, after an outage, counts where it belongs, and once", async (t) => {
  const streams = new FakeStreams();
  const windows = windowsOf(streams, 60_000);
  const [a, late] = [new Instance(streams, "a"), new Instance(streams, "late")];
  for (let second = 1; second <= 400; second++) {
    const now = T0 + second * 1_000;
    a.tick(now, 1);
    if (second <= 10 || second > 320) late.tick(now, second === 321 ? 310 * 7 : 7);
    await lead(windows, streams, now);
  }
  const now = T0 + 400_000;
  t.equal(requestsIn(await windows.between(T0, now)), 400 + 400 * 7 - 7);
  t.equal(requestsIn(await windows.between(now - 10_000, now)), 80, "the last seconds are not those of the outage");
  const rebuilt = windowsOf(streams, 60_000);
  await refreshed(rebuilt, now);
  t.same(await rebuilt.between(T0, now), await windows.between(T0, now));
  const entries = streams.entries.map(({ text }) => text);
  t.equal(new Set(entries).size, entries.length);
});

t.test("whoever takes over, whenever, adds up what the one before would have", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          ms: fc.constantFrom(1_000, 1_000, 1_000, 900, 7_000, 40_000),
          instance: fc.nat(2),
          count: fc.nat(3),
          event: fc.constantFrom("none", "none", "none", "none", "takeover", "twice", "lost"),
        }),
        { minLength: 30, maxLength: 250 },
      ),
      fc.nat(100_000),
      fc.constantFrom(0, 1_000, 30_000, 4_000_000),
      async (moves, stepAfter, skew) => {
        const streams = new FakeStreams();
        const stays = [...STAYS, { from: T0 + stepAfter, step: 1, percentageBp: 2_500 }];
        const steady = windowsOf(streams, 20_000);
        let leader = windowsOf(streams, 20_000);
        // One has a clock of its own.
        const ahead = [0, 0, skew];
        const instances = ["a", "b", "c"].map((name, at) => new Instance(streams, name, T0 + (ahead[at] ?? 0)));
        let now = T0;
        let total = 0;
        for (const { ms, instance, count, event } of moves) {
          now += ms;
          instances[instance]?.tick(now + (ahead[instance] ?? 0), count, 50, now);
          total += count;
          if (event === "takeover") leader = windowsOf(streams, 20_000);
          if (event === "twice") {
            // A second one believes that it leads; the fence keeps its entry out.
            const other = windowsOf(streams, 20_000);
            await refreshed(other, now);
            recordingOf(other, new FakeBusiness(), { now, periodMs: MINUTE, stays });
          }
          if (event === "lost") {
            await refreshed(leader, now);
            recordingOf(leader, new FakeBusiness(), { now, periodMs: MINUTE, stays });
          }
          await lead(leader, streams, now, stays);
          await refreshed(steady, now);
        }
        const fresh = windowsOf(streams, 20_000);
        await Promise.all([steady, leader, fresh].map((windows) => refreshed(windows, now)));
        const tables = await Promise.all([steady, leader, fresh].map((windows) => windows.between(T0 - 1_000_000, now + 2_000)));
        const steps = await Promise.all([steady, leader, fresh].map((windows) => windows.between(T0 + stepAfter, now + 2_000)));
        const isSame = ([first, ...others]: readonly FiguresTable[]): boolean => others.every((other) => factsOf(other) === factsOf(first));
        return isSame(tables) && isSame(steps) && tables.every((table) => requestsIn(table) === total);
      },
    ),
    { numRuns: 25 },
  );
});

t.test("an entry that a failover lost is forgotten by those who had read it", async (t) => {
  const streams = new FakeStreams();
  const [reader, writer] = [windowsOf(streams, 1_000), windowsOf(streams, 1_000)];
  const a = new Instance(streams, "a");
  for (let second = 1; second <= 70; second++) a.tick(T0 + second * 1_000, 1);
  await lead(writer, streams, T0 + 70_000);
  await refreshed(reader, T0);
  t.equal(requestsIn(await reader.between(T0, T0 + 70_000)), 70);
  streams.entries = [];
  const next = windowsOf(streams, 1_000);
  for (let second = 71; second <= 140; second++) {
    a.tick(T0 + second * 1_000, 1);
    await lead(next, streams, T0 + second * 1_000);
  }
  t.equal(streams.entries.length, 2);
  await refreshed(reader, T0);
  t.equal(requestsIn(await reader.between(T0, T0 + 140_000)), 140);
});

t.test("days of record are added up to hours and days, and steps stay exact", async (t) => {
  const streams = new FakeStreams();
  const entryAt = (minute: number, step: number, id: string) => ({
    from: T0 + minute * MINUTE,
    to: T0 + (minute + 1) * MINUTE,
    step,
    percentageBp: 1_000,
    figures: [
      {
        from: T0 + minute * MINUTE,
        to: T0 + (minute + 1) * MINUTE,
        covered: [[T0 + minute * MINUTE, T0 + (minute + 1) * MINUTE] as const],
        instances: ["a"],
        cells: [cellOf(1 + (minute % 3))],
      },
    ],
    business: [],
    signals: [],
    strata: [],
    upTo: { a: minute },
    after: id,
  });
  const days = 4;
  const minutes = days * 24 * 60;
  // A step begins in the middle of an hour.
  const change = 1_000;
  let id = "";
  for (let minute = 0; minute < minutes; minute++) id = streams.append(encodeRecord(entryAt(minute, minute < change ? 0 : 1, id)));
  const windows = windowsOf(streams);
  await refreshed(windows, T0);
  const now = T0 + minutes * MINUTE;
  const naive = (from: number): number =>
    Array.from({ length: minutes - from }, (_, at) => 1 + ((at + from) % 3)).reduce((sum, count) => sum + count, 0);
  const whole = await windows.between(T0, now);
  t.equal(requestsIn(whole), naive(0));
  t.equal(whole.coveredMs, minutes * MINUTE);
  t.equal(requestsIn(await windows.between(T0 + change * MINUTE, now)), naive(change), "a step that began in the middle of an hour");
  t.equal(requestsIn(await windows.between(now - 90 * MINUTE, now)), naive(minutes - 90), "minutes of the last two hours");
  for (let more = 0; more < 200; more++) {
    id = streams.append(encodeRecord(entryAt(minutes + more, 1, id)));
    await refreshed(windows, T0);
    // Asked in the middle of an hour, and then not before that hour is old.
    if (more === 30) await windows.between(T0, now + more * MINUTE + MINUTE);
  }
  const fresh = windowsOf(streams);
  await refreshed(fresh, T0);
  for (const from of [T0, T0 + change * MINUTE]) {
    const [one, other] = await Promise.all([windows, fresh].map((each) => each.between(from, now + 200 * MINUTE)));
    t.equal(requestsIn(one ?? whole), requestsIn(other ?? whole));
    t.same(one?.cells[0]?.candidate.waits, other?.cells[0]?.candidate.waits, "carried on or added up anew");
  }
});

t.test("a store that cannot be asked rejects, and what was there before still is", async (t) => {
  const streams = new FakeStreams();
  let isUp = true;
  const windows = new FleetWindows({
    fetch: (after) => (isUp ? streams.fetch(after) : Promise.reject(new Error("away"))),
    recorded: streams.recorded,
  });
  const a = new Instance(streams, "a");
  a.tick(T0 + 1_000, 5);
  await refreshed(windows, T0);
  isUp = false;
  a.tick(T0 + 2_000, 5);
  await t.rejects(refreshed(windows, T0), /away/);
  t.equal(requestsIn(await windows.between(T0, T0 + 5_000)), 5);
  isUp = true;
  await refreshed(windows, T0);
  t.equal(requestsIn(await windows.between(T0, T0 + 5_000)), 10);
});

t.test("the summary says in people's figures what a window holds", async (t) => {
  const streams = new FakeStreams();
  const windows = windowsOf(streams);
  const a = new Instance(streams, "a");
  for (let second = 1; second <= 600; second++) a.tick(T0 + second * 1_000, 1, second > 595 ? 160 : 40);
  await refreshed(windows, T0);
  const now = T0 + 600_000;
  const spans = await summarizeSpans(windows, { now, stepFrom: now - 20_000, startFrom: T0 });
  t.same(Object.fromEntries(Object.entries(spans).map(([span, rows]) => [span, rows[0]?.candidate.requests])), {
    "10s": 10,
    "1m": 60,
    "5m": 300,
    step: 20,
    start: 600,
  });
  t.match(spans["10s"][0], { route: "match", segment: "none", candidate: { p50: 40, p95: 160, errors: 0, fallbacks: 0, quality: 0.5 } });
  t.match(spans.start[0]?.candidate, { p99: 40 });
  t.same(summarize(await windows.between(T0 - 10_000, T0)), []);
});

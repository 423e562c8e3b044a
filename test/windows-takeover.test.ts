import t from "tap";
import { encodeRecord, type RecordEntry } from "../src/analysis/recording.ts";
import { encodeTick } from "../src/analysis/tick.ts";
import { FleetWindows, recordingOf } from "../src/analysis/windows.ts";
import { cellOf, FakeBusiness, FakeStreams, tickAt } from "./support/windows.ts";

const MINUTE = 60_000;
const T0 = 1_800_000_000_000;
const STAYS = [{ from: T0, step: 0, percentageBp: 1_000 }];

/** Of a minute, with as many durations as slots make it heavy to add up. */
function entryAt(minute: number, after: string, routes: number): RecordEntry {
  const [from, to] = [T0 + minute * MINUTE, T0 + (minute + 1) * MINUTE];
  const cells = Array.from({ length: routes }, (_, route) => cellOf(1, 50, `route${route}`));
  return {
    from,
    to,
    step: 0,
    percentageBp: 1_000,
    business: [],
    signals: [],
    strata: [],
    figures: [{ from, to, covered: [[from, to]], instances: ["a"], cells }],
    upTo: { a: minute },
    after,
  };
}

/** A record of so many minutes, and ten seconds that were published since. */
function streamsOf(minutes: number, routes = 1): FakeStreams {
  const streams = new FakeStreams();
  let id = "";
  for (let minute = 0; minute < minutes; minute++) id = streams.append(encodeRecord(entryAt(minute, id, routes)));
  const end = T0 + minutes * MINUTE;
  for (let second = 1; second <= 10; second++) {
    const to = end + second * 1_000;
    streams.publish("a", encodeTick(tickAt(minutes + second, to - 1_000, to, [cellOf(1)])), to);
  }
  return streams;
}

async function requestsIn(windows: FleetWindows, from: number, to: number): Promise<number> {
  const { cells } = await windows.between(from, to);
  return cells.reduce((sum, { candidate }) => sum + candidate.requests, 0);
}

t.test("a new leader has the last minutes at once, and the whole rollout when it has read the record", async (t) => {
  const streams = streamsOf(500);
  const gate = Promise.withResolvers<void>();
  const windows = new FleetWindows({
    fetch: streams.fetch,
    recorded: async (after, count) => {
      await gate.promise;
      return streams.recorded(after, count);
    },
  });
  const now = T0 + 500 * MINUTE + 10_000;
  for (const time of ["first", "second"]) {
    t.equal(await windows.refresh(now), now, `the ${time} refresh waits for no record`);
    t.equal(await requestsIn(windows, now - 10_000, now), 10);
    t.match(await windows.between(T0, now), { coveredMs: 0, cells: [] }, "nothing is known of it, so nothing is said");
    t.equal(windows.recordState(), undefined, "nor can the record be carried on");
  }
  gate.resolve();
  await windows.caughtUp();
  t.equal(await requestsIn(windows, T0, now), 510);
  t.equal((await windows.between(T0, now)).coveredMs, now - T0);
  t.match(windows.recordState(), { until: T0 + 500 * MINUTE, upTo: { a: 499 } });
});

t.test("a long record is read in slices, between which everything else has its turn", async (t) => {
  const streams = streamsOf(700, 60);
  const windows = new FleetWindows({ fetch: streams.fetch, recorded: streams.recorded });
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const begun = process.cpuUsage();
  await windows.refresh(T0);
  await windows.caughtUp();
  isDone = true;
  const { user } = process.cpuUsage(begun);
  t.ok(turns > 5, `${turns} turns in ${Math.round(user / 1_000)} ms of work`);
  t.equal(await requestsIn(windows, T0, T0 + 10_000_000_000), 700 * 60 + 10);
});

t.test("a record that cannot be read hides the last minutes from nobody, and is read on from where it was", async (t) => {
  const streams = streamsOf(250);
  const asked: string[] = [];
  let isUp = false;
  const windows = new FleetWindows({
    fetch: streams.fetch,
    recorded: async (after, count) => {
      asked.push(after);
      if (!isUp && after !== "") throw new Error("the record is away");
      return streams.recorded(after, count);
    },
  });
  const now = T0 + 250 * MINUTE + 10_000;
  t.equal(await windows.refresh(now), now);
  await windows.caughtUp();
  t.equal(await requestsIn(windows, now - 10_000, now), 10);
  t.match(await windows.between(T0, now), { coveredMs: 0 });
  t.throws(() => windows.recordState(), /the record is away/);
  isUp = true;
  await windows.refresh(now);
  await windows.caughtUp();
  t.equal(asked.filter((after) => after === "").length, 1);
  t.equal(await requestsIn(windows, T0, now), 260);
  t.ok(windows.recordState());
});

t.test("a reading that was under way when an entry was made does not tell whether that was written", async (t) => {
  const streams = streamsOf(0);
  let gate: Promise<void> | undefined;
  const windows = new FleetWindows({
    fetch: streams.fetch,
    recorded: async (after, count) => {
      const found = await streams.recorded(after, count);
      await gate;
      return found;
    },
  });
  for (let second = 11; second <= 70; second++) {
    const to = T0 + second * 1_000;
    streams.publish("a", encodeTick(tickAt(second, to - 1_000, to, [cellOf(1)])), to);
  }
  const now = T0 + 70_000;
  const next = (): RecordEntry | undefined => recordingOf(windows, new FakeBusiness(), { now, periodMs: MINUTE, stays: STAYS });
  await windows.refresh(now);
  await windows.caughtUp();
  const held = Promise.withResolvers<void>();
  gate = held.promise;
  await windows.refresh(now);
  const entry = next();
  if (entry === undefined) throw new Error("there is an entry");
  streams.append(encodeRecord(entry));
  await windows.refresh(now);
  held.resolve();
  await windows.caughtUp();
  t.equal(next(), undefined, "that reading had asked before the entry was written");
  gate = undefined;
  await windows.refresh(now);
  await windows.caughtUp();
  t.equal(next(), undefined, "it was: there is nothing for another yet");
  t.match(windows.recordState(), { until: T0 + MINUTE });
  t.equal(await requestsIn(windows, T0 - 1_000_000, now), 70);
});

t.test("a reading ends where the windows are closed", async (t) => {
  const streams = streamsOf(350);
  let asked = 0;
  const first = Promise.withResolvers<void>();
  const windows = new FleetWindows({
    fetch: streams.fetch,
    recorded: async (after, count) => {
      asked++;
      await first.promise;
      return streams.recorded(after, count);
    },
  });
  await windows.refresh(T0);
  windows.close();
  first.resolve();
  await windows.caughtUp();
  t.equal(asked, 1, "what was asked for comes, and nothing more is");
  t.match(await windows.between(T0, T0 + 1_000_000_000), { coveredMs: 0 });
});

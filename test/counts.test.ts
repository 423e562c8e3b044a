import fc from "fast-check";
import t, { type Test } from "tap";
import { type CountBatch, type CountCell, type CountStore, COUNTS_KEPT_MS, type HourCounts } from "../src/store/counts.ts";
import { createMemoryCounts } from "../src/store/counts-memory.ts";
import { mergeHours } from "../src/store/counts-merge.ts";
import { createRedisCounts } from "../src/store/counts-redis.ts";
import { cellField, cellText, coveredText, HOUR_MS, readHour } from "../src/store/counts-text.ts";
import { EventConnection } from "../src/store/event-connection.ts";
import { StoreUnavailable } from "../src/store/store.ts";
import { redisFor } from "./support/events.ts";
import type { RedisServer } from "./support/redis.ts";

const NOW_HOUR = Math.floor(Date.now() / HOUR_MS);
const EDGES = [10, 100, 2_500, Infinity];

const cells = fc.record({
  version: fc.constantFrom("v1", "v2", ""),
  segment: fc.constantFrom("none", "enterprise"),
  failed: fc.nat(1_000),
  answered: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...EDGES), fc.integer({ min: 1, max: 1_000_000 })), { selector: ([edge]) => edge })
    .map((entries) => new Map(entries)),
});
const hours = fc.record({
  hour: fc.integer({ min: NOW_HOUR - 3, max: NOW_HOUR }),
  covered: fc.uniqueArray(fc.nat(59)).map((minutes) => new Set(minutes)),
  cells: fc.uniqueArray(cells, { selector: cellField, maxLength: 4 }),
});

/** The same for what says the same, in whichever order; what counted nothing says nothing. */
function plain(counts: readonly HourCounts[]): unknown {
  return counts
    .toSorted((one, other) => one.hour - other.hour)
    .map(({ hour, covered, cells: all }) => ({
      hour,
      covered: [...covered].toSorted((one, other) => one - other),
      cells: all
        .filter(({ failed, answered }) => failed > 0 || answered.size > 0)
        .toSorted((one, other) => (cellField(one) < cellField(other) ? -1 : 1))
        .map(({ answered, ...cell }) => ({ ...cell, answered: [...answered].toSorted(([one], [other]) => one - other) })),
    }));
}

function merged(counts: readonly HourCounts[]): readonly HourCounts[] {
  const byHour = new Map<number, HourCounts>();
  for (const more of counts) {
    const before = byHour.get(more.hour);
    byHour.set(more.hour, before === undefined ? more : mergeHours(before, more));
  }
  return [...byHour.values()];
}

function oneCell(failed: number, answered: readonly (readonly [number, number])[]): CountCell {
  return { version: "v2", segment: "none", failed, answered: new Map(answered) };
}

function batchOf(writer: string, seq: number, counts: readonly HourCounts[]): CountBatch {
  return { writer, seq, hours: merged(counts) };
}

function redisCounts(scope: Test, redis: RedisServer, prefix: string): CountStore {
  const line = new EventConnection({ store: { kind: "redis", url: redis.url }, instance: "test" });
  scope.teardown(() => line.close());
  return createRedisCounts({ using: line.using, prefix });
}

let shared: Promise<RedisServer> | undefined;
let prefixes = 0;
async function eachStore(scope: Test): Promise<readonly CountStore[]> {
  shared ??= redisFor(t);
  return [createMemoryCounts(), redisCounts(scope, await shared, `counts${prefixes++}:`)];
}

t.test("what is written of an hour is read back as it was", async () => {
  fc.assert(
    fc.property(hours, (given) => {
      const fields = Object.fromEntries(given.cells.map((cell) => [cellField(cell), cellText(cell)]));
      const read = readHour(given.hour, { ...fields, covered: coveredText(given.covered) });
      return JSON.stringify(plain([read])) === JSON.stringify(plain([given]));
    }),
  );
});

t.test("batches of several writers add up to what they hold, in whichever order and however often they are sent", async (t) => {
  for (const store of await eachStore(t)) {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(hours, { maxLength: 3 }), { maxLength: 4 }), fc.boolean(), async (parts, twice) => {
        const flag = `flag${run++}`;
        for (const [seq, part] of parts.entries()) {
          const batch = batchOf(`writer${seq % 2}`, seq, part);
          await store.add(flag, batch);
          if (twice) await store.add(flag, batch);
        }
        const { hours: changed } = await store.changes(flag, 0);
        const wanted = merged(parts.flat());
        const read = await store.hours(flag, changed);
        return JSON.stringify(plain(read)) === JSON.stringify(plain(wanted));
      }),
      { numRuns: 30 },
    );
  }
});

t.test("a reader hears which hours have changed since it read them", async (t) => {
  for (const store of await eachStore(t)) {
    const hour = (at: number): HourCounts => ({ hour: at, covered: new Set([0]), cells: [oneCell(1, [])] });
    t.same(await store.changes("f", 0), { version: 0, hours: [] });
    await store.add("f", batchOf("a", 1, [hour(NOW_HOUR - 1), hour(NOW_HOUR)]));
    const first = await store.changes("f", 0);
    t.same(
      first.hours.toSorted((one, other) => one - other),
      [NOW_HOUR - 1, NOW_HOUR],
    );
    t.same((await store.changes("f", first.version)).hours, []);
    await store.add("f", batchOf("a", 2, [hour(NOW_HOUR)]));
    const second = await store.changes("f", first.version);
    t.same(second.hours, [NOW_HOUR]);
    t.ok(second.version > first.version);
    t.same(await store.hours("f", [NOW_HOUR - 500]), [], "of an hour that nobody counted in nothing is known");
    t.same((await store.changes("other", 0)).hours, [], "flags are counted apart");
  }
});

t.test("numbers as large as they get are added exactly", async (t) => {
  for (const store of await eachStore(t)) {
    const most = 4_503_599_627_370_495;
    const hour: HourCounts = { hour: NOW_HOUR, covered: new Set(), cells: [oneCell(most, [[Infinity, most]])] };
    await store.add("f", batchOf("a", 1, [hour]));
    await store.add("f", batchOf("b", 1, [hour]));
    const [read] = await store.hours("f", [NOW_HOUR]);
    t.equal(read?.cells[0]?.failed, 2 * most);
    t.equal(read?.cells[0]?.answered.get(Infinity), 2 * most);
  }
});

t.test("a batch whose answer never came is sent again and counts once; one that never arrived counts", async (t) => {
  const redis = await redisFor(t);
  const store = redisCounts(t, redis, "crossfade:");
  const hour: HourCounts = { hour: NOW_HOUR, covered: new Set([7]), cells: [oneCell(2, [[10, 5]])] };
  await store.add("f", batchOf("a", 1, [hour]));
  redis.pause();
  // It lies in the socket until the server goes on, and nobody waits for its answer any more.
  await t.rejects(store.add("f", batchOf("a", 2, [hour])), StoreUnavailable);
  redis.resume();
  const again = async (seq: number): Promise<void> => {
    for (;;) {
      try {
        return await store.add("f", batchOf("a", seq, [hour]));
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
      }
    }
  };
  await again(2);
  await again(3);
  const [read] = await store.hours("f", [NOW_HOUR]);
  t.equal(read?.cells[0]?.failed, 6);
  t.equal(read?.cells[0]?.answered.get(10), 15);
});

t.test("keys expire when no promise reaches back to them", async (t) => {
  const redis = await redisFor(t);
  const store = redisCounts(t, redis, "crossfade:");
  await store.add("f", batchOf("a", 1, [{ hour: NOW_HOUR, covered: new Set(), cells: [oneCell(1, [])] }]));
  const keys = (await redis.cli("KEYS", "*")).split("\n").toSorted();
  t.equal(keys.length, 3);
  for (const key of keys) {
    t.match(key, /^crossfade:\{f\}:sla:/, "all share the flag's tag");
    const left = Number(await redis.cli("PTTL", key));
    t.ok(left > 31 * 86_400_000 && left <= COUNTS_KEPT_MS, `${key}: ${left} ms`);
  }
});

t.test("a key that holds something else is told of by its name, and nothing of the batch counts", async (t) => {
  const redis = await redisFor(t);
  const store = redisCounts(t, redis, "crossfade:");
  const hour = (at: number): HourCounts => ({ hour: at, covered: new Set(), cells: [oneCell(1, [])] });
  const spoiled = `crossfade:{f}:sla:${new Date(NOW_HOUR * HOUR_MS).toISOString().slice(0, 13)}`;
  await redis.cli("SET", spoiled, "mine");
  await t.rejects(store.add("f", batchOf("a", 1, [hour(NOW_HOUR - 1), hour(NOW_HOUR)])), { name: "StoreUnavailable", message: spoiled });
  t.same(await store.hours("f", [NOW_HOUR - 1]), []);
  await redis.cli("DEL", spoiled);
  await store.add("f", batchOf("a", 1, [hour(NOW_HOUR - 1), hour(NOW_HOUR)]));
  t.equal((await store.hours("f", [NOW_HOUR - 1, NOW_HOUR])).length, 2);
});

t.test("what somebody wrote by hand does no harm", async (t) => {
  const read = readHour(5, { "v1:none": "failed=x 10=-3 =4 abc=1 100=7 inf=1e99 0=2", nonsense: "1", covered: "1x1".padEnd(80, "1") });
  t.same(plain([read]), [
    {
      hour: 5,
      covered: [0, ...Array.from({ length: 58 }, (_, i) => i + 2)],
      cells: [{ version: "v1", segment: "none", failed: 0, answered: [[100, 7]] }],
    },
  ]);
});

t.test("an hour of three versions and five segments costs a few kilobytes", async (t) => {
  const redis = await redisFor(t);
  const store = redisCounts(t, redis, "crossfade:");
  const edges = [
    1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 100, 125, 150, 175, 200, 250, 300, 400, 500, 750, 1_000, 2_000, 5_000,
  ];
  const all = (buckets: number): CountCell[] =>
    ["v1", "v2", "nexten"].flatMap((version) =>
      ["none", "enterprise", "beta_users", "api_partners", "freemium"].map((segment) => {
        return { version, segment, failed: 12, answered: new Map(edges.slice(0, buckets).map((edge) => [edge, 123_456])) };
      }),
    );
  const covered = new Set(Array.from({ length: 60 }, (_, minute) => minute));
  const bytes: number[] = [];
  for (const [at, buckets] of [12, edges.length].entries()) {
    await store.add("f", batchOf("a", at + 1, [{ hour: NOW_HOUR - at, covered, cells: all(buckets) }]));
    const key = `crossfade:{f}:sla:${new Date((NOW_HOUR - at) * HOUR_MS).toISOString().slice(0, 13)}`;
    bytes.push(Number(await redis.cli("MEMORY", "USAGE", key, "SAMPLES", 0)));
  }
  const [usual = 0, most = 0] = bytes;
  t.comment(
    `an hour: ${usual} bytes with 12 buckets a cell, ${most} with all ${edges.length}; 30 days: ${((usual * 720) / 1e6).toFixed(1)} to ${((most * 720) / 1e6).toFixed(1)} MB`,
  );
  t.ok(most < 16_384, "bounded");
});

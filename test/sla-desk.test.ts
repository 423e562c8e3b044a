import t, { type Test } from "tap";
import { SlaDesk } from "../src/app/sla.ts";
import type { Config } from "../src/config/config.ts";
import type { SlaRow } from "../src/sla/sla.ts";
import { createStore } from "../src/store/create.ts";
import { COUNTS_KEPT_MS } from "../src/store/counts.ts";
import type { SettingsStore } from "../src/store/store.ts";
import { StoreUnavailable } from "../src/store/store.ts";
import type { Meters } from "../src/telemetry/meters.ts";
import { allocateMeters, createMeters } from "../src/telemetry/worker-meters.ts";
import { configOf, configText, temporaryDirectory } from "./support/app.ts";
import { until } from "./support/backend.ts";
import { redisFor } from "./support/events.ts";
import type { RedisServer } from "./support/redis.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** What is long past the stores forget. */
const HOUR_BEGUN = Math.floor(Date.now() / HOUR) * HOUR;
const BEGUN = HOUR_BEGUN + 5_000;
const LISTENER = { onState() {}, onRejected() {}, onHealth() {} };
const LOG = { info() {}, warn() {} };

interface Clock {
  now: number;
}

interface Instance {
  readonly desk: SlaDesk;
  readonly store: SettingsStore;
  readonly meters: Meters;
  /** As if the process had been killed: nothing more is written. */
  kill(): Promise<void>;
}

function configFor(store: string, more = "sla: { availability: { target: 90 }, response_time: { within: 100ms } }"): Config {
  return configOf(configText({ stable: "http://127.0.0.1:1", candidate: "http://127.0.0.1:2", store, more }));
}

/** One instance, whose workers count when the test says so. */
async function startInstance(scope: Test, config: Config, instance: string, clock: Clock): Promise<Instance> {
  const stateDirectory = await temporaryDirectory(scope);
  const store = createStore({ config: { ...config, stateDirectory }, instance, log: LOG });
  await store.start(LISTENER);
  const buffer = allocateMeters(config);
  let closed: Promise<void> | undefined;
  const kill = (): Promise<void> => (closed ??= store.close());
  scope.teardown(kill);
  const desk = new SlaDesk({ config, instance, store, meters: () => [buffer], log: LOG, now: () => clock.now });
  return { desk, store, meters: createMeters(config, buffer), kill };
}

function answered({ meters }: Instance, count: number, ms = 20): void {
  for (let i = 0; i < count; i++) meters.request(0, "candidate", "candidate", -1, "ok", 200, ms, 1);
}

function failed({ meters }: Instance, count: number): void {
  for (let i = 0; i < count; i++) meters.request(0, "candidate", "candidate", -1, "server-error", 500, 20, 1);
}

function errorsOf({ desk }: Instance): SlaRow {
  const row = desk
    .view("move")
    .rows.find(({ promise, version, segment }) => promise === "errors" && version === "new" && segment === "all");
  if (row === undefined) throw new Error("there is no such row");
  return row;
}

async function countAndLook(...instances: readonly Instance[]): Promise<void> {
  for (const { desk } of instances) await desk.count();
  for (const { desk } of instances) await desk.look();
}

async function isReached(redis: RedisServer, { store }: Instance): Promise<void> {
  await until("the store is reached", () => store.health.up, 30_000);
  await redis.cli("PING");
}

t.test("what two instances counted is one figure on both, whoever of them is killed", async (t) => {
  const redis = await redisFor(t);
  const clock = { now: BEGUN };
  const config = configFor(redis.url);
  const one = await startInstance(t, config, "one", clock);
  const other = await startInstance(t, config, "other", clock);
  clock.now += 10_000;
  answered(one, 900);
  answered(other, 300, 700);
  failed(other, 5);
  other.meters.request(0, "candidate", "none", -1, "cancelled", 499, 20, 1);
  await countAndLook(one, other);
  t.match(errorsOf(one), { sample: 1_205, value: 5 / 1_205, state: "met", coveredMs: MINUTE });
  t.same(one.desk.view("move").rows, other.desk.view("move").rows);
  const time = one.desk.view("move").rows.find(({ promise, version }) => promise === "response_time" && version === "new");
  t.equal(time?.value, 900 / 1_205, "what failed was not in time");
  const month = one.desk
    .view("move")
    .rows.find(({ promise, version, segment }) => promise === "availability" && version === "all" && segment === "all");
  t.match(month, { sample: 1_205, value: 1_200 / 1_205, coveredMs: MINUTE }, "every window is counted");

  answered(other, 50);
  await other.kill();
  clock.now += 10_000;
  answered(one, 100);
  await countAndLook(one);
  t.equal(errorsOf(one).sample, 1_305, "what the other one had written stays; what it had not is lost with it");

  const again = await startInstance(t, config, "other", clock);
  clock.now += 10_000;
  answered(again, 10);
  await countAndLook(again, one);
  t.equal(errorsOf(one).sample, 1_315, "under the name that was used before it counts as well");
});

t.test("a store that is away costs nothing and doubles nothing, and every hour gets its own", async (t) => {
  const redis = await redisFor(t, ["--appendonly", "yes", "--appendfsync", "always"]);
  const clock = { now: HOUR_BEGUN + 59 * MINUTE + 50_000 };
  const one = await startInstance(t, configFor(redis.url), "one", clock);
  answered(one, 100);
  clock.now += 5_000;
  await countAndLook(one);
  answered(one, 10);
  redis.pause();
  await t.rejects(one.desk.count(), StoreUnavailable, "nobody knows whether this was written");
  for (let i = 0; i < 3; i++) {
    clock.now += HOUR;
    answered(one, 20);
    await t.rejects(one.desk.count(), StoreUnavailable);
  }
  t.equal(errorsOf(one).sample, 100, "meanwhile the last that is known is shown");
  redis.resume();
  await redis.restart({ empty: false });
  await isReached(redis, one);
  await until(
    "it is written",
    () =>
      one.desk.count().then(
        () => true,
        () => false,
      ),
    30_000,
  );
  await one.desk.look();
  t.equal(errorsOf(one).sample, 170);
  const counted = await one.store.counts.hours(
    "move",
    [...Array(5).keys()].map((i) => Math.floor(HOUR_BEGUN / HOUR) + i),
  );
  const sums = counted.map(({ cells }) =>
    cells.reduce((sum, { answered: all }) => sum + all.values().reduce((total, count) => total + count, 0), 0),
  );
  t.same(sums, [110, 20, 20, 20]);
});

t.test("a breach outlives the program: it is neither forgotten nor begun again, and recovers when it is due", async (t) => {
  const redis = await redisFor(t);
  const clock = { now: BEGUN };
  const config = configFor(redis.url);
  const first = await startInstance(t, config, "one", clock);
  answered(first, 1_000);
  failed(first, 50);
  clock.now += 10_000;
  await countAndLook(first);
  const since = clock.now;
  t.match(errorsOf(first), { state: "breached", since });
  await first.desk.close();
  await first.kill();

  clock.now += 5 * MINUTE;
  const second = await startInstance(t, config, "two", clock);
  await countAndLook(second);
  t.match(errorsOf(second), { state: "breached", since }, "it is the same breach");
  answered(second, 9_000);
  clock.now += 10_000;
  await countAndLook(second);
  const keptAgainSince = clock.now;
  t.match(errorsOf(second), { state: "breached", since, keptAgainSince });
  clock.now += 10 * MINUTE;
  await countAndLook(second);
  await second.desk.close();
  await second.kill();

  const third = await startInstance(t, config, "three", clock);
  await countAndLook(third);
  t.match(errorsOf(third), { state: "breached", keptAgainSince }, "the time since it is kept again goes on");
  clock.now += 5 * MINUTE;
  await countAndLook(third);
  t.match(errorsOf(third), { state: "met", since: clock.now });
  const { breaches, countedFrom } = third.desk.report("move");
  t.same(
    breaches.filter(({ promise, version, segment }) => promise === "errors" && version === "new" && segment === "all"),
    [{ promise: "errors", version: "new", segment: "all", from: since, to: clock.now, worst: 0.047619 }],
  );
  t.equal(countedFrom, HOUR_BEGUN);
});

t.test("one instance keeps what follows, and another one goes on when it is gone", async (t) => {
  const redis = await redisFor(t);
  const clock = { now: BEGUN };
  const config = configFor(redis.url);
  const one = await startInstance(t, config, "one", clock);
  const other = await startInstance(t, config, "other", clock);
  answered(one, 1_000);
  await countAndLook(one, other);
  const saved = async (): Promise<number> => (await other.store.documents.load("sla"))?.version ?? 0;
  const version = await saved();
  t.ok(version > 0);
  for (let i = 0; i < 3; i++) {
    clock.now += 10_000;
    answered(one, 100);
    await countAndLook(one, other);
  }
  t.equal(await saved(), version, "nothing is written as long as nothing changes");
  failed(other, 50);
  await other.desk.count();
  await other.desk.look();
  t.equal(errorsOf(other).state, "breached", "who does not lead sees it as well");
  t.equal(await saved(), version, "and leaves the writing to who leads");
  await one.desk.look();
  t.equal(await saved(), version + 1);
  await one.desk.close();
  await one.kill();
  clock.now += 20 * MINUTE;
  answered(other, 100_000);
  await countAndLook(other);
  t.equal(await saved(), version + 2, "who leads now writes");
});

t.test("what was counted until the end is written when the program ends", async (t) => {
  const redis = await redisFor(t);
  const clock = { now: BEGUN };
  const config = configFor(redis.url);
  const one = await startInstance(t, config, "one", clock);
  one.desk.start();
  answered(one, 123);
  await one.desk.close();
  await one.kill();
  const other = await startInstance(t, config, "other", clock);
  await other.desk.look();
  t.equal(errorsOf(other).sample, 123);
});

t.test("without a Redis it is counted in memory, for as long as the program runs", async (t) => {
  const clock = { now: BEGUN };
  const one = await startInstance(t, configFor("memory"), "one", clock);
  answered(one, 200);
  failed(one, 1);
  await countAndLook(one);
  t.match(errorsOf(one), { sample: 201, state: "met" });
  clock.now += COUNTS_KEPT_MS + HOUR;
  await one.desk.count();
  clock.now += 10_000;
  answered(one, 1);
  await countAndLook(one);
  t.equal(errorsOf(one).sample, 1);
  t.throws(() => one.desk.view("unknown"), RangeError);
});

t.test("accuracy is what users say of matches, by the version of their arm", async (t) => {
  const clock = { now: BEGUN };
  const one = await startInstance(t, configFor("memory"), "one", clock);
  const minute = Math.floor(clock.now / MINUTE);
  const add = (id: string, label: string, y: number) => ({
    id,
    minute,
    user: undefined,
    rollout: undefined,
    adds: [{ label, y, n: 1 }],
    signal: undefined,
  });
  const said = Array.from({ length: 60 }, (_, i) => add(`c${i}`, "assigned:candidate:none:accuracy:0", i < 48 ? 1 : 0));
  const before = Array.from({ length: 40 }, (_, i) => add(`s${i}`, "assigned:stable:none:accuracy:0", i < 38 ? 1 : 0));
  await one.store.events.add("move", [...said, ...before, add("r", "assigned:stable:none:revenue:0", 7)], HOUR);
  await countAndLook(one);
  const accuracy = one.desk.view("move").rows.filter(({ promise, segment }) => promise === "accuracy" && segment === "all");
  t.match(accuracy, [
    { version: "all", value: 0.86, sample: 100, state: "warning" },
    { version: "new", value: 0.8, sample: 60, state: "breached" },
    { version: "old", value: 0.95, sample: 40, state: "met" },
  ]);
  const figures = one.desk.figures().find(({ promise, version }) => promise === "accuracy" && version === "new");
  t.match(figures, { flag: "move", value: 0.8, target: 0.85 });
});

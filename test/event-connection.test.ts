import t from "tap";
import { EventConnection } from "../src/store/event-connection.ts";
import { createRedisEvents } from "../src/store/event-store-redis.ts";
import { StoreUnavailable } from "../src/store/store.ts";
import { countedEvent, redisFor } from "./support/events.ts";
import { until } from "./support/redis.ts";

const REMEMBER = 86_400_000;

function works(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  );
}

t.test("events have a connection of their own, which is made when it is needed and again when it was lost", async (t) => {
  const redis = await redisFor(t);
  const line = new EventConnection({ store: { kind: "redis", url: redis.url }, instance: "one two" });
  t.teardown(() => line.close());
  const store = createRedisEvents({ using: line.using });
  const names = async (): Promise<string> => redis.cli("CLIENT", "LIST");
  t.notMatch(await names(), /:events/, "nobody has asked for anything");
  const both = await Promise.all(["e1", "e2"].map((id) => store.add("f", [countedEvent({ id })], REMEMBER)));
  t.same(both, [["accepted"], ["accepted"]]);
  t.equal((await names()).match(/ name=crossfade:one_two:events /g)?.length, 1, "one, though two asked at once");

  await redis.kill();
  await t.rejects(store.changes("f", 0), StoreUnavailable);
  await t.rejects(store.changes("f", 0), StoreUnavailable, "and at once, while it is gone");
  await redis.restart({ empty: true });
  await until(() => works(store.add("f", [countedEvent({ id: "e3" })], REMEMBER)), "events to be counted again");
});

t.test("a server that does not answer costs the call a limited time, and the connection, which is made anew", async (t) => {
  const redis = await redisFor(t);
  const line = new EventConnection({ store: { kind: "redis", url: redis.url }, instance: "a", answerMs: 100 });
  t.teardown(() => line.close());
  const store = createRedisEvents({ using: line.using });
  await until(() => works(store.changes("f", 0)), "an answer");
  redis.pause();
  await t.rejects(store.changes("f", 0), /does not answer/);
  redis.resume();
  await until(() => works(store.add("f", [countedEvent()], REMEMBER)), "events to be counted again");
});

t.test("a key that holds something else costs no connection, and after the end there is none", async (t) => {
  const redis = await redisFor(t);
  const line = new EventConnection({ store: { kind: "redis", url: redis.url }, instance: "a" });
  const store = createRedisEvents({ using: line.using });
  await redis.cli("SET", "crossfade:{f}:events:changed", "mine");
  await t.rejects(store.add("f", [countedEvent()], REMEMBER), /holds something else/);
  const ids = async (): Promise<string | undefined> =>
    / ?id=(\d+) [^\n]* name=crossfade:a:events /.exec(await redis.cli("CLIENT", "LIST"))?.[1];
  const before = await ids();
  await t.rejects(store.add("f", [countedEvent()], REMEMBER), /holds something else/);
  t.ok(before);
  t.equal(await ids(), before, "the same connection");
  line.close();
  await t.rejects(store.changes("f", 0), /closed/);
  t.doesNotThrow(() => line.close());
});

import { createLastGood } from "../../src/store/last-good.ts";
import { createRedisStore } from "../../src/store/redis-store.ts";
import { flagOf, recordLog, watchStore } from "./store-watch.ts";

/** A program that steps a rollout as fast as it can, and says which step is written. It is meant to be killed. Arguments: address, state directory. */
const [url = "", directory = ""] = process.argv.slice(2);
const log = recordLog();
const store = createRedisStore({
  config: { store: { kind: "redis", url }, flags: [flagOf()] },
  instance: `saver-${process.pid}`,
  log,
  lastGood: createLastGood({ directory, prefix: "crossfade:", log }),
});
await store.start(watchStore());
const lease = await store.rollouts.lead("f", 60_000);
if (lease === undefined) throw new Error("somebody else leads");
const found = await store.rollouts.load("f");
let version = found?.version ?? 0;
for (let step = version + 1; ; step++) {
  const text = JSON.stringify({ step, padding: "x".repeat(50_000) });
  const fields = { rollout_percentage: String((step % 10_000) / 100), "segment.beta": String((step % 10_000) / 100) };
  ({ version } = await store.rollouts.save("f", { lease, version, text, fields, by: { who: "saver", reason: String(step) } }));
  process.stdout.write(`${step}\n`);
}

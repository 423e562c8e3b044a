import t from "tap";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "./support/backend.ts";
import { type Monitored, seen, startMonitored } from "./support/monitored.ts";
import { WITHOUT_PROMETHEUS } from "./support/prometheus.ts";

// Five faults one after the other; each waits for a real Prometheus.
t.setTimeout(600_000);

/** Every `for` takes a tenth of its time here. */
const HASTEN = 10;
/** The breaker opens after a handful of failures; what went well before leaves the window of two minutes only by and by. */
const LONGEST_MS = 200_000;
/** Tell as much of the machine that the test runs on as of the faults; and of thirty days, where there were but minutes. */
const LEFT_OUT: ReadonlySet<string> = new Set(["EventLoopLag", "ResponseTimeHigh", "SlaBreached", "SlaWarning"]);

t.test("each fault makes the alerts that it should, and no others", { skip: WITHOUT_PROMETHEUS }, async (t) => {
  const world = await startMonitored(t, { hasten: HASTEN });
  const { v1, v2, redis, prometheus } = world;
  await seen(prometheus, "migration:traffic_split_v2 > 0.1");
  await seen(prometheus, "crossfade:attempts:rate2m{upstream='v2'} > 1");
  await quiet(world, "with healthy services");

  await world.admin("/api/flags/v2_migration/kill", { killed: true, reason: "trial" });
  await exactly(world, "kill switch", ["KillSwitchSet"]);
  await world.admin("/api/flags/v2_migration/kill", { killed: false, reason: "trial" });
  await quiet(world, "after the kill switch");

  redis.pause();
  await exactly(world, "store stopped", ["StoreDown"]);
  redis.resume();
  await quiet(world, "with the store back");

  v2.set({ errorRate: 1 });
  await exactly(world, "V2 answers 500", ["BreakerOpen", "V2ErrorSpike"]);

  v2.set({ errorRate: 0, fault: "hang" });
  await exactly(world, "V2 hangs", ["BreakerOpen", "ServiceDown", "V2ErrorSpike"]);

  await v1.close();
  await exactly(world, "the stable arm is gone", ["BreakerOpen", "ClientErrors", "ServiceDown", "V2ErrorSpike"]);
  for (const text of await prometheus.said()) t.notMatch(text, /error expanding|no value/i);

  /** Comes to this and stays so. */
  async function exactly({ prometheus }: Monitored, fault: string, wanted: readonly string[]): Promise<void> {
    let firing: readonly string[] = [];
    const began = performance.now();
    const same = async (): Promise<boolean> => {
      firing = (await prometheus.firing()).filter((alert) => !LEFT_OUT.has(alert));
      return JSON.stringify(firing) === JSON.stringify(wanted);
    };
    await until(fault, async () => (await same()) || delay(200, false), LONGEST_MS).catch(() => {});
    t.same(firing, wanted, fault);
    t.comment(`${fault}: ${wanted.join(", ") || "nothing"} after ${((performance.now() - began) / 1_000).toFixed(1)} s`);
    for (let look = 0; look < 5; look++) {
      await delay(1_000);
      await same();
      t.same(firing, wanted, `${fault}: and no others`);
    }
  }

  async function quiet(world: Monitored, when: string): Promise<void> {
    await exactly(world, when, []);
  }
});

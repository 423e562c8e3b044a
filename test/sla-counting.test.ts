import t from "tap";
import type { SlaRow } from "../src/sla/sla.ts";
import { configOf, configText, startApp } from "./support/app.ts";
import { ask, startBackend, until } from "./support/backend.ts";
import { ask as askUrl } from "./support/client.ts";
import { redisFor } from "./support/events.ts";

t.setTimeout(300_000);

const SLA = "sla: { recovered_after: 1s, errors: { target: 25, window: 1h } }";
/** A machine with too much to do takes so long for what takes two seconds otherwise. */
const PATIENCE_MS = 60_000;

t.test("a request counts for who answered it, else for who was asked last, and for nobody when its client left", async (t) => {
  let held = 0;
  const old = await startBackend(t, "old", (req, res) => {
    if (req.headers["x-test"] === "hold") held++;
    else res.end("{}");
  });
  const fresh = await startBackend(t, "new", (req, res) => void res.writeHead(req.headers["x-test"] === "fail" ? 500 : 200).end("{}"));
  const setup = { stable: old.origin, candidate: fresh.origin, percentage: 100, workers: 1, more: SLA };
  const app = await startApp(t, configOf(configText(setup)), { instance: "one" });
  const send = async (count: number, mood: string): Promise<void> => {
    for (let i = 0; i < count; i++) await ask(app.port, { headers: { "x-user-id": `u${i}`, "x-test": mood } });
  };
  /** Of a version, as soon as so many have been counted in all: an answer is counted when its client has it. */
  const counted = async (version: string, all: number): Promise<readonly [sample: number, bad: number]> => {
    const of = (wanted: string): SlaRow | undefined =>
      app.control.sla.view("move").rows.find((row) => row.promise === "errors" && row.segment === "all" && row.version === wanted);
    await until(`${all} are counted`, async () => {
      await app.control.sla.count();
      await app.control.sla.look();
      return (of("all")?.sample ?? 0) >= all;
    });
    const { sample = 0, value = 0 } = of(version) ?? {};
    return [sample, Math.round(sample * value)];
  };
  await send(20, "well");
  t.same(await counted("new", 20), [20, 0]);
  await send(10, "fail");
  t.same(await counted("new", 30), [20, 0], "the one that was fallen back from has answered nobody");
  t.same(await counted("old", 30), [10, 0]);

  await app.control.kill("move", true, { who: "test", reason: "trial" }, 5_000);
  const leaving = new AbortController();
  const left = askUrl(`http://127.0.0.1:${app.port}/api/match`, {
    headers: { "x-user-id": "u", "x-test": "hold" },
    signal: leaving.signal,
  });
  left.catch(() => undefined);
  await until("it is under way", () => held === 1, PATIENCE_MS);
  leaving.abort();
  await until(
    "it is known to have left",
    async () => /crossfade_requests_total\{[^}]*code="499"\} 1/.test((await app.control.metrics()).text),
    PATIENCE_MS,
  );
  t.same(await counted("old", 30), [10, 0]);

  await old.close();
  await send(5, "well");
  t.same(await counted("old", 35), [15, 5], "nobody answered; this one was asked");
  t.same(await counted("all", 35), [35, 5]);
});

t.test("a program that ends in good order has written every request, and a later one goes on from there", async (t) => {
  const redis = await redisFor(t);
  const old = await startBackend(t, "old");
  // Written every ten seconds only, so that the end is what writes.
  const setup = { stable: old.origin, candidate: old.origin, store: redis.url, workers: 2, more: "sla: { errors: { window: 1h } }" };
  const config = configOf(configText(setup));
  for (const round of [1, 2]) {
    const app = await startApp(t, config, { instance: "the same" });
    for (let i = 0; i < 40; i++) await ask(app.port, { headers: { "x-user-id": `u${i}` } });
    await app.drain(0);
    const hours = (await redis.cli("KEYS", "crossfade:{move}:sla:2*")).split("\n");
    const texts = await Promise.all(hours.map((key) => redis.cli("HGET", key, "old:none")));
    const counted = [...texts.join(" ").matchAll(/=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    t.equal(counted, 40 * round);
  }
});

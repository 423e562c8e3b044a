import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { Act } from "../src/controller/desk.ts";
import { type App, configOf, configText, startApp, temporaryDirectory } from "./support/app.ts";
import { ask, type Backend, startBackend, until } from "./support/backend.ts";
import { Load } from "./support/load.ts";
import { type RedisServer, startRedis } from "./support/redis.ts";
import { discordIn, look, PATIENCE_MS, stepsOf } from "./support/rollout-fleet.ts";

t.setTimeout(300_000);

// What happens when the store goes away, and when two people act at once. Instances in one process: here nobody dies.

const QUICK = "rollout: { lease: 1s, evaluate: 100ms, publish: 100ms, record: 1s }";
const BY = { who: "ops", reason: "trial" };

interface World {
  readonly redis: RedisServer;
  readonly apps: readonly [App, App];
  readonly fresh: Backend;
}

/** Redis forgets nothing that it has confirmed, even when it is killed. */
async function world(t: Test, more = ""): Promise<World> {
  const redis = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  t.teardown(() => redis.stop());
  const [old, fresh] = [await startBackend(t, "old"), await startBackend(t, "new")];
  const text = configText({ stable: old.origin, candidate: fresh.origin, store: redis.url, workers: 1, more: `${QUICK}\n${more}` });
  const one = await startApp(t, configOf(text), { instance: "one" });
  const other = await startApp(t, configOf(text), { instance: "other" });
  return { redis, apps: [one, other], fresh };
}

/** With hooks, or without. All at once, however long a busy machine lets the stable arm think about how it is. */
function planText(first: string, hooks = "hooks: []"): string {
  return `
name: outage
flag: move
steps:
  - { name: ten, percentage: 10, dwell: ${first} }
  - { name: fifty, percentage: 50, dwell: 1h, approvals: [ops] }
  - { name: all, percentage: 100, dwell: 1h }
rollback: { ${hooks}, limit: 2m, shift: 0s }
`;
}

const APPROVED = `
name: approved
flag: move
steps:
  - { name: ten, percentage: 10, dwell: 1h, approvals: [ops] }
  - { name: all, percentage: 100, dwell: 1h }
rollback: { shift: 0s }
`;

const shares = ({ apps }: World): readonly unknown[] => apps.map(({ control }) => control.status().flags[0]?.percentage);

async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(what, condition, PATIENCE_MS);
}

async function isUp({ apps }: World, up: boolean): Promise<void> {
  await eventually(`the store is ${up ? "up" : "down"}`, () => apps.every(({ control }) => control.status().store.up === up));
}

async function statusOf({ redis }: World): Promise<string> {
  return (await look(redis)).rollout?.state.status ?? "none";
}

t.test(
  "Redis gone in the middle of a step: nothing moves, nothing is lost, the kill works here, and it goes on where it was",
  async (t) => {
    const all = await world(t);
    const { redis, apps } = all;
    const [one, other] = apps;
    const { control } = one;
    await control.rollouts.start("move", planText("2s"), BY, true, 5_000);
    const load = apps.map(({ port }) => new Load(port, { connections: 4, perSecond: 40 }).start());
    t.teardown(() => Promise.all(load.map((each) => each.stop())));
    await eventually("requests are counted", async () => (await control.rollouts.figures("move", "start")).rows.length > 0);
    const before = await look(redis);
    await redis.kill();
    await isUp(all, false);

    const answered = (): number => load.reduce((sum, each) => sum + each.answered, 0);
    const [asked, since] = [answered(), Date.now()];
    await eventually("the step's time is over, and requests are served", () => Date.now() - since > 2_500 && answered() > asked + 50);
    t.same(shares(all), [10, 10], "the percentage stays on both");
    t.match(await control.kill("move", true, BY, 0), { shared: false });
    t.match(await ask(one.port, { headers: { "x-user-id": "somebody" } }), { status: 200, body: /old/ });
    t.match(control.status().flags, [{ killed: true }]);
    t.match(other.control.status().flags, [{ killed: false }], "the others cannot have heard of it");
    await control.kill("move", false, BY, 0);
    await Promise.all(load.map((each) => each.stop()));
    t.same(
      load.flatMap(({ lost }) => lost),
      [],
      "no client has noticed",
    );
    t.same(
      load.flatMap(({ replies }) => [...replies.keys()].filter((reply) => !reply.startsWith("200 "))),
      [],
    );

    await redis.restart({ empty: false });
    await isUp(all, true);
    await eventually("it goes on to the next step", async () => (await look(redis)).percentage === 50);
    const { rollout } = await look(redis);
    t.equal(rollout?.id, before.rollout?.id);
    t.same(rollout && stepsOf(rollout), ["ten", "fifty"]);
    t.equal(discordIn(await look(redis)), "");
    const counted = async (): Promise<number> => {
      const { rows } = await other.control.rollouts.figures("move", "start");
      return rows.reduce((sum, { stable, candidate }) => sum + stable.requests + candidate.requests, 0);
    };
    // One request was asked beside the load.
    await eventually("what was counted meanwhile is told", async () => (await counted()) >= answered() + 1);
    t.equal(await counted(), answered() + 1, "every request once");
  },
);

t.test("Redis killed and back empty: document and settings come back, and the rollout goes on", async (t) => {
  const all = await world(t);
  const { redis, apps } = all;
  await apps[0].control.rollouts.start("move", planText("1s"), BY, true, 5_000);
  const begun = await look(redis);
  await redis.restart({ empty: true });
  await eventually("the document is back", async () => (await look(redis)).rollout !== undefined);
  await isUp(all, true);
  await eventually("it goes on to the next step", async () => (await look(redis)).percentage === 50);
  const { rollout, fence, lease } = await look(redis);
  t.equal(rollout?.id, begun.rollout?.id);
  t.same(rollout && stepsOf(rollout), ["ten", "fifty"], "no step is entered twice");
  t.ok(lease >= fence && fence > begun.fence, "numbers of leases go on rising");
  await eventually("both have it", () => shares(all).every((share) => share === 50));
});

t.test("Redis gone while a hook runs: its end is noted when Redis is back, and it is not run again", async (t) => {
  const folder = await temporaryDirectory(t);
  const [lines, go] = [join(folder, "lines"), join(folder, "go")];
  const slow = `echo slow >> ${lines}; while [ ! -e ${go} ]; do sleep 0.05; done; echo end >> ${lines}`;
  const written = async (): Promise<string> => readFile(lines, "utf8").catch(() => "");
  const all = await world(t, `hooks:\n  slow: { command: [sh, -c, "${slow}"] }\n  last: { command: [sh, -c, "echo last >> ${lines}"] }`);
  const { redis, apps } = all;
  const { control } = apps[0];
  await control.rollouts.start("move", planText("1h", "hooks: [slow, last]"), BY, true, 5_000);
  await control.rollouts.act("move", { kind: "rollback" }, BY, 5_000);
  await eventually("the hook runs", async () => (await written()) === "slow\n");
  await redis.kill();
  await isUp(all, false);
  await writeFile(go, "");
  await eventually("the hook has ended", async () => (await written()) === "slow\nend\n");
  await redis.restart({ empty: false });
  await eventually("the rollback ends", async () => (await statusOf(all)) === "rolled-back");
  const state = (await look(redis)).rollout?.state;
  const hooks = state !== undefined && "rollback" in state ? state.rollback.hooks : [];
  t.equal(await written(), "slow\nend\nlast\n");
  // Whoever leads now may be the other one, who cannot know how it ended.
  t.match(hooks, [
    { name: "slow", status: /^(done|unknown)$/ },
    { name: "last", status: "done" },
  ]);
});

t.test("two people act at the same moment on two instances: one result, and both are told the truth", async (t) => {
  const all = await world(t);
  const { redis, apps } = all;
  const [one, other] = [apps[0].control.rollouts, apps[1].control.rollouts];
  const ann = { who: "ann", reason: "now" };
  const bob = { who: "bob", reason: "now" };
  type Outcome = PromiseSettledResult<{ readonly status: string }>;
  const told = (outcome: Outcome): string => (outcome.status === "fulfilled" ? outcome.value.status : String(outcome.reason));
  const race = async (plan: string, first: Act, second: Act): Promise<readonly [string, string]> => {
    const receipt = await one.start("move", plan, BY, true, 5_000);
    t.same(receipt.missing, []);
    const before = (await look(redis)).audit.length;
    const outcomes = await Promise.allSettled([one.act("move", first, ann, 0), other.act("move", second, bob, 0)]);
    const stored = await look(redis);
    t.equal(discordIn(stored), "");
    for (const [i, { who }] of [ann, bob].entries()) {
      const noted = stored.audit.slice(before).filter((entry) => entry.who === who).length;
      t.equal(noted, outcomes[i]?.status === "fulfilled" ? 1 : 0, `${who} was told what the audit says`);
    }
    return [told(outcomes[0]), told(outcomes[1])];
  };
  const over = async (): Promise<void> => {
    if (["progressing", "waiting", "held"].includes(await statusOf(all))) await other.act("move", { kind: "rollback" }, BY, 5_000);
    await eventually("it is rolled back", async () => (await statusOf(all)) === "rolled-back");
    await eventually("by all", () => shares(all).every((share) => share === 0));
  };

  for (let round = 0; round < 4; round++) {
    const [approved, backOne] = await race(APPROVED, { kind: "approve", role: "ops" }, { kind: "rollback" });
    t.match(backOne, "rolling-back", "a rollback is never refused for somebody else's act");
    t.match(approved, /^(progressing|waiting|Refused: There is nothing to approve)/);
    await over();
    t.equal((await look(redis)).percentage, 0);

    const both = await race(planText("1h"), { kind: "rollback" }, { kind: "rollback" });
    t.equal(both.filter((said) => said === "rolling-back").length, 1, "one of them has done it");
    t.equal(both.filter((said) => /^Refused: It is roll(ing|ed)-? ?back.* already/.test(said)).length, 1, both.join(" | "));
    await over();

    const [advanced, paused] = await race(planText("1h"), { kind: "advance" }, { kind: "pause" });
    const { rollout, percentage } = await look(redis);
    t.equal(paused, "held");
    const moved = advanced === "progressing";
    if (!moved) t.match(advanced, /^Refused: It is held \(now\): resume it first/);
    t.match(rollout?.state, { status: "held", by: "bob", step: moved ? 1 : 0 });
    t.equal(percentage, moved ? 50 : 10);
    await over();
  }
});

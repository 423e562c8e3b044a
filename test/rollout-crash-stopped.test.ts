import t, { type Test } from "tap";
import { startBackend, until } from "./support/backend.ts";
import { startRedis } from "./support/redis.ts";
import { LEASE_MS, look, type Member, Pair, PATIENCE_MS, stepsOf, Witness } from "./support/rollout-fleet.ts";

// Leaders that die at any moment, and instances that are stopped for a while and go on as if nothing had been.

t.setTimeout(600_000);

const SEED = Number(process.env["SEED"] ?? 20_261_122);
/** More of them with KILLS=20: a life takes two seconds, on a busy machine ten. */
const KILLS = Number(process.env["KILLS"] ?? 6);

interface World {
  readonly pair: Pair;
  readonly witness: Witness;
}

async function world(t: Test): Promise<World> {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  const [stable, candidate] = [await startBackend(t, "old"), await startBackend(t, "new")];
  const more = "hooks:\n  told: { command: [sh, -c, 'echo $CROSSFADE_STEP'] }";
  const pair = await new Pair(t, { redis, stable: stable.origin, candidate: candidate.origin, more }).start();
  return { pair, witness: new Witness(redis).start(t) };
}

function planText(count: number, dwell: string): string {
  const steps = Array.from({ length: count }, (_, i) => `  - { name: s${i + 1}, percentage: ${(100 * (i + 1)) / count}, dwell: ${dwell} }`);
  return `name: many\nflag: move\nsteps:\n${steps.join("\n")}\nrollback: { hooks: [told], limit: 2m, traffic_limit: 500ms, shift: 0s }\n`;
}

async function begin(member: Member, plan: string): Promise<void> {
  const { status, body } = await member.call("POST", "/api/rollout/move/start", { plan, reason: "trial", force: true });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(what, condition, PATIENCE_MS);
}

/** Numbers from 0 to 1, the same for the same seed. */
function chances(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

function inOrder(t: Test, { discords, fences, looks }: Witness): void {
  t.same(discords, [], `document, settings and audit agree, at ${looks} looks`);
  t.same(
    fences,
    fences.toSorted((a, b) => a - b),
    "nobody wrote under a lease that was over",
  );
}

t.test(`${KILLS} leaders killed at random moments: the plan is gone through once, step by step (seed ${SEED})`, async (t) => {
  const { pair, witness } = await world(t);
  const steps = 50;
  const chance = chances(SEED);
  await begin(await pair.any(), planText(steps, "150ms"));
  for (let killed = 0; killed < KILLS; killed++) {
    const leader = await pair.leader();
    const { version } = await look(pair.redis);
    // So many writes later, and anywhere between two looks of the leader.
    const [writes, spin] = [Math.floor(chance() * 3), chance() * 40];
    await eventually("it moves", async () => (await look(pair.redis)).version >= version + writes);
    const from = performance.now();
    await eventually("a moment", () => performance.now() >= from + spin);
    leader.process.kill("SIGKILL");
    await leader.exit;
  }
  t.not((await look(pair.redis)).rollout?.state.status, "completed", "all of them in the middle of it");
  await eventually("it is completed", async () => (await look(pair.redis)).rollout?.state.status === "completed");
  const { rollout } = await look(pair.redis);
  const names = Array.from({ length: steps }, (_, i) => `s${i + 1}`);
  t.same(rollout && stepsOf(rollout), [...names, "done"]);
  await pair.leader();
  await witness.stop();
  inOrder(t, witness);
});

t.test("when the leader is killed the other one leads within the lease and a second", async (t) => {
  const { pair, witness } = await world(t);
  await begin(await pair.any(), planText(2, "1h"));
  for (let round = 0; round < 3; round++) {
    const [leader, other] = [await pair.leader(), await pair.follower()];
    leader.process.kill("SIGKILL");
    await leader.exit;
    await eventually("the other one leads", async () => (await look(pair.redis)).leader === other.instance);
    await pair.whole();
  }
  await witness.stop();
  inOrder(t, witness);
  const sorted = pair.takeovers.toSorted((a, b) => a - b);
  t.comment(`the next one led after (ms): ${sorted.join(" ")}`);
  t.equal(sorted.length, 3);
  // The middle one, for a machine that has much else to do may be late once.
  t.ok((sorted[1] ?? Infinity) <= LEASE_MS + 1_000);
});

t.test("a leader stopped for longer than its lease is fenced when it goes on: nobody else's rollout is written over", async (t) => {
  const { pair, witness } = await world(t);
  await begin(await pair.any(), planText(40, "100ms"));
  for (let round = 0; round < 3; round++) {
    const leader = await pair.leader();
    const other = await pair.follower();
    const { version } = await look(pair.redis);
    await eventually("it writes", async () => (await look(pair.redis)).version > version);
    leader.process.kill("SIGSTOP");
    await eventually("the other one leads", async () => (await look(pair.redis)).leader === other.instance);
    const taken = await look(pair.redis);
    await eventually("and writes", async () => (await look(pair.redis)).fence === taken.lease);
    leader.process.kill("SIGCONT");
    await eventually("it answers again", async () => (await leader.call("GET", "/healthz")).status === 200);
    const { body } = await leader.call("GET", "/api/rollout/move");
    t.equal(body["leader"], other.instance, "it says who leads, and that is not itself");
  }
  await eventually("it is completed", async () => (await look(pair.redis)).rollout?.state.status === "completed");
  const { rollout } = await look(pair.redis);
  t.equal(rollout?.stays.length, 40);
  await witness.stop();
  inOrder(t, witness);
});

t.test("an instance that hangs while it is rolled back is named, and nothing waits for it", async (t) => {
  const { pair, witness } = await world(t);
  await begin(await pair.any(), planText(2, "1h"));
  const leader = await pair.leader();
  const hung = await pair.follower();
  await eventually("both run the first step", async () => (await hung.flag()).percentage === 50 && (await leader.flag()).percentage === 50);
  hung.process.kill("SIGSTOP");
  t.teardown(() => hung.process.kill("SIGCONT"));
  const { status, body } = await leader.call("POST", "/api/rollout/move/rollback", { reason: "trial", wait: "300ms" });
  t.equal(status, 200);
  t.match(body, { status: "rolling-back", acknowledged: [leader.instance], missing: [hung.instance] });
  await eventually("the rollback ends", async () => (await look(pair.redis)).rollout?.state.status === "rolled-back");
  const state = (await look(pair.redis)).rollout?.state;
  t.match(state, { rollback: { traffic: { missing: [hung.instance] }, hooks: [{ name: "told", status: "done" }] } });
  t.match(witness.discords, []);
  hung.process.kill("SIGCONT");
  await eventually("it follows when it goes on", async () => (await hung.flag()).percentage === 0);
});

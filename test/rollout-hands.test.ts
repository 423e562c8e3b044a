import t from "tap";
import { until } from "./support/backend.ts";
import { begin, BY, ERRORS, HALF, looked, lostBy, planText, rollbackOf, sharesOf, startFleet } from "./support/running-rollout.ts";

t.test("what an operator writes by hand holds the rollout, and stays until somebody resumes it", async (t) => {
  const fleet = await startFleet(t);
  fleet.load(30);
  await begin(fleet, planText([HALF], ERRORS));
  await fleet.redis.cli("HSET", "crossfade:{move}:flags", "rollout_percentage", "33");
  // Only after ten seconds is it surely no late echo of the step's own write.
  const held = await fleet.reached("held", 60_000);
  t.match(held.state, { cause: "foreign", why: /rollout_percentage is 33 % and not 50 %/ });
  await looked(fleet, 1_000);
  t.equal(fleet.other.control.status().flags[0]?.percentage, 33, "it is what the operator said");
  const receipt = await fleet.other.control.rollouts.act(
    "move",
    { kind: "resume", step: undefined },
    { who: "ann", reason: "back" },
    2_000,
  );
  t.match(receipt, { status: "progressing", reason: /put back: rollout_percentage is 33 % and not 50 %/, missing: [] });
  for (const app of fleet.apps) t.equal(app.control.status().flags[0]?.percentage, 50);
});

t.test("a killed flag holds the rollout, which goes on by itself when it is unkilled", async (t) => {
  const fleet = await startFleet(t);
  const load = fleet.load(30);
  await begin(fleet, planText([HALF], ERRORS));
  await fleet.other.control.kill("move", true, BY, 2_000);
  const held = await fleet.reached("held");
  t.match(held.state, { cause: "foreign", why: "the flag is killed" });
  const seen = fleet.fresh.requests;
  await looked(fleet, 1_000);
  t.ok(fleet.fresh.requests - seen <= 2, "nobody is on the candidate");
  await t.rejects(fleet.one.control.rollouts.act("move", { kind: "resume", step: undefined }, BY, 0), {
    message: /is killed: unkill it first/,
  });
  await fleet.one.control.kill("move", false, BY, 2_000);
  const again = await fleet.reached("progressing");
  t.equal(again.stays.length, 2, "a stay of its own");
  t.equal(fleet.other.control.status().flags[0]?.percentage, 50);
  t.same(lostBy(load), []);
});

for (const role of ["leader", "follower"] as const) {
  t.test(`a stable arm that cannot take everything is given it in stages, also when the ${role} is told to`, async (t) => {
    const fleet = await startFleet(t);
    const load = fleet.load(100);
    await begin(fleet, planText([HALF], "rollback: { stable_capacity: 30/s, shift: 2s }"));
    const rate = async (): Promise<number> => (await fleet.one.control.rollouts.status("move")).view?.requestsPerSecond ?? 0;
    await until("the rate is known", async () => (await rate()) > 40, 60_000);
    const app = (await fleet.roles())[role];
    const receipt = await app.control.rollouts.act("move", { kind: "rollback" }, { who: "ann", reason: "slow" }, 2_000);
    t.match(receipt, { status: "rolling-back", reason: /in stages, .*requests\/s come, and the stable arm is known to take 30/ });
    const { at, shift, traffic } = rollbackOf(await fleet.reached("rolled-back"));
    const shares = (await sharesOf(fleet)).slice(1);
    const falling = shares.map(({ percentage }) => percentage);
    t.same(
      falling,
      [...falling].sort((a, b) => b - a),
      "never up",
    );
    t.ok(falling.length > 2 && falling.at(-1) === 0, falling.join(", "));
    const took = (shares.at(-1)?.at ?? Infinity) - at;
    t.comment(`${falling.join(", ")} % in ${took} ms`);
    t.ok(took <= 2_000 + 10_000, `the last stage is due after 2 s, and a look is every 200 ms: ${took} ms`);
    t.match({ shift, traffic }, { shift: [], traffic: { missing: [] } });
    t.same(lostBy(load), []);
  });
}

t.test("a stable arm that is down is given the traffic in stages, and the rollout says why", async (t) => {
  const fleet = await startFleet(t);
  fleet.load(100);
  await begin(fleet, planText([HALF], "rollback: { shift: 1s }"));
  await fleet.old.close();
  const receipt = await fleet.one.control.rollouts.act("move", { kind: "rollback" }, { who: "ann", reason: "wrong arm" }, 0);
  t.match(receipt.reason, /in stages, .*the stable arm is unwell/);
  t.comment(receipt.reason);
  const done = await fleet.reached("rolled-back");
  t.same((await sharesOf(fleet)).at(-1)?.percentage, 0, "all the same it is done");
  t.match(rollbackOf(done).why, /wrong arm/);
});

import t, { type Test } from "tap";
import { until } from "./support/backend.ts";
import { begin, type Fleet, planText, QUICK, startFleet } from "./support/running-rollout.ts";

const HALF = "{ name: half, percentage: 50, dwell: 1h }";
const OPS = { who: "ops", reason: "monthly" };

/** A live drill whose hook waits until the test has done what it wants to do meanwhile. */
async function duringDrill(t: Test, meanwhile: (fleet: Fleet) => Promise<void>): Promise<{ fleet: Fleet; report: { ok: boolean } }> {
  const fleet = await startFleet(t, { more: `${QUICK}\nhooks: { restore: { command: [sleep, "3"], timeout: 30s } }` });
  fleet.load(60);
  await begin(fleet, planText([HALF], "triggers: [ { metric: security, at_most: 0 } ]\nrollback: { hooks: [restore] }"));
  const share = (): number | undefined => fleet.one.control.status().flags[0]?.percentage;
  await until("half are on the candidate", () => share() === 50, 30_000);
  const drill = fleet.one.control.rollouts.drill("move", true, OPS);
  await until("the drill has taken the share away", () => share() === 0, 30_000);
  await meanwhile(fleet);
  return { fleet, report: await drill };
}

async function stateOf({ one }: Fleet): Promise<string | undefined> {
  return (await one.control.rollouts.status("move")).rollout?.state.status;
}

t.test("what a live drill took away it puts back, and the rollout goes on", async (t) => {
  const { fleet, report } = await duringDrill(t, async () => {});
  t.ok(report.ok, JSON.stringify(report));
  t.equal(fleet.one.control.status().flags[0]?.percentage, 50);
  t.match(await stateOf(fleet), /^(progressing|waiting)$/);
});

t.test("a rollback by hand during a live drill is not undone by it", async (t) => {
  const { fleet, report } = await duringDrill(t, async ({ other }) => {
    const receipt = await other.control.rollouts.act("move", { kind: "rollback" }, { who: "ann", reason: "customers complain" }, 1_000);
    t.equal(receipt.status, "rolling-back");
  });
  t.notOk(report.ok, "the drill says that it could not put the share back");
  await until("the rollback ends", async () => (await stateOf(fleet)) === "rolled-back", 30_000);
  t.equal(fleet.one.control.status().flags[0]?.percentage, 0);
});

t.test("a trigger that fires during a live drill is not undone by it", async (t) => {
  const { fleet } = await duringDrill(t, async (fleet) => {
    const body = { events: [{ id: "i1", type: "security", severity: "P0", note: "leak" }] };
    t.match(await fleet.one.control.takeEvents("move", body, "siem"), { accepted: 1 });
    await until("the trigger rolls back", async () => ((await stateOf(fleet)) ?? "").startsWith("roll"), 30_000);
  });
  await until("the rollback ends", async () => (await stateOf(fleet)) === "rolled-back", 30_000);
  t.equal(fleet.one.control.status().flags[0]?.percentage, 0);
});

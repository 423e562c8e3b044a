import t from "tap";
import type { Check } from "../src/analysis/check.ts";
import { evidenceFor } from "../src/analysis/evidence.ts";
import { judge } from "../src/analysis/judge.ts";
import { FleetWindows } from "../src/analysis/windows.ts";
import type { Rollout } from "../src/controller/rollout.ts";
import { until } from "./support/backend.ts";
import { begin, ERRORS, HALF, looked, lostBy, planText, rollbackOf, sharesOf, startFleet, type Fleet } from "./support/running-rollout.ts";

/** An attempt that lost is given up after a second. */
const DEFAULTS = "rollout: { record: 2s }\nlimits: { observed_for: 1s }";

/** The first whole second by whose figures the check fails, by what the instances published. */
async function firstFailure({ one }: Fleet, check: Check, rollout: Rollout, publishMs: number): Promise<number> {
  const { rollouts } = one.control.store;
  const all = await rollouts.published("move", "", 5_000);
  const second = (id: string): number => Math.floor(Number(id.split("-")[0]) / publishMs) * publishMs;
  const nothing = { from: 0, to: 0, cells: [], signals: [] };
  for (const now of [...new Set(all.map(({ id }) => second(id)))].sort((a, b) => a - b)) {
    const known = all.filter(({ id }) => second(id) <= now);
    const windows = new FleetWindows({
      fetch: (after) => Promise.resolve(known.slice(after === "" ? 0 : known.findIndex(({ id }) => id === after) + 1)),
      recorded: () => Promise.resolve([]),
      resolutionMs: publishMs,
    });
    const to = (await windows.refresh(now)) ?? now;
    const times = { now: to, stepFrom: rollout.startedAt, startFrom: rollout.startedAt, step: 0 };
    const business = { refresh: () => Promise.resolve(), between: () => nothing, steps: () => [] };
    const judged = judge(check, await evidenceFor(check, times, windows, business));
    if (judged.some(({ verdict }) => verdict.verdict === "fail")) return now;
  }
  throw new Error("the check never fails");
}

t.test("a plan runs to the end by itself, step by step, and nobody loses a request", async (t) => {
  const fleet = await startFleet(t);
  const load = fleet.load(120);
  await begin(
    fleet,
    planText(
      [
        "{ name: ten, percentage: 10, dwell: 1s }",
        "{ name: fifty, percentage: 50, dwell: 1s }",
        "{ name: all, percentage: 100, dwell: 500ms }",
      ],
      "gates: [ { metric: errors, at_most: 20%, min_sample: 5, risk: 5% } ]\ntriggers: [ { metric: errors, at_most: 20%, window: 2s, min_sample: 10 } ]",
    ),
  );
  await fleet.reached("completed", 60_000);
  t.same(
    (await sharesOf(fleet)).map(({ percentage }) => percentage),
    [10, 50, 100],
    "no step is left out",
  );
  t.same(lostBy(load), []);
});

const FAULTS = [
  ["answers 500", "broken"],
  ["does not answer", "silent"],
] as const;
for (const [what, mood] of FAULTS) {
  t.test(`a candidate that ${what} at 50 % is left within a second of the look that sees it`, async (t) => {
    const fleet = await startFleet(t, { more: DEFAULTS, fallback: "conditions: { response_time: 200ms }, breaker: off" });
    const { fresh, one } = fleet;
    const load = fleet.load(120);
    await begin(fleet, planText(["{ name: forty, percentage: 40, dwell: 1s }", HALF], `${ERRORS}\nrollback: { traffic_limit: 30s }`));
    await until("it is at 50 %", () => fleet.other.control.status().flags[0]?.percentage === 50, 60_000);
    fresh.become(mood);
    const failing = await fleet.reached("rolled-back", 60_000);
    await Promise.all(load.map((each) => each.stop()));
    const rollback = rollbackOf(failing);
    t.match(rollback, { by: "crossfade", trigger: "errors", step: 1, traffic: { missing: [] } });
    t.same([...(rollback.traffic?.acknowledged ?? [])].sort(), ["one", "other"]);

    // Everything that was under way when it was confirmed has ended: from here on nobody asks the candidate.
    const seen = fresh.requests;
    const after = fleet.load(120);
    await until("others are served", () => after.every(({ answered }) => answered > 50));
    t.equal(fresh.requests, seen, "once it is confirmed the candidate gets nothing");

    const [check] = failing.plan.triggers;
    if (check === undefined) throw new Error("no trigger");
    const tick = await firstFailure(fleet, check, failing, 1_000);
    const last = fresh.arrivals.at(-1) ?? Number.NaN;
    t.comment(
      `${what}: last request of the candidate ${last - tick} ms after the second in which the trigger's condition was met, ${last - rollback.at} ms after the decision, which came ${rollback.at - tick} ms after that second; confirmed by both after ${rollback.traffic?.ms} ms`,
    );
    t.ok(rollback.at >= tick, "the decision follows the figures");
    t.ok(
      (rollback.traffic?.ms ?? Infinity) <= failing.plan.rollback.trafficLimitMs,
      `confirmed within its limit: ${rollback.traffic?.ms} ms`,
    );
    t.ok(last - tick <= 10_000, `a stalled machine included: ${last - tick} ms`);
    t.same(lostBy([...load, ...after]), [], "no client has lost a request");
    t.equal(one.control.status().flags[0]?.percentage, 0);
  });
}

t.test("a blip that is over does not fire a trigger that must last, and one that lasts does", async (t) => {
  const fleet = await startFleet(t);
  const load = fleet.load(200);
  await begin(fleet, planText([HALF], "triggers: [ { metric: errors, at_most: 10%, window: 2s, for: 6s, min_sample: 20 } ]"));
  const began = fleet.fresh.requests;
  await until("the candidate is used", () => fleet.fresh.requests > began + 100);
  fleet.fresh.become("broken");
  const blip = fleet.fresh.requests;
  await until("it has failed for a moment", () => fleet.fresh.requests > blip + 120);
  fleet.fresh.become("well");
  await looked(fleet, 8_000);
  const { status } = (await fleet.rollout()).state;
  t.equal(status, "progressing");
  fleet.fresh.become("broken");
  const rollback = rollbackOf(await fleet.reached("rolled-back"));
  t.match(rollback.why, /all through the last 6s/);
  t.same(lostBy(load), []);
});

t.test("a candidate that the breaker keeps traffic from is not given more of it", async (t) => {
  const fleet = await startFleet(t, { fallback: "conditions: { response_time: 10s }" });
  fleet.fresh.become("broken");
  const load = fleet.load(100);
  const steps = ["{ name: half, percentage: 50, dwell: 500ms }", "{ name: all, percentage: 100, dwell: 500ms }"];
  await begin(
    fleet,
    planText(steps, "gates: [ { metric: errors, at_most: 5%, min_sample: 5 } ]\ntriggers: [ { metric: errors, at_most: 5% } ]"),
  );
  await until(
    "a breaker is open",
    () => fleet.apps.some(({ control }) => control.status().breakers.some(({ state }) => state === "open")),
    30_000,
  );
  await looked(fleet, 3_000);
  t.same(
    (await sharesOf(fleet)).filter(({ percentage }) => percentage > 50),
    [],
  );
  t.same(lostBy(load), []);
});

t.test("silence neither advances nor rolls back, and neither do too few samples", async (t) => {
  const fleet = await startFleet(t);
  const steps = ["{ name: half, percentage: 50, dwell: 500ms }", "{ name: all, percentage: 100, dwell: 500ms }"];
  await begin(
    fleet,
    planText(
      steps,
      "gates: [ { metric: errors, at_most: 50%, min_sample: 40 } ]\ntriggers: [ { metric: errors, at_most: 50%, window: 10s, min_sample: 40 } ]",
    ),
  );
  await fleet.reached("waiting");
  await looked(fleet, 2_000);
  const silent = await fleet.one.control.rollouts.status("move");
  t.match(silent, {
    rollout: { state: { status: "waiting", step: 0 } },
    view: { reasons: [/trigger errors no-data/, /gate errors no-data/] },
  });

  fleet.fresh.become("broken");
  const few = fleet.load(100);
  await until("the candidate has failed some", () => fleet.fresh.requests >= 15);
  await Promise.all(few.map((each) => each.stop()));
  t.ok(fleet.fresh.requests < 40, `${fleet.fresh.requests} requests are too few`);
  await looked(fleet, 1_500);
  t.match((await fleet.rollout()).state, { status: "waiting", step: 0 }, "all of them failed, and that is not enough to know");

  fleet.fresh.become("well");
  fleet.load(120);
  await until("there is enough", async () => (await fleet.rollout()).state.status !== "waiting", 60_000);
  t.notMatch((await fleet.rollout()).state, { status: "rolling-back" });
});

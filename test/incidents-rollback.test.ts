import t from "tap";
import { AUTOMATIC } from "../src/incidents/from-rollbacks.ts";
import { type Incident, stateOf } from "../src/incidents/incident.ts";
import { configOf, configText, startApp } from "./support/app.ts";
import { until } from "./support/backend.ts";
import { begin, ERRORS, type Fleet, HALF, planText, QUICK, startFleet } from "./support/running-rollout.ts";

// A busy machine takes its time.
t.setTimeout(300_000);

/** What each instance knows, which comes to be the same. */
async function told(fleet: Fleet, fits: (incidents: readonly Incident[]) => boolean, what: string): Promise<readonly Incident[]> {
  await until(what, () => fleet.apps.every(({ control }) => fits(control.incidents.board().incidents)), 60_000);
  return fleet.one.control.incidents.board().incidents;
}

async function failing(fleet: Fleet): Promise<void> {
  fleet.load(120);
  await begin(fleet, planText([HALF], ERRORS));
  fleet.fresh.become("broken");
  await fleet.reached("rolled-back", 60_000);
}

t.test("a rollback that a trigger causes is told once by the fleet, restarts or not, and resolved when all is well", async (t) => {
  const fleet = await startFleet(t, { more: `${QUICK}\nincidents: { resolve_after: 3s }` });
  await failing(fleet);
  const [incident] = await told(fleet, ([first]) => (first?.updates.length ?? 0) > 1, "the incident to be watched");
  t.match(incident, { id: "inc-1", impact: "degraded", priority: "P1", openedBy: AUTOMATIC, rollout: (await fleet.rollout()).id });

  // One that starts only now reads what was said.
  const text = configText({ stable: fleet.old.origin, candidate: fleet.fresh.origin, store: fleet.redis.url, workers: 1, more: QUICK });
  const late = await startApp(t, configOf(text), { instance: "late" });
  await until("it has looked", () => late.control.incidents.board().incidents.length > 0);
  const [resolved, ...others] = await told(
    fleet,
    ([first]) => first !== undefined && stateOf(first) === "resolved",
    "the incident to be over",
  );
  t.same(others, [], "there is one");
  t.same(
    resolved?.updates.map(({ state, by }) => [state, by]),
    [
      ["investigating", AUTOMATIC],
      ["monitoring", AUTOMATIC],
      ["resolved", AUTOMATIC],
    ],
  );
  t.same(late.control.incidents.board().maintenance, []);
});

t.test("where it is switched off nothing is told", async (t) => {
  const fleet = await startFleet(t, { instances: 1, more: `${QUICK}\nincidents: { from_rollbacks: false }` });
  await failing(fleet);
  await fleet.one.control.incidents.refresh();
  // Whoever looks at the same store with the switch on tells it: so it was there to be told.
  t.same(fleet.one.control.incidents.board().incidents, []);
  const text = configText({ stable: fleet.old.origin, candidate: fleet.fresh.origin, store: fleet.redis.url, workers: 1, more: QUICK });
  const other = await startApp(t, configOf(text), { instance: "other" });
  await until("the other tells it", () => other.control.incidents.board().incidents.length === 1, 30_000);
});

import fc from "fast-check";
import t from "tap";
import { advance, approve, pause, resume, resumeAt, rollBack, start } from "../src/controller/acts.ts";
import { approvalsMissing } from "../src/controller/obstacles.ts";
import type { Rollback, Rollout, RolloutState } from "../src/controller/rollout.ts";
import type { Judged } from "../src/analysis/check.ts";
import { figureText, intervalText, limitText, marginOf, outlookOf } from "../src/dashboard/panels/check-figures.ts";
import { ACTS, type ActName, obstacleTo, type Situation, wayBack } from "../src/dashboard/panels/possible.ts";
import { timelineOf } from "../src/dashboard/panels/timeline-model.ts";
import { checkOf, HOUR, inForceOf, judgedAs, MINUTE, planOf, seenWell, startedAt, stepOf, T0 } from "./support/rollouts.ts";

/** What the panels make of a view before anything is drawn. */

const PLAN = planOf({
  steps: [stepOf("ten", 1_000), stepOf("half", 5_000, { approvals: ["ops", "product"] }), stepOf("all", 10_000)],
});
const ROLLBACK: Rollback = {
  step: 1,
  at: T0 + HOUR,
  by: "ops",
  why: "slow",
  trigger: undefined,
  shift: [],
  traffic: undefined,
  hooks: [],
  endedAt: undefined,
};

/** The rollout of that plan at a step, in a state, with that many of the step's approvals. */
function rolloutAs(state: RolloutState, approved: number): Rollout {
  const step = "step" in state ? state.step : 1;
  const isClosed = state.status === "held" && state.cause === "foreign";
  const approvals = (PLAN.steps[step]?.approvals ?? []).slice(0, approved).map((role) => ({ who: `${role}-1`, role, at: T0 }));
  return { ...startedAt(PLAN), state, approvals, stays: [{ step, from: T0, to: isClosed ? T0 + HOUR : undefined }] };
}

const step = fc.integer({ min: 0, max: 2 });
const state: fc.Arbitrary<RolloutState> = fc.oneof(
  fc.record({ status: fc.constantFrom("progressing" as const, "waiting" as const), step }),
  fc.record({
    status: fc.constant("held" as const),
    step,
    since: fc.constant(T0),
    cause: fc.constantFrom("pause" as const, "foreign" as const),
    by: fc.constant("ops"),
    why: fc.constant("why"),
  }),
  fc.constantFrom<RolloutState>(
    { status: "rolling-back", rollback: ROLLBACK },
    { status: "rolling-back", rollback: { ...ROLLBACK, shift: [{ percentageBp: 100, at: T0 }] } },
    { status: "rolled-back", rollback: ROLLBACK },
    { status: "completed", at: T0 },
  ),
);

/** Whether the act itself would be refused, where nothing that the page cannot see speaks against it. */
function isRefused(act: ActName, rollout: Rollout, { killed, enabled }: Situation, isFailing: boolean): boolean {
  const well = seenWell(rollout);
  const seen = {
    ...well,
    inForce: { ...well.inForce, killed, enabled },
    triggers: isFailing ? PLAN.triggers.map((check) => judgedAs(check, "fail")) : well.triggers,
  };
  const by = { who: "zoe", reason: "because", now: T0 + 2 * HOUR };
  switch (act) {
    case "pause":
      return "refused" in pause(rollout, by);
    case "resume":
      return rollout.state.status === "rolled-back"
        ? "refused" in resumeAt(rollout, { ...by, id: "run-2", step: undefined, seen: { ...seen, triggers: well.triggers } })
        : "refused" in resume(rollout, { ...by, inForce: seen.inForce });
    case "advance":
      return "refused" in advance(rollout, { ...by, seen });
    case "rollback":
      return "refused" in rollBack(rollout, { ...by, seen });
    case "approve": {
      const at = "step" in rollout.state ? rollout.state.step : 1;
      const [role = "ops"] = approvalsMissing(PLAN.steps[at] ?? { approvals: [] }, rollout.approvals);
      return "refused" in approve(rollout, { ...by, role });
    }
    case "start":
      return (
        "refused" in
        start(PLAN, { id: "run-2", by: "zoe", now: by.now, current: rollout, inForce: { ...inForceOf(PLAN), killed, enabled } })
      );
    case "kill":
    case "unkill":
    case "settings":
    case "drill":
      return obstacleTo(act, { rollout: undefined, killed, enabled }) !== undefined;
  }
}

t.test("a button is off exactly when the act would be refused for what the page shows", async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ACTS.filter((act) => act !== "drill")),
      state,
      fc.nat(2),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      (act, at, approved, killed, enabled, isFailing) => {
        const rollout = rolloutAs(at, approved);
        const view = {
          ...seenWell(rollout),
          at: T0,
          leader: "one",
          rollout: rollout.id,
          reasons: [],
          triggers: isFailing ? PLAN.triggers.map((check) => judgedAs(check, "fail")) : [],
        };
        const situation: Situation = { rollout: { flag: "move", rollout, leader: "one", view }, killed, enabled };
        const obstacle = obstacleTo(act, situation);
        if ((obstacle !== undefined) !== isRefused(act, rollout, situation, isFailing)) throw new Error(`${act}: ${obstacle}`);
      },
    ),
    { numRuns: 3_000 },
  );
  t.pass();
});

t.test("without a store nothing is ruled out but what this instance knows by itself", async (t) => {
  const away: Situation = { rollout: undefined, killed: false, enabled: true };
  t.same(
    ACTS.filter((act) => obstacleTo(act, away) !== undefined),
    ["unkill"],
  );
  const none: Situation = { ...away, rollout: { flag: "move", rollout: undefined, leader: undefined, view: undefined } };
  t.same(
    ACTS.filter((act) => obstacleTo(act, none) !== undefined),
    ["rollback", "unkill", "approve", "pause", "resume", "advance"],
  );
});

t.test("there is always a way back: of the rollout where there is one, else the kill switch", async (t) => {
  const away: Situation = { rollout: undefined, killed: false, enabled: true };
  const at = (rolledOut: RolloutState): Situation => ({
    ...away,
    rollout: { flag: "move", rollout: rolloutAs(rolledOut, 0), leader: "one", view: undefined },
  });
  t.equal(wayBack(away, 25), "kill", "without a store no rollback is possible");
  t.equal(wayBack({ ...away, rollout: { flag: "move", rollout: undefined, leader: undefined, view: undefined } }, 25), "kill");
  t.equal(wayBack(at({ status: "progressing", step: 0 }), 25), "rollback");
  t.equal(wayBack(at({ status: "rolled-back", rollback: ROLLBACK }), 0), "rollback", "which then says that it is done");
  t.equal(wayBack(at({ status: "rolled-back", rollback: ROLLBACK }), 25), "kill", "somebody went on by hand");
});

t.test("the timeline says of each step whether it is done, and what is missing at the present one", async (t) => {
  const rollout = rolloutAs({ status: "waiting", step: 1 }, 1);
  const steps = timelineOf(rollout, T0 + 30 * MINUTE);
  t.match(steps, [
    { name: "ten", place: "done", enteredAt: undefined, segments: [], progress: 1 },
    { name: "half", place: "present", enteredAt: T0, stayedMs: 30 * MINUTE, segments: ["big"], progress: 0.5 },
    { name: "all", place: "to-come", enteredAt: undefined, segments: [], progress: 0 },
  ]);
  t.match(steps[1]?.approvals, [
    { role: "ops", given: { who: "ops-1" } },
    { role: "product", given: undefined },
  ]);
  const places = (at: RolloutState): readonly string[] => timelineOf(rolloutAs(at, 0), T0).map(({ place }) => place);
  t.same(places({ status: "rolled-back", rollback: ROLLBACK }), ["done", "left", "to-come"]);
  t.same(places({ status: "completed", at: T0 }), ["done", "done", "done"]);
});

function judged(check: Judged["check"], verdict: Partial<Judged["verdict"]>): Judged {
  return { check, scope: undefined, verdict: { ...judgedAs(check, "inconclusive").verdict, ...verdict } };
}

t.test("figures have the digits of the verdict's sentence, written as the language writes them", async (t) => {
  const revenue = checkOf("revenue", { metric: "revenue", limit: { kind: "at-least", value: 1_234.5 } });
  t.equal(limitText(revenue, "en"), "≥ 1,235");
  t.equal(limitText(revenue, "fr"), "≥ 1\u202f235");
  const ratio = checkOf("slower", { of: "ratio", limit: { kind: "at-most", value: 1.1 } });
  t.equal(figureText(ratio, 1.0723, "fr"), "107,2 %");
  t.equal(figureText(checkOf("less", { metric: "accuracy", of: "difference" }), -0.0213, "en"), "\u22122.13 points");
  for (const unknown of [undefined, null, Number.NaN, Infinity]) t.equal(figureText(ratio, unknown, "en"), "–");
  const slow = checkOf("slow");
  t.equal(intervalText(slow, judged(slow, { low: 80.24, high: 95 }).verdict, "fr"), "80,2 ms … 95 ms");
  t.equal(intervalText(slow, judged(slow, { low: undefined, high: 95 }).verdict, "en"), "≤ 95 ms");
  t.equal(intervalText(slow, judged(slow, { low: undefined, high: undefined }).verdict, "en"), undefined);
});

t.test("the bar of a margin reaches its limit when the value does, whatever the limit is", async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom("p95" as const, "errors" as const, "accuracy" as const),
      fc.constantFrom("candidate" as const, "ratio" as const, "difference" as const),
      fc.constantFrom("at-most" as const, "at-least" as const),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: -1, max: 1, noNaN: true }),
      (metric, of, kind, limit, value) => {
        const margin = marginOf(
          judged(checkOf("one", { metric, of, limit: { kind, value: limit } }), { value: of === "difference" ? value : Math.abs(value) }),
        );
        if (margin === undefined) throw new Error("no margin");
        const { from, to, limit: place } = margin;
        for (const end of [from, to, place]) if (!(end >= 0 && end <= 1)) throw new Error(`${end} is outside of the bar`);
        if (from > to) throw new Error("it ends before it begins");
        if (kind === "at-most" && margin.isBeyond && to < place - 1e-9) throw new Error("beyond, and short of the limit");
        if (kind === "at-most" && !margin.isBeyond && to > Math.max(place, from) + 1e-9 && of !== "difference")
          throw new Error("within, and past the limit");
      },
    ),
  );
  t.equal(marginOf(judged(checkOf("none"), { value: undefined })), undefined);
  t.match(marginOf(judged(checkOf("slow"), { value: 170 })), { isBeyond: true, distance: 20 });
});

t.test("a decision is foreseen from the rate so far, and never promised where the window is too short", async (t) => {
  const at = T0 + HOUR;
  const times = { at, step: T0, start: T0 - HOUR };
  const needs = checkOf("slow", { window: { kind: "step" }, minSample: 3_000 });
  t.same(outlookOf(judged(needs, { verdict: "no-data", sample: 1_000 }), times), { kind: "in", ms: 2 * HOUR });
  t.same(outlookOf(judged(needs, { verdict: "pass", sample: 5_000 }), times), { kind: "decided" });
  t.same(outlookOf(judged(needs, { verdict: "no-data", sample: 0 }), times), { kind: "unknown" });
  t.same(outlookOf(judged(needs, { verdict: "no-data", sample: 1_000 }), { ...times, step: undefined }), { kind: "unknown" });
  const short = checkOf("slow", { window: { kind: "last", ms: MINUTE }, minSample: 3_000 });
  t.same(outlookOf(judged(short, { verdict: "no-data", sample: 1_000 }), times), { kind: "never" });
  // Twice as near as the interval is wide: four times the observations.
  const wide = checkOf("slow", { window: { kind: "start" } });
  t.same(outlookOf(judged(wide, { value: 140, low: 130, high: 160, sample: 100 }), times), { kind: "in", ms: 3 * 2 * HOUR });
});

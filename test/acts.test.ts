import t, { type Test } from "tap";
import { type Act, advance, approve, pause, resume, resumeAt, rollBack, start } from "../src/controller/acts.ts";
import type { Transition } from "../src/controller/next.ts";
import { planNext } from "../src/controller/plan-next.ts";
import type { Rollout } from "../src/controller/rollout.ts";
import { checkOf, DAY, HOUR, inForceOf, judgedAs, MINUTE, planOf, seenWell, startedAt, stepOf, T0 } from "./support/rollouts.ts";

const BOB = { who: "bob", reason: "", now: T0 + MINUTE };

function done(act: Act): Transition {
  if ("refused" in act) throw new Error(act.refused);
  return act;
}

function refused(t: Test, act: Act, says: RegExp): void {
  t.match("refused" in act ? act.refused : `not refused: ${JSON.stringify(act)}`, says);
}

const input = (plan = planOf()) => ({ id: "run-1", by: "alice", now: T0, current: undefined, inForce: inForceOf(plan) });
const APPROVED_PLAN = planOf({ steps: [stepOf("ten", 1_000, { approvals: ["ops", "product"] }), stepOf("all", 10_000)] });
const FIRES = { triggers: [judgedAs(checkOf("slow"), "fail", "P95 161 ms")] };

function paused(rollout: Rollout): Rollout {
  return done(pause(rollout, { ...BOB, reason: "lunch" })).rollout;
}

function rolledBack(rollout: Rollout, more: Partial<ReturnType<typeof seenWell>> = {}): Rollout {
  const plain = { ...rollout, plan: { ...rollout.plan, rollback: { ...rollout.plan.rollback, hooks: [] } } };
  const begun = done(rollBack(plain, { ...BOB, reason: "it smells", seen: seenWell(rollout, more) })).rollout;
  const next = planNext(begun, seenWell(begun), T0 + HOUR, new Set());
  if (next.kind !== "write" || next.rollout.state.status !== "rolled-back") throw new Error(next.kind);
  return next.rollout;
}

t.test("start enters the first step, with its settings", async (t) => {
  const { rollout, fields, reason } = done(start(planOf(), input()));
  t.same(fields, { rollout_percentage: "10", "segment.big": "0" });
  t.match(rollout, {
    id: "run-1",
    flag: "move",
    startedAt: T0,
    startedBy: "alice",
    state: { status: "progressing", step: 0 },
    approvals: [],
  });
  t.same(rollout.stays, [{ step: 0, from: T0, to: undefined }]);
  t.equal(reason, "trial started at ten (10 %)");
});

t.test("start says what is in the way", async (t) => {
  const plan = planOf();
  refused(t, start(plan, { ...input(), current: startedAt() }), /under way \(progressing at ten \(10 %\)\): roll it back/);
  refused(t, start(plan, { ...input(), current: paused(startedAt()) }), /under way \(held/);
  refused(t, start(plan, { ...input(), inForce: inForceOf(plan, { killed: true }) }), /killed: unkill it first/);
  refused(t, start(plan, { ...input(), inForce: inForceOf(plan, { enabled: false }) }), /disabled: set enabled/);
  refused(t, start(plan, { ...input(), inForce: inForceOf(plan, { segments: {} }) }), /no segment big/);
  refused(
    t,
    start(plan, { ...input(), inForce: inForceOf(plan, { percentageBp: 1_001 }) }),
    /10.01 % are on the candidate.*set rollout_percentage to 10 %/,
  );
  refused(t, start(plan, { ...input(), calendar: { open: false, why: "frozen", opensAt: undefined } }), /calendar is closed: frozen/);
  refused(t, start(planOf({ steps: [] }), input()), /no steps/);
  for (const shares of [[0], [5_000, 5_000], [5_000, 1_000], [10_001], [Number.NaN]]) {
    refused(t, start(planOf({ steps: shares.map((bp, i) => stepOf(`s${i}`, bp)) }), input()), /steps must rise/);
  }
});

t.test("a plan may be started again once the last run is over, under another id", async (t) => {
  const over = rolledBack(startedAt());
  refused(t, start(planOf(), { ...input(), current: over }), /id run-1/);
  t.match(start(planOf(), { ...input(), id: "run-2", current: over }), { rollout: { id: "run-2" } });
  const completed: Rollout = { ...startedAt(), state: { status: "completed", at: T0 } };
  t.match(start(planOf(), { ...input(), id: "run-2", current: completed }), { rollout: { id: "run-2" } });
});

t.test("a segment that start lowers is named", async (t) => {
  t.match(start(planOf(), { ...input(), inForce: inForceOf(planOf(), { segments: { big: 10_000 } }) }), {
    reason: /segment.big is 100 % and not 0 % before/,
  });
});

t.test("each role is approved by somebody else, once", async (t) => {
  const rollout = startedAt(APPROVED_PLAN);
  const ops = done(approve(rollout, { who: "alice", role: "ops", now: T0 + 1 }));
  t.equal(ops.fields, undefined);
  t.equal(ops.reason, "ten (10 %) approved by alice (ops); still to approve: product");
  refused(
    t,
    approve(ops.rollout, { who: "alice", role: "product", now: T0 }),
    /alice has approved as ops already: somebody else must approve as product/,
  );
  refused(t, approve(ops.rollout, { who: "bob", role: "ops", now: T0 }), /ops has approved already; still to approve: product/);
  refused(t, approve(ops.rollout, { who: "bob", role: "sales", now: T0 }), /no approval by "sales", but by: ops, product/);
  refused(t, approve(ops.rollout, { who: " ", role: "product", now: T0 }), /name/);
  const all = done(approve(ops.rollout, { who: "bob", role: "product", now: T0 + 2 }));
  t.match(all.reason, /all approvals are there/);
  t.same(all.rollout.approvals, [
    { who: "alice", role: "ops", at: T0 + 1 },
    { who: "bob", role: "product", at: T0 + 2 },
  ]);
  refused(t, approve(startedAt(), { who: "bob", role: "ops", now: T0 }), /asks for no approval$/);
  refused(t, approve(rolledBack(rollout), { who: "bob", role: "ops", now: T0 }), /nothing to approve: the rollout is rolled-back/);
});

t.test("a role asked for twice takes two people", async (t) => {
  const rollout = startedAt(planOf({ steps: [stepOf("ten", 1_000, { approvals: ["ops", "ops"] })] }));
  const one = done(approve(rollout, { who: "alice", role: "ops", now: T0 }));
  t.match(one.reason, /still to approve: ops/);
  t.match(done(approve(one.rollout, { who: "bob", role: "ops", now: T0 })).reason, /all approvals/);
});

t.test("approvals of a step are not those of the next, nor of the step after it was interrupted", async (t) => {
  const both = ["alice", "bob"].reduce(
    (current, who, i) => done(approve(current, { who, role: i === 0 ? "ops" : "product", now: T0 })).rollout,
    startedAt(APPROVED_PLAN),
  );
  const killed = planNext(both, seenWell(both, { inForce: inForceOf(APPROVED_PLAN, { killed: true }) }), T0 + MINUTE, new Set());
  if (killed.kind !== "write") throw new Error(killed.kind);
  t.same(killed.rollout.approvals, []);
  refused(t, approve(killed.rollout, { who: "alice", role: "ops", now: T0 }), /resume first, then approve/);
});

t.test("pause holds; resume goes on where it was, with its time and approvals", async (t) => {
  const approved = done(approve(startedAt(APPROVED_PLAN), { who: "alice", role: "ops", now: T0 })).rollout;
  const held = done(pause(approved, { ...BOB, reason: "lunch" }));
  t.match(held, {
    fields: undefined,
    reason: "paused at ten (10 %): lunch",
    rollout: { state: { status: "held", cause: "pause", by: "bob", why: "lunch" } },
  });
  refused(t, pause(held.rollout, BOB), /paused already, by bob: lunch/);
  const on = done(resume(held.rollout, { ...BOB, inForce: seenWell(approved).inForce }));
  t.equal(on.fields, undefined);
  t.same(on.rollout, approved);
  refused(t, resume(approved, { ...BOB, inForce: seenWell(approved).inForce }), /nothing to resume: the rollout is progressing/);
  refused(t, pause(rolledBack(approved), BOB), /nothing to pause/);
  refused(t, resume(rolledBack(approved), { ...BOB, inForce: inForceOf(APPROVED_PLAN) }), /name the step/);
});

t.test("resume makes figures that were changed by hand the step's again, but switches nothing on", async (t) => {
  const rollout = startedAt();
  const inForce = { ...seenWell(rollout).inForce, percentageBp: 300 };
  const next = planNext(rollout, seenWell(rollout, { inForce }), T0 + MINUTE, new Set());
  if (next.kind !== "write") throw new Error(next.kind);
  const on = done(resume(next.rollout, { ...BOB, now: T0 + HOUR, reason: "found out why", inForce }));
  t.same(on.fields, { rollout_percentage: "10", "segment.big": "0" });
  t.match(on.reason, /resumed by bob at ten \(10 %\); put back: rollout_percentage is 3 % and not 10 %: found out why/);
  t.same(on.rollout.stays, [
    { step: 0, from: T0, to: T0 + MINUTE },
    { step: 0, from: T0 + HOUR, to: undefined },
  ]);
  refused(t, resume(next.rollout, { ...BOB, inForce: { ...inForce, killed: true } }), /unkill it first/);
  refused(t, resume(next.rollout, { ...BOB, inForce: { ...inForce, enabled: false } }), /disabled/);
});

t.test("advance skips gates, time and calendar, and says so; it takes a reason", async (t) => {
  const rollout = startedAt();
  const seen = seenWell(rollout, {
    gates: [judgedAs(checkOf("latency"), "fail", "P95 120 ms")],
    calendar: { open: false, why: "closed on a Friday", opensAt: undefined },
  });
  const moved = done(advance(rollout, { ...BOB, reason: "the gate is wrong", seen }));
  t.match(moved, { fields: { rollout_percentage: "50" }, rollout: { state: { status: "progressing", step: 1 } } });
  t.equal(
    moved.reason,
    "from ten (10 %) to half (50 %): by hand by bob: the gate is wrong; skipped: ten (10 %) has 59m to go; gate latency fail: P95 120 ms; calendar: closed on a Friday",
  );
  refused(t, advance(rollout, { ...BOB, reason: " ", seen }), /needs a reason/);
  const well = done(advance(rollout, { ...BOB, now: T0 + DAY, reason: "why wait", seen: seenWell(rollout) }));
  t.match(well.reason, /nothing was skipped/);
});

t.test("advance does not skip a trigger that fails, approvals, or what an operator did", async (t) => {
  const by = { ...BOB, reason: "now" };
  const rollout = startedAt();
  refused(t, advance(rollout, { ...by, seen: seenWell(rollout, FIRES) }), /trigger slow fails: P95 161 ms; .*not skipped/);
  const asked = startedAt(APPROVED_PLAN);
  refused(t, advance(asked, { ...by, seen: seenWell(asked) }), /still to approve: ops, product/);
  const { inForce } = seenWell(rollout);
  refused(
    t,
    advance(rollout, { ...by, seen: seenWell(rollout, { inForce: { ...inForce, percentageBp: 0 } }) }),
    /rollout_percentage is 0 %/,
  );
  refused(t, advance(rollout, { ...by, seen: seenWell(rollout, { inForce: { ...inForce, killed: true } }) }), /the flag is killed/);
  refused(t, advance(paused(rollout), { ...by, seen: seenWell(rollout) }), /held \(lunch\): resume it first/);
  refused(t, advance(rolledBack(rollout), { ...by, seen: seenWell(rollout) }), /no step to leave: the rollout is rolled-back/);
});

t.test("advance at the last step completes the plan", async (t) => {
  const last: Rollout = { ...startedAt(), state: { status: "waiting", step: 2 }, stays: [{ step: 2, from: T0, to: undefined }] };
  t.match(advance(last, { ...BOB, reason: "enough", seen: seenWell(last) }), {
    fields: undefined,
    rollout: { state: { status: "completed" } },
  });
});

t.test("a rollback by hand is one write from any state, and asks for no reason", async (t) => {
  const completed: Rollout = { ...startedAt(), state: { status: "completed", at: T0 } };
  for (const rollout of [startedAt(), paused(startedAt()), completed]) {
    const act = done(rollBack(rollout, { ...BOB, seen: seenWell(rollout) }));
    t.match(act, { fields: { rollout_percentage: "0", "segment.big": "0" }, reason: /by hand, no reason given/ });
    t.match(act.rollout.state, { status: "rolling-back", rollback: { by: "bob", trigger: undefined, step: 0, at: BOB.now } });
    refused(t, rollBack(act.rollout, { ...BOB, seen: seenWell(rollout) }), /rolling-back already/);
  }
  refused(t, rollBack(rolledBack(startedAt()), { ...BOB, seen: seenWell(startedAt()) }), /rolled-back already/);
});

t.test("a rollback in stages is hastened by hand: what is left goes at once, and is one and the same rollback", async (t) => {
  const plan = planOf({ rollback: { ...planOf().rollback, stableCapacity: 16 } });
  const half: Rollout = { ...startedAt(plan), state: { status: "progressing", step: 1 }, stays: [{ step: 1, from: T0, to: undefined }] };
  const begun = planNext(half, seenWell(half, FIRES), T0, new Set());
  if (begun.kind !== "write") throw new Error(begun.kind);
  const seen = seenWell(half, { inForce: inForceOf(plan, { percentageBp: 2_000, segments: { big: 0, beta: 500 } }) });
  const hastened = done(rollBack(begun.rollout, { ...BOB, reason: "now", seen }));
  t.match(hastened, { fields: { rollout_percentage: "0", "segment.big": "0", "segment.beta": "0" }, raises: false });
  t.equal(hastened.reason, "rolled back from half (50 %) at once, and not in stages any more: bob: now (trigger slow: P95 161 ms)");
  const before = begun.rollout.state.status === "rolling-back" ? begun.rollout.state.rollback : undefined;
  t.ok((before?.shift.length ?? 0) > 0);
  t.same(hastened.rollout.state, { status: "rolling-back", rollback: { ...before, shift: [] } });
  t.match(hastened.rollout.stays.at(-1), { step: -1, from: BOB.now });
  t.match(planNext(hastened.rollout, seenWell(hastened.rollout), T0 + DAY, new Set()), { kind: "hook" }, "hooks follow as ever");
  refused(t, rollBack(hastened.rollout, { ...BOB, seen }), /rolling-back already/);
});

t.test("an act says whether it can put more users on the candidate", async (t) => {
  const rollout = startedAt();
  const seen = seenWell(rollout);
  const over = rolledBack(rollout);
  t.match(start(planOf(), input()), { raises: true });
  t.match(advance(rollout, { ...BOB, reason: "now", seen }), { raises: true });
  t.match(resume(paused(rollout), { ...BOB, inForce: seen.inForce }), { raises: false, fields: undefined });
  t.match(resume(paused(rollout), { ...BOB, inForce: inForceOf(planOf()) }), { raises: true, fields: {} });
  t.match(resumeAt(over, { ...BOB, id: "run-2", step: 0, seen: { inForce: inForceOf(planOf()), triggers: [] } }), { raises: true });
  t.match(rollBack(rollout, { ...BOB, seen }), { raises: false });
  t.match(pause(rollout, BOB), { raises: false });
});

t.test("advance by hand does not trust a clock that is wrong", async (t) => {
  const rollout = startedAt();
  for (const clockOffMs of [5_001, -60_000])
    refused(
      t,
      advance(rollout, { ...BOB, reason: "now", seen: seenWell(rollout, { clockOffMs }) }),
      /clock of this instance.*another instance/,
    );
  t.match(advance(rollout, { ...BOB, reason: "now", seen: seenWell(rollout, { clockOffMs: -5_000 }) }), {
    rollout: { state: { step: 1 } },
  });
});

t.test("after a rollback it begins again at the step that was left or an earlier one, as a run of its own", async (t) => {
  const half: Rollout = { ...startedAt(), state: { status: "progressing", step: 1 }, stays: [{ step: 1, from: T0, to: undefined }] };
  const over = rolledBack(half);
  const by = { ...BOB, now: T0 + DAY, reason: "fixed", id: "run-2", seen: { inForce: inForceOf(planOf()), triggers: [] } };
  const again = done(resumeAt(over, { ...by, step: undefined }));
  t.same(again.fields, { rollout_percentage: "50", "segment.big": "50" });
  t.match(again.rollout, { id: "run-2", startedAt: T0 + DAY, startedBy: "bob", state: { status: "progressing", step: 1 }, approvals: [] });
  t.same(again.rollout.stays, [{ step: 1, from: T0 + DAY, to: undefined }]);
  t.equal(again.reason, "resumed by bob at half (50 %) after the rollback (it smells): fixed");
  t.match(resumeAt(over, { ...by, step: 0 }), { fields: { rollout_percentage: "10", "segment.big": "0" } });
  for (const step of [2, -1, 0.5, Number.NaN]) refused(t, resumeAt(over, { ...by, step }), /resume at one of ten, half$/);
  refused(t, resumeAt(over, { ...by, id: over.id, step: 0 }), /takes a new one/);
  refused(t, resumeAt(over, { ...by, step: 0, seen: { ...by.seen, ...FIRES } }), /trigger slow still fails: P95 161 ms/);
  refused(t, resumeAt(over, { ...by, step: 0, seen: { ...by.seen, inForce: inForceOf(planOf(), { killed: true }) } }), /unkill/);
  refused(t, resumeAt(half, { ...by, step: 0 }), /was not rolled back/);
  refused(
    t,
    resumeAt(done(rollBack(half, { ...BOB, seen: seenWell(half) })).rollout, { ...by, step: 0 }),
    /wait until its hooks have ended/,
  );
});

t.test("what a rollback took from other segments comes back with the next run, unless somebody has set it since", async (t) => {
  const rollout = startedAt();
  const others = { big: 0, beta: 10_000, lab: 2_500 };
  const over = rolledBack(rollout, { inForce: { ...seenWell(rollout).inForce, segments: others } });
  const inForce = inForceOf(planOf(), { segments: { big: 0, beta: 0, lab: 100 } });
  const fields = { rollout_percentage: "10", "segment.big": "0", "segment.beta": "100" };
  const by = { ...BOB, id: "run-2", step: 0, seen: { inForce, triggers: [] } };
  t.same(done(resumeAt(over, by)).fields, fields);
  t.same(done(start(planOf(), { ...input(), id: "run-2", current: over, inForce })).fields, fields);
});

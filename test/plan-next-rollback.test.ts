import t from "tap";
import { hookEnded, type Next, planNext, type Seen, trafficSeen } from "../src/controller/plan-next.ts";
import { hookKey } from "../src/controller/rolling-back.ts";
import type { HookRun, Rollback, Rollout } from "../src/controller/rollout.ts";
import { checkOf, DAY, inForceOf, judgedAs, planOf, seenWell, startedAt, T0 } from "./support/rollouts.ts";

const NONE: ReadonlySet<string> = new Set();
const REPORT = { revision: 7, acknowledged: ["one", "two"], missing: [], ms: 40 };

function look(rollout: Rollout, now: number, ranHere = NONE): Next {
  return planNext(rollout, seenWell(rollout, { inForce: inForceOf(rollout.plan) }), now, ranHere);
}

function rolledBackAt(now: number, plan = planOf()): Rollout {
  const rollout = startedAt(plan);
  const next = planNext(rollout, seenWell(rollout, { triggers: [judgedAs(checkOf("slow"), "fail")] }), now, NONE);
  if (next.kind !== "write") throw new Error(next.kind);
  return next.rollout;
}

function rollbackOf({ state }: Rollout): Rollback {
  if (!("rollback" in state)) throw new Error(state.status);
  return state.rollback;
}

function statuses(rollout: Rollout): readonly HookRun["status"][] {
  return rollbackOf(rollout).hooks.map(({ status }) => status);
}

t.test("hooks begin once it is known who has confirmed, one after the other, in order", async (t) => {
  const begun = rolledBackAt(T0);
  t.match(look(begun, T0 + 999), { kind: "stay", reasons: [/confirm/] });
  const confirmed = trafficSeen(begun, REPORT);
  const first = look(confirmed, T0 + 50);
  t.match(first, {
    kind: "hook",
    index: 0,
    rollout: { state: { rollback: { hooks: [{ name: "restore", status: "running", startedAt: T0 + 50 }] } } },
  });
  if (first.kind !== "hook") return;
  const here = new Set([hookKey(first.rollout, rollbackOf(first.rollout), 0)]);
  t.match(look(first.rollout, T0 + 60, here), { kind: "stay", reasons: ["hook restore is running"] });
  t.match(look(first.rollout, T0 + DAY, here), { kind: "stay" }, "it ends by its own limit");

  const ended = hookEnded(first.rollout, 0, { status: "failed", ms: 70, detail: "exit 3" });
  t.match(rollbackOf(ended).hooks[0], { status: "failed", ms: 70, detail: "exit 3", startedAt: T0 + 50 });
  const second = look(ended, T0 + 130, here);
  t.match(second, { kind: "hook", index: 1 }, "a hook that failed does not stop the next");
  if (second.kind !== "hook") return;
  const last = hookEnded(second.rollout, 1, { status: "timed-out", ms: 5_000, detail: "" });
  const over = look(last, T0 + 5_200, here);
  t.match(over, {
    kind: "write",
    fields: undefined,
    reason: "rolled back from ten (10 %) in 5200 ms; confirmed by all 2 instances after 40 ms; hooks: restore failed, notify timed-out",
    rollout: { state: { status: "rolled-back", rollback: { endedAt: T0 + 5_200 } } },
  });
  if (over.kind !== "write") return;
  t.match(look(over.rollout, T0 + 50 * DAY), { kind: "stay" }, "nothing moves after it");
});

t.test("hooks are not kept waiting for instances that do not confirm", async (t) => {
  const begun = rolledBackAt(T0);
  t.match(look(begun, T0 + 1_000), { kind: "hook", index: 0 });
  t.match(look(begun, T0 - DAY), { kind: "hook", index: 0 }, "nor by a clock that went back");
  const missing = trafficSeen(begun, { ...REPORT, missing: ["three"] });
  const plain = trafficSeen(rolledBackAt(T0, planOf({ rollback: { ...planOf().rollback, hooks: [] } })), { ...REPORT, missing: ["three"] });
  t.match(look(missing, T0 + 1), { kind: "hook" });
  t.match(look(plain, T0 + 1), { kind: "write", reason: /not confirmed by three$/ });
});

t.test("a hook that another leader began is waited for while that one lives, up to the hook's limit", async (t) => {
  const first = look(trafficSeen(rolledBackAt(T0), REPORT), T0 + 50);
  if (first.kind !== "hook") throw new Error(first.kind);
  const hooks = rollbackOf(first.rollout).hooks;
  t.match(hooks[0], { by: "one", status: "running" });
  const seenBy = (now: number, more: Partial<Seen>): Next =>
    planNext(first.rollout, seenWell(first.rollout, { inForce: inForceOf(first.rollout.plan), self: "two", ...more }), now, NONE);
  const limits = { hookLimits: { restore: 60_000 } };
  t.match(seenBy(T0 + 60_000, { ...limits, alive: ["one", "two"] }), { kind: "stay", reasons: ["hook restore is running on one"] });
  t.match(seenBy(T0 + 60_000, { ...limits, alive: undefined }), { kind: "stay" }, "who lives is not known");
  t.match(seenBy(T0 + 60_000, { ...limits, alive: ["two"] }), { kind: "write", reason: /\(one\) is gone; .* not run again$/ });
  t.match(seenBy(T0 + 70_000, { ...limits, alive: ["one", "two"] }), { kind: "write", reason: /has not told of its end/ });
  t.match(
    seenBy(T0 - DAY, { ...limits, alive: ["one", "two"] }),
    { kind: "write" },
    "a clock that went back does not make it run for ever",
  );
});

t.test("a hook that was written off is not run again; the next one is, and a late end is told", async (t) => {
  const first = look(trafficSeen(rolledBackAt(T0), REPORT), T0 + 50);
  if (first.kind !== "hook") throw new Error(first.kind);
  const other = new Set([hookKey({ ...first.rollout, id: "run-0" }, rollbackOf(first.rollout), 0)]);
  const lost = look(first.rollout, T0 + 4_000, other);
  t.match(lost, { kind: "write", fields: undefined, reason: /^hook restore: one does not run it any more; .* not run again$/ });
  if (lost.kind !== "write") return;
  t.same(statuses(lost.rollout), ["unknown", "pending"]);
  t.same(statuses(hookEnded(lost.rollout, 0, { status: "done", ms: 1, detail: "" })), ["done", "pending"]);
  t.match(look(lost.rollout, T0 + 4_001), { kind: "hook", index: 1 });
});

t.test("the end of a hook that never ran, and a report when nothing was rolled back, change nothing", async (t) => {
  const begun = rolledBackAt(T0);
  for (const index of [0, 1, 2, -1]) t.equal(hookEnded(begun, index, { status: "done", ms: 1, detail: "" }), begun);
  const started = startedAt();
  t.equal(hookEnded(started, 0, { status: "done", ms: 1, detail: "" }), started);
  t.equal(trafficSeen(started, REPORT), started);
});

t.test("hooks wait for the last stage of the shift, and a report on an earlier one is none on the whole", async (t) => {
  const plan = planOf({ rollback: { ...planOf().rollback, stableCapacity: 1 } });
  const begun = rolledBackAt(T0, plan);
  t.ok(rollbackOf(begun).shift.length > 0);
  t.equal(trafficSeen(begun, REPORT), begun);
  t.match(look(begun, T0 + 7_000), { kind: "stay", reasons: [/in stages/] });
  const done = look(begun, T0 + 30_000);
  if (done.kind !== "write") throw new Error(done.kind);
  t.match(look(done.rollout, T0 + 30_999), { kind: "stay", reasons: [/confirm/] }, "who confirms is asked of the last write");
  t.match(look(done.rollout, T0 + 31_000), { kind: "hook", index: 0 });
});

t.test("what was changed by hand after the switch is told at the end, and left", async (t) => {
  const plain = trafficSeen(rolledBackAt(T0, planOf({ rollback: { ...planOf().rollback, hooks: [] } })), REPORT);
  const raised = { ...inForceOf(plain.plan), percentageBp: 2_000 };
  const over = planNext(plain, seenWell(plain, { inForce: raised }), T0 + 90, NONE);
  t.match(over, { kind: "write", fields: undefined, reason: /changed by hand since: rollout_percentage is 20 %/ });
});

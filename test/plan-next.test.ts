import t from "tap";
import type { VerdictWord } from "../src/analysis/check.ts";
import { approve, pause } from "../src/controller/acts.ts";
import { planNext, type Next, type Seen } from "../src/controller/plan-next.ts";
import type { Plan } from "../src/controller/plan.ts";
import type { Rollout } from "../src/controller/rollout.ts";
import {
  after,
  applied,
  checkOf,
  DAY,
  HOUR,
  inForceOf,
  judgedAs,
  MINUTE,
  planOf,
  seenWell,
  startedAt,
  stepOf,
  T0,
} from "./support/rollouts.ts";

const NONE: ReadonlySet<string> = new Set();

function next(rollout: Rollout, now: number, more: Partial<Seen> = {}): Next {
  return planNext(rollout, seenWell(rollout, more), now, NONE);
}

/** The rollout at a step, entered at T0. */
function atStep(step: number, plan: Plan = planOf()): Rollout {
  return { ...startedAt(plan), state: { status: "progressing", step }, stays: [{ step, from: T0, to: undefined }] };
}

const AT_HALF = atStep(1);

t.test("a step is left once its time is over and every gate passes, for the one after it", async (t) => {
  const rollout = startedAt();
  t.match(next(rollout, T0 + HOUR - 1), { kind: "stay", reasons: ["ten (10 %) has 1s to go"] });
  const moved = next(rollout, T0 + HOUR);
  t.match(moved, {
    kind: "write",
    who: "crossfade",
    fields: { rollout_percentage: "50", "segment.big": "50" },
    rollout: { state: { status: "progressing", step: 1 } },
  });
  t.match(moved.kind === "write" && moved.reason, /^from ten \(10 %\) to half \(50 %\): 1h at this step; latency: latency says pass$/);
  t.same(after(rollout, moved).stays, [
    { step: 0, from: T0, to: T0 + HOUR },
    { step: 1, from: T0 + HOUR, to: undefined },
  ]);
});

t.test("one step a look, however long nobody looked", async (t) => {
  const late = T0 + 50 * DAY;
  const moved = after(startedAt(), next(startedAt(), late));
  t.same(moved.state, { status: "progressing", step: 1 });
  t.match(next(moved, late), { kind: "stay" }, "the time of the next step begins when it is entered");
});

t.test("the last step completes the plan, and no setting changes", async (t) => {
  const rollout = atStep(2);
  const done = next(rollout, T0 + HOUR, { calendar: { open: false, why: "closed", opensAt: undefined } });
  t.match(
    done,
    { kind: "write", fields: undefined, rollout: { state: { status: "completed", at: T0 + HOUR } } },
    "not even the calendar counts",
  );
  t.equal(after(rollout, done).stays.at(-1)?.to, undefined, "its stay goes on");
  t.match(next(after(rollout, done), T0 + DAY), { kind: "stay" });
});

const HOLDS: readonly (readonly [what: string, seen: Partial<Seen>, says: RegExp])[] = [
  ...(["fail", "inconclusive", "no-data"] satisfies VerdictWord[]).map(
    (word) => [`a gate that says ${word}`, { gates: [judgedAs(checkOf("latency"), word)] }, new RegExp(`gate latency ${word}`)] as const,
  ),
  ["a gate that nobody judged", { gates: [] }, /gate latency was not judged/],
  [
    "one route of several",
    { gates: [judgedAs(checkOf("latency"), "pass", "", "a"), judgedAs(checkOf("latency"), "fail", "", "b")] },
    /latency of b fail/,
  ],
  ["a trigger without data", { triggers: [judgedAs(checkOf("slow"), "no-data")] }, /trigger slow no-data/],
  ["a trigger that is not sure", { triggers: [judgedAs(checkOf("slow"), "inconclusive")] }, /trigger slow inconclusive/],
  ["a trigger that nobody judged", { triggers: [] }, /trigger slow was not judged/],
  ["a closed calendar", { calendar: { open: false, why: "closed on a Friday", opensAt: T0 + DAY } }, /calendar: closed on a Friday/],
  ["no figures", { figuresAgeMs: undefined }, /there are no figures/],
  ["old figures", { figuresAgeMs: 10_001 }, /11s old/],
  ["a clock that is fast", { clockOffMs: 5_001 }, /the clock of this instance and that of the store differ by 6s/],
  ["a clock that is slow", { clockOffMs: -3_600_000 }, /differ by 1h/],
  ["an instance that counts for nobody", { silent: ["two"] }, /no figures come from two, which serves/],
];

for (const [what, seen, says] of HOLDS) {
  t.test(`a step is not left for ${what}`, async (t) => {
    const waits = next(AT_HALF, T0 + HOUR, seen);
    t.match(waits, { kind: "write", fields: undefined, rollout: { state: { status: "waiting", step: 1 } } });
    t.match(waits.kind === "write" && waits.reason, says);
    const waiting = after(AT_HALF, waits);
    t.match(next(waiting, T0 + DAY, seen), { kind: "stay", reasons: [says] }, "said once, not at every look");
    t.match(next(waiting, T0 + DAY), { kind: "write", rollout: { state: { step: 2 } } }, "it goes on once that is over");
  });
}

t.test("a trigger that is not required holds nothing: it rolls back or keeps silent", async (t) => {
  const check = checkOf("security", { required: false });
  const rollout = atStep(1, planOf({ triggers: [check] }));
  t.match(next(rollout, T0 + HOUR, { triggers: [judgedAs(check, "no-data")] }), { kind: "write", rollout: { state: { step: 2 } } });
  t.match(next(rollout, T0 + HOUR, { triggers: [judgedAs(check, "inconclusive")] }), { kind: "write", rollout: { state: { step: 2 } } });
  t.match(next(rollout, T0 + HOUR, { triggers: [judgedAs(check, "fail")] }), {
    kind: "write",
    rollout: { state: { status: "rolling-back" } },
  });
});

t.test("clocks that differ by five seconds are near enough, and no clock keeps a trigger from firing", async (t) => {
  for (const clockOffMs of [5_000, -5_000, 0]) t.match(next(AT_HALF, T0 + HOUR, { clockOffMs }), { rollout: { state: { step: 2 } } });
  t.match(next(AT_HALF, T0, { ...FIRES, clockOffMs: DAY }), { rollout: { state: { status: "rolling-back" } } });
});

t.test("only a write that enters a step can put more users on the candidate, and says so", async (t) => {
  t.match(next(AT_HALF, T0 + HOUR), { raises: true, fields: {} });
  t.match(next(atStep(2), T0 + HOUR), { raises: false, fields: undefined });
  t.match(next(AT_HALF, T0 + HOUR, { gates: [] }), { raises: false, fields: undefined });
  t.match(next(AT_HALF, T0, FIRES), { raises: false, fields: {} });
});

t.test("figures of ten seconds are fresh", async (t) => {
  t.match(next(AT_HALF, T0 + HOUR, { figuresAgeMs: 10_000 }), { kind: "write", rollout: { state: { step: 2 } } });
});

t.test("approvals and webhooks of a step are waited for", async (t) => {
  const steps = [stepOf("ten", 1_000, { approvals: ["ops", "product"], webhooks: ["lab"] }), stepOf("all", 10_000)];
  const rollout = startedAt(planOf({ steps }));
  t.match(next(rollout, T0 + HOUR), {
    rollout: { state: { status: "waiting" } },
    reasons: ["ops has not approved", "product has not approved"],
  });
  const approved = [
    { who: "alice", role: "ops" },
    { who: "bob", role: "product" },
  ].reduce((current, { who, role }) => {
    const acted = approve(current, { who, role, now: T0 + 1 });
    if ("refused" in acted) throw new Error(acted.refused);
    return acted.rollout;
  }, rollout);
  const moved = next(approved, T0 + HOUR);
  t.match(moved, { rollout: { state: { step: 1 }, approvals: [] } });
  t.match(moved.reasons, [/lab: lab agrees; approved by alice \(ops\); approved by bob \(product\)/]);
  t.match(next(approved, T0 + HOUR, { webhooks: [] }), { reasons: ["webhook lab was not asked"] });
  const webhooks = [{ name: "lab", verdict: "fail" as const, why: "too warm" }];
  t.match(next(approved, T0 + HOUR, { webhooks }), { reasons: ["webhook lab fail: too warm"] });
});

t.test("two approvals of one person are one", async (t) => {
  const steps = [stepOf("ten", 1_000, { approvals: ["ops", "product"] }), stepOf("all", 10_000)];
  const forged = {
    ...startedAt(planOf({ steps })),
    approvals: ["ops", "product"].map((role) => ({ who: "alice", role, at: T0 })),
  };
  t.match(next(forged, T0 + HOUR), { reasons: ["product has not approved"] });
});

t.test("the gates of a step are asked for beside those of the plan", async (t) => {
  const own = checkOf("own");
  const rollout = startedAt(planOf({ steps: [stepOf("ten", 1_000, { gates: [own] }), stepOf("all", 10_000)] }));
  t.match(next(rollout, T0 + HOUR, { gates: [judgedAs(checkOf("latency"), "pass")] }), { reasons: ["gate own was not judged"] });
  t.match(next(rollout, T0 + HOUR), { rollout: { state: { step: 1 } } });
});

const FIRES: Partial<Seen> = {
  triggers: [judgedAs(checkOf("slow"), "fail", "P95 161 ms (at least 157) over the limit of 150 ms, 30,000 attempts")],
};

t.test("a trigger that fails rolls back at once, whatever else is the matter", async (t) => {
  const paused = pause(AT_HALF, { who: "bob", reason: "lunch", now: T0 + 1 });
  if ("refused" in paused) throw new Error(paused.refused);
  const states: readonly (readonly [string, Rollout, Partial<Seen>])[] = [
    ["before its time is over", AT_HALF, {}],
    ["while it waits", { ...AT_HALF, state: { status: "waiting", step: 1 } }, {}],
    ["while it is paused", paused.rollout, {}],
    ["without figures, out of hours", AT_HALF, { figuresAgeMs: undefined, calendar: { open: false, why: "", opensAt: undefined } }],
    ["when it is killed", AT_HALF, { inForce: inForceOf(planOf(), { killed: true }) }],
    ["when it is completed", { ...atStep(2), state: { status: "completed", at: T0 } }, {}],
    ["and nothing is known of the stable arm", AT_HALF, { stable: undefined, requestsPerSecond: undefined }],
  ];
  for (const [when, rollout, more] of states) {
    const back = next(rollout, T0 + 5 * MINUTE, { ...FIRES, ...more });
    t.match(
      back,
      {
        kind: "write",
        fields: { rollout_percentage: "0", "segment.big": "0" },
        reason: /^rolled back from .*: trigger slow: P95 161 ms \(at least 157\) over the limit of 150 ms, 30,000 attempts$/,
        rollout: { state: { status: "rolling-back", rollback: { trigger: "slow", by: "crossfade", at: T0 + 5 * MINUTE, shift: [] } } },
      },
      when,
    );
    t.same(after(rollout, back).stays.at(-1), { step: -1, from: T0 + 5 * MINUTE, to: undefined }, when);
  }
});

t.test("a completed plan whose stable arm is unwell has nothing to go back to", async (t) => {
  const completed: Rollout = { ...atStep(2), state: { status: "completed", at: T0 } };
  const gone = { ...FIRES, stable: { healthy: false, detail: "connection refused" } };
  t.match(next(completed, T0 + DAY, gone), { kind: "stay", reasons: [/slow/, /not rolled back: .*connection refused/] });
  t.match(
    next(AT_HALF, T0 + DAY, gone),
    { kind: "write", rollout: { state: { status: "rolling-back" } } },
    "a plan under way goes back all the same",
  );
});

t.test("a rollback takes segments along that the plan does not speak of, and remembers them", async (t) => {
  const inForce = { ...seenWell(AT_HALF).inForce, segments: { big: 5_000, beta: 10_000, idle: 0 } };
  const back = next(AT_HALF, T0 + 1, { ...FIRES, inForce });
  t.match(back, { kind: "write", fields: { rollout_percentage: "0", "segment.big": "0", "segment.beta": "0" } });
  t.notOk(back.kind === "write" && "segment.idle" in (back.fields ?? {}));
  t.match(after(AT_HALF, back).state, { rollback: { others: { beta: 10_000 } } });
});

t.test("a stable arm that cannot take everything gets it in stages, by time, down only", async (t) => {
  const plan = planOf();
  const rollout = atStep(1, { ...plan, rollback: { ...plan.rollback, stableCapacity: 16 } });
  let { inForce } = seenWell(rollout);
  const begun = next(rollout, T0, FIRES);
  t.match(begun, { kind: "write", fields: { rollout_percentage: "20", "segment.big": "0" }, reason: /in stages/ });
  let current = after(rollout, begun);
  t.equal(current.stays.at(-1)?.to, T0, "no step's settings are in force meanwhile");
  inForce = applied(inForce, begun.kind === "write" ? begun.fields : undefined);
  const shares: number[] = [];
  for (let now = T0; now <= T0 + 30_000; now += 500) {
    const stage = planNext(current, seenWell(current, { inForce }), now, NONE);
    if (stage.kind !== "write") continue;
    inForce = applied(inForce, stage.fields);
    if (stage.fields !== undefined) shares.push(inForce.percentageBp);
    current = stage.rollout;
  }
  t.same(shares, [1_500, 1_000, 500, 0]);
  t.match(current.stays.at(-1), { step: -1, from: T0 + 30_000 });

  const late = planNext(after(rollout, begun), seenWell(rollout), T0 + DAY, NONE);
  t.match(
    late,
    { kind: "write", fields: { rollout_percentage: "0" }, rollout: { state: { rollback: { shift: [] } } } },
    "a late look goes to the end",
  );
  const early = planNext(after(rollout, begun), seenWell(rollout), T0 - DAY, NONE);
  t.match(early, { kind: "write", fields: { rollout_percentage: "0" } }, "a clock that went back does not put it off");
});

t.test("what is not in force any more is not put back by a stage", async (t) => {
  const plan = planOf();
  const rollout = atStep(1, { ...plan, rollback: { ...plan.rollback, stableCapacity: 16 } });
  const begun = after(rollout, next(rollout, T0, FIRES));
  const lowered = { ...inForceOf(plan), percentageBp: 100 };
  t.match(planNext(begun, seenWell(begun, { inForce: lowered }), T0 + 7_500, NONE), { fields: { rollout_percentage: "1" } });
  t.match(
    next(rollout, T0, { ...FIRES, inForce: { ...lowered, killed: true } }),
    { fields: { rollout_percentage: "0" } },
    "killed: no stage at all",
  );
});

t.test("settings that are not the step's hold it; the flag's own switch lets it go on, a hand on the figures does not", async (t) => {
  const well = seenWell(AT_HALF).inForce;
  const killed = next(AT_HALF, T0 + MINUTE, { inForce: { ...well, killed: true } });
  t.match(killed, {
    kind: "write",
    fields: undefined,
    reason: /killed/,
    rollout: { state: { status: "held", cause: "foreign", edited: false } },
  });
  const held = after(AT_HALF, killed);
  t.equal(held.stays.at(-1)?.to, T0 + MINUTE);
  t.match(next(held, T0 + HOUR, { inForce: { ...well, killed: true } }), { kind: "stay" });
  t.match(next(held, T0 + HOUR, { inForce: { ...well, enabled: false } }), { kind: "stay" });
  const again = next(held, T0 + 2 * HOUR);
  t.match(again, { kind: "write", fields: undefined, rollout: { state: { status: "progressing", step: 1 } } });
  const going = after(held, again);
  t.match(next(going, T0 + 3 * HOUR - MINUTE - 1), { kind: "stay" }, "the time of the kill does not count");
  t.match(next(going, T0 + 3 * HOUR - MINUTE), { kind: "write", rollout: { state: { step: 2 } } }, "the time before it does");

  const lowered = { ...well, percentageBp: 3_000 };
  const edited = after(AT_HALF, next(AT_HALF, T0 + MINUTE, { inForce: lowered }));
  t.match(edited.state, { status: "held", cause: "foreign", edited: true, why: "rollout_percentage is 30 % and not 50 %" });
  t.match(next(edited, T0 + HOUR), { kind: "stay", reasons: [/30 %/, /goes on when somebody resumes it/] });

  const both = after(held, next(held, T0 + HOUR, { inForce: { ...lowered, killed: true } }));
  t.match(both.state, { status: "held", edited: true });
  t.match(next(both, T0 + 2 * HOUR), { kind: "stay" });
});

t.test("a segment of the plan that was changed, or is not there, holds it as well", async (t) => {
  const well = seenWell(AT_HALF).inForce;
  t.match(next(AT_HALF, T0 + MINUTE, { inForce: { ...well, segments: { big: 0 } } }), { rollout: { state: { status: "held" } } });
  t.match(next(AT_HALF, T0 + MINUTE, { inForce: { ...well, segments: {} } }), { reason: /no segment big/ });
  t.match(next(AT_HALF, T0 + MINUTE, { inForce: { ...well, segments: { big: 5_000, beta: 100 } } }), { kind: "stay", reasons: [/to go/] });
});

t.test("settings that were just written are given time to arrive, a kill is not", async (t) => {
  const old = { ...seenWell(startedAt()).inForce };
  t.match(next(AT_HALF, T0 + 9_999, { inForce: old }), { kind: "stay", reasons: [/on their way/] });
  t.match(next(AT_HALF, T0 + 10_000, { inForce: old }), { kind: "write", rollout: { state: { status: "held" } } });
  const killed = after(AT_HALF, next(AT_HALF, T0 + 1, { inForce: { ...old, killed: true } }));
  t.match(killed.state, { status: "held", edited: false }, "what is not there yet is nobody's hand");
  t.match(next(killed, T0 + 2, { inForce: old }), { kind: "stay" });
  t.match(next(killed, T0 + 2), { kind: "write", rollout: { state: { status: "progressing" } } });
});

t.test("settings that never arrive do not let a step pass", async (t) => {
  const quick = atStep(1, planOf({ steps: [stepOf("ten", 1_000), stepOf("half", 5_000, { dwellMs: 0 }), stepOf("all", 10_000)] }));
  t.match(next(quick, T0 + 1, { inForce: seenWell(startedAt()).inForce }), { kind: "stay" });
});

t.test("a pause keeps the step's time, until other settings come into force", async (t) => {
  const paused = pause(AT_HALF, { who: "bob", reason: "lunch", now: T0 + MINUTE });
  if ("refused" in paused) throw new Error(paused.refused);
  t.match(next(paused.rollout, T0 + DAY), { kind: "stay", reasons: ["paused by bob: lunch"] });
  const killed = { ...seenWell(AT_HALF).inForce, killed: true };
  const cut = next(paused.rollout, T0 + HOUR, { inForce: killed });
  t.match(cut, { kind: "write", fields: undefined, rollout: { state: { status: "held", cause: "pause" }, stays: [{ to: T0 + HOUR }] } });
  t.match(next(after(paused.rollout, cut), T0 + 2 * HOUR, { inForce: killed }), { kind: "stay" });
});

t.test("the reason of a write stays short enough for an audit", async (t) => {
  const gates = [judgedAs(checkOf("latency"), "pass", "x".repeat(10_000))];
  const moved = next(AT_HALF, T0 + HOUR, { gates });
  t.ok(moved.kind === "write" && moved.reason.length <= 2_000 && moved.reason.endsWith("…"));
});

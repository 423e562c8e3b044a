import fc from "fast-check";
import t from "tap";
import { approve, pause, resume, resumeAt, rollBack } from "../src/controller/acts.ts";
import { planNext, type Seen } from "../src/controller/plan-next.ts";
import type { Rollout } from "../src/controller/rollout.ts";
import type { RolloutView } from "../src/controller/view.ts";
import type { Board, Incident } from "../src/incidents/incident.ts";
import { observe, type SeenMemory, type SeenWorld } from "../src/notify/happenings.ts";
import type { Happening } from "../src/notify/notice.ts";
import { look } from "../src/notify/plan-notices.ts";
import { NO_NOTICES, type NoticeState } from "../src/notify/state.ts";
import { decodeNotices, encodeNotices } from "../src/notify/state-text.ts";
import type { SlaRow } from "../src/sla/sla.ts";
import { ROUTED, worldOf } from "./support/notices.ts";
import { after, checkOf, HOUR, inForceOf, judgedAs, MINUTE, planOf, seenWell, startedAt, stepOf, T0 } from "./support/rollouts.ts";

/** What each look tells, in short: kind, severity, and what it ends. */
class Watcher {
  #memory: SeenMemory | undefined;
  last: readonly Happening[] = [];

  see(world: SeenWorld): readonly string[] {
    const { memory, happenings } = observe(this.#memory, world);
    // As it is kept between two looks.
    const read = decodeNotices(encodeNotices({ ...NO_NOTICES, seen: memory }));
    if (!("state" in read)) throw new Error(read.problem);
    this.#memory = read.state.seen;
    this.last = happenings;
    return happenings.map(({ kind, severity, resolves }) => `${kind} ${resolves ? "ends" : severity}`);
  }
}

function run(rollout: Rollout, now: number, more: Partial<Seen> = {}): Rollout {
  return after(rollout, planNext(rollout, seenWell(rollout, more), now, new Set()));
}

function acted(act: ReturnType<typeof pause>): Rollout {
  if ("refused" in act) throw new Error(act.refused);
  return act.rollout;
}

function viewOf(rollout: Rollout, more: Partial<RolloutView>): RolloutView {
  const { triggers, gates, webhooks, calendar, figuresAgeMs, stable, requestsPerSecond } = seenWell(rollout);
  const seen = { triggers, gates, webhooks, calendar, figuresAgeMs, stable, requestsPerSecond };
  return { ...seen, at: T0, leader: "one", rollout: rollout.id, reasons: ["why it stays"], ...more };
}

t.test("the first look ever tells nothing of the past", async (t) => {
  const watcher = new Watcher();
  const rollout = run(startedAt(), T0 + HOUR);
  const resolved = incidentOf("inc-1", ["resolved"]);
  const board: Board = {
    next: 9,
    incidents: [resolved],
    maintenance: [
      { id: "mnt-2", title: { en: "m" }, text: {}, from: T0 + HOUR, to: T0 + 2 * HOUR, announcedBy: "a", cancelled: false, changedAt: T0 },
    ],
  };
  t.same(watcher.see(worldOf(T0 + HOUR, { rollout }, { board })), []);
  t.same(watcher.see(worldOf(T0 + HOUR + 1, { rollout }, { board })), []);
});

t.test("the first look ever opens what is still wrong", async (t) => {
  const watcher = new Watcher();
  const seen = worldOf(
    T0,
    { killed: true, breakers: [{ route: "match", upstream: "v2", state: "open", why: "errors" }] },
    {
      board: { next: 3, incidents: [incidentOf("inc-2", [])], maintenance: [] },
      sla: [{ flag: "move", at: T0, rows: [rowOf({ state: "breached", promise: "availability", since: 1 })] }],
    },
  );
  t.same(watcher.see(seen).toSorted(), ["breaker-open P2", "incident-opened P2", "killed P1", "sla-breached P1"]);
  t.same(watcher.see({ ...seen, at: T0 + 1 }), [], "and once");

  const plan = planOf({ steps: [stepOf("ten", 1_000, { approvals: ["ops"] }), stepOf("all", 10_000)] });
  const waiting = run(startedAt(plan), T0 + HOUR);
  t.same(new Watcher().see(worldOf(T0 + HOUR, { rollout: waiting })), ["rollout-waiting P3"]);
  const back = run(startedAt(), T0 + 1, { triggers: [judgedAs(checkOf("slow"), "fail")] });
  t.same(new Watcher().see(worldOf(T0 + 1, { rollout: back })), ["rollout-rolling-back P1"]);
});

t.test("a rollout is told from its start to its end", async (t) => {
  const plan = planOf({ steps: [stepOf("ten", 1_000, { approvals: ["ops"] }), stepOf("all", 10_000)] });
  const watcher = new Watcher();
  t.same(watcher.see(worldOf(T0 - 1)), []);
  let rollout = startedAt(plan);
  t.same(watcher.see(worldOf(T0, { rollout })), ["rollout-started info"]);
  t.match(watcher.last, [{ at: T0, facts: { plan: "trial", step: "ten", percentage: "10 %", by: "alice" } }]);
  rollout = run(rollout, T0 + HOUR);
  t.same(watcher.see(worldOf(T0 + HOUR, { rollout, view: viewOf(rollout, {}) })), ["rollout-waiting P3"]);
  t.match(watcher.last, [{ facts: { roles: "ops", reasons: "why it stays" } }]);
  rollout = acted(approve(rollout, { who: "bob", role: "ops", now: T0 + HOUR + 1 }));
  rollout = run(rollout, T0 + HOUR + 2);
  t.same(watcher.see(worldOf(T0 + HOUR + 2, { rollout })), ["rollout-advanced info", "rollout-advanced ends"]);
  t.match(watcher.last[0], { facts: { from: "10 %", percentage: "100 %" } });
  rollout = run(rollout, T0 + 2 * HOUR + 2);
  t.same(watcher.see(worldOf(T0 + 2 * HOUR + 2, { rollout })), ["rollout-completed info"]);
});

t.test("several steps between two looks are all told, at their times and in order", async (t) => {
  const watcher = new Watcher();
  watcher.see(worldOf(T0 - 1));
  let rollout = startedAt();
  for (const hours of [1, 2, 3]) rollout = run(rollout, T0 + hours * HOUR);
  t.same(watcher.see(worldOf(T0 + 9 * HOUR, { rollout })), [
    "rollout-started info",
    "rollout-advanced info",
    "rollout-advanced info",
    "rollout-completed info",
  ]);
  t.same(
    watcher.last.map(({ at }) => at),
    [0, 1, 2, 3].map((hours) => T0 + hours * HOUR),
  );
});

t.test("a rollback is told by who decided it: a trigger, security, or somebody", async (t) => {
  const plan = planOf({ triggers: [checkOf("slow"), checkOf("breach", { metric: "security" })] });
  for (const [trigger, severity] of [
    ["slow", "P1"],
    ["breach", "P0"],
  ] as const) {
    const watcher = new Watcher();
    let rollout = startedAt(plan);
    watcher.see(worldOf(T0, { rollout }));
    const triggers = plan.triggers.map((check) => judgedAs(check, check.name === trigger ? "fail" : "pass"));
    rollout = run(rollout, T0 + MINUTE, { triggers });
    t.same(watcher.see(worldOf(T0 + MINUTE, { rollout })), [`rollout-rolling-back ${severity}`]);
    t.match(watcher.last, [{ facts: { trigger, step: "ten", percentage: "10 %" } }]);
  }
  const watcher = new Watcher();
  let rollout = startedAt(plan);
  watcher.see(worldOf(T0, { rollout }));
  const { inForce, stable, requestsPerSecond } = seenWell(rollout);
  rollout = acted(rollBack(rollout, { who: "eve", reason: "no good", now: T0 + 5, seen: { inForce, stable, requestsPerSecond } }));
  t.same(watcher.see(worldOf(T0 + 5, { rollout })), ["rollout-rolling-back P2"]);
});

t.test("the end of a rollback belongs to it, and a new run ends the trouble", async (t) => {
  const watcher = new Watcher();
  let rollout = startedAt(planOf({ rollback: { hooks: [], limitMs: 1, trafficLimitMs: 1, stableCapacity: undefined, shiftMs: 0 } }));
  watcher.see(worldOf(T0, { rollout }));
  const back = run(rollout, T0 + 1, { triggers: [judgedAs(checkOf("slow"), "fail")] });
  if (back.state.status !== "rolling-back") throw new Error(back.state.status);
  const traffic = { revision: 2, acknowledged: ["one"], missing: ["two"], ms: 900 };
  const rollback = { ...back.state.rollback, traffic, hooks: [], endedAt: T0 + 2_000 };
  rollout = { ...back, state: { status: "rolled-back", rollback } };
  t.same(watcher.see(worldOf(T0 + 3_000, { rollout })), ["rollout-rolling-back P1", "rollout-rolled-back P1"]);
  const [begun, over] = watcher.last;
  t.equal(begun?.group, over?.group);
  t.match(over?.facts, { took: "2s", confirmed: "1", unconfirmed: "two" });
  const inForce = inForceOf(rollout.plan);
  const next = acted(
    resumeAt(rollout, { id: "run-2", who: "bob", reason: "fixed", now: T0 + HOUR, step: 0, seen: { inForce, triggers: [] } }),
  );
  t.same(watcher.see(worldOf(T0 + HOUR, { rollout: next })), ["rollout-started info", "rollout-started ends"]);
  t.equal(watcher.last[1]?.group, begun?.group);
});

t.test("held by a foreign hand is a trouble, a pause is told, and to go on ends both", async (t) => {
  const watcher = new Watcher();
  let rollout = startedAt();
  watcher.see(worldOf(T0, { rollout }));
  rollout = acted(pause(rollout, { who: "bob", reason: "trade fair", now: T0 + 1 }));
  t.same(watcher.see(worldOf(T0 + 1, { rollout })), ["rollout-held info"]);
  t.match(watcher.last, [{ facts: { by: "bob", reason: "trade fair" } }]);
  rollout = acted(resume(rollout, { who: "bob", reason: "", now: T0 + 2, inForce: seenWell(rollout).inForce }));
  t.same(watcher.see(worldOf(T0 + 2, { rollout })), ["rollout-resumed info"]);
  const foreign = { ...seenWell(rollout).inForce, percentageBp: 3_000 };
  rollout = run(rollout, T0 + MINUTE, { inForce: foreign });
  t.same(watcher.see(worldOf(T0 + MINUTE, { rollout })), ["rollout-held P2"]);
  rollout = acted(resume(rollout, { who: "bob", reason: "", now: T0 + 2 * MINUTE, inForce: foreign }));
  t.same(watcher.see(worldOf(T0 + 2 * MINUTE, { rollout })), ["rollout-resumed info", "rollout-resumed ends"]);
});

t.test("a kill is told by itself and not again as a rollout that is held", async (t) => {
  const watcher = new Watcher();
  let rollout = startedAt();
  watcher.see(worldOf(T0, { rollout }));
  const killed = { ...seenWell(rollout).inForce, killed: true };
  rollout = run(rollout, T0 + MINUTE, { inForce: killed });
  t.equal(rollout.state.status, "held");
  t.same(watcher.see(worldOf(T0 + MINUTE, { rollout, killed: true, lastChange: { who: "eve", reason: "fire" } })), ["killed P1"]);
  t.match(watcher.last, [{ facts: { by: "eve", reason: "fire" } }]);
  rollout = run(rollout, T0 + 2 * MINUTE);
  t.same(watcher.see(worldOf(T0 + 2 * MINUTE, { rollout })), ["rollout-resumed info", "unkilled ends"].toReversed());
});

t.test("what cannot be read is neither over nor new", async (t) => {
  const watcher = new Watcher();
  const rollout = startedAt();
  const board: Board = { next: 2, incidents: [incidentOf("inc-1", [])], maintenance: [] };
  watcher.see(worldOf(T0, { rollout }, { board, sla: [{ flag: "move", at: T0, rows: [rowOf({ state: "warning" })] }] }));
  t.same(watcher.see(worldOf(T0 + 1, { rollout: undefined }, { board: undefined, sla: [] })), []);
  const noData = [{ flag: "move", at: T0, rows: [rowOf({ state: "no-data", value: Number.NaN })] }];
  t.same(watcher.see(worldOf(T0 + 2, { rollout }, { board, sla: noData })), []);
});

t.test("a trigger that fails and moves nothing is told when it has lasted, and ends when it passes, not for want of data", async (t) => {
  const watcher = new Watcher();
  const rollout = startedAt();
  const fails = viewOf(rollout, { triggers: [judgedAs(checkOf("slow"), "fail")] });
  t.same(watcher.see(worldOf(T0, { rollout, view: fails })), []);
  t.same(watcher.see(worldOf(T0 + 9_000, { rollout, view: fails })), []);
  t.same(watcher.see(worldOf(T0 + 10_000, { rollout, view: fails })), ["trigger-failing P1"]);
  t.same(watcher.see(worldOf(T0 + 20_000, { rollout, view: fails })), []);
  t.same(watcher.see(worldOf(T0 + 30_000, { rollout, view: undefined })), []);
  t.same(watcher.see(worldOf(T0 + 40_000, { rollout, view: viewOf(rollout, { triggers: [judgedAs(checkOf("slow"), "no-data")] }) })), []);
  t.same(watcher.see(worldOf(T0 + 50_000, { rollout, view: viewOf(rollout, {}) })), ["trigger-failing ends"]);
});

t.test("a breaker is open until it is closed, and one that is open by hand matters less", async (t) => {
  const watcher = new Watcher();
  const breaker = { route: "match", upstream: "v2", why: "errors" } as const;
  watcher.see(worldOf(T0));
  t.same(watcher.see(worldOf(T0 + 1, { breakers: [{ ...breaker, state: "open" }] })), ["breaker-open P2"]);
  t.same(watcher.see(worldOf(T0 + 2, { breakers: [{ ...breaker, state: "half-open" }] })), []);
  t.same(watcher.see(worldOf(T0 + 3, { breakers: [{ ...breaker, state: "returning" }] })), []);
  t.same(watcher.see(worldOf(T0 + 4, { breakers: [{ ...breaker, state: "closed", why: undefined }] })), ["breaker-open ends"]);
  t.same(watcher.see(worldOf(T0 + 5, { breakers: [{ ...breaker, state: "open", why: "hand" }] })), ["breaker-open P3"]);
});

t.test("a store that is away for some seconds calls nobody", async (t) => {
  const watcher = new Watcher();
  const away = { store: { up: false, message: "Redis is away." } };
  t.same(watcher.see(worldOf(T0, {}, away)), []);
  t.same(watcher.see(worldOf(T0 + 9_999)), []);
  t.same(watcher.see(worldOf(T0 + 20_000, {}, away)), []);
  t.same(watcher.see(worldOf(T0 + 30_000, {}, away)), ["store-lost P1"]);
  t.match(watcher.last, [{ at: T0 + 20_000, facts: { reason: "Redis is away." } }]);
  t.same(watcher.see(worldOf(T0 + 40_000, {}, away)), []);
  t.same(watcher.see(worldOf(T0 + 50_000)), ["store-back ends"]);
});

t.test("incidents are told with each update, those of a rollback without calling anybody again", async (t) => {
  const watcher = new Watcher();
  const see = (at: number, ...incidents: readonly Incident[]): readonly string[] => {
    return watcher.see(worldOf(at, {}, { board: { next: 9, incidents, maintenance: [] } }));
  };
  see(T0);
  t.same(see(T0 + 1, incidentOf("inc-1", [])), ["incident-opened P2"]);
  t.same(see(T0 + 2, incidentOf("inc-1", ["identified", "monitoring"])), ["incident-updated P2", "incident-updated P2"]);
  t.same(see(T0 + 3, incidentOf("inc-1", ["identified", "monitoring", "resolved"])), ["incident-resolved ends"]);
  t.same(see(T0 + 4, incidentOf("inc-1", ["identified", "monitoring", "resolved"]), { ...incidentOf("inc-2", []), rollout: "run-1" }), [
    "incident-opened info",
  ]);
  t.same(see(T0 + 5, incidentOf("inc-3", ["resolved"]), incidentOf("inc-2", [])), ["incident-opened P2", "incident-resolved ends"]);
  t.same(see(T0 + 6, incidentOf("inc-3", ["resolved"])), ["incident-resolved ends"], "one that is gone from the board is over");
});

t.test("an incident that was over and is open again calls people again, and what was told of it before is not told anew", async (t) => {
  const notified: NoticeState[] = [NO_NOTICES];
  const see = (at: number, states: readonly Incident["updates"][number]["state"][]): readonly string[] => {
    const { updates, ...incident } = incidentOf("inc-1", []);
    const words = [...updates, ...states.map((state, i) => ({ at: T0 + (i + 1) * HOUR, state, text: { en: `word ${i}` }, by: "eve" }))];
    const board = { next: 9, incidents: [{ ...incident, priority: "P0" as const, updates: words }], maintenance: [] };
    const before = notified.at(-1) ?? NO_NOTICES;
    notified.push(look(before, worldOf(at, {}, { board }), at, ROUTED));
    return observe(before.seen, worldOf(at, {}, { board })).happenings.map(({ kind, severity, resolves, facts }) =>
      [kind, resolves ? "ends" : severity, facts["text.en"], facts["by"]].join(" "),
    );
  };
  t.same(see(T0 + 1, []), ["incident-opened P0 inc-1 0 bob"]);
  t.same(see(T0 + HOUR, ["resolved"]), ["incident-resolved ends word 0 eve"]);
  t.same(see(T0 + 3 * HOUR, ["resolved", "investigating", "identified"]), [
    "incident-opened P0 word 1 eve",
    "incident-updated P0 word 2 eve",
  ]);
  const open = notified.at(-1)?.notices.filter(({ resolvedAt }) => resolvedAt === undefined) ?? [];
  t.match(open, [{ kind: "incident-opened", severity: "P0", openedAt: T0 + 2 * HOUR }], "it lasts, so it is repeated and escalates");
  t.same(
    see(T0 + 5 * HOUR, ["resolved", "investigating", "identified", "resolved", "investigating"]),
    ["incident-resolved ends word 3 eve", "incident-opened P0 word 4 eve"],
    "also between two looks",
  );
});

t.test("an incident that becomes worse is a trouble of its new priority, and one of a rollback is none", async (t) => {
  const seen = (rollout: string | undefined): NoticeState => {
    const [first, second] = [incidentOf("inc-1", []), { ...incidentOf("inc-1", ["identified"]), priority: "P0" as const }];
    return [[], [{ ...first, rollout }], [{ ...second, rollout }]].reduce((state: NoticeState, incidents, i) => {
      return look(state, worldOf(T0 + i, {}, { board: { next: 9, incidents, maintenance: [] } }), T0 + i, ROUTED);
    }, NO_NOTICES);
  };
  const lasting = (state: NoticeState) => state.notices.filter(({ resolvedAt }) => resolvedAt === undefined);
  t.match(lasting(seen(undefined)), [{ severity: "P0", facts: { incident: "inc-1", priority: "P0", state: "identified" } }]);
  t.same(lasting(seen("run-1")), []);
});

t.test("announced work is told, and when it is cancelled", async (t) => {
  const watcher = new Watcher();
  const work = {
    id: "mnt-1",
    title: { en: "m" },
    text: {},
    from: T0 + HOUR,
    to: T0 + 2 * HOUR,
    announcedBy: "a",
    cancelled: false,
    changedAt: T0,
  };
  const see = (cancelled: boolean): readonly string[] =>
    watcher.see(worldOf(T0, {}, { board: { next: 9, incidents: [], maintenance: [{ ...work, cancelled }] } }));
  watcher.see(worldOf(T0));
  t.same([see(false), see(false), see(true), see(true)], [["maintenance-announced info"], [], ["maintenance-announced info"], []]);
  t.match(watcher.last, []);
});

t.test("a promise is one trouble, in the figures of its worst row", async (t) => {
  const watcher = new Watcher();
  const see = (...rows: readonly SlaRow[]): readonly string[] => watcher.see(worldOf(T0, {}, { sla: [{ flag: "move", at: T0, rows }] }));
  see(rowOf({}));
  t.same(see(rowOf({}), rowOf({ version: "v2", state: "warning" })), ["sla-warning P3"]);
  t.same(see(rowOf({ state: "breached", budgetLeft: -0.1 }), rowOf({ version: "v2", state: "breached", value: 0.021, budgetLeft: -1.1 })), [
    "sla-breached P2",
  ]);
  t.match(watcher.last, [
    { facts: { promise: "errors", version: "v2", value: "2.1 %", target: "1 %", budgetLeft: "-110 %", others: "1" } },
  ]);
  t.same(see(rowOf({ state: "breached", budgetLeft: -0.2 })), []);
  t.same(see(rowOf({ state: "warning" })), ["sla-recovered ends"]);
  t.same(see(rowOf({})), ["sla-recovered ends"]);
});

t.test("nothing happens later than it is seen", async (t) => {
  const watcher = new Watcher();
  watcher.see(worldOf(T0 - HOUR));
  watcher.see(worldOf(T0 - MINUTE, { rollout: startedAt() }));
  t.match(watcher.last, [{ at: T0 - MINUTE }]);
});

t.test("how often one looks changes nothing in what is told of steps and rollbacks", async () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("hour", "fail", "look"), { maxLength: 12 }), (script) => {
      let rollout = startedAt();
      let now = T0;
      const often: NoticeState[] = [look(NO_NOTICES, worldOf(T0 - 1), T0 - 1, ROUTED)];
      let rarely = often[0] ?? NO_NOTICES;
      for (const one of script) {
        now += one === "hour" ? HOUR : 1_000;
        rollout = run(rollout, now, one === "fail" ? { triggers: [judgedAs(checkOf("slow"), "fail")] } : {});
        often.push(look(often.at(-1) ?? NO_NOTICES, worldOf(now, { rollout }), now, ROUTED));
        if (one === "look") rarely = look(rarely, worldOf(now, { rollout }), now, ROUTED);
      }
      often.push(look(often.at(-1) ?? NO_NOTICES, worldOf(now, { rollout }), now, ROUTED));
      rarely = look(rarely, worldOf(now, { rollout }), now, ROUTED);
      const told = (state: NoticeState | undefined): string =>
        // A completed rollout that is rolled back before the next look says nowhere that it was completed.
        (state?.notices ?? [])
          .filter(({ kind }) => kind !== "rollout-completed")
          .map(({ kind, severity, openedAt }) => `${kind} ${severity} ${openedAt}`)
          .join("\n");
      if (told(often.at(-1)) !== told(rarely)) throw new Error(`${told(often.at(-1))}\n---\n${told(rarely)}`);
    }),
    { numRuns: 200 },
  );
});

function incidentOf(id: string, states: readonly Incident["updates"][number]["state"][]): Incident {
  const updates = ["investigating" as const, ...states].map((state, i) => ({ at: T0 + i, state, text: { en: `${id} ${i}` }, by: "bob" }));
  return { id, priority: "P2", impact: "degraded", title: { en: id }, openedAt: T0, openedBy: "bob", rollout: undefined, updates };
}

function rowOf(more: Partial<SlaRow>): SlaRow {
  return {
    promise: "errors",
    version: "all",
    segment: "all",
    value: 0.002,
    target: 0.01,
    direction: "at-most",
    limitMs: undefined,
    p95: undefined,
    windowMs: 24 * HOUR,
    coveredMs: HOUR,
    sample: 10_000,
    budgetLeft: 0.8,
    state: "met",
    since: T0,
    ...more,
  };
}

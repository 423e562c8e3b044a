import fc from "fast-check";
import t from "tap";
import type { CommandHook } from "../src/config/config.ts";
import { type DrillOptions, type DrillParts, rehearse } from "../src/controller/drill.ts";
import { type DrillReport, renderDrill } from "../src/controller/drill-report.ts";
import type { HookOptions, HookPayload } from "../src/controller/hooks.ts";

const START = Date.UTC(2026, 10, 22, 13);

/** What a test decides of a fleet: how long things take, and what goes wrong. */
interface Plan {
  readonly writeMs: number;
  readonly missing: readonly string[];
  readonly acknowledged: readonly string[];
  readonly shared: boolean;
  /** Which writes are refused, counted from 0. */
  readonly refused: readonly number[];
  /** Instants after the switch, in milliseconds, at which the candidate still gets a request; undefined: no figures. */
  readonly requests: readonly number[] | undefined;
  readonly hookMs: number;
  readonly failing: readonly string[];
  readonly throwing: readonly string[];
  readonly stable: boolean | undefined | "throws";
  /** Somebody else changes the settings while hooks run. */
  readonly meddled: boolean;
}

const WELL: Plan = {
  writeMs: 120,
  missing: [],
  acknowledged: ["a", "b", "c"],
  shared: true,
  refused: [],
  requests: [],
  hookMs: 1_000,
  failing: [],
  throwing: [],
  stable: true,
  meddled: false,
};

interface Written {
  readonly fields: Readonly<Record<string, string | null>>;
  readonly reason: string;
  readonly ifRevision: number | undefined;
}

interface Fleet {
  readonly parts: DrillParts;
  readonly writes: readonly Written[];
  readonly ran: readonly { readonly name: string; readonly payload: HookPayload; readonly options: HookOptions }[];
  /** The settings in force. */
  readonly fields: Readonly<Record<string, string | null>>;
}

/** A fleet in one object, with a clock of its own. */
function fleetOf(change: Partial<Plan>): Fleet {
  const plan = { ...WELL, ...change };
  let now = START;
  let revision = 7;
  let switchedAt = Infinity;
  let tries = 0;
  let fields: Record<string, string | null> = { rollout_percentage: "25", "segment.beta_users": "100", "segment.enterprise": "0" };
  const writes: Written[] = [];
  const ran: Fleet["ran"][number][] = [];
  const parts: DrillParts = {
    write: async (wanted, reason, { ifRevision }) => {
      now += plan.writeMs;
      if (plan.refused.includes(tries++)) throw new Error("redis is down");
      if (ifRevision !== undefined && ifRevision !== revision) throw new Error(`the settings are at revision ${revision} by now`);
      writes.push({ fields: wanted, reason, ifRevision });
      fields = { ...fields, ...wanted };
      if (wanted["rollout_percentage"] === "0") switchedAt = now;
      return { revision: ++revision, acknowledged: plan.acknowledged, missing: plan.missing, shared: plan.shared };
    },
    candidateRequestsSince: async (at) => plan.requests?.filter((ms) => switchedAt + ms >= at && switchedAt + ms <= now).length,
    runHook: async (hook, payload, options) => {
      ran.push({ name: hook.name, payload, options });
      now += plan.hookMs;
      if (plan.meddled) revision++;
      if (plan.throwing.includes(hook.name)) throw new Error("out of memory");
      const failed = plan.failing.includes(hook.name);
      return { status: failed ? "failed" : "done", ms: plan.hookMs, detail: failed ? "exit code 3\nthe disk is full" : "exit code 0" };
    },
    probeStable: async () => {
      if (plan.stable === "throws") throw new Error("no probe");
      return plan.stable === undefined ? undefined : { healthy: plan.stable, detail: plan.stable ? "v1: 200" : "v1: connection refused" };
    },
    now: () => now,
    pause: async (ms) => void (now += ms),
  };
  return {
    parts,
    writes,
    ran,
    get fields() {
      return fields;
    },
  };
}

const hook = (name: string, drill: boolean): CommandHook => ({
  kind: "command",
  name,
  command: ["true"],
  folder: "/",
  timeoutMs: 90_000,
  drill,
});
const HOOKS = [hook("restore-data", false), hook("notify", true), hook("verify", true)];

function optionsOf(change: Partial<DrillOptions> = {}): DrillOptions {
  return {
    flag: "v2_migration",
    live: false,
    inForce: { revision: 7, enabled: true, killed: false, percentageBp: 2_500, segments: { beta_users: 10_000, enterprise: 0 } },
    hooks: HOOKS,
    limitMs: 120_000,
    trafficLimitMs: 1_000,
    reason: "monthly",
    rollout: "fast-1a2b",
    ...change,
  };
}

const phase = (report: DrillReport, name: string) => report.phases.find((found) => found.name === name);

t.test("a shadow drill goes the whole way and moves nobody", async (t) => {
  const fleet = fleetOf({});
  const report = await rehearse(fleet.parts, optionsOf());
  t.match(report, {
    kind: "shadow",
    ok: true,
    problems: [],
    trafficMs: 120,
    ms: 2_120,
    worstMs: 92_120,
    instances: ["a", "b", "c"],
    laggards: [],
  });
  t.equal(report.putBack, undefined);
  t.strictSame(
    fleet.writes.map(({ fields }) => fields),
    [{ drill: "2026-11-22T13:00:00.000Z" }, { drill: null }],
    "a mark that decides nothing, and is taken away again",
  );
  t.match(phase(report, "traffic"), { status: "ok", ms: 120, limitMs: 1_000, detail: "revision 8 confirmed by all 3 instances" });
  t.equal(phase(report, "last request"), undefined);
  t.strictSame(
    fleet.ran.map(({ name }) => name),
    ["notify", "verify"],
    "only hooks that allow it",
  );
  t.match(report.hooks, [
    { name: "restore-data", status: "not-rehearsed" },
    { name: "notify", status: "done", ms: 1_000 },
    { name: "verify", status: "done" },
  ]);
  t.match(fleet.ran[0], {
    payload: { event: "rollback", flag: "v2_migration", rollout: "fast-1a2b", reason: "drill: monthly" },
    options: { drill: true },
  });
});

t.test("a live drill takes the traffic back, runs every hook, and puts the shares back", async (t) => {
  const fleet = fleetOf({ requests: [10, 250, 640] });
  const before = fleet.fields;
  const report = await rehearse(fleet.parts, optionsOf({ live: true }));
  t.match(report, { kind: "live", ok: true, problems: [], trafficMs: 120, putBack: true });
  t.match(fleet.writes, [
    { fields: { rollout_percentage: "0", "segment.beta_users": "0" }, reason: "drill: monthly", ifRevision: 7 },
    { fields: { rollout_percentage: "25", "segment.beta_users": "100" }, reason: "end of the drill: monthly", ifRevision: 8 },
  ]);
  t.strictSame(fleet.fields, before);
  t.notOk("segment.enterprise" in (fleet.writes[0]?.fields ?? {}), "what is 0 already is left alone");
  const last = phase(report, "last request");
  t.match(last, { status: "ok" });
  t.ok((last?.ms ?? 0) >= 640 && (last?.ms ?? 0) <= 840, `the last request, to the time between two looks: ${last?.ms}`);
  t.strictSame(
    fleet.ran.map(({ name }) => name),
    ["restore-data", "notify", "verify"],
  );
  t.ok(fleet.ran.every(({ options }) => options.drill));
  t.equal(report.ms, 120 + (last?.ms ?? 0) + 3_000, "waiting to be sure is no part of a rollback");
  t.equal(report.worstMs, report.ms);
});

t.test("the last request is the last, however long the one before is past", async (t) => {
  const report = await rehearse(fleetOf({ requests: [100, 2_900, 5_500] }).parts, optionsOf({ live: true }));
  const { ms = 0, status } = phase(report, "last request") ?? {};
  t.equal(status, "ok");
  t.ok(ms >= 5_500 && ms <= 5_700, `${ms} ms`);
});

t.test("too slow is not ok, and says by how much", async (t) => {
  const late = await rehearse(fleetOf({ writeMs: 1_001 }).parts, optionsOf());
  t.match(late, { ok: false, problems: ["traffic: 1001 ms, over the limit of 1s; revision 8 confirmed by all 3 instances"] });
  t.match(await rehearse(fleetOf({ writeMs: 1_000 }).parts, optionsOf()), { ok: true }, "the limit itself is within it");
  const slow = await rehearse(fleetOf({ hookMs: 59_941 }).parts, optionsOf());
  t.match(slow, { ok: false, ms: 120_002, problems: ["everything: 120002 ms, over the limit of 2m"] });
  t.match(await rehearse(fleetOf({ hookMs: 59_940 }).parts, optionsOf()), { ok: true, ms: 120_000 });
});

t.test("who does not confirm is named", async (t) => {
  for (const live of [false, true]) {
    const report = await rehearse(fleetOf({ missing: ["d"] }).parts, optionsOf({ live }));
    t.match(report, { ok: false, laggards: ["d"], problems: ["traffic: not confirmed by d"] });
    t.equal(report.hooks.filter(({ status }) => status === "done").length, live ? 3 : 2, "the rest is rehearsed all the same");
  }
  t.match(await rehearse(fleetOf({ shared: false }).parts, optionsOf()), { ok: false, problems: [/only this instance knows/] });
  t.match(await rehearse(fleetOf({ acknowledged: [] }).parts, optionsOf()), { ok: false, problems: [/no instance has confirmed/] });
});

t.test("a hook that fails does not keep the next from being run", async (t) => {
  const fleet = fleetOf({ failing: ["notify"], throwing: ["restore-data"] });
  const report = await rehearse(fleet.parts, optionsOf({ live: true }));
  t.match(report, { ok: false, putBack: true });
  t.strictSame(report.problems, ["hook restore-data: failed (out of memory)", "hook notify: failed (exit code 3)"]);
  t.equal(fleet.ran.length, 3);
});

t.test("nothing is rehearsed where nothing could be written", async (t) => {
  const fleet = fleetOf({ refused: [0] });
  const shadow = await rehearse(fleet.parts, optionsOf());
  t.match(shadow, {
    ok: false,
    trafficMs: undefined,
    problems: [/^traffic: not written: redis is down$/, /hook notify: left out/, /hook verify: left out/],
  });
  t.equal(fleet.ran.length, 0);
  const live = await rehearse(fleetOf({ refused: [0] }).parts, optionsOf({ live: true }));
  t.match(live.problems[0], /whether the share is 0 now is not known/);
  t.equal(live.putBack, undefined);
});

t.test("a live drill is refused where it could do harm or show nothing", async (t) => {
  const { inForce } = optionsOf();
  const refused = async (plan: Partial<Plan>, change: Partial<DrillOptions>, why: RegExp): Promise<void> => {
    const fleet = fleetOf(plan);
    const report = await rehearse(fleet.parts, optionsOf({ live: true, ...change }));
    t.match(report, { ok: false, putBack: undefined, trafficMs: undefined });
    t.match(report.problems[0], why);
    t.strictSame([fleet.writes, fleet.ran], [[], []], "nothing was touched");
  };
  await refused({ stable: false }, {}, /not known to be well: v1: connection refused/);
  await refused({ stable: undefined }, {}, /not known to be well: it could not be asked/);
  await refused({ stable: "throws" }, {}, /not known to be well: no probe/);
  await refused({}, { inForce: { ...inForce, killed: true } }, /killed or disabled/);
  await refused({}, { inForce: { ...inForce, enabled: false } }, /killed or disabled/);
  await refused({}, { inForce: { ...inForce, percentageBp: 0, segments: { beta_users: 0 } } }, /nobody is on the candidate/);
  await rehearse(fleetOf({ stable: false }).parts, optionsOf()).then((report) =>
    t.match(report, { ok: false, trafficMs: 120, problems: ["stable arm: v1: connection refused"] }, "in shadow it is told"),
  );
});

t.test("what somebody changed meanwhile is left as he wants it", async (t) => {
  const before = await rehearse(fleetOf({}).parts, optionsOf({ live: true, inForce: { ...optionsOf().inForce, revision: 6 } }));
  t.match(
    before,
    { ok: false, trafficMs: undefined, problems: [/the settings are at revision 7 by now/] },
    "between the look and the write",
  );
  const fleet = fleetOf({ meddled: true });
  const report = await rehearse(fleet.parts, optionsOf({ live: true }));
  t.match(report, { ok: false, putBack: false });
  t.match(report.problems.at(-1), /^put back: the share stays 0: the settings are at revision \d+ by now$/);
  t.equal(fleet.writes.length, 1);
});

t.test("a share that cannot be put back is a problem, a mark that stays is none", async (t) => {
  t.match(await rehearse(fleetOf({ refused: [1] }).parts, optionsOf({ live: true })), {
    ok: false,
    putBack: false,
    problems: ["put back: the share stays 0: redis is down"],
  });
  t.match(await rehearse(fleetOf({ refused: [1] }).parts, optionsOf()), { ok: true, problems: [] });
});

t.test("requests that do not end, and figures that do not come, are not ok", async (t) => {
  const endless = Array.from({ length: 4_000 }, (_, index) => index * 100);
  const busy = await rehearse(fleetOf({ requests: endless }).parts, optionsOf({ live: true }));
  t.match(busy, { ok: false, putBack: true, problems: ["last request: the candidate still gets requests"] });
  const blind = await rehearse(fleetOf({ requests: undefined }).parts, optionsOf({ live: true }));
  t.match(blind, { ok: false, putBack: true, problems: ["last request: there are no figures that tell"] });
});

t.test("a drill that is called off leaves out what is left, and puts back", async (t) => {
  const off = new AbortController();
  const fleet = fleetOf({});
  const parts: DrillParts = {
    ...fleet.parts,
    runHook: (given, payload, options) => {
      off.abort();
      return fleet.parts.runHook(given, payload, options);
    },
  };
  const report = await rehearse(parts, optionsOf({ live: true, signal: off.signal }));
  t.match(report.hooks, [{ status: "done" }, { status: "left-out" }, { status: "left-out" }]);
  t.match(report, { ok: false, putBack: true });
  t.equal(fleet.ran[0]?.options.signal, off.signal, "the hook is told as well");
});

t.test("without hooks there is nothing to say of hooks", async (t) => {
  const report = await rehearse(fleetOf({}).parts, optionsOf({ hooks: [] }));
  t.match(report, { ok: true, ms: 120, worstMs: 120, hooks: [] });
  t.notMatch(renderDrill(report).join("\n"), /hook/);
});

t.test("the report reads as a table, and goes through JSON", async (t) => {
  const shadow = await rehearse(fleetOf({ missing: ["d"], failing: ["notify"] }).parts, optionsOf());
  t.strictSame(renderDrill(shadow), [
    "shadow drill of v2_migration: NOT OK, 2.12 s of 2m",
    "",
    "phase           took  limit  result",
    "stable arm      0 ms      -  ok             v1: 200",
    "traffic       120 ms     1s  failed         not confirmed by d",
    "hooks         2.00 s      -  failed",
    "everything    2.12 s     2m  ok",
    "put back      120 ms      -  ok",
    "",
    "hook            took  limit  result",
    "restore-data       -    90s  not rehearsed  only live drills run it; `drill: true` says that it does no harm",
    "notify        1.00 s    90s  failed         exit code 3: the disk is full",
    "verify        1.00 s    90s  done           exit code 0",
    "",
    "confirmed by a, b, c",
    "not confirmed by d",
    "1 not rehearsed: up to 92.1 s with its limit",
    "! traffic: not confirmed by d",
    "! hook notify: failed (exit code 3)",
  ]);
  t.match(JSON.parse(JSON.stringify(shadow)), { kind: "shadow", ok: false, laggards: ["d"] });
});

const plans: fc.Arbitrary<Partial<Plan>> = fc.record({
  writeMs: fc.nat(3_000),
  missing: fc.subarray(["d", "e"]),
  acknowledged: fc.subarray(["a", "b"]),
  shared: fc.boolean(),
  refused: fc.subarray([0, 1]),
  requests: fc.option(fc.array(fc.nat(40_000), { maxLength: 5 }), { nil: undefined }),
  hookMs: fc.nat(90_000),
  failing: fc.subarray(HOOKS.map(({ name }) => name)),
  throwing: fc.subarray(HOOKS.map(({ name }) => name)),
  stable: fc.constantFrom(true, true, true, false, undefined, "throws" as const),
  meddled: fc.boolean(),
});

t.test("whatever goes wrong: no drill rejects, ok means all is well, and no share is lost unsaid", async (t) => {
  await fc.assert(
    fc.asyncProperty(plans, fc.boolean(), async (plan, live) => {
      const fleet = fleetOf(plan);
      const { drill: _, ...before } = fleet.fields;
      const report = await rehearse(fleet.parts, optionsOf({ live }));
      const { drill: __, ...after } = fleet.fields;
      const same = JSON.stringify(before) === JSON.stringify(after);
      if (!live && !same) throw new Error("a shadow drill moved somebody");
      if (!same && report.putBack !== false) throw new Error("the share is another, and the report does not say so");
      if (report.ok !== (report.problems.length === 0)) throw new Error("ok and problems contradict each other");
      const bad = report.laggards.length > 0 || report.ms > report.limitMs || (report.trafficMs ?? Infinity) > report.trafficLimitMs;
      if (report.ok && (bad || report.hooks.some(({ status }) => status === "failed" || status === "left-out")))
        throw new Error("ok, and it is not");
      renderDrill(report);
    }),
    { numRuns: 500 },
  );
  t.pass();
});

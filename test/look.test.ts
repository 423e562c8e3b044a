import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t from "tap";
import type { BusinessSource, Signal } from "../src/analysis/business.ts";
import type { FiguresSource } from "../src/analysis/figures.ts";
import { GateWebhooks } from "../src/controller/gate-webhooks.ts";
import { look, lookAtReports, type Sources } from "../src/controller/look.ts";
import { planNext } from "../src/controller/plan-next.ts";
import type { Rollout } from "../src/controller/rollout.ts";
import { checkOf, HOUR, inForceOf, planOf, stepOf, T0 } from "./support/rollouts.ts";

const SECURITY = checkOf("security", {
  metric: "security",
  limit: { kind: "at-most", value: 0 },
  window: { kind: "last", ms: HOUR },
  required: false,
});
const PLAN = planOf({ segments: [], gates: [], triggers: [SECURITY], steps: [stepOf("half", 5_000), stepOf("all", 10_000)] });
const NOW = T0 + 2 * HOUR;
const ROLLOUT: Rollout = {
  id: "r1",
  flag: "move",
  plan: PLAN,
  startedAt: T0,
  startedBy: "ann",
  state: { status: "progressing", step: 0 },
  stays: [{ step: 0, from: T0, to: undefined }],
  approvals: [],
};

const never = new Promise<never>(() => {});
const NO_FIGURES: FiguresSource = { refresh: () => Promise.reject(new Error("away")), between: () => Promise.reject(new Error("away")) };
const QUIET: FiguresSource = {
  refresh: (now) => Promise.resolve(now),
  between: (from, to) => Promise.resolve({ from, to, coveredMs: to - from, instances: ["one"], cells: [] }),
};

function reports(signals: readonly Signal[]): BusinessSource {
  return {
    refresh: () => Promise.resolve(),
    between: (from, to) => ({ from, to, cells: [], signals }),
    steps: () => [],
  };
}

const INCIDENT: Signal = { kind: "security", at: NOW - 1_000, arrivedAt: NOW - 1_000, value: 0, note: "leak" };

function sources(more: Partial<Sources>): Sources {
  return {
    figures: QUIET,
    business: () => reports([]),
    inForce: () => inForceOf(PLAN, { percentageBp: 5_000 }),
    probeStable: () => Promise.resolve({ healthy: true, detail: "" }),
    webhooks: () => [],
    self: "one",
    alive: () => Promise.resolve(["one"]),
    hookLimits: {},
    clockOffMs: () => 0,
    routes: ["match"],
    segments: () => [],
    ...more,
  };
}

t.test("an incident rolls back though there are no figures, and though they do not come", async (t) => {
  const business = (): BusinessSource => reports([INCIDENT]);
  for (const figures of [
    NO_FIGURES,
    { refresh: () => never, between: () => never },
    { ...QUIET, refresh: () => Promise.resolve(undefined) },
  ]) {
    const seen = await look(ROLLOUT, sources({ figures, business }), NOW);
    t.match(planNext(ROLLOUT, seen, NOW, new Set()), { kind: "write", rollout: { state: { status: "rolling-back" } } });
  }
});

t.test("without figures nothing advances", async (t) => {
  const missed: string[] = [];
  const seen = await look(ROLLOUT, sources({ figures: NO_FIGURES, onMissing: (what) => void missed.push(what) }), NOW);
  t.equal(seen.figuresAgeMs, undefined);
  t.same(missed, ["figures"]);
  t.match(planNext(ROLLOUT, seen, NOW, new Set()), { kind: "write", rollout: { state: { status: "waiting" } } });
});

t.test("reports that cannot be read are no sign of health, of incidents too", async (t) => {
  const business = (): BusinessSource => ({ ...reports([]), refresh: () => Promise.reject(new Error("wrong type")) });
  const seen = await look(ROLLOUT, sources({ business }), NOW);
  t.match(seen.triggers, [{ verdict: { verdict: "no-data" }, check: { required: true } }]);
  t.match(planNext(ROLLOUT, seen, NOW, new Set()), { kind: "write", rollout: { state: { status: "waiting" } } });
  const well = await look(ROLLOUT, sources({}), NOW);
  t.match(
    planNext(ROLLOUT, well, NOW, new Set()),
    { kind: "write", rollout: { state: { status: "progressing", step: 1 } } },
    "as it would otherwise",
  );
});

t.test("a rollback that is under way waits for no figures", async (t) => {
  const rollback = {
    step: 0,
    at: NOW - 10_000,
    by: "ann",
    why: "slow",
    trigger: undefined,
    shift: [],
    traffic: undefined,
    hooks: [],
    endedAt: undefined,
    others: {},
  };
  const rolling: Rollout = { ...ROLLOUT, state: { status: "rolling-back", rollback } };
  const figures = { refresh: () => never, between: () => never };
  const seen = await look(rolling, sources({ figures, business: () => ({ ...reports([]), refresh: () => never }) }), NOW);
  t.match(planNext(rolling, seen, NOW, new Set()), { kind: "write", rollout: { state: { status: "rolled-back" } } });
});

t.test("an instance that serves and does not tell what it counts holds the rollout", async (t) => {
  const alive = (): Promise<readonly string[]> => Promise.resolve(["one", "two"]);
  const seen = await look(ROLLOUT, sources({ alive, silent: (known) => known.filter((name) => name === "two") }), NOW);
  t.match(planNext(ROLLOUT, seen, NOW, new Set()), { kind: "write", rollout: { state: { status: "waiting" } }, reasons: [/two/] });
});

t.test("who resumes after a rollback is told what still fails, and of incidents since, not of those before", async (t) => {
  const lag = checkOf("lag", { metric: "sync_lag", limit: { kind: "at-most", value: 1 } });
  const rollback = {
    step: 0,
    at: NOW - 10_000,
    by: "crossfade",
    why: "leak",
    trigger: "security",
    shift: [],
    traffic: undefined,
    hooks: [],
    endedAt: NOW - 9_000,
    others: {},
  };
  const rollout: Rollout = { ...ROLLOUT, plan: { ...PLAN, triggers: [SECURITY, lag] }, state: { status: "rolled-back", rollback } };
  const late: Signal = { kind: "sync_lag", at: NOW - 500, arrivedAt: NOW - 500, value: 30, note: "" };
  const before: Signal = { ...INCIDENT, at: NOW - 20_000, arrivedAt: NOW - 20_000 };
  const verdicts = async (signals: readonly Signal[]): Promise<Record<string, string>> => {
    const judged = await lookAtReports(rollout, sources({ business: () => reports(signals) }), NOW);
    return Object.fromEntries(judged.map(({ check, verdict }) => [check.name, verdict.verdict]));
  };
  t.match(await verdicts([before, late]), { lag: "fail", security: "pass" });
  t.match(await verdicts([before, INCIDENT]), { security: "fail" });
});

t.test("a webhook's word counts while it is fresh, at the step at which it was asked, and under one lead", async (t) => {
  let says = "pass";
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.end(JSON.stringify({ verdict: says, why: "looked" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const hook = {
    kind: "webhook" as const,
    name: "compliance",
    url: `http://127.0.0.1:${port}/`,
    headers: {},
    secret: undefined,
    timeoutMs: 5_000,
    drill: false,
  };
  const work: Promise<void>[] = [];
  const gates = new GateWebhooks("move", [hook], (each) => void work.push(each));
  const at = async (now: number, rollout = ROLLOUT): Promise<string | undefined> => {
    const before = gates.answers(rollout, ["compliance"], now)[0]?.verdict;
    await Promise.all(work.splice(0));
    return before;
  };
  t.equal(await at(NOW), "no-data", "it was only just asked");
  t.equal(await at(NOW + 1_000), "pass");
  t.equal(asked, 1);
  says = "fail";
  t.equal(await at(NOW + HOUR), "no-data", "what it said an hour ago says nothing");
  t.equal(await at(NOW + HOUR + 1_000), "fail");
  says = "pass";
  gates.forget();
  t.equal(await at(NOW + HOUR + 2_000), "no-data", "under another lead nothing is known");
  const entered = { ...ROLLOUT, stays: [...ROLLOUT.stays, { step: 1, from: NOW, to: undefined }] };
  t.equal(await at(NOW + HOUR + 3_000, entered), "no-data", "nor at another step");
  t.equal(gates.answers(ROLLOUT, ["unheard-of"], NOW)[0]?.why, "the configuration of this instance has no webhook unheard-of");
});

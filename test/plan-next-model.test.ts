import fc from "fast-check";
import t from "tap";
import { VERDICTS, type VerdictWord } from "../src/analysis/check.ts";
import { advance, approve, pause, resume, resumeAt, rollBack } from "../src/controller/acts.ts";
import { planNext } from "../src/controller/plan-next.ts";
import type { Plan } from "../src/controller/plan.ts";
import type { Rollout } from "../src/controller/rollout.ts";
import { checkOf, DAY, HOUR, planOf, stepOf } from "./support/rollouts.ts";
import { type Sight, World } from "./support/rollout-world.ts";

const ROLES = ["ops", "product"];

const plans: fc.Arbitrary<Plan> = fc
  .record({
    shares: fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 4 }),
    dwells: fc.array(fc.constantFrom(0, 1_000, HOUR), { minLength: 4, maxLength: 4 }),
    approvals: fc.array(fc.subarray(ROLES), { minLength: 4, maxLength: 4 }),
    webhooks: fc.array(fc.subarray(["lab"]), { minLength: 4, maxLength: 4 }),
    own: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    fromBp: fc.integer({ min: 0, max: 10_000 }),
    gates: fc.nat(2),
    required: fc.array(fc.boolean(), { minLength: 1, maxLength: 2 }),
    hooks: fc.nat(3),
    stableCapacity: fc.constantFrom(undefined, 5, 18),
    shiftMs: fc.constantFrom(0, 20_000),
  })
  .map(({ shares, dwells, approvals, webhooks, own, fromBp, gates, required, hooks, stableCapacity, shiftMs }) =>
    planOf({
      steps: shares
        .toSorted((one, other) => one - other)
        .map((bp, i) =>
          stepOf(`s${i}`, bp, {
            dwellMs: dwells[i] ?? 0,
            approvals: approvals[i] ?? [],
            webhooks: webhooks[i] ?? [],
            gates: own[i] === true ? [checkOf("own")] : [],
          }),
        ),
      segments: [{ name: "big", fromBp }],
      gates: Array.from({ length: gates }, (_, i) => checkOf(`gate-${i}`)),
      triggers: required.map((required, i) => checkOf(`trigger-${i}`, { required })),
      rollback: { ...planOf().rollback, hooks: Array.from({ length: hooks }, (_, i) => `hook-${i}`), stableCapacity, shiftMs },
    }),
  );

/** Mostly well, so that rollouts get somewhere. */
const often = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, ...others.map((other) => ({ weight: 1, arbitrary: fc.constant(other) })));

const verdicts = fc.array(often(...VERDICTS), { minLength: 1, maxLength: 2 });
const triggers = fc.array(
  fc.oneof(
    { weight: 30, arbitrary: fc.constant("pass" as const) },
    { weight: 3, arbitrary: fc.constant("no-data" as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...VERDICTS),
    },
  ),
  { minLength: 1, maxLength: 2 },
);
const sightsWith = (triggers: fc.Arbitrary<readonly VerdictWord[]>): fc.Arbitrary<Sight> =>
  fc.record({
    triggers,
    gates: verdicts,
    webhooks: often(...VERDICTS),
    open: often(true, false),
    figuresAgeMs: often<number | undefined>(900, 10_000, 10_001, undefined),
    stable: often<boolean | undefined>(true, false, undefined),
    requestsPerSecond: often<number | undefined>(20, undefined, 2),
    lag: often(false, true),
    death: often<Sight["death"]>("none", "before", "after"),
  });
const sights = sightsWith(triggers);

const WELL: Sight = {
  triggers: ["pass"],
  gates: ["pass"],
  webhooks: "pass",
  open: true,
  figuresAgeMs: 900,
  stable: true,
  requestsPerSecond: 20,
  lag: false,
  death: "none",
};

/** Nothing but what a command needs: the world keeps its own books. */
type Model = Record<string, never>;

class Step implements fc.Command<Model, World> {
  readonly #name: string;
  readonly #run: (world: World) => void;

  constructor(name: string, run: (world: World) => void) {
    this.#name = name;
    this.#run = run;
  }

  check(): boolean {
    return true;
  }

  run(_model: Model, world: World): void {
    this.#run(world);
  }

  toString(): string {
    return this.#name;
  }
}

const people = fc.constantFrom("alice", "bob");
const by = (who: string, world: World) => ({ who, reason: "by hand", now: world.now });

const looks = (length: number): fc.Arbitrary<Step> =>
  fc.record({ sight: sights, ms: fc.constantFrom(0, 1, 1_000, 5_000, 11_000, HOUR, 2 * HOUR, 50 * DAY) }).map(
    ({ sight, ms }) =>
      new Step(`look(+${ms} ms, ${JSON.stringify(sight)})`, (world) => {
        world.pass(ms);
        for (let i = 0; i < length; i++) world.look(sight);
      }),
  );

const commands: readonly fc.Arbitrary<Step>[] = [
  looks(1),
  looks(1),
  looks(2),
  looks(1),
  fc
    .constantFrom(true, false)
    .map((killed) => new Step(`killed=${killed}`, (world) => world.edit((settings) => ({ ...settings, killed })))),
  fc
    .constantFrom(true, true, false)
    .map((enabled) => new Step(`enabled=${enabled}`, (world) => world.edit((settings) => ({ ...settings, enabled })))),
  fc
    .integer({ min: 0, max: 10_000 })
    .map((percentageBp) => new Step(`percentage=${percentageBp}`, (world) => world.edit((settings) => ({ ...settings, percentageBp })))),
  fc
    .record({ name: fc.constantFrom("big", "beta"), bp: fc.integer({ min: 0, max: 10_000 }) })
    .map(
      ({ name, bp }) =>
        new Step(`segment.${name}=${bp}`, (world) =>
          world.edit((settings) => ({ ...settings, segments: { ...settings.segments, [name]: bp } })),
        ),
    ),
  fc
    .record({ index: fc.nat(3), status: fc.constantFrom("done" as const, "failed" as const, "timed-out" as const) })
    .map(({ index, status }) => new Step(`hook ${index} ${status}`, (world) => world.endHook(index, status))),
  fc.tuple(fc.integer({ min: 0, max: 500 }), fc.constantFrom(5_000, 11_000)).map(
    ([percentageBp, ms]) =>
      new Step(`a trigger fires; percentage=${percentageBp} before the look ${ms} ms later`, (world) => {
        world.look({ ...WELL, triggers: ["fail"] });
        world.edit((settings) => ({ ...settings, percentageBp }));
        world.pass(ms);
        world.look(WELL);
      }),
  ),
  fc.constantFrom([], ["two"]).map((missing) => new Step(`confirmed but ${missing.length}`, (world) => world.confirm(missing))),
  fc
    .record({ who: people, role: fc.constantFrom(...ROLES) })
    .map(
      ({ who, role }) =>
        new Step(
          `${who} approves as ${role}`,
          (world) => void world.act((rollout) => approve(rollout, { who, role, now: world.now }), "nothing"),
        ),
    ),
  fc
    .record({ who: people, role: fc.constantFrom(...ROLES) })
    .map(
      ({ who, role }) =>
        new Step(
          `${who} approves as ${role}`,
          (world) => void world.act((rollout) => approve(rollout, { who, role, now: world.now }), "nothing"),
        ),
    ),
  people.map((who) => new Step(`${who} pauses`, (world) => void world.act((rollout) => pause(rollout, by(who, world)), "nothing"))),
  people.map(
    (who) =>
      new Step(
        `${who} resumes`,
        (world) => void world.act((rollout) => resume(rollout, { ...by(who, world), inForce: world.settings }), "rise"),
      ),
  ),
  fc
    .record({
      who: people,
      sight: sightsWith(fc.array(often<VerdictWord>("pass", "no-data", "fail", "fail"), { minLength: 1, maxLength: 2 })),
    })
    .map(
      ({ who, sight }) =>
        new Step(`${who} advances ${JSON.stringify(sight)}`, (world) => {
          const seen = world.seen({ ...sight, lag: false });
          const done = world.act((rollout) => advance(rollout, { ...by(who, world), seen }), "rise");
          if (done && seen.triggers.some(({ verdict }) => verdict.verdict === "fail")) throw new Error("a failing trigger was skipped");
        }),
    ),
  people.map(
    (who) =>
      new Step(
        `${who} rolls back`,
        (world) => void world.act((rollout) => rollBack(rollout, { ...by(who, world), seen: world.seen(WELL) }), "fall"),
      ),
  ),
  fc.record({ who: people, step: fc.constantFrom(undefined, 0, 1, 3) }).map(
    ({ who, step }) =>
      new Step(`${who} resumes at ${step}`, (world) => {
        const seen = { inForce: world.settings, triggers: [] };
        world.act((rollout) => resumeAt(rollout, { ...by(who, world), id: world.newId, step, seen }), "rise");
      }),
  ),
];

t.test("whatever happens in whatever order, the rules of a rollout hold", async (t) => {
  const visited = new Set<string>();
  fc.assert(
    fc.property(
      plans,
      fc.constantFrom({}, { beta: 10_000 }, { beta: 300 }),
      fc.commands([...commands], { maxCommands: 60, size: "max" }),
      (plan, others, list) => {
        const world = new World(plan, { beta: 0, ...others });
        fc.modelRun(() => ({ model: {}, real: world }), list);
        for (const status of world.visited) visited.add(status);
      },
    ),
    { numRuns: 250 },
  );
  t.same([...visited].sort(), ["completed", "held", "progressing", "rolled-back", "rolling-back", "waiting"], "every state was come by");
});

t.test("left alone with everything well, a plan ends; and so does a rollback", async (t) => {
  fc.assert(
    fc.property(plans, (plan) => {
      const world = new World(plan, {});
      const shares: number[] = [world.settings.percentageBp];
      for (let i = 0; i < 20; i++) {
        for (const [at, role] of ROLES.entries())
          world.act((rollout) => approve(rollout, { who: `p${at}`, role, now: world.now }), "nothing");
        world.pass(HOUR);
        world.look(WELL);
        if (world.settings.percentageBp !== shares.at(-1)) shares.push(world.settings.percentageBp);
      }
      const reached: string = world.rollout.state.status;
      if (reached !== "completed") return false;
      if (shares.join() !== plan.steps.map(({ percentageBp }) => percentageBp).join()) return false;
      world.look({ ...WELL, triggers: ["fail"] });
      for (let i = 0; i < 20; i++) {
        world.pass(HOUR);
        world.look(WELL);
        for (let hook = 0; hook < 3; hook++) world.endHook(hook, "done");
      }
      const { state } = world.rollout;
      return (
        state.status === "rolled-back" && state.rollback.hooks.every(({ status }) => status === "done") && world.settings.percentageBp === 0
      );
    }),
    { numRuns: 30 },
  );
  t.pass();
});

t.test("weeks in which nobody looked change nothing but the time", async (t) => {
  const told = (rollout: Rollout, sight: Sight, world: World, now: number): unknown => {
    const next = planNext(rollout, world.seen(sight), now, new Set());
    if (next.kind === "stay") return next.kind;
    const { state } = next.rollout;
    return [next.kind, state.status, "step" in state && state.step, next.kind === "write" && next.fields];
  };
  fc.assert(
    fc.property(
      plans,
      fc.commands([...commands], { maxCommands: 30, size: "max" }),
      sights,
      fc.integer({ min: 1, max: 2_000 }),
      (plan, list, sight, days) => {
        const world = new World(plan, { beta: 300 });
        fc.modelRun(() => ({ model: {}, real: world }), list);
        // Beyond every length that the plan speaks of.
        const late = world.now + DAY;
        const { rollout } = world;
        t.strictSame(told(rollout, sight, world, late + days * DAY), told(rollout, sight, world, late));
      },
    ),
    { numRuns: 100 },
  );
});

t.test("nothing that the clock says makes it throw, or lets a step pass twice", async (t) => {
  const clocks = fc.oneof(fc.integer({ min: -(2 ** 45), max: 2 ** 45 }), fc.constantFrom(0, -1, 8.64e15, 2 ** 53));
  fc.assert(
    fc.property(plans, sights, fc.array(fc.tuple(clocks, sights), { maxLength: 12 }), (plan, sight, sequence) => {
      const world = new World(plan, {});
      let rollout = world.rollout;
      for (const [now, each] of [[world.now, sight] as const, ...sequence]) {
        const next = planNext(rollout, world.seen(each), now, new Set());
        if (next.kind === "stay") continue;
        const before = "step" in rollout.state ? rollout.state.step : -1;
        rollout = next.rollout;
        if ("step" in rollout.state && rollout.state.step > before + 1) return false;
        if (rollout.stays.some(({ from, to }, i) => (to ?? from) < from || from < (rollout.stays[i - 1]?.to ?? -Infinity))) return false;
      }
      return true;
    }),
    { numRuns: 200 },
  );
  t.pass();
});

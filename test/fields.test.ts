import fc from "fast-check";
import t from "tap";
import { rollBack } from "../src/controller/acts.ts";
import { fieldsOf, type InForce } from "../src/controller/fields.ts";
import { planNext } from "../src/controller/plan-next.ts";
import type { Rollout } from "../src/controller/rollout.ts";
import { validate } from "../src/store/decide.ts";
import { onlyLowers, withoutRaising } from "../src/store/lowering.ts";
import { withFields } from "../src/store/view.ts";
import { applied, checkOf, HOUR, inForceOf, judgedAs, planOf, seenWell, startedAt, T0 } from "./support/rollouts.ts";
import { flagOf } from "./support/store-watch.ts";

const NAMES = ["big", "beta", "lab", "constructor", "__proto__"];
const share = fc.integer({ min: 0, max: 10_000 });
const segments = fc.dictionary(fc.constantFrom(...NAMES), share, { noNullPrototype: true });

t.test("whatever segments the flag has by now, the fields of a rollback are valid, and none is higher than what is in force", async () => {
  fc.assert(
    fc.property(
      segments,
      segments,
      share,
      fc.constantFrom(undefined, 1, 16),
      fc.nat(40_000),
      (planned, found, percentageBp, stableCapacity, ms) => {
        const base = planOf();
        const plan = planOf({
          segments: Object.entries(planned).map(([name, fromBp]) => ({ name, fromBp })),
          rollback: { ...base.rollback, stableCapacity },
        });
        const rollout: Rollout = { ...startedAt(base), plan };
        const flag = flagOf(
          "move",
          Object.entries(found).map(([name, weightBp]) => ({ name, weightBp, override: true })),
        );
        let inForce: InForce = { revision: 1, enabled: true, killed: false, percentageBp, segments: found };
        const seen = seenWell(startedAt(base), { triggers: [judgedAs(checkOf("slow"), "fail")], inForce });
        const begun = planNext(rollout, seen, T0, new Set());
        const byHand = rollBack(rollout, { who: "bob", reason: "", now: T0, seen });
        if (begun.kind !== "write" || "refused" in byHand) return false;
        let current = begun.rollout;
        for (const fields of [begun.fields, byHand.fields]) validate(flag, fields ?? {});
        let after = applied(inForce, begun.fields);
        for (const now of [T0 + ms, T0 + HOUR]) {
          for (const [name, bp] of Object.entries(after.segments)) if (bp > (inForce.segments[name] ?? 0)) return false;
          if (after.percentageBp > inForce.percentageBp || begun.raises) return false;
          inForce = after;
          const stage = planNext(current, { ...seen, inForce }, now, new Set());
          if (stage.kind !== "write" || stage.fields === undefined) continue;
          validate(flag, stage.fields);
          after = applied(inForce, stage.fields);
          current = stage.rollout;
        }
        return after.percentageBp === 0 && Object.values(after.segments).every((bp) => bp === 0);
      },
    ),
    { numRuns: 300 },
  );
});

t.test("a segment that was taken out of the configuration is told neither to the store nor to be somebody's edit", async (t) => {
  const plan = planOf({ rollback: { ...planOf().rollback, hooks: [] } });
  const rollout: Rollout = { ...startedAt(plan), state: { status: "progressing", step: 1 } };
  const inForce = inForceOf(plan, { percentageBp: 5_000, segments: {} });
  const begun = rollBack(rollout, { who: "bob", reason: "", now: T0, seen: seenWell(rollout, { inForce }) });
  if ("refused" in begun) throw new Error(begun.refused);
  t.same(begun.fields, { rollout_percentage: "0" });
  const ended = planNext(begun.rollout, seenWell(begun.rollout, { inForce: { ...inForce, percentageBp: 0 } }), T0 + HOUR, new Set());
  t.notMatch(ended.kind === "write" && ended.reason, /changed by hand/);
  t.ok("segment.big" in fieldsOf(plan, 0), "to go on without it is refused, and not left out");
});

t.test("what only takes users off the candidate is told from everything else", async (t) => {
  const flag = flagOf();
  const cases: readonly (readonly [from: Record<string, string>, to: Record<string, string>, lowers: boolean])[] = [
    [{}, {}, true],
    [{ rollout_percentage: "50" }, { rollout_percentage: "10" }, true],
    [{ rollout_percentage: "50" }, {}, true],
    [{ rollout_percentage: "10" }, { rollout_percentage: "50" }, false],
    [{}, { "segment.beta": "0" }, true],
    [{ "segment.beta": "0" }, {}, false],
    [{ rollout_percentage: "50" }, { rollout_percentage: "0", "segment.beta": "51" }, false],
    [{}, { kill_switch: "true" }, true],
    [{ kill_switch: "true" }, {}, false],
    [{}, { enabled: "false" }, true],
    [{ enabled: "false" }, { enabled: "true" }, false],
    [{ enabled: "false" }, { enabled: "true", kill_switch: "true" }, true],
    [{ rollout_percentage: "50" }, { rollout_percentage: "0", drill: "mine" }, false],
  ];
  for (const [from, to, lowers] of cases) t.equal(onlyLowers(flag, from, to), lowers, `${JSON.stringify(from)} to ${JSON.stringify(to)}`);
});

t.test("fields that may not raise never do, and lower as far as they were meant to", async (t) => {
  const flag = flagOf();
  const text = share.map((bp) => String(bp / 100));
  const fields = fc.record({ rollout_percentage: text, "segment.beta": text }, { requiredKeys: [], noNullPrototype: true });
  fc.assert(
    fc.property(fields, fields, (inForce, wanted) => {
      const written = withoutRaising(flag, inForce, wanted);
      validate(flag, written);
      const after = withFields(inForce, written);
      const meant = onlyLowers(flag, inForce, withFields(inForce, wanted));
      return onlyLowers(flag, inForce, after) && (!meant || JSON.stringify(written) === JSON.stringify(wanted));
    }),
  );
  t.same(withoutRaising(flag, {}, { rollout_percentage: "8", "segment.beta": null }), { rollout_percentage: "0", "segment.beta": null });
});

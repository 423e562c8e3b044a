import fc from "fast-check";
import t from "tap";
import { planShift } from "../src/controller/shift.ts";

const WELL = { healthy: true };
const BASE = { fromBp: 5_000, stable: WELL, requestsPerSecond: 100, capacity: 80, shiftMs: 20_000, now: 1_000 };
const AT_ONCE = [{ percentageBp: 0, at: 1_000 }];

t.test("everything goes at once where the stable arm takes it, or nothing speaks against it", async (t) => {
  t.same(planShift({ ...BASE, capacity: 100 }), AT_ONCE, "it takes the whole rate");
  t.same(planShift({ ...BASE, capacity: undefined }), AT_ONCE, "it takes everything");
  t.same(planShift({ ...BASE, requestsPerSecond: undefined }), AT_ONCE, "the rate is not known");
  t.same(planShift({ ...BASE, capacity: undefined, stable: undefined, requestsPerSecond: undefined }), AT_ONCE, "nothing is known");
  t.same(planShift({ ...BASE, shiftMs: 0 }), AT_ONCE, "there is no time for stages");
  t.same(planShift({ ...BASE, fromBp: 0 }), AT_ONCE, "nobody is left to go back");
});

t.test("a stable arm below the whole rate gets at once what it takes, and the rest evenly", async (t) => {
  t.same(planShift(BASE), [
    { percentageBp: 2_000, at: 1_000 },
    { percentageBp: 1_500, at: 6_000 },
    { percentageBp: 1_000, at: 11_000 },
    { percentageBp: 500, at: 16_000 },
    { percentageBp: 0, at: 21_000 },
  ]);
  t.same(planShift({ ...BASE, stable: undefined }), planShift(BASE), "not being asked is no reason to wait longer");
});

t.test("a stable arm that is unwell, or that is over its capacity already, gets a fifth at once", async (t) => {
  t.equal(planShift({ ...BASE, stable: { healthy: false } })[0]?.percentageBp, 4_000);
  t.equal(planShift({ ...BASE, stable: { healthy: false }, capacity: undefined })[0]?.percentageBp, 4_000);
  t.equal(planShift({ ...BASE, capacity: 10 })[0]?.percentageBp, 4_000);
});

t.test("a shift begins now, goes down at every stage, and is at 0 in time, whatever it is told", async (t) => {
  const rates = fc.option(fc.double({ min: 0, max: 1e6 }), { nil: undefined });
  fc.assert(
    fc.property(
      fc.record({
        fromBp: fc.integer({ min: 0, max: 10_000 }),
        stable: fc.option(fc.record({ healthy: fc.boolean() }), { nil: undefined }),
        requestsPerSecond: rates,
        capacity: rates,
        shiftMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
        now: fc.integer({ min: 0, max: 2 ** 45 }),
      }),
      (input) => {
        const stages = planShift(input);
        const falls = stages.every(({ percentageBp, at }, i) => {
          const before = stages[i - 1];
          const lower = percentageBp < (before?.percentageBp ?? Math.max(1, input.fromBp));
          return Number.isInteger(percentageBp) && percentageBp >= 0 && lower && Number.isInteger(at) && at >= (before?.at ?? input.now);
        });
        const last = stages.at(-1);
        return falls && stages[0]?.at === input.now && last?.percentageBp === 0 && last.at <= input.now + input.shiftMs;
      },
    ),
    { numRuns: 2_000 },
  );
  t.pass();
});

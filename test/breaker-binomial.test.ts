import fc from "fast-check";
import t from "tap";
import { lowerBound, lowerTail, upperBound, upperTail } from "../src/resilience/binomial.ts";

const PARTS = 1000n;
const DIGITS = 10n ** 40n;

/** The tail in whole numbers, without any rounding before the last step. The rate is in thousandths. */
function exactUpperTail(hits: number, trials: number, thousandths: number): number {
  const hit = BigInt(thousandths);
  const miss = PARTS - hit;
  let choose = 1n;
  let sum = 0n;
  for (let k = 0; k <= trials; k++) {
    if (k >= hits) sum += choose * hit ** BigInt(k) * miss ** BigInt(trials - k);
    choose = (choose * BigInt(trials - k)) / BigInt(k + 1);
  }
  return Number((sum * DIGITS) / PARTS ** BigInt(trials)) / Number(DIGITS);
}

function isClose(actual: number, wanted: number, relative: number): boolean {
  return Math.abs(actual - wanted) <= relative * Math.max(actual, wanted) + 1e-30;
}

const counts = fc.integer({ min: 1, max: 120 }).chain((trials) => fc.tuple(fc.integer({ min: 0, max: trials }), fc.constant(trials)));

t.test("the tails are those of the sum of all outcomes", async (t) => {
  fc.assert(
    fc.property(counts, fc.integer({ min: 1, max: 999 }), ([hits, trials], thousandths) => {
      const upper = exactUpperTail(hits, trials, thousandths);
      const lower = 1 - exactUpperTail(hits + 1, trials, thousandths);
      const rate = thousandths / 1000;
      return isClose(upperTail(hits, trials, rate), upper, 1e-11) && Math.abs(lowerTail(hits, trials, rate) - lower) < 1e-12;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

t.test("the bounds are those of the published tables (95 %, two-sided)", async (t) => {
  const table: readonly [hits: number, trials: number, lower: number, upper: number][] = [
    [0, 10, 0, 0.3085],
    [1, 10, 0.0025, 0.445],
    [5, 10, 0.1871, 0.8129],
    [10, 10, 0.6915, 1],
    [1, 100, 0.0003, 0.0545],
    [15, 100, 0.0865, 0.2353],
    [81, 263, 0.2527, 0.3676],
  ];
  for (const [hits, trials, lower, upper] of table) {
    t.equal(lowerBound(hits, trials, 0.025).toFixed(4), lower.toFixed(4), `${hits} of ${trials}, lower`);
    t.equal(upperBound(hits, trials, 0.025).toFixed(4), upper.toFixed(4), `${hits} of ${trials}, upper`);
  }
});

t.test("where nothing or everything was a hit the bounds are the roots that anybody can work out", async (t) => {
  for (const trials of [1, 3, 20, 1000, 1_000_000]) {
    const root = 0.001 ** (1 / trials);
    t.ok(isClose(lowerBound(trials, trials, 0.001), root, 1e-9), `${trials} of ${trials}`);
    t.ok(Math.abs(upperBound(0, trials, 0.001) - (1 - root)) < 1e-12 + (1 - root) * 1e-6, `0 of ${trials}`);
  }
});

t.test("the bounds hold in as many cases as they say, whatever the true rate", async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 999 }), (trials, thousandths) => {
      let wrong = 0;
      for (let hits = 0; hits <= trials; hits++) {
        const chance = exactUpperTail(hits, trials, thousandths) - exactUpperTail(hits + 1, trials, thousandths);
        if (lowerBound(hits, trials, 0.001) > thousandths / 1000) wrong += chance;
      }
      return wrong <= 0.001 + 1e-12;
    }),
  );
  t.pass();
});

t.test("bounds and tails say the same, with counts of any size", async (t) => {
  const large = fc.integer({ min: 1, max: 1_000_000 }).chain((n) => fc.tuple(fc.integer({ min: 1, max: n }), fc.constant(n)));
  fc.assert(
    fc.property(large, fc.double({ min: 0.0001, max: 0.3, noNaN: true }), ([hits, trials], risk) => {
      const bound = lowerBound(hits, trials, risk);
      return bound < hits / trials && isClose(upperTail(hits, trials, bound), risk, 1e-5);
    }),
  );
  t.pass();
});

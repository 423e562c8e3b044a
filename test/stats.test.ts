import fc from "fast-check";
import t from "tap";
import type { Clustered } from "../src/analysis/business.ts";
import { compareClustered, ratioOfSums } from "../src/analysis/stats/clustered.ts";
import { betaBelow, chiSquareTail, logGamma, normalQuantile, normalTail, studentQuantile } from "../src/analysis/stats/distributions.ts";
import { meanBounds } from "../src/analysis/stats/means.ts";
import { multiplierOf } from "../src/analysis/stats/multiplier.ts";
import { joinLatencies, quantileBounds } from "../src/analysis/stats/quantiles.ts";
import { compareShares, shareBounds } from "../src/analysis/stats/shares.ts";
import { createRandom } from "../src/demo/simulators/chance.ts";
import { lowerTail } from "../src/resilience/binomial.ts";
import { drawLatencies, latenciesOf } from "./support/trials.ts";

function isClose(actual: number, wanted: number, relative: number): boolean {
  return Math.abs(actual - wanted) <= relative * Math.abs(wanted);
}

t.test("distributions are those of SciPy and mpmath, in the tails too", async (t) => {
  const values: readonly [name: string, actual: number, wanted: number, relative: number][] = [
    ["normal 0.025", normalQuantile(0.025), 1.959963984540054, 1e-12],
    ["normal 1e-6", normalQuantile(1e-6), 4.753424308822899, 1e-11],
    ["normal 1e-9", normalQuantile(1e-9), 5.9978070150076865, 1e-8],
    ["normal 1e-12", normalQuantile(1e-12), 7.034483825301131, 1e-6],
    ["normal tail 5", normalTail(5), 2.866515718791939e-7, 1e-9],
    ["Student 0.025, 5", studentQuantile(0.025, 5), 2.5705818356363146, 1e-7],
    ["Student 0.001, 3", studentQuantile(0.001, 3), 10.214531852407385, 1e-7],
    ["Student 1e-4, 1", studentQuantile(1e-4, 1), 3183.0987571181513, 1e-7],
    ["Student 1e-7, 20", studentQuantile(1e-7, 20), 7.7230996749690215, 1e-7],
    ["Student 1e-9, 100,000", studentQuantile(1e-9, 1e5), 5.9983614616790755, 1e-7],
    ["chi-square 3.84146, 1", chiSquareTail(3.84146, 1), 0.04999996483375756, 1e-9],
    ["chi-square 30, 3", chiSquareTail(30, 3), 1.3800570312932553e-6, 1e-6],
    ["log gamma 0.5", logGamma(0.5), 0.5723649429247001, 1e-12],
    ["log gamma 10.5", logGamma(10.5), 13.940625219403763, 1e-12],
    ["log gamma 1e6", logGamma(1e6), 12815504.569147611, 1e-14],
    ["beta, millions", betaBelow(0.05, 5e5, 9.5e6), 0.5001736538940081, 1e-6],
    ["beta, far tail", betaBelow(0.048, 50_000.5, 950_000.5), 7.286036453548645e-21, 1e-6],
    ["beta 0.5, 0.5", betaBelow(0.01, 0.5, 0.5), (2 / Math.PI) * Math.asin(0.1), 1e-10],
  ];
  for (const [name, actual, wanted, relative] of values) t.ok(isClose(actual, wanted, relative), `${name}: ${actual}, should be ${wanted}`);
});

const counts = fc
  .integer({ min: 1, max: 5000 })
  .chain((trials) => fc.record({ hits: fc.integer({ min: 0, max: trials }), trials: fc.constant(trials) }));
const risks = fc.constantFrom(0.05, 0.01, 0.001);

t.test("bounds that hold at every look are wider than those for one, and both hold what was found", async (t) => {
  fc.assert(
    fc.property(counts, risks, (share, risk) => {
      const [once, always] = [shareBounds(share, risk, "once"), shareBounds(share, risk, "always")];
      const found = share.hits / share.trials;
      return always.low <= once.low && once.low <= found && found <= once.high && once.high <= always.high;
    }),
  );
  t.pass();
});

/** Chance that a bound is ever wrong, worked out path by path: what is left of each count that no look has stopped. */
function chanceEverWrong(rate: number, looks: number, isWrong: (hits: number, trials: number) => boolean): number {
  let open = new Float64Array([1]);
  let wrong = 0;
  for (let trials = 1; trials <= looks; trials++) {
    const next = new Float64Array(trials + 1);
    for (const [hits, chance] of open.entries()) {
      next[hits] = (next[hits] ?? 0) + chance * (1 - rate);
      next[hits + 1] = (next[hits + 1] ?? 0) + chance * rate;
    }
    for (const [hits, chance] of next.entries()) {
      if (chance > 0 && isWrong(hits, trials)) {
        wrong += chance;
        next[hits] = 0;
      }
    }
    open = next;
  }
  return wrong;
}

t.test("a bound for every look is ever wrong no more often than it says, and one for a single look far more often", async (t) => {
  for (const rate of [0.01, 0.05, 0.2, 0.5, 0.95]) {
    for (const risk of [0.05, 0.01]) {
      const above = chanceEverWrong(rate, 50, (hits, trials) => shareBounds({ hits, trials }, risk, "always").low > rate);
      const below = chanceEverWrong(rate, 50, (hits, trials) => shareBounds({ hits, trials }, risk, "always").high < rate);
      t.ok(above <= risk && below <= risk, `rate ${rate}, risk ${risk}: ${above} and ${below}`);
    }
  }
  const naive = chanceEverWrong(0.2, 120, (hits, trials) => shareBounds({ hits, trials }, 0.05, "once").low > 0.2);
  t.ok(naive > 0.05, `looked at 120 times a bound for one look is wrong in ${naive} of all runs`);
});

t.test("what is ruled out has one end: bounds move one way as the risk falls", async (t) => {
  fc.assert(
    fc.property(counts, counts, (a, b) => {
      for (const look of ["once", "always"] as const) {
        for (const as of ["ratio", "difference"] as const) {
          const [loose, tight] = [compareShares(a, b, as, 0.05, look), compareShares(a, b, as, 0.001, look)];
          if (!(tight.low <= loose.low && loose.low <= loose.high && loose.high <= tight.high)) return false;
          if (loose.value !== undefined && !(loose.low <= loose.value + 1e-9 && loose.value <= loose.high * (1 + 1e-9) + 1e-9))
            return false;
        }
      }
      return true;
    }),
    { numRuns: 60 },
  );
  t.pass();
});

t.test("arms that change places turn differences and quotients round", async (t) => {
  fc.assert(
    fc.property(counts, counts, (a, b) => {
      const [there, back] = [compareShares(a, b, "difference", 0.01, "always"), compareShares(b, a, "difference", 0.01, "always")];
      const [up, down] = [compareShares(a, b, "ratio", 0.01, "always"), compareShares(b, a, "ratio", 0.01, "always")];
      const isTurned = Math.abs(there.low + back.high) < 1e-9 && Math.abs(there.high + back.low) < 1e-9;
      return isTurned && (down.high === Infinity ? up.low === 0 : isClose(up.low * down.high, 1, 1e-9) || up.low === 0);
    }),
    { numRuns: 60 },
  );
  t.pass();
});

t.test("a comparison of equal rates is wrong no more often than its risk, look by look", async (t) => {
  const random = createRandom(7);
  let wrong = 0;
  for (let run = 0; run < 300; run++) {
    const [a, b] = [
      { hits: 0, trials: 0 },
      { hits: 0, trials: 0 },
    ];
    for (let look = 0; look < 15; look++) {
      for (let i = 0; i < 40; i++) {
        a.trials++;
        b.trials += 3;
        if (random() < 0.1) a.hits++;
        for (let j = 0; j < 3; j++) if (random() < 0.1) b.hits++;
      }
      if (compareShares(a, b, "difference", 0.05, "always").low > 0) {
        wrong++;
        break;
      }
    }
  }
  t.ok(wrong / 300 <= 0.05, `${wrong} of 300`);
});

t.test("rank bounds of a quantile hold the true one as often as they say", async (t) => {
  const random = createRandom(3);
  let [above, below] = [0, 0];
  for (let run = 0; run < 1000; run++) {
    const bounds = quantileBounds(latenciesOf(drawLatencies(random, 200, 100)), 0.95, 0.05, "once");
    if (bounds.low > 100) above++;
    if (bounds.high < 100) below++;
  }
  t.ok(above > 5 && above <= 65, `${above} of 1,000 lower bounds are above it`);
  t.ok(below > 5 && below <= 65, `${below} of 1,000 upper bounds are below it`);
  t.equal(quantileBounds(latenciesOf([1, 2, 3]), 0.95, 0.01, "once").high, Infinity, "three durations say nothing of the longest");
});

t.test("latencies taken together are those of all", async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 5 }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      (parts, q) => {
        const [joined, all] = [joinLatencies(parts.map(latenciesOf)), latenciesOf(parts.flat())];
        const found = joined.quantile(q);
        // Whole milliseconds: just below an edge and just above it are the same sample.
        return joined.count === all.count && joined.over(500) === all.over(500) && Math.abs(found - all.quantile(q)) < 0.01;
      },
    ),
  );
  t.ok(Number.isNaN(joinLatencies([]).quantile(0.5)));
});

t.test("bounds of a mean hold it at every look, for values that are nearly always the same too", async (t) => {
  const random = createRandom(11);
  for (const [name, draw, mean] of [
    ["mostly 0.9, one in 50 is 0", () => (random() < 0.02 ? 0 : 0.9), 0.882],
    ["even", random, 0.5],
    ["yes or no", () => (random() < 0.1 ? 1 : 0), 0.1],
  ] as const) {
    let wrong = 0;
    for (let run = 0; run < 200; run++) {
      let [sum, squares] = [0, 0];
      for (let count = 1; count <= 400; count++) {
        const value = draw();
        sum += value;
        squares += value * value;
        if (count % 20 > 0) continue;
        const bounds = meanBounds({ count, sum, squares }, 0.05);
        if (bounds.low > mean || bounds.high < mean) {
          wrong++;
          break;
        }
      }
    }
    t.ok(wrong / 200 <= 0.1, `${name}: ${wrong} of 200 at 5 % on each side`);
  }
  const many = meanBounds({ count: 10_000, sum: 8500, squares: (0.85 ** 2 + 0.01) * 10_000 }, 0.01);
  t.ok(many.low > 0.845 && many.high < 0.855, `ten thousand values: ${many.low} to ${many.high}`);
});

function yesNo(users: number, rate: number): Clustered {
  return { users, y: rate * users, n: users, yy: rate * users, nn: users, yn: rate * users };
}

/** As if everybody had said everything that often. */
function repeated(sums: Clustered, times: number): Clustered {
  const { users, y, n, yy, nn, yn } = sums;
  return { users, y: y * times, n: n * times, yy: yy * times ** 2, nn: nn * times ** 2, yn: yn * times ** 2 };
}

t.test("a comparison of sums over users is the t-test that anybody can work out", async (t) => {
  const strata = [{ candidate: yesNo(5000, 0.82), stable: yesNo(5000, 0.8) }];
  const { low, high, value, standardError } = compareClustered(strata, { as: "difference", risk: 0.025, look: "once" });
  const wanted = Math.sqrt((0.82 * 0.18 + 0.8 * 0.2) / 4999);
  t.ok(isClose(standardError, wanted, 1e-9), `standard error ${standardError}, should be ${wanted}`);
  t.ok(isClose(high - low, 2 * 1.9602 * wanted, 1e-4));
  t.ok(isClose(value ?? 0, 0.02, 1e-9));
});

t.test("saying the same ten times adds no certainty", async (t) => {
  const [a, b] = [yesNo(500, 0.82), yesNo(800, 0.8)];
  for (const as of ["ratio", "difference"] as const) {
    const options = { as, risk: 0.01, look: "always", range: "share" } as const;
    const [once, tenfold] = [
      compareClustered([{ candidate: a, stable: b }], options),
      compareClustered([{ candidate: repeated(a, 10), stable: repeated(b, 10) }], options),
    ];
    t.ok(isClose(once.low, tenfold.low, 1e-9) && isClose(once.high, tenfold.high, 1e-9));
  }
});

t.test("strata are compared each by itself: no difference within them is none over all (Simpson)", async (t) => {
  const strata = [
    { candidate: yesNo(500, 0.9), stable: yesNo(4500, 0.9) },
    { candidate: yesNo(7500, 0.6), stable: yesNo(2500, 0.6) },
  ];
  const both = compareClustered(strata, { as: "difference", risk: 0.025, look: "once", overall: "independent" });
  t.ok(Math.abs(both.value ?? 1) < 1e-12);
  t.ok(both.low < 0 && both.high > 0);
  const ratio = compareClustered(strata, { as: "ratio", risk: 0.025, look: "once", overall: "independent" });
  t.ok(isClose(ratio.value ?? 0, 1, 1e-12));
});

t.test("users who come back in the next stratum count once, as far as their sums over both say so", async (t) => {
  const step = { candidate: yesNo(2000, 0.8), stable: yesNo(2000, 0.8) };
  const twice = { candidate: repeated(step.candidate, 2), stable: repeated(step.stable, 2) };
  const of = (overall: typeof twice | "independent" | undefined): number =>
    compareClustered([step, step], { as: "difference", risk: 0.025, look: "once", overall }).standardError;
  const one = compareClustered([step], { as: "difference", risk: 0.025, look: "once" }).standardError;
  t.ok(isClose(of(twice), one, 1e-3), "who says the same again says nothing new");
  t.ok(isClose(of(undefined), one, 1e-9), "what is not known is taken to be so");
  t.ok(isClose(of("independent"), one / Math.SQRT2, 1e-9), "and others would have halved the variance");
});

t.test("nothing is certain of ten users of whom none was wrong, nor of figures that do not vary", async (t) => {
  const right = ratioOfSums(yesNo(10, 1), 0.01, "once", "share");
  t.ok(right.low < 0.75 && right.high === 1, `${right.low} to ${right.high}`);
  const same = ratioOfSums({ users: 50, y: 500, n: 50, yy: 5000, nn: 50, yn: 500 }, 0.01, "once", "free");
  t.same([same.low, same.high], [-Infinity, Infinity]);
  const none = compareClustered([], { as: "ratio", risk: 0.01, look: "always" });
  t.same([none.value, none.low, none.high], [undefined, -Infinity, Infinity]);
});

t.test("the price of looking all the time is what the theory says", async (t) => {
  const at = (effective: number): number => multiplierOf({ risk: 0.025, look: "always", effective, tightAt: 2500, df: Infinity });
  t.ok(at(2500) > 2.9 && at(2500) < 3.1, `${at(2500)} standard errors where it is tightest, for 1.96`);
  t.ok(at(50) > at(2500) && at(1e6) > at(2500), "and more before and after");
  const solved = Math.sqrt(2 * Math.log(1 + Math.sqrt(1 + 7.94) / 0.05)) * Math.sqrt(8.94 / 7.94);
  t.ok(at(2500) <= solved, `no wider than the closed bound, ${solved}`);
});

t.test("lower tails of a share for one look are those of the binomial", async (t) => {
  const { high } = shareBounds({ hits: 3, trials: 50 }, 0.01, "once");
  t.ok(isClose(lowerTail(3, 50, high), 0.01, 1e-9));
});

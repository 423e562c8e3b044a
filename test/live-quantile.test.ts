import fc from "fast-check";
import t from "tap";
import { LiveQuantile } from "../src/resilience/live-quantile.ts";

const START = 1_790_000_000_000;

function filled(values: readonly number[], now = START): LiveQuantile {
  const quantile = new LiveQuantile();
  for (const value of values) quantile.observe(value, now);
  return quantile;
}

/** The least value that this share of all did not pass. */
function exact(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? NaN;
}

const latency = fc.oneof(
  fc.double({ min: 0.1, max: 100_000, noNaN: true }),
  fc.double({ min: -1, max: 5, noNaN: true }).map((power) => 10 ** power),
);

t.test("it is at most 4 % beside the exact quantile", async (t) => {
  fc.assert(
    fc.property(fc.array(latency, { minLength: 20, maxLength: 400 }), fc.double({ min: 0, max: 1, noNaN: true }), (values, share) => {
      const answer = filled(values).quantile(share, START) ?? NaN;
      return Math.abs(answer / exact(values, share) - 1) <= 0.04;
    }),
    { numRuns: 1000 },
  );
  t.pass();
});

t.test("it answers for the stretch under way and the one before, and for nothing older", async (t) => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 2500 }), latency), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(steps, (steps) => {
      const quantile = new LiveQuantile({ stretchMs: 5000 });
      const seen: { at: number; ms: number }[] = [];
      let now = START;
      for (const [wait, ms] of steps) {
        now += wait;
        quantile.observe(ms, now);
        seen.push({ at: now, ms });
      }
      const oldest = (Math.floor(now / 5000) - 1) * 5000;
      const recent = seen.filter(({ at }) => at >= oldest).map(({ ms }) => ms);
      const answer = quantile.quantile(0.9, now);
      if (recent.length < 20) return answer === undefined;
      return answer !== undefined && Math.abs(answer / exact(recent, 0.9) - 1) <= 0.04;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

t.test("fewer than 20 latencies are no quantile", async (t) => {
  const quantile = filled(Array.from({ length: 19 }, () => 30));
  t.equal(quantile.quantile(0.9, START), undefined);
  quantile.observe(30, START);
  t.ok(Math.abs((quantile.quantile(0.9, START + 100) ?? 0) / 30 - 1) <= 0.04);
});

t.test("after a long silence nothing is recent", async (t) => {
  const quantile = filled(Array.from({ length: 50 }, () => 30));
  t.not(quantile.quantile(0.5, START + 5000), undefined);
  t.equal(quantile.quantile(0.5, START + 10_000), undefined);
  t.equal(filled(Array.from({ length: 50 }, () => 30)).quantile(0.5, START + 3_600_000), undefined);
});

t.test("an answer holds for 100 ms, for its own share alone", async (t) => {
  const quantile = filled(Array.from({ length: 50 }, () => 10));
  const first = quantile.quantile(0.9, START);
  for (let count = 0; count < 500; count++) quantile.observe(80, START);
  t.equal(quantile.quantile(0.9, START + 99), first);
  t.ok((quantile.quantile(0.9, START + 100) ?? 0) > 75);
  t.ok((quantile.quantile(0.01, START + 100) ?? 99) < 11);
});

t.test("what is no latency is left out, and extremes count as the ends of the range", async (t) => {
  const none = filled(Array.from({ length: 40 }, (_, at) => [NaN, -1, Infinity, -Infinity][at % 4] ?? 0));
  t.equal(none.quantile(0.5, START), undefined);
  t.ok((filled(Array.from({ length: 20 }, () => 0)).quantile(0.5, START) ?? 9) < 0.11);
  t.ok((filled(Array.from({ length: 20 }, () => 1e9)).quantile(0.5, START) ?? 0) > 95_000);
});

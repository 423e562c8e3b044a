import fc from "fast-check";
import { build } from "hdr-histogram-js";
import t from "tap";
import { mergeSketches, NO_LATENCIES, Sketch } from "../src/analysis/latencies.ts";
import { decodeTick, encodeTick, mergeCells } from "../src/analysis/tick.ts";
import { decodeSketch, encodeSketch } from "../src/analysis/tick-sketch.ts";
import { LATENCY_SLOTS, slotOf, upperEdgeMs } from "../src/telemetry/latency-layout.ts";
import { cellLists, sketches, textOf } from "./support/windows.ts";

/** Durations as they are measured, and on the edges. */
const durations = fc.oneof(
  fc.double({ min: 0.001, max: 104_000, noNaN: true }),
  fc.nat(100_000).map((units) => units / 10),
  fc.nat(3_000).map((units) => units / 10),
);

function sketchOf(all: readonly number[]): Sketch {
  return mergeSketches(all.map((ms) => new Sketch(Uint32Array.of(slotOf(ms), 1))));
}

t.test("a slot ends where the next begins, and holds its upper edge", async (t) => {
  let lower = 0;
  const wrong: number[] = [];
  for (let slot = 0; slot < LATENCY_SLOTS; slot++) {
    const upper = upperEdgeMs(slot);
    const isRight = upper > lower && slotOf(upper) === slot && slotOf((lower + upper) / 2) === slot;
    const isFine = upper - lower <= Math.max(0.1000001, upper / 1_000);
    if (!isRight || !isFine) wrong.push(slot);
    lower = upper;
  }
  t.same(wrong, []);
  t.equal(slotOf(0), 0);
  t.equal(slotOf(-5), 0);
  t.equal(slotOf(Number.NaN), 0);
  t.equal(slotOf(1e9), LATENCY_SLOTS - 1);
  t.equal(slotOf(Infinity), LATENCY_SLOTS - 1);
});

t.test("how many took longer is exact at every 0.1 ms up to 204.8 ms", async () => {
  fc.assert(
    fc.property(fc.array(durations, { maxLength: 60 }), fc.integer({ min: 0, max: 2_048 }), (all, units) => {
      const ms = units / 10;
      return sketchOf(all).over(ms) === all.filter((each) => (units === 0 ? true : each > ms)).length;
    }),
  );
});

t.test("longer and not longer make up the whole, and longer never rises with the limit", async () => {
  fc.assert(
    fc.property(sketches, fc.array(durations, { minLength: 2 }), (sketch, limits) => {
      const rising = limits.toSorted((one, other) => one - other).map((ms) => sketch.over(ms));
      return (
        sketch.over(0) === sketch.count &&
        sketch.over(1e9) === 0 &&
        rising.every((over, at) => over >= 0 && over <= sketch.count && (at === 0 || over <= (rising[at - 1] ?? 0)))
      );
    }),
  );
});

t.test("a quantile lies above the true one by 0.1 ms and 0.1 % at most, and as many are over it as may be", async () => {
  fc.assert(
    fc.property(fc.array(durations, { minLength: 1, maxLength: 80 }), fc.constantFrom(0.01, 0.5, 0.9, 0.95, 0.99, 1), (all, q) => {
      const sorted = all.toSorted((one, other) => one - other);
      const truth = sorted[Math.max(1, Math.ceil(q * all.length - 1e-9)) - 1] ?? Number.NaN;
      const sketch = sketchOf(all);
      const told = sketch.quantile(q);
      return told >= truth && told <= truth * 1.001 + 0.1 && sketch.over(told) <= (1 - q) * all.length + 1e-6;
    }),
  );
});

t.test("quantiles and mean agree with another implementation of the same layout", async () => {
  const other = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 1_048_575,
    numberOfSignificantValueDigits: 3,
    autoResize: false,
  });
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 60 }),
      fc.constantFrom(0.5, 0.95, 0.99),
      (units, q) => {
        other.reset();
        // Its slots begin at their value, ours end there.
        for (const unit of units) other.recordValue(unit - 1);
        const sketch = sketchOf(units.map((unit) => unit / 10));
        const theirs = (other.getValueAtPercentile(q * 100) + 1) / 10;
        const mean = units.reduce((sum, unit) => sum + unit / 10, 0) / units.length;
        return Math.abs(sketch.quantile(q) - theirs) < 1e-6 && Math.abs(sketch.mean() - mean) <= 0.05 + mean * 0.0005;
      },
    ),
  );
});

t.test("without data there are no figures", async (t) => {
  t.equal(NO_LATENCIES.over(100), 0);
  t.ok(Number.isNaN(NO_LATENCIES.quantile(0.5)));
  t.ok(Number.isNaN(NO_LATENCIES.mean()));
});

t.test("it makes no difference who is merged with whom first, nor in which order", async () => {
  fc.assert(
    fc.property(cellLists, cellLists, cellLists, (a, b, c) => {
      const whole = textOf(a, b, c);
      return (
        textOf(mergeCells([mergeCells([a, b]), c])) === whole &&
        textOf(mergeCells([a, mergeCells([b, c])])) === whole &&
        textOf(mergeCells([c, a, b])) === whole &&
        textOf(mergeCells([a, []])) === textOf(a)
      );
    }),
  );
});

t.test("counts beyond 32 bits are kept", async (t) => {
  const many = new Sketch(Uint32Array.of(5, 4_000_000_000));
  const merged = mergeSketches([many, many, many]);
  t.equal(merged.count, 12_000_000_000);
  t.same(decodeSketch(encodeSketch(merged)), merged);
});

t.test("a tick is read as it was written", async () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(2 ** 30), fc.nat(100_000), cellLists, (seq, from, ms, cells) => {
      const tick = decodeTick(encodeTick({ seq, from, to: from + ms, cells }));
      return tick !== undefined && tick.seq === seq && tick.from === from && tick.to === from + ms && textOf(tick.cells) === textOf(cells);
    }),
  );
});

t.test("what is no tick is none, whatever it is, and nothing is thrown", async (t) => {
  fc.assert(
    fc.property(
      cellLists,
      fc.array(fc.tuple(fc.nat(), fc.string({ maxLength: 3 }), fc.nat(4)), { minLength: 1, maxLength: 4 }),
      (cells, edits) => {
        let text = encodeTick({ seq: 7, from: 1_000, to: 2_000, cells });
        for (const [at, piece, cut] of edits) text = text.slice(0, at % text.length) + piece + text.slice((at % text.length) + cut);
        const tick = decodeTick(text);
        return (
          tick === undefined ||
          tick.cells.every(({ candidate }) => candidate.latencies.quantile(0.5) !== -1 && candidate.failed <= candidate.requests)
        );
      },
    ),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => decodeTick(text) === undefined));
  const cell = (arm: string) => `{"v":1,"n":1,"f":1,"t":2,"c":[["r","s",0,${arm}]]}`;
  t.ok(decodeTick(cell('[2,1,1,2,1,1,1,0.5,0.25,"",""]')));
  const wrong = [
    ["more failed than there were", '[2,3,0,2,0,0,0,0,0,"",""]'],
    ["more errors than attempts", '[2,0,0,2,3,0,0,0,0,"",""]'],
    ["a negative count", '[2,0,0,-2,0,0,0,0,0,"",""]'],
    ["half a request", '[2.5,0,0,2,0,0,0,0,0,"",""]'],
    ["no base64", '[2,0,0,2,0,0,0,0,0,"*","" ]'],
    ["a slot beyond the last", '[2,0,0,2,0,0,0,0,0,"/////w8=",""]'],
    ["a number that does not end", '[2,0,0,2,0,0,0,0,0,"gA==",""]'],
    ["a count of nothing", '[2,0,0,2,0,0,0,0,0,"AQA=",""]'],
    ["better than perfect", '[2,0,0,2,0,0,1,1.5,1,"",""]'],
  ] as const;
  for (const [name, arm] of wrong) t.equal(decodeTick(cell(arm)), undefined, name);
  t.equal(decodeTick('{"v":2,"n":1,"f":1,"t":2,"c":[]}'), undefined, "a later version");
  t.equal(decodeTick('{"v":1,"n":1,"f":3,"t":2,"c":[]}'), undefined, "ends before it begins");
  t.equal(decodeTick('{"v":1,"n":1,"f":1,"t":2,"c":[["r","s",0,0],["r","s",0,0]]}'), undefined, "one cell twice");
});

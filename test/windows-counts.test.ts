import { Worker } from "node:worker_threads";
import fc from "fast-check";
import t from "tap";
import { createTickMeter } from "../src/analysis/tick-meter.ts";
import { mergeCells, type TickCell } from "../src/analysis/tick.ts";
import { ATTEMPT_ENDS, rowsOffset } from "../src/telemetry/arm-layout.ts";
import { meterLayout } from "../src/telemetry/meter-layout.ts";
import { createReading } from "../src/telemetry/reading.ts";
import { allocateMeters, createMeters } from "../src/telemetry/worker-meters.ts";
import { textOf, windowsConfig } from "./support/windows.ts";

const config = windowsConfig();

function arm(cells: readonly TickCell[], route: string, segment: string, side: "stable" | "candidate") {
  return cells.find((cell) => cell.route === route && cell.segment === segment)?.[side];
}

t.test("figures of the arms are those of what was assigned and what was sent", async (t) => {
  const buffer = allocateMeters(config);
  const meters = createMeters(config, buffer);
  meters.request(0, "candidate", "candidate", 0, "ok", 200, 40);
  meters.request(0, "candidate", "stable", 0, "ok", 200, 140);
  meters.request(0, "candidate", "none", 0, "timeout", 504, 5_000);
  meters.request(0, "candidate", "candidate", 0, "timeout", 200, 5_000);
  meters.request(0, "candidate", "candidate", 0, "cancelled", 499, 9);
  meters.request(0, "candidate", "candidate", 0, "ok", 404, 9);
  meters.request(0, "stable", "stable", -1, "ok", 200, 20);
  meters.request(2, "candidate", "candidate", -1, "ok", 200, 20);
  meters.request(3, "none", "none", -1, "ok", 200, 20);
  meters.armAttempt(0, "candidate", 0, "ok", 161);
  meters.armAttempt(0, "candidate", 0, "defective", 30);
  meters.armAttempt(0, "candidate", 0, "unavailable", 30);
  meters.armAttempt(0, "candidate", 0, "unreachable", 0.1);
  meters.armAttempt(0, "stable", 0, "ok", 80);
  meters.armAttempt(3, "none", -1, "ok", 80);
  meters.quality(0, 1, "candidate", 0, 0.5);
  meters.quality(0, 1, "candidate", 0, 0.75);

  const { tick } = createTickMeter({ config, flag: "f", buffers: () => [buffer], now: 1_000 }).take(2_000);
  t.match(tick, { from: 1_000, to: 2_000 });
  const candidate = arm(tick.cells, "match0", "beta", "candidate");
  t.match(candidate, { requests: 5, failed: 2, fellBack: 1, attempts: 4, errors: 3, unavailable: 2 });
  t.same(candidate?.quality, { count: 2, sum: 1.25, squares: 0.8125 });
  t.equal(candidate?.waits.count, 5);
  t.equal(candidate?.latencies.count, 3, "what was never reached took no time");
  t.equal(candidate?.latencies.over(150), 1);
  const stable = arm(tick.cells, "match0", "beta", "stable");
  t.match(stable, { requests: 0, attempts: 1 }, "an attempt counts for the arm that it was sent to");
  t.match(arm(tick.cells, "match0", "none", "stable"), { requests: 1, attempts: 0 });
  t.same([...new Set(tick.cells.map(({ route }) => route))], ["match0"], "other flags and forwarding routes are not of it");
  const other = createTickMeter({ config, flag: "g", buffers: () => [buffer], now: 1_000 }).take(2_000).tick;
  t.match(other.cells, [{ route: "other", segment: "none", candidate: { requests: 1 } }]);
});

t.test("what is taken bit by bit, by whatever worker it was counted, adds up to the whole", async () => {
  const action = fc.record({
    worker: fc.nat(2),
    route: fc.nat(1),
    side: fc.constantFrom("stable" as const, "candidate" as const),
    segment: fc.integer({ min: -1, max: 1 }),
    ms: fc.double({ min: 0, max: 300, noNaN: true }),
    end: fc.constantFrom(...ATTEMPT_ENDS),
    ratio: fc.nat(64),
  });
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { weight: 5, arbitrary: action },
          { weight: 1, arbitrary: fc.constantFrom("take" as const, "lose" as const, "replace" as const) },
        ),
        { maxLength: 60 },
      ),
      (actions) => {
        const buffers = [0, 1, 2].map(() => allocateMeters(config));
        let writers = buffers.map((buffer) => createMeters(config, buffer));
        const meter = createTickMeter({ config, flag: "f", buffers: () => buffers, now: 0 });
        const taken: (readonly TickCell[])[] = [];
        let now = 0;
        let requests = 0;
        for (const each of actions) {
          if (each === "take") {
            const delta = meter.take(++now);
            taken.push(delta.tick.cells);
            delta.commit();
          } else if (each === "lose") meter.take(++now);
          else if (each === "replace") writers = buffers.map((buffer) => createMeters(config, buffer));
          else {
            const writer = writers[each.worker];
            writer?.request(each.route, each.side, "stable", each.segment, "ok", 200, each.ms);
            writer?.armAttempt(each.route, each.side, each.segment, each.end, each.ms);
            writer?.quality(each.route, 0, each.side, each.segment, each.ratio / 64);
            requests++;
          }
        }
        for (let rest = 0; rest < 2; rest++) {
          const delta = meter.take(++now);
          taken.push(delta.tick.cells);
          delta.commit();
        }
        const whole = createTickMeter({ config, flag: "f", buffers: () => buffers, now: 0 }).take(1).tick.cells;
        const sum = mergeCells(taken).flatMap(({ stable, candidate }) => [stable, candidate]);
        return textOf(...taken) === textOf(whole) && sum.reduce((all, { requests }) => all + requests, 0) === requests;
      },
    ),
    { numRuns: 60 },
  );
});

t.test("until it is known to be published a tick is given again as it was; the next one holds the rest", async (t) => {
  const buffer = allocateMeters(config);
  const meters = createMeters(config, buffer);
  const meter = createTickMeter({ config, flag: "f", buffers: () => [buffer], now: 1_000 });
  meters.request(0, "stable", "stable", -1, "ok", 200, 10);
  const first = meter.take(2_000);
  meters.request(0, "stable", "stable", -1, "ok", 200, 10);
  t.equal(meter.take(3_000).tick, first.tick);
  first.commit();
  const second = meter.take(4_000);
  t.match(second.tick, { seq: first.tick.seq + 1, from: 2_000, to: 4_000, cells: [{ stable: { requests: 1 } }] });
  first.commit();
  t.equal(meter.take(5_000).tick, second.tick, "an old tick does not confirm a new one");
  second.commit();
  t.match(meter.take(3_500).tick, { from: 3_500, to: 3_500, cells: [] }, "a clock that was set back ends no tick before it begins");
});

t.test("a worker that is killed while it counts, and its replacement, lose and double nothing", async (t) => {
  const buffer = allocateMeters(config);
  const buffers = [buffer];
  const meter = createTickMeter({ config, flag: "f", buffers: () => buffers, now: 0 });
  const taken: (readonly TickCell[])[] = [];
  const take = (): void => {
    const delta = meter.take(taken.length);
    taken.push(delta.tick.cells);
    delta.commit();
  };
  const program = `
    const { parentPort, workerData } = await import("node:worker_threads");
    const { createMeters } = await import(workerData.module);
    const meters = createMeters(workerData.config, workerData.buffer);
    for (let i = 0; ; i++) {
      meters.request(i & 1, "candidate", "stable", (i % 3) - 1, "ok", 200, (i % 4000) / 10);
      meters.armAttempt(i & 1, "candidate", (i % 3) - 1, "ok", (i % 4000) / 10);
      meters.quality(i & 1, 1, "candidate", (i % 3) - 1, (i & 63) / 64);
      if (i === 20000) parentPort.postMessage("counting");
    }
  `;
  const module = new URL("../src/telemetry/worker-meters.ts", import.meta.url).href;
  for (let life = 0; life < 2; life++) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), { workerData: { module, config, buffer } });
    await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    for (let i = 0; i < 20; i++) take();
    await worker.terminate();
    const spare = allocateMeters(config);
    createMeters(config, spare).request(0, "stable", "stable", -1, "ok", 200, 10);
    buffers.push(spare);
    take();
  }
  take();
  const whole = createTickMeter({ config, flag: "f", buffers: () => buffers, now: 0 }).take(1).tick.cells;
  t.equal(textOf(...taken), textOf(whole));
  t.ok(taken.filter((cells) => cells.length > 0).length > 3, "it was read while it counted");
  const layout = meterLayout(config);
  const requests = [
    ...createReading(config, () => buffers)
      .totals()
      .requests.blocks.values(),
  ].reduce((sum, block) => sum + (block[0] ?? 0), 0);
  const counted = mergeCells(taken).reduce((sum, { stable, candidate }) => sum + stable.requests + candidate.requests, 0);
  // The two tables are written one after the other, and a worker may have been ended between.
  t.ok(requests - counted >= 0 && requests - counted <= 2, `${counted} of ${requests}`);
  t.ok(layout.arms.rows > 0);
});

t.test("counts that go round are still differences", async (t) => {
  const buffer = allocateMeters(config);
  const meters = createMeters(config, buffer);
  meters.request(0, "stable", "stable", -1, "ok", 200, 10);
  const meter = createTickMeter({ config, flag: "f", buffers: () => [buffer], now: 0 });
  const before = meter.take(1);
  before.commit();
  const { arms } = meterLayout(config);
  const memory = new Uint32Array(buffer, rowsOffset(arms));
  // Everything in the row that stands at 1 is turned to the highest count but one, as if so many had come.
  for (const [at, count] of memory.entries()) if (count === 1) memory[at] = 0xffff_fffe;
  const turned = meter.take(2);
  turned.commit();
  t.match(turned.tick.cells, [{ stable: { requests: 0xffff_fffd } }]);
  for (let i = 0; i < 5; i++) meters.request(0, "stable", "stable", -1, "ok", 200, 10);
  t.match(meter.take(3).tick.cells, [{ stable: { requests: 5, waits: { count: 5 } } }]);
});

t.test("what finds no row of its own is counted under its arm, and what makes no sense is counted as lost", async (t) => {
  const large = windowsConfig(60);
  const buffer = allocateMeters(large);
  const meters = createMeters(large, buffer);
  const meter = createTickMeter({ config: large, flag: "f", buffers: () => [buffer], now: 0 });
  for (let round = 0; round < 2; round++) {
    for (let route = 0; route < 60; route++) {
      for (const segment of [-1, 0, 1]) meters.request(route, "candidate", "candidate", segment, "ok", 200, 10);
    }
    for (let route = 0; route < 60; route++) meters.armAttempt(route, "stable", 0, "ok", 10);
  }
  const { cells } = meter.take(1).tick;
  const all = cells.reduce((sum, { candidate }) => sum + candidate.requests, 0);
  t.equal(all, 360);
  t.match(arm(cells, "other", "other", "candidate"), { requests: 360 - 2 * 128 });
  t.match(arm(cells, "other", "other", "stable"), { attempts: 120 });
  const lost = (): number => createReading(large, () => [buffer]).totals().arms.lost;
  t.equal(lost(), 0);
  meters.request(0, "candidate", "candidate", 99, "ok", 200, 10);
  meters.armAttempt(999, "candidate", 0, "ok", 10);
  meters.quality(0, 1, "candidate", 0, Number.NaN);
  t.equal(lost(), 3);
  // A successor finds the rows again.
  createMeters(large, buffer).request(59, "candidate", "candidate", 1, "ok", 200, 10);
  const again = createTickMeter({ config: large, flag: "f", buffers: () => [buffer], now: 0 }).take(1).tick.cells;
  t.match(arm(again, "other", "other", "candidate"), { requests: 361 - 2 * 128 });
});

import fc from "fast-check";
import t from "tap";
import { encodeTick } from "../src/analysis/tick.ts";
import { FleetWindows } from "../src/analysis/windows.ts";
import { cellOf, FakeStreams, tickAt } from "./support/windows.ts";

const T0 = 1_800_000_000_000;

/** A fleet whose instances have clocks of their own; `now` is the store's. */
class Fleet {
  readonly streams = new FakeStreams();
  readonly windows = new FleetWindows({ fetch: this.streams.fetch, recorded: this.streams.recorded });
  readonly #last = new Map<string, { seq: number; to: number }>();

  /** What the instance counted since its last tick; its clock is ahead by so much, and the store has it so late. */
  tick(instance: string, now: number, count: number, { ahead = 0, lateMs = 0 } = {}): void {
    const own = now + ahead;
    const last = this.#last.get(instance) ?? { seq: own, to: own - 1_000 };
    this.#last.set(instance, { seq: last.seq + 1, to: own });
    const text = encodeTick(tickAt(last.seq, Math.min(last.to, own), own, count === 0 ? [] : [cellOf(count)]));
    this.streams.publish(instance, text, now + lateMs);
  }

  restart(instance: string): void {
    this.#last.delete(instance);
  }

  async requests(from: number, to: number): Promise<number> {
    const { cells } = await this.windows.between(from, to);
    return cells.reduce((sum, { candidate }) => sum + candidate.requests, 0);
  }
}

for (const ahead of [1_500, 5_000, 400_000, 3_600_000, -1_500, -5_000, -400_000, -3_600_000]) {
  t.test(
    `an instance whose clock is ${Math.abs(ahead)} ms ${ahead > 0 ? "ahead" : "behind"} hides nobody, and counts when it counted`,
    async (t) => {
      const fleet = new Fleet();
      for (let second = 1; second <= 60; second++) {
        fleet.tick("off", T0 + second * 1_000, 3, { ahead });
        fleet.tick("right", T0 + second * 1_000, 50);
      }
      const now = T0 + 60_000;
      t.equal(await fleet.windows.refresh(now), now, "as of the store's time");
      const table = await fleet.windows.between(now - 10_000, now);
      t.match(table, { coveredMs: 10_000, instances: ["off", "right"] });
      const isSmall = Math.abs(ahead) < 2_000;
      t.ok(Math.abs((await fleet.requests(now - 10_000, now)) - 530) <= (isSmall ? 6 : 0));
      t.same(fleet.windows.clocksOff(), isSmall ? [] : [{ instance: "off", offMs: ahead }]);
      fleet.tick("right", now + 120_000, 1);
      await fleet.windows.refresh(now);
      t.same(fleet.windows.clocksOff(), [], "of those who are there");
    },
  );
}

t.test("one tick of the future is of the present, and the clock that was set right again is not off", async (t) => {
  const fleet = new Fleet();
  for (let second = 1; second <= 60; second++) {
    fleet.tick("a", T0 + second * 1_000, 1, { ahead: second === 30 ? 1_200_000 : 0 });
    fleet.tick("b", T0 + second * 1_000, 50);
  }
  const now = T0 + 60_000;
  t.equal(await fleet.windows.refresh(now), now);
  t.same(fleet.windows.clocksOff(), []);
  t.equal(await fleet.requests(now - 10_000, now), 510);
  t.equal(await fleet.requests(T0, now), 60 * 51);
  t.equal(await fleet.requests(T0 + 25_000, T0 + 35_000), 510, "also around that tick");
  await fleet.windows.caughtUp();
  t.equal(fleet.windows.recordState()?.pending.length, 120);
});

t.test("a clock that is set forward or back for good moves no figures", async (t) => {
  for (const ahead of [60_000, -60_000]) {
    const fleet = new Fleet();
    for (let second = 1; second <= 60; second++) fleet.tick("a", T0 + second * 1_000, 1, { ahead: second > 30 ? ahead : 0 });
    const now = T0 + 60_000;
    t.equal(await fleet.windows.refresh(now), now);
    t.same(fleet.windows.clocksOff(), [{ instance: "a", offMs: ahead }]);
    t.equal(await fleet.requests(now - 20_000, now), 20);
    t.equal(await fleet.requests(T0, T0 + 20_000), 20);
    if (ahead > 0) t.equal(await fleet.requests(T0, now), 60);
  }
});

t.test("what waited for the store is of its own time, not of a clock that is behind", async (t) => {
  const fleet = new Fleet();
  for (let second = 1; second <= 20; second++) fleet.tick("a", T0 + second * 1_000, 1);
  // The store was away for a minute: one tick waited, the next has all that was counted meanwhile.
  fleet.tick("a", T0 + 21_000, 100, { lateMs: 60_000 });
  await fleet.windows.refresh(T0 + 81_000);
  t.same(fleet.windows.clocksOff(), []);
  t.equal(await fleet.requests(T0 + 20_000, T0 + 21_000), 100);
  t.equal(await fleet.windows.refresh(T0 + 81_000), T0 + 21_000, "it does not look fresh");
  fleet.tick("a", T0 + 82_000, 600);
  await fleet.windows.refresh(T0 + 82_000);
  t.equal(await fleet.requests(T0 + 72_000, T0 + 82_000), 0, "a minute's figures are not those of its last second");
  t.equal(await fleet.requests(T0, T0 + 82_000), 720);
});

t.test("an instance that is slow to be heard for the first time is not taken for one whose clock is behind", async (t) => {
  const fleet = new Fleet();
  fleet.tick("a", T0 + 1_000, 1, { lateMs: 60_000 });
  fleet.tick("a", T0 + 62_000, 600);
  await fleet.windows.refresh(T0 + 62_000);
  t.equal(await fleet.requests(T0, T0 + 1_000), 1);
  t.equal(await fleet.requests(T0 + 52_000, T0 + 62_000), 0);
});

t.test("an instance that begins anew with a clock that was set right is heard at once", async (t) => {
  const fleet = new Fleet();
  for (let second = 1; second <= 20; second++) fleet.tick("a", T0 + second * 1_000, 1, { ahead: 3_600_000 });
  await fleet.windows.refresh(T0 + 20_000);
  fleet.restart("a");
  for (let second = 21; second <= 30; second++) fleet.tick("a", T0 + second * 1_000, 7);
  t.equal(await fleet.windows.refresh(T0 + 30_000), T0 + 30_000);
  t.equal(await fleet.requests(T0 + 20_000, T0 + 30_000), 70);
  t.same(fleet.windows.clocksOff(), []);
});

t.test("who serves and is not heard of is silent", async (t) => {
  const fleet = new Fleet();
  t.same(fleet.windows.silent(["a"], 5_000), ["a"], "nobody has been heard of");
  for (let second = 1; second <= 30; second++) {
    fleet.tick("a", T0 + second * 1_000, 1);
    if (second <= 20) fleet.tick("b", T0 + second * 1_000, 1, { ahead: 600_000 });
  }
  fleet.streams.publish("c", "what a later version says", T0 + 30_000);
  await fleet.windows.refresh(T0 + 30_000);
  t.same(fleet.windows.silent(["a", "b", "c"], 5_000), ["b", "c"]);
  t.same(fleet.windows.silent(["a", "b", "c"], 10_000), ["c"]);
  t.same(fleet.windows.silent([], 5_000), []);
});

t.test("whatever clocks do, nothing is newer than what the store has, and nothing is lost or doubled", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          instance: fc.constantFrom("a", "b", "c"),
          ahead: fc.oneof(
            { weight: 3, arbitrary: fc.constant(0) },
            { weight: 1, arbitrary: fc.integer({ min: -400_000, max: 4_000_000 }) },
          ),
          lateMs: fc.nat(900),
          count: fc.nat(5),
        }),
        { minLength: 1, maxLength: 80 },
      ),
      async (ticks) => {
        const fleet = new Fleet();
        let now = T0;
        let total = 0;
        for (const { instance, count, ...how } of ticks) {
          now += 1_000;
          fleet.tick(instance, now, count, how);
          total += count;
          // As whoever carries on the record does: what it does not hold yet is kept for that.
          fleet.windows.recordState();
          if (total % 7 === 0) await fleet.windows.refresh(now);
        }
        fleet.windows.recordState();
        const to = await fleet.windows.refresh(now);
        await fleet.windows.caughtUp();
        return to !== undefined && to <= now + 900 && (await fleet.requests(T0 - 86_400_000, now + 10_000)) === total;
      },
    ),
    { numRuns: 100 },
  );
});

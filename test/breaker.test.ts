import t from "tap";
import { ArmGuard, type ArmGuardOptions, type GuardSettings, guardBytes } from "../src/resilience/arm-guard.ts";
import { FIRST } from "../src/resilience/breaker.ts";
import { GuardMemory } from "../src/resilience/guard-memory.ts";

const START = 1_790_000_000_000;
const SETTINGS: GuardSettings = { budgetBp: 2000, budgetMinimum: 3, errorRateBp: 100, accuracyBp: 8500 };

/** Guards of one cell, one per worker. */
function guards(count = 1, options: Partial<ArmGuardOptions> = {}): [ArmGuard, ...ArmGuard[]] {
  const memory = new SharedArrayBuffer(guardBytes(1, count));
  const make = (worker: number): ArmGuard => new ArmGuard({ memory, cell: 0, worker, workers: count, ...options });
  return [make(0), ...Array.from({ length: count - 1 }, (_, at) => make(at + 1))];
}

function send(guard: ArmGuard, now: number, end: Parameters<ArmGuard["record"]>[2], draw = 0, settings = SETTINGS): string {
  const admission = guard.admit(now, draw);
  if (admission !== "stable") guard.record(now, settings, end, admission === "probe", guard.ticket);
  return admission;
}

/** Opens it by five attempts that reach nobody. */
function openedAt(now: number, options: Partial<ArmGuardOptions> = {}): ArmGuard {
  const [guard] = guards(1, options);
  for (let count = 0; count < 5; count++) send(guard, now, "unreachable", 0, { ...SETTINGS, errorRateBp: 0 });
  return guard;
}

/** Sends a probe every 200 ms until it is no longer half-open, and says when that was. */
function probeThrough(guard: ArmGuard, from: number): number {
  for (let now = from; now < from + 60_000; now += 200) {
    send(guard, now, "ok");
    if (guard.status(now).state === "returning") return now;
  }
  return NaN;
}

t.test("a candidate that answers keeps its breaker closed", async (t) => {
  const [guard] = guards();
  for (let count = 0; count < 1000; count++) t.equal(send(guard, START + count * 10, "ok"), "candidate");
  const status = guard.status(START + 9990);
  t.match(status, { state: "closed", held: false, since: 0, why: undefined, shareBp: 10_000, openings: 0, requests: 1000, judged: 1000 });
});

t.test("errors open it when they prove the rate to be above the threshold, and not before", async (t) => {
  const [few] = guards();
  for (let count = 0; count < 2; count++) send(few, START, "error");
  t.equal(few.status(START).state, "closed", "two errors prove nothing");
  send(few, START, "error");
  t.match(few.status(START), { state: "open", why: "errors", openings: 1 }, "three of three do");

  // Three of 100 are three times the threshold, and come once in 13 windows of a candidate that stands just on it.
  const [chance] = guards();
  for (let count = 0; count < 97; count++) send(chance, START, "ok");
  for (let count = 0; count < 3; count++) send(chance, START, "error");
  t.match(chance.status(START), { state: "closed", errors: 3, judged: 100 });
  // P(6 or more of 103 at 1 %) is 0.0006, the first below 0.001.
  send(chance, START, "error");
  send(chance, START, "error");
  t.equal(chance.status(START).state, "closed");
  send(chance, START, "error");
  t.match(chance.status(START), { state: "open", why: "errors", since: START });
});

t.test("bad quality opens it when it proves the share of good answers to be below the threshold", async (t) => {
  const [guard] = guards();
  for (let count = 0; count < 80; count++) send(guard, START, "ok");
  for (let count = 0; count < 20; count++) send(guard, START, "bad-quality");
  t.equal(guard.status(START).state, "closed", "80 of 100 may be chance where 85 are asked for");
  for (let count = 0; count < 30; count++) send(guard, START, "bad-quality");
  t.match(guard.status(START), { state: "open", why: "accuracy" });
});

t.test("a condition of 0 is off", async (t) => {
  const [guard] = guards();
  const settings = { ...SETTINGS, errorRateBp: 0, accuracyBp: 0 };
  for (let count = 0; count < 500; count++) send(guard, START, count % 2 === 0 ? "error" : "bad-quality", 0, settings);
  t.equal(guard.status(START).state, "closed");
});

t.test("five in a row that reach nobody open it; an answer in between begins the row anew", async (t) => {
  const [one, other] = guards(2);
  const settings = { ...SETTINGS, errorRateBp: 0 };
  for (let count = 0; count < 4; count++) send(one, START, "unreachable", 0, settings);
  send(other ?? one, START, "ok", 0, settings);
  for (let count = 0; count < 4; count++) send(one, START, "unreachable", 0, settings);
  t.equal(one.status(START).state, "closed");
  send(other ?? one, START, "unreachable", 0, settings);
  t.match(one.status(START), { state: "open", why: "connect" }, "the row goes over all workers");
});

t.test("unjudged ends count for nothing", async (t) => {
  const [guard] = guards();
  for (let count = 0; count < 100; count++) send(guard, START, "unjudged");
  t.match(guard.status(START), { state: "closed", requests: 100, judged: 0 });
});

t.test("errors that have left the window are forgotten", async (t) => {
  const [guard] = guards();
  send(guard, START, "error");
  send(guard, START, "error");
  t.equal(guard.status(START + 9000).errors, 2);
  send(guard, START + 10_000, "error");
  t.match(guard.status(START + 10_000), { state: "closed", errors: 1, judged: 1 });
});

t.test("open, every request goes to the stable upstream for five seconds; then one is a probe", async (t) => {
  const guard = openedAt(START);
  for (let now = START; now < START + 5000; now += 10) t.equal(guard.admit(now, 0), "stable");
  t.equal(guard.admit(START + 5000, 0.99), "probe");
  t.match(guard.status(START + 5000), { state: "half-open", why: "connect", since: START + 5000 });
  t.equal(guard.admit(START + 9000, 0), "stable", "one probe at a time");
});

t.test("half-open, probes are 200 ms apart, and five good ones in a row begin the return", async (t) => {
  const guard = openedAt(START);
  const probes: number[] = [];
  for (let now = START + 5000; guard.status(now).state !== "returning"; now += 10) if (send(guard, now, "ok") === "probe") probes.push(now);
  t.same(
    probes.map((at) => at - START),
    [5000, 5200, 5400, 5600, 5800],
  );
  t.match(guard.status(START + 5800), { state: "returning", shareBp: 500, since: START + 5800, why: "connect" });
});

t.test("a bad probe opens it again, for twice as long each time up to a minute", async (t) => {
  const guard = openedAt(START);
  let openFrom = START;
  for (const seconds of [5, 10, 20, 40, 60, 60]) {
    const until = openFrom + seconds * 1000;
    t.equal(guard.admit(until - 1, 0), "stable");
    send(guard, until, "ok");
    t.equal(send(guard, until + 200, "bad-quality"), "probe");
    t.match(guard.status(until + 200), { state: "open", why: "accuracy", since: until + 200 });
    openFrom = until + 200;
  }
  t.equal(guard.status(openFrom).openings, 7);
});

t.test("an unjudged probe is made good by the next one", async (t) => {
  const guard = openedAt(START);
  for (let at = 0; at < 4; at++) send(guard, START + 5000 + at * 200, "ok");
  send(guard, START + 5800, "unjudged");
  t.equal(guard.status(START + 5800).state, "half-open");
  send(guard, START + 6000, "ok");
  t.equal(guard.status(START + 6000).state, "returning");
});

t.test("a probe that was lost with its worker is given up after ten seconds, and its late end is not heard", async (t) => {
  const guard = openedAt(START);
  t.equal(guard.admit(START + 5000, 0), "probe");
  const lost = guard.ticket;
  t.equal(guard.admit(START + 14_999, 0), "stable");
  t.equal(guard.admit(START + 15_000, 0), "probe");
  const current = guard.ticket;
  guard.record(START + 15_001, SETTINGS, "error", true, lost);
  t.equal(guard.status(START + 15_001).state, "half-open");
  guard.record(START + 15_001, SETTINGS, "error", true, current);
  t.equal(guard.status(START + 15_001).state, "open");
});

t.test("it returns by 5, 25 and 50 % of the share, at least five seconds each", async (t) => {
  const guard = openedAt(START);
  let now = probeThrough(guard, START + 5000);
  for (const share of [0.05, 0.25, 0.5]) {
    t.equal(guard.status(now).shareBp, share * 10_000);
    t.equal(guard.admit(now, share), "stable");
    t.equal(send(guard, now + 4999, "ok", share - 0.001), "candidate");
    t.equal(guard.status(now + 4999).shareBp, share * 10_000);
    now += 5000;
    send(guard, now, "ok", 0);
  }
  t.match(guard.status(now), { state: "closed", why: undefined, shareBp: 10_000, since: now, openings: 1 });
});

t.test("without an answer no step of the return ends: no data is not a good sign", async (t) => {
  const guard = openedAt(START);
  const now = probeThrough(guard, START + 5000);
  for (let wait = 0; wait < 600_000; wait += 1000) guard.admit(now + wait, 0.5);
  t.equal(guard.status(now + 600_000).shareBp, 500);
});

t.test("a reason while returning opens it again, for longer than the first time", async (t) => {
  const guard = openedAt(START);
  const now = probeThrough(guard, START + 5000);
  for (let count = 0; count < 3; count++) send(guard, now, "error");
  t.match(guard.status(now), { state: "open", why: "errors", openings: 2 });
  t.equal(guard.admit(now + 9999, 0), "stable");
  t.equal(guard.admit(now + 10_000, 0), "probe");
});

t.test("the failures that opened it do not open it again, nor do those that end late", async (t) => {
  const [guard] = guards();
  const late: number[] = [];
  for (let count = 0; count < 20; count++) {
    guard.admit(START, 0);
    late.push(guard.ticket);
  }
  for (let count = 0; count < 5; count++) send(guard, START, "unreachable");
  t.equal(guard.status(START).state, "open");
  const now = probeThrough(guard, START + 5000);
  t.match(guard.status(now), { state: "returning", judged: 0, errors: 0 });
  for (const ticket of late) guard.record(now, SETTINGS, "unreachable", false, ticket);
  t.match(guard.status(now), { state: "returning", judged: 0 });
});

t.test("a row of attempts that reached nobody ends with the state that it belongs to", async (t) => {
  const settings = { ...SETTINGS, errorRateBp: 0 };
  const guard = openedAt(START);
  const now = probeThrough(guard, START + 5000);
  for (let count = 0; count < 4; count++) send(guard, now, "unreachable", 0, settings);
  t.equal(guard.status(now).state, "returning");
  send(guard, now, "unreachable", 0, settings);
  t.equal(guard.status(now).state, "open");
});

t.test("by hand it stays as it was put, whatever happens, until it is set to auto", async (t) => {
  const [guard, other = guard] = guards(2);
  guard.force(START, "open");
  t.equal(other.admit(START + 3_600_000, 0), "stable");
  t.match(other.status(START), { state: "open", held: true, why: "hand", openings: 0 });
  guard.force(START + 500, "open");
  t.equal(other.status(START + 500).since, START, "it was so already");
  other.force(START, "closed");
  for (let count = 0; count < 100; count++) t.equal(send(guard, START, "unreachable"), "candidate");
  t.match(guard.status(START), { state: "closed", held: true });
  other.force(START + 1, "auto");
  t.match(guard.status(START + 1), { state: "closed", held: false, judged: 0 });
  other.force(START + 2, "auto");
  t.equal(guard.status(START + 2).since, START + 1, "it was so already");
});

t.test("what was held open by hand comes back by way of probes", async (t) => {
  const [guard] = guards();
  guard.force(START, "open");
  guard.force(START + 1000, "auto");
  t.match(guard.status(START + 1000), { state: "half-open", held: false });
  t.equal(guard.admit(START + 1000, 0), "probe");
});

t.test("a hand wins over a probe that is under way", async (t) => {
  const guard = openedAt(START);
  guard.admit(START + 5000, 0);
  const { ticket } = guard;
  guard.force(START + 5001, "closed");
  guard.record(START + 5002, SETTINGS, "error", true, ticket);
  t.match(guard.status(START + 5002), { state: "closed", held: true });
});

t.test("cells know nothing of each other", async (t) => {
  const memory = new SharedArrayBuffer(guardBytes(3, 2));
  const [before, guard, after] = [0, 1, 2].map((cell) => new ArmGuard({ memory, cell, worker: 2, workers: 2 }));
  if (before === undefined || guard === undefined || after === undefined) throw new Error("three were made");
  for (let count = 0; count < 5; count++) send(guard, START, "unreachable");
  guard.takeExtra(START, SETTINGS);
  t.match(guard.status(START), { state: "open", requests: 3, extraOpen: 1 });
  for (const other of [before, after]) t.match(other.status(START), { state: "closed", requests: 0, judged: 0, extraOpen: 0 });
  t.throws(() => new ArmGuard({ memory, cell: 3, worker: 0, workers: 2 }), RangeError);
  t.throws(() => new ArmGuard({ memory, cell: 0, worker: 3, workers: 2 }), RangeError);
});

t.test("a state whose record has been written over is not read, nor replaced", async (t) => {
  const memory = new GuardMemory(new SharedArrayBuffer(guardBytes(1, 1)), 0, 0, 1);
  const words = [0];
  for (let count = 1; count <= 3; count++) words.push(memory.replace(words.at(-1) ?? 0, { ...FIRST, since: count }) ?? NaN);
  const [, first = 0, second = 0, third = 0] = words;
  t.match(memory.read(third), { since: 3 });
  t.equal(memory.read(second), undefined);
  t.equal(memory.read(first), undefined);
  t.equal(memory.replace(second, { ...FIRST, since: 9 }), undefined);
  t.match(memory.read(memory.word), { since: 3 }, "the attempt left the state in force as it was");
});

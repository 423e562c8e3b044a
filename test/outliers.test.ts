import t from "tap";
import fc from "fast-check";
import type { Config, Outliers, Upstream } from "../src/config/config.ts";
import { boardLength, EndpointGroup, ownBoard, placesOf, type EndpointState, UNHEALTHY } from "../src/transport/endpoints.ts";
import {
  afterBeginning,
  afterFailure,
  afterNothing,
  afterSend,
  BLAMELESS,
  isFit,
  LONGEST_FACTOR,
  mostEjected,
  type Standing,
} from "../src/transport/outliers.ts";
import { configOf } from "./support/proxy.ts";

const DAY = 86_400_000;

t.test("the decider", async (t) => {
  const rules: Outliers = { consecutive: 3, ejectedForMs: 100, mostEjectedBp: 10_000 };

  t.test("ejects at the last failure in a row, for longer each time, and forgets with the first success", async (t) => {
    let standing: Standing = BLAMELESS;
    const fail = (now: number): Standing => (standing = afterFailure(standing, rules, now, true));
    t.equal(fail(1).kind, "in");
    t.equal(fail(2).kind, "in");
    t.strictSame(fail(3), { kind: "out", until: 103, ejections: 1 });
    t.notOk(isFit(standing, 102));
    t.ok(isFit(standing, 103));
    standing = afterSend(standing, 103);
    t.notOk(isFit(standing, 103), "one request finds out, no other is sent");
    t.strictSame(fail(110), { kind: "out", until: 310, ejections: 2 }, "one failure is enough");
    standing = afterSend(standing, 310);
    standing = afterBeginning(standing, rules);
    t.ok(isFit(standing, 310), "its answer has begun, others may come");
    t.strictSame(fail(320), { kind: "out", until: 620, ejections: 3 }, "the beginning did not make it forgotten");
  });

  t.test("ten times the first length is the longest", async (t) => {
    let standing: Standing = BLAMELESS;
    const lengths: number[] = [];
    for (let now = 0; lengths.length < 12; now = standing.kind === "out" ? standing.until : now) {
      standing = afterFailure(afterSend(standing, now), rules, now, true);
      if (standing.kind === "out") lengths.push(standing.until - now);
    }
    t.same(lengths, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1000, 1000]);
  });

  t.test("a trial that says nothing is made again by the next request", async (t) => {
    const due: Standing = { kind: "out", until: 50, ejections: 1 };
    const trial = afterSend(due, 60);
    t.equal(trial.kind, "trial");
    const back = afterNothing(trial, 70);
    t.ok(isFit(back, 70));
    t.equal(afterSend(back, 70).kind, "trial");
  });

  t.test("whatever happens, it does what its rules say", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("fail" as const), mayEject: fc.boolean() }),
      fc.record({ kind: fc.constantFrom("good" as const, "begin" as const, "nothing" as const, "send" as const) }),
      fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 400 }) }),
    );
    const rulesOf = fc.record({
      consecutive: fc.integer({ min: 1, max: 4 }),
      ejectedForMs: fc.integer({ min: 1, max: 100 }),
      mostEjectedBp: fc.constant(10_000),
    });
    fc.assert(
      fc.property(rulesOf, fc.array(step, { maxLength: 80 }), (given, steps) => {
        let standing: Standing = BLAMELESS;
        let now = 0;
        // What has happened since the last success, and what follows from it.
        let failures = 0;
        let ejections = 0;
        let outUntil: number | undefined;
        let trying = false;
        for (const next of steps) {
          const isOut = outUntil !== undefined && !trying;
          switch (next.kind) {
            case "pass":
              now += next.ms;
              break;
            case "good":
              standing = BLAMELESS;
              [failures, ejections, outUntil, trying] = [0, 0, undefined, false];
              break;
            case "fail":
              standing = afterFailure(standing, given, now, next.mayEject);
              failures++;
              if (isOut) break;
              [outUntil, trying] = [undefined, false];
              if (!next.mayEject || failures < given.consecutive) break;
              ejections++;
              outUntil = now + given.ejectedForMs * Math.min(ejections, LONGEST_FACTOR);
              break;
            case "begin":
              standing = afterBeginning(standing, given);
              if (trying) [outUntil, trying] = [undefined, false];
              break;
            case "nothing":
              standing = afterNothing(standing, now);
              if (trying) [outUntil, trying] = [now, false];
              break;
            case "send":
              standing = afterSend(standing, now);
              if (outUntil !== undefined && now >= outUntil) trying = true;
              break;
          }
          if (standing.kind !== (outUntil === undefined ? "in" : trying ? "trial" : "out")) return false;
          if (standing.kind === "out" && standing.until !== outUntil) return false;
          if (isFit(standing, now) !== (outUntil === undefined || (!trying && now >= outUntil))) return false;
        }
        return true;
      }),
      { numRuns: 2_000 },
    );
  });

  t.test("a share of the endpoints is rounded down", async (t) => {
    const most = (mostEjectedBp: number, endpoints: number): number => mostEjected({ ...rules, mostEjectedBp }, endpoints);
    t.same([most(5_000, 2), most(5_000, 3), most(1_000, 3), most(10_000, 3), most(0, 3)], [1, 1, 0, 3, 0]);
  });
});

interface Pool extends EndpointState {
  load: number;
  shunnedUntil: number;
}

function upstreamOf(config: Config): Upstream {
  const upstream = config.upstreams[1];
  if (upstream === undefined) throw new Error("no upstream");
  return upstream;
}

/** A group of so many endpoints, the second upstream of its configuration. */
function groupOf(endpoints: number, outliers = "{}"): { group: EndpointGroup<Pool>; board: Int32Array; pools: readonly Pool[] } {
  const list = Array.from({ length: endpoints }, (_, index) => `"http://127.0.0.1:${index + 1}"`).join(", ");
  const config = configOf(`
upstreams:
  other: { endpoints: ["http://127.0.0.1:91", "http://127.0.0.1:92"] }
  own: { endpoints: [${list}], outliers: ${outliers} }
routes: [{ name: rest, match: { path: /x }, upstream: other }, { name: all, match: { path: /** }, upstream: own }]
`);
  const board = ownBoard(config);
  const pools = Array.from({ length: endpoints }, () => ({ load: 0, shunnedUntil: 0 }));
  const upstream = upstreamOf(config);
  return { group: new EndpointGroup(upstream, pools, placesOf(config, upstream, board)), board, pools };
}

/** Which endpoints `count` choices in a row fall on, in ascending order, each once. */
function chosen({ group, pools }: ReturnType<typeof groupOf>, count = 12): number[] {
  return [...new Set(Array.from({ length: count }, () => pools.indexOf(group.choose().pool)))].sort((one, other) => one - other);
}

t.test("the choice", async (t) => {
  t.test("equals are chosen in turn, the least loaded before others", async (t) => {
    const three = groupOf(3);
    t.same(
      Array.from({ length: 6 }, () => three.pools.indexOf(three.group.choose().pool)),
      [0, 1, 2, 0, 1, 2],
    );
    for (const [index, pool] of three.pools.entries()) pool.load = [2, 1, 3][index] ?? 0;
    t.same(chosen(three), [1]);
  });

  t.test("an unhealthy endpoint is left out at once, and taken back at once; if all are, none is left out", async (t) => {
    const three = groupOf(3);
    three.board[2] = UNHEALTHY;
    t.same(chosen(three), [1, 2], "the numbers of other upstreams come first");
    three.board[3] = UNHEALTHY;
    t.same(chosen(three), [2]);
    three.board[4] = UNHEALTHY;
    t.same(chosen(three), [0, 1, 2]);
    three.board[2] = 1;
    t.same(chosen(three), [0]);
  });

  t.test("one that could not be connected to is left out for a while, but taken before one known to be bad", async (t) => {
    const two = groupOf(2);
    const [first, second] = two.pools;
    if (first === undefined || second === undefined) throw new Error("two pools");
    first.shunnedUntil = performance.now() + DAY;
    t.same(chosen(two), [1]);
    two.board[3] = UNHEALTHY;
    t.same(chosen(two), [0]);
    two.board[3] = 0;
    first.shunnedUntil = performance.now() - 1;
    t.same(chosen(two), [0, 1]);
  });

  t.test("an ejected endpoint is left out and counted; what was sent before says nothing new", async (t) => {
    const three = groupOf(3, "{ consecutive: 2, ejected_for: 1h }");
    const bad = three.group.seats[1]?.record;
    t.ok(bad);
    for (let i = 0; i < 4; i++) bad?.bad(0);
    t.same(chosen(three), [0, 2]);
    t.equal(bad?.ejections, 1, "the failures of requests that were under way do not lengthen it");
    t.same([...three.board], [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    bad?.good(0);
    t.same(chosen(three), [0, 2], "nor does a late success of those end it");
    bad?.good(1);
    t.same(chosen(three), [0, 1, 2], "that of a request sent since does");
    bad?.bad(0);
    bad?.bad(0);
    t.same(chosen(three), [0, 1, 2], "and what failed late does not begin it anew");
  });

  t.test("when its time is over one request is sent, however little it has to do, and no other until that is known", async (t) => {
    const three = groupOf(3);
    const [seat] = three.group.seats;
    const { record } = seat;
    if (record === undefined) throw new Error("nothing is learned");
    for (const pool of three.pools.slice(1)) pool.load = 5;
    record.standing = { kind: "out", until: performance.now() - 1, ejections: 1 };
    t.equal(three.group.choose(), seat);
    t.same(chosen(three), [1, 2]);
    record.nothing(0);
    t.equal(three.group.choose(), seat);
    t.same(chosen(three), [1, 2]);
    record.begun(0);
    t.same(chosen(three), [0]);
  });

  t.test("no more are ejected than may be, whatever happens to whom", async () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 0, max: 100 }),
        fc.array(fc.record({ who: fc.nat(5), what: fc.constantFrom("bad" as const, "good" as const, "choose" as const) }), {
          maxLength: 100,
        }),
        (endpoints, share, steps) => {
          const all = groupOf(endpoints, `{ consecutive: 2, ejected_for: 1h, most: ${share}% }`);
          const most = Math.floor((endpoints * share) / 100);
          for (const { who, what } of steps) {
            const record = all.group.seats[who % endpoints]?.record;
            if (what === "choose") all.group.choose();
            else record?.[what](record.ejections);
            if (all.group.seats.filter((seat) => seat.record !== undefined && seat.record.standing.kind !== "in").length > most)
              return false;
          }
          return true;
        },
      ),
      { numRuns: 300 },
    );
  });

  t.test("nothing is learned of a single endpoint, of any with ejection off, or where none may be ejected", async (t) => {
    t.equal(groupOf(1).group.seats[0].record, undefined);
    t.equal(groupOf(3, "{ consecutive: 0 }").group.seats[0].record, undefined);
    t.equal(groupOf(3, "{ most: 10% }").group.seats[0].record, undefined);
    t.ok(groupOf(2).group.seats[0].record);
  });

  t.test("a board of another configuration is refused", async (t) => {
    const config = configOf("upstreams: { a: { endpoints: [http://h] } }\nroutes: [{ name: r, match: { path: / }, upstream: a }]");
    const [upstream] = config.upstreams;
    if (upstream === undefined) throw new Error("no upstream");
    t.equal(boardLength(config), 2);
    t.throws(() => placesOf(config, upstream, new Int32Array(3)), RangeError);
  });
});

import fc from "fast-check";
import t from "tap";
import { BUSINESS_METRICS, SIGNAL_KINDS, type BusinessCell } from "../src/analysis/business.ts";
import {
  createRecordedSources,
  decodeFigures,
  decodeRecord,
  encodeRecord,
  type RecordEntry,
  stratumText,
} from "../src/analysis/recording.ts";
import { cellLists, cellOf, textOf } from "./support/windows.ts";

const MINUTE = 60_000;

const businessCells: fc.Arbitrary<readonly BusinessCell[]> = fc.array(
  fc.record({
    arm: fc.constantFrom("stable" as const, "candidate" as const),
    segment: fc.string(),
    metric: fc.constantFrom(...BUSINESS_METRICS),
    sums: fc.record({ users: fc.nat(), y: fc.integer(), n: fc.nat(), yy: fc.nat(), nn: fc.nat(), yn: fc.integer() }),
  }),
  { maxLength: 3 },
);

const entries: fc.Arbitrary<RecordEntry> = fc
  .record({
    from: fc.nat(2 ** 31),
    ms: fc.nat(100_000),
    step: fc.integer({ min: -1, max: 9 }),
    percentageBp: fc.nat(10_000),
    cells: cellLists,
    business: businessCells,
    signals: fc.array(fc.record({ kind: fc.constantFrom(...SIGNAL_KINDS), at: fc.nat(), value: fc.nat(), note: fc.string() }), {
      maxLength: 2,
    }),
    strata: fc.array(fc.record({ step: fc.integer({ min: -1, max: 9 }), assigned: businessCells, served: businessCells }), {
      maxLength: 2,
    }),
    upTo: fc.dictionary(fc.string(), fc.nat(), { noNullPrototype: true }),
    after: fc.string(),
  })
  .map(({ from, ms, cells, ...rest }) => ({
    ...rest,
    from,
    to: from + ms,
    figures: [{ from, to: from + ms, covered: ms > 0 ? [[from, from + ms] as const] : [], instances: ["a", "ünï"], cells }],
  }));

const business = (users: number): BusinessCell => ({
  arm: "candidate",
  segment: "none",
  metric: "accuracy",
  sums: { users, y: users / 2, n: users, yy: users / 4, nn: users, yn: users / 2 },
});

/** Minute after minute, the second of two steps from minute 3 on. */
function entryAt(minute: number, more: Partial<RecordEntry> = {}): RecordEntry {
  const from = minute * MINUTE;
  const to = from + MINUTE;
  return {
    from,
    to,
    step: minute < 3 ? 0 : 1,
    percentageBp: 1_000,
    figures: [{ from, to, covered: [[from, to]], instances: ["a"], cells: [cellOf(10)] }],
    business: [business(4)],
    signals: [{ kind: "sync_lag", at: from + 5, value: minute, note: "" }],
    strata: [{ step: minute < 3 ? 0 : 1, assigned: [business(minute + 1)], served: [] }],
    upTo: { a: minute },
    after: "",
    ...more,
  };
}

t.test("an entry of the record is read as it was written", async () => {
  fc.assert(
    fc.property(entries, (entry) => {
      const read = decodeRecord(encodeRecord(entry));
      if (read === undefined) return false;
      const plain = ({ figures, ...rest }: RecordEntry): string =>
        JSON.stringify([rest, figures.map(({ cells, ...stretch }) => [stretch, textOf(cells)])]);
      const inOrder = ({ from, to, step, percentageBp, figures, business, signals, strata, upTo, after }: RecordEntry): RecordEntry => ({
        from,
        to,
        step,
        percentageBp,
        figures,
        business,
        signals,
        strata,
        upTo,
        after,
      });
      return plain(inOrder(read)) === plain(inOrder(entry));
    }),
  );
});

t.test("windows read of an entry what all others read", async () => {
  fc.assert(
    fc.property(entries, (entry) => {
      const text = encodeRecord(entry);
      const [whole, part] = [decodeRecord(text), decodeFigures(text)];
      if (whole === undefined || part === undefined) return false;
      const shown = ({ from, to, step, upTo, after, figures }: Pick<RecordEntry, "from" | "to" | "step" | "upTo" | "after" | "figures">) =>
        JSON.stringify([from, to, step, upTo, after, figures.map(({ cells, ...stretch }) => [stretch, textOf(cells)])]);
      const strata = JSON.stringify(whole.strata.map((stratum) => [stratum.step, JSON.stringify(stratum)]));
      return shown(whole) === shown(part) && strata === JSON.stringify(part.strata.map(([step, json]) => [step, stratumText(json)]));
    }),
  );
});

t.test("what is no entry is none, whatever it is, and nothing is thrown", async (t) => {
  fc.assert(
    fc.property(
      entries,
      fc.array(fc.tuple(fc.nat(), fc.string({ maxLength: 3 }), fc.nat(4)), { minLength: 1, maxLength: 4 }),
      (entry, edits) => {
        let text = encodeRecord(entry);
        for (const [at, piece, cut] of edits) text = text.slice(0, at % text.length) + piece + text.slice((at % text.length) + cut);
        const read = decodeRecord(text);
        return read === undefined ? (decodeFigures(text)?.to ?? 0) >= 0 : read.to >= read.from && decodeFigures(text) !== undefined;
      },
    ),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => decodeRecord(text) === undefined));
  const good = encodeRecord(entryAt(1));
  t.ok(decodeRecord(good));
  for (const [name, from, to] of [
    ["a later version", '"v":1', '"v":2'],
    ["an unknown metric", '"accuracy"', '"mood"'],
    ["an unknown arm", '"candidate"', '"none"'],
    ["an unknown signal", '"sync_lag"', '"sync"'],
    ["half a tick", '"upTo":{"a":1}', '"upTo":{"a":1.5}'],
    ["no step", '"step":0', '"step":-2'],
  ] as const) {
    t.not(good.replace(from, to), good);
    t.equal(decodeRecord(good.replace(from, to)), undefined, name);
  }
});

t.test("the record played back shows what was there at an instant", async (t) => {
  const late = { from: 30_000, to: 31_000, covered: [], instances: ["b"], cells: [cellOf(100)] };
  const fifth = entryAt(5);
  const records = [4, 0, 2, 1, 3].map((minute) => entryAt(minute)).concat({ ...fifth, figures: [...fifth.figures, late] });
  const { figures, business: source } = createRecordedSources(records);
  const requests = async (from: number, to: number): Promise<number> =>
    (await figures.between(from, to)).cells.reduce((sum, { candidate }) => sum + candidate.requests, 0);

  t.equal(await figures.refresh(MINUTE - 1), undefined, "an entry is there once it is complete");
  t.equal(await requests(0, 10 * MINUTE), 0);
  t.equal(await figures.refresh(4 * MINUTE + 30_000), 4 * MINUTE);
  t.equal(await requests(0, 10 * MINUTE), 40);
  t.equal(await requests(3 * MINUTE, 10 * MINUTE), 10, "a step that begins with an entry");
  t.match(await figures.between(0, 10 * MINUTE), { coveredMs: 4 * MINUTE, instances: ["a"] });
  await figures.refresh(6 * MINUTE);
  t.equal(await requests(0, MINUTE), 110, "what came late counts in its own time");

  await source.refresh(2 * MINUTE);
  t.match(source.between(0, 10 * MINUTE).cells, [{ sums: { users: 8, y: 4 } }]);
  t.same(
    source.between(MINUTE, 10 * MINUTE).signals.map(({ value }) => value),
    [1],
  );
  t.match(source.steps(), [{ step: 0, assigned: [{ sums: { users: 2 } }] }], "user by user, as it was last");
  await source.refresh(5 * MINUTE);
  t.match(source.steps(), [{ assigned: [{ sums: { users: 3 } }] }, { assigned: [{ sums: { users: 5 } }] }]);
});

t.test("a record without entries has no figures", async (t) => {
  const { figures, business: source } = createRecordedSources([]);
  t.equal(await figures.refresh(0), undefined);
  t.match(await figures.between(0, 1), { coveredMs: 0, cells: [] });
  t.same(source.between(0, 1).cells, []);
  t.same(source.steps(), []);
});

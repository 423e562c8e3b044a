import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import type { Quality } from "../src/config/config.ts";
import { pointerSteps, readFigures } from "../src/resilience/json-figures.ts";
import { readQuality } from "../src/resilience/quality.ts";

const QUALITY: Quality = { pointer: "/matches/*/confidence", reduce: "mean", scale: 1 };

function read(body: string | Uint8Array, quality: Partial<Quality> = {}): unknown {
  const all = { ...QUALITY, ...quality };
  return readQuality(Buffer.from(body), all, pointerSteps(all.pointer));
}

/** What the reader is to find, by the parser that everybody knows; undefined where the text is no JSON. */
function expected(text: string, pointer: string): number[] | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  const figures: number[] = [];
  const steps = pointerSteps(pointer).map(({ name }) => name);
  const collect = (value: unknown, at: number): void => {
    const step = steps[at];
    if (step === undefined) {
      if (typeof value === "number" && Number.isFinite(value)) figures.push(value);
      else if (typeof value === "string") figures.push(value.length);
    } else if (typeof value === "object" && value !== null) {
      for (const [name, element] of Object.entries(value)) if (step === "*" || step === name) collect(element, at + 1);
    }
  };
  collect(document, 0);
  return figures;
}

function found(bytes: Uint8Array, pointer: string): number[] | undefined {
  const figures: number[] = [];
  return readFigures(bytes, pointerSteps(pointer), (word) => word.length, figures) ? figures : undefined;
}

const names = fc.constantFrom("a", "b", "c/d", "~", "é", 'quality "1"', "__proto__", "0", "1");
const tree = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.string({ unit: "grapheme" }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie("value"), { maxLength: 4 }),
    // Names that look like numbers would be moved to the front by the parser.
    fc
      .uniqueArray(
        fc.tuple(
          names.filter((name) => !/^\d/.test(name)),
          tie("value"),
        ),
        { maxLength: 4, selector: ([name]) => name },
      )
      .map((entries) => {
        const object: Record<string, unknown> = {};
        for (const [name, value] of entries) Object.defineProperty(object, name, { value, enumerable: true, configurable: true });
        return object;
      }),
  ),
})).value;
const pointers = fc
  .array(fc.oneof(names, fc.constant("*")), { maxLength: 4 })
  .map((steps) => steps.map((step) => `/${step.replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""));
const spacing = fc.constantFrom("", " ", "\t", "  ");

t.test("finds what stands at a pointer, however the document is written", async (t) => {
  fc.assert(
    fc.property(tree, pointers, spacing, (document, pointer, space) => {
      const text = JSON.stringify(document, null, space);
      assert.deepStrictEqual(found(Buffer.from(text), pointer), expected(text, pointer), `${pointer} in ${text}`);
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

t.test("escapes mean what they stand for", async (t) => {
  const escape = (text: string): string =>
    text.replace(/[a-z]/g, (letter) => (letter < "n" ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}` : letter));
  fc.assert(
    fc.property(tree, pointers, (document, pointer) => {
      const text = JSON.stringify(document).replace(/"(?:[^"\\]|\\.)*"/g, (string) => (string.includes("\\") ? string : escape(string)));
      assert.deepStrictEqual(found(Buffer.from(text), pointer), expected(text, pointer));
    }),
  );
  t.pass();
});

t.test("takes for JSON what the parser takes for JSON, after any change of a byte", async (t) => {
  const change = fc.tuple(
    fc.nat(),
    fc.constantFrom("set", "insert", "delete"),
    fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\u-+.eE019truefalsn '))),
  );
  fc.assert(
    fc.property(tree, pointers, fc.array(change, { minLength: 1, maxLength: 3 }), spacing, (document, pointer, changes, space) => {
      let bytes = Buffer.from(JSON.stringify(document, null, space));
      for (const [at, how, byte] of changes) {
        const place = at % (bytes.length + 1);
        const rest = bytes.subarray(how === "insert" ? place : place + 1);
        bytes = Buffer.concat([bytes.subarray(0, place), how === "delete" ? Buffer.alloc(0) : Buffer.from([byte]), rest]);
      }
      const text = bytes.toString();
      const wanted = expected(text, pointer);
      const got = found(bytes, pointer);
      assert.equal(got === undefined, wanted === undefined, JSON.stringify(text));
      // Where a change has made two names one, or one a number, `*` goes its own way.
      if (!pointer.includes("*")) assert.deepStrictEqual(got, wanted, JSON.stringify(text));
    }),
    { numRuns: 5_000 },
  );
  t.pass();
});

t.test("bytes of any kind are read or refused, and nothing is thrown", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.equal(found(bytes, "/a") === undefined, expected(Buffer.from(bytes).toString(), "/a") === undefined);
    }),
  );
  for (const text of [
    "",
    " ",
    "\ufeff{}",
    "nul",
    "nulll",
    "[1,]",
    "[,1]",
    '{"a":1,}',
    '{"a"}',
    "{a:1}",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "1e+",
    '"\\x"',
    '"\\u12g4"',
    '"\n"',
    "[1 2]",
    "[1}",
    "]",
    "1 1",
    "'a'",
    "NaN",
    "\u00a01",
  ]) {
    t.equal(found(Buffer.from(text), ""), undefined, JSON.stringify(text));
  }
});

t.test("numbers are read to the last bit", async (t) => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      for (const text of [JSON.stringify(number), number.toExponential(), number.toFixed(3)])
        assert.deepStrictEqual(found(Buffer.from(text), ""), [Number(text)]);
    }),
  );
  t.same(
    found(Buffer.from("[1e999, -0, 1E5, 0.30000000000000004]"), "/*"),
    [-0, 1e5, 0.30000000000000004],
    "what is beyond all numbers is none",
  );
});

t.test("of members of one name the last counts", async (t) => {
  t.same(found(Buffer.from('{"a":{"b":1},"a":{"b":2,"b":3}}'), "/a/b"), [3]);
  t.same(found(Buffer.from('{"a":{"b":1},"a":4}'), "/a/b"), [], "also when there is nothing to find in it");
  t.same(found(Buffer.from('[{"a":1,"a":2},{"a":3}]'), "/*/a"), [2, 3]);
  t.same(found(Buffer.from('{"x":1,"x":2}'), "/*"), [1, 2], "but a star counts them all");
});

t.test("depth is no limit", async (t) => {
  const depth = 100_000;
  t.same(found(Buffer.from(`${"[".repeat(depth)}${"]".repeat(depth)}`), "/0"), []);
  t.equal(found(Buffer.from("[".repeat(depth)), "/0"), undefined);
  t.same(found(Buffer.from(`{"deep":${'{"a":['.repeat(depth)}${"]}".repeat(depth)},"q":7}`), "/q"), [7]);
});

t.test("a quality is a figure of the scale, or a word", async (t) => {
  t.same(read('{"matches":[{"confidence":0.5},{"confidence":1},{"other":9}]}'), { kind: "figure", ratio: 0.75 });
  t.same(read('{"matches":[{"confidence":"high"},{"confidence":"of no kind"}]}'), { kind: "figure", ratio: 0.85 });
  t.same(read('{"matches":[{"confidence":"constructor"}]}'), { kind: "missing" });
  t.same(read('{"matches":[]}'), { kind: "missing" });
  t.same(read("<html>"), { kind: "not-json" });
  t.same(read('{"score":87}', { pointer: "/score", scale: 100 }), { kind: "figure", ratio: 0.87 });
  t.same(read('{"score":"low"}', { pointer: "/score", scale: 100 }), { kind: "figure", ratio: 0.4 });
  t.same(read('{"score":170}', { pointer: "/score", scale: 100 }), { kind: "figure", ratio: 1 });
  t.same(read('{"score":-3}', { pointer: "/score", scale: 100 }), { kind: "figure", ratio: 0 });
  const three = '{"matches":[{"confidence":0.5},{"confidence":0.25},{"confidence":1}]}';
  t.same(read(three, { reduce: "first" }), { kind: "figure", ratio: 0.5 });
  t.same(read(three, { reduce: "min" }), { kind: "figure", ratio: 0.25 });
  t.same(read(three, { reduce: "max" }), { kind: "figure", ratio: 1 });
});

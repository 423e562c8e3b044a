import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import type { Quality } from "../src/config/config.ts";
import { assess } from "../src/resilience/assess.ts";
import { createPlan, pointerSteps } from "../src/resilience/json-plan.ts";
import { Finds, scan } from "../src/resilience/json-scan.ts";
import { bareEnd, isNumber, numberOf, stringEnd, textOf } from "../src/resilience/json-text.ts";
import type { Judgement } from "../src/resilience/signs.ts";
import { createJudge } from "../src/resilience/signs.ts";

const QUALITY: Quality = { pointer: "/matches/*/confidence", reduce: "mean", scale: 1 };

function read(body: string | Uint8Array, quality: Partial<Quality> = {}): unknown {
  return createJudge({ ...QUALITY, ...quality }, undefined)?.judge(Buffer.from(body), undefined).quality;
}

/** What the scan is to find, by the parser that everybody knows; undefined where the text is no JSON. */
function expected(text: string, pointer: string): unknown[] | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  const values: unknown[] = [];
  const steps = pointerSteps(pointer).map(({ name }) => name);
  const collect = (value: unknown, at: number): void => {
    const step = steps[at];
    if (step === undefined)
      values.push(Array.isArray(value) ? "a list" : typeof value === "object" && value !== null ? "an object" : value);
    else if (typeof value === "object" && value !== null) {
      for (const [name, element] of Object.entries(value)) if (step === "*" || step === name) collect(element, at + 1);
    }
  };
  // A document that is a single figure or word holds nothing that is looked for.
  if (typeof document === "object" && document !== null) collect(document, 0);
  return values;
}

function foundAll(bytes: Uint8Array, pointers: readonly string[]): unknown[][] | undefined {
  const plan = createPlan(pointers);
  const finds = new Finds(plan);
  if (!scan(bytes, plan, finds)) return undefined;
  return pointers.map((_, slot) => Array.from({ length: finds.count(slot) }, (_, index) => valueAt(bytes, finds.start(slot, index))));
}

function found(bytes: Uint8Array, pointer: string): unknown[] | undefined {
  return foundAll(bytes, [pointer])?.[0];
}

function valueAt(bytes: Uint8Array, at: number): unknown {
  const first = bytes[at] ?? 0;
  if (first === 0x5b) return "a list";
  if (first === 0x7b) return "an object";
  if (first === 0x22) return textOf(bytes, at, stringEnd(bytes, at));
  const end = bareEnd(bytes, at, first);
  return isNumber(first) ? numberOf(bytes, at, end) : JSON.parse(Buffer.from(bytes.subarray(at, end)).toString());
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

t.test("finds at several pointers in one pass what it finds at each alone", async (t) => {
  fc.assert(
    fc.property(tree, fc.array(pointers, { maxLength: 6 }), spacing, (document, several, space) => {
      const text = JSON.stringify(document, null, space);
      const each = several.map((pointer) => expected(text, pointer));
      assert.deepStrictEqual(foundAll(Buffer.from(text), several), each, `${several.join(" ")} in ${text}`);
    }),
    { numRuns: 2_000 },
  );
  const twice = Buffer.from('{"a":{"x":1,"y":2},"b":{"x":3},"a":{"x":4}}');
  t.same(
    foundAll(twice, ["/a/x", "/*/x", "/a/y", "/a", "/b/x"]),
    [[4], [1, 3, 4], [], ["an object"], [3]],
    "each with its own last member",
  );
  t.same(foundAll(Buffer.from("[[1,2],[3,4]]"), ["/0/1", "/*/0", "/1"]), [[2], [1, 3], ["a list"]]);
});

t.test("more finds than there was room for are all kept", async (t) => {
  const many = Array.from({ length: 20_000 }, (_, i) => i);
  const plan = createPlan(["/*"]);
  const finds = new Finds(plan);
  const bytes = Buffer.from(JSON.stringify(many));
  for (let round = 0; round < 2; round++) {
    t.ok(scan(bytes, plan, finds));
    t.equal(finds.count(0), 20_000);
    t.equal(valueAt(bytes, finds.start(0, 19_999)), 19_999);
  }
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

t.test("never looks beyond the end, which would make every later look slower", async (t) => {
  const guarded = (bytes: Uint8Array): Uint8Array =>
    new Proxy(bytes, {
      get: (target, name) => {
        if (typeof name === "string" && /^-?\d+$/.test(name))
          assert.ok(Object.hasOwn(target, name), `looked at ${name} of ${target.length}`);
        // What is cut off a guarded document is guarded as well.
        if (name === "subarray") return (from: number, to: number) => guarded(target.subarray(from, to));
        const value: unknown = Reflect.get(target, name);
        return value;
      },
    });
  const look = (text: string): void => {
    for (let length = 0; length <= text.length; length++) {
      const bytes = Buffer.from(text.slice(0, length));
      // Any closing at the end gets further than none.
      for (const end of ["", "}", "]"]) {
        const cut = guarded(Buffer.concat([bytes, Buffer.from(end)]));
        if (/^\s*[[{]/.test(text)) scan(cut, plan, finds);
      }
    }
  };
  const plan = createPlan(["/a/b", "/*/1"]);
  const finds = new Finds(plan);
  look('{"a":{"b":[1,-2.5e+7,true,null,"x\\u00e9\\n"],"c":{"d":[{},[]]}},"longer name":[false,{"1":2}]}  ');
  look('[[{"a":[1]}],["\\u12');
  fc.assert(
    fc.property(tree, spacing, (document, space) => look(JSON.stringify([document], null, space))),
    { numRuns: 50 },
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
    "[",
    "{",
    '{"a":{}',
    '{"a":[1]',
    '[{"a":1}',
    "[[[]]",
    '{"a":1}}',
    '{"a":1}]',
    '{"a":{"b":"}',
    '["\\',
    '["\\u12]',
    '["a\\"]',
    "[1]]",
    "{]",
    "[-]",
    "[1.]",
    "[tru]",
    "[t]",
    '{"a":}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    "{1:2}",
    "[1]\u0000",
  ]) {
    t.equal(found(Buffer.from(text), ""), undefined, JSON.stringify(text));
  }
});

t.test("numbers are read to the last bit", async (t) => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      for (const text of [JSON.stringify(number), number.toExponential(), number.toFixed(3)])
        assert.deepStrictEqual(found(Buffer.from(`[${text}]`), "/0"), [Number(text)]);
    }),
  );
  t.same(found(Buffer.from("[-0, 1E5, 0.30000000000000004]"), "/*"), [-0, 1e5, 0.30000000000000004]);
  t.same(
    read('{"matches":[{"confidence":1e999},{"confidence":0.5}]}'),
    { kind: "figure", ratio: 0.5 },
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
  t.same(found(Buffer.from(`${"[".repeat(depth)}${"]".repeat(depth)}`), "/0"), ["a list"]);
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

t.test("sums beyond all measure are no quality", async (t) => {
  t.same(read('{"matches":[{"confidence":1e308},{"confidence":1e308},{"confidence":1e308}]}'), { kind: "figure", ratio: 1 });
  t.same(read('{"matches":[{"confidence":"hi\\u0067h"}]}'), { kind: "figure", ratio: 0.85 }, "a word may be written with escapes");
  t.same(read('{"matches":[{"confidence":null},{"confidence":true},{"confidence":[1]},{"confidence":{}}]}'), { kind: "missing" });
});

t.test("an answer is judged by its status, then by a sign, then by its quality", async (t) => {
  const fine: Judgement = { quality: { kind: "figure", ratio: 0.9 }, sign: undefined, detail: "" };
  const good = { good: true, outcome: "ok" };
  t.same(assess(200, undefined, 8_500), good, "nothing is read");
  t.same(assess(200, fine, 8_500), good);
  t.same(assess(200, { ...fine, quality: undefined }, 8_500), good, "signs are read, quality is not");
  t.same(assess(200, fine, 9_000), good, "at the floor is not below it");
  t.match(assess(200, fine, 9_001), {
    good: false,
    outcome: "degraded",
    reason: "quality",
    sign: "quality",
    detail: /0\.900 is below 0\.9001/,
  });
  t.match(assess(200, { ...fine, quality: { kind: "missing" } }, 0), {
    good: false,
    outcome: "degraded",
    reason: "quality",
    sign: "quality",
  });
  t.match(assess(200, { ...fine, quality: { kind: "not-json" } }, 0), {
    good: false,
    outcome: "bad-answer",
    reason: "quality",
    sign: "not-json",
  });
  t.same(assess(200, { ...fine, sign: "success-false", detail: "success is false" }, 0), {
    good: false,
    outcome: "degraded",
    reason: "quality",
    sign: "success-false",
    detail: "success is false",
  });
  t.match(assess(200, { ...fine, sign: "not-json", detail: "x" }, 0), { outcome: "bad-answer", sign: "not-json" });
  t.same(assess(503, { ...fine, sign: "not-json" }, 0), {
    good: false,
    outcome: "server-error",
    reason: "error",
    sign: undefined,
    detail: "status 503",
  });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import {
  createJudge,
  FALLBACK_ALGORITHMS,
  SIGNS,
  type Judgement,
  type Sign,
  type SignPaths,
  type SignSettings,
} from "../src/resilience/signs.ts";

const PATHS: SignPaths = {
  success: "/success",
  algorithm: "/algorithm_used",
  fallbackFlags: ["/metadata/fallback", "/fallback_utilise"],
  matches: "/matches",
  answerIds: "/matches/*/offer_id",
  requestIds: "/offers/*/id",
  scores: "/matches/*/overall_score",
  confidences: "/matches/*/confidence",
};

function settings(enabled: readonly Sign[], paths: Partial<SignPaths> = {}): SignSettings {
  return { enabled, paths: { ...PATHS, ...paths }, fallbackAlgorithms: FALLBACK_ALGORITHMS, confidenceAtMost: 0.6 };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Documents, or their texts. */
function judge(answer: unknown, request: unknown, enabled: readonly Sign[] = SIGNS, paths: Partial<SignPaths> = {}): Judgement | undefined {
  const body = request === undefined ? undefined : Buffer.from(textOf(request));
  return createJudge(undefined, settings(enabled, paths))?.judge(Buffer.from(textOf(answer)), body);
}

function sign(answer: unknown, request: unknown, enabled: readonly Sign[] = SIGNS, paths: Partial<SignPaths> = {}): Sign | undefined {
  return judge(answer, request, enabled, paths)?.sign;
}

const request = (...ids: readonly unknown[]): object => ({ candidate: { id: "c" }, offers: ids.map((id) => ({ id, title: "t" })) });
const answer = (...ids: readonly unknown[]): object => ({
  success: true,
  matches: ids.map((id, index) => ({ offer_id: id, overall_score: 0.9 - index / 100, confidence: 0.8 })),
  algorithm_used: "nexten",
  metadata: { fallback: false },
  performance_metrics: { fallback_used: true },
});

t.test("a good answer shows no sign", async (t) => {
  t.same(judge(answer("a", "b"), request("a", "b")), { quality: undefined, sign: undefined, detail: "" });
  t.same(judge(answer("b", "a"), request("a", "b")), { quality: undefined, sign: undefined, detail: "" }, "in any order");
});

t.test("nothing to read, no judge", async (t) => {
  t.equal(createJudge(undefined, undefined), undefined);
  t.equal(createJudge(undefined, settings([])), undefined);
  const both = createJudge({ pointer: "/matches/*/confidence", reduce: "min", scale: 1 }, settings(["success-false"]));
  t.same(both?.judge(Buffer.from('{"success":false,"matches":[{"confidence":0.25}]}'), undefined), {
    quality: { kind: "figure", ratio: 0.25 },
    sign: "success-false",
    detail: "success is false",
  });
});

t.test("each sign has its own words", async (t) => {
  t.match(judge("<html>", request("a")), { sign: "not-json", detail: "the body is not JSON" });
  t.match(judge("", request("a")), { sign: "not-json" }, "nothing at all is no JSON");
  t.match(judge({ ...answer("a"), success: false }, request("a")), { sign: "success-false", detail: "success is false" });
  t.match(judge({ ...answer("a"), metadata: { fallback: true } }, request("a")), {
    sign: "fallback-flag",
    detail: "metadata/fallback is true",
  });
  t.match(judge({ ...answer("a"), fallback_utilise: true }, request("a")), { sign: "fallback-flag", detail: "fallback_utilise is true" });
  for (const name of FALLBACK_ALGORITHMS)
    t.match(judge({ ...answer("a"), algorithm_used: name }, request("a")), {
      sign: "fallback-algorithm",
      detail: `algorithm_used is "${name}"`,
    });
  t.match(judge(answer(), request("a", "b")), { sign: "empty-matches", detail: "no matches for 2 asked about" });
  t.match(judge(answer("a"), request("a", "b")), { sign: "missing-ids", detail: "1 of 2 ids are answered" });
  t.match(judge(answer("a", "x"), request("a", "b")), { sign: "foreign-ids", detail: "1 answered ids were not asked for" });
  const even = { matches: [1, 2].map((id) => ({ offer_id: id, overall_score: 0.5, confidence: 0.6 })) };
  t.match(judge(even, request(1, 2)), { sign: "equal-scores", detail: "all 2 scores are 0.5, and no confidence is above 0.6" });
});

t.test("only booleans and names count, not what looks like them", async (t) => {
  for (const success of [0, null, "false", "", true]) t.equal(sign({ ...answer("a"), success }, request("a")), undefined, textOf(success));
  for (const fallback of [1, "true", null, {}, [true]]) t.equal(sign({ ...answer("a"), metadata: { fallback } }, request("a")), undefined);
  for (const algorithm_used of [{ name: "fallback" }, ["fallback"], "Fallback", "fallback ", "smart_fallback", null])
    t.equal(sign({ ...answer("a"), algorithm_used }, request("a")), undefined, textOf(algorithm_used));
  t.equal(sign({ algorithm_used: { name: "fallback" } }, undefined, SIGNS, { algorithm: "/algorithm_used/name" }), "fallback-algorithm");
  t.equal(sign('{"algorithm_used":"fallb\\u0061ck"}', undefined), "fallback-algorithm", "escapes mean what they stand for");
});

t.test("that a generation of V2 sets its flag on every success is never a sign", async (t) => {
  const one = { ...answer("a"), performance_metrics: { fallback_used: true } };
  for (const pointer of ["/performance_metrics/fallback_used", "/*/fallback_used", "/performance_metrics/*", "/*/*"])
    t.equal(sign(one, request("a"), SIGNS, { fallbackFlags: [pointer] }), undefined, pointer);
  t.equal(sign({ ...one, other: { fallback_used: true } }, request("a"), SIGNS, { fallbackFlags: ["/*/fallback_used"] }), "fallback-flag");
});

t.test("an empty answer is a sign only where something was asked about", async (t) => {
  const only: readonly Sign[] = ["empty-matches"];
  for (const matches of [[], undefined, null])
    t.equal(sign({ success: true, matches }, request("a"), only), "empty-matches", textOf({ matches }));
  t.equal(sign('{"matches": [ \n ] }', request("a"), only), "empty-matches", "however it is written");
  for (const matches of [{}, "none", 0, [null]]) t.equal(sign({ matches }, request("a"), only), undefined, textOf(matches));
  t.equal(sign({ matches: [] }, { offers: [{ title: "no id" }] }, only), "empty-matches", "an offer needs no id for that");
  for (const nothing of [undefined, "no json", request(), { jobs: [{ id: 1 }] }, {}, [], "7"])
    t.equal(sign({ matches: [] }, nothing, only), undefined, textOf(nothing ?? "unknown"));
  t.equal(sign({ matches: [] }, { ...request("a"), limit: 0 }, only), undefined, "who wants none gets none");
  t.equal(sign({ matches: [] }, request("a"), only, { requestIds: undefined }), undefined);
  t.equal(sign({ matches: [] }, request("a"), only, { matches: undefined }), undefined);
});

t.test("ids are missing only below what the client would take", async (t) => {
  const only: readonly Sign[] = ["missing-ids"];
  for (const limit of [
    { limit: 1 },
    { top_k: 1 },
    { max_results: 1 },
    { limit: "1" },
    { options: { limit: 1 } },
    { limit: 2, top_k: 1 },
    { limit: 1.5 },
  ])
    t.equal(sign(answer("a"), { ...request("a", "b", "c"), ...limit }, only), undefined, textOf(limit));
  for (const limit of [{}, { limit: 2 }, { limit: null }, { limit: 50 }])
    t.equal(sign(answer("a"), { ...request("a", "b", "c"), ...limit }, only), "missing-ids", textOf(limit));
  for (const limit of [{ limit: "many" }, { limit: -1 }, { limit: [] }, { limit: true }])
    t.equal(sign(answer("a"), { ...request("a", "b", "c"), ...limit }, only), undefined, `not understood: ${textOf(limit)}`);
  t.equal(sign(answer("a", "a"), request("a", "b"), only), "missing-ids", "one answered twice is answered once");
  t.equal(sign(answer("a"), request("a", "a"), only), undefined, "one asked for twice is asked for once");
  t.equal(sign({ matches: [{ offer_id: "a" }, { score: 1 }] }, request("a", "b"), only), undefined, "what bears no id may be the other");
  t.equal(sign(answer(), request("a"), only), "missing-ids");
});

t.test("ids are told apart by type and value, not by how they are written", async (t) => {
  const only: readonly Sign[] = ["foreign-ids"];
  const one = (asked: string, answered: string): Sign | undefined =>
    sign(`{"matches":[{"offer_id":${answered}}]}`, `{"offers":[{"id":${asked}}]}`, only);
  for (const [asked, answered] of [
    ["7", "7.0"],
    ["7", "0.7e1"],
    ["0", "-0"],
    ["1.50", "1.5"],
    ["100", "1E+2"],
    ['"A"', '"\\u0041"'],
    ['"é"', '"\\u00e9"'],
    ['"😀"', '"\\ud83d\\ude00"'],
    ['"a/b"', '"a\\/b"'],
    ['""', '""'],
    ["9007199254740993", "9007199254740993"],
  ] as const) {
    t.equal(one(asked, answered), undefined, `${asked} is ${answered}`);
    t.equal(one(answered, asked), undefined, `${answered} is ${asked}`);
  }
  for (const [asked, answered] of [
    ["7", '"7"'],
    ["7", "70"],
    ["7", "-7"],
    ['"a"', '"A"'],
    ['"a"', '"a "'],
    ['"a"', '""'],
    ["9007199254740993", "9007199254740992"],
  ] as const) {
    t.equal(one(asked, answered), "foreign-ids", `${asked} is not ${answered}`);
    t.equal(one(answered, asked), "foreign-ids", `${answered} is not ${asked}`);
  }
});

t.test("where the ids asked for are not known, none is missing or foreign", async (t) => {
  const only: readonly Sign[] = ["missing-ids", "foreign-ids"];
  for (const unknown of [
    undefined,
    "no json",
    {},
    request("a", null),
    request("a", {}),
    request("a", true),
    { offers: [{ id: "a" }, { title: "no id" }] },
  ])
    t.equal(sign(answer("x"), unknown, only), undefined, textOf(unknown ?? "unknown"));
  t.equal(sign(answer("x"), request("a"), only, { requestIds: undefined }), undefined);
  t.equal(sign(answer("x"), request("a"), only, { answerIds: undefined }), undefined);
  t.equal(sign({ matches: [{ offer_id: null }, { offer_id: {} }] }, request("a", "b"), only), undefined, "no plain id is no foreign one");
  const many = Array.from({ length: 10_000 }, (_, i) => `offer-${i}`);
  t.equal(sign(answer(...many), request(...many), only), undefined);
  t.equal(sign(answer(...many.slice(1), "x"), request(...many), only), "foreign-ids");
  t.equal(sign(answer("x"), request(...many, "one more"), only), undefined, "of too many nothing is said");
  t.equal(sign(answer(...many, "x"), request("a"), only), undefined);
});

t.test("ids of every length and number are all found again", async (t) => {
  const ids = fc.uniqueArray(fc.oneof(fc.string({ maxLength: 40 }), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })), {
    maxLength: 300,
    comparator: "SameValueZero",
  });
  fc.assert(
    fc.property(ids, fc.nat(), (all, turn) => {
      const turned = [...all.slice(turn % (all.length + 1)), ...all.slice(0, turn % (all.length + 1))];
      assert.equal(sign(answer(...turned), request(...all), ["missing-ids", "foreign-ids"]), undefined);
      if (all.length > 1) assert.equal(sign(answer(...turned), request(...all.slice(1)), ["missing-ids", "foreign-ids"]), "foreign-ids");
      if (all.length > 1) assert.equal(sign(answer(...turned.slice(1)), request(...all), ["missing-ids", "foreign-ids"]), "missing-ids");
    }),
    { numRuns: 200 },
  );
  t.pass();
});

t.test("equal scores are a sign only together with low confidence", async (t) => {
  const only: readonly Sign[] = ["equal-scores"];
  const scored = (...pairs: readonly (readonly [unknown, unknown])[]): object => ({
    matches: pairs.map(([overall_score, confidence]) => ({ overall_score, confidence })),
  });
  t.equal(sign(scored([0.5, 0.6], [0.5, 0.1]), undefined, only), "equal-scores");
  t.equal(sign(scored([0.5, 0.6], [0.5, 0.61]), undefined, only), undefined);
  t.equal(sign(scored([0.5, 0.6], [0.51, 0.6]), undefined, only), undefined);
  t.equal(sign(scored([0.5, 0.6]), undefined, only), undefined, "one score is equal to nothing");
  t.equal(sign(scored([0.5, undefined], [0.5, undefined]), undefined, only), undefined, "nothing is said of confidence");
  t.equal(sign(scored([0.5, null], [0.5, 0.2], [null, 0.1]), undefined, only), "equal-scores", "what is no figure does not count");
  t.equal(sign(scored([0.5, "low"], [0.5, "very_low"]), undefined, only), "equal-scores", "words have their worth");
  t.equal(sign(scored([0.5, "low"], [0.5, "high"]), undefined, only), undefined);
  t.equal(
    sign('{"matches":[{"overall_score":5e-1,"confidence":0},{"overall_score":0.50,"confidence":0}]}', undefined, only),
    "equal-scores",
  );
  t.equal(sign(scored([0.5, 0.1], [0.5, 0.1]), undefined, only, { confidences: undefined }), undefined);
});

t.test("what is not enabled is not seen", async (t) => {
  const worst = { success: false, fallback_utilise: true, algorithm_used: "fallback", matches: [] };
  t.equal(sign(worst, request("a"), ["foreign-ids", "equal-scores", "not-json"]), undefined);
  t.equal(sign("no json", request("a"), ["success-false"]), undefined);
  t.same(createJudge({ pointer: "/q", reduce: "first", scale: 1 }, settings(["success-false"]))?.judge(Buffer.from("no json"), undefined), {
    quality: { kind: "not-json" },
    sign: undefined,
    detail: "",
  });
  t.equal(sign("", undefined, ["not-json"]), "not-json");
  t.equal(sign("7", undefined, ["not-json"]), undefined);
});

/** The signs that hold, by the parser that everybody knows, in the plainest way. */
function oracle(answerText: string, requestText: string | undefined): ReadonlySet<Sign> {
  const holds = new Set<Sign>();
  const parsed = parse(answerText);
  if (parsed === undefined) return holds.add("not-json");
  const body = parsed.value;
  const matches = at(body, "matches");
  if (at(body, "success") === false) holds.add("success-false");
  if (at(at(body, "metadata"), "fallback") === true || at(body, "fallback_utilise") === true) holds.add("fallback-flag");
  const algorithm = at(body, "algorithm_used");
  if (typeof algorithm === "string" && FALLBACK_ALGORITHMS.includes(algorithm)) holds.add("fallback-algorithm");
  const scores = numbers(elements(matches).map((match) => at(match, "overall_score")));
  const confidences = numbers(elements(matches).map((match) => at(match, "confidence")));
  if (scores.length > 1 && new Set(scores).size === 1 && confidences.length > 0 && confidences.every((one) => one <= 0.6))
    holds.add("equal-scores");

  const asking = requestText === undefined ? undefined : parse(requestText)?.value;
  const offers = elements(at(asking, "offers"));
  const limit = at(asking, "limit");
  if (offers.length > 0 && limit !== 0 && (matches === undefined || matches === null || (Array.isArray(matches) && matches.length === 0)))
    holds.add("empty-matches");
  const ids = offers.map((offer) => at(offer, "id"));
  if (ids.length === 0 || !ids.every((id) => typeof id === "string" || typeof id === "number")) return holds;
  const answered = elements(matches).map((match) => at(match, "offer_id"));
  const known = answered.filter((id) => typeof id === "string" || typeof id === "number");
  const foreign = known.filter((id) => !ids.includes(id));
  if (foreign.length > 0) holds.add("foreign-ids");
  const asked = new Set(ids);
  const met = new Set(known.filter((id) => ids.includes(id)));
  const most = typeof limit === "number" ? Math.min(limit, asked.size) : asked.size;
  if (met.size < asked.size && met.size + foreign.length + answered.length - known.length < most) holds.add("missing-ids");
  return holds;
}

function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function at(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Object.getOwnPropertyDescriptor(value, name)?.value
    : undefined;
}

/** `*` stands for the elements of a list and for the members of an object. */
function elements(value: unknown): readonly unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}

function numbers(values: readonly unknown[]): readonly number[] {
  return values.filter((value) => typeof value === "number");
}

const ids = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("a", "b", 'c"', "é", "7", 7, 7.5, 0, -1) },
  { weight: 1, arbitrary: fc.constantFrom(null, true, {}, undefined) },
);
const shares = fc.constantFrom(0.5, 0.5, 0.5, 0.25, 0.9, null, undefined, "x");
const matchLists = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(fc.record({ offer_id: ids, overall_score: shares, confidence: shares, insights: fc.constant(["x", {}]) }), {
      maxLength: 5,
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom(null, undefined, {}, "none") },
);
const answers = fc.record({
  success: fc.constantFrom(true, true, true, false, "false", undefined),
  context: fc.constant({ success: false, matches: [], list: [[], {}, [1, "]"]] }),
  matches: matchLists,
  algorithm_used: fc.constantFrom("nexten", "nexten", "fallback_basic", "é", null, { name: "fallback" }),
  metadata: fc.constantFrom({ fallback: false }, { fallback: false }, { fallback: true }, null, [true]),
  fallback_utilise: fc.constantFrom(undefined, undefined, false, true),
  performance_metrics: fc.constant({ fallback_used: true }),
});
const requests = fc.record({
  candidate: fc.constant({ id: 1, offers: [{ id: "a" }] }),
  offers: fc.oneof(
    { weight: 6, arbitrary: fc.array(fc.record({ id: ids, title: fc.constant("t") }), { maxLength: 5 }) },
    fc.constantFrom(null, {}, "a"),
  ),
  limit: fc.constantFrom(undefined, undefined, null, 0, 1, 2, 9),
});
const enabled = fc.subarray([...SIGNS]);
const spacing = fc.constantFrom("", " ", "\t");
const change = fc.tuple(
  fc.nat(),
  fc.constantFrom("set", "insert", "delete"),
  fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\u-+.eE019truefalsn '))),
);

function changed(text: string, changes: readonly (readonly [number, string, number])[]): Buffer {
  let bytes = Buffer.from(text);
  for (const [where, how, byte] of changes) {
    const place = where % (bytes.length + 1);
    const rest = bytes.subarray(how === "insert" ? place : place + 1);
    bytes = Buffer.concat([bytes.subarray(0, place), how === "delete" ? Buffer.alloc(0) : Buffer.from([byte]), rest]);
  }
  return bytes;
}

t.test("finds the first enabled sign that the plainest reading finds", async (t) => {
  const seen = new Map<Sign | undefined, number>();
  fc.assert(
    fc.property(answers, fc.option(requests, { nil: undefined, freq: 8 }), enabled, spacing, (one, other, signs, space) => {
      const answerText = JSON.stringify(one, null, space);
      const requestText = other && JSON.stringify(other, null, space);
      const holds = oracle(answerText, requestText);
      const wanted = SIGNS.find((name) => signs.includes(name) && holds.has(name));
      const got = sign(answerText, requestText, signs);
      assert.equal(got, wanted, `${answerText} for ${requestText}`);
      seen.set(got, (seen.get(got) ?? 0) + 1);
    }),
    { numRuns: 4_000 },
  );
  for (const name of [undefined, ...SIGNS.filter((one) => one !== "not-json")]) t.ok((seen.get(name) ?? 0) > 10, `${name} came up`);
});

t.test("and so it does after any change of a byte, of the answer or the request", async (t) => {
  const changes = fc.array(change, { maxLength: 2 });
  fc.assert(
    fc.property(answers, requests, enabled, changes, changes, (one, other, signs, first, second) => {
      const answerBytes = changed(JSON.stringify(one), first);
      const requestBytes = changed(JSON.stringify(other), second);
      const answerText = answerBytes.toString();
      const requestText = requestBytes.toString();
      const got = createJudge(undefined, settings(signs))?.judge(answerBytes, requestBytes).sign;
      // Bytes that are no UTF-8 make ids different that are alike once they have been replaced; names twice make lists of objects longer.
      if (answerText.includes("\ufffd") || requestText.includes("\ufffd")) return;
      // A limit may have become one that is not understood.
      const limit = at(parse(requestText)?.value, "limit");
      if (limit !== undefined && limit !== null && !(typeof limit === "number" && limit >= 0 && Number.isInteger(limit))) return;
      const holds = oracle(answerText, requestText);
      assert.equal(
        got,
        SIGNS.find((name) => signs.includes(name) && holds.has(name)),
        `${answerText} for ${requestText}`,
      );
    }),
    { numRuns: 4_000 },
  );
  t.pass();
});

t.test("bytes of any kind are judged, and nothing is thrown", async (t) => {
  const judging = createJudge({ pointer: "/matches/*/confidence", reduce: "mean", scale: 1 }, settings(SIGNS));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.option(fc.uint8Array({ maxLength: 40 })), (bytes, asked) => {
      const isJson = parse(Buffer.from(bytes).toString()) !== undefined;
      assert.equal(judging?.judge(bytes, asked ?? undefined).sign === "not-json", !isJson);
    }),
  );
  t.pass();
});

t.test("one judgement leaves nothing behind for the next", async (t) => {
  const judging = createJudge(undefined, settings(SIGNS));
  const of = (one: unknown, other: unknown): Sign | undefined => judging?.judge(Buffer.from(textOf(one)), Buffer.from(textOf(other))).sign;
  const many = Array.from({ length: 500 }, (_, i) => i);
  t.equal(of(answer(...many), request(...many)), undefined);
  t.equal(of(answer("a"), request("a", "b")), "missing-ids");
  t.equal(of(answer("a", "b"), request("a", "b")), undefined);
  t.equal(of(answer(1), request("a")), "foreign-ids");
  t.equal(of("[", request("a")), "not-json");
  t.equal(of(answer("a"), request("a")), undefined);
});

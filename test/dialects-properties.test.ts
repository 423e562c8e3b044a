import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import type { Candidate, Id, Match, MatchAnswer, MatchRequest, Offer } from "../src/dialects/canonical.ts";
import type { Dialect, Read } from "../src/dialects/dialect.ts";
import type { Json } from "../src/dialects/json.ts";
import { BUILT_IN } from "../src/dialects/registry.ts";
import { createTranslation } from "../src/dialects/translation.ts";

const DIALECTS = [...BUILT_IN.values()];
const PAIRS = DIALECTS.flatMap((one) => DIALECTS.filter((other) => other !== one).map((other) => [one, other] as const));

type Field = string;

/** The canonical fields that a dialect can carry in a request, by name. What both of a pair can carry must survive the way there and back. */
const V1_CANDIDATE = ["skills", "softSkills", "languages", "software", "education", "experienceYears", "city", "salaryExpectation"];
const V1_WISHES = ["mobility", "contractTypes", "priorities", "flexibility"];
const V2_CANDIDATE = ["name", "email", "skills", "softSkills", "experienceYears", "experiences", "city", "country"];
const V2_WISHES = ["salaryExpectation", "mobility", "remotePreference"];
const V1_OFFER = ["id", "title", "company", "skills", "city", "remotePolicy", "salary", "salaryText", "budgetMax", "contractType"];
const V2_OFFER = ["id", "title", "company", "skills", "city", "country", "remotePolicy", "salary", "contractType"];
const DEMAND = ["experienceYears", "experienceLevel"];
const V2_TOP = ["algorithm", "candidateQuestionnaire", "companyQuestionnaires"];

interface Carries {
  readonly candidate: readonly Field[];
  readonly offer: readonly Field[];
  readonly top: readonly Field[];
  readonly match: readonly Field[];
  readonly answer: readonly Field[];
}

const CRITERIA = ["skillScore", "experienceScore", "locationScore"];
const V1: Carries = {
  candidate: [...V1_CANDIDATE, ...V1_WISHES],
  offer: [...V1_OFFER, ...DEMAND],
  top: ["algorithm"],
  match: ["id", "score", ...CRITERIA, "salaryScore", "explanation", "insights"],
  answer: ["success", "algorithm", "algorithmType", "executionMs", "fallback"],
};
const V2: Carries = {
  candidate: [...V2_CANDIDATE, ...V2_WISHES],
  offer: [...V2_OFFER, ...DEMAND],
  top: V2_TOP,
  match: ["id", "score", "confidence", ...CRITERIA, "cultureScore", "explanation", "insights"],
  answer: ["success", "algorithm", "selectionReason", "executionMs", "fallback", "contextAnalysis", "metadata", "performanceMetrics"],
};
const CARRIES: Readonly<Record<string, Carries>> = {
  v1: V1,
  "v1-offers": {
    ...V1,
    match: ["id", "score", ...CRITERIA, "explanation"],
    answer: [...V1.answer, "selectionReason"],
  },
  nexten: {
    candidate: ["skills", "experienceYears"],
    offer: ["id", "title", "skills", "experienceYears"],
    top: [],
    match: ["id", "score", "confidence", ...CRITERIA, "salaryScore"],
    answer: ["success", "algorithm", "executionMs"],
  },
  v2: V2,
  "v2-jobs": V2,
};

function carriedBy({ name }: Dialect): Carries {
  const carries = CARRIES[name];
  assert(carries !== undefined);
  return carries;
}

const text = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" });
/** Texts that no dialect reads as a salary, a number of years or one of its own words. */
const word = fc.stringMatching(/^x[a-z]{0,8}$/);
const texts = fc.array(text, { minLength: 1, maxLength: 4 });
const id: fc.Arbitrary<Id> = fc.oneof(
  text,
  fc.integer().map((value) => value + 0),
  fc.integer({ min: 1, max: 999_999 }).map(String),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 90n }).map((value) => JSON.rawJSON(String(value))),
);
/** Whole months, for V2 counts in months. */
const years = fc.integer({ min: 0, max: 600 }).map((months) => Math.round((months / 12) * 100) / 100);
const euros = fc.integer({ min: 1, max: 300 }).map((thousands) => thousands * 1_000);
const salary = fc.tuple(euros, euros).map(([one, other]) => ({ min: Math.min(one, other), max: Math.max(one, other) }));
const percent = fc.integer({ min: 0, max: 1_000 }).map((tenths) => tenths / 10);
const ratio = percent.map((value) => Math.round(value * 10) / 1_000);
const plain = fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), fc.oneof(text, fc.integer(), fc.boolean()), {
  minKeys: 1,
  maxKeys: 3,
  noNullPrototype: true,
});

const candidate: fc.Arbitrary<Candidate> = fc.record(
  {
    name: text,
    email: text,
    skills: fc.array(
      text.map((name) => ({ name })),
      { minLength: 1, maxLength: 4 },
    ),
    softSkills: texts,
    languages: texts,
    software: texts,
    education: text,
    experienceYears: years,
    city: text,
    country: text,
    salaryExpectation: euros,
    mobility: text,
    contractTypes: texts,
    priorities: plain,
    flexibility: plain,
  },
  { requiredKeys: ["name", "skills"] },
);

const offer: fc.Arbitrary<Offer> = fc
  .record(
    {
      id,
      title: text,
      company: text,
      skills: texts,
      city: text,
      country: text,
      remotePolicy: fc.constantFrom(...(["hybrid", "full_remote", "office_only"] as const)).map((known) => ({ known })),
      salary,
      contractType: text,
      years: fc.integer({ min: 0, max: 40 }),
      level: word,
    },
    { requiredKeys: ["id", "title"] },
  )
  .map(({ years, level, ...rest }) => ({
    ...rest,
    ...(years === undefined ? {} : { experienceYears: years }),
    ...(years === undefined && level !== undefined ? { experienceLevel: level } : {}),
  }));

const request: fc.Arbitrary<MatchRequest> = fc.record(
  {
    candidate,
    offers: fc.array(offer, { minLength: 1, maxLength: 5 }),
    algorithm: fc.constantFrom(...(["auto", "smart", "enhanced", "hybrid"] as const)).map((known) => ({ known })),
    candidateQuestionnaire: plain,
    companyQuestionnaires: fc.array(plain, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ["candidate", "offers"] },
);

const match: fc.Arbitrary<Match> = fc.record(
  {
    id,
    score: ratio,
    confidence: ratio,
    skillScore: ratio,
    experienceScore: ratio,
    locationScore: ratio,
    cultureScore: ratio,
    salaryScore: ratio,
    explanation: text,
    insights: texts,
  },
  { requiredKeys: ["id", "score"] },
);

const answer: fc.Arbitrary<MatchAnswer> = fc.record(
  {
    success: fc.constant(true),
    matches: fc.array(match, { maxLength: 5 }),
    algorithm: text,
    algorithmType: text,
    selectionReason: text,
    executionMs: fc.integer({ min: 0, max: 10_000_000 }).map((value) => value / 1_000),
    fallback: fc.boolean(),
    contextAnalysis: plain,
    metadata: plain.filter((value) => !("fallback" in value)),
    performanceMetrics: plain,
  },
  { requiredKeys: ["matches"] },
);

/** As it comes over the wire. */
function wire(body: Json): Json {
  return JSON.parse(JSON.stringify(body), (_key, value: unknown, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? "") ? JSON.rawJSON(source ?? "") : value,
  ) as Json;
}

function written(result: ReturnType<Dialect["writeRequest"]>): { readonly body: Json; readonly dropped: readonly string[] } {
  assert("body" in result, "inexpressible" in result ? result.inexpressible : "");
  return { body: wire(result.body), dropped: result.dropped };
}

function only(value: object, names: readonly Field[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}

function common(one: Dialect, other: Dialect): Carries {
  const [a, b] = [carriedBy(one), carriedBy(other)];
  const both = (part: keyof Carries): readonly Field[] => a[part].filter((name) => b[part].includes(name));
  return { candidate: both("candidate"), offer: both("offer"), top: both("top"), match: both("match"), answer: both("answer") };
}

function requestIn(value: MatchRequest, carries: Carries): unknown {
  return {
    ...only(value, carries.top),
    candidate: only(value.candidate, carries.candidate),
    offers: value.offers.map((offer) => only(offer, carries.offer)),
  };
}

function answerIn(value: MatchAnswer, carries: Carries): unknown {
  return { ...only(value, carries.answer), matches: value.matches.map((match) => only(match, carries.match)) };
}

/** V2 says years by experiences only. */
function withExperiences(value: MatchRequest): MatchRequest {
  const { experienceYears: years } = value.candidate;
  if (years === undefined) return value;
  const months = Math.round(years * 12);
  const experiences = [
    { title: "Dev", durationMonths: months - 1 },
    { company: "Acme", durationMonths: 1, skills: ["Go"] },
  ];
  return { ...value, candidate: { ...value.candidate, experiences: months > 0 ? experiences : [{ durationMonths: 0 }] } };
}

/** Names of what `value` has and `to` cannot carry. */
function lostOf(value: MatchRequest, to: Dialect): readonly string[] {
  const carries = carriedBy(to);
  const beyond = (object: object, at: string, names: readonly Field[]): string[] =>
    Object.keys(object).flatMap((name) => (names.includes(name) ? [] : [`${at}/${name}`]));
  // Nexten needs not be told to be automatic.
  const top = to.name === "nexten" && value.algorithm?.known === "auto" ? ["algorithm"] : [];
  return [
    ...new Set([
      ...beyond(value, "", ["candidate", "offers", ...carries.top, ...top]),
      ...beyond(value.candidate, "/candidate", carries.candidate),
      ...value.offers.flatMap((offer) => beyond(offer, "/offers/*", carries.offer)),
    ]),
  ].sort();
}

for (const [one, other] of PAIRS) {
  t.test(`${one.name} and ${other.name}: a request goes there and back, and loses nothing that both can say`, async (t) => {
    const carries = common(one, other);
    fc.assert(
      fc.property(request, (drawn) => {
        const single = one.name === "nexten" || other.name === "nexten";
        const cut = single ? { ...drawn, offers: drawn.offers.slice(0, 1) } : drawn;
        const asked = carries.candidate.includes("experiences") ? withExperiences(cut) : cut;
        const first = one.readRequest(written(one.writeRequest(asked)).body);
        assert("value" in first);
        assert.deepEqual(first.dropped, []);
        // V1 and Nexten do not tell the name that V2 demands.
        const named = { ...first.value, candidate: { ...first.value.candidate, name: asked.candidate.name ?? "" } };
        const there = other.readRequest(written(other.writeRequest(named)).body);
        assert("value" in there);
        const again = { ...there.value, candidate: { ...there.value.candidate, name: asked.candidate.name ?? "" } };
        const back = one.readRequest(written(one.writeRequest(again)).body);
        assert("value" in back);
        assert.deepEqual(requestIn(back.value, carries), requestIn(asked, carries));
        assert.deepEqual(
          back.value.offers.map(({ id }) => JSON.stringify(id)),
          asked.offers.map(({ id }) => JSON.stringify(id)),
        );
      }),
      { numRuns: 60 },
    );
    t.pass();
  });

  t.test(`${one.name} and ${other.name}: an answer goes there and back, and loses nothing that both can say`, async (t) => {
    const carries = common(one, other);
    fc.assert(
      fc.property(request, answer, (asked, drawn) => {
        const first = one.readAnswer(written(one.writeAnswer(drawn, asked)).body);
        assert("value" in first);
        const there = other.readAnswer(written(other.writeAnswer(first.value, asked)).body);
        assert("value" in there);
        const back = one.readAnswer(written(one.writeAnswer(there.value, asked)).body);
        assert("value" in back);
        // A dialect that must say whether it succeeded says so of an answer that did not.
        const expected = { success: true, ...drawn };
        const got = { ...back.value, success: back.value.success ?? true };
        assert.deepEqual(answerIn(got, carries), answerIn(expected, carries));
        assert.deepEqual(
          back.value.matches.map(({ id }) => JSON.stringify(id)),
          drawn.matches.map(({ id }) => JSON.stringify(id)),
        );
      }),
      { numRuns: 60 },
    );
    t.pass();
  });
}

t.test("the names of what was dropped are those of what the other side has no field for, each once", async (t) => {
  for (const to of DIALECTS) {
    fc.assert(
      fc.property(request, (drawn) => {
        const asked = to.name === "nexten" ? { ...drawn, offers: drawn.offers.slice(0, 1) } : drawn;
        assert.deepEqual([...written(to.writeRequest(asked)).dropped].sort(), lostOf(asked, to));
      }),
      { numRuns: 150 },
    );
    fc.assert(
      fc.property(request, answer, (asked, drawn) => {
        const carries = carriedBy(to);
        const lost = [
          ...Object.keys(drawn)
            .filter((name) => name !== "matches" && !carries.answer.includes(name))
            .map((name) => `/${name}`),
          ...drawn.matches.flatMap((match) =>
            Object.keys(match)
              .filter((name) => !carries.match.includes(name))
              .map((name) => `/matches/*/${name}`),
          ),
        ];
        assert.deepEqual([...written(to.writeAnswer(drawn, asked)).dropped].sort(), [...new Set(lost)].sort());
      }),
      { numRuns: 150 },
    );
  }
  t.pass();
});

t.test("scores, durations and times carry no dust from one scale to the other", async (t) => {
  const v1 = BUILT_IN.get("v1");
  const v2 = BUILT_IN.get("v2");
  assert(v1 !== undefined && v2 !== undefined);
  const asked: MatchRequest = { candidate: {}, offers: [{ id: 1 }] };
  for (let tenths = 0; tenths <= 1_000; tenths++) {
    const read: Read<MatchAnswer> = v1.readAnswer({ execution_time: tenths / 10_000, results: [{ id: 1, matching_score: tenths / 10 }] });
    assert("value" in read);
    assert.equal(String(read.value.matches[0]?.score), String(tenths / 1_000));
    assert.equal(String(read.value.executionMs), String(tenths / 10));
    const back = v1.readAnswer(written(v1.writeAnswer(read.value, asked)).body);
    assert("value" in back);
    assert.deepEqual(back.value.matches, read.value.matches);
  }
  t.pass();
});

const FIELDS = `cv_data questionnaire_data job_data candidate offers jobs id job_id offer_id titre title name nom salaire budget_max
  salary_range min max location results matches matching_results score matching_score overall_score matching_details
  scores_detailles matching_explanations breakdown metadata fallback algorithm limit algorithm_used detail error
  competences technical_skills experiences duration_months annees_experience __proto__ constructor toString`.split(/\s+/);

const anyBody = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.json().map((body) => Buffer.from(body)),
  // Bodies that are nearly right: known names over values of any type.
  fc
    .letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom(null, true, 0, -0, 7, 1e308, -5, "", "7", "45-60K€", "5 ans", "__proto__", "constructor", "auto", "hybrid"),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...FIELDS), tie("value"), { maxKeys: 6 }),
      ),
    }))
    .value.map((value) => Buffer.from(JSON.stringify(value))),
);

t.test("no bytes make a translation throw, and what it gives is JSON", async (t) => {
  for (const clients of DIALECTS) {
    for (const upstream of DIALECTS) {
      const translation = createTranslation(clients, upstream);
      fc.assert(
        fc.property(anyBody, anyBody, fc.constantFrom(200, 202, 302, 400, 422, 500, 999), (body, answered, status) => {
          const result = translation.request(body);
          const exchange = "exchange" in result ? result.exchange : { request: { candidate: {}, offers: [{ id: 1 }] } };
          const back = translation.answer(status, answered, exchange);
          for (const part of [result, back]) {
            if ("inexpressible" in part) assert(!/broke down/.test(part.inexpressible), part.inexpressible);
            else if (part.body.length > 0) {
              JSON.parse(part.body.toString());
              assert.equal(new Set(part.dropped).size, part.dropped.length);
            }
          }
        }),
        { numRuns: 150 },
      );
    }
  }
  t.pass();
});

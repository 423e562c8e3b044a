import assert from "node:assert/strict";
import t from "tap";
import type { Dialect } from "../src/dialects/dialect.ts";
import { BUILT_IN } from "../src/dialects/registry.ts";
import { createTranslation } from "../src/dialects/translation.ts";
import { DIALECT_NAMES } from "../src/core/words.ts";
import { nexten as nextenService } from "../src/demo/simulators/nexten.ts";
import type { Service } from "../src/demo/simulators/service.ts";
import { v1 as v1Service } from "../src/demo/simulators/v1.ts";
import { v2 as v2Service } from "../src/demo/simulators/v2.ts";

type Doc = Readonly<Record<string, unknown>>;

function dialect(name: string): Dialect {
  const found = BUILT_IN.get(name);
  assert(found !== undefined);
  return found;
}

function bytes(body: unknown): Buffer {
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

interface Outcome {
  readonly body?: unknown;
  readonly text?: string;
  readonly status?: number;
  readonly dropped?: readonly string[];
  readonly inexpressible?: string;
}

function request(from: string, to: string, body: unknown): Outcome {
  const result = createTranslation(dialect(from), dialect(to)).request(bytes(body));
  if ("inexpressible" in result) return result;
  return { body: JSON.parse(result.body.toString()), text: result.body.toString(), dropped: result.dropped };
}

/** The upstream speaks `from`, the client `to` and asked `asked`. */
function answer(from: string, to: string, body: unknown, asked: unknown, status = 200): Outcome {
  const translation = createTranslation(dialect(to), dialect(from));
  const read = dialect(to).readRequest(JSON.parse(bytes(asked).toString()));
  assert("value" in read);
  const result = translation.answer(status, bytes(body), { request: read.value });
  if ("inexpressible" in result) return result;
  return { status: result.status, body: JSON.parse(result.body.toString()), text: result.body.toString(), dropped: result.dropped };
}

function bare({ body, dropped, inexpressible }: Outcome): unknown {
  return inexpressible ?? { body, dropped };
}

const V2_LEAST = { candidate: { name: "Ada" }, offers: [{ id: 7, title: "Dev" }] };
const V1_LEAST = { cv_data: { nom: "Ada" }, questionnaire_data: {}, job_data: [{ id: 7, titre: "Dev" }] };

const candidate = (fields: Doc): Doc => ({ ...V2_LEAST, candidate: { name: "Ada", ...fields } });
const offer = (fields: Doc): Doc => ({ ...V2_LEAST, offers: [{ id: 7, title: "Dev", ...fields }] });
const cv = (fields: Doc): Doc => ({ ...V1_LEAST, cv_data: { ...fields } });
const wish = (fields: Doc): Doc => ({ ...V1_LEAST, cv_data: {}, questionnaire_data: fields });
const job = (fields: Doc): Doc => ({ ...V1_LEAST, cv_data: {}, job_data: [{ id: 7, titre: "Dev", ...fields }] });

t.test("the registry holds the dialects that the configuration knows", async (t) => {
  t.strictSame([...BUILT_IN.keys()].sort(), [...DIALECT_NAMES].sort());
});

t.test("each row of the request table, from V2 to V1", async (t) => {
  const rows: readonly (readonly [string, Doc, Doc])[] = [
    ["skills", candidate({ technical_skills: [{ name: "Go" }, "Rust"] }), cv({ competences: ["Go", "Rust"] })],
    ["durations", candidate({ experiences: [{ duration_months: 30 }, { duration_months: 14 }] }), cv({ annees_experience: 3.67 })],
    ["soft skills", candidate({ soft_skills: ["calm"] }), cv({ soft_skills: ["calm"] })],
    ["city", candidate({ location: { city: "Lyon" } }), wish({ adresse: "Lyon" })],
    ["localisation", candidate({ localisation: "Lyon" }), wish({ adresse: "Lyon" })],
    ["salary wished", candidate({ salary_expectation: 52_000 }), wish({ salaire_souhaite: 52_000 })],
    ["mobility", candidate({ mobility: "nationale" }), wish({ mobilite: "nationale" })],
    ["remote preference", { ...V2_LEAST, candidate_questionnaire: { remote_preference: "partial" } }, wish({ mobilite: "partial" })],
    ["company", offer({ company: "Acme" }), job({ entreprise: "Acme" })],
    ["required skills", offer({ required_skills: ["Go"] }), job({ competences: ["Go"] })],
    ["city of the offer", offer({ location: { city: "Lyon" } }), job({ localisation: "Lyon" })],
    ["localisation of the offer", offer({ localisation: "Lyon" }), job({ localisation: "Lyon" })],
    ["salary", offer({ salary_range: { min: 45_000, max: 60_000 } }), job({ salaire: "45-60K€", budget_max: 60_000 })],
    ["hybrid", offer({ remote_policy: "hybrid" }), job({ politique_remote: "télétravail partiel" })],
    ["full remote", offer({ remote_policy: "full_remote" }), job({ politique_remote: "télétravail total" })],
    ["office only", offer({ remote_policy: "office_only" }), job({ politique_remote: "" })],
    ["contract", offer({ contract_type: "CDI" }), job({ type_contrat: "CDI" })],
    ["level", offer({ experience_level: "senior" }), job({ experience_requise: "senior" })],
    ["years", offer({ experience_level: "5 ans" }), job({ experience_requise: 5 })],
    ...[
      ["auto", "auto"],
      ["nexten", "auto"],
      ["smart", "smart_match"],
      ["enhanced", "enhanced"],
      ["semantic", "supersmartmatch"],
      ["hybrid", "supersmartmatch"],
    ].map(([from, to]) => [`algorithm ${from}`, { ...V2_LEAST, algorithm: from }, { ...cv({}), algorithm: to }] as const),
  ];
  for (const [name, body, expected] of rows) {
    const { body: translated, dropped } = request("v2", "v1", body);
    t.strictSame(translated, expected, name);
    t.strictSame(dropped, ["/candidate/name"], `${name}: V1 has no name, and no field for it`);
  }
});

t.test("each row of the request table, from V1 to V2", async (t) => {
  const named = (body: Doc): Doc => ({ ...body, cv_data: { nom: "Ada", ...(body["cv_data"] as Doc) } });
  const rows: readonly (readonly [string, Doc, Doc])[] = [
    ["skills", cv({ competences: ["Go", "Rust"] }), candidate({ technical_skills: ["Go", "Rust"] })],
    ["years", cv({ annees_experience: 5 }), candidate({ experiences: [{ duration_months: 60 }] })],
    ["years in words", cv({ annees_experience: "2.5 ans" }), candidate({ experiences: [{ duration_months: 30 }] })],
    ["soft skills", cv({ soft_skills: ["calm"] }), candidate({ soft_skills: ["calm"] })],
    ["address", wish({ adresse: "Lyon" }), candidate({ location: { city: "Lyon" } })],
    ["salary wished", wish({ salaire_souhaite: 52_000 }), candidate({ salary_expectation: 52_000 })],
    ["salary wished in words", wish({ salaire_souhaite: "52K€" }), candidate({ salary_expectation: 52_000 })],
    ["mobility", wish({ mobilite: "nationale" }), candidate({ mobility: "nationale" })],
    ["company", job({ entreprise: "Acme" }), offer({ company: "Acme" })],
    ["required skills", job({ competences: ["Go"] }), offer({ required_skills: ["Go"] })],
    ["place", job({ localisation: "Lyon" }), offer({ location: { city: "Lyon" } })],
    ["salary", job({ salaire: "45-60K€" }), offer({ salary_range: { min: 45_000, max: 60_000 } })],
    ["salary and budget", job({ salaire: "45-60K€", budget_max: 60_000 }), offer({ salary_range: { min: 45_000, max: 60_000 } })],
    ["budget alone", job({ budget_max: 60_000 }), offer({ salary_range: { max: 60_000 } })],
    ["hybrid", job({ politique_remote: "télétravail partiel" }), offer({ remote_policy: "hybrid" })],
    ["full remote", job({ politique_remote: "Télétravail total" }), offer({ remote_policy: "full_remote" })],
    ["office only", job({ politique_remote: "" }), offer({ remote_policy: "office_only" })],
    ["contract", job({ type_contrat: "CDI" }), offer({ contract_type: "CDI" })],
    ["level", job({ experience_requise: "3-5 ans" }), offer({ experience_level: "3-5 ans" })],
    ["years required", job({ experience_requise: 5 }), offer({ experience_level: "5 ans" })],
    ...[
      ["auto", "auto"],
      ["smart_match", "smart"],
      ["enhanced", "enhanced"],
      ["supersmartmatch", "hybrid"],
      ["semantic", "semantic"],
    ].map(([from, to]) => [`algorithm ${from}`, { ...cv({}), algorithm: from }, { ...V2_LEAST, algorithm: to }] as const),
  ];
  for (const [name, body, expected] of rows) {
    const { body: translated, dropped } = request("v1", "v2", named(body));
    t.strictSame(translated, expected, name);
    t.strictSame(dropped, [], `${name}: nothing is lost`);
  }
});

const ASKED_V1 = {
  job_data: [
    { id: 7, titre: "Dev", entreprise: "Acme", note: { kept: [1] } },
    { id: "7", titre: "Ops" },
  ],
};
const ASKED_V2 = {
  candidate: { name: "Ada" },
  offers: [
    { id: 7, title: "Dev" },
    { id: "7", title: "Ops" },
  ],
};

t.test("each row of the answer table, from V1 to V2", async (t) => {
  const v1 = (result: Doc, top: Doc = {}): Doc => ({ success: true, results: [{ id: 7, matching_score: 78, ...result }], ...top });
  const v2 = (match: Doc, top: Doc = {}): Doc => ({ success: true, matches: [{ offer_id: 7, overall_score: 0.78, ...match }], ...top });
  const rows: readonly (readonly [string, Doc, Doc])[] = [
    ["score", v1({}), v2({})],
    ["employer's score", v1({ matching_score: undefined, matching_score_entreprise: 77.3 }), v2({ overall_score: 0.773 })],
    [
      "details",
      v1({ matching_details: { skills: 60, experience: 70, location: 80 } }),
      v2({ skill_match_score: 0.6, experience_match_score: 0.7, location_match_score: 0.8 }),
    ],
    [
      "detailed scores",
      v1({ scores_detailles: { competences: { pourcentage: 57 }, experience: { pourcentage: 29 }, proximite: { pourcentage: 14 } } }),
      v2({ skill_match_score: 0.57, experience_match_score: 0.29, location_match_score: 0.14 }),
    ],
    [
      "explanations",
      v1({ matching_explanations: { global: "good", competences: "all there" } }),
      v2({ explanation: "good", insights: ["all there"] }),
    ],
    ["employer's explanation", v1({ explications_entreprise: "good" }), v2({ explanation: "good" })],
    ["time", v1({}, { execution_time: 0.0415 }), v2({}, { execution_time_ms: 41.5 })],
    ["fallback", v1({}, { fallback_used: true }), v2({}, { metadata: { fallback: true } })],
    ["fallback in French", v1({}, { fallback_utilise: true }), v2({}, { metadata: { fallback: true } })],
    ["algorithm", v1({}, { algorithm_used: "fallback_basic" }), v2({}, { algorithm_used: "fallback_basic" })],
    ["no success", v1({}, { success: false }), v2({}, { success: false })],
  ];
  for (const [name, body, expected] of rows) {
    const { body: translated, dropped } = answer("v1", "v2", body, ASKED_V2);
    t.strictSame(translated, expected, name);
    t.strictSame(dropped, [], `${name}: nothing is lost`);
  }
});

t.test("each row of the answer table, from V2 to V1", async (t) => {
  const echo = { id: 7, titre: "Dev", entreprise: "Acme", note: { kept: [1] } };
  const v2 = (match: Doc, top: Doc = {}): Doc => ({ success: true, matches: [{ offer_id: 7, overall_score: 0.773, ...match }], ...top });
  const v1 = (result: Doc, top: Doc = {}): Doc => ({
    success: true,
    total_results: 1,
    results: [{ ...echo, matching_score: 77.3, ...result }],
    ...top,
  });
  const rows: readonly (readonly [string, Doc, Doc])[] = [
    ["score and echo", v2({}), v1({})],
    [
      "details",
      v2({ skill_match_score: 0.57, experience_match_score: 0.29, location_match_score: 0.14 }),
      v1({ matching_details: { skills: 57, experience: 29, location: 14 } }),
    ],
    [
      "explanations",
      v2({ explanation: "good", insights: ["all there"] }),
      v1({ matching_explanations: { global: "good", insights: ["all there"] } }),
    ],
    ["time", v2({}, { execution_time_ms: 41.5 }), v1({}, { execution_time: 0.0415 })],
    ["fallback", v2({}, { metadata: { fallback: true } }), v1({}, { fallback_used: true })],
  ];
  for (const [name, body, expected] of rows) {
    const { body: translated, dropped } = answer("v2", "v1", body, ASKED_V1);
    t.strictSame(translated, expected, name);
    t.strictSame(dropped, [], `${name}: nothing is lost`);
  }
  const { body, dropped } = answer("v2", "v1", v2({ confidence: 0.9 }), ASKED_V1);
  t.strictSame(body, v1({}), "V1 has no confidence, and gets none");
  t.strictSame(dropped, ["/matches/*/confidence"]);
});

t.test('a V1 answer echoes the job of each id as the client wrote it, 7 and "7" apart', async (t) => {
  const matches = [
    { offer_id: "7", overall_score: 0.2 },
    { offer_id: 7, overall_score: 0.1 },
    { offer_id: 8, overall_score: 0 },
  ];
  const { body } = answer("v2", "v1", { matches }, ASKED_V1);
  t.strictSame((body as Doc)["results"], [
    { id: "7", titre: "Ops", matching_score: 20 },
    { ...ASKED_V1.job_data[0], matching_score: 10 },
    { id: 8, matching_score: 0 },
  ]);
});

t.test("where two jobs have one id, each is echoed in its turn", async (t) => {
  const asked = {
    job_data: [
      { id: 1, titre: "first" },
      { id: 1, titre: "second" },
    ],
  };
  const matches = Array.from({ length: 3 }, () => ({ offer_id: 1, overall_score: 0 }));
  const { results } = answer("v2", "v1", { matches }, asked).body as { results: Doc[] };
  t.strictSame(
    results.map((result) => result["titre"]),
    ["first", "second", "second"],
  );
});

t.test("an id beyond 2^53 is written as it was read", async (t) => {
  const large = "9007199254740993123";
  const body = `{"cv_data":{"nom":"Ada"},"job_data":[{"id":${large},"titre":"Dev"},{"id":"${large}","titre":"Ops"}]}`;
  const asked = request("v1", "v2", body);
  t.match(asked.text, `"offers":[{"id":${large},"title":"Dev"},{"id":"${large}","title":"Ops"}]`);
  const translation = createTranslation(dialect("v1"), dialect("v2"));
  const exchange = translation.request(Buffer.from(body));
  assert("exchange" in exchange);
  const answered = translation.answer(200, Buffer.from(`{"matches":[{"offer_id":${large},"overall_score":0.5}]}`), exchange.exchange);
  assert("body" in answered);
  t.match(answered.body.toString(), `"results":[{"id":${large},"titre":"Dev","matching_score":50}]`);
  for (const id of ["1e400", "1.5", "true", "null", "{}", "12345678901234567890e2"]) {
    t.match(
      request("v1", "v1-offers", `{"cv_data":{"competences":["a"]},"job_data":[{"id":${id}}]}`),
      { inexpressible: "/job_data/0/id" },
      id,
    );
  }
});

t.test("what has no counterpart is named once, in the words of who wrote it", async (t) => {
  const asked = {
    cv_data: { nom: "Ada", logiciels: ["Excel"], langues: ["fr"], niveau_etudes: "M2", secret: 1 },
    questionnaire_data: { types_contrat: ["CDI"], priorites_candidat: { evolution: 3 }, flexibilite_attendue: {} },
    job_data: [
      { id: 1, titre: "a", politique_remote: "2 jours", color: "red", salaire: "selon profil" },
      { id: 2, titre: "b", politique_remote: "3 jours", color: "blue" },
    ],
    algorithm: "original",
    limit: 5,
  };
  t.strictSame([...(request("v1", "v2", asked).dropped ?? [])].sort(), [
    "/algorithm",
    "/cv_data/?",
    "/cv_data/langues",
    "/cv_data/logiciels",
    "/cv_data/niveau_etudes",
    "/job_data/*/?",
    "/job_data/*/politique_remote",
    "/job_data/*/salaire",
    "/questionnaire_data/priorites_candidat",
    "/questionnaire_data/types_contrat",
  ]);
  t.strictSame([...(request("v1", "v1-offers", asked).dropped ?? [])].sort(), ["/cv_data/?", "/cv_data/nom", "/job_data/*/?"]);
});

t.test("of two values that stand in one field on the other side, the second is dropped by name", async (t) => {
  const pay = { cv_data: { nom: "Ada", competences: ["Go"] }, job_data: [{ id: 1, titre: "a", salaire: "45-60K€", budget_max: 58_000 }] };
  t.match(request("v1", "v2", pay), { body: { offers: [{ salary_range: { max: 60_000 } }] }, dropped: ["/job_data/*/budget_max"] });
  t.match(request("v1", "v1-offers", pay).body, { offers: [{ salaire: "45-60K€", budget_max: 58_000 }] });
  const wishes = { ...candidate({ mobility: "EU" }), candidate_questionnaire: { remote_preference: "full" } };
  t.strictSame(bare(request("v2", "v1", wishes)), {
    body: wish({ mobilite: "EU" }),
    dropped: ["/candidate/name", "/candidate_questionnaire/remote_preference"],
  });
});

t.test("what must not be invented cannot be expressed", async (t) => {
  const two = [
    { id: 1, title: "a" },
    { id: 2, title: "b" },
  ];
  const rows: readonly (readonly [string, string, unknown, string])[] = [
    ["v1", "v2", job({}), "candidate's name"],
    ["nexten", "v2", { candidate: { skills: ["Go"] }, jobs: [{ id: 1, title: "a" }] }, "candidate's name"],
    ["v1", "v2", { cv_data: { nom: "Ada" }, job_data: [{ id: 1 }] }, "title"],
    ["v1", "v2", { cv_data: { nom: "Ada" }, job_data: [{ titre: "a" }] }, "/job_data/0/id is missing"],
    ["v2", "nexten", { candidate: { name: "Ada", technical_skills: ["Go"] }, offers: two }, "only the first job"],
    ["v2", "nexten", { candidate: { name: "Ada" }, offers: [{ id: 1, title: "a" }] }, "skills or years"],
    ["v2", "nexten", { candidate: { name: "Ada" }, offers: [] }, "demands a job"],
    ["v2", "v1", { candidate: { name: "Ada" }, offers: [] }, "at least one job"],
    ["v2", "v1-offers", { candidate: { name: "Ada" }, offers: [] }, "at least one offer"],
    ["v2", "v1-offers", { candidate: { name: "Ada" }, offers: two }, "of whom something is said"],
    ["v2", "v1", { candidate: { name: "Ada" }, jobs: two }, "/offers is missing"],
    ["v2", "v1", { offers: two }, "/candidate is missing"],
    ["v1", "v2", { job_data: [7] }, "/job_data/0 is not an object"],
    ["v1", "v2", { job_data: {} }, "/job_data is not a list"],
    ["v1", "v2", "[]", "not a JSON object"],
    ["v1", "v2", "{", "not JSON"],
    ["nexten", "v2", { candidate_id: 1, job_id: 2 }, "queue"],
  ];
  for (const [from, to, body, expected] of rows)
    t.match(request(from, to, body), { inexpressible: expected }, `${from} to ${to}: ${expected}`);
  const nexten = { candidate: {}, jobs: [{ id: 1 }] };
  t.match(answer("nexten", "v2", { job_id: "j", status: "queued" }, ASKED_V2), { inexpressible: "queued" });
  t.match(answer("v2", "nexten", { success: false, matches: [] }, nexten), { inexpressible: "without success" });
  t.match(answer("v2", "v1", { success: false }, ASKED_V1), { inexpressible: "/matches is missing" });
  t.match(answer("v2", "v1", { matches: [{ offer_id: 7 }] }, ASKED_V1), { inexpressible: "no score" });
});

t.test("Nexten's format, both ways", async (t) => {
  const asked = {
    candidate: { name: "Ada", skills: ["Go"], experience: 4 },
    jobs: [{ id: 7, title: "Dev", required_skills: ["Go"], experience_required: 3 }],
  };
  const v2 = {
    candidate: { name: "Ada", technical_skills: ["Go"], experiences: [{ duration_months: 48 }] },
    offers: [{ id: 7, title: "Dev", required_skills: ["Go"], experience_level: "3 ans" }],
  };
  t.strictSame(bare(request("nexten", "v2", asked)), { body: v2, dropped: [] });
  const { name: _, ...unnamed } = asked.candidate;
  t.strictSame(bare(request("v2", "nexten", v2)), { body: { ...asked, candidate: unnamed }, dropped: ["/candidate/name"] });
  t.strictSame(
    request("v2", "nexten", { ...v2, algorithm: "nexten" }).dropped,
    ["/candidate/name"],
    "Nexten needs not be told that it is Nexten",
  );
  t.strictSame(request("v2", "nexten", { ...v2, algorithm: "smart" }).dropped, ["/algorithm", "/candidate/name"]);

  const match = { job_id: 7, score: 83, confidence: "high", confidence_score: 0.81, breakdown: { skills: { score: 90 }, salary: 50 } };
  const top = { processing_time_ms: 61.5, algorithm_used: "nexten-matcher" };
  const translated = answer("nexten", "v2", { matches: [match], ...top, ai_insights: { gaps: ["Go"] } }, ASKED_V2);
  t.strictSame(translated.body, {
    success: true,
    matches: [{ offer_id: 7, overall_score: 0.83, confidence: 0.81, skill_match_score: 0.9 }],
    algorithm_used: "nexten-matcher",
    execution_time_ms: 61.5,
  });
  t.strictSame([...(translated.dropped ?? [])].sort(), ["/ai_insights", "/matches/*/breakdown/salary"]);
  t.strictSame(answer("v2", "nexten", translated.body, asked).body, {
    matches: [{ job_id: 7, score: 83, confidence_score: 0.81, breakdown: { skills: { score: 90 } } }],
    ...top,
  });
});

t.test("the offers format of V1, both ways", async (t) => {
  const flat = {
    candidate: { nom: "Ada", competences: ["Go"], adresse: "Lyon", annees_experience: 4 },
    jobs: [{ id: 7, title: "Dev", entreprise: "Acme" }],
    algorithm: "smart_match",
  };
  const { body, dropped } = request("v1-offers", "v1", flat);
  t.strictSame(body, {
    cv_data: { competences: ["Go"], annees_experience: 4 },
    questionnaire_data: { adresse: "Lyon" },
    job_data: [{ id: 7, titre: "Dev", entreprise: "Acme" }],
    algorithm: "smart_match",
  });
  t.strictSame(dropped, ["/candidate/nom"]);
  t.strictSame((request("v1", "v1-offers", body).body as Doc)["offers"], [{ id: 7, titre: "Dev", entreprise: "Acme" }]);

  const v2 = {
    success: true,
    matches: [{ offer_id: 7, overall_score: 0.78, skill_match_score: 0.5, explanation: "good" }],
    algorithm_used: "smart",
    selection_reason: "asked for",
    execution_time_ms: 12,
  };
  const v1Offers = {
    success: true,
    algorithm_used: { name: "smart", reason: "asked for" },
    matching_results: {
      execution_time: 0.012,
      matches: [{ offer_id: 7, title: "Dev", company: "Acme", score: 78, score_details: { competences: 50 }, explanation: "good" }],
    },
  };
  t.strictSame(bare(answer("v2", "v1-offers", v2, flat)), { body: v1Offers, dropped: [] });
  t.strictSame(bare(answer("v1-offers", "v2", v1Offers, ASKED_V2)), { body: v2, dropped: [] });
});

t.test("V2 as planned has jobs and job_id, and loses nothing of V2", async (t) => {
  const rich = {
    candidate: {
      name: "Ada",
      email: "ada@example.org",
      technical_skills: [{ name: "Go", level: "expert", years: 4 }],
      experiences: [{ title: "Dev", company: "Acme", duration_months: 31, skills: ["Go"] }],
      location: { city: "Lyon", country: "FR" },
      mobility: "EU",
    },
    offers: [{ id: 7, title: "Dev", location: { city: "Lyon", country: "FR" }, salary_range: { min: 1, max: 2 } }],
    candidate_questionnaire: { answers: [1, { deep: true }], remote_preference: "full" },
    company_questionnaires: [{ id: 3 }],
    algorithm: "nexten",
  };
  const {
    offers: [{ id, ...rest } = { id: 0 }],
    ...others
  } = rich;
  const planned = { ...others, jobs: [{ job_id: id, ...rest }] };
  t.strictSame(bare(request("v2", "v2-jobs", rich)), { body: planned, dropped: [] });
  t.strictSame(bare(request("v2-jobs", "v2", planned)), { body: rich, dropped: [] });
  t.strictSame(request("v2-jobs", "v2", { ...planned, jobs: [{ id, ...rest }] }).body, rich, "an id that is called id is read as well");
  t.match(answer("v2", "v2-jobs", { matches: [{ offer_id: 7, overall_score: 0.1 }] }, planned).body, {
    matches: [{ job_id: 7, overall_score: 0.1 }],
  });
});

t.test("salaries read back as they were", async (t) => {
  const through = (salaire: unknown): unknown => {
    const v2 = request("v1", "v2", { cv_data: { nom: "Ada" }, job_data: [{ id: 1, titre: "a", salaire }] }).body as { offers: Doc[] };
    return v2.offers[0]?.["salary_range"];
  };
  const rows: readonly (readonly [unknown, unknown])[] = [
    ["45-60K€", { min: 45_000, max: 60_000 }],
    ["45K€ - 60K€", { min: 45_000, max: 60_000 }],
    ["45 000 - 60 000 €", { min: 45_000, max: 60_000 }],
    ["45.5-60k€", { min: 45_500, max: 60_000 }],
    ["50K€", { min: 50_000, max: 50_000 }],
    [50_000, { min: 50_000, max: 50_000 }],
    ["45K-60", undefined],
    ["45-60", undefined],
    ["60-45K€", undefined],
    ["selon profil", undefined],
    ["", undefined],
  ];
  for (const [text, range] of rows) t.strictSame(through(text), range, String(text));
  const back = request("v2", "v1", offer({ salary_range: { min: 45_500, max: 60_000 } })).body as { job_data: Doc[] };
  t.equal(back.job_data[0]?.["salaire"], "45500-60000€");
  t.strictSame(request("v2", "v1", offer({ salary_range: { min: 45_000 } })).dropped, ["/candidate/name", "/offers/*/salary_range/min"]);
});

t.test("a limit holds whoever answers", async (t) => {
  const jobs = Array.from({ length: 12 }, (_, id) => ({ id, titre: `job ${id}` }));
  const matches = jobs.map(({ id }) => ({ offer_id: id, overall_score: ((id * 5) % 12) / 100 }));
  const idsOf = (asked: Doc): unknown =>
    (answer("v2", "v1", { matches }, asked).body as { results: Doc[] }).results.map((result) => result["id"]);
  t.strictSame(idsOf({ job_data: jobs, limit: 3 }), best(3), "the best three, in their order");
  t.strictSame(idsOf({ job_data: jobs }), best(10), "V1's own ten");
  t.strictSame(idsOf({ job_data: jobs, limit: 50 }), best(12));
  function best(count: number): number[] {
    const kept = new Set(matches.toSorted((a, b) => b.overall_score - a.overall_score).slice(0, count));
    return matches.filter((match) => kept.has(match)).map((match) => match.offer_id);
  }
  const asked = request("v2", "v1", { candidate: { name: "Ada" }, offers: jobs.map(({ id, titre }) => ({ id, title: titre })) });
  t.equal((asked.body as Doc)["limit"], 12, "V1 is asked for all, as V2 gives all");
});

t.test("an error comes in the client's shape with its own status", async (t) => {
  const list = { detail: [{ loc: ["body", "candidate", "name"], msg: "Field required", type: "missing" }, { msg: "odd" }] };
  const rows: readonly (readonly [string, string, unknown, number, unknown])[] = [
    ["v2", "v1", list, 422, { error: "body.candidate.name: Field required; odd" }],
    ["v2", "v1", { detail: "Not Found" }, 404, { error: "Not Found" }],
    ["v2", "v1", { detail: [7] }, 422, { error: "Unprocessable Entity" }],
    ["v1", "v2", { error: "job_data required" }, 400, { detail: "job_data required" }],
    ["v1", "v2", { error: "no" }, 422, { detail: [{ type: "value_error", loc: ["body"], msg: "no" }] }],
    ["v1", "v2", "<!doctype html><h1>Oops</h1>", 500, { detail: "Internal Server Error" }],
    ["nexten", "v1-offers", "<html>", 503, { error: "Service Unavailable" }],
    ["v1", "nexten", { error: "x".repeat(5_000) }, 400, { error: `${"x".repeat(1_000)}…` }],
    ["v1", "v2-jobs", "", 599, { detail: "status 599" }],
    ["v2", "v1", "not JSON at all", 200, { error: "OK" }],
  ];
  for (const [from, to, body, status, expected] of rows) {
    const asked = to.startsWith("v2")
      ? { ...ASKED_V2, jobs: ASKED_V2.offers }
      : { ...ASKED_V1, candidate: {}, offers: ASKED_V1.job_data, jobs: [{ id: 1 }] };
    const got = answer(from, to, body, asked, status);
    t.strictSame(got.body, expected, `${from} to ${to}, ${status}`);
    t.equal(got.status, status);
    t.strictSame(got.dropped, []);
  }
});

t.test("an answer without a body that is no error stays without one", async (t) => {
  const translation = createTranslation(dialect("v1"), dialect("v2"));
  const { status, body } = {
    body: undefined,
    status: 0,
    ...translation.answer(304, Buffer.alloc(0), { request: { candidate: {}, offers: [] } }),
  };
  t.strictSame([status, body], [304, Buffer.alloc(0)]);
});

t.test("a field that is called __proto__ is a field like any other", async (t) => {
  const inside = (list: string): string => `{"candidate":{"name":"Ada"},"${list}":[],"candidate_questionnaire":{"__proto__":{"a":1}}}`;
  t.equal(request("v2", "v2-jobs", inside("offers")).text, inside("jobs"));
  const hostile =
    '{"cv_data":{"nom":"Ada","__proto__":{"competences":["Go"]}},"job_data":[{"id":1,"titre":"a"}],"algorithm":"constructor"}';
  t.strictSame(bare(request("v1", "v2", hostile)), {
    body: { candidate: { name: "Ada" }, offers: [{ id: 1, title: "a" }] },
    dropped: ["/cv_data/?", "/algorithm"],
  });
});

t.test("deep and wide bodies neither break nor pass", async (t) => {
  const deep = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
  const inside = (value: string): string => `{"candidate":{"name":"Ada"},"offers":[],"candidate_questionnaire":{"a":${value}}}`;
  t.match(request("v2", "v2-jobs", inside(deep(100_000))), { inexpressible: "deeper than 64 levels" });
  t.match(request("v2", "v2-jobs", inside(deep(30))).text, deep(30));
  t.match(request("v2", "v2-jobs", deep(1_000_000)), { inexpressible: "not a JSON object" });
  t.match(request("v1", "v2", `{"job_data":[{"id":9007199254740993123,"x":${deep(200_000)}}]}`), { inexpressible: "deeper" });
  const many = Array.from({ length: 20_000 }, (_, id) => ({ id, title: "a" }));
  t.equal((request("v2", "v1", { candidate: { name: "Ada" }, offers: many }).body as { job_data: Doc[] }).job_data.length, 20_000);
});

t.test("every service understands what is translated for it, and its answer comes back with the ids of the request", async (t) => {
  const asked: Readonly<Record<string, Doc>> = {
    v1: { cv_data: { nom: "Ada", competences: ["Go"] }, job_data: [{ id: "a-1", titre: "Dev", competences: ["Go"] }] },
    "v1-offers": { candidate: { nom: "Ada", competences: ["Go"] }, offers: [{ id: "a-1", titre: "Dev", competences: ["Go"] }] },
    nexten: { candidate: { name: "Ada", skills: ["Go"] }, jobs: [{ id: "a-1", title: "Dev", required_skills: ["Go"] }] },
    v2: { candidate: { name: "Ada", technical_skills: [{ name: "Go" }] }, offers: [{ id: "a-1", title: "Dev", required_skills: ["Go"] }] },
    "v2-jobs": { candidate: { name: "Ada", technical_skills: ["Go"] }, jobs: [{ job_id: "a-1", title: "Dev", required_skills: ["Go"] }] },
  };
  const services: readonly (readonly [string, Service, string])[] = [
    ["v1", v1Service, "/api/match"],
    ["v1-offers", v1Service, "/api/v1/match"],
    ["nexten", nextenService, "/match"],
    ["v2", v2Service, "/api/v2/match"],
  ];
  for (const [upstream, service, path] of services) {
    for (const [clients, body] of Object.entries(asked)) {
      const translation = createTranslation(dialect(clients), dialect(upstream));
      const translated = translation.request(bytes(body));
      assert("exchange" in translated, `${clients} to ${upstream}: ${"inexpressible" in translated ? translated.inexpressible : ""}`);
      const reply = service.match("POST", path)?.(translated.body.toString(), { unsuccessful: false, quality: undefined });
      const answered = translation.answer(reply?.status ?? 0, Buffer.from(reply?.body ?? ""), translated.exchange);
      assert("status" in answered);
      t.equal(answered.status, 200, `${clients} to ${upstream}`);
      t.match(answered.body.toString(), /"(?:id|offer_id|job_id)":"a-1"/);
    }
  }
});

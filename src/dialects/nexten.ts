import type { Match, MatchAnswer, MatchRequest, Offer } from "./canonical.ts";
import type { Dialect } from "./dialect.ts";
import { readFlaskError, writeFlaskError } from "./errors.ts";
import { bodyOf, Fields, given, idOf, lose, objectsAt, reading, scoreOf, shapeOf, Unsayable, writing } from "./fields.ts";
import { fromPercent, readYears, toPercent } from "./figures.ts";
import { isEmpty, isObject, type Json, type JsonObject } from "./json.ts";

/** Nexten's `POST /match`: skills as plain texts, and one job, for it scores no other. */
export const nexten: Dialect = {
  name: "nexten",
  paths: {
    algorithm: "/algorithm_used",
    fallbackFlags: [],
    matches: "/matches",
    answerIds: "/matches/*/job_id",
    requestIds: "/jobs/*/id",
    scores: "/matches/*/score",
    confidences: "/matches/*/confidence_score",
  },
  names: {
    "/candidate/experienceYears": "/candidate/experience",
    "/offers/*/title": "/jobs/*/title",
    "/offers/*/skills": "/jobs/*/required_skills",
    "/offers/*/experienceYears": "/jobs/*/experience_required",
    "/offers/*/experienceLevel": "/jobs/*/experience_required",
    "/matches/*/confidence": "/matches/*/confidence_score",
    "/matches/*/skillScore": "/matches/*/breakdown/skills",
    "/matches/*/experienceScore": "/matches/*/breakdown/experience",
    "/matches/*/locationScore": "/matches/*/breakdown/location",
    "/matches/*/salaryScore": "/matches/*/breakdown/salary",
    "/executionMs": "/processing_time_ms",
  },
  readRequest: (body) => reading((drops) => readRequest(body, drops)),
  writeRequest: (request) => writing((drops) => writeRequest(request, drops)),
  readAnswer: (body) => reading((drops) => readAnswer(body, drops)),
  writeAnswer: (answer) => writing((drops) => writeAnswer(answer, drops)),
  readError: readFlaskError,
  writeError: writeFlaskError,
};

const BODY = shapeOf("", ["candidate", "jobs"]);
/** `name` is no field of Nexten, which ignores it; a client may send it so that V2, which demands one, can be asked. */
const CANDIDATE = shapeOf("/candidate", ["name", "skills", "experience"]);
const JOB = shapeOf("/jobs/*", ["id", "title", "required_skills", "experience_required"]);

function readRequest(body: Json, drops: Set<string>): MatchRequest {
  const request = bodyOf(body, "request");
  if (request["job_id"] !== undefined && request["jobs"] === undefined)
    throw new Unsayable("a request of Nexten's queue names its job by an id, and holds nothing that could be matched");
  const jobs = objectsAt(request, "jobs", "/jobs");
  const fields = new Fields(request, BODY, drops);
  const candidate = new Fields(fields.object("candidate") ?? {}, CANDIDATE, drops);
  const years = readYears(candidate.raw("experience"));
  if (years === undefined) candidate.drop("experience");
  return {
    candidate: given({
      name: candidate.text("name"),
      skills: candidate.texts("skills")?.map((name) => ({ name })),
      experienceYears: years,
    }),
    offers: jobs.map((job, index) => readJob(job, index, drops)),
  };
}

function readJob(job: JsonObject, index: number, drops: Set<string>): Offer {
  const fields = new Fields(job, JOB, drops);
  const years = readYears(fields.raw("experience_required"));
  return given({
    id: idOf(job, "id", "/jobs", index),
    title: fields.text("title"),
    skills: fields.texts("required_skills"),
    experienceYears: years,
    experienceLevel: years === undefined ? fields.text("experience_required") : undefined,
  });
}

const CARRIED_OF_REQUEST: ReadonlySet<string> = new Set(["candidate", "offers", "algorithm", "limit"]);
const CARRIED_OF_CANDIDATE: ReadonlySet<string> = new Set(["skills", "experienceYears", "experiences"]);
const CARRIED_OF_SKILL: ReadonlySet<string> = new Set(["name"]);
const CARRIED_OF_EXPERIENCE: ReadonlySet<string> = new Set(["durationMonths"]);
const CARRIED_OF_OFFER: ReadonlySet<string> = new Set(["id", "title", "skills", "experienceYears", "source"]);

function writeRequest(request: MatchRequest, drops: Set<string>): Json {
  const { candidate, offers } = request;
  const [offer] = offers;
  if (offer === undefined) throw new Unsayable("Nexten demands a job, and the request has none");
  if (offers.length > 1) throw new Unsayable(`Nexten scores only the first job of a request, and this one has ${offers.length}`);
  const person = given({ skills: candidate.skills?.map(({ name }) => name), experience: candidate.experienceYears });
  if (isEmpty(person)) throw new Unsayable("Nexten demands skills or years of experience, and the request has neither");
  lose(request, "", CARRIED_OF_REQUEST, drops);
  // It has one algorithm, its own.
  const asked = request.algorithm?.known;
  if (request.algorithm !== undefined && asked !== "auto" && asked !== "nexten") drops.add("/algorithm");
  lose(candidate, "/candidate", CARRIED_OF_CANDIDATE, drops);
  for (const skill of candidate.skills ?? []) lose(skill, "/candidate/skills/*", CARRIED_OF_SKILL, drops);
  for (const experience of candidate.experiences ?? []) lose(experience, "/candidate/experiences/*", CARRIED_OF_EXPERIENCE, drops);
  lose(offer, "/offers/*", CARRIED_OF_OFFER, drops);
  return {
    candidate: person,
    jobs: [{ id: offer.id, title: offer.title, required_skills: offer.skills, experience_required: offer.experienceYears }],
  };
}

const ANSWER = shapeOf("", ["matches", "processing_time_ms", "algorithm_used", "success"], ["ai_insights"]);
const MATCH = shapeOf("/matches/*", ["job_id", "score", "confidence", "confidence_score", "breakdown"]);
const BREAKDOWN = shapeOf("/matches/*/breakdown", ["skills", "experience", "location", "salary"]);

function readAnswer(body: Json, drops: Set<string>): MatchAnswer {
  const answer = bodyOf(body, "answer");
  if (answer["matches"] === undefined && typeof answer["status"] === "string")
    throw new Unsayable(`the answer is a receipt of Nexten's queue (${answer["status"].slice(0, 40)}), and holds no matches yet`);
  const matches = objectsAt(answer, "matches", "/matches");
  const fields = new Fields(answer, ANSWER, drops);
  return given({
    success: fields.boolean("success"),
    matches: matches.map((match, index) => readMatch(match, index, drops)),
    algorithm: fields.text("algorithm_used"),
    executionMs: fields.number("processing_time_ms"),
  });
}

function readMatch(match: JsonObject, index: number, drops: Set<string>): Match {
  const fields = new Fields(match, MATCH, drops);
  const confidence = fields.number("confidence_score");
  // The word says the same as the figure, more roughly; alone it is no figure.
  if (confidence === undefined) fields.drop("confidence");
  const parts = fields.object("breakdown") ?? {};
  const breakdown = new Fields(parts, BREAKDOWN, drops);
  return given({
    id: idOf(match, "job_id", "/matches", index),
    score: scoreOf(fromPercent(fields.number("score")), "/matches", index),
    confidence,
    skillScore: partOf(breakdown, "skills", drops),
    experienceScore: partOf(breakdown, "experience", drops),
    locationScore: partOf(breakdown, "location", drops),
    salaryScore: partOf(breakdown, "salary", drops),
  });
}

/** A part is a figure, or an object that holds one as `score` beside its reasons. */
function partOf(breakdown: Fields, name: string, drops: Set<string>): number | undefined {
  const part = breakdown.raw(name);
  if (!isObject(part)) return fromPercent(breakdown.number(name));
  const { score } = part;
  const figure = typeof score === "number" && Math.abs(score) <= 1e6 ? score : undefined;
  if (figure === undefined || Object.keys(part).length > 1) drops.add(`/matches/*/breakdown/${name}`);
  return fromPercent(figure);
}

const CARRIED_OF_ANSWER: ReadonlySet<string> = new Set(["success", "matches", "algorithm", "executionMs"]);
const CARRIED_OF_MATCH: ReadonlySet<string> = new Set([
  "id",
  "score",
  "confidence",
  "skillScore",
  "experienceScore",
  "locationScore",
  "salaryScore",
]);

function writeAnswer(answer: MatchAnswer, drops: Set<string>): Json {
  if (answer.success === false) throw new Unsayable("Nexten has no word for an answer without success");
  lose(answer, "", CARRIED_OF_ANSWER, drops);
  const matches = answer.matches.map((match) => {
    lose(match, "/matches/*", CARRIED_OF_MATCH, drops);
    const breakdown = given({
      skills: partFrom(match.skillScore),
      experience: partFrom(match.experienceScore),
      location: partFrom(match.locationScore),
      salary: partFrom(match.salaryScore),
    });
    return {
      job_id: match.id,
      score: toPercent(match.score),
      // The word is left out: where `high` begins only Nexten knows.
      confidence_score: match.confidence,
      breakdown: isEmpty(breakdown) ? undefined : breakdown,
    };
  });
  return { matches, processing_time_ms: answer.executionMs, algorithm_used: answer.algorithm };
}

function partFrom(ratio: number | undefined): JsonObject | undefined {
  return ratio === undefined ? undefined : { score: toPercent(ratio) };
}

import type { Id, Match, MatchAnswer, MatchRequest, Offer } from "./canonical.ts";
import type { Dialect } from "./dialect.ts";
import { readFlaskError, writeFlaskError } from "./errors.ts";
import { bodyOf, either, Fields, given, idOf, lose, objectsAt, reading, scoreOf, shapeOf, Unsayable, writing } from "./fields.ts";
import { fromPercent, fromSeconds, toPercent, toSeconds } from "./figures.ts";
import { isEmpty, isObject, type Json, type JsonObject } from "./json.ts";
import { readTerm, V1_ALGORITHMS, writeTerm } from "./terms.ts";
import { CARRIED_OF_REQUEST, CV_FIELDS, JOB_FIELDS, namesOf, readCandidate, readJob, WISH_FIELDS } from "./v1-family.ts";
import { writeCv, writeJob, writeWishes } from "./v1-family.ts";

/** V1's `POST /api/match`: a CV, a questionnaire and the jobs; every result echoes its job. */
export const v1: Dialect = {
  name: "v1",
  paths: {
    success: "/success",
    algorithm: "/algorithm_used",
    fallbackFlags: ["/fallback_used", "/fallback_utilise"],
    matches: "/results",
    answerIds: "/results/*/id",
    requestIds: "/job_data/*/id",
    scores: "/results/*/matching_score",
  },
  names: {
    ...namesOf("/cv_data", "/questionnaire_data", "/job_data/*"),
    "/matches/*/skillScore": "/results/*/matching_details/skills",
    "/matches/*/experienceScore": "/results/*/matching_details/experience",
    "/matches/*/locationScore": "/results/*/matching_details/location",
    "/matches/*/salaryScore": "/results/*/matching_details/salary",
    "/matches/*/explanation": "/results/*/matching_explanations",
    "/matches/*/insights": "/results/*/matching_explanations",
    "/algorithmType": "/algorithm_type",
    "/executionMs": "/execution_time",
    "/fallback": "/fallback_used",
  },
  readRequest: (body) => reading((drops) => readRequest(body, drops)),
  writeRequest: (request) => writing((drops) => writeRequest(request, drops)),
  readAnswer: (body) => reading((drops) => readAnswer(body, drops)),
  writeAnswer: (answer, request) => writing((drops) => writeAnswer(answer, request, drops)),
  readError: readFlaskError,
  writeError: writeFlaskError,
};

const BODY = shapeOf("", ["cv_data", "questionnaire_data", "job_data", "algorithm", "limit"]);
const CV = shapeOf("/cv_data", CV_FIELDS);
const WISHES = shapeOf("/questionnaire_data", WISH_FIELDS);
const JOB = shapeOf("/job_data/*", JOB_FIELDS);

/** How many results V1 gives where the client does not say. */
const DEFAULT_LIMIT = 10;

function readRequest(body: Json, drops: Set<string>): MatchRequest {
  const request = bodyOf(body, "request");
  const jobs = objectsAt(request, "job_data", "/job_data");
  const fields = new Fields(request, BODY, drops);
  const cv = new Fields(fields.object("cv_data") ?? {}, CV, drops);
  const wishes = new Fields(fields.object("questionnaire_data") ?? {}, WISHES, drops);
  const algorithm = fields.text("algorithm");
  return given({
    candidate: readCandidate(cv, wishes),
    offers: jobs.map((job, index) => readJob(job, index, JOB, "/job_data", v1.name, drops)),
    algorithm: algorithm === undefined || algorithm === "" ? undefined : readTerm(algorithm, V1_ALGORITHMS),
    limit: readLimit(fields, jobs.length),
  });
}

function readLimit(fields: Fields, jobs: number): number | undefined {
  const limit = fields.number("limit");
  if (limit !== undefined && Number.isSafeInteger(limit) && limit > 0) return limit;
  // V1 itself takes 0 as not said.
  if (limit !== undefined && limit !== 0) fields.drop("limit");
  return jobs > DEFAULT_LIMIT ? DEFAULT_LIMIT : undefined;
}

function writeRequest(request: MatchRequest, drops: Set<string>): Json {
  if (request.offers.length === 0) throw new Unsayable("V1 demands at least one job, and the request has none");
  lose(request, "", CARRIED_OF_REQUEST, drops);
  const algorithm = writeTerm(request.algorithm, V1_ALGORITHMS);
  if (request.algorithm !== undefined && algorithm === undefined) drops.add("/algorithm");
  return {
    cv_data: writeCv(request.candidate, drops),
    questionnaire_data: writeWishes(request.candidate, drops),
    job_data: request.offers.map((offer) => writeJob(offer, drops)),
    algorithm,
    // Left to itself V1 would answer ten of them.
    limit: request.limit ?? (request.offers.length > DEFAULT_LIMIT ? request.offers.length : undefined),
  };
}

const ANSWER = shapeOf(
  "",
  ["success", "algorithm_used", "algorithm_type", "execution_time", "results", "fallback_used", "fallback_utilise", "total_results"],
  ["matching_mode", "error"],
);

function readAnswer(body: Json, drops: Set<string>): MatchAnswer {
  const answer = bodyOf(body, "answer");
  const results = objectsAt(answer, "results", "/results");
  const fields = new Fields(answer, ANSWER, drops);
  return given({
    success: fields.boolean("success"),
    matches: results.map((result, index) => readResult(result, index, drops)),
    algorithm: fields.text("algorithm_used"),
    algorithmType: fields.text("algorithm_type"),
    executionMs: fromSeconds(fields.number("execution_time")),
    fallback: either(fields.boolean("fallback_used"), fields.boolean("fallback_utilise")),
  });
}

const RESULT = "/results/*";

/** What else a result has is the echo of its job, and no loss: whoever asked has it. */
function readResult(result: JsonObject, index: number, drops: Set<string>): Match {
  const score = percentAt(result, "matching_score");
  const employers = percentAt(result, "matching_score_entreprise");
  if (score !== undefined && employers !== undefined) drops.add(`${RESULT}/matching_score_entreprise`);
  const criteria = readCriteria(result, drops);
  return given({
    id: idOf(result, "id", "/results", index),
    score: scoreOf(fromPercent(score ?? employers), "/results", index),
    skillScore: criteria(["skills", "competences"]),
    experienceScore: criteria(["experience"]),
    locationScore: criteria(["location", "localisation", "proximite"]),
    salaryScore: criteria(["salary", "remuneration"]),
    ...readExplanations(result, drops),
  });
}

function percentAt(object: JsonObject, name: string): number | undefined {
  const value = object[name];
  return typeof value === "number" && Number.isFinite(value) && Math.abs(value) <= 1e6 ? value : undefined;
}

const CRITERIA: ReadonlySet<string> = new Set([
  "skills",
  "competences",
  "experience",
  "location",
  "localisation",
  "proximite",
  "salary",
  "remuneration",
]);

/** Figures of `matching_details`, and where one is not there, of `scores_detailles`, which holds much besides. */
function readCriteria(result: JsonObject, drops: Set<string>): (words: readonly string[]) => number | undefined {
  const details = objectIn(result, "matching_details", drops);
  const scores = objectIn(result, "scores_detailles", drops);
  for (const key of Object.keys(details)) {
    if (!CRITERIA.has(key) || percentAt(details, key) === undefined) drops.add(`${RESULT}/matching_details/?`);
  }
  const isFigure = ([key, score]: readonly [string, Json | undefined]): boolean =>
    CRITERIA.has(key) && isObject(score) && percentAt(score, "pourcentage") !== undefined && Object.keys(score).length === 1;
  if (!Object.entries(scores).every(isFigure)) drops.add(`${RESULT}/scores_detailles`);
  return (words) => {
    for (const word of words) {
      const figure = percentAt(details, word);
      if (figure !== undefined) return fromPercent(figure);
    }
    for (const word of words) {
      const score = scores[word];
      const figure = isObject(score) ? percentAt(score, "pourcentage") : undefined;
      if (figure !== undefined) return fromPercent(figure);
    }
    return undefined;
  };
}

function objectIn(result: JsonObject, name: string, drops: Set<string>): JsonObject {
  const value = result[name];
  if (isObject(value)) return value;
  if (!isEmpty(value)) drops.add(`${RESULT}/${name}`);
  return {};
}

/** One text is the explanation; of an object `global` is, else the employer's, and its other texts are insights. */
function readExplanations(result: JsonObject, drops: Set<string>): Pick<Match, "explanation" | "insights"> {
  const explanations = result["matching_explanations"];
  const employers = result["explications_entreprise"];
  const parts: readonly (readonly [string, Json | undefined])[] = isObject(explanations)
    ? Object.entries(explanations)
    : [["global", explanations]];
  const insights: string[] = [];
  let explanation: string | undefined;
  for (const [name, part] of parts) {
    if (name === "global" && typeof part === "string") explanation = part;
    else if (typeof part === "string") insights.push(part);
    else if (Array.isArray(part) && part.every((text) => typeof text === "string")) for (const text of part) insights.push(text);
    else if (!isEmpty(part)) drops.add(`${RESULT}/matching_explanations`);
  }
  if (explanation === undefined && typeof employers === "string") explanation = employers;
  else if (!isEmpty(employers) && employers !== explanation) drops.add(`${RESULT}/explications_entreprise`);
  return given({ explanation, insights: insights.length === 0 ? undefined : insights });
}

const CARRIED_OF_ANSWER: ReadonlySet<string> = new Set(["success", "matches", "algorithm", "algorithmType", "executionMs", "fallback"]);
const CARRIED_OF_MATCH: ReadonlySet<string> = new Set([
  "id",
  "score",
  "skillScore",
  "experienceScore",
  "locationScore",
  "salaryScore",
  "explanation",
  "insights",
]);

function writeAnswer(answer: MatchAnswer, request: MatchRequest, drops: Set<string>): Json {
  lose(answer, "", CARRIED_OF_ANSWER, drops);
  const jobOf = echoOf(request);
  const results = answer.matches.map((match) => {
    lose(match, "/matches/*", CARRIED_OF_MATCH, drops);
    return { ...jobOf(match.id), ...writeScores(match) };
  });
  return {
    success: answer.success ?? true,
    algorithm_used: answer.algorithm,
    algorithm_type: answer.algorithmType,
    total_results: results.length,
    execution_time: toSeconds(answer.executionMs),
    results,
    fallback_used: answer.fallback,
  };
}

function writeScores(match: Match): JsonObject {
  const details = given({
    skills: toPercent(match.skillScore),
    experience: toPercent(match.experienceScore),
    location: toPercent(match.locationScore),
    salary: toPercent(match.salaryScore),
  });
  const explanations = given({ global: match.explanation, insights: match.insights });
  return {
    matching_score: toPercent(match.score),
    matching_details: isEmpty(details) ? undefined : details,
    matching_explanations: isEmpty(explanations) ? undefined : explanations,
  };
}

/** The job of an id as the client wrote it; where two jobs have one id, each is echoed in its turn. */
function echoOf(request: MatchRequest): (id: Id) => JsonObject {
  const waiting = new Map<string, { readonly offers: Offer[]; next: number }>();
  for (const offer of request.offers) {
    const key = JSON.stringify(offer.id);
    const same = waiting.get(key);
    if (same === undefined) waiting.set(key, { offers: [offer], next: 0 });
    else same.offers.push(offer);
  }
  return (id) => {
    const same = waiting.get(JSON.stringify(id));
    const offer = same?.offers[Math.min(same.next++, same.offers.length - 1)];
    if (offer === undefined) return { id };
    return offer.source?.dialect === v1.name ? offer.source.offer : writeJob(offer, new Set());
  };
}

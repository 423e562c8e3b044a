import type { Match, MatchAnswer, MatchRequest } from "./canonical.ts";
import type { Dialect } from "./dialect.ts";
import { readFlaskError, writeFlaskError } from "./errors.ts";
import { bodyOf, either, Fields, given, idOf, lose, objectsAt, reading, scoreOf, shapeOf, Unsayable, writing } from "./fields.ts";
import { fromPercent, fromSeconds, toPercent, toSeconds } from "./figures.ts";
import { isArray, isEmpty, isObject, type Json, type JsonObject } from "./json.ts";
import { readTerm, V1_ALGORITHMS, writeTerm } from "./terms.ts";
import { CARRIED_OF_REQUEST, CV_FIELDS, JOB_FIELDS, namesOf, readCandidate, readJob, WISH_FIELDS } from "./v1-family.ts";
import { writeCv, writeJob, writeWishes } from "./v1-family.ts";

const MATCHES = "/matching_results/matches";

/** V1's `POST /api/v1/match`: one flat candidate and offers; the matches name their offers by id. */
export const v1Offers: Dialect = {
  name: "v1-offers",
  paths: {
    success: "/success",
    algorithm: "/algorithm_used/name",
    fallbackFlags: ["/fallback_used", "/fallback_utilise"],
    matches: MATCHES,
    answerIds: `${MATCHES}/*/offer_id`,
    requestIds: "/offers/*/id",
    scores: `${MATCHES}/*/score`,
  },
  names: {
    ...namesOf("/candidate", "/candidate", "/offers/*"),
    "/matches/*/skillScore": `${MATCHES}/*/score_details/competences`,
    "/matches/*/experienceScore": `${MATCHES}/*/score_details/experience`,
    "/matches/*/locationScore": `${MATCHES}/*/score_details/localisation`,
    "/matches/*/explanation": `${MATCHES}/*/explanation`,
    "/algorithmType": "/algorithm_used/type",
    "/selectionReason": "/algorithm_used/reason",
    "/executionMs": "/matching_results/execution_time",
    "/fallback": "/fallback_used",
  },
  readRequest: (body) => reading((drops) => readRequest(body, drops)),
  writeRequest: (request) => writing((drops) => writeRequest(request, drops)),
  readAnswer: (body) => reading((drops) => readAnswer(body, drops)),
  writeAnswer: (answer, request) => writing((drops) => writeAnswer(answer, request, drops)),
  readError: readFlaskError,
  writeError: writeFlaskError,
};

const BODY = shapeOf("", ["candidate", "offers", "jobs", "algorithm"], ["options"]);
const CANDIDATE = shapeOf("/candidate", [...CV_FIELDS, ...WISH_FIELDS]);
const OFFER_FIELDS = [...JOB_FIELDS, "title", "company"];
const OFFER = shapeOf("/offers/*", OFFER_FIELDS);
const JOB = shapeOf("/jobs/*", OFFER_FIELDS);

function readRequest(body: Json, drops: Set<string>): MatchRequest {
  const request = bodyOf(body, "request");
  const fields = new Fields(request, BODY, drops);
  const candidate = new Fields(fields.object("candidate") ?? {}, CANDIDATE, drops);
  // A service that finds both takes the offers first.
  const offers = request["offers"] === undefined && isArray(request["jobs"]) ? [] : objectsAt(request, "offers", "/offers");
  const jobs = isArray(request["jobs"]) ? objectsAt(request, "jobs", "/jobs") : [];
  if (jobs.length === 0) fields.drop("jobs");
  const algorithm = fields.text("algorithm");
  return given({
    candidate: readCandidate(candidate, candidate),
    offers: [
      ...offers.map((offer, index) => readJob(offer, index, OFFER, "/offers", v1Offers.name, drops)),
      ...jobs.map((job, index) => readJob(job, index, JOB, "/jobs", v1Offers.name, drops)),
    ],
    algorithm: algorithm === undefined || algorithm === "" ? undefined : readTerm(algorithm, V1_ALGORITHMS),
  });
}

function writeRequest(request: MatchRequest, drops: Set<string>): Json {
  if (request.offers.length === 0) throw new Unsayable("V1 demands at least one offer, and the request has none");
  lose(request, "", CARRIED_OF_REQUEST, drops);
  const candidate = given({ ...writeCv(request.candidate, drops), ...writeWishes(request.candidate, drops) });
  if (isEmpty(candidate)) throw new Unsayable("V1 demands a candidate of whom something is said, and nothing is");
  const algorithm = writeTerm(request.algorithm, V1_ALGORITHMS);
  if (request.algorithm !== undefined && algorithm === undefined) drops.add("/algorithm");
  return { candidate, offers: request.offers.map((offer) => writeJob(offer, drops)), algorithm };
}

const ANSWER = shapeOf("", ["success", "algorithm_used", "matching_results", "fallback_used", "fallback_utilise"]);
const ALGORITHM = shapeOf("/algorithm_used", ["name", "type", "reason"], ["version"]);
const RESULTS = shapeOf("/matching_results", ["execution_time", "matches"]);
// Title and company are those of the request.
const MATCH = shapeOf(`${MATCHES}/*`, ["offer_id", "score", "score_details", "explanation", "title", "company"]);
const DETAILS = shapeOf(`${MATCHES}/*/score_details`, ["competences", "experience", "localisation"]);

function readAnswer(body: Json, drops: Set<string>): MatchAnswer {
  const answer = bodyOf(body, "answer");
  const inner = answer["matching_results"];
  if (!isObject(inner)) throw new Unsayable("/matching_results is missing");
  const matches = objectsAt(inner, "matches", MATCHES);
  const fields = new Fields(answer, ANSWER, drops);
  const results = new Fields(inner, RESULTS, drops);
  return given({
    success: fields.boolean("success"),
    matches: matches.map((match, index) => readMatch(match, index, drops)),
    ...readAlgorithm(fields, drops),
    executionMs: fromSeconds(results.number("execution_time")),
    fallback: either(fields.boolean("fallback_used"), fields.boolean("fallback_utilise")),
  });
}

function readAlgorithm(answer: Fields, drops: Set<string>): Pick<MatchAnswer, "algorithm" | "algorithmType" | "selectionReason"> {
  const used = answer.raw("algorithm_used");
  if (typeof used === "string") return { algorithm: used };
  const fields = new Fields(answer.object("algorithm_used") ?? {}, ALGORITHM, drops);
  return given({ algorithm: fields.text("name"), algorithmType: fields.text("type"), selectionReason: fields.text("reason") });
}

function readMatch(match: JsonObject, index: number, drops: Set<string>): Match {
  const fields = new Fields(match, MATCH, drops);
  const details = new Fields(fields.object("score_details") ?? {}, DETAILS, drops);
  return given({
    id: idOf(match, "offer_id", MATCHES, index),
    score: scoreOf(fromPercent(fields.number("score")), MATCHES, index),
    skillScore: fromPercent(details.number("competences")),
    experienceScore: fromPercent(details.number("experience")),
    locationScore: fromPercent(details.number("localisation")),
    explanation: fields.text("explanation"),
  });
}

const CARRIED_OF_ANSWER: ReadonlySet<string> = new Set([
  "success",
  "matches",
  "algorithm",
  "algorithmType",
  "selectionReason",
  "executionMs",
  "fallback",
]);
const CARRIED_OF_MATCH: ReadonlySet<string> = new Set(["id", "score", "skillScore", "experienceScore", "locationScore", "explanation"]);

function writeAnswer(answer: MatchAnswer, request: MatchRequest, drops: Set<string>): Json {
  lose(answer, "", CARRIED_OF_ANSWER, drops);
  const offers = new Map(request.offers.map((offer) => [JSON.stringify(offer.id), offer]));
  const matches = answer.matches.map((match) => {
    lose(match, "/matches/*", CARRIED_OF_MATCH, drops);
    const offer = offers.get(JSON.stringify(match.id));
    const details = given({
      competences: toPercent(match.skillScore),
      experience: toPercent(match.experienceScore),
      localisation: toPercent(match.locationScore),
    });
    return {
      offer_id: match.id,
      title: offer?.title,
      company: offer?.company,
      score: toPercent(match.score),
      score_details: isEmpty(details) ? undefined : details,
      explanation: match.explanation,
    };
  });
  const algorithm = given({ name: answer.algorithm, type: answer.algorithmType, reason: answer.selectionReason });
  return {
    success: answer.success ?? true,
    algorithm_used: isEmpty(algorithm) ? undefined : algorithm,
    matching_results: { execution_time: toSeconds(answer.executionMs), matches },
    fallback_used: answer.fallback,
  };
}

import type { Match, MatchAnswer } from "./canonical.ts";
import { bodyOf, Fields, given, idOf, lose, objectsAt, scoreOf, shapeOf, type Shape } from "./fields.ts";
import { isEmpty, type Json, type JsonObject } from "./json.ts";

export function matchShape(answerId: string): Shape {
  return shapeOf("/matches/*", [
    answerId,
    "overall_score",
    "confidence",
    "skill_match_score",
    "experience_match_score",
    "location_match_score",
    "culture_match_score",
    "insights",
    "explanation",
  ]);
}

const ANSWER = shapeOf("", [
  "success",
  "matches",
  "algorithm_used",
  "execution_time_ms",
  "selection_reason",
  "context_analysis",
  "metadata",
  "performance_metrics",
]);

export function readAnswer(body: Json, answerId: string, shape: Shape, drops: Set<string>): MatchAnswer {
  const answer = bodyOf(body, "answer");
  const matches = objectsAt(answer, "matches", "/matches");
  const fields = new Fields(answer, ANSWER, drops);
  const { fallback, ...metadata } = fields.whole("metadata") ?? {};
  if (typeof fallback !== "boolean" && !isEmpty(fallback)) drops.add("/metadata/fallback");
  return given({
    success: fields.boolean("success"),
    matches: matches.map((match, index) => readMatch(match, index, answerId, shape, drops)),
    algorithm: fields.text("algorithm_used"),
    executionMs: fields.number("execution_time_ms"),
    selectionReason: fields.text("selection_reason"),
    contextAnalysis: fields.whole("context_analysis"),
    metadata: isEmpty(metadata) ? undefined : metadata,
    performanceMetrics: fields.whole("performance_metrics"),
    fallback: typeof fallback === "boolean" ? fallback : undefined,
  });
}

function readMatch(match: JsonObject, index: number, answerId: string, shape: Shape, drops: Set<string>): Match {
  const fields = new Fields(match, shape, drops);
  return given({
    id: idOf(match, answerId, "/matches", index),
    score: scoreOf(fields.number("overall_score"), "/matches", index),
    confidence: fields.number("confidence"),
    skillScore: fields.number("skill_match_score"),
    experienceScore: fields.number("experience_match_score"),
    locationScore: fields.number("location_match_score"),
    cultureScore: fields.number("culture_match_score"),
    insights: fields.texts("insights"),
    explanation: fields.text("explanation"),
  });
}

const CARRIED: ReadonlySet<string> = new Set([
  "success",
  "matches",
  "algorithm",
  "executionMs",
  "selectionReason",
  "contextAnalysis",
  "metadata",
  "performanceMetrics",
  "fallback",
]);
const CARRIED_OF_MATCH: ReadonlySet<string> = new Set([
  "id",
  "score",
  "confidence",
  "skillScore",
  "experienceScore",
  "locationScore",
  "cultureScore",
  "insights",
  "explanation",
]);

export function writeAnswer(answer: MatchAnswer, answerId: string, drops: Set<string>): Json {
  lose(answer, "", CARRIED, drops);
  const metadata = given({ ...answer.metadata, fallback: answer.fallback });
  return {
    success: answer.success ?? true,
    matches: answer.matches.map((match) => writeMatch(match, answerId, drops)),
    algorithm_used: answer.algorithm,
    execution_time_ms: answer.executionMs,
    selection_reason: answer.selectionReason,
    context_analysis: answer.contextAnalysis,
    metadata: isEmpty(metadata) ? undefined : metadata,
    performance_metrics: answer.performanceMetrics,
  };
}

function writeMatch(match: Match, answerId: string, drops: Set<string>): JsonObject {
  lose(match, "/matches/*", CARRIED_OF_MATCH, drops);
  return {
    [answerId]: match.id,
    overall_score: match.score,
    confidence: match.confidence,
    skill_match_score: match.skillScore,
    experience_match_score: match.experienceScore,
    location_match_score: match.locationScore,
    culture_match_score: match.cultureScore,
    insights: match.insights,
    explanation: match.explanation,
  };
}

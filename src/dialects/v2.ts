import type { Dialect } from "./dialect.ts";
import { readFastApiError, writeFastApiError } from "./errors.ts";
import { reading, writing } from "./fields.ts";
import { matchShape, readAnswer, writeAnswer } from "./v2-answer.ts";
import { readRequest, requestShapes, writeRequest, type Naming } from "./v2-request.ts";

/** V2's `POST /api/v2/match` as it runs. */
export const v2 = createV2({ dialect: "v2", list: "offers", requestId: "id", answerId: "offer_id" });

/** V2 as the migration plan describes it: jobs in place of offers. */
export const v2Jobs = createV2({ dialect: "v2-jobs", list: "jobs", requestId: "job_id", answerId: "job_id" });

function createV2(naming: Naming): Dialect {
  const { dialect, list, requestId, answerId } = naming;
  const shapes = requestShapes(naming);
  const match = matchShape(answerId);
  return {
    name: dialect,
    paths: {
      success: "/success",
      algorithm: "/algorithm_used",
      fallbackFlags: ["/metadata/fallback", "/fallback_utilise"],
      matches: "/matches",
      answerIds: `/matches/*/${answerId}`,
      requestIds: `/${list}/*/${requestId}`,
      scores: "/matches/*/overall_score",
      confidences: "/matches/*/confidence",
    },
    names: namesOf(`/${list}/*`),
    readRequest: (body) => reading((drops) => readRequest(body, naming, shapes, drops)),
    writeRequest: (request) => writing((drops) => writeRequest(request, naming, drops)),
    readAnswer: (body) => reading((drops) => readAnswer(body, answerId, match, drops)),
    writeAnswer: (answer) => writing((drops) => writeAnswer(answer, answerId, drops)),
    readError: readFastApiError,
    writeError: writeFastApiError,
  };
}

function namesOf(offer: string): Readonly<Record<string, string>> {
  return {
    "/candidate/skills": "/candidate/technical_skills",
    "/candidate/skills/*/level": "/candidate/technical_skills/*/level",
    "/candidate/skills/*/years": "/candidate/technical_skills/*/years",
    "/candidate/softSkills": "/candidate/soft_skills",
    "/candidate/experienceYears": "/candidate/experiences/*/duration_months",
    "/candidate/city": "/candidate/location/city",
    "/candidate/country": "/candidate/location/country",
    "/candidate/salaryExpectation": "/candidate/salary_expectation",
    "/candidate/remotePreference": "/candidate_questionnaire/remote_preference",
    "/candidateQuestionnaire": "/candidate_questionnaire",
    "/companyQuestionnaires": "/company_questionnaires",
    "/offers/*/title": `${offer}/title`,
    "/offers/*/company": `${offer}/company`,
    "/offers/*/skills": `${offer}/required_skills`,
    "/offers/*/city": `${offer}/location/city`,
    "/offers/*/country": `${offer}/location/country`,
    "/offers/*/remotePolicy": `${offer}/remote_policy`,
    "/offers/*/salary": `${offer}/salary_range`,
    "/offers/*/salary/min": `${offer}/salary_range/min`,
    "/offers/*/salary/max": `${offer}/salary_range/max`,
    "/offers/*/contractType": `${offer}/contract_type`,
    "/offers/*/experienceYears": `${offer}/experience_level`,
    "/offers/*/experienceLevel": `${offer}/experience_level`,
    "/matches/*/skillScore": "/matches/*/skill_match_score",
    "/matches/*/experienceScore": "/matches/*/experience_match_score",
    "/matches/*/locationScore": "/matches/*/location_match_score",
    "/matches/*/cultureScore": "/matches/*/culture_match_score",
    "/selectionReason": "/selection_reason",
    "/executionMs": "/execution_time_ms",
    "/contextAnalysis": "/context_analysis",
    "/performanceMetrics": "/performance_metrics",
    "/fallback": "/metadata/fallback",
  };
}

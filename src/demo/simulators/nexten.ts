import { isObject, listAt, namesAt, numberAt, objectAt, textAt } from "./json.ts";
import { fit } from "./scoring.ts";
import {
  fractionOf,
  htmlError,
  htmlMethodNotAllowed,
  htmlNotFound,
  json,
  parseJson,
  round,
  type Matcher,
  type Reply,
  type Service,
} from "./service.ts";

/** Nexten: the older matcher. It scores the first job only and breaks on skills that are not plain texts. */
export const nexten: Service = {
  kind: "nexten",
  defaultPort: 5052,
  latency: { p50Ms: 75, p95Ms: 98 },
  match(method, path) {
    return method === "POST" ? MATCHERS[path] : undefined;
  },
  other(method, path) {
    if (path === "/health") {
      if (method !== "GET" && method !== "HEAD") return htmlMethodNotAllowed();
      return json(200, { status: "healthy", service: "nexten-matcher", version: "2.1.0" });
    }
    const result = /^(?:\/api\/nexten)?\/api\/v1\/result\/([\w-]+)$/.exec(path)?.[1];
    if (result !== undefined && method === "GET")
      return json(200, { job_id: result, status: "finished", result: { score: Math.round(40 + 60 * fractionOf(result)) } });
    return MATCHERS[path] === undefined && result === undefined ? htmlNotFound() : htmlMethodNotAllowed();
  },
};

const match: Matcher = (body, tuning) => {
  const parsed = parseJson(body);
  if (!parsed) return malformed();
  const candidate = objectAt(parsed.value, "candidate");
  const job = listAt(parsed.value, "jobs").find(isObject);
  if (Object.keys(candidate).length === 0 || job === undefined) return json(400, { error: "candidate and jobs are required" });
  if (listAt(candidate, "skills").some((skill) => typeof skill !== "string")) {
    return htmlError(
      500,
      "Internal Server Error",
      "The server encountered an internal error and was unable to complete your request. Either the server is overloaded or there is an error in the application.",
    );
  }

  const found = fit(
    { skills: namesAt(candidate, "skills"), years: numberAt(candidate, "experience"), city: textAt(candidate, "location"), salary: 0 },
    {
      skills: namesAt(job, "required_skills"),
      yearsRequired: numberAt(job, "experience_required"),
      city: textAt(job, "location"),
      remote: "none",
      salaryMax: 0,
    },
    { aliases: false },
  );
  const confidence = tuning.quality ?? round(0.55 + 0.43 * found.overall, 3);
  return json(200, {
    ...(tuning.unsuccessful ? { success: false } : {}),
    matches: [
      {
        job_id: job["id"] ?? null,
        score: Math.round(found.overall * 100),
        confidence: wordOf(confidence),
        confidence_score: confidence,
        breakdown: {
          skills: { score: Math.round(found.skills * 100), matched: found.matched, missing: found.missing, weight: 0.5 },
          experience: { score: Math.round(found.experience * 100), weight: 0.25 },
          location: { score: Math.round(found.location * 100), weight: 0.15 },
          salary: { score: Math.round(found.salary * 100), weight: 0.1 },
        },
      },
    ],
    processing_time_ms: round(60 + 40 * fractionOf(body), 1),
    algorithm_used: "nexten-matcher",
    ai_insights: {
      strengths: found.matched.map((skill) => `Solid match on ${skill}`),
      gaps: found.missing.map((skill) => `No evidence of ${skill}`),
      recommendation: found.overall >= 0.6 ? "Recommended for interview" : "Keep in the talent pool",
    },
  });
};

/** The asynchronous sibling: a queue whose every job is finished by the time somebody asks. */
const queue: Matcher = (body) => {
  const parsed = parseJson(body);
  if (!parsed) return malformed();
  if (!isObject(parsed.value) || parsed.value["candidate_id"] === undefined || parsed.value["job_id"] === undefined) {
    return json(400, { error: "candidate_id and job_id are required" });
  }
  return json(202, { job_id: `match-${Math.floor(fractionOf(body) * 1e9)}`, status: "queued" });
};

const MATCHERS: Readonly<Record<string, Matcher>> = {
  "/match": match,
  "/api/match": match,
  // The routing in front of it keeps its prefix.
  "/api/nexten/match": match,
  "/api/v1/queue-matching": queue,
  "/api/nexten/api/v1/queue-matching": queue,
};

function malformed(): Reply {
  return htmlError(400, "Bad Request", "The browser (or proxy) sent a request that this server could not understand.");
}

function wordOf(confidence: number): string {
  if (confidence >= 0.9) return "very_high";
  if (confidence >= 0.75) return "high";
  return confidence >= 0.5 ? "medium" : "low";
}

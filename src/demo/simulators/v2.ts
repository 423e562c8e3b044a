import { isObject, listAt, namesAt, numberAt, objectAt, textAt, type JsonObject } from "./json.ts";
import { fit, yearsRequiredOf, type Fit, type Opening, type Person } from "./scoring.ts";
import { fractionOf, json, parseJson, round, type Matcher, type Reply, type Service } from "./service.ts";

/** V2: the FastAPI service. It knows that `k8s` is Kubernetes, and says how sure it is of each match. */
export const v2: Service = {
  kind: "v2",
  defaultPort: 5070,
  latency: { p50Ms: 28, p95Ms: 62 },
  match(method, path) {
    return method === "POST" && path === MATCH_PATH ? match : undefined;
  },
  other(method, path) {
    if (path === "/health" && (method === "GET" || method === "HEAD")) {
      return json(200, { status: "healthy", service: "supersmartmatch-v2", version: "2.0.0" });
    }
    if (path === "/health" || path === MATCH_PATH) return json(405, { detail: "Method Not Allowed" });
    return json(404, { detail: "Not Found" });
  },
};

const MATCH_PATH = "/api/v2/match";

interface Complaint {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
}

const match: Matcher = (body, tuning) => {
  const parsed = parseJson(body);
  if (!parsed) return unprocessable([{ type: "json_invalid", loc: ["body", 0], msg: "JSON decode error" }]);
  const complaints = validate(parsed.value);
  if (complaints.length > 0) return unprocessable(complaints);

  const candidate = objectAt(parsed.value, "candidate");
  const offers = listAt(parsed.value, "offers").filter(isObject);
  const person = personOf(candidate);
  const asked = textAt(parsed.value, "algorithm") || "auto";
  const matches = offers.map((offer) =>
    matchOf(offer, fit(person, openingOf(offer), { aliases: true }), confidenceOf(candidate, person, offer), tuning.quality),
  );
  return json(200, {
    success: !tuning.unsuccessful,
    matches,
    algorithm_used: asked === "auto" ? (person.skills.length >= 5 ? "nexten" : "smart") : asked,
    execution_time_ms: round(12 + 50 * fractionOf(body), 2),
    selection_reason:
      asked === "auto"
        ? `Profile with ${person.skills.length} skills and ${round(person.years, 1)} years of experience`
        : "Asked for by the client",
    context_analysis: {
      candidate_completeness: round(completeness(candidate, person), 2),
      offers_count: offers.length,
      has_questionnaire: isObject(objectAt(parsed.value, "candidate_questionnaire")["answers"]),
    },
    metadata: { api_version: "2.0", fallback: false },
  });
};

/** Complaints in the words of the validator that FastAPI uses. */
function validate(body: unknown): Complaint[] {
  if (!isObject(body))
    return [{ type: "model_attributes_type", loc: ["body"], msg: "Input should be a valid dictionary or object to extract fields from" }];
  const complaints: Complaint[] = [];
  const candidate = body["candidate"];
  if (candidate === undefined) complaints.push(missing("body", "candidate"));
  else if (!isObject(candidate))
    complaints.push({
      type: "model_attributes_type",
      loc: ["body", "candidate"],
      msg: "Input should be a valid dictionary or object to extract fields from",
    });
  else if (candidate["name"] === undefined) complaints.push(missing("body", "candidate", "name"));
  else if (typeof candidate["name"] !== "string")
    complaints.push({ type: "string_type", loc: ["body", "candidate", "name"], msg: "Input should be a valid string" });

  const offers = body["offers"];
  if (offers === undefined) complaints.push(missing("body", "offers"));
  else if (!Array.isArray(offers)) complaints.push({ type: "list_type", loc: ["body", "offers"], msg: "Input should be a valid list" });
  else {
    for (const [index, offer] of offers.entries()) {
      if (!isObject(offer)) {
        complaints.push({
          type: "model_attributes_type",
          loc: ["body", "offers", index],
          msg: "Input should be a valid dictionary or object to extract fields from",
        });
        continue;
      }
      for (const field of ["id", "title"]) if (offer[field] === undefined) complaints.push(missing("body", "offers", index, field));
    }
  }
  return complaints;
}

function missing(...loc: (string | number)[]): Complaint {
  return { type: "missing", loc, msg: "Field required" };
}

function unprocessable(detail: readonly Complaint[]): Reply {
  return json(422, { detail });
}

function personOf(candidate: JsonObject): Person {
  const experiences = listAt(candidate, "experiences");
  const months = experiences.reduce<number>((sum, experience) => sum + numberAt(experience, "duration_months"), 0);
  return {
    skills: [...namesAt(candidate, "technical_skills"), ...experiences.flatMap((experience) => namesAt(experience, "skills"))],
    years: months / 12,
    city: textAt(objectAt(candidate, "location"), "city") || textAt(candidate, "localisation"),
    salary: numberAt(candidate, "salary_expectation"),
  };
}

function openingOf(offer: JsonObject): Opening {
  const remote = textAt(offer, "remote_policy");
  return {
    skills: namesAt(offer, "required_skills"),
    yearsRequired: yearsRequiredOf(textAt(offer, "experience_level")),
    city: textAt(objectAt(offer, "location"), "city") || textAt(offer, "localisation"),
    remote: remote === "full_remote" ? "full" : remote === "hybrid" ? "partial" : "none",
    salaryMax: numberAt(objectAt(offer, "salary_range"), "max"),
  };
}

/** How much of a profile there is to judge by, 0..1. */
function completeness(candidate: JsonObject, person: Person): number {
  const skills = Math.min(1, person.skills.length / 4);
  const experience = listAt(candidate, "experiences").length > 0 ? 1 : 0;
  const place = person.city === "" ? 0 : 1;
  return 0.5 * skills + 0.3 * experience + 0.2 * place;
}

/** Sure where much is known of both sides, whether the match is good or bad. */
function confidenceOf(candidate: JsonObject, person: Person, offer: JsonObject): number {
  const known = listAt(offer, "required_skills").length > 0 ? 1 : 0;
  return round(0.72 + 0.2 * completeness(candidate, person) + 0.06 * known, 3);
}

function matchOf(offer: JsonObject, found: Fit, confidence: number, quality: number | undefined): JsonObject {
  const of = found.matched.length + found.missing.length;
  return {
    offer_id: offer["id"] ?? null,
    overall_score: round(found.overall, 4),
    confidence: quality ?? confidence,
    skill_match_score: round(found.skills, 4),
    experience_match_score: round(found.experience, 4),
    location_match_score: round(found.location, 4),
    insights: [
      ...found.matched.map((skill) => `Brings ${skill}`),
      ...found.missing.map((skill) => `Would have to learn ${skill}`),
      found.experience >= 1 ? "Experience meets the level asked for" : "Experience below the level asked for",
    ],
    explanation: `${found.matched.length} of ${of} required skills, experience ${Math.round(found.experience * 100)} %, location ${Math.round(found.location * 100)} %`,
  };
}

import { isObject, listAt, namesAt, numberAt, objectAt, textAt, type JsonObject } from "./json.ts";
import { fit, salaryMaxOf, yearsRequiredOf, type Fit, type Opening, type Person } from "./scoring.ts";
import {
  fractionOf,
  htmlMethodNotAllowed,
  htmlNotFound,
  json,
  parseJson,
  round,
  type Matcher,
  type Reply,
  type Service,
} from "./service.ts";

/** V1: the Flask service with French field names. It has no confidence figure and answers 500 to malformed JSON. */
export const v1: Service = {
  kind: "v1",
  defaultPort: 5062,
  latency: { p50Ms: 40, p95Ms: 85 },
  match(method, path) {
    return method === "POST" ? MATCHERS[path] : undefined;
  },
  other(method, path) {
    if (path === "/api/health" || path === "/api/v1/health") {
      if (method !== "GET" && method !== "HEAD") return htmlMethodNotAllowed();
      return json(200, { status: "healthy", service: "SuperSmartMatch", version: "1.0.0", algorithms: ALGORITHMS.length });
    }
    return MATCHERS[path] === undefined ? htmlNotFound() : htmlMethodNotAllowed();
  },
};

const ALGORITHMS: readonly string[] = ["auto", "smart_match", "enhanced", "supersmartmatch", "semantic", "hybrid", "original"];

const matchJobs: Matcher = (body, tuning) => {
  const parsed = parseJson(body);
  if (!parsed) return malformed();
  const jobs = listAt(parsed.value, "job_data");
  if (jobs.length === 0) return json(400, { error: "job_data required" });

  const asked = textAt(parsed.value, "algorithm") || "auto";
  const known = ALGORITHMS.includes(asked);
  const person = personOf(objectAt(parsed.value, "cv_data"), objectAt(parsed.value, "questionnaire_data"));
  const scored = jobs.filter(isObject).map((job) => ({ job, fit: fit(person, openingOf(job), { aliases: false }) }));
  const results = best(scored, numberAt(parsed.value, "limit") || 10).map(({ job, fit: found }) => resultOf(job, found, known));
  return json(200, {
    success: !tuning.unsuccessful,
    matching_mode: "candidate_to_jobs",
    algorithm_used: known ? (asked === "auto" ? "smart_match" : asked) : "fallback",
    algorithm_type: known ? "advanced" : "basic",
    total_results: results.length,
    execution_time: executionSeconds(body),
    results,
    ...(known ? {} : { fallback_used: true, error: `Algorithme inconnu: ${asked}` }),
  });
};

const matchOffers: Matcher = (body, tuning) => {
  const parsed = parseJson(body);
  if (!parsed) return malformed();
  const candidate = objectAt(parsed.value, "candidate");
  if (Object.keys(candidate).length === 0) return json(400, { error: "candidate required" });
  const offers = [...listAt(parsed.value, "offers"), ...listAt(parsed.value, "jobs")].filter(isObject);
  if (offers.length === 0) return json(400, { error: "offers required" });

  const person = personOf(candidate, candidate);
  const matches = offers.map((offer) => {
    const found = fit(person, openingOf(offer), { aliases: false });
    return {
      offer_id: offer["id"] ?? null,
      title: textAt(offer, "titre") || textAt(offer, "title"),
      company: textAt(offer, "entreprise") || textAt(offer, "company"),
      score: percent(found.overall),
      score_details: { competences: percent(found.skills), experience: percent(found.experience), localisation: percent(found.location) },
      explanation: explain(found),
    };
  });
  return json(200, {
    success: !tuning.unsuccessful,
    algorithm_used: { name: "smart_match", type: "advanced", version: "1.2.0", reason: "Choix automatique selon le profil du candidat" },
    matching_results: { execution_time: executionSeconds(body), matches },
  });
};

const MATCHERS: Readonly<Record<string, Matcher>> = { "/api/match": matchJobs, "/api/v1/match": matchOffers };

function malformed(): Reply {
  return json(500, {
    success: false,
    error: "400 Bad Request: The browser (or proxy) sent a request that this server could not understand.",
  });
}

function personOf(cv: JsonObject, wishes: JsonObject): Person {
  return {
    skills: [...namesAt(cv, "competences"), ...namesAt(cv, "logiciels")],
    years: numberAt(cv, "annees_experience"),
    city: textAt(wishes, "adresse"),
    salary: salaryOf(wishes, "salaire_souhaite"),
  };
}

function openingOf(job: JsonObject): Opening {
  const remote = textAt(job, "politique_remote");
  return {
    skills: namesAt(job, "competences"),
    yearsRequired: numberAt(job, "experience_requise") || yearsRequiredOf(textAt(job, "experience_requise")),
    city: textAt(job, "localisation"),
    remote: /total|full/i.test(remote) ? "full" : /partiel|hybrid/i.test(remote) ? "partial" : "none",
    salaryMax: numberAt(job, "budget_max") || salaryMaxOf(textAt(job, "salaire")),
  };
}

function salaryOf(source: JsonObject, key: string): number {
  const text = textAt(source, key);
  return text === "" ? numberAt(source, key) : salaryMaxOf(text);
}

/** The best `limit`, still in the order of the request. */
function best<T extends { readonly fit: Fit }>(scored: readonly T[], limit: number): readonly T[] {
  if (scored.length <= limit) return scored;
  const kept = new Set(scored.toSorted((a, b) => b.fit.overall - a.fit.overall).slice(0, limit));
  return scored.filter((entry) => kept.has(entry));
}

function percent(ratio: number): number {
  return Math.round(ratio * 100);
}

function executionSeconds(body: string): number {
  return round(0.02 + 0.06 * fractionOf(body), 4);
}

function explain(found: Fit): string {
  const level =
    found.overall >= 0.8 ? "Excellente correspondance" : found.overall >= 0.6 ? "Bonne correspondance" : "Correspondance partielle";
  return `${level} : ${found.matched.length} compétence(s) sur ${found.matched.length + found.missing.length}`;
}

function criterion(ratio: number, weight: number, text: string): Readonly<Record<string, unknown>> {
  return {
    pourcentage: percent(ratio),
    poids: weight,
    contribution: round(ratio * weight, 2),
    niveau: ratio >= 0.7 ? "fort" : "à renforcer",
    commentaire: text,
  };
}

function resultOf(job: JsonObject, found: Fit, detailed: boolean): JsonObject {
  const score = percent(detailed ? found.overall : found.skills);
  const basic = { ...job, matching_score: score, matching_details: detailsOf(found) };
  if (!detailed) return basic;
  return {
    ...basic,
    matching_score_entreprise: percent(0.7 * found.skills + 0.3 * found.experience),
    scores_detailles: {
      competences: criterion(
        found.skills,
        50,
        `Compétences communes : ${found.matched.join(", ") || "aucune"}. Compétences à acquérir : ${found.missing.join(", ") || "aucune"}.`,
      ),
      experience: criterion(found.experience, 25, "Comparaison des années d'expérience du candidat avec celles que demande l'offre."),
      proximite: criterion(
        found.location,
        15,
        "Comparaison de l'adresse du candidat, du lieu de travail et de la politique de télétravail de l'offre.",
      ),
      remuneration: criterion(
        found.salary,
        10,
        "Comparaison du salaire souhaité par le candidat avec le budget que l'entreprise annonce pour ce poste.",
      ),
    },
    matching_explanations: {
      global: explain(found),
      competences:
        found.missing.length === 0
          ? "Toutes les compétences demandées sont présentes dans le profil du candidat."
          : `Il manque ${found.missing.length} compétence(s) demandée(s) par l'entreprise : ${found.missing.join(", ")}.`,
      experience:
        found.experience >= 1
          ? "L'expérience correspond au niveau demandé, ou le dépasse."
          : "L'expérience est en dessous du niveau demandé ; un accompagnement est à prévoir.",
      localisation:
        found.location >= 1
          ? "Le lieu de travail convient au candidat sans déplacement supplémentaire."
          : "Le lieu de travail demande un déplacement, ou un accord sur le télétravail.",
      recommandation:
        found.overall >= 0.6
          ? "Profil à contacter en priorité, entretien conseillé sous une semaine."
          : "Profil à garder en réserve, à revoir si l'offre évolue.",
    },
    explications_entreprise: explain(found),
  };
}

function detailsOf(found: Fit): JsonObject {
  return {
    skills: percent(found.skills),
    experience: percent(found.experience),
    location: percent(found.location),
    salary: percent(found.salary),
    matched_skills: found.matched,
    missing_skills: found.missing,
  };
}

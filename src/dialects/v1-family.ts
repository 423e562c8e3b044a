import type { Candidate, MatchRequest, Offer, RemotePolicy, SalaryRange, Term } from "./canonical.ts";
import { Fields, given, idOf, lose, mustBeShallow, type Shape } from "./fields.ts";
import { readSalary, readYears, writeSalary } from "./figures.ts";
import type { Json, JsonObject } from "./json.ts";
import { readTerm, V1_REMOTE, writeTerm } from "./terms.ts";

/** What the two request formats of V1 share: the French words for a person and for a job. */

/** What is told of the person. `nom` is no field of V1, which ignores it; a client may send it so that V2, which demands a name, can be asked. */
export const CV_FIELDS = ["nom", "competences", "annees_experience", "niveau_etudes", "soft_skills", "langues", "logiciels"] as const;

/** What the person wishes. */
export const WISH_FIELDS = [
  "adresse",
  "salaire_souhaite",
  "types_contrat",
  "mobilite",
  "priorites_candidat",
  "flexibilite_attendue",
] as const;

export const JOB_FIELDS = [
  "id",
  "titre",
  "entreprise",
  "competences",
  "localisation",
  "type_contrat",
  "salaire",
  "budget_max",
  "experience_requise",
  "politique_remote",
] as const;

/** `cv` and `wishes` are one and the same where a format does not part them. */
export function readCandidate(cv: Fields, wishes: Fields): Candidate {
  const years = readYears(cv.raw("annees_experience"));
  if (years === undefined) cv.drop("annees_experience");
  return given({
    name: cv.text("nom"),
    skills: cv.texts("competences")?.map((name) => ({ name })),
    experienceYears: years,
    education: cv.text("niveau_etudes"),
    softSkills: cv.texts("soft_skills"),
    languages: wholeList(cv, "langues"),
    software: cv.texts("logiciels"),
    city: wishes.text("adresse"),
    salaryExpectation: readWish(wishes),
    contractTypes: wishes.texts("types_contrat"),
    mobility: wishes.text("mobilite"),
    priorities: wishes.whole("priorites_candidat"),
    flexibility: wishes.whole("flexibilite_attendue"),
  });
}

function wholeList(fields: Fields, name: string): readonly Json[] | undefined {
  const list = fields.list(name);
  if (list !== undefined) mustBeShallow(list, name);
  return list;
}

/** One amount; a range is no single wish. */
function readWish(wishes: Fields): number | undefined {
  const value = wishes.raw("salaire_souhaite");
  if (typeof value !== "string") return wishes.number("salaire_souhaite");
  const range = readSalary(value);
  return range?.min === range?.max && range !== undefined ? range.max : wishes.drop("salaire_souhaite");
}

/** Names of canonical fields in both formats, each with the pointer of the object that it stands in. */
export function namesOf(cv: string, wishes: string, job: string): Readonly<Record<string, string>> {
  return {
    "/candidate/name": `${cv}/nom`,
    "/candidate/skills": `${cv}/competences`,
    "/candidate/experienceYears": `${cv}/annees_experience`,
    "/candidate/education": `${cv}/niveau_etudes`,
    "/candidate/softSkills": `${cv}/soft_skills`,
    "/candidate/languages": `${cv}/langues`,
    "/candidate/software": `${cv}/logiciels`,
    "/candidate/city": `${wishes}/adresse`,
    "/candidate/salaryExpectation": `${wishes}/salaire_souhaite`,
    "/candidate/contractTypes": `${wishes}/types_contrat`,
    "/candidate/mobility": `${wishes}/mobilite`,
    "/candidate/priorities": `${wishes}/priorites_candidat`,
    "/candidate/flexibility": `${wishes}/flexibilite_attendue`,
    "/offers/*/title": `${job}/titre`,
    "/offers/*/company": `${job}/entreprise`,
    "/offers/*/skills": `${job}/competences`,
    "/offers/*/city": `${job}/localisation`,
    "/offers/*/contractType": `${job}/type_contrat`,
    "/offers/*/salary": `${job}/salaire`,
    "/offers/*/salary/min": `${job}/salaire`,
    "/offers/*/salary/max": `${job}/salaire`,
    "/offers/*/salaryText": `${job}/salaire`,
    "/offers/*/budgetMax": `${job}/budget_max`,
    "/offers/*/experienceYears": `${job}/experience_requise`,
    "/offers/*/experienceLevel": `${job}/experience_requise`,
    "/offers/*/remotePolicy": `${job}/politique_remote`,
  };
}

const CARRIED: ReadonlySet<string> = new Set([
  "skills",
  "softSkills",
  "languages",
  "software",
  "education",
  "experienceYears",
  "experiences",
  "city",
  "salaryExpectation",
  "mobility",
  "remotePreference",
  "contractTypes",
  "priorities",
  "flexibility",
]);
const CARRIED_OF_SKILL: ReadonlySet<string> = new Set(["name"]);
const CARRIED_OF_EXPERIENCE: ReadonlySet<string> = new Set(["durationMonths"]);

export function writeCv(candidate: Candidate, drops: Set<string>): JsonObject {
  lose(candidate, "/candidate", CARRIED, drops);
  for (const skill of candidate.skills ?? []) lose(skill, "/candidate/skills/*", CARRIED_OF_SKILL, drops);
  for (const experience of candidate.experiences ?? []) lose(experience, "/candidate/experiences/*", CARRIED_OF_EXPERIENCE, drops);
  return {
    competences: candidate.skills?.map(({ name }) => name),
    annees_experience: candidate.experienceYears,
    niveau_etudes: candidate.education,
    soft_skills: candidate.softSkills,
    langues: candidate.languages,
    logiciels: candidate.software,
  };
}

export function writeWishes(candidate: Candidate, drops: Set<string>): JsonObject {
  const { mobility, remotePreference } = candidate;
  // V1 has one field for the two.
  if (mobility !== undefined && mobility !== remotePreference && remotePreference !== undefined) drops.add("/candidate/remotePreference");
  return {
    adresse: candidate.city,
    salaire_souhaite: candidate.salaryExpectation,
    types_contrat: candidate.contractTypes,
    mobilite: mobility ?? remotePreference,
    priorites_candidat: candidate.priorities,
    flexibilite_attendue: candidate.flexibility,
  };
}

/** `at` points at the list of jobs, `source` is the name of the dialect that reads. */
export function readJob(job: JsonObject, index: number, shape: Shape, at: string, source: string, drops: Set<string>): Offer {
  const fields = new Fields(job, shape, drops);
  mustBeShallow(job, `${at}/${index}`);
  const remote = fields.text("politique_remote");
  return given({
    id: idOf(job, "id", at, index),
    title: eitherText(fields, shape, "titre", "title"),
    company: eitherText(fields, shape, "entreprise", "company"),
    skills: fields.texts("competences"),
    city: fields.text("localisation"),
    contractType: fields.text("type_contrat"),
    remotePolicy: remote === undefined ? undefined : readTerm(remote, V1_REMOTE),
    ...readPay(fields),
    ...readDemand(fields),
    source: { dialect: source, offer: job },
  });
}

function eitherText(fields: Fields, shape: Shape, french: string, english: string): string | undefined {
  const text = fields.text(french);
  if (!shape.read.has(english)) return text;
  if (text === undefined || text === fields.raw(english)) return fields.text(english) ?? text;
  fields.drop(english);
  return text;
}

function readPay(fields: Fields): Pick<Offer, "salary" | "salaryText" | "budgetMax"> {
  const pay = fields.raw("salaire");
  const budget = fields.number("budget_max");
  const text = typeof pay === "number" ? undefined : fields.text("salaire");
  const range = text === undefined ? amount(fields, pay) : readSalary(text);
  const unclear = range === undefined && text !== undefined && text !== "" ? { salaryText: text } : {};
  if (budget === undefined) return range === undefined ? unclear : { salary: range };
  if (range === undefined) return { ...unclear, salary: { max: budget } };
  return range.max === budget ? { salary: range } : { salary: range, budgetMax: budget };
}

function amount(fields: Fields, value: Json | undefined): SalaryRange | undefined {
  if (typeof value !== "number") return undefined;
  const euros = fields.number("salaire");
  return euros === undefined ? undefined : { min: euros, max: euros };
}

function readDemand(fields: Fields): Pick<Offer, "experienceYears" | "experienceLevel"> {
  const value = fields.raw("experience_requise");
  const years = readYears(value);
  if (years !== undefined) return { experienceYears: years };
  const level = fields.text("experience_requise");
  return level === undefined ? {} : { experienceLevel: level };
}

const CARRIED_OF_OFFER: ReadonlySet<string> = new Set([
  "id",
  "title",
  "company",
  "skills",
  "city",
  "remotePolicy",
  "salary",
  "salaryText",
  "budgetMax",
  "contractType",
  "experienceYears",
  "experienceLevel",
  "source",
]);

export function writeJob(offer: Offer, drops: Set<string>): JsonObject {
  lose(offer, "/offers/*", CARRIED_OF_OFFER, drops);
  const range = offer.salary === undefined ? undefined : writeSalary(offer.salary);
  if (range === undefined && offer.salary?.min !== undefined) drops.add("/offers/*/salary/min");
  const budget = offer.budgetMax ?? offer.salary?.max;
  if (range === undefined && offer.salary?.max !== undefined && offer.salary.max !== budget) drops.add("/offers/*/salary/max");
  const remote = remoteOf(offer.remotePolicy, drops);
  return {
    id: offer.id,
    titre: offer.title,
    entreprise: offer.company,
    competences: offer.skills,
    localisation: offer.city,
    type_contrat: offer.contractType,
    salaire: offer.salaryText ?? range,
    budget_max: budget,
    experience_requise: offer.experienceYears ?? offer.experienceLevel,
    politique_remote: remote,
  };
}

function remoteOf(policy: Term<RemotePolicy> | undefined, drops: Set<string>): string | undefined {
  const text = writeTerm(policy, V1_REMOTE);
  if (policy !== undefined && text === undefined) drops.add("/offers/*/remotePolicy");
  return text;
}

/** The canonical fields of a request that neither format of V1 has, beside those that it has. `limit` is kept by the proxy. */
export const CARRIED_OF_REQUEST: ReadonlySet<keyof MatchRequest> = new Set<keyof MatchRequest>([
  "candidate",
  "offers",
  "algorithm",
  "limit",
]);

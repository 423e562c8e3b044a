import type { Candidate, Experience, MatchRequest, Offer, SalaryRange, Skill } from "./canonical.ts";
import { bodyOf, Fields, given, idOf, lose, mustBeShallow, objectsAt, shapeOf, Unsayable, type Shape } from "./fields.ts";
import { monthsOfYears, readYears, yearsOfMonths } from "./figures.ts";
import { isEmpty, isObject, type Json, type JsonObject } from "./json.ts";
import { readTerm, V2_ALGORITHMS, V2_REMOTE, writeTerm } from "./terms.ts";

/** What the two formats of V2 name differently. */
export interface Naming {
  readonly dialect: string;
  /** The list in a request. */
  readonly list: "offers" | "jobs";
  /** The id in that list; where it is missing, `id` is read. */
  readonly requestId: "id" | "job_id";
  readonly answerId: "offer_id" | "job_id";
}

export interface RequestShapes {
  readonly body: Shape;
  readonly offer: Shape;
  readonly place: Shape;
  readonly salary: Shape;
}

export function requestShapes({ list, requestId }: Naming): RequestShapes {
  return {
    body: shapeOf("", ["candidate", list, "candidate_questionnaire", "company_questionnaires", "algorithm"]),
    offer: shapeOf(`/${list}/*`, [...new Set(["id", requestId]), ...OFFER_FIELDS]),
    place: shapeOf(`/${list}/*/location`, ["city", "country"]),
    salary: shapeOf(`/${list}/*/salary_range`, ["min", "max"]),
  };
}

const OFFER_FIELDS = [
  "title",
  "company",
  "required_skills",
  "location",
  "localisation",
  "remote_policy",
  "salary_range",
  "contract_type",
  "experience_level",
];
const CANDIDATE = shapeOf("/candidate", [
  "name",
  "email",
  "technical_skills",
  "soft_skills",
  "experiences",
  "location",
  "localisation",
  "mobility",
  "salary_expectation",
]);
const SKILL = shapeOf("/candidate/technical_skills/*", ["name", "level", "years"]);
const EXPERIENCE = shapeOf("/candidate/experiences/*", ["title", "company", "duration_months", "skills"]);
const PLACE_OF_CANDIDATE = shapeOf("/candidate/location", ["city", "country"]);

export function readRequest(body: Json, naming: Naming, shapes: RequestShapes, drops: Set<string>): MatchRequest {
  const { list } = naming;
  const request = bodyOf(body, "request");
  const offers = objectsAt(request, list, `/${list}`);
  const fields = new Fields(request, shapes.body, drops);
  const candidate = fields.object("candidate");
  if (candidate === undefined) throw new Unsayable("/candidate is missing");
  const { remote_preference: preference, ...questionnaire } = fields.whole("candidate_questionnaire") ?? {};
  if (typeof preference !== "string" && !isEmpty(preference)) drops.add("/candidate_questionnaire/remote_preference");
  const companies = fields.raw("company_questionnaires");
  if (companies !== undefined) mustBeShallow(companies, "/company_questionnaires");
  const algorithm = fields.text("algorithm");
  return given({
    candidate: given({
      ...readCandidate(candidate, drops),
      remotePreference: typeof preference === "string" ? preference : undefined,
    }),
    offers: offers.map((offer, index) => readOffer(offer, index, naming, shapes, drops)),
    algorithm: algorithm === undefined || algorithm === "" ? undefined : readTerm(algorithm, V2_ALGORITHMS),
    candidateQuestionnaire: isEmpty(questionnaire) ? undefined : questionnaire,
    companyQuestionnaires: companies,
  });
}

function readCandidate(candidate: JsonObject, drops: Set<string>): Candidate {
  const fields = new Fields(candidate, CANDIDATE, drops);
  const experiences = fields.list("experiences")?.flatMap((entry) => readExperience(entry, drops));
  const durations = experiences?.flatMap(({ durationMonths }) => durationMonths ?? []) ?? [];
  return given({
    name: fields.text("name"),
    email: fields.text("email"),
    skills: fields.list("technical_skills")?.flatMap((entry) => readSkill(entry, drops)),
    softSkills: fields.texts("soft_skills"),
    experiences,
    experienceYears: durations.length === 0 ? undefined : yearsOfMonths(durations.reduce((sum, months) => sum + months, 0)),
    ...readPlace(fields, PLACE_OF_CANDIDATE, drops),
    mobility: fields.text("mobility"),
    salaryExpectation: fields.number("salary_expectation"),
  });
}

function readSkill(entry: Json, drops: Set<string>): Skill[] {
  if (typeof entry === "string") return [{ name: entry }];
  if (!isObject(entry) || typeof entry["name"] !== "string") {
    drops.add("/candidate/technical_skills/*");
    return [];
  }
  const fields = new Fields(entry, SKILL, drops);
  const level = fields.raw("level");
  return [given({ name: entry["name"], level: typeof level === "string" ? level : fields.number("level"), years: fields.number("years") })];
}

function readExperience(entry: Json, drops: Set<string>): Experience[] {
  if (!isObject(entry)) {
    drops.add("/candidate/experiences/*");
    return [];
  }
  const fields = new Fields(entry, EXPERIENCE, drops);
  const months = fields.number("duration_months");
  if (months !== undefined && months < 0) fields.drop("duration_months");
  return [
    given({
      title: fields.text("title"),
      company: fields.text("company"),
      durationMonths: months !== undefined && months >= 0 ? months : undefined,
      skills: fields.texts("skills"),
    }),
  ];
}

/** `location` is the newer form; `localisation` is read where it has no city. */
function readPlace(fields: Fields, shape: Shape, drops: Set<string>): Pick<Candidate, "city" | "country"> {
  const place = new Fields(fields.object("location") ?? {}, shape, drops);
  const city = place.text("city");
  if (city !== undefined && city !== fields.raw("localisation")) fields.drop("localisation");
  return given({ city: city ?? fields.text("localisation"), country: place.text("country") });
}

function readOffer(offer: JsonObject, index: number, naming: Naming, shapes: RequestShapes, drops: Set<string>): Offer {
  const fields = new Fields(offer, shapes.offer, drops);
  const idField = offer[naming.requestId] === undefined ? "id" : naming.requestId;
  if (idField !== "id") fields.drop("id");
  const level = fields.raw("experience_level");
  const years = readYears(level);
  const remote = fields.text("remote_policy");
  return given({
    id: idOf(offer, idField, `/${naming.list}`, index),
    title: fields.text("title"),
    company: fields.text("company"),
    skills: fields.texts("required_skills"),
    ...readPlace(fields, shapes.place, drops),
    remotePolicy: remote === undefined || remote === "" ? undefined : readTerm(remote, V2_REMOTE),
    salary: readRange(fields, shapes.salary, drops),
    contractType: fields.text("contract_type"),
    experienceYears: years,
    experienceLevel: years === undefined ? fields.text("experience_level") : undefined,
  });
}

function readRange(fields: Fields, shape: Shape, drops: Set<string>): SalaryRange | undefined {
  const ends = new Fields(fields.object("salary_range") ?? {}, shape, drops);
  const salary = given({ min: ends.number("min"), max: ends.number("max") });
  return isEmpty(salary) ? undefined : salary;
}

const CARRIED: ReadonlySet<string> = new Set([
  "candidate",
  "offers",
  "algorithm",
  "limit",
  "candidateQuestionnaire",
  "companyQuestionnaires",
]);
const CARRIED_OF_CANDIDATE: ReadonlySet<string> = new Set([
  "name",
  "email",
  "skills",
  "softSkills",
  "experienceYears",
  "experiences",
  "city",
  "country",
  "salaryExpectation",
  "mobility",
  "remotePreference",
]);
const CARRIED_OF_OFFER: ReadonlySet<string> = new Set([
  "id",
  "title",
  "company",
  "skills",
  "city",
  "country",
  "remotePolicy",
  "salary",
  "budgetMax",
  "contractType",
  "experienceYears",
  "experienceLevel",
  "source",
]);

export function writeRequest(request: MatchRequest, { list, requestId }: Naming, drops: Set<string>): Json {
  const { candidate, offers } = request;
  if (candidate.name === undefined) throw new Unsayable("V2 demands the candidate's name, and the request does not tell it");
  lose(request, "", CARRIED, drops);
  const algorithm = writeTerm(request.algorithm, V2_ALGORITHMS);
  if (request.algorithm !== undefined && algorithm === undefined) drops.add("/algorithm");
  const questionnaire = given({ ...request.candidateQuestionnaire, remote_preference: candidate.remotePreference });
  return {
    candidate: writeCandidate(candidate, drops),
    [list]: offers.map((offer, index) => writeOffer(offer, index, requestId, drops)),
    candidate_questionnaire: isEmpty(questionnaire) ? undefined : questionnaire,
    company_questionnaires: request.companyQuestionnaires,
    algorithm,
  };
}

function writeCandidate(candidate: Candidate, drops: Set<string>): JsonObject {
  lose(candidate, "/candidate", CARRIED_OF_CANDIDATE, drops);
  const { experiences, experienceYears: years } = candidate;
  return {
    name: candidate.name,
    email: candidate.email,
    technical_skills: candidate.skills?.map(writeSkill),
    soft_skills: candidate.softSkills,
    // V2 knows no sum: one experience of that length says the same.
    experiences: experiences?.map(writeExperience) ?? (years === undefined ? undefined : [{ duration_months: monthsOfYears(years) }]),
    location: writePlace(candidate),
    mobility: candidate.mobility,
    salary_expectation: candidate.salaryExpectation,
  };
}

function writeSkill({ name, level, years }: Skill): Json {
  return level === undefined && years === undefined ? name : { name, level, years };
}

function writeExperience({ title, company, durationMonths, skills }: Experience): JsonObject {
  return { title, company, duration_months: durationMonths, skills };
}

function writePlace({ city, country }: Pick<Candidate, "city" | "country">): JsonObject | undefined {
  return city === undefined && country === undefined ? undefined : { city, country };
}

function writeOffer(offer: Offer, index: number, requestId: "id" | "job_id", drops: Set<string>): JsonObject {
  const { title, salary, budgetMax, experienceYears } = offer;
  if (title === undefined) throw new Unsayable(`V2 demands the title of every offer, and number ${index + 1} has none`);
  lose(offer, "/offers/*", CARRIED_OF_OFFER, drops);
  const remote = writeTerm(offer.remotePolicy, V2_REMOTE);
  if (offer.remotePolicy !== undefined && remote === undefined) drops.add("/offers/*/remotePolicy");
  if (budgetMax !== undefined && salary?.max !== undefined) drops.add("/offers/*/budgetMax");
  const max = salary?.max ?? budgetMax;
  return {
    [requestId]: offer.id,
    title,
    company: offer.company,
    required_skills: offer.skills,
    location: writePlace(offer),
    remote_policy: remote,
    salary_range: salary?.min === undefined && max === undefined ? undefined : { min: salary?.min, max },
    contract_type: offer.contractType,
    experience_level: experienceYears === undefined ? offer.experienceLevel : `${experienceYears} ans`,
  };
}

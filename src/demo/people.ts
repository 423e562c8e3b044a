import { createRandom } from "./simulators/chance.ts";

/** A user of the demo, and what they send. */
export interface Person {
  readonly id: string;
  /** Value of `X-User-Segment`; undefined for most. */
  readonly segment: string | undefined;
  /** A request in the words of V1. */
  readonly body: string;
}

/** Share of users by the value of their segment header. */
const SEGMENTS = [
  { value: "beta", share: 0.06 },
  { value: "enterprise", share: 0.1 },
  { value: "api_partner", share: 0.14 },
] as const;

/** Users with so thin a profile that V2 is not sure of its matches. */
const SPARSE_SHARE = 0.03;

const SKILLS = [
  "Python",
  "SQL",
  "Kubernetes",
  "k8s",
  "Go",
  "TypeScript",
  "js",
  "React",
  "Java",
  "Linux",
  "Terraform",
  "machine learning",
] as const;
const CITIES = ["Paris", "Lyon", "Lille", "Nantes", "Marseille"] as const;
const TITLES = ["Backend developer", "Data engineer", "SRE", "Frontend developer", "Data scientist"] as const;
const COMPANIES = ["Exemple SA", "Atelier Nord", "Mer & Cie", "Vega"] as const;

/** The same `count` people at every start. */
export function createPeople(count: number): readonly Person[] {
  const random = createRandom(2_026);
  return Array.from({ length: count }, (_, index) => ({
    id: `user-${String(index + 1).padStart(4, "0")}`,
    segment: segmentAt(random()),
    body: JSON.stringify(requestOf(index, random)),
  }));
}

/** A request like those of the traffic, for whoever wants to send one by hand. */
export function sampleBody(): string {
  return `${JSON.stringify(requestOf(0, createRandom(13)), undefined, 2)}\n`;
}

function segmentAt(draw: number): string | undefined {
  let upTo = 0;
  for (const { value, share } of SEGMENTS) {
    upTo += share;
    if (draw < upTo) return value;
  }
  return undefined;
}

function requestOf(index: number, random: () => number) {
  const sparse = random() < SPARSE_SHARE;
  const skills = sparse ? [] : several(SKILLS, 5, random);
  const years = 1 + Math.floor(random() * 14);
  const city = one(CITIES, random);
  const openings = Array.from({ length: 4 }, (_, opening) => ({
    id: index * 10 + opening + 1,
    title: one(TITLES, random),
    company: one(COMPANIES, random),
    skills: several(SKILLS, 3, random),
    city: one(CITIES, random),
    salary: 40 + Math.floor(random() * 30),
  }));
  return {
    // V1 has no field for a name and ignores this one; V2 demands it.
    cv_data: {
      nom: `Candidate ${index + 1}`,
      competences: skills,
      ...(sparse ? {} : { annees_experience: years, niveau_etudes: "Master" }),
    },
    questionnaire_data: { ...(sparse ? {} : { adresse: city }), salaire_souhaite: 48_000 },
    job_data: openings.map((opening) => ({
      id: opening.id,
      titre: opening.title,
      entreprise: opening.company,
      competences: opening.skills,
      localisation: opening.city,
      type_contrat: "CDI",
      salaire: `${opening.salary}-${opening.salary + 12}K€`,
    })),
    algorithm: "auto",
  };
}

function one(list: readonly string[], random: () => number): string {
  return list[Math.floor(random() * list.length)] ?? "";
}

function several(list: readonly string[], count: number, random: () => number): string[] {
  const start = Math.floor(random() * list.length);
  return Array.from({ length: count }, (_, index) => list[(start + index * 5) % list.length] ?? "");
}

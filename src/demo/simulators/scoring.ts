/** The one computation behind all three services: how well a person and an opening fit. */

export interface Person {
  readonly skills: readonly string[];
  readonly years: number;
  readonly city: string;
  /** Wished yearly salary; 0: not said. */
  readonly salary: number;
}

export interface Opening {
  readonly skills: readonly string[];
  readonly yearsRequired: number;
  readonly city: string;
  readonly remote: "none" | "partial" | "full";
  /** Upper end of the salary; 0: not said. */
  readonly salaryMax: number;
}

export interface Fit {
  /** Each 0..1. */
  readonly skills: number;
  readonly experience: number;
  readonly location: number;
  readonly salary: number;
  readonly overall: number;
  readonly matched: readonly string[];
  readonly missing: readonly string[];
}

/** Names of one skill: the newer service knows that they are the same, the older ones compare letters. */
const ALIASES: Readonly<Record<string, string>> = {
  js: "javascript",
  ts: "typescript",
  k8s: "kubernetes",
  postgres: "postgresql",
  "node.js": "node",
  nodejs: "node",
  "react.js": "react",
  reactjs: "react",
  golang: "go",
  ml: "machine learning",
};

function foldSkill(skill: string, aliases: boolean): string {
  const folded = skill.normalize("NFD").replace(/\p{M}/gu, "").trim().toLowerCase();
  return aliases ? (ALIASES[folded] ?? folded) : folded;
}

export function fit(person: Person, opening: Opening, options: { readonly aliases: boolean }): Fit {
  const has = new Set(person.skills.map((skill) => foldSkill(skill, options.aliases)));
  const matched: string[] = [];
  const missing: string[] = [];
  for (const skill of opening.skills) (has.has(foldSkill(skill, options.aliases)) ? matched : missing).push(skill);

  const skills = opening.skills.length === 0 ? 0.5 : matched.length / opening.skills.length;
  const experience = opening.yearsRequired === 0 ? 0.8 : Math.min(1, person.years / opening.yearsRequired);
  const location = fitOfPlaces(person.city, opening);
  const salary = person.salary === 0 || opening.salaryMax === 0 ? 0.7 : Math.min(1, opening.salaryMax / person.salary);
  const overall = 0.5 * skills + 0.25 * experience + 0.15 * location + 0.1 * salary;
  return { skills, experience, location, salary, overall, matched, missing };
}

function fitOfPlaces(city: string, opening: Opening): number {
  if (opening.remote === "full") return 1;
  if (city === "" || opening.city === "") return 0.5;
  if (foldSkill(city, false) === foldSkill(opening.city, false)) return 1;
  return opening.remote === "partial" ? 0.6 : 0.3;
}

/** `45-60K€`, `45000`, `55 k€`: the upper end in euros; 0 where there is none. */
export function salaryMaxOf(text: string): number {
  const numbers = [...text.matchAll(/\d+(?:[.,]\d+)?/g)].map((match) => Number(match[0].replace(",", ".")));
  const top = Math.max(0, ...numbers);
  return top > 0 && top < 1_000 ? top * 1_000 : top;
}

/** Years asked for in texts such as `3-5 ans`, `senior`. */
export function yearsRequiredOf(text: string): number {
  const level = LEVELS[foldSkill(text, false)];
  if (level !== undefined) return level;
  const years = Number.parseFloat(text);
  return Number.isFinite(years) ? years : 0;
}

const LEVELS: Readonly<Record<string, number>> = { junior: 1, intermediate: 3, confirme: 4, mid: 3, senior: 6, lead: 8, expert: 10 };

import { parseArgs } from "node:util";
import type { Quality } from "../src/config/config.ts";
import { createJudge, FALLBACK_ALGORITHMS, SIGNS, type SignPaths } from "../src/resilience/signs.ts";
import { decimals, median, table } from "./figures.ts";
import { wholeNumber } from "./whole-number.ts";

const USAGE = `What judging a complete answer costs: its quality alone, with every sign of failure, and against JSON.parse.

Usage: node bench/quality.ts [--rounds 15] [--kilobytes 400]

--kilobytes: how much a round goes over. Figures are microseconds for each kB of the answer, of the quickest round; "median" is that of
all signs. "all signs" compares the ids with those of the request, which is as long as the table says and is read for that.

Example: node bench/quality.ts --rounds 31
`;

const SIZES = [1, 4, 20, 100];

interface Shape {
  readonly name: string;
  readonly quality: Quality;
  readonly paths: SignPaths;
  readonly answer: (count: number) => unknown;
  readonly request: (count: number) => unknown;
}

const SKILLS = ["TypeScript", "Node.js", "PostgreSQL", "Redis"];
const FITS = "Le lieu de travail convient au candidat sans déplacement supplémentaire.";
const COMPARED = "Comparaison des années d'expérience du candidat avec celles que demande l'offre.";

const V2: Shape = {
  name: "v2",
  quality: { pointer: "/matches/*/confidence", reduce: "mean", scale: 1 },
  paths: {
    success: "/success",
    algorithm: "/algorithm_used",
    fallbackFlags: ["/metadata/fallback", "/fallback_utilise"],
    matches: "/matches",
    answerIds: "/matches/*/offer_id",
    requestIds: "/offers/*/id",
    scores: "/matches/*/overall_score",
    confidences: "/matches/*/confidence",
  },
  answer: (count) => ({
    success: true,
    matches: Array.from({ length: count }, (_, i) => ({
      offer_id: `offer-${1000 + i}`,
      overall_score: 0.9 - (i % 50) / 100,
      confidence: 0.87 - (i % 40) / 100,
      skill_match_score: 0.75,
      experience_match_score: 1,
      location_match_score: 0.5,
      culture_match_score: 0.6,
      insights: ["Brings TypeScript", "Brings PostgreSQL", "Would have to learn Kubernetes", "Experience meets the level asked for"],
      explanation: "3 of 4 required skills, experience 100 %, location 50 %",
    })),
    algorithm_used: "nexten",
    execution_time_ms: 41.7,
    selection_reason: "questionnaires complete",
    context_analysis: { skills: 12, has_questionnaire: true, mobility: null },
    metadata: { fallback: false, version: "2.4.1" },
    performance_metrics: { fallback_used: true, cache_hits: 3 },
  }),
  request: (count) => ({
    candidate: {
      name: "A. Martin",
      technical_skills: SKILLS,
      experiences: [{ title: "Développeuse", duration_months: 30 }],
      mobility: "hybrid",
    },
    offers: Array.from({ length: count }, (_, i) => ({
      id: `offer-${1000 + ((i + 7) % count)}`,
      title: "Développeur TypeScript senior",
      company: "Société générale de logiciels",
      required_skills: SKILLS,
      location: { city: "Paris", country: "FR" },
      remote_policy: "hybrid",
      salary_range: { min: 45_000, max: 60_000 },
      contract_type: "CDI",
    })),
    algorithm: "auto",
  }),
};

function job(id: number): object {
  return {
    id,
    titre: "Développeur TypeScript senior",
    entreprise: "Société générale de logiciels",
    competences: SKILLS,
    localisation: "Paris",
    type_contrat: "CDI",
    salaire: "45-60K€",
    budget_max: 60_000,
    experience_requise: 5,
    politique_remote: "télétravail partiel",
  };
}

const V1: Shape = {
  name: "v1",
  quality: { pointer: "/results/*/matching_score", reduce: "mean", scale: 100 },
  paths: {
    success: "/success",
    algorithm: "/algorithm_used",
    fallbackFlags: ["/fallback_used"],
    matches: "/results",
    answerIds: "/results/*/id",
    requestIds: "/job_data/*/id",
    scores: "/results/*/matching_score",
  },
  answer: (count) => ({
    success: true,
    matching_mode: "standard",
    algorithm_used: "smart_match",
    algorithm_type: "advanced",
    total_results: count,
    execution_time: 0.0423,
    results: Array.from({ length: count }, (_, i) => ({
      ...job(100 + i),
      matching_score: 78 - (i % 40),
      matching_score_entreprise: 77 - (i % 40),
      matching_details: { skills: 75, experience: 100, location: 50 },
      scores_detailles: {
        competences: { pourcentage: 75, poids: 50, detail: "Compétences communes : TypeScript, Node.js. Compétences à acquérir : Redis." },
        experience: { pourcentage: 100, poids: 25, detail: COMPARED },
        proximite: { pourcentage: 50, poids: 25, detail: FITS },
      },
      matching_explanations: { global: "3 compétences sur 4", experience: COMPARED, localisation: FITS },
    })),
  }),
  request: (count) => ({
    cv_data: { competences: SKILLS, annees_experience: 5, niveau_etudes: "Bac+5" },
    questionnaire_data: { adresse: "Paris", salaire_souhaite: 50_000, types_contrat: ["CDI"] },
    job_data: Array.from({ length: count }, (_, i) => job(100 + ((i + 7) % count))),
    algorithm: "auto",
    limit: 1000,
  }),
};

/** An answer of about that length, and the request that it answers. */
function pair({ answer, request }: Shape, bytes: number): { readonly answer: Buffer; readonly request: Buffer } {
  const write = (count: number): Buffer => Buffer.from(JSON.stringify(answer(count)));
  const one = write(1).length;
  const count = Math.max(1, Math.round((bytes - one) / (write(2).length - one)) + 1);
  return { answer: write(count), request: Buffer.from(JSON.stringify(request(count))) };
}

interface Cost {
  readonly median: number;
  readonly least: number;
}

/** Microseconds a call, all calls taking turns round by round: what the machine does to one it does to the others. */
function measure(calls: readonly (() => unknown)[], count: number, rounds: number): readonly Cost[] {
  const run = (call: () => unknown): number => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) call();
    return Number(process.hrtime.bigint() - start) / count / 1000;
  };
  for (let i = 0; i < 5; i++) calls.map(run);
  const times = Array.from({ length: rounds }, () => calls.map(run));
  return calls.map((_, index) => {
    const each = times.map((round) => round[index] ?? Number.NaN);
    return { median: median(each), least: Math.min(...each) };
  });
}

/** One line of the table. */
function line(shape: Shape, size: number, kilobytes: number, rounds: number): string[] {
  const { answer, request } = pair(shape, size * 1024);
  const alone = createJudge(shape.quality, undefined);
  const settings = { enabled: SIGNS, paths: shape.paths, fallbackAlgorithms: FALLBACK_ALGORITHMS, confidenceAtMost: 0.6 };
  const signs = createJudge(shape.quality, settings);
  const found = signs?.judge(answer, request);
  if (found?.sign !== undefined || found?.quality?.kind !== "figure")
    throw new Error(`the answer shows ${found?.sign}, and should be good`);
  const calls = [
    () => JSON.parse(answer.toString()),
    () => alone?.judge(answer, undefined),
    () => signs?.judge(answer, undefined),
    () => signs?.judge(answer, request),
  ];
  const costs = measure(calls, Math.max(1, Math.round((kilobytes * 1024) / answer.length)), rounds);
  const perKb = (cost: number | undefined): string => decimals(((cost ?? Number.NaN) * 1024) / answer.length, 2);
  return [
    shape.name,
    String(answer.length),
    String(request.length),
    ...costs.map(({ least }) => perKb(least)),
    perKb(costs.at(-1)?.median),
  ];
}

try {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "15" },
      kilobytes: { type: "string", default: "400" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) process.stdout.write(USAGE);
  else {
    const rows = [["", "answer", "request", "JSON.parse", "quality", "signs of the answer", "all signs", "median"]];
    for (const shape of [V2, V1])
      for (const size of SIZES)
        rows.push(line(shape, size, wholeNumber("kilobytes", values.kilobytes), wholeNumber("rounds", values.rounds)));
    process.stdout.write(`${table(rows)}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

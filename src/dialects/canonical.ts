import type { Json, JsonObject, RawInteger } from "./json.ts";

/** An id keeps its JSON type: 7 stays 7 and "7" stays "7". */
export type Id = string | number | RawInteger;

/**
 * What a client asks for, in no backend's words: all that at least two dialects can say. A field that is not there was
 * not said; no dialect fills one in. The names of the fields are the names in `dropped` (`/candidate/softSkills`).
 */
export interface MatchRequest {
  readonly candidate: Candidate;
  /** In the client's order. */
  readonly offers: readonly Offer[];
  readonly algorithm?: Term<Algorithm>;
  /** How many matches the client wants at most. The proxy cuts the answer where the upstream cannot. */
  readonly limit?: number;
  /** The candidate's questionnaire of V2, without `remote_preference`. */
  readonly candidateQuestionnaire?: JsonObject;
  readonly companyQuestionnaires?: Json;
}

export type Algorithm = "auto" | "nexten" | "smart" | "enhanced" | "semantic" | "hybrid";

export type RemotePolicy = "hybrid" | "full_remote" | "office_only";

/** A word of a closed list, beside what its own family of dialects wrote where going there and back would change that. */
export interface Term<Known extends string> {
  readonly known?: Known;
  readonly native?: { readonly family: string; readonly text: string };
}

export interface Candidate {
  readonly name?: string;
  readonly email?: string;
  readonly skills?: readonly Skill[];
  readonly softSkills?: readonly string[];
  readonly languages?: readonly Json[];
  readonly software?: readonly string[];
  readonly education?: string;
  /** In all, in years of twelve months, to two places. */
  readonly experienceYears?: number;
  readonly experiences?: readonly Experience[];
  readonly city?: string;
  readonly country?: string;
  /** Euros a year. */
  readonly salaryExpectation?: number;
  readonly mobility?: string;
  /** V2's `candidate_questionnaire.remote_preference`; where there is no `mobility`, V1's `mobilite`. */
  readonly remotePreference?: string;
  readonly contractTypes?: readonly string[];
  /** 1..10 each. */
  readonly priorities?: JsonObject;
  readonly flexibility?: JsonObject;
}

export interface Skill {
  readonly name: string;
  readonly level?: string | number;
  readonly years?: number;
}

export interface Experience {
  readonly title?: string;
  readonly company?: string;
  readonly durationMonths?: number;
  readonly skills?: readonly string[];
}

export interface Offer {
  readonly id: Id;
  readonly title?: string;
  readonly company?: string;
  readonly skills?: readonly string[];
  readonly city?: string;
  readonly country?: string;
  readonly remotePolicy?: Term<RemotePolicy>;
  readonly salary?: SalaryRange;
  /** A salary in words that are no range ("selon profil"). */
  readonly salaryText?: string;
  /** Euros a year, where it is not the upper end of `salary`. */
  readonly budgetMax?: number;
  readonly contractType?: string;
  /** Years asked for, where a plain number of years is asked for. */
  readonly experienceYears?: number;
  /** What is asked for in other words ("senior", "3-5 ans"). */
  readonly experienceLevel?: string;
  /** The offer as its client wrote it, for an answer that echoes it. Only the dialect of that name may look into it. */
  readonly source?: { readonly dialect: string; readonly offer: JsonObject };
}

/** Euros a year; one of the ends may be unknown. */
export interface SalaryRange {
  readonly min?: number;
  readonly max?: number;
}

export interface MatchAnswer {
  /** Undefined where the dialect never says; a dialect that must say writes true then, for the answer was a good one. */
  readonly success?: boolean;
  /** In the upstream's order. */
  readonly matches: readonly Match[];
  /** The upstream's own word, never translated: failure signs are told by it. */
  readonly algorithm?: string;
  readonly algorithmType?: string;
  readonly selectionReason?: string;
  readonly executionMs?: number;
  readonly fallback?: boolean;
  readonly contextAnalysis?: JsonObject;
  /** Without `fallback`. */
  readonly metadata?: JsonObject;
  readonly performanceMetrics?: JsonObject;
}

/** Every score and confidence is 0..1. */
export interface Match {
  readonly id: Id;
  readonly score: number;
  readonly confidence?: number;
  readonly skillScore?: number;
  readonly experienceScore?: number;
  readonly locationScore?: number;
  readonly cultureScore?: number;
  readonly salaryScore?: number;
  readonly explanation?: string;
  readonly insights?: readonly string[];
}

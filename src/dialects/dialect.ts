import type { MatchAnswer, MatchRequest } from "./canonical.ts";
import type { Json } from "./json.ts";

/** One backend's format of requests, answers and errors, in both directions. Every member is pure and never throws. */
export interface Dialect {
  readonly name: string;
  readonly paths: DialectPaths;
  /**
   * What this dialect calls a field of the canonical model (`"/candidate/software": "/cv_data/logiciels"`), so that
   * `dropped` speaks the language of whoever wrote the field. A field that is not listed keeps its canonical name.
   */
  readonly names?: Readonly<Record<string, string>>;
  readRequest(body: Json): Read<MatchRequest>;
  writeRequest(request: MatchRequest): Written;
  readAnswer(body: Json): Read<MatchAnswer>;
  /** `request` is what the client asked: some dialects echo it. */
  writeAnswer(answer: MatchAnswer, request: MatchRequest): Written;
  /** The message in an error answer; `body` is undefined where it was not JSON. */
  readError(status: number, body: Json | undefined): string;
  writeError(status: number, message: string): Json;
}

/** Where things stand in a dialect's JSON: JSON pointers, with * for every element of an array. */
export interface DialectPaths {
  readonly success?: string;
  /** The name of the algorithm that made the answer. */
  readonly algorithm?: string;
  /** Booleans that say that the upstream fell back to something weaker. */
  readonly fallbackFlags: readonly string[];
  /** The array of matches in an answer. */
  readonly matches: string;
  readonly answerIds: string;
  readonly requestIds: string;
  readonly scores: string;
  readonly confidences?: string;
}

/** `dropped` names what had no counterpart, each name once: pointers with * for indices and ? for a field that the dialect does not know. */
export type Read<T> = { readonly value: T; readonly dropped: readonly string[] } | Inexpressible;

export type Written = { readonly body: Json; readonly dropped: readonly string[] } | Inexpressible;

/** What the other side cannot be told, as a sentence for people. */
export interface Inexpressible {
  readonly inexpressible: string;
}

import type { Algorithm, RemotePolicy, Term } from "./canonical.ts";

/** How one family of dialects writes a closed list of words. */
export interface Vocabulary<Known extends string> {
  readonly family: string;
  readonly reads: ReadonlyMap<string, Known>;
  readonly writes: ReadonlyMap<Known, string>;
}

export function readTerm<Known extends string>(text: string, { family, reads, writes }: Vocabulary<Known>): Term<Known> {
  const known = reads.get(text.normalize("NFC").trim().toLowerCase());
  if (known === undefined) return { native: { family, text } };
  return writes.get(known) === text ? { known } : { known, native: { family, text } };
}

/** Undefined where this family has no word for it. */
export function writeTerm<Known extends string>(term: Term<Known> | undefined, { family, writes }: Vocabulary<Known>): string | undefined {
  if (term?.native?.family === family) return term.native.text;
  return term?.known === undefined ? undefined : writes.get(term.known);
}

/** `supersmartmatch` stands for two algorithms of V2; of them `hybrid` combines several, as it does. */
export const V1_ALGORITHMS: Vocabulary<Algorithm> = {
  family: "v1",
  reads: new Map([
    ["auto", "auto"],
    ["smart_match", "smart"],
    ["enhanced", "enhanced"],
    ["supersmartmatch", "hybrid"],
    ["semantic", "semantic"],
    ["hybrid", "hybrid"],
  ]),
  writes: new Map([
    ["auto", "auto"],
    ["nexten", "auto"],
    ["smart", "smart_match"],
    ["enhanced", "enhanced"],
    ["semantic", "supersmartmatch"],
    ["hybrid", "supersmartmatch"],
  ]),
};

export const V1_REMOTE: Vocabulary<RemotePolicy> = {
  family: "v1",
  reads: new Map([
    ["télétravail partiel", "hybrid"],
    ["télétravail total", "full_remote"],
    ["", "office_only"],
  ]),
  writes: new Map([
    ["hybrid", "télétravail partiel"],
    ["full_remote", "télétravail total"],
    ["office_only", ""],
  ]),
};

export const V2_ALGORITHMS = asTheyAre<Algorithm>("v2", ["auto", "nexten", "smart", "enhanced", "semantic", "hybrid"]);

export const V2_REMOTE = asTheyAre<RemotePolicy>("v2", ["hybrid", "full_remote", "office_only"]);

function asTheyAre<Known extends string>(family: string, words: readonly Known[]): Vocabulary<Known> {
  const pairs = words.map((word) => [word, word] as const);
  return { family, reads: new Map(pairs), writes: new Map(pairs) };
}

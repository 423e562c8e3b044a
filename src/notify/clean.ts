const MOST_FACTS = 40;
const MOST_FACT = 600;

/** Facts as they may be kept: others wrote them. */
export function cleanFacts(facts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(facts).slice(0, MOST_FACTS);
  return Object.fromEntries(entries.map(([name, text]) => [name, cleanText(text, MOST_FACT)]));
}

/** Without control characters and without those that turn the direction of writing, on one line, and not longer than `most`. */
export function cleanText(text: string, most: number): string {
  const clean = text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .replaceAll(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "")
    .replaceAll(/ {2,}/g, " ")
    .trim();
  return clean.length <= most ? clean : `${clean.slice(0, most - 2).toWellFormed()} …`;
}

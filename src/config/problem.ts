import { closest, distance } from "fastest-levenshtein";

/** Something in the configuration file that is wrong, or that deserves a warning, and where it stands. */
export interface Problem {
  /** `routes[0].timeout`; empty for the file as a whole. */
  readonly path: string;
  /** From 1; 0 for the file as a whole. */
  readonly line: number;
  readonly column: number;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** Keys and list indices from the top of the file. */
export type Path = readonly (string | number)[];

/** A finding before its place in the text is known. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  /** It is about the key, not about its value. */
  readonly at?: "key";
}

export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (!/^[\w-]+$/.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text;
}

/** One problem a line: `config.yaml:12:5 routes[0].timeout: ...`. */
export function formatProblems(file: string, problems: readonly Problem[]): string {
  return problems.map((problem) => formatProblem(file, problem)).join("\n");
}

function formatProblem(file: string, { path, line, column, message }: Problem): string {
  const place = line > 0 ? `${file}:${line}:${column}` : file;
  return path === "" ? `${place}: ${message}` : `${place} ${path}: ${message}`;
}

/** The known word that was most likely meant, or undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const best = closest(word.toLowerCase(), [...known]);
  // One slip in three letters: of shorter words every other one would be near.
  return distance(word.toLowerCase(), best.toLowerCase()) <= Math.floor(Math.max(word.length, best.length) / 3) ? best : undefined;
}

/** `; did you mean "x"?`, or else the list of what there is, or what to do about there being none. */
export function suggest(word: string, known: readonly string[], none: string): string {
  const near = nearest(word, known);
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  return known.length === 0 ? none : `known: ${known.join(", ")}`;
}

const SHOWN = 60;

/** A value from the file as a sentence can name it. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = typeof value === "string" && !/^[-+]?\d[\d.]*\s*%?$/.test(value) ? JSON.stringify(value) : String(value);
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}…`;
}

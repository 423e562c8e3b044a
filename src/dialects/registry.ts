import { pathToFileURL } from "node:url";
import { suggest } from "../config/problem.ts";
import type { Dialect } from "./dialect.ts";
import { nexten } from "./nexten.ts";
import { v1 } from "./v1.ts";
import { v1Offers } from "./v1-offers.ts";
import { v2, v2Jobs } from "./v2.ts";

export const BUILT_IN: ReadonlyMap<string, Dialect> = new Map([v1, v1Offers, nexten, v2, v2Jobs].map((dialect) => [dialect.name, dialect]));

/** Modules that are no dialects. The message names every problem of every module. */
export class DialectsUnusable extends Error {
  override readonly name = "DialectsUnusable";
  readonly problems: readonly DialectProblem[];

  constructor(problems: readonly DialectProblem[]) {
    super(problems.map(({ dialect, module, message }) => `dialects.${dialect} (${module}): ${message}`).join("\n"));
    this.problems = problems;
  }
}

export interface DialectProblem {
  /** The name that the configuration gives it. */
  readonly dialect: string;
  /** The path of its module. */
  readonly module: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/**
 * The dialects that come with the program and those of the user. `modules` maps a name to the absolute path of an ES
 * module whose default export is a dialect, without its name. Throws `DialectsUnusable`.
 */
export async function loadDialects(modules: Readonly<Record<string, string>>): Promise<ReadonlyMap<string, Dialect>> {
  const dialects = new Map(BUILT_IN);
  const problems: DialectProblem[] = [];
  for (const [name, module] of Object.entries(modules)) {
    const loaded = await load(name, module);
    if ("wrong" in loaded) problems.push(...loaded.wrong.map((message) => ({ dialect: name, module, message })));
    else dialects.set(name, loaded.dialect);
  }
  if (problems.length > 0) throw new DialectsUnusable(problems);
  return dialects;
}

async function load(name: string, module: string): Promise<{ readonly dialect: Dialect } | { readonly wrong: readonly string[] }> {
  if (BUILT_IN.has(name)) return { wrong: [`${name} comes with the program; choose another name`] };
  let exported: unknown;
  try {
    const loaded: unknown = await import(pathToFileURL(module).href);
    exported = typeof loaded === "object" && loaded !== null && "default" in loaded ? loaded.default : undefined;
  } catch (error) {
    return { wrong: [`cannot be loaded: ${error instanceof Error ? error.message : String(error)}`] };
  }
  if (!isRecord(exported))
    return { wrong: ["has no default export that is an object; write `export default { paths, readRequest, ... }`"] };
  const wrong = [...checkPaths(exported["paths"]), ...checkMembers(exported), ...checkNames(exported["names"])];
  // Every member was checked just now.
  return wrong.length > 0 ? { wrong } : { dialect: named(name, exported as unknown as Omit<Dialect, "name">) };
}

/** Calls stay calls of the module's own object, which may be of a class. */
function named(name: string, own: Omit<Dialect, "name">): Dialect {
  return {
    name,
    paths: own.paths,
    ...(own.names === undefined ? {} : { names: own.names }),
    readRequest: (body) => own.readRequest(body),
    writeRequest: (request) => own.writeRequest(request),
    readAnswer: (body) => own.readAnswer(body),
    writeAnswer: (answer, request) => own.writeAnswer(answer, request),
    readError: (status, body) => own.readError(status, body),
    writeError: (status, message) => own.writeError(status, message),
  };
}

const FUNCTIONS: Readonly<Record<string, string>> = {
  readRequest: "a function of a request's body",
  writeRequest: "a function of a canonical request",
  readAnswer: "a function of an answer's body",
  writeAnswer: "a function of a canonical answer and its request",
  readError: "a function of a status and a body",
  writeError: "a function of a status and a message",
};
const REQUIRED_PATHS = ["matches", "answerIds", "requestIds", "scores"];
const OPTIONAL_PATHS = ["success", "algorithm", "confidences"];
const PATHS = [...REQUIRED_PATHS, ...OPTIONAL_PATHS, "fallbackFlags"];
const MEMBERS = ["name", "paths", "names", ...Object.keys(FUNCTIONS)];

function checkMembers(exported: Readonly<Record<string, unknown>>): string[] {
  const wrong = Object.entries(FUNCTIONS).flatMap(([name, what]) => {
    if (typeof exported[name] === "function") return [];
    return [exported[name] === undefined ? `${name} is missing; it must be ${what}` : `${name} must be ${what}`];
  });
  return [...wrong, ...unknownOf(exported, MEMBERS, "")];
}

function checkPaths(paths: unknown): string[] {
  if (!isRecord(paths))
    return [`paths ${paths === undefined ? "is missing; it " : ""}must be an object with ${REQUIRED_PATHS.join(", ")} and fallbackFlags`];
  const wrong: string[] = [];
  for (const key of [...REQUIRED_PATHS, ...OPTIONAL_PATHS]) {
    const path = paths[key];
    if (path === undefined && OPTIONAL_PATHS.includes(key)) continue;
    if (!isPointer(path))
      wrong.push(`paths.${key} ${path === undefined ? "is missing; it " : ""}must be a JSON pointer such as "/matches"`);
  }
  const flags = paths["fallbackFlags"];
  if (!Array.isArray(flags) || !flags.every(isPointer))
    wrong.push(`paths.fallbackFlags ${flags === undefined ? "is missing; it " : ""}must be a list of JSON pointers; [] for none`);
  return [...wrong, ...unknownOf(paths, PATHS, "paths.")];
}

function checkNames(names: unknown): string[] {
  if (names === undefined || (isRecord(names) && Object.values(names).every((name) => typeof name === "string"))) return [];
  return ["names must be an object of texts, canonical name to name"];
}

function unknownOf(given: Readonly<Record<string, unknown>>, known: readonly string[], at: string): string[] {
  return Object.keys(given).flatMap((key) => (known.includes(key) ? [] : [`${at}${key} is unknown; ${suggest(key, known, "")}`]));
}

function isPointer(value: unknown): boolean {
  return typeof value === "string" && value.startsWith("/") && value.length > 1;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

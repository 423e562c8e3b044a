import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Config } from "../../config/config.ts";
import type { Environment } from "../../config/environment.ts";
import { findingsOf, isMapping } from "../../config/issues.ts";
import { type Finding, formatPath, nearest, type Path, type Problem } from "../../config/problem.ts";
import { readTree } from "../../config/yaml-tree.ts";
import type { Plan } from "../plan.ts";
import { checkAgainst, checkPlan, type KnownNames } from "./checks.ts";
import { compilePlan } from "./compile.ts";
import { planSchema } from "./schema.ts";

/** What is known of the place where the plan is to run: names that it may use. Left out: nothing is said against a name. */
export interface PlanSurroundings extends Partial<KnownNames> {
  /** Fills `${NAME}`. Left out: no variable is known, so that a plan from elsewhere cannot read ours. */
  readonly environment?: Environment;
}

/** A plan and what is odd about its text, or everything that is wrong with it, in the order of the file. `locate` finds the place of a part. */
export type ParsedPlan =
  | { readonly plan: Plan; readonly warnings: readonly Problem[]; readonly locate: (finding: Finding) => Problem }
  | { readonly problems: readonly Problem[] };

/** Far more than two hundred checks take. The time to read a mapping grows with the square of its keys, and plans are read where rollouts are judged. */
const MOST_CHARACTERS = 65_536;
const MOST_PARTS = 5_000;
const TOO_LARGE = `is larger than any plan need be: more than 64 KiB, or more than ${MOST_PARTS.toLocaleString("en")} keys, values and lines`;

/** Ends of lines, of keys and of entries: no fewer than the text has keys. */
function partsOf(text: string): number {
  let parts = 0;
  for (let at = 0; at < text.length; at++) if (SEPARATORS.has(text.charCodeAt(at))) parts++;
  return parts;
}

const SEPARATORS: ReadonlySet<number> = new Set(["\n", "\r", ":", ",", "?"].map((mark) => mark.charCodeAt(0)));

/** The names that plans may use with this configuration. */
export function namesOf(config: Pick<Config, "flags" | "routes" | "hooks">): KnownNames {
  return {
    flags: config.flags.map(({ name, settings }) => ({
      name,
      segments: settings.segments.map((segment) => segment.name),
      routes: config.routes.filter(({ action }) => action.kind === "split" && action.flag === name).map((route) => route.name),
    })),
    hooks: config.hooks.map(({ name }) => name),
  };
}

/** Reads the text of a plan file. Never throws. */
export function parsePlan(text: string, { environment = {}, flags, hooks }: PlanSurroundings = {}): ParsedPlan {
  if (text.length > MOST_CHARACTERS || partsOf(text) > MOST_PARTS) return { problems: [whole(TOO_LARGE)] };
  const tree = readTree(text, environment);
  if (tree.broken) return { problems: firstOf(inOrder(tree.problems)) };
  if (tree.data === null || tree.data === undefined) return { problems: [whole("is empty; a plan has a name, a flag and steps")] };
  if (!isMapping(tree.data)) return { problems: [whole("is not a mapping; expected keys such as name:, flag: and steps:")] };
  const { data } = tree;
  const parsed = planSchema.safeParse(data);
  const issues = parsed.success ? [] : parsed.error.issues;
  const findings = [
    ...issues.flatMap((issue) => findingsOfIssue(issue, data)),
    ...checkPlan(data),
    ...checkAgainst(data, { flags, hooks }),
  ];
  const problems = [...tree.problems, ...withoutEchoes(findings.map(tree.locate), tree.problems)];
  const untold = issues.reduce((sum, issue) => sum + (issue.code === "unrecognized_keys" ? issue.keys.slice(MOST_PROBLEMS).length : 0), 0);
  if (problems.length > 0 || !parsed.success) return { problems: firstOf(inOrder(problems), untold) };
  return { plan: compilePlan(parsed.data), warnings: [], locate: tree.locate };
}

/** Reads a plan file from disk. A file that cannot be read is a problem like any other. */
export async function loadPlan(file: string, surroundings: PlanSurroundings = {}): Promise<ParsedPlan> {
  try {
    const bytes = await readFile(file);
    if (!isUtf8(bytes)) return { problems: [whole("is not text in UTF-8; save it as UTF-8, or name another file")] };
    return parsePlan(bytes.toString("utf8"), surroundings);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown reason";
    const reason =
      code === "ENOENT"
        ? "does not exist; check its path"
        : code === "EISDIR"
          ? "is a directory; name a file in it"
          : `cannot be read (${code})`;
    return { problems: [whole(reason)] };
  }
}

function whole(message: string): Problem {
  return { path: "", line: 0, column: 0, message };
}

/** Unknown keys are named with the nearest key of a plan; the rest is told as everywhere. */
function findingsOfIssue(issue: z.core.$ZodIssue, data: unknown): Finding[] {
  if (issue.code !== "unrecognized_keys") return findingsOf([issue], data);
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  return issue.keys.slice(0, MOST_PROBLEMS).map((key) => ({ path: [...path, key], message: unknownKey(path, key), at: "key" as const }));
}

function unknownKey(path: Path, key: string): string {
  if ((key === "for" || key === "required") && /gates\[\d+\]$/.test(formatPath(path)))
    return "belongs to triggers; a gate is looked at when its step is over";
  const known = knownKeys(path);
  const near = nearest(key, known);
  return near === undefined ? `is not a known key; known here: ${known.join(", ")}` : `is not a known key; did you mean ${near}?`;
}

let jsonSchema: z.core.JSONSchema.BaseSchema | undefined;

/** The keys that the schema has at a path. */
function knownKeys(path: Path): readonly string[] {
  jsonSchema ??= z.toJSONSchema(planSchema, { io: "input" });
  let node: z.core.JSONSchema._JSONSchema | undefined = jsonSchema;
  for (const part of path) {
    if (node === undefined || typeof node === "boolean") break;
    if (typeof part === "number") node = Array.isArray(node.items) ? undefined : node.items;
    else node = node.properties?.[part] ?? (typeof node.additionalProperties === "object" ? node.additionalProperties : undefined);
  }
  return typeof node === "object" ? Object.keys(node.properties ?? {}) : [];
}

/** Drops what follows from a placeholder that could not be filled, and what was said of the same part already. */
function withoutEchoes(problems: readonly Problem[], earlier: readonly Problem[]): Problem[] {
  const said = new Set(earlier.map(({ path }) => path));
  return problems.filter(({ path, message }) => {
    const key = JSON.stringify([path, message]);
    if (said.has(path) || said.has(key)) return false;
    said.add(key);
    return true;
  });
}

/** Nobody reads more at once, and to find the word that was meant takes its time. */
const MOST_PROBLEMS = 50;

/** The first ones and how many more there are; `untold`: of those that are not among them at all. */
function firstOf(problems: readonly Problem[], untold = 0): readonly Problem[] {
  const more = problems.slice(MOST_PROBLEMS).length + untold;
  if (more === 0) return problems;
  return [
    ...problems.slice(0, MOST_PROBLEMS),
    whole(`has ${more} more ${more === 1 ? "problem" : "problems"}, which are told when these are gone`),
  ];
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

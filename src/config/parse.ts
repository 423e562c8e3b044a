import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { checkCertificates } from "./certificates.ts";
import { checkDialects, warnAboutDialects } from "./check-dialects.ts";
import { checkAll, warnAll } from "./checks.ts";
import { compile } from "./compile.ts";
import type { Config } from "./config.ts";
import { draftOf } from "./draft.ts";
import type { Environment } from "./environment.ts";
import { findingsOf, isMapping } from "./issues.ts";
import type { Problem } from "./problem.ts";
import { configSchema } from "./schema.ts";
import { NOWHERE, type Surroundings, surroundingsOf } from "./surroundings.ts";
import { readTree } from "./yaml-tree.ts";

export { formatProblems, type Problem } from "./problem.ts";

/** A configuration and what is odd about it, or everything that is wrong with it, in the order of the file. */
export type ParsedConfig = { readonly config: Config; readonly warnings: readonly Problem[] } | { readonly problems: readonly Problem[] };

/** Reads the text of a configuration file. `environment` fills its placeholders, `surroundings` have the files that it names. Never throws. */
export function parseConfig(text: string, environment: Environment, surroundings: Surroundings = NOWHERE): ParsedConfig {
  const tree = readTree(text, environment);
  if (tree.broken) return { problems: inOrder(tree.problems) };
  if (tree.data === null || tree.data === undefined)
    return { problems: [whole("is empty; the smallest useful file has upstreams, routes and flags")] };
  if (!isMapping(tree.data)) return { problems: [whole("is not a mapping; expected keys such as upstreams: and routes:")] };
  const parsed = configSchema.safeParse(tree.data);
  const draft = draftOf(tree.data);
  const certificates = checkCertificates(draft, surroundings);
  const findings = [
    ...(parsed.success ? [] : findingsOf(parsed.error.issues, tree.data)),
    ...checkAll(draft),
    ...certificates.problems,
    ...checkDialects(draft, surroundings),
  ];
  const problems = [...tree.problems, ...withoutEchoes(findings.map(tree.locate), tree.problems)];
  if (problems.length > 0 || !parsed.success) return { problems: inOrder(problems) };
  const warnings = [...warnAll(draft), ...certificates.warnings, ...warnAboutDialects(draft)].map(tree.locate);
  return { config: compile(parsed.data, environment, surroundings), warnings: inOrder(warnings) };
}

/** Reads a configuration file from disk. A file that cannot be read is a problem like any other. */
export async function loadConfig(file: string, environment: Environment = process.env): Promise<ParsedConfig> {
  try {
    const bytes = await readFile(file);
    if (!isUtf8(bytes)) return { problems: [whole("is not text in UTF-8; save it as UTF-8, or name another file")] };
    return parseConfig(bytes.toString("utf8"), environment, surroundingsOf(file, Date.now()));
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    return { problems: [whole(unreadable(String(code)))] };
  }
}

function unreadable(code: string): string {
  switch (code) {
    case "ENOENT":
      return "does not exist; check the path given with --config";
    case "EISDIR":
      return "is a directory; name a file in it";
    case "EACCES":
    case "EPERM":
      return "may not be read by this user; change its owner or mode";
    default:
      return `cannot be read (${code})`;
  }
}

function whole(message: string): Problem {
  return { path: "", line: 0, column: 0, message };
}

/** Drops what follows from a placeholder that could not be filled, and what was said already. */
function withoutEchoes(problems: readonly Problem[], earlier: readonly Problem[]): Problem[] {
  const said = new Set(earlier.map(({ path }) => path));
  return problems.filter(({ path, message }) => {
    const key = JSON.stringify([path, message]);
    if (said.has(path) || said.has(key)) return false;
    said.add(key);
    return true;
  });
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLError } from "yaml";
import { type Environment, fillIn } from "./environment.ts";
import { type Finding, formatPath, type Path, type Problem } from "./problem.ts";

/** The file as plain data, with every placeholder filled in, and where each part of it stands. */
export interface Tree {
  readonly data: unknown;
  /** What is wrong with the text as YAML, or with its placeholders. */
  readonly problems: readonly Problem[];
  /** True when the data are not worth looking at. */
  readonly broken: boolean;
  /** Gives a finding its line and column: those of the value, or of the nearest part around it. */
  readonly locate: (finding: Finding) => Problem;
}

const MOST_CHARACTERS = 1_048_576;
/** Aliases can repeat a part without bound; no honest file comes near. */
const MOST_NODES = 100_000;
const DEEPEST = 32;

export function readTree(text: string, environment: Environment): Tree {
  if (text.length > MOST_CHARACTERS)
    return brokenTree([{ path: "", line: 0, column: 0, message: "is larger than 1 MiB, which no configuration file is" }]);
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, version: "1.2", logLevel: "error" });
  } catch (cause) {
    // The parser recurses, so a file of nothing but brackets can exhaust its stack.
    return brokenTree([
      { path: "", line: 0, column: 0, message: `cannot be read as YAML: ${cause instanceof Error ? cause.message : String(cause)}` },
    ]);
  }
  const flaws = [...document.errors, ...document.warnings];
  const walk = new Walk(document, lines, environment);
  const data = walk.read(document.contents, []);
  const syntax = firstOfEachLine(flaws.map((flaw) => syntaxProblem(flaw, text, lines)));
  const problems = [...syntax, ...walk.problems];
  // A key given twice leaves the rest readable; after any other slip of syntax the rest would only mislead.
  const broken = flaws.some((flaw) => flaw.code !== "DUPLICATE_KEY") || walk.gaveUp;
  return { data, problems, broken, locate: (finding) => walk.locate(finding) };
}

function brokenTree(problems: readonly Problem[]): Tree {
  return { data: undefined, problems, broken: true, locate: ({ message }) => ({ path: "", line: 0, column: 0, message }) };
}

/** One slip of syntax makes the parser stumble several times over the same line. */
function firstOfEachLine(problems: readonly Problem[]): Problem[] {
  return problems.filter(({ line }, index) => problems.findIndex((problem) => problem.line === line) === index);
}

function syntaxProblem(flaw: YAMLError, text: string, lines: LineCounter): Problem {
  const { line, col: column } = lines.linePos(flaw.pos[0]);
  const source = text.split("\n")[line - 1] ?? "";
  const first = flaw.message.split("\n")[0] ?? "";
  let message = flaw.code === "DUPLICATE_KEY" ? "this key is given twice; keep one of the two" : `is not YAML: ${first}`;
  if (flaw.code === "MULTIPLE_DOCS") message = "holds a second document; a configuration file is a single one, without ---";
  if (flaw.code === "TAB_AS_INDENT") message = "is not YAML: a tab cannot indent; use spaces";
  if (source.includes("${") && /[{[].*\$\{/.test(source)) message += ' (inside { } or [ ] a placeholder needs quotes: "${NAME}")';
  return { path: "", line, column, message };
}

/** Turns the parsed nodes into data, noting where each stands. */
class Walk {
  readonly problems: Problem[] = [];
  gaveUp = false;
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #environment: Environment;
  readonly #keys = new Map<string, number>();
  readonly #values = new Map<string, number>();
  #nodes = 0;

  constructor(document: Document.Parsed, lines: LineCounter, environment: Environment) {
    this.#document = document;
    this.#lines = lines;
    this.#environment = environment;
  }

  read(node: unknown, path: Path): unknown {
    if (this.gaveUp) return undefined;
    if (++this.#nodes > MOST_NODES || path.length > DEEPEST) {
      this.gaveUp = true;
      this.#report(
        path.slice(0, 1),
        path.length > DEEPEST ? "is nested too deeply (an alias inside its own anchor?)" : "grows too large, probably through aliases",
      );
      return undefined;
    }
    if (isAlias(node)) return this.#readAlias(node.source, node.resolve(this.#document), path);
    if (isMap(node)) return this.#readMap(node.items, path);
    if (isSeq(node)) return this.#readSeq(node.items, path);
    if (isScalar(node)) return typeof node.value === "string" ? this.#fillIn(node.value, path) : readPlain(node.value);
    return null;
  }

  locate({ path, message, at }: Finding): Problem {
    for (let length = path.length; length > 0; length--) {
      const part = formatPath(path.slice(0, length));
      const offset = (at === "key" ? this.#keys.get(part) : undefined) ?? this.#values.get(part) ?? this.#keys.get(part);
      if (offset === undefined) continue;
      const { line, col: column } = this.#lines.linePos(offset);
      return { path: formatPath(path), line, column, message };
    }
    return { path: formatPath(path), line: 1, column: 1, message };
  }

  #readAlias(name: string, target: Node | undefined, path: Path): unknown {
    if (target !== undefined) return this.read(target, path);
    this.#report(path, `the alias *${name} has no anchor; quote the value if it is meant to begin with *`);
    return undefined;
  }

  #readSeq(items: readonly unknown[], path: Path): unknown[] {
    return items.map((item, index) => {
      const at = [...path, index];
      note(this.#values, at, item);
      return this.read(item, at);
    });
  }

  #readMap(items: readonly { readonly key: unknown; readonly value: unknown }[], path: Path): Record<string, unknown> {
    const data: Record<string, unknown> = {};
    for (const { key, value } of items) {
      const name = isScalar(key) ? String(key.value) : undefined;
      const at = [...path, name ?? "?"];
      note(this.#keys, at, key);
      if (name === undefined || name === "__proto__") {
        this.#report(at, `${name === undefined ? "a list or mapping" : name} cannot be a key; expected a plain word`);
        continue;
      }
      // What is wrong with a whole mapping, or with an empty value, is best shown at its key.
      if (isAlias(value) || (isScalar(value) && value.source !== "")) note(this.#values, at, value);
      data[name] = this.read(value, at);
    }
    return data;
  }

  #fillIn(text: string, path: Path): string {
    const { text: filled, wrong } = fillIn(text, this.#environment);
    for (const message of wrong) this.#report(path, message);
    return filled;
  }

  #report(path: Path, message: string): void {
    this.problems.push(this.locate({ path, message }));
  }
}

function readPlain(value: unknown): unknown {
  return typeof value === "object" || typeof value === "bigint" || typeof value === "symbol"
    ? value === null
      ? null
      : String(value)
    : value;
}

function note(places: Map<string, number>, path: Path, node: unknown): void {
  const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined;
  if (range) places.set(formatPath(path), range[0]);
}

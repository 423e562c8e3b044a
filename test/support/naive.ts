/**
 * Backends as they should not be: each reads requests in a way that some server once did. What the proxy sends must look the same to all
 * of them, or a client could hide a request from one reader and show it to another.
 */
export interface NaiveReader {
  readonly name: string;
  /** The request lines it sees in what came on one connection. */
  linesIn(text: string): string[];
}

interface Habits {
  readonly prefers: "coding" | "length";
  /** Of several lengths it takes this one. */
  readonly length: "first" | "last";
  readonly lineEnd: RegExp;
  nameOf(raw: string): string;
}

const strictName = (raw: string): string => raw.toLowerCase();
/** As CGI has it; and blanks do not matter. */
const looseName = (raw: string): string => raw.trim().toLowerCase().replaceAll("_", "-");

function createReader(name: string, habits: Habits): NaiveReader {
  return {
    name,
    linesIn: (text) => {
      const lines: string[] = [];
      let rest = text;
      while (rest !== "") {
        const read = readOne(rest, habits);
        if (read === undefined) break;
        lines.push(read.line);
        rest = read.rest;
      }
      return lines;
    },
  };
}

export const NAIVE_READERS: readonly NaiveReader[] = [
  createReader("chunks first", { prefers: "coding", length: "first", lineEnd: /\r\n/, nameOf: strictName }),
  createReader("length first", { prefers: "length", length: "first", lineEnd: /\r\n/, nameOf: strictName }),
  createReader("chunks first, any line end and spelling", { prefers: "coding", length: "first", lineEnd: /\r\n|\n|\r/, nameOf: looseName }),
  createReader("last length first, any line end and spelling", {
    prefers: "length",
    length: "last",
    lineEnd: /\r\n|\n|\r/,
    nameOf: looseName,
  }),
];

function readOne(text: string, { prefers, length, lineEnd, nameOf }: Habits): { line: string; rest: string } | undefined {
  const lines: string[] = [];
  let rest = text;
  for (;;) {
    const end = lineEnd.exec(rest);
    if (end === null) return undefined;
    const line = rest.slice(0, end.index);
    rest = rest.slice(end.index + end[0].length);
    if (line !== "") lines.push(line);
    else if (lines.length > 0) break;
  }
  const [line = "", ...fields] = lines;
  const valuesOf = (name: string): string[] =>
    fields.filter((field) => nameOf(field.split(":", 1)[0] ?? "") === name).map((field) => field.slice(field.indexOf(":") + 1));
  const chunked = valuesOf("transfer-encoding").some((value) => /chunked/i.test(value));
  const lengths = valuesOf("content-length").map((value) => Number.parseInt(value.replace(/^[\s+]*/, ""), 10));
  const given = length === "first" ? lengths[0] : lengths.at(-1);
  if (chunked && (prefers === "coding" || given === undefined)) return { line, rest: behindChunks(rest) };
  return { line, rest: rest.slice(given ?? 0) };
}

function behindChunks(text: string): string {
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\n");
    if (end < 0) return "";
    const size = Number.parseInt(rest, 16);
    rest = rest.slice(end + 1);
    if (!(size > 0)) break;
    rest = rest.slice(size).replace(/^\r?\n/, "");
  }
  for (;;) {
    const end = rest.indexOf("\n");
    if (end < 0) return "";
    const line = rest.slice(0, end).trim();
    rest = rest.slice(end + 1);
    if (line === "") return rest;
  }
}

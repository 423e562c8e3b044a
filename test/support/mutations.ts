import fc from "fast-check";

/** One change of a text, as a parser's worst friends make them. Returns the changed text. */
type Mutate = (text: string, at: number, octet: string) => string;

const cut = (text: string, at: number, length: number, put: string): string => text.slice(0, at) + put + text.slice(at + length);

/** The nth line end from a place on, or the last. */
function lineEnd(text: string, at: number): number {
  const next = text.indexOf("\r\n", at);
  return next < 0 ? text.lastIndexOf("\r\n") : next;
}

const MUTATIONS: Readonly<Record<string, Mutate>> = {
  replace: (text, at, octet) => cut(text, at, 1, octet),
  insert: (text, at, octet) => cut(text, at, 0, octet),
  remove: (text, at) => cut(text, at, 1, ""),
  double: (text, at) => cut(text, at, 0, text.charAt(at)),
  "bit flipped": (text, at, octet) => cut(text, at, 1, String.fromCharCode(text.charCodeAt(at) ^ (1 << (octet.charCodeAt(0) & 7)))),
  "case flipped": (text, at) => cut(text, at, 1, String.fromCharCode(text.charCodeAt(at) ^ 0x20)),
  "LF for CRLF": (text, at) => cut(text, lineEnd(text, at), 2, "\n"),
  "CR for CRLF": (text, at) => cut(text, lineEnd(text, at), 2, "\r"),
  "LFCR for CRLF": (text, at) => cut(text, lineEnd(text, at), 2, "\n\r"),
  "CRLF twice": (text, at) => cut(text, lineEnd(text, at), 0, "\r\n"),
  "NUL before a line end": (text, at) => cut(text, lineEnd(text, at), 0, "\0"),
  "a blank before a line end": (text, at, octet) => cut(text, lineEnd(text, at), 0, octet < "\x80" ? " " : "\t"),
  "a blank behind a line end": (text, at, octet) => cut(text, lineEnd(text, at) + 2, 0, octet < "\x80" ? " " : "\t"),
  "a blank before a colon": (text, at, octet) => cut(text, text.indexOf(":", at), 0, octet < "\x80" ? " " : "\t"),
  "a line twice": (text, at) => {
    const end = lineEnd(text, at);
    const start = text.lastIndexOf("\r\n", end - 1) + 2;
    return cut(text, end + 2, 0, text.slice(start, end + 2));
  },
  "a line removed": (text, at) => {
    const end = lineEnd(text, at);
    const start = text.lastIndexOf("\r\n", end - 1) + 2;
    return cut(text, start, end + 2 - start, "");
  },
  "two bytes exchanged": (text, at) => cut(text, at, 2, text.charAt(at + 1) + text.charAt(at)),
  "a framing field more": (text, at, octet) => {
    const fields = ["Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Content-Length: 0\r\n"];
    return cut(text, lineEnd(text, at) + 2, 0, fields[octet.charCodeAt(0) % fields.length] ?? "");
  },
};

/** Octets at which parsers stumble more often than at others. */
const OCTET = fc.oneof(
  fc.constantFrom(
    "\0",
    "\t",
    "\n",
    "\x0b",
    "\f",
    "\r",
    " ",
    "\x7f",
    "\x80",
    "\xa0",
    "\xff",
    ":",
    ",",
    ";",
    '"',
    "\\",
    "/",
    "%",
    "#",
    "0",
    "9",
    "-",
    "_",
  ),
  fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
);

export interface Mutant<Case> {
  readonly of: Case;
  readonly how: string;
  readonly bytes: string;
}

/** Changed texts, the same for the same seed: each of one case, changed once to three times. */
export function mutantsOf<Case>(cases: readonly Case[], bytesOf: (of: Case) => string, count: number, seed: number): Mutant<Case>[] {
  const change = fc.tuple(fc.constantFrom(...Object.keys(MUTATIONS)), fc.nat(), OCTET);
  const mutant = fc.tuple(fc.constantFrom(...cases), fc.array(change, { minLength: 1, maxLength: 3 }));
  return fc.sample(mutant, { numRuns: count, seed }).map(([of, changes]) => {
    let bytes = bytesOf(of);
    for (const [how, at, octet] of changes) bytes = MUTATIONS[how]?.(bytes, bytes.length === 0 ? 0 : at % bytes.length, octet) ?? bytes;
    return { of, how: changes.map(([how]) => how).join(", "), bytes };
  });
}

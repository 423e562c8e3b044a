/**
 * A second opinion on what bytes mean, written for tests from the grammar of RFC 9112 and sharing nothing with the codec: slow, strict,
 * and easy to check by reading. Text is bytes, one character each (latin1).
 */

export interface Message {
  /** `GET /path HTTP/1.1` or `HTTP/1.1 200 OK`. */
  readonly line: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

/** `more`: the text ends too early; with what there is of it. `wrong`: it is no message. */
export type Reading =
  | { readonly kind: "whole"; readonly message: Message; readonly rest: string }
  | { readonly kind: "more"; readonly message: Message | undefined }
  | { readonly kind: "wrong"; readonly why: string };

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^${TOKEN} [\\x21-\\x7e]+ HTTP/1\\.[01]$`);
const STATUS_LINE = /^HTTP\/1\.[01] \d{3} [\t\x20-\x7e\x80-\xff]*$/;
const FIELD = new RegExp(`^(${TOKEN}):[ \\t]*([\\t\\x20-\\x7e\\x80-\\xff]*?)[ \\t]*$`);
const CHUNK_SIZE = /^[0-9a-fA-F]{1,13}(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

export function fieldOf(message: Message, name: string): string | undefined {
  return message.fields.find(([given]) => given.toLowerCase() === name)?.[1];
}

export function statusOf(message: Message): number {
  return Number(message.line.split(" ")[1]);
}

/** Reads the first request of a text. */
export function readRequest(text: string): Reading {
  return readMessage(text, REQUEST_LINE, (fields) => {
    const length = only(fields, "content-length");
    return only(fields, "transfer-encoding") === undefined ? Number(length ?? 0) : "chunked";
  });
}

/** Reads the first answer of a text. `asked`: the request's method; `ended`: nothing follows the text. */
export function readAnswer(text: string, asked: string, ended: boolean): Reading {
  const reading = readMessage(text, STATUS_LINE, (fields, line) => {
    const status = Number(line.split(" ")[1]);
    if (asked === "HEAD" || status < 200 || status === 204 || status === 304) return 0;
    if (only(fields, "transfer-encoding") !== undefined) return "chunked";
    const length = only(fields, "content-length");
    return length === undefined ? "until-close" : Number(length);
  });
  if (reading.kind === "more" && ended && reading.message !== undefined && isUntilClose(reading.message, asked)) {
    return { kind: "whole", message: reading.message, rest: "" };
  }
  return reading;
}

/** All answers of a text whose requests had these methods, interim ones among them. */
export function readAnswers(
  text: string,
  asked: readonly string[],
): { readonly answers: Message[]; readonly cut: Message | undefined; readonly wrong: string | undefined } {
  const answers: Message[] = [];
  let rest = text;
  let turn = 0;
  while (rest !== "") {
    const reading = readAnswer(rest, asked[turn] ?? "GET", true);
    if (reading.kind === "wrong") return { answers, cut: undefined, wrong: reading.why };
    if (reading.kind === "more") return { answers, cut: reading.message, wrong: undefined };
    answers.push(reading.message);
    if (statusOf(reading.message) >= 200) turn++;
    rest = reading.rest;
  }
  return { answers, cut: undefined, wrong: undefined };
}

function isUntilClose(message: Message, asked: string): boolean {
  return asked !== "HEAD" && fieldOf(message, "transfer-encoding") === undefined && fieldOf(message, "content-length") === undefined;
}

type Fields = readonly (readonly [string, string])[];
type Extent = number | "chunked" | "until-close";

function readMessage(text: string, startLine: RegExp, extentOf: (fields: Fields, line: string) => Extent): Reading {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return { kind: "more", message: undefined };
  const [line = "", ...lines] = text.slice(0, end).split("\r\n");
  if (!startLine.test(line)) return { kind: "wrong", why: `start line ${JSON.stringify(line)}` };
  const fields = readFields(lines);
  if (typeof fields === "string") return { kind: "wrong", why: fields };
  for (const name of ["content-length", "transfer-encoding"]) {
    if (fields.filter(([given]) => given.toLowerCase() === name).length > 1) return { kind: "wrong", why: `${name} twice` };
  }
  const length = only(fields, "content-length");
  const coding = only(fields, "transfer-encoding");
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return { kind: "wrong", why: `Content-Length: ${length}` };
  if (coding !== undefined && (coding.toLowerCase() !== "chunked" || length !== undefined))
    return { kind: "wrong", why: `Transfer-Encoding: ${coding}` };
  const extent = extentOf(fields, line);
  const rest = text.slice(end + 4);
  const head = { line, fields, trailers: [] };
  if (extent === "until-close") return { kind: "more", message: { ...head, body: rest } };
  if (extent === "chunked") return readChunks(rest, head);
  if (rest.length < extent) return { kind: "more", message: { ...head, body: rest } };
  return { kind: "whole", message: { ...head, body: rest.slice(0, extent) }, rest: rest.slice(extent) };
}

function readChunks(text: string, head: Omit<Message, "body">): Reading {
  let rest = text;
  let body = "";
  for (;;) {
    const end = rest.indexOf("\r\n");
    if (end < 0) return { kind: "more", message: { ...head, body } };
    const line = rest.slice(0, end);
    if (!CHUNK_SIZE.test(line)) return { kind: "wrong", why: `chunk size ${JSON.stringify(line)}` };
    const size = Number.parseInt(line, 16);
    rest = rest.slice(end + 2);
    if (size === 0) break;
    if (rest.length < size + 2) return { kind: "more", message: { ...head, body: body + rest.slice(0, size) } };
    if (rest.slice(size, size + 2) !== "\r\n") return { kind: "wrong", why: "no CRLF behind a chunk" };
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  const lines: string[] = [];
  for (;;) {
    const end = rest.indexOf("\r\n");
    if (end < 0) return { kind: "more", message: { ...head, body } };
    const line = rest.slice(0, end);
    rest = rest.slice(end + 2);
    if (line === "") break;
    lines.push(line);
  }
  const trailers = readFields(lines);
  if (typeof trailers === "string") return { kind: "wrong", why: `trailer: ${trailers}` };
  return { kind: "whole", message: { ...head, body, trailers }, rest };
}

function readFields(lines: readonly string[]): (readonly [string, string])[] | string {
  const fields: (readonly [string, string])[] = [];
  for (const line of lines) {
    const match = FIELD.exec(line);
    if (match === null) return `field ${JSON.stringify(line)}`;
    fields.push([match[1] ?? "", match[2] ?? ""]);
  }
  return fields;
}

function only(fields: Fields, name: string): string | undefined {
  return fields.find(([given]) => given.toLowerCase() === name)?.[1];
}

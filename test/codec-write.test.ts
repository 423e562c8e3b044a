import t from "tap";
import fc from "fast-check";
import { FieldList, fieldLine, forwardedFields, type Head, type HeadEdits, type RequestHead } from "../src/http/head.ts";
import { DONE } from "../src/http/raw-head.ts";
import { RawRequest } from "../src/http/raw-request.ts";
import { RawResponse } from "../src/http/raw-response.ts";
import { headRoom, writeRequestHead, writeResponseHead } from "../src/http/write-head.ts";

const NO_EDITS: HeadEdits = { drop: new Set(), dropPrefix: undefined, set: "" };

/** Names that are dropped, that only look so, and that stay. */
const NAMES = [
  "Connection",
  "Keep-Alive",
  "Proxy-Connection",
  "Upgrade",
  "TE",
  "Trailer",
  "Expect",
  "HTTP2-Settings",
  "Keep_Alive",
  "transfer_encoding",
  "content_length",
  "Content-Type",
  "X-User-ID",
  "X_User_ID",
  "X-User-IE",
  "X-Crossfade-Arm",
  "x_crossfade_",
  "x-crossfad",
  "Via",
  "VIA",
  "Forwarded",
  "X-Forwarded-For",
  "X-Forwarded-Port",
  "X-Forwarded-Host",
  "Accept",
  "close",
  "a",
  "A_b",
  "constructor",
  "host_",
  "hos",
];
const VALUES = [
  "",
  "a",
  "close",
  "Keep-Alive",
  "upgrade",
  "keep-alive, X-User-ID",
  "a,A-b ,, close",
  "content-length, host",
  "x\xa0",
  "\xe9 y",
  "X".repeat(90),
];

const dropSets = [[], ["via"], ["x-user-id", "x-forwarded-for", "forwarded"], ["a-b", "a", "host", "y".repeat(256)]].map(
  (names) => new Set(names),
);
const edits = fc.record({
  drop: fc.constantFrom(...dropSets),
  dropPrefix: fc.constantFrom(undefined, "x-crossfade-", "x-f", "h"),
  set: fc.constantFrom("", fieldLine("X-One", "1"), fieldLine("X-One", "1") + fieldLine("Via", `1.1 ${"crossfade".repeat(20)}`)),
});
const blanks = fc.constantFrom("", " ", " ", " ", "\t", "  ");
const line = fc.tuple(fc.constantFrom(...NAMES), blanks, fc.constantFrom(...VALUES), fc.constantFrom("", "", "", " ", "\t "));
const lines = fc
  .array(line, { maxLength: 15 })
  .map((all) => all.map(([name, before, value, behind]) => `${name}:${before}${value}${behind}\r\n`).join(""));

/** What ought to be written for the fields. */
function expectedLines(fields: readonly string[], edits: HeadEdits, dropHost: boolean): string {
  const kept = forwardedFields(fields, { ...edits, set: "" });
  let text = "";
  for (let i = 0; i < kept.length; i += 2) {
    const name = kept[i]?.toLowerCase();
    if (name !== "content-length" && !(dropHost && name === "host")) text += `${kept[i]}: ${kept[i + 1]}\r\n`;
  }
  return text;
}

function framingLine(framing: "none" | "chunked" | number): string {
  if (framing === "none") return "";
  return framing === "chunked" ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${framing}\r\n`;
}

function requestOf(text: string): RawRequest {
  const head = new RawRequest();
  const bytes = Buffer.from(`poison${text}behind`, "latin1");
  if (head.read(bytes, 6, bytes.length, 100_000) !== DONE) throw new Error("not read");
  return head;
}

/** Any other head with the same content. */
function listOf(head: RequestHead): RequestHead {
  const { method, target, host, version } = head;
  return Object.assign(new FieldList(head.fields), { method, target, host, version });
}

/** Writes into a buffer of just the room asked for, behind something. */
function written(head: Head | undefined, edits: HeadEdits, extra: number, write: (out: Buffer, at: number) => number): string {
  const room = headRoom(head, edits, extra);
  const out = Buffer.alloc(room + 3, "#");
  const end = write(out, 3);
  if (end > out.length || out.toString("latin1", 0, 3) !== "###" || (end < out.length && out[end] !== 0x23))
    throw new Error("written outside of its room");
  return out.toString("latin1", 3, end);
}

function requestText(
  head: RequestHead,
  method: string,
  target: string,
  edits: HeadEdits,
  hostIfNone: string,
  framing: "none" | "chunked" | number,
): string {
  const extra = method.length + target.length + hostIfNone.length;
  return written(head, edits, extra, (out, at) => writeRequestHead(out, at, head, method, target, edits, hostIfNone, framing));
}

t.test("the fields that go on are those of forwardedFields, from bytes and from a list", async (t) => {
  fc.assert(
    fc.property(
      lines,
      lines,
      edits,
      fc.constantFrom("h", "", undefined),
      fc.constantFrom<"none" | "chunked" | number>("none", "chunked", 0, 1234567890123),
      (before, behind, edits, host, framing) => {
        const version = host === undefined ? "1.0" : "1.1";
        const hostLine = host === undefined ? "" : `Host: ${host}\r\n`;
        const head = requestOf(`POST /x?y HTTP/${version}\r\n${before}${hostLine}Content-Length: 5\r\n${behind}\r\n`);
        const noHost = head.host === "";
        const expected =
          `POST /x?y HTTP/1.1\r\n${expectedLines(head.fields, edits, noHost)}${noHost ? "Host: endpoint:80\r\n" : ""}${edits.set}` +
          `${framingLine(framing)}\r\n`;
        for (const each of [head, listOf(head)]) {
          const text = requestText(each, "POST", "/x?y", edits, "endpoint:80", framing);
          if (text !== expected) throw new Error(`${JSON.stringify(text)} is not ${JSON.stringify(expected)}`);
        }
      },
    ),
    { numRuns: 3000 },
  );
  t.pass();
});

t.test("an answer is written from bytes and from a list", async (t) => {
  fc.assert(
    fc.property(
      lines,
      edits,
      fc.constantFrom<"none" | "as-received" | "chunked" | number>("none", "as-received", "chunked", 7),
      fc.constantFrom("keep-alive", "close", ""),
      (lines, edits, framing, connection) => {
        const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 0042\r\n${lines}\r\n`, "latin1");
        const head = new RawResponse();
        if (head.read(bytes, 0, bytes.length, 100_000) !== DONE) return false;
        const length = framing === "as-received" ? 42 : framing;
        const expected =
          `HTTP/1.1 200 OK\r\n${expectedLines(head.fields, edits, false)}${edits.set}` +
          framingLine(length) +
          `${connection === "" ? "" : `Connection: ${connection}\r\n`}\r\n`;
        return [head, head.keep(), new FieldList(head.fields)].every(
          (from) =>
            written(from, edits, 2, (out, at) => writeResponseHead(out, at, true, 200, "OK", from, edits, framing, connection)) ===
            expected,
        );
      },
    ),
    { numRuns: 2000 },
  );
  t.pass();
});

t.test("every name of one connection is dropped however it is spelt, and no other", async (t) => {
  const hopByHop = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "http2-settings",
  ];
  for (const name of hopByHop) {
    for (const spelt of [name, name.toUpperCase(), name.replaceAll("-", "_")]) {
      t.same(forwardedFields([spelt, "x"], NO_EDITS), [], `${spelt} in a list`);
      const head = new RawResponse();
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${spelt}: close\r\nA: b\r\n\r\n`);
      head.read(bytes, 0, bytes.length, 1000);
      const text = written(head, NO_EDITS, 0, (out, at) => writeResponseHead(out, at, true, 200, "", head, NO_EDITS, "none", ""));
      t.equal(text, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", spelt);
    }
  }
});

t.test("method and target are those given, be they as received or not", async (t) => {
  const line = (head: RequestHead, method: string, target: string): string | undefined =>
    requestText(head, method, target, NO_EDITS, "e", "none").split("\r\n", 1)[0];
  const head = requestOf("GET /long/enough/to/be/copied/as/a/whole?q=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  t.equal(line(head, "GET", head.target), "GET /long/enough/to/be/copied/as/a/whole?q=1 HTTP/1.1");
  t.equal(line(head, "HEAD", "/other"), "HEAD /other HTTP/1.1");
  const absolute = requestOf("GET http://b/x HTTP/1.0\r\n\r\n");
  t.equal(line(absolute, "GET", absolute.target), "GET /x HTTP/1.1");
  t.equal(line(absolute, "GET", "http://b/x"), "GET http://b/x HTTP/1.1");
});

t.test("an empty Host is replaced although nobody has asked for it before", async (t) => {
  const text = (lines: string): string =>
    requestText(requestOf(`GET / HTTP/1.0\r\n${lines}X: y\r\n\r\n`), "GET", "/", NO_EDITS, "endpoint", "none");
  t.equal(text(""), "GET / HTTP/1.1\r\nX: y\r\nHost: endpoint\r\n\r\n");
  t.equal(text("Host:\r\n"), "GET / HTTP/1.1\r\nX: y\r\nHost: endpoint\r\n\r\n");
  t.equal(text("Host: \r\n"), "GET / HTTP/1.1\r\nX: y\r\nHost: endpoint\r\n\r\n");
  t.equal(text("Host: a\r\n"), "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
  t.equal(text("Host:a\r\n"), "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
});

t.test("status lines: the usual words, those of the server, none, and HTTP/1.0", async (t) => {
  const line = (version11: boolean, status: number, reason: string): string | undefined =>
    written(undefined, NO_EDITS, reason.length, (out, at) =>
      writeResponseHead(out, at, version11, status, reason, undefined, NO_EDITS, "none", ""),
    ).split("\r\n", 1)[0];
  t.equal(line(true, 200, ""), "HTTP/1.1 200 OK");
  t.equal(line(true, 200, "OK"), "HTTP/1.1 200 OK");
  t.equal(line(true, 200, "\xfcber"), "HTTP/1.1 200 \xfcber");
  t.equal(line(true, 299, ""), "HTTP/1.1 299 ");
  t.equal(line(false, 404, ""), "HTTP/1.0 404 Not Found");
  t.equal(line(true, 404, ""), "HTTP/1.1 404 Not Found");
  t.equal(line(true, 404, "x".repeat(500)), `HTTP/1.1 404 ${"x".repeat(500)}`);
});

t.test("a length as received is left out where none came", async (t) => {
  const text = (from: Head | undefined): string =>
    written(from, NO_EDITS, 0, (out, at) => writeResponseHead(out, at, true, 304, "", from, NO_EDITS, "as-received", ""));
  t.equal(text(undefined), "HTTP/1.1 304 Not Modified\r\n\r\n");
  t.equal(text(new FieldList(["A", "b"])), "HTTP/1.1 304 Not Modified\r\nA: b\r\n\r\n");
  t.equal(text(new FieldList(["Content-Length", "5"])), "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
});

t.test("edits that share their set but not their prefix are kept apart", async (t) => {
  const drop = new Set(["a"]);
  const head = requestOf("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nY-A: 2\r\nA: 3\r\n\r\n");
  const text = (dropPrefix: string | undefined): string => requestText(head, "GET", "/", { drop, dropPrefix, set: "" }, "", "none");
  t.match(text("x-"), /\r\nHost: h\r\nY-A: 2\r\n\r\n$/);
  t.match(text("y-"), /\r\nHost: h\r\nX-A: 1\r\n\r\n$/);
  t.match(text(undefined), /\r\nHost: h\r\nX-A: 1\r\nY-A: 2\r\n\r\n$/);
  t.match(text("x-"), /\r\nHost: h\r\nY-A: 2\r\n\r\n$/);
});

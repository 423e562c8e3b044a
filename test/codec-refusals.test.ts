import t from "tap";
import { ChunkedReader } from "../src/http/chunked.ts";
import { DONE, MORE, REFUSED } from "../src/http/raw-head.ts";
import { RawRequest } from "../src/http/raw-request.ts";
import { RawResponse } from "../src/http/raw-response.ts";
import { REFUSALS, type RefusalName } from "../src/http/refusals.ts";

const LIMIT = 16_384;

type Kind = "request" | "response" | "chunks";

interface Outcome {
  readonly result: 0 | 1 | 2;
  readonly refusal: RefusalName | undefined;
  readonly read: unknown;
}

interface Message {
  readonly kind: Kind;
  readonly bytes: string;
  readonly limit?: number;
}

/** Heads are written without what every one of them needs. */
const get = (target: string): Message => ({ kind: "request", bytes: `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n` });
const fields = (lines: string): Message => ({ kind: "request", bytes: `POST /x HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n` });
const request = (bytes: string, limit = LIMIT): Message => ({ kind: "request", bytes, limit });
const response = (bytes: string, limit = LIMIT): Message => ({ kind: "response", bytes, limit });
const chunks = (bytes: string): Message => ({ kind: "chunks", bytes });

const TABLE: readonly (readonly [RefusalName, readonly Message[]])[] = [
  ["empty-lines", [request("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")]],
  [
    "bare-lf",
    [
      request("GET / HTTP/1.1\nHost: a\r\n\r\n"),
      request("GET /\nHost: a\r\n\r\n"),
      request("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
      fields("X: y\nZ: a"),
      fields("X\n: y"),
      request("GET / HTTP/1.1\r\nHost: a\r\n\n"),
      response("HTTP/1.1 200 OK\nA: b\r\n\r\n"),
      response("HTTP/1.1 200\n\r\n"),
      chunks("1\na\r\n0\r\n\r\n"),
      chunks("1;a\nb\r\na\r\n0\r\n\r\n"),
      chunks("0\r\n\n"),
    ],
  ],
  [
    "bare-cr",
    [
      request("GET / HTTP/1.1\rHost: a\r\n\r\n"),
      request("GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n"),
      request("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
      fields("X: a\rb"),
      fields("X: a\r\r"),
      request("GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n"),
      response("HTTP/1.1 200 OK\r \r\n\r\n"),
      chunks("1\ra\r\n0\r\n\r\n"),
    ],
  ],
  [
    "obs-fold",
    [
      fields("X: a\r\n b"),
      fields("X: a\r\n\tb: c"),
      request("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
      response("HTTP/1.1 200 OK\r\n A: b\r\n\r\n"),
    ],
  ],
  ["space-before-colon", [fields("X : a"), fields("X\t: a"), fields("X Y: a"), response("HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n")]],
  ["bad-field-name", [fields(": a"), fields("X"), fields("X(: a"), fields("X\xff: a"), fields("X\0: a"), chunks("0\r\nA\r\n\r\n")]],
  [
    "control-in-value",
    [fields("X: a\0b"), fields("X: \x01"), fields("X: \x7f"), fields("X: \x0bchunked"), response("HTTP/1.1 200 OK\r\nA: \x1b\r\n\r\n")],
  ],
  [
    "bad-method",
    [
      request("get / HTTP/1.1\r\nHost: a\r\n\r\n"),
      ...["FOO", "GOT", "GEX", "XET", "PIT", "PUX", "XUT", "POSX", "PXST", "XOST", "POXT", "HEAT"].map((method) =>
        request(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`),
      ),
      request(" GET / HTTP/1.1\r\n\r\n"),
      request("\x16\x03\x01\x02"),
      request("G(T / HTTP/1.1\r\n\r\n"),
      request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      request("A".repeat(25)),
    ],
  ],
  [
    "bad-version",
    [
      request("GET / HTTP/1\r\n\r\n"),
      request("GET / http/1.1\r\n\r\n"),
      request("GET / HTTP/1.11\r\n\r\n"),
      request("GET / HTTP/1.1 \r\n\r\n"),
      request("GET / x\r\n\r\n"),
      request("GET /  HTTP/1.1\r\n\r\n"),
      request("GET / HTTP/a.1\r\n\r\n"),
    ],
  ],
  [
    "version-not-supported",
    [
      request("GET /\r\n\r\n"),
      request("GET / HTTP/2.0\r\n\r\n"),
      request("GET / HTTP/1.2\r\n\r\n"),
      request("GET / HTTP/0.9\r\n\r\n"),
      response("HTTP/2.0 200 OK\r\n\r\n"),
    ],
  ],
  [
    "head-too-large",
    [
      request(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(100)}\r\n\r\n`, 100),
      request(`GET /${"y".repeat(100)}`, 100),
      request(`GET / HTTP/1.1\r\nHost: a\r\n${"y".repeat(100)}`, 100),
      response(`HTTP/1.1 200 ${"y".repeat(100)}`, 100),
    ],
  ],
  [
    "two-lengths",
    [
      fields("Content-Length: 1\r\nContent-Length: 1"),
      fields("Content-Length: 1\r\ncontent-length: 2"),
      fields("Content-Length: 5, 5"),
      fields("Content-Length: 5,"),
      response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
    ],
  ],
  [
    "bad-length",
    [
      fields("Content-Length: +1"),
      fields("Content-Length: -1"),
      fields("Content-Length:"),
      fields("Content-Length: 0x1"),
      fields("Content-Length: 1 1"),
      fields("Content-Length: 9007199254740992"),
      fields(`Content-Length: ${"9".repeat(400)}`),
      fields("Content-Length: 1e3"),
      response("HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n"),
    ],
  ],
  [
    "length-with-chunked",
    [
      fields("Content-Length: 5\r\nTransfer-Encoding: chunked"),
      fields("Transfer-Encoding: chunked\r\nContent-Length: 5"),
      response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    ],
  ],
  [
    "chunked-not-last",
    [
      fields("Transfer-Encoding: chunked, gzip"),
      fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
      fields("Transfer-Encoding: gzip\r\nTransfer-Encoding: Chunked"),
      fields("Transfer-Encoding: gzip, chunked"),
      response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"),
    ],
  ],
  [
    "coding-unknown",
    [
      fields("Transfer-Encoding: gzip"),
      fields("Transfer-Encoding: identity"),
      fields("Transfer-Encoding:"),
      fields("Transfer-Encoding: xchunked"),
      fields('Transfer-Encoding: "chunked"'),
      fields("Transfer-Encoding: chunked;a"),
      response("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ],
  ],
  [
    "chunked-in-1.0",
    [request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")],
  ],
  [
    "expectation",
    [fields("Expect: tea"), fields("Expect:"), fields("Expect: 100-continue\r\nExpect: tea"), fields("Expect: 100-continue, tea")],
  ],
  ["two-hosts", [fields("Host: a"), fields("host: b")]],
  ["no-host", [request("GET / HTTP/1.1\r\n\r\n"), request("GET http://a/ HTTP/1.1\r\n\r\n")]],
  [
    "bad-host",
    ["a/b", "me@a", "a b", "a:b", "a:123456", "[::1", "[]", "[::1]x", "a\xff", "a:1:2", `[${":".repeat(46)}]`, '"a"'].map((host) =>
      request(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
    ),
  ],
  ["connect", [request("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")]],
  ["trace", [request("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n"), request("TRACE /../x HTTP/1.1\r\nHost: a\r\n\r\n")]],
  [
    "target-character",
    [
      request("GET  / HTTP/1.1\r\n\r\n"),
      request("GET /\x7f HTTP/1.1\r\n\r\n"),
      request("GET /\xe9 HTTP/1.1\r\n\r\n"),
      request("GET /\0 HTTP/1.1\r\n\r\n"),
    ],
  ],
  [
    "bad-target",
    [get("x"), get("?x"), get("*x"), get("ftp://a/x"), get("http://"), get("http:///x"), get("http://u@a/x"), get("http://a:b/x")],
  ],
  ["asterisk-form", [get("*")]],
  ["target-fragment", [get("/x#y"), get("/?x#y"), get("http://a/x#y"), get("http://a/?#")]],
  ["backslash", [get("/x\\y"), get("http://a/x\\y"), get("/\\%2f#".replace("#", ""))]],
  ["double-slash", [get("//"), get("//x"), get("http://a//x"), get("//x?y=."), get("//x/../y")]],
  ["bad-escape", [get("/%"), get("/%z1"), get("/%1"), get("/%1?23"), get("/%2f%zz"), get("http://a/%")]],
  ["encoded-slash", [get("/a%2fb"), get("/a%2F"), get("/a%5cb"), get("/a%5C"), get("/a%00b"), get("http://a/a%2fb")]],
  [
    "dot-segment",
    ["/.", "/..", "/./x", "/x/..", "/x/../y", "/%2e", "/%2E%2e/x", "/.%2e", "/x/.;a=b/y", "/..;/y", "http://a/x/..", "/x/..?y"].map(get),
  ],
  [
    "bad-status-line",
    [
      response("HTTP/1.1 20\r\n\r\n"),
      response("HTTP/1.1  200 OK\r\n\r\n"),
      response("HTTP/1.1 2000 OK\r\n\r\n"),
      response("http/1.1 200 OK\r\n\r\n"),
      ...[
        "hTTP/1.1 200",
        "HxTP/1.1 200",
        "HTxP/1.1 200",
        "HTTx/1.1 200",
        "HTTP 1.1 200",
        "HTTP/1,1 200",
        "HTTP/x.1 200",
        "HTTP/1.x 200",
      ].map((text) => response(`${text} OK\r\n\r\n`)),
      ...["x00", "2x0", "20x", "/00", "2/0", "20/"].map((status) => response(`HTTP/1.1 ${status} OK\r\n\r\n`)),
      response("\r\nHTTP/1.1 200 OK\r\n\r\n"),
      response("<html>"),
      response("HTTP/1.1\t200 OK\r\n\r\n"),
    ],
  ],
  ["bad-status", [response("HTTP/1.1 099 OK\r\n\r\n"), response("HTTP/1.1 600 OK\r\n\r\n"), response("HTTP/1.1 000 OK\r\n\r\n")]],
  [
    "chunk-size",
    [
      chunks("x"),
      chunks("\r\n"),
      chunks("1x\r\na\r\n"),
      chunks("0x1\r\na\r\n"),
      chunks("1 \r\na\r\n"),
      chunks(" 1\r\na\r\n"),
      chunks("-1\r\n"),
      chunks("1\r\na\r\n\r\n"),
      chunks(";a\r\n"),
    ],
  ],
  ["chunk-size-too-large", [chunks("ffffffffffffffff1\r\n"), chunks("00000000000001\r\na")]],
  [
    "chunk-extension",
    [
      chunks("1;\r\na\r\n"),
      chunks("1;a=\r\na\r\n"),
      chunks("1;a b\r\na\r\n"),
      chunks('1;a="b\x01"\r\na\r\n'),
      chunks('1;a="b"c\r\na\r\n'),
      chunks('1;a="\\\x7f"\r\n'),
      chunks("1;;a\r\n"),
      chunks("1; a\r\n"),
    ],
  ],
  ["chunk-extension-too-long", [chunks(`1;${"a".repeat(200)}\r\na\r\n`), chunks(`${`1;${"a".repeat(30)}\r\na\r\n`.repeat(4)}0\r\n\r\n`)]],
  [
    "chunk-end",
    [
      chunks("1\r\nab\r\n0\r\n\r\n"),
      chunks("1\r\na\n0\r\n\r\n"),
      chunks("1\r\na\rb"),
      chunks("0\r\n\r\n1".replace("0\r\n\r\n", "1\r\n\r")),
    ],
  ],
  ["trailer-too-large", [chunks(`0\r\nA: ${"b".repeat(200)}\r\n\r\n`), chunks(`0\r\n${"A: b\r\n".repeat(20)}\r\n`)]],
  [
    "framing-trailer",
    [
      chunks("0\r\nContent-Length: 5\r\n\r\n"),
      chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
      chunks("1\r\na\r\n0\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
  ],
];

/** Good ones, for which it matters as much that cuts change nothing. */
const GOOD: readonly Message[] = [
  // Names that resemble those with a meaning.
  fields("Haat: b\r\nExxect: x\r\nContent-Lxngth: x\r\nTransfer-Encxding: x\r\nConnxction: close\r\nUpgrxde: websocket"),
  chunks("0000000000001\r\na\r\n0\r\n\r\n"),
  request(`GET / HTTP/1.1\r\nHost: [${"F".repeat(45)}]:60789\r\n\r\n`),
  get("/"),
  get("/x.y/..z/.../%2e%2e%2e/a%41?%zz//../%2f"),
  get("http://b:80?q"),
  get("HTTPS://b/x"),
  request("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\nbehind"),
  request("\r\n\r\nHEAD /x HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n"),
  request(
    "PUT /x HTTP/1.1\r\nhOsT: [::1]:80\r\nX:\t a \t b \t\r\nX:\r\nconnection: TE,\tclose ,\r\nTransfer-Encoding:ChunKed\r\nExpect: 100-Continue\r\n\r\n",
  ),
  request("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n"),
  request(`GET / HTTP/1.1\r\nHost: a\r\n${Array.from({ length: 70 }, (_, i) => `F${i}: ${i}\r\n`).join("")}\r\n`),
  response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"),
  response("HTTP/1.0 404\r\n\r\n"),
  response("HTTP/1.1 299 \xfcber \x01\r\nTransfer-Encoding: chunked\r\n\r\n"),
  response("HTTP/1.1 500 all my own\r\nContent-Length:0009007199254740991\r\n\r\n"),
  chunks("0\r\n\r\nbehind"),
  chunks('1\r\na\r\n00A;x;y=z;q="a\\"b\t"\r\n0123456789\r\n0\r\n\r\n0\r\n\r\n'),
  chunks("3\r\nabc\r\n0;x\r\nA: b\r\nHost: c\r\nSet-Cookie: d\r\nE:f\r\n\r\nGET"),
];

function look(kind: Kind): {
  read(bytes: Buffer, start: number, end: number, limit: number): 0 | 1 | 2;
  outcome(result: 0 | 1 | 2, start: number): Outcome;
} {
  if (kind === "request") {
    const head = new RawRequest();
    return {
      read: (bytes, start, end, limit) => head.read(bytes, start, end, limit),
      outcome: (result, start) => ({
        result,
        refusal: head.refusal,
        read: result === DONE && [
          head.end - start,
          head.method,
          head.target,
          head.host,
          head.version,
          head.fields,
          head.contentLength,
          head.chunked,
          head.keepAlive,
          head.hasBody,
          head.expectsContinue,
          head.webSocket,
          head.methodIsHead,
          head.targetStart - start,
          head.targetEnd - start,
        ],
      }),
    };
  }
  const head = new RawResponse();
  return {
    read: (bytes, start, end, limit) => head.read(bytes, start, end, limit),
    outcome: (result, start) => ({
      result,
      refusal: head.refusal,
      read: result === DONE && [head.end - start, head.status, head.reason, head.fields, head.contentLength, head.chunked, head.keepAlive],
    }),
  };
}

/** The bytes with others before and behind that must not matter, and where they begin. */
const START = 7;
function among(bytes: string, poison: number): Buffer {
  const all = Buffer.alloc(START + bytes.length + 40, poison);
  all.write(bytes, START, "latin1");
  return all;
}

/** Reads in pieces that end at the given lengths. */
function outcomeOf(message: Message, ends: readonly number[], poison: number): Outcome {
  if (message.kind === "chunks") return outcomeOfChunks(message.bytes, ends, poison);
  const head = look(message.kind);
  const bytes = among(message.bytes, poison);
  let result: 0 | 1 | 2 = MORE;
  for (const end of ends) {
    result = head.read(bytes, START, START + end, message.limit ?? LIMIT);
    if (result !== MORE) break;
  }
  return head.outcome(result, START);
}

/** Each piece in bytes of its own, as a socket may hand them over. */
function outcomeOfChunks(text: string, ends: readonly number[], poison: number): Outcome {
  const reader = new ChunkedReader(100, 100);
  let data = "";
  let from = 0;
  let result: 0 | 1 | 2 = MORE;
  for (const end of ends) {
    const piece = text.slice(from, end);
    const bytes = among(piece, poison);
    result = reader.read(bytes, START, START + piece.length);
    data += bytes.toString("latin1", reader.dataStart, reader.dataEnd);
    if (
      bytes.subarray(0, START).some((octet) => octet !== poison) ||
      bytes.subarray(START + piece.length).some((octet) => octet !== poison)
    ) {
      throw new Error("written outside of what it was given");
    }
    if (result !== MORE)
      return { result, refusal: reader.refusal, read: [data, result === DONE && from + reader.consumed - START, reader.trailers] };
    from = end;
  }
  return { result, refusal: reader.refusal, read: [data, false, reader.trailers] };
}

function cutsOf(length: number): number[][] {
  const ends: number[][] = [Array.from({ length: length + 1 }, (_, i) => i)];
  for (let cut = 0; cut < length; cut++) ends.push([cut, length], [cut, Math.min(cut + 1, length), length]);
  return ends;
}

t.test("every refusal has its messages, and each of them is refused for it", async (t) => {
  t.same(TABLE.map(([name]) => name).toSorted(), Object.keys(REFUSALS).toSorted());
  for (const [name, messages] of TABLE) {
    t.ok(messages.length > 0, name);
    for (const message of messages) {
      const outcome = outcomeOf(message, [message.bytes.length], 0);
      t.equal(outcome.refusal, name, JSON.stringify(message.bytes.slice(0, 100)));
      t.not(outcome.result, MORE);
    }
  }
});

t.test("what is good is read whole and not refused", async (t) => {
  for (const message of GOOD) {
    const outcome = outcomeOf(message, [message.bytes.length], 0);
    t.equal(outcome.result, DONE, JSON.stringify(message.bytes.slice(0, 100)));
    t.equal(outcome.refusal, undefined, JSON.stringify(message.bytes.slice(0, 100)));
  }
});

t.test("however a message is cut, it is read the same", async (t) => {
  for (const message of [...GOOD, ...TABLE.flatMap(([, messages]) => messages)]) {
    const { length } = message.bytes;
    const whole = outcomeOf(message, [length], 0);
    const different = cutsOf(length).find((ends) => JSON.stringify(outcomeOf(message, ends, 0)) !== JSON.stringify(whole));
    t.equal(different, undefined, JSON.stringify(message.bytes.slice(0, 100)));
  }
});

t.test("no octet behind the end changes anything, nor is one before it read", async (t) => {
  for (const message of [...GOOD, ...TABLE.flatMap(([, messages]) => messages)]) {
    // Of long ones the last part will do.
    for (let end = Math.max(1, message.bytes.length - 120); end <= message.bytes.length; end++) {
      const first = JSON.stringify(outcomeOf(message, [end], 0));
      const other = [0x0a, 0x0d, 0x3a, 0x61].find((poison) => JSON.stringify(outcomeOf(message, [end], poison)) !== first);
      if (other !== undefined) t.fail(`${JSON.stringify(message.bytes.slice(0, 60))} to ${end} with ${other} around it`);
    }
  }
  t.pass();
});

t.test("a head that ends at the limit is good, one octet more is too large", async (t) => {
  const bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  t.equal(outcomeOf(request(`${bytes}body`, bytes.length), [bytes.length + 4], 0).refusal, undefined);
  t.equal(outcomeOf(request(`${bytes}body`, bytes.length - 1), [bytes.length + 4], 0).refusal, "head-too-large");
});

t.test("chunk extensions and trailers are good up to their limits, over all of a message", async (t) => {
  const reader = new ChunkedReader(8, 10);
  const refusalOf = (text: string): RefusalName | undefined => {
    reader.reset();
    const bytes = Buffer.from(text);
    reader.read(bytes, 0, bytes.length);
    return reader.refusal;
  };
  // The CR that ends an extension counts too.
  t.equal(refusalOf("1;a\r\nx\r\n1;abc\r\nx\r\n0\r\n\r\n"), undefined);
  t.equal(refusalOf("1;a\r\nx\r\n1;abcd\r\nx\r\n0\r\n\r\n"), "chunk-extension-too-long");
  t.equal(refusalOf("0\r\nA: bcd\r\n\r\n"), undefined);
  t.equal(refusalOf("0\r\nA: bcde\r\n\r\n"), "trailer-too-large");
});

t.test("empty lines before a request count for that request only", async (t) => {
  const head = new RawRequest();
  const bytes = Buffer.from("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  for (let i = 0; i < 3; i++) {
    t.equal(head.read(bytes, 0, bytes.length, LIMIT), DONE);
    head.reset();
  }
});

t.test("after reset nothing is left of the message before", async (t) => {
  const used = new RawRequest();
  const fresh = new RawRequest();
  const shape = (head: RawRequest): unknown[] => [
    head.method,
    head.target,
    head.host,
    head.fields,
    head.contentLength,
    head.chunked,
    head.keepAlive,
    head.expectsContinue,
    head.webSocket,
    head.nominates,
    head.refusal,
    head.end,
    head.start,
    head.hasBody,
    head.slots.length,
  ];
  const before = shape(fresh);
  for (const message of [...GOOD, ...TABLE.flatMap(([, messages]) => messages)]) {
    if (message.kind !== "request") continue;
    const bytes = Buffer.from(message.bytes, "latin1");
    used.read(bytes, 0, bytes.length, LIMIT);
    used.reset();
    const next = Buffer.from("##GET /y HTTP/1.1\r\nHost: b\r\n\r\n");
    used.read(next, 2, next.length, LIMIT);
    const again = new RawRequest();
    again.read(next, 2, next.length, LIMIT);
    t.same(shape(used).slice(0, -1), shape(again).slice(0, -1));
    used.reset();
  }
  const huge = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${"a:\r\n".repeat(3000)}\r\n`);
  t.equal(used.read(huge, 0, huge.length, 100_000), DONE);
  t.equal(used.fields.length, 6002);
  used.reset();
  t.same(shape(used), before);
});

t.test("a refused chunked body stays refused where it was found", async (t) => {
  const reader = new ChunkedReader();
  const bytes = Buffer.from("2\r\nab\r\n1\r\ncx");
  t.equal(reader.read(bytes, 0, bytes.length), REFUSED);
  t.equal(bytes.toString("latin1", reader.dataStart, reader.dataEnd), "abc");
  reader.reset();
  const good = Buffer.from("1\r\nd\r\n0\r\n\r\n");
  t.equal(reader.read(good, 0, good.length), DONE);
  t.equal(good.toString("latin1", reader.dataStart, reader.dataEnd), "d");
  t.equal(reader.refusal, undefined);
  t.equal(reader.consumed, good.length);
});

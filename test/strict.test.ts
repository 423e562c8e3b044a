import t from "tap";
import fc from "fast-check";
import { ask, sendRaw } from "./support/client.ts";
import { bodyOf, json, startBackend } from "./support/upstreams.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";
import { FieldList, forwardedFields } from "../src/http/head.ts";
import { refuseHead, splitAbsolute } from "../src/http/strict.ts";
import { bareAddress, originOf } from "../src/http/forwarded.ts";
import { KeyedHash } from "../src/core/keyed-hash.ts";
import { cookieValues, signId, verifyId } from "../src/http/cookies.ts";
import { queryValues } from "../src/http/target.ts";

/** Requests that two readers could understand differently, or that are none; and the status each is refused with. */
const REFUSED: readonly (readonly [string, string, number])[] = [
  ["two lengths that differ", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400],
  ["two lengths that agree", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400],
  ["a list of lengths", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400],
  ["a signed length", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400],
  ["an empty length", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400],
  ["length and chunked", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["chunked and length", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400],
  ["chunked not alone", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400],
  ["chunked twice", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["chunked misspelt", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400],
  ["identity coding", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400],
  ["a tab before chunked", "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400],
  ["HTTP/1.0 with chunked", "POST /v1/x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["a bare LF after the request line", "GET /v1/x HTTP/1.1\nHost: a\r\n\r\n", 400],
  ["a bare LF after a field", "GET /v1/x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400],
  ["a bare CR in a field", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400],
  ["a folded field", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400],
  ["a space before the colon", "GET /v1/x HTTP/1.1\r\nHost : a\r\n\r\n", 400],
  ["NUL in a field", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400],
  ["a control character in a field", "GET /v1/x HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n", 400],
  ["a field without a name", "GET /v1/x HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400],
  ["no Host", "GET /v1/x HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", "GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
  ["two equal Hosts", "GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
  ["a Host that is none", "GET /v1/x HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["a Host with a user", "GET /v1/x HTTP/1.1\r\nHost: me@a\r\n\r\n", 400],
  ["HTTP/0.9", "GET /v1/x\r\n\r\n", 505],
  ["HTTP/1.2", "GET /v1/x HTTP/1.2\r\nHost: a\r\n\r\n", 505],
  ["HTTP/2.0 in text", "GET /v1/x HTTP/2.0\r\nHost: a\r\n\r\n", 505],
  ["a fragment", "GET /v1/x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["dot segments", "GET /v1/../api/match HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["encoded dot segments", "GET /v1/%2e%2E/api/match HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["an encoded slash", "GET /v1/a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a backslash", "GET /v1\\x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["two slashes first", "GET //v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a bad escape", "GET /v1/%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["another scheme", "GET ftp://a/v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501],
  ["TRACE", "TRACE /v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 501],
  ["no request at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
];

/** Bodies that break off the request they belong to. */
const BAD_CHUNKS: readonly (readonly [string, string])[] = [
  ["not hexadecimal", "1x\r\na\r\n0\r\n\r\n"],
  ["0x", "0x1\r\na\r\n0\r\n\r\n"],
  ["padded", "1 \r\na\r\n0\r\n\r\n"],
  ["overflowing", "ffffffffffffffff1\r\na\r\n0\r\n\r\n"],
  ["ended by LF", "1\na\n0\n\n"],
  ["an extension with LF", "1;a\nb\r\na\r\n0\r\n\r\n"],
  ["too long for its size", "1\r\nab\r\n0\r\n\r\n"],
  ["a length among the trailers", "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"],
];

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, async (t) => {
    const backend = await startBackend(t, async (req, res) => json(res, { body: (await bodyOf(req)).toString() }));
    const proxy = await startProxy(t, create, splitYaml({ stable: backend.url, candidate: backend.url }));

    t.test("what can be read in two ways is refused, the connection closed, and nothing forwarded", async (t) => {
      for (const [name, bytes, status] of REFUSED) {
        const before = backend.requests.length;
        // A second request behind it must never be answered as if it stood by itself.
        const answer = await sendRaw(proxy.port, `${bytes}GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
        t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), `${name}: ${answer.split("\r\n", 1)[0]}`);
        const forwarded = backend.requests.slice(before).map((req) => req.url);
        t.same(forwarded, [], `${name}: not forwarded, nor what came behind it`);
      }
    });

    t.test("a body that breaks the rules of chunks ends its request", async (t) => {
      for (const [name, chunks] of BAD_CHUNKS) {
        for (const path of ["/v1/x", "/api/match"]) {
          const answer = await sendRaw(
            proxy.port,
            `POST ${path} HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}GET /v1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
          );
          t.match(answer, /^HTTP\/1\.1 400 /, `${name}: ${answer.split("\r\n", 1)[0]}`);
          t.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, `${name}: one answer`);
        }
      }
      t.notOk(
        backend.requests.some((req) => req.url === "/v1/smuggled"),
        "nothing behind it was taken for a request",
      );
    });

    t.test("a user key given twice with different values is refused; the same value twice is not", async (t) => {
      const clash = await ask(`${proxy.url}/api/match`, { headers: { "x-user-id": ["a", "b"] } });
      t.equal(clash.status, 400);
      t.equal(JSON.parse(clash.body.toString()).code, "ambiguous-user");
      t.equal((await ask(`${proxy.url}/api/match?user_id=a&user_id=b`)).status, 400);
      t.equal((await ask(`${proxy.url}/api/match?user_id=a&user%5Fid=b`)).status, 400, "however it is spelt");
      t.equal((await ask(`${proxy.url}/api/match?user_id=a&user_id=a`)).status, 200);
      t.equal(
        (await ask(`${proxy.url}/api/match`, { headers: { "x-user-id": ["a", "anonymous"] } })).status,
        200,
        "nobody is not a second user",
      );
    });

    t.test("the next request on the connection is answered by its own answer", async (t) => {
      const both = await sendRaw(
        proxy.port,
        "POST /v1/one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\nPOST /v1/two HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntwo",
      );
      t.same(
        [...both.matchAll(/\{"body":"(\w+)"\}/g)].map((m) => m[1]),
        ["one", "two"],
      );
    });
  });
}

t.test("heads never throw, whatever is in them", async (t) => {
  const field = fc.tuple(
    fc.constantFrom("Host", "Content-Length", "Transfer-Encoding", "Connection", "Via", "X-Forwarded-For", "x"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(field), fc.string(), fc.constantFrom("1.0", "1.1", "2.0"), (pairs, target, version) => {
      const head = new FieldList(pairs.flat());
      refuseHead("GET", target, version, head);
      splitAbsolute(target);
      queryValues(target, "user_id");
      cookieValues(head.all("x"), "c");
      originOf(head, "127.0.0.1", () => true);
      const kept = forwardedFields(head.fields, { drop: new Set(["x"]), dropPrefix: undefined, set: "" });
      return (
        kept.length % 2 === 0 &&
        !kept.some((name, i) => i % 2 === 0 && ["connection", "transfer-encoding", "x"].includes(name.toLowerCase()))
      );
    }),
  );
  t.pass();
});

t.test("a signed id is believed only as we signed it", async (t) => {
  const secret = Buffer.alloc(32, 1);
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 100, unit: fc.constantFrom("a", "f", "0", "9", "-", ".") }),
      fc.nat(),
      fc.string({ maxLength: 2 }),
      (id, at, junk) => {
        const key = new KeyedHash(secret);
        const signed = signId(id, key);
        const position = at % signed.length;
        const forged = signed.slice(0, position) + junk + signed.slice(position + 1);
        return (
          verifyId(signed, key) === id &&
          (forged === signed || verifyId(forged, key) === undefined) &&
          verifyId(signed, new KeyedHash(Buffer.alloc(32, 2))) === undefined
        );
      },
    ),
  );
  t.pass();
});

t.test("addresses come out bare", async (t) => {
  for (const [given, bare] of [
    ["[::1]:80", "::1"],
    ["10.0.0.1:80", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["10.0.0.1", "10.0.0.1"],
  ])
    t.equal(bareAddress(given ?? ""), bare);
});

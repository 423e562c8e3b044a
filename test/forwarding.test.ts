import t from "tap";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent } from "node:http";
import { connect } from "node:net";
import { ask, sendRaw } from "./support/client.ts";
import { bodyOf, json, startBackend, startRawBackend } from "./support/upstreams.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";

function sha(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    const echo = await startBackend(t, async (req, res) =>
      json(res, { url: req.url, method: req.method, headers: req.headers, raw: req.rawHeaders, body: (await bodyOf(req)).toString() }),
    );
    const proxy = await startProxy(t, create, splitYaml({ stable: echo.url, candidate: echo.url }));

    t.test("path, query, method, body and fields arrive as they were sent", async (t) => {
      const answer = await ask(`${proxy.url}/v1/some%20thing?a=1&b=%2F`, {
        method: "PUT",
        body: "héllo",
        headers: { "x-mixed-Case": "Kept", "x-twice": ["a", "b"], cookie: "c=1" },
      });
      const seen = JSON.parse(answer.body.toString());
      t.equal(seen.url, "/v1/some%20thing?a=1&b=%2F");
      t.equal(seen.method, "PUT");
      t.equal(seen.body, "héllo");
      t.equal(seen.headers["x-twice"], "a, b");
      t.equal(seen.headers.cookie, "c=1");
    });

    t.test("fields of one connection stay on it", async (t) => {
      const answer = await ask(`${proxy.url}/v1/x`, {
        headers: {
          connection: "close, x-private",
          "x-private": "secret",
          te: "trailers",
          "proxy-connection": "keep-alive",
          "keep-alive": "timeout=5",
          "x-crossfade-arm": "candidate",
        },
      });
      const { headers } = JSON.parse(answer.body.toString());
      for (const name of ["x-private", "te", "proxy-connection", "keep-alive", "x-crossfade-arm"]) t.equal(headers[name], undefined, name);
    });

    t.test("naming Content-Length in Connection does not take it away", async (t) => {
      const answer = await ask(`${proxy.url}/v1/x`, {
        method: "POST",
        body: "12345",
        headers: { connection: "content-length, host", "content-length": "5" },
      });
      t.equal(JSON.parse(answer.body.toString()).body, "12345");
    });

    t.test("who asked is told, and believed only from a trusted hop", async (t) => {
      const trusted = JSON.parse(
        (
          await ask(`${proxy.url}/v1/x`, {
            headers: { "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https", forwarded: "for=203.0.113.9" },
          })
        ).body.toString(),
      ).headers;
      t.equal(trusted["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
      t.equal(trusted["x-forwarded-proto"], "https");
      t.match(trusted.forwarded, /^for=203\.0\.113\.9, for=127\.0\.0\.1;host="127\.0\.0\.1:\d+";proto=http$/);
      t.equal(trusted.via, "1.1 crossfade");
      const strict = await startProxy(
        t,
        create,
        splitYaml({ stable: echo.url, candidate: echo.url }).replace("trusted_hops: [127.0.0.1/32]", "trusted_hops: []"),
      );
      const others = JSON.parse(
        (
          await ask(`${strict.url}/v1/x`, {
            headers: {
              "x-forwarded-for": "203.0.113.9",
              "x-forwarded-proto": "https",
              forwarded: "for=evil",
              "x-user-segment": "beta",
              "x-feature-flag": "v2_enabled",
            },
          })
        ).body.toString(),
      ).headers;
      t.equal(others["x-forwarded-for"], "127.0.0.1");
      t.equal(others["x-forwarded-proto"], "http");
      t.match(others.forwarded, /^for=127\.0\.0\.1;/);
      t.equal(others["x-user-segment"], undefined, "an untrusted segment is not passed on");
      t.equal(others["x-feature-flag"], undefined);
    });

    t.test("a request that has passed here before is a loop", async (t) => {
      const answer = await ask(`${proxy.url}/v1/x`, { headers: { via: "1.1 other, 1.1 crossfade" } });
      t.equal(answer.status, 508);
      t.match(answer.headers["proxy-status"], "proxy_loop_detected");
      const through = await ask(`${proxy.url}/v1/x`, { headers: { via: "1.1 other" } });
      t.equal(JSON.parse(through.body.toString()).headers.via, "1.1 other, 1.1 crossfade");
    });

    t.test("the trace and the request id are kept when well formed, made when not", async (t) => {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      const kept = await ask(`${proxy.url}/v1/x`, { headers: { traceparent, "x-request-id": "abc-123" } });
      const seen = JSON.parse(kept.body.toString()).headers;
      t.equal(seen.traceparent, traceparent);
      t.equal(seen["x-request-id"], "abc-123");
      t.equal(kept.headers["x-request-id"], "abc-123");
      const made = await ask(`${proxy.url}/v1/x`, {
        headers: { traceparent: "00-00000000000000000000000000000000-b7ad6b7169203331-01", "x-request-id": 'bad"id' },
      });
      const fresh = JSON.parse(made.body.toString()).headers;
      t.match(fresh.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
      t.match(fresh["x-request-id"], /^[0-9a-f]{32}$/);
      t.equal(made.headers["x-request-id"], fresh["x-request-id"]);
    });

    t.test("fields that only we may set are not taken from a backend", async (t) => {
      const liar = await startBackend(t, (_req, res) => {
        res.writeHead(200, {
          "x-crossfade-arm": "stable",
          "x-service-version": "v9",
          "x-request-id": "theirs",
          "set-cookie": ["a=1", "b=2"],
        });
        res.end("ok");
      });
      const p = await startProxy(t, create, splitYaml({ stable: liar.url, candidate: liar.url }));
      const answer = await ask(`${p.url}/api/match`, { headers: { "x-user-id": "u1", "x-request-id": "ours" } });
      t.equal(answer.headers["x-crossfade-arm"], "candidate");
      t.equal(answer.headers["x-service-version"], "v2");
      t.equal(answer.headers["x-request-id"], "ours");
      t.same(answer.headers["set-cookie"], ["a=1", "b=2"]);
    });

    t.test("20 MB go up and 20 MB come down unchanged, in both framings", async (t) => {
      const big = Buffer.alloc(20_000_000, "crossfade");
      const mirror = await startBackend(t, (req, res) => {
        if (req.headers["content-length"] !== undefined) res.writeHead(200, { "content-length": req.headers["content-length"] });
        req.pipe(res);
      });
      const p = await startProxy(t, create, splitYaml({ stable: mirror.url, candidate: mirror.url }));
      for (const path of ["/v1/big", "/plain"]) {
        for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
          const answer = await ask(p.url + path, { method: "POST", body: big, headers });
          t.equal(sha(answer.body), sha(big), `${path} ${JSON.stringify(headers)}`);
        }
      }
    });

    t.test("trailers of an answer are passed on", async (t) => {
      const trailing = await startBackend(t, (_req, res) => {
        res.writeHead(200, { trailer: "x-sum" });
        res.write("body");
        res.addTrailers({ "x-sum": "42" });
        res.end();
      });
      const p = await startProxy(t, create, splitYaml({ stable: trailing.url, candidate: trailing.url }));
      for (const path of ["/v1/x", "/api/match"]) {
        const answer = await ask(p.url + path, { headers: { "x-user-id": "u1" } });
        t.equal(answer.body.toString(), "body");
        t.same({ ...answer.trailers }, { "x-sum": "42" }, path);
      }
    });

    t.test("HEAD keeps the length and has no body; 204 and 304 have neither", async (t) => {
      const bare = await startBackend(t, (req, res) => {
        if (req.url?.endsWith("204")) res.writeHead(204).end();
        else if (req.url?.endsWith("304")) res.writeHead(304, { etag: '"x"' }).end();
        else res.writeHead(200, { "content-length": "1234" }).end();
      });
      const p = await startProxy(t, create, splitYaml({ stable: bare.url, candidate: bare.url }));
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      t.teardown(() => agent.destroy());
      for (const path of ["/v1/", "/api/match?"]) {
        const head = await ask(`${p.url}${path}`, { method: "HEAD", agent, headers: { "x-user-id": "u" } });
        t.equal(head.headers["content-length"], "1234");
        t.equal(head.body.length, 0);
        const empty = await ask(`${p.url}${path}204`, { agent, headers: { "x-user-id": "u" } });
        t.equal(empty.status, 204);
        t.equal(empty.headers["content-length"], undefined);
        t.equal(empty.headers["transfer-encoding"], undefined);
        const same = await ask(`${p.url}${path}304`, { agent, headers: { "x-user-id": "u" } });
        t.equal(same.status, 304);
        t.equal(same.headers.etag, '"x"');
      }
    });

    t.test("103 Early Hints reach the client of a route that is not judged", async (t) => {
      const hinting = await startBackend(t, (_req, res) => res.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => res.end("ok")));
      const p = await startProxy(t, create, splitYaml({ stable: hinting.url, candidate: hinting.url }));
      const hinted = await sendRaw(p.port, "GET /v1/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      t.match(hinted, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n/i);
      t.match(hinted, /HTTP\/1\.1 200 OK/);
      const many = await startRawBackend(t, (socket) =>
        socket.once("data", () =>
          socket.write(
            'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload, nonsense\r\nLink: </b>; rel="preload", </c>\r\nX-Crossfade-Arm: stable\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
          ),
        ),
      );
      const q = await startProxy(t, create, splitYaml({ stable: many.url, candidate: many.url }));
      const listed = await sendRaw(q.port, "GET /v1/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      t.match(
        listed,
        /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/b>; rel="preload", <\/c>\r\n\r\nHTTP\/1\.1 200 OK/i,
        "malformed links only are lost",
      );
      const judged = await sendRaw(p.port, "GET /api/match HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\nConnection: close\r\n\r\n");
      t.match(judged, /^HTTP\/1\.1 200 OK/);
    });

    t.test("Expect: 100-continue is answered when the body is wanted, and any other expectation refused", async (t) => {
      const socket = connect(proxy.port, "127.0.0.1");
      await once(socket, "connect");
      socket.write("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
      const [go] = (await once(socket, "data")) as [Buffer];
      t.match(go.toString(), /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
      socket.write("body");
      const [answer] = (await once(socket, "data")) as [Buffer];
      t.match(answer.toString(), /"body":"body"/);
      t.notMatch(answer.toString(), /"expect"/i, "the expectation ends here");
      socket.destroy();
      t.match(
        await sendRaw(proxy.port, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: cake\r\nConnection: close\r\n\r\n"),
        /^HTTP\/1\.1 417 /,
      );
    });

    t.test("HTTP/1.0 clients are answered without chunks", async (t) => {
      const chunky = await startBackend(t, (_req, res) => {
        res.write("one ");
        res.end("two");
      });
      const p = await startProxy(t, create, splitYaml({ stable: chunky.url, candidate: chunky.url }));
      for (const path of ["/v1/x", "/api/match"]) {
        const answer = await sendRaw(p.port, `GET ${path} HTTP/1.0\r\nX-User-ID: u\r\n\r\n`);
        t.match(answer, /one two$/);
        t.notMatch(answer, /transfer-encoding/i);
      }
    });

    t.test("an absolute target is taken apart, and its host wins", async (t) => {
      const answer = await sendRaw(proxy.port, "GET http://real.example/v1/x?q=1 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
      t.match(answer, /"url":"\/v1\/x\?q=1"/);
      t.match(answer, /"host":"real\.example"/);
    });

    t.test("pipelined requests are answered in their order", async (t) => {
      const answer = await sendRaw(
        proxy.port,
        "GET /v1/one HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/two HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/three HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      );
      t.same(
        [...answer.matchAll(/"url":"\/v1\/(\w+)"/g)].map((m) => m[1]),
        ["one", "two", "three"],
      );
    });

    t.test("no route, no method: what would be right is said", async (t) => {
      const lost = await ask(`${proxy.url}/nowhere`);
      t.equal(lost.status, 404);
      t.equal(JSON.parse(lost.body.toString()).code, "no-route");
      const wrong = await ask(`${proxy.url}/plain`, { method: "DELETE" });
      t.equal(wrong.status, 405);
      t.equal(wrong.headers.allow, "POST, GET, HEAD");
    });

    t.test("words of a status line that an engine cannot send on are left out, and the answer passed on", async (t) => {
      const wordy = await startRawBackend(t, (socket) =>
        socket.on("data", () => socket.write("HTTP/1.1 201 Angelegt \u2713\r\ncontent-length: 2\r\n\r\nok")),
      );
      const p = await startProxy(t, create, splitYaml({ stable: wordy.url, candidate: wordy.url }));
      for (const path of ["/v1/x", "/api/match"]) {
        const answer = await sendRaw(p.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\nConnection: close\r\n\r\n`);
        t.match(answer, engine === "wire" ? /^HTTP\/1\.1 201 Angelegt [^\r\n]*\r\n[^]*ok$/ : /^HTTP\/1\.1 201 Created\r\n[^]*ok$/, path);
      }
    });

    t.test("an empty Host is replaced by the endpoint's", async (t) => {
      const answer = await sendRaw(proxy.port, "GET /v1/x HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n");
      t.match(answer, new RegExp(`"host":"${new URL(echo.url).host}"`));
    });

    t.test("trailers that speak in our name, or set what is read before them, are left out", async (t) => {
      const liar = await startRawBackend(t, (socket) =>
        socket.on("data", () =>
          socket.write(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\nX-Crossfade-Arm: stable\r\nSet-Cookie: a=b\r\n\r\n",
          ),
        ),
      );
      const p = await startProxy(t, create, splitYaml({ stable: liar.url, candidate: liar.url }));
      for (const path of ["/v1/x", "/api/match"]) {
        const answer = await ask(p.url + path, { headers: { "x-user-id": "u1" } });
        t.same({ ...answer.trailers }, { "x-sum": "1" }, path);
      }
    });

    t.test("what went wrong behind us is told to those only who may see what is behind us", async (t) => {
      const gone = await startBackend(t, () => {});
      await gone.close();
      const yaml = splitYaml({ stable: gone.url, candidate: gone.url });
      const open = await startProxy(t, create, yaml);
      t.match(JSON.parse((await ask(`${open.url}/v1/x`)).body.toString()).detail, String(gone.port));
      const shut = await startProxy(t, create, `${yaml}response_headers: none\n`);
      const answer = await ask(`${shut.url}/v1/x`);
      t.equal(JSON.parse(answer.body.toString()).detail, undefined);
      t.match(shut.recorder.log[0]?.detail, String(gone.port), "the log knows");
    });
  });
}

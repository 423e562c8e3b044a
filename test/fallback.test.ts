import t, { type Test } from "tap";
import { once } from "node:events";
import type { Socket } from "node:net";
import { ask, type Answer } from "./support/client.ts";
import { bodyOf, json, startBackend, startRawBackend } from "./support/upstreams.ts";
import { ENGINES, splitYaml, startProxy, type TestProxy } from "./support/proxy.ts";
import type { CreateTransport } from "../src/transport/transport.ts";

/** For tests in which the candidate is meant to be late; elsewhere a busy machine must not make it so. */
const LATE = { responseTime: "100ms" };
const GOOD = { matches: [{ offer_id: 1, confidence: 0.9 }] };

/** V1 that always answers; V2 whose bytes the test writes itself. */
async function withRawCandidate(
  t: Test,
  create: CreateTransport,
  serve: (socket: Socket, connection: number) => void,
  options: Parameters<typeof splitYaml>[1] = {},
): Promise<TestProxy & { stableHits: () => number }> {
  const v1 = await startBackend(t, async (req, res) => {
    await bodyOf(req);
    json(res, { by: "v1" });
  });
  const v2 = await startRawBackend(t, serve);
  const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, options));
  return Object.assign(proxy, { stableHits: () => v1.requests.length });
}

function onRequest(socket: Socket, answer: () => void): void {
  socket.once("data", answer);
}

function post(proxy: TestProxy, body = "{}", headers: Record<string, string> = {}): Promise<Answer> {
  return ask(`${proxy.url}/api/match`, {
    method: "POST",
    body,
    headers: { "x-user-id": "u1", "content-type": "application/json", ...headers },
  });
}

function servedByStable(t: Test, answer: Answer, reason: string): void {
  t.equal(answer.status, 200);
  t.equal(answer.headers["x-crossfade-arm"], "candidate");
  t.equal(answer.headers["x-crossfade-served-by"], "v1");
  t.equal(answer.headers["x-crossfade-fallback"], reason);
  t.same(JSON.parse(answer.body.toString()), { by: "v1" });
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    t.test("a candidate in time and good is served, whole and unchanged", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, async (req, res) => json(res, { by: "v2", got: (await bodyOf(req)).toString() }));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      const answer = await post(proxy, '{"a":1}');
      t.equal(answer.headers["x-crossfade-served-by"], "v2");
      t.equal(answer.headers["x-crossfade-fallback"], undefined);
      t.same(JSON.parse(answer.body.toString()), { by: "v2", got: '{"a":1}' });
      t.equal(v1.requests.length, 0, "the stable arm was not asked");
      t.same(proxy.recorder.fallbacks, []);
    });

    t.test("a candidate that hangs is replaced after response_time, and its connection is cut when observation ends", async (t) => {
      const proxy = await withRawCandidate(t, create, () => {}, { responseTime: "100ms", extra: "limits: { observed_for: 300ms }" });
      const answer = await post(proxy);
      servedByStable(t, answer, "latency");
      t.ok(answer.ms >= 100, "not before the deadline");
      await proxy.recorder.until(() => proxy.recorder.attempts.length === 2);
      const lost = proxy.recorder.attempts.find((attempt) => attempt.kind === "first");
      t.equal(lost?.outcome, "timeout");
      t.ok((lost?.ms ?? 0) >= 300, "filed under at least the time it was observed");
      t.equal(proxy.recorder.cuts, 1);
      t.equal(proxy.proxy.observed, 0);
    });

    t.test("the true duration of a candidate that lost is recorded when it finishes", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      let finish = (): void => {};
      const v2 = await startBackend(t, (_req, res) => {
        finish = () => json(res, { by: "v2" });
      });
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, LATE));
      const answer = await post(proxy);
      servedByStable(t, answer, "latency");
      t.equal(proxy.proxy.observed, 1, "it is still open when the client has its answer");
      finish();
      await proxy.recorder.until(() => proxy.recorder.attempts.length === 2);
      const lost = proxy.recorder.attempts.find((attempt) => attempt.kind === "first");
      t.equal(lost?.outcome, "ok");
      t.ok((lost?.ms ?? 0) >= 100);
      t.equal(proxy.recorder.cuts, 0);
    });

    t.test("headers in time and then a byte every 80 ms: the client sees none of it", async (t) => {
      const proxy = await withRawCandidate(
        t,
        create,
        (socket) =>
          onRequest(socket, () => {
            socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n");
            const drip = setInterval(() => socket.write("x"), 80);
            socket.on("close", () => clearInterval(drip));
          }),
        LATE,
      );
      servedByStable(t, await post(proxy), "latency");
    });

    t.test("half a body and a reset: the client gets the stable answer whole", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) =>
        onRequest(socket, () => {
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"half', () => socket.resetAndDestroy());
        }),
      );
      servedByStable(t, await post(proxy), "error");
      t.same(proxy.recorder.attempts.map((attempt) => attempt.outcome).sort(), ["ok", "reset"]);
    });

    t.test("half a chunked body and a close: the same", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) =>
        onRequest(socket, () => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")),
      );
      servedByStable(t, await post(proxy), "error");
    });

    t.test(
      "an idle connection closed just as it is reused is tried again on a fresh one, and is no failure of the candidate",
      async (t) => {
        let connections = 0;
        const proxy = await withRawCandidate(t, create, (socket, connection) => {
          connections = connection;
          let requests = 0;
          socket.on("data", () => {
            if (++requests === 2 && connection === 1) socket.destroy();
            else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nv2");
          });
        });
        const first = await post(proxy);
        t.equal(first.body.toString(), "v2");
        const second = await post(proxy);
        t.equal(second.status, 200);
        t.equal(second.body.toString(), "v2");
        t.equal(second.headers["x-crossfade-fallback"], undefined);
        t.equal(connections, 2);
        t.same(
          proxy.recorder.attempts.map((attempt) => attempt.kind),
          ["first", "first", "retry"],
        );
      },
    );

    t.test("500 falls back as an error", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) =>
        onRequest(socket, () => socket.end("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")),
      );
      servedByStable(t, await post(proxy), "error");
      t.ok(proxy.recorder.attempts.some((attempt) => attempt.outcome === "server-error"));
    });

    t.test("4xx is an answer like any other", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) =>
        onRequest(socket, () => socket.end("HTTP/1.1 422 No\r\ncontent-length: 2\r\n\r\nno")),
      );
      const answer = await post(proxy);
      t.equal(answer.status, 422);
      t.equal(answer.headers["x-crossfade-served-by"], "v2");
      t.equal(proxy.stableHits(), 0);
    });

    t.test("bytes that are not HTTP fall back", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) => onRequest(socket, () => socket.end("SSH-2.0-OpenSSH_9.6\r\n")));
      servedByStable(t, await post(proxy), "error");
      t.ok(proxy.recorder.attempts.some((attempt) => attempt.outcome === "bad-answer"));
    });

    t.test("a million header fields are cut at the limit, and fall back", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) =>
        onRequest(socket, () => {
          socket.write("HTTP/1.1 200 OK\r\n");
          const block = "x-filler: y\r\n".repeat(1000);
          let blocks = 0;
          const more = (): void => {
            while (!socket.destroyed && ++blocks <= 1000) if (!socket.write(block)) return;
          };
          socket.on("drain", more);
          more();
        }),
      );
      servedByStable(t, await post(proxy), "error");
      const again = await post(proxy);
      t.equal(again.status, 200, "the process lives");
    });

    t.test("nobody listens on the candidate's port: the stable arm answers, also a request that is not idempotent", async (t) => {
      const v1 = await startBackend(t, async (req, res) => json(res, { by: "v1", got: (await bodyOf(req)).length }));
      const gone = await startBackend(t, () => {});
      await gone.close();
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: gone.url }, { idempotent: false }));
      const answer = await post(proxy, "x".repeat(200_000));
      t.equal(answer.status, 200);
      t.equal(answer.headers["x-crossfade-fallback"], "error");
      t.same(JSON.parse(answer.body.toString()), { by: "v1", got: 200_000 });
    });

    t.test("a request that is not idempotent is never sent twice once the candidate may have seen it", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) => onRequest(socket, () => socket.destroy()), { idempotent: false });
      const answer = await post(proxy);
      t.equal(answer.status, 502);
      t.equal(answer.headers["content-type"], "application/problem+json");
      t.match(answer.headers["proxy-status"], /crossfade; error=/);
      t.equal(proxy.stableHits(), 0);
    });

    t.test("a slow request that is not idempotent is waited for", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (_req, res) => setTimeout(() => json(res, { by: "v2" }), 200));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { ...LATE, idempotent: false }));
      const answer = await post(proxy);
      t.equal(answer.headers["x-crossfade-served-by"], "v2");
      t.equal(v1.requests.length, 0);
    });

    t.test("quality at the floor is served, below it falls back, and both figures are recorded", async (t) => {
      let confidence = 0.85;
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (_req, res) => json(res, { matches: [{ confidence }, { confidence }] }));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { quality: true }));
      t.equal((await post(proxy)).headers["x-crossfade-served-by"], "v2");
      confidence = 0.84;
      servedByStable(t, await post(proxy), "quality");
      t.same(proxy.recorder.qualities, [0.85, 0.84]);
      t.ok(proxy.recorder.attempts.some((attempt) => attempt.outcome === "degraded"));
    });

    t.test("200 with a body that is not JSON, where quality is read, falls back", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (_req, res) => res.end('{"matches": [{"confidence": 0.9}'));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { quality: true }));
      servedByStable(t, await post(proxy), "quality");
      t.ok(proxy.recorder.attempts.some((attempt) => attempt.outcome === "bad-answer"));
    });

    t.test("no matches means no quality, and falls back", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (_req, res) => json(res, { matches: [] }));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { quality: true }));
      servedByStable(t, await post(proxy), "quality");
    });

    t.test("a compressed answer is asked for plain, and read if it comes compressed all the same", async (t) => {
      const { gzipSync } = await import("node:zlib");
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (_req, res) => {
        res.writeHead(200, { "content-encoding": "gzip" });
        res.end(gzipSync(JSON.stringify(GOOD)));
      });
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { quality: true }));
      const answer = await post(proxy, "{}", { "accept-encoding": "gzip" });
      t.equal(answer.headers["x-crossfade-served-by"], "v2");
      t.equal(answer.headers["content-encoding"], "gzip");
      t.equal(v2.requests[0]?.headers["accept-encoding"], "identity");
      t.same(proxy.recorder.qualities, [0.9]);
    });

    t.test("both fail: the better of two bad answers", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }, 503));
      const v2 = await startBackend(t, (_req, res) => json(res, { by: "v2", matches: [{ confidence: 0.2 }] }));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { quality: true }));
      const answer = await post(proxy);
      t.equal(answer.status, 200, "a weak answer is better than none");
      t.equal(answer.headers["x-crossfade-served-by"], "v2");
      t.equal(answer.headers["x-crossfade-fallback"], "quality");
    });

    t.test("both answer 500: the stable arm's error is passed on", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }, 503));
      const v2 = await startBackend(t, (_req, res) => json(res, { by: "v2" }, 500));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      const answer = await post(proxy);
      t.equal(answer.status, 503);
      t.same(JSON.parse(answer.body.toString()), { by: "v1" });
    });

    t.test("late but good candidate answers if the stable arm then fails", async (t) => {
      const v1 = await startRawBackend(t, (socket) => onRequest(socket, () => socket.destroy()));
      const v2 = await startBackend(t, (_req, res) => setTimeout(() => json(res, { by: "v2" }), 250));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, LATE));
      const answer = await post(proxy);
      t.equal(answer.status, 200);
      t.same(JSON.parse(answer.body.toString()), { by: "v2" });
      t.equal(answer.headers["x-crossfade-fallback"], "latency");
    });

    t.test("neither can be reached: 502 with a reason; neither answers: 504", async (t) => {
      const gone = await startBackend(t, () => {});
      await gone.close();
      const unreachable = await startProxy(t, create, splitYaml({ stable: gone.url, candidate: gone.url }));
      const refused = await post(unreachable);
      t.equal(refused.status, 502);
      t.equal(JSON.parse(refused.body.toString()).code, "upstream-unreachable");
      const silent = await startRawBackend(t, () => {});
      const hanging = await startProxy(t, create, splitYaml({ stable: silent.url, candidate: silent.url }, { ...LATE, timeout: "300ms" }));
      const timedOut = await post(hanging);
      t.equal(timedOut.status, 504);
      t.equal(JSON.parse(timedOut.body.toString()).code, "upstream-timeout");
      t.match(timedOut.headers["proxy-status"], "http_response_timeout");
    });

    t.test("a body over the replay limit streams to one arm and says that no fallback could be had", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, async (req, res) => {
        const { length } = await bodyOf(req);
        setTimeout(() => json(res, { by: "v2", length }), 150);
      });
      const proxy = await startProxy(
        t,
        create,
        splitYaml({ stable: v1.url, candidate: v2.url }, { ...LATE, extra: "limits: { replay_bytes: 10KiB }" }),
      );
      for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
        const answer = await post(proxy, "y".repeat(300_000), headers);
        t.same(JSON.parse(answer.body.toString()), { by: "v2", length: 300_000 });
        t.equal(answer.headers["x-crossfade-fallback"], "unavailable");
      }
    });

    t.test("an answer over the limit streams, whole", async (t) => {
      const big = Buffer.alloc(3_000_000, "z");
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (req, res) => {
        if (req.headers["x-length"] === "known") res.writeHead(200, { "content-length": big.length });
        res.end(big);
      });
      const proxy = await startProxy(
        t,
        create,
        splitYaml({ stable: v1.url, candidate: v2.url }, { extra: "limits: { answer_bytes: 100KiB }" }),
      );
      for (const known of ["known", "unknown"]) {
        const answer = await post(proxy, "{}", { "x-length": known });
        t.equal(answer.headers["x-crossfade-served-by"], "v2");
        t.ok(answer.body.equals(big), `all ${big.length} bytes`);
      }
    });

    t.test("an error does not become an answer by being longer than the limit", async (t) => {
      const page = Buffer.alloc(300_000, "e");
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (req, res) => {
        res.writeHead(500, req.headers["x-length"] === "known" ? { "content-length": page.length } : {});
        res.end(page);
      });
      const extra = "limits: { answer_bytes: 100KiB }";
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { extra }));
      for (const known of ["known", "unknown"]) servedByStable(t, await post(proxy, "{}", { "x-length": known }), "error");
    });

    t.test("a word that is no quality is none", async (t) => {
      const v1 = await startBackend(t, (_req, res) => json(res, { by: "v1" }));
      const v2 = await startBackend(t, (_req, res) => json(res, { matches: [{ confidence: "constructor" }] }));
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { quality: true }));
      servedByStable(t, await post(proxy), "quality");
      t.same(proxy.recorder.qualities, [], "and no figure is made of it");
    });

    t.test("with the fallback switched off a bad answer is passed on", async (t) => {
      const proxy = await withRawCandidate(t, create, (socket) =>
        onRequest(socket, () => socket.end("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")),
      );
      const [flag] = proxy.config.flags;
      if (flag === undefined) throw new Error("no flag");
      proxy.apply({ revision: 5, settings: { ...flag.settings, fallback: { ...flag.settings.fallback, enabled: false } } });
      const answer = await post(proxy);
      t.equal(answer.status, 500);
      t.equal(answer.headers["x-crossfade-revision"], "5");
    });

    t.test("a client that leaves cancels both sends, and is logged as 499", async (t) => {
      const v2 = await startRawBackend(t, () => {});
      const v1 = await startRawBackend(t, () => {});
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, LATE));
      const leave = new AbortController();
      const asked = ask(`${proxy.url}/api/match`, { method: "POST", body: "{}", signal: leave.signal, headers: { "x-user-id": "u1" } });
      const [socket] = (await once(v1.server, "connection")) as [Socket];
      await once(socket, "data");
      leave.abort();
      await t.rejects(asked);
      await once(socket, "close");
      await proxy.recorder.until(() => proxy.recorder.log.length === 1);
      t.equal(proxy.recorder.log[0]?.status, 499);
      t.equal(proxy.recorder.requests[0]?.outcome, "cancelled");
      t.same(proxy.recorder.attempts, [], "held against nobody");
      for (const open of v2.sockets) await once(open, "close");
    });

    t.test("no more attempts are observed than allowed", async (t) => {
      const proxy = await withRawCandidate(t, create, () => {}, {
        responseTime: "50ms",
        extra: "limits: { observed_attempts: 3, observed_for: 60s }",
        fallback: "breaker: off",
      });
      await Promise.all(Array.from({ length: 10 }, () => post(proxy)));
      t.equal(proxy.proxy.observed, 3);
      t.equal(proxy.recorder.cuts, 7, "what was cut is counted");
      proxy.proxy.stopObserving();
      t.equal(proxy.recorder.cuts, 10);
    });
  });
}

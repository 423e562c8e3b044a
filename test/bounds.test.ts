import t from "tap";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { ask, sendRaw } from "./support/client.ts";
import { bodyOf, json, startBackend, startRawBackend } from "./support/upstreams.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    const echo = await startBackend(t, async (req, res) =>
      json(res, { url: req.url, method: req.method, headers: req.headers, raw: req.rawHeaders, body: (await bodyOf(req)).toString() }),
    );
    const proxy = await startProxy(t, create, splitYaml({ stable: echo.url, candidate: echo.url }));

    t.test("a client that reads slowly holds the backend back, not our memory", async (t) => {
      const total = 80_000_000;
      let sent = 0;
      const source = await startBackend(t, (_req, res) => {
        const chunk = Buffer.alloc(64 * 1024);
        const more = (): void => {
          while (sent < total) {
            sent += chunk.length;
            if (!res.write(chunk)) return void res.once("drain", more);
          }
          res.end();
        };
        more();
      });
      const p = await startProxy(t, create, splitYaml({ stable: source.url, candidate: source.url }));
      const socket = connect(p.port, "127.0.0.1");
      await once(socket, "connect");
      socket.write("GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
      const [first] = (await once(socket, "data")) as [Buffer];
      socket.pause();
      // The backend stops when every buffer on the way is full: its count stands still.
      let last = -1;
      while (last !== sent) {
        last = sent;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      t.ok(sent < total / 2, `the backend was held back at ${sent} bytes`);
      let received = first.length;
      socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received >= total) socket.end();
      });
      socket.resume();
      await once(socket, "close");
      t.ok(received >= total, "and then all of it came");
    });

    t.test("a backend that reads slowly holds the client back", async (t) => {
      let backend: Socket | undefined;
      const slow = await startRawBackend(t, (socket) => {
        backend = socket;
      });
      slow.server.on("connection", (socket: Socket) => socket.pause());
      const p = await startProxy(t, create, splitYaml({ stable: slow.url, candidate: slow.url }, { extra: "limits: { body_bytes: 0 }" }));
      const socket = connect(p.port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      socket.write(`POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 500000000\r\n\r\n`);
      await once(slow.server, "connection");
      backend?.pause();
      let written = 0;
      while (
        socket.write(Buffer.alloc(64 * 1024)) ||
        (await Promise.race([
          once(socket, "drain").then(() => true),
          new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500)),
        ]))
      ) {
        written += 64 * 1024;
        if (written > 200_000_000) break;
      }
      t.ok(written < 100_000_000, `the client was held back at ${written} bytes`);
      socket.destroy();
    });

    t.test("requests sent ahead are processed one after the other, and one that leaves takes none of the others' turns", async (t) => {
      const open: (() => void)[] = [];
      const counting = await startBackend(t, (req, res) => {
        open.push(() => res.end(req.url));
        if (req.url !== "/v1/first") res.end(req.url);
      });
      const p = await startProxy(t, create, splitYaml({ stable: counting.url, candidate: counting.url }));
      const arrived = once(counting.server, "request");
      const ahead =
        "GET /v1/first HTTP/1.1\r\nHost: a\r\n\r\n" +
        "GET /v1/next HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200) +
        "GET /v1/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
      const answers = sendRaw(p.port, ahead);
      await arrived;
      t.equal((await ask(`${p.url}/v1/other`)).status, 200, "another connection is served meanwhile");
      t.same(
        counting.requests.map((req) => req.url),
        ["/v1/first", "/v1/other"],
        "nothing behind the first has been forwarded",
      );
      open[0]?.();
      const text = await answers;
      t.match(text, /^HTTP\/1\.1 200 OK[^]*\/v1\/first[^]*\/v1\/next/);
      const answered = text.match(/HTTP\/1\.1 200 OK/g)?.length ?? 0;
      // Engine node takes a number of them and closes, engine wire leaves the rest with the system until their turn comes.
      t.ok(engine === "wire" ? answered === 202 : answered >= 32 && answered < 200, `${answered} were taken`);
      t.equal(counting.requests.length, answered + 1, "every one that was forwarded was answered");
      t.equal(p.transport.load.exchanges, 0);
      const leaving = connect(p.port, "127.0.0.1");
      await once(leaving, "connect");
      const again = once(counting.server, "request");
      leaving.write(ahead);
      await again;
      leaving.destroy();
      await p.recorder.until(() => p.recorder.requests.some((request) => request.status === 499));
      t.equal(p.transport.load.exchanges, 0);
      t.equal((await ask(`${p.url}/v1/other`)).status, 200);
    });

    t.test("bytes that are no request, behind one that is: it is answered, and then the connection closed", async (t) => {
      const answer = await sendRaw(
        proxy.port,
        "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\nGET /v1/y HTTP/1.1\r\nHost: a\r\n\r\n",
      );
      t.match(answer, /^HTTP\/1\.1 200 OK/);
      t.same(answer.match(/HTTP\/1\.1 \d+/g), engine === "wire" ? ["HTTP/1.1 200", "HTTP/1.1 400"] : ["HTTP/1.1 200"]);
    });

    t.test("a head over the limit is refused, and only it", async (t) => {
      const p = await startProxy(
        t,
        create,
        splitYaml({ stable: echo.url, candidate: echo.url }, { extra: "limits: { header_bytes: 4KiB }" }),
      );
      const answer = await sendRaw(p.port, `GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Big: ${"y".repeat(8000)}\r\n\r\n`);
      t.match(answer, /^HTTP\/1\.1 431 /);
      t.match(answer, /application\/problem\+json/);
      t.equal((await ask(`${p.url}/v1/x`)).status, 200);
      t.same(p.recorder.malformed, [431]);
    });

    t.test("a body over the limit is refused before it is read when its length is known, and while it comes when not", async (t) => {
      const sink = await startBackend(t, async (req, res) => {
        await bodyOf(req).catch(() => {});
        if (!res.destroyed) json(res, {});
      });
      const p = await startProxy(
        t,
        create,
        splitYaml({ stable: sink.url, candidate: sink.url }, { extra: "limits: { body_bytes: 100KiB, replay_bytes: 10KiB }" }),
      );
      const known = await sendRaw(p.port, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
      t.match(known, /^HTTP\/1\.1 413 /);
      t.match(known, /connection: close/i);
      for (const path of ["/v1/x", "/api/match"]) {
        const chunk = `10000\r\n${"z".repeat(65536)}\r\n`;
        const counted = await sendRaw(
          p.port,
          `POST ${path} HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}${chunk}`,
        );
        t.match(counted, /^HTTP\/1\.1 413 /, path);
      }
    });

    t.test("a head that does not end, and a body that stops, are given up", async (t) => {
      const p = await startProxy(
        t,
        create,
        splitYaml({ stable: echo.url, candidate: echo.url }, { extra: "limits: { header_timeout: 300ms, body_timeout: 300ms }" }),
      );
      t.match(await sendRaw(p.port, "GET /v1/x HTTP/1.1\r\nHost: a\r\n"), /^HTTP\/1\.1 408 /);
      t.match(await sendRaw(p.port, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"), /^HTTP\/1\.1 408 /);
      t.match(
        await sendRaw(p.port, "POST /api/match HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        /^HTTP\/1\.1 408 /,
      );
    });

    t.test("a malformed chunk ends the request, also in the middle of its body", async (t) => {
      for (const path of ["/v1/x", "/api/match"]) {
        const answer = await sendRaw(
          proxy.port,
          `POST ${path} HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\nnonsense\r\n`,
        );
        t.match(answer, /^HTTP\/1\.1 400 /, path);
      }
    });

    t.test("connections over the limit are turned away, the others served", async (t) => {
      const p = await startProxy(t, create, splitYaml({ stable: echo.url, candidate: echo.url }, { extra: "limits: { connections: 2 }" }));
      const agent = new Agent({ keepAlive: true, maxSockets: 2 });
      t.teardown(() => agent.destroy());
      await Promise.all([ask(`${p.url}/v1/x`, { agent }), ask(`${p.url}/v1/x`, { agent })]);
      await t.rejects(ask(`${p.url}/v1/x`));
      t.equal((await ask(`${p.url}/v1/x`, { agent })).status, 200);
    });

    t.test("a client that leaves cancels the upstream, and is logged as 499", async (t) => {
      const silent = await startRawBackend(t, () => {});
      const p = await startProxy(t, create, splitYaml({ stable: silent.url, candidate: silent.url }));
      const leave = new AbortController();
      const asked = ask(`${p.url}/v1/x`, { signal: leave.signal });
      const [socket] = (await once(silent.server, "connection")) as [Socket];
      await once(socket, "data");
      leave.abort();
      await t.rejects(asked);
      await once(socket, "close");
      await p.recorder.until(() => p.recorder.log.length === 1);
      t.equal(p.recorder.log[0]?.status, 499);
    });

    t.test("an answer that breaks off in the middle is broken off for the client too, never completed", async (t) => {
      const half = await startRawBackend(t, (socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")),
      );
      const p = await startProxy(t, create, splitYaml({ stable: half.url, candidate: half.url }));
      await t.rejects(ask(`${p.url}/v1/x`));
      await p.recorder.until(() => p.recorder.requests.length === 1);
      t.match(p.recorder.requests[0], { outcome: "reset", status: 200 }, "not filed as a client that left");
    });

    t.test("an upstream that stops in the middle of a streamed answer is given up after the route's time", async (t) => {
      const stuck = await startRawBackend(t, (socket) =>
        socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")),
      );
      const p = await startProxy(t, create, splitYaml({ stable: stuck.url, candidate: stuck.url }, { timeout: "200ms" }));
      await t.rejects(ask(`${p.url}/v1/x`));
      await p.recorder.until(() => p.recorder.requests.length === 1);
      t.match(p.recorder.requests[0], { outcome: "timeout", status: 200 });
      t.match(p.recorder.attempts, [{ outcome: "timeout" }], "and held against the upstream");
    });

    t.test("a client that stops reading is given up, also when its answer is complete", async (t) => {
      const big = Buffer.alloc(8_000_000);
      const source = await startBackend(t, (_req, res) => res.writeHead(200, { "content-length": big.length }).end(big));
      const extra = "limits: { body_timeout: 300ms, answer_bytes: 16MiB }";
      const p = await startProxy(t, create, splitYaml({ stable: source.url, candidate: source.url }, { extra }));
      for (const [i, path] of ["/api/match", "/v1/x"].entries()) {
        const socket = connect(p.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.pause();
        socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nX-User-ID: u\r\n\r\n`);
        await p.recorder.until(() => p.recorder.requests.length === i + 1);
        t.match(p.recorder.requests[i], { outcome: "cancelled", status: 499 }, path);
        socket.destroy();
      }
      t.equal((await ask(`${p.url}/api/match`, { headers: { "x-user-id": "u" } })).body.length, big.length);
    });

    t.test("the route's time is the upstream's: a body that takes longer to come does not use it up", async (t) => {
      const sink = await startBackend(t, async (req, res) => json(res, { got: (await bodyOf(req)).length }));
      const p = await startProxy(t, create, splitYaml({ stable: sink.url, candidate: sink.url }, { timeout: "1500ms" }));
      const req = request(`${p.url}/v1/x`, { method: "POST" });
      const answered = once(req, "response");
      for (let i = 0; i < 8; i++) {
        req.write("x".repeat(1000));
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      req.end();
      const [res] = await answered;
      t.equal(res.statusCode, 200);
      res.resume();
    });

    t.test("requests beyond max_connections wait for a connection, longer than connecting may take", async (t) => {
      const slow = await startBackend(t, (_req, res) => setTimeout(() => res.end("ok"), 60));
      const yaml = splitYaml({ stable: slow.url, candidate: slow.url }).replace(
        "v1: {",
        "v1: { max_connections: 2, connect_timeout: 100ms,",
      );
      const p = await startProxy(t, create, yaml);
      const answers = await Promise.all(Array.from({ length: 12 }, () => ask(`${p.url}/v1/x`)));
      t.ok(answers.every((answer) => answer.status === 200));
    });

    t.test("least loaded endpoint, and the next one when the first is down", async (t) => {
      const down = await startBackend(t, () => {});
      await down.close();
      const up = await startBackend(t, async (req, res) => json(res, { got: (await bodyOf(req)).length }));
      const yaml = splitYaml({ stable: up.url, candidate: up.url }).replace(
        `v1: { endpoints: ["${up.url}"]`,
        `v1: { endpoints: ["${down.url}", "${up.url}"]`,
      );
      const p = await startProxy(t, create, yaml);
      for (let i = 0; i < 4; i++) {
        const answer = await ask(`${p.url}/plain`, {
          method: "POST",
          body: "x".repeat(100_000),
          headers: { "transfer-encoding": "chunked" },
        });
        t.same(JSON.parse(answer.body.toString()), { got: 100_000 });
      }
    });

    t.test("draining: what is under way is finished, idle connections may bring one last request, then all is closed", async (t) => {
      let release = (): void => {};
      const held = await startBackend(t, (req, res) => {
        if (req.url === "/v1/slow") release = () => res.end("slow");
        else res.end("quick");
      });
      const p = await startProxy(t, create, splitYaml({ stable: held.url, candidate: held.url }));
      const agent = new Agent({ keepAlive: true });
      t.teardown(() => agent.destroy());
      const idle = new Agent({ keepAlive: true, maxSockets: 1 });
      t.teardown(() => idle.destroy());
      await ask(`${p.url}/v1/quick`, { agent: idle });
      const arrived = once(held.server, "request");
      const slow = ask(`${p.url}/v1/slow`, { agent });
      await arrived;
      const drained = p.transport.drain(5_000);
      const last = await ask(`${p.url}/v1/quick`, { agent: idle });
      t.equal(last.status, 200);
      t.equal(last.headers.connection, "close");
      await t.rejects(ask(`${p.url}/v1/quick`), { code: "ECONNREFUSED" });
      release();
      const finished = await slow;
      t.equal(finished.body.toString(), "slow");
      t.equal(finished.headers.connection, "close");
      await drained;
      t.equal(p.transport.load.connections, 0);
    });

    t.test("an exchange that answers before the body is read closes the connection after it", async (t) => {
      const eager = await startRawBackend(t, (socket) =>
        socket.once("data", () => socket.write("HTTP/1.1 403 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")),
      );
      const p = await startProxy(t, create, splitYaml({ stable: eager.url, candidate: eager.url }));
      const req = request(`${p.url}/v1/x`, { method: "POST", headers: { "content-length": "1000000" } });
      req.on("error", () => {});
      req.write("start");
      const [res] = await once(req, "response");
      t.equal(res.statusCode, 403);
      t.equal(res.headers.connection, "close");
      req.destroy();
    });
  });
}

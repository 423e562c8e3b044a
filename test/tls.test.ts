import t from "tap";
import type { Test } from "tap";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { Agent, createServer, type Server } from "node:https";
import { connect, type AddressInfo } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { bannerOf } from "../src/app/banner.ts";
import { startApp } from "./support/app.ts";
import { AUTHORITY, CERTIFICATE, KEY, OTHER_AUTHORITY } from "./support/certificate.ts";
import { ask, sendRaw } from "./support/client.ts";
import { bodyOf, json, startBackend } from "./support/upstreams.ts";
import { configOf, ENGINES, splitYaml, startProxy } from "./support/proxy.ts";

const TLS = { cert: CERTIFICATE, key: KEY };
const FILES = { "ca.pem": AUTHORITY, "other.pem": OTHER_AUTHORITY };

/** A client that trusts the tests' authority. */
function agent(t: Test, options: ConnectionOptions & { readonly keepAlive?: boolean } = {}): Agent {
  const made = new Agent({ ca: AUTHORITY, ...options });
  t.teardown(() => made.destroy());
  return made;
}

async function startSecureBackend(t: Test, answer: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(TLS, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** Every user to a candidate that is known by the authority in the file `ca`. */
function secureYaml(stable: string, candidate: string, ca: string): string {
  return `
listeners: [{ name: public, address: 127.0.0.1:0 }]
store: memory
upstreams:
  v1: { endpoints: ["${stable}"] }
  v2: { endpoints: ["${candidate}"], tls: { ca: ${ca} }, connect_timeout: 10s }
routes:
  - { name: all, match: { path: /** }, stable: v1, candidate: v2, flag: move }
flags:
  move: { rollout_percentage: 100, fallback_system: { conditions: { response_time: 20s, accuracy: 0 } } }
`;
}

/** Resolves with the connection after its handshake; rejects with why there is none. */
function handshake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", ca: AUTHORITY, ...options }, () => resolve(socket));
    socket.on("error", reject);
  });
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, async (t) => {
    const echo = await startBackend(t, async (req, res) => json(res, { headers: req.headers, length: (await bodyOf(req)).length }));
    const yaml = splitYaml({ stable: echo.url, candidate: echo.url });

    t.test("a request over TLS is forwarded, and the backend told that it was one", async (t) => {
      const proxy = await startProxy(t, create, yaml, { tls: TLS });
      const answer = await ask(`${proxy.url}/v1/x`, { agent: agent(t) });
      t.equal(answer.status, 200);
      const { headers } = JSON.parse(answer.body.toString());
      t.equal(headers["x-forwarded-proto"], "https");
      t.match(headers.forwarded, /;proto=https$/);
    });

    t.test("the sticky cookie of a client that came by TLS is not sent in the clear", async (t) => {
      const config = splitYaml({ stable: echo.url, candidate: echo.url }).replace(/^identity: .*$/m, "identity: [cookie]");
      const secure = await startProxy(t, create, config, { tls: TLS });
      const plain = await startProxy(t, create, config);
      const cookieOf = async (url: string, by?: Agent): Promise<string> =>
        String((await ask(`${url}/api/match`, by === undefined ? {} : { agent: by })).headers["set-cookie"]);
      t.match(await cookieOf(secure.url, agent(t)), /; Secure$/);
      const inTheClear = await cookieOf(plain.url);
      t.match(inTheClear, /^crossfade_id=/);
      t.notMatch(inTheClear, /Secure/);
    });

    t.test("several requests share a connection, and bodies pass both ways", async (t) => {
      const big = Buffer.alloc(3_000_000, "0123456789abcdef");
      const mirror = await startBackend(t, (req, res) => {
        req.pipe(res);
      });
      const proxy = await startProxy(t, create, splitYaml({ stable: mirror.url, candidate: mirror.url }), { tls: TLS });
      const one = agent(t, { keepAlive: true });
      for (let i = 0; i < 3; i++) {
        const answer = await ask(`${proxy.url}/v1/x`, { method: "POST", body: big, agent: one });
        t.ok(answer.body.equals(big));
      }
      t.equal(proxy.transport.load.connections, 1);
    });

    t.test("HTTP/1.1 is agreed upon, and a client that speaks only HTTP/2 is refused in the handshake", async (t) => {
      const proxy = await startProxy(t, create, yaml, { tls: TLS });
      const socket = await handshake(proxy.port, { ALPNProtocols: ["h2", "http/1.1"] });
      t.equal(socket.alpnProtocol, "http/1.1");
      t.equal(socket.getProtocol(), "TLSv1.3");
      socket.destroy();
      await t.rejects(handshake(proxy.port, { ALPNProtocols: ["h2"] }), { code: "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL" });
      const silent = await handshake(proxy.port, {});
      t.equal(silent.alpnProtocol, false, "one that does not ask is taken to speak HTTP/1.1");
      silent.destroy();
    });

    t.test("TLS 1.2 is spoken with ciphers that keep the past secret; what is older is not", async (t) => {
      const proxy = await startProxy(t, create, yaml, { tls: TLS });
      const socket = await handshake(proxy.port, { maxVersion: "TLSv1.2" });
      t.equal(socket.getProtocol(), "TLSv1.2");
      t.match(socket.getCipher().name, /^ECDHE-.*(GCM|POLY1305)/);
      socket.destroy();
      const weak = { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" } as const;
      await t.rejects(handshake(proxy.port, weak), { code: "ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE" });
      const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
      await t.rejects(handshake(proxy.port, old), { code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" });
    });

    t.test("plain HTTP on a TLS port is closed without harm to anybody else", async (t) => {
      const proxy = await startProxy(t, create, yaml, { tls: TLS });
      const kept = agent(t, { keepAlive: true });
      t.equal((await ask(`${proxy.url}/v1/x`, { agent: kept })).status, 200);
      const received = await sendRaw(proxy.port, "GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n");
      t.notMatch(received, /HTTP/, "no answer in the clear");
      t.equal((await ask(`${proxy.url}/v1/x`, { agent: kept })).status, 200);
      t.equal(proxy.recorder.requests.length, 2);
      t.same(proxy.recorder.malformed, [], "what is no TLS was no request");
    });

    t.test("a handshake that never ends is closed after the time for a head", async (t) => {
      const proxy = await startProxy(t, create, `${yaml}limits: { header_timeout: 100ms }\n`, { tls: TLS });
      const began = performance.now();
      const socket = connect(proxy.port, "127.0.0.1");
      // A record's head that announces more than ever comes.
      socket.on("connect", () => socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1])));
      socket.on("error", () => {});
      socket.resume();
      await once(socket, "close");
      t.ok(performance.now() - began > 90, "not at once either");
      t.equal((await ask(`${proxy.url}/v1/x`, { agent: agent(t) })).status, 200);
    });

    t.test("connections over TLS are counted, and a drain lets them end in order", async (t) => {
      const proxy = await startProxy(t, create, yaml, { tls: TLS });
      const kept = agent(t, { keepAlive: true });
      await ask(`${proxy.url}/v1/x`, { agent: kept });
      t.equal(proxy.transport.load.connections, 1);
      const drained = proxy.transport.drain(60_000);
      const last = await ask(`${proxy.url}/v1/x`, { agent: kept });
      t.equal(last.status, 200);
      t.equal(last.headers.connection, "close");
      await drained;
      t.same({ ...proxy.transport.load }, { connections: 0, exchanges: 0 });
    });

    t.test("destroying the engine closes connections over TLS, in the middle of a handshake too", async (t) => {
      const proxy = await startProxy(t, create, `${yaml}limits: { header_timeout: 20s }\n`, { tls: TLS });
      const silent = connect(proxy.port, "127.0.0.1");
      await once(silent, "connect");
      const shaken = await handshake(proxy.port, {});
      const began = performance.now();
      const closed = [silent, shaken].map((socket) => {
        // Whether it is told of the end in order is not what matters here.
        socket.on("error", () => {});
        socket.resume();
        return new Promise((resolve) => socket.once("close", resolve));
      });
      proxy.transport.destroy();
      await Promise.all(closed);
      t.ok(performance.now() - began < 10_000, "not by a time limit");
    });

    t.test("connections that only begin a handshake count towards the limit too", async (t) => {
      const proxy = await startProxy(t, create, `${yaml}limits: { connections: 2 }\n`, { tls: TLS });
      const silent = [connect(proxy.port, "127.0.0.1"), connect(proxy.port, "127.0.0.1")];
      for (const socket of silent) {
        t.teardown(() => socket.destroy());
        if (socket.connecting) await once(socket, "connect");
      }
      await t.rejects(handshake(proxy.port, {}), { code: "ECONNRESET" });
    });

    t.test("a backend is spoken to over TLS when its authority is the one that is named, whatever host the client asks for", async (t) => {
      const backend = await startSecureBackend(t, (req, res) => json(res, { host: req.headers.host }));
      const local = backend.url.replace("127.0.0.1", "localhost");
      for (const url of [backend.url, local]) {
        const proxy = await startProxy(t, create, secureYaml(echo.url, url, "ca.pem"), { files: FILES });
        const connections = new Set<unknown>();
        const onConnection = (socket: unknown): unknown => connections.add(socket);
        backend.server.on("secureConnection", onConnection);
        for (const host of ["shop.example", "other.example", "127.0.0.1"]) {
          const answer = await ask(`${proxy.url}/x`, { headers: { host } });
          t.equal(answer.headers["x-crossfade-served-by"], "v2");
          t.same(JSON.parse(answer.body.toString()), { host });
        }
        t.equal(connections.size, 1, "another host in a request is no reason for another connection");
        backend.server.off("secureConnection", onConnection);
      }
    });

    t.test("a backend whose certificate nobody trusted has signed gets no request, and the stable arm answers", async (t) => {
      let asked = 0;
      const backend = await startSecureBackend(t, (_req, res) => {
        asked++;
        json(res, {});
      });
      for (const ca of ["other.pem", undefined]) {
        const text = secureYaml(echo.url, backend.url, ca ?? "ca.pem");
        const proxy = await startProxy(t, create, ca === undefined ? text.replace("tls: { ca: ca.pem }, ", "") : text, { files: FILES });
        const answer = await ask(`${proxy.url}/x`, { method: "POST", body: "once" });
        t.equal(answer.status, 200);
        t.equal(answer.headers["x-crossfade-served-by"], "v1");
        t.equal(JSON.parse(answer.body.toString()).length, 4);
        t.equal(proxy.recorder.attempts[0]?.outcome, "connect-failed");
      }
      t.equal(asked, 0);
    });

    t.test("a backend that is sent TLS and speaks none is a failure to connect", async (t) => {
      const proxy = await startProxy(t, create, secureYaml(echo.url, echo.url.replace("http:", "https:"), "ca.pem"), { files: FILES });
      const answer = await ask(`${proxy.url}/x`);
      t.equal(answer.headers["x-crossfade-served-by"], "v1");
      t.equal(proxy.recorder.attempts[0]?.outcome, "connect-failed");
    });

    t.test("the program serves HTTPS on every worker, knows that its backend is well, and shows the key nowhere", async (t) => {
      const backend = await startSecureBackend(t, (_req, res) => json(res, { ok: true }));
      const text = secureYaml(echo.url, backend.url, "ca.pem")
        .replace("address: 127.0.0.1:0", "address: 127.0.0.1:0, tls: { cert: site.pem, key: site.key }")
        .replace("tls: { ca", "health: { path: /health }, tls: { ca");
      const config = `${text}admin: { address: 127.0.0.1:0 }\nworkers: 2\ntransport: ${engine}\n`;
      const app = await startApp(t, configOf(config, { ...FILES, "site.pem": CERTIFICATE, "site.key": KEY }));
      await app.firstProbes;
      for (let i = 0; i < 8; i++) t.equal((await ask(`https://127.0.0.1:${app.port}/x`, { agent: agent(t) })).status, 200);
      const status = app.control.status();
      t.match(status.listeners, [{ name: "public", address: `https://127.0.0.1:${app.port}` }]);
      t.match(
        status.upstreams.filter(({ name }) => name === "v2"),
        [{ healthy: true }],
      );
      t.match(bannerOf(app), `https://127.0.0.1:${app.port}\n`);
      const told = [JSON.stringify(status), JSON.stringify(app.lines), bannerOf(app)];
      for (const path of ["/", "/readyz", "/metrics", "/api/status", "/api/flags", "/api/flags/move"]) {
        const answer = await ask(`${app.admin.url}${path}`);
        t.equal(answer.status, 200, path);
        told.push(answer.body.toString());
      }
      t.notMatch(told.join("\n"), KEY.split("\n")[1]);
    });

    t.test("WebSocket passes over TLS on both sides", async (t) => {
      const backend = await startSecureBackend(t, (_req, res) => res.end());
      const wss = new WebSocketServer({ server: backend.server });
      t.teardown(() => {
        for (const client of wss.clients) client.terminate();
      });
      wss.on("connection", (socket, req) => {
        socket.on("message", (data) => socket.send(`${String(req.headers["x-forwarded-proto"])}:${String(data)}`));
      });
      const proxy = await startProxy(t, create, secureYaml(echo.url, backend.url, "ca.pem"), { tls: TLS, files: FILES });
      const socket = new WebSocket(`wss://127.0.0.1:${proxy.port}/x`, { ca: AUTHORITY });
      await once(socket, "open");
      socket.send("hello");
      t.equal(String((await once(socket, "message"))[0]), "https:hello");
      socket.close();
      await once(socket, "close");
    });
  });
}

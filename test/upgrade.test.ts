import t from "tap";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { WebSocket, WebSocketServer, type RawData } from "ws";
import type { Test } from "tap";
import { sendRaw, ask } from "./support/client.ts";
import { bodyOf, startBackend, startRawBackend } from "./support/upstreams.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";

const UPGRADE =
  "GET /v1/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

function textOf(data: RawData): string {
  return (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString();
}

/** A WebSocket server that answers with its name and what it got. */
async function startEcho(t: Test, name: string): Promise<{ url: string; seen: Record<string, unknown>[]; wss: WebSocketServer }> {
  const server = createServer((_req, res) => res.end("plain"));
  const wss = new WebSocketServer({ server });
  const seen: Record<string, unknown>[] = [];
  wss.on("connection", (socket, req) => {
    seen.push({ url: req.url, ...req.headers });
    socket.on("message", (data, binary) => socket.send(binary ? data : Buffer.from(`${name}:${textOf(data)}`), { binary }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    for (const client of wss.clients) client.terminate();
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, wss };
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, async (t) => {
    t.test("while the breaker is held open a tunnel goes to the stable arm", async (t) => {
      const v1 = await startEcho(t, "v1");
      const v2 = await startEcho(t, "v2");
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }, { fallback: "breaker: open" }));
      const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/api/match`, { headers: { "x-user-id": "u1" } });
      const [res] = (await once(socket, "upgrade")) as [IncomingMessage];
      t.match(res.headers, { "x-crossfade-arm": "candidate", "x-crossfade-served-by": "v1", "x-crossfade-fallback": "breaker" });
      socket.close();
      await once(socket, "close");
      t.equal(v2.seen.length, 0);
    });

    t.test("WebSocket works end to end, on the arm of its user", async (t) => {
      const v1 = await startEcho(t, "v1");
      const v2 = await startEcho(t, "v2");
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v2.url }));
      const url = `ws://127.0.0.1:${proxy.port}/api/match?q=1`;
      const socket = new WebSocket(url, { headers: { "x-user-id": "u1", "x-crossfade-arm": "stable" } });
      const opened = once(socket, "open");
      const [res] = (await once(socket, "upgrade")) as [IncomingMessage];
      t.equal(res.headers["x-crossfade-arm"], "candidate");
      t.equal(res.headers["x-crossfade-served-by"], "v2");
      await opened;
      socket.send("hello");
      t.equal(String((await once(socket, "message"))[0]), "v2:hello");
      const big = Buffer.alloc(2_000_000, 7);
      socket.send(big);
      const [back] = (await once(socket, "message")) as [Buffer];
      t.ok(back.equals(big), "2 MB each way");
      t.match(v2.seen[0], { url: "/api/v2/match?q=1", "x-forwarded-for": "127.0.0.1", via: "1.1 crossfade" });
      t.equal(v2.seen[0]?.["x-crossfade-arm"], undefined);
      t.equal(proxy.recorder.requests[0]?.status, 101);
      socket.close();
      await once(socket, "close");
      const corporate = new WebSocket(url, { headers: { "x-user-id": "u1", "x-user-segment": "enterprise" } });
      await once(corporate, "open");
      corporate.send("hello");
      t.equal(String((await once(corporate, "message"))[0]), "v1:hello");
      corporate.terminate();
    });

    t.test("a candidate that cannot be reached is replaced before anything is sent", async (t) => {
      const v1 = await startEcho(t, "v1");
      const gone = await startBackend(t, () => {});
      await gone.close();
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: gone.url }));
      const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/api/match`, { headers: { "x-user-id": "u1" } });
      await once(socket, "open");
      socket.send("x");
      t.equal(String((await once(socket, "message"))[0]), "v1:x");
      t.same(proxy.recorder.fallbacks, ["error"]);
      socket.terminate();
    });

    t.test("either end closing closes the other", async (t) => {
      const v1 = await startEcho(t, "v1");
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v1.url }));
      const first = new WebSocket(`ws://127.0.0.1:${proxy.port}/v1/x`);
      await once(first, "open");
      for (const client of v1.wss.clients) client.terminate();
      await once(first, "close");
      const second = new WebSocket(`ws://127.0.0.1:${proxy.port}/v1/x`);
      const opened = once(second, "open");
      const [server] = (await once(v1.wss, "connection")) as [WebSocket];
      await opened;
      second.terminate();
      await once(server, "close");
      t.equal((await ask(`${proxy.url}/v1/x`)).status, 200, "and others go on");
    });

    t.test("an upstream that will not upgrade answers in its own words; nobody there is a 502", async (t) => {
      const plain = await startBackend(t, (_req, res) => res.writeHead(200, { "content-length": 5 }).end("plain"));
      plain.server.on("upgrade", (_req, socket) => socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"));
      const proxy = await startProxy(t, create, splitYaml({ stable: plain.url, candidate: plain.url }));
      const refused = await sendRaw(proxy.port, UPGRADE);
      t.match(refused, /^HTTP\/1\.1 403 Forbidden/);
      t.match(refused, /no/);
      await plain.close();
      const lost = await sendRaw(proxy.port, UPGRADE);
      t.match(lost, /^HTTP\/1\.1 502 /);
      t.match(lost, /upstream-unreachable/);
    });

    t.test("an upstream that does not answer the upgrade is a 504 in the route's time", async (t) => {
      const silent = await startRawBackend(t, () => {});
      const proxy = await startProxy(t, create, splitYaml({ stable: silent.url, candidate: silent.url }, { timeout: "200ms" }));
      t.match(await sendRaw(proxy.port, UPGRADE), /^HTTP\/1\.1 504 [^]*upstream-timeout/);
      t.match(proxy.recorder.requests, [{ status: 504, outcome: "timeout" }]);
      t.equal(proxy.transport.load.exchanges, 0);
    });

    t.test("a client that does not close its half is not waited for when the other end has closed", async (t) => {
      const v1 = await startEcho(t, "v1");
      const proxy = await startProxy(t, create, splitYaml({ stable: v1.url, candidate: v1.url }));
      const client = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true }, () => client.write(UPGRADE));
      await once(client, "data");
      for (const open of v1.wss.clients) open.terminate();
      client.resume();
      await once(client, "end");
      await proxy.transport.drain(0);
      t.pass("a drain finds nothing to wait for");
      client.destroy();
    });

    t.test("an upgrade that carries a body is answered like any request, and its body is no other", async (t) => {
      const plain = await startBackend(t, async (req, res) => res.end(`${req.url} ${(await bodyOf(req)).length}`));
      const proxy = await startProxy(t, create, splitYaml({ stable: plain.url, candidate: plain.url }));
      const inner = "GET /v1/inner HTTP/1.1\r\nHost: a\r\n\r\n";
      const outer = UPGRADE.replace("\r\n\r\n", `\r\nContent-Length: ${inner.length}\r\n\r\n`);
      const answer = await sendRaw(proxy.port, `${outer}${inner}GET /v1/behind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      t.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*connection: close/i);
      t.match(answer, `/v1/x ${inner.length}`);
      t.same(
        plain.requests.map((req) => req.url),
        // Node's parser does not go on behind an upgrade.
        engine === "wire" ? ["/v1/x", "/v1/behind"] : ["/v1/x"],
        "a body is no request",
      );
    });

    t.test("an upstream that breaks off before it answers is a 502", async (t) => {
      const rude = await startBackend(t, (_req, res) => res.end());
      rude.server.on("upgrade", (_req, socket) => socket.destroy());
      const proxy = await startProxy(t, create, splitYaml({ stable: rude.url, candidate: rude.url }));
      t.match(await sendRaw(proxy.port, UPGRADE), /^HTTP\/1\.1 502 /);
    });

    t.test("an offer of h2c is not taken, and the request answered", async (t) => {
      const plain = await startBackend(t, (_req, res) => res.end("plain"));
      const proxy = await startProxy(t, create, splitYaml({ stable: plain.url, candidate: plain.url }));
      t.match(
        await sendRaw(
          proxy.port,
          "GET /v1/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        ),
        /^HTTP\/1\.1 200 OK/,
      );
    });
  });
}

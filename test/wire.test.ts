import t from "tap";
import { once } from "node:events";
import { connect } from "node:net";
import { get, give, OK, post, startQuiet, V1, V2, type QuietProxy } from "./support/fake-proxy.ts";
import type { FakePeer } from "./support/fake-sockets.ts";
import { readRequest } from "./support/messages.ts";
import { splitYaml, startProxy } from "./support/proxy.ts";
import { startBackend } from "./support/upstreams.ts";
import { createWireTransport } from "../src/transport/wire/engine.ts";

const withV1 = (options: string): string => splitYaml({ stable: V1, candidate: V2 }).replace("v1: {", `v1: { ${options},`);

t.test("head and body leave together, in one send each way", async (t) => {
  const proxy = await startQuiet(t);
  const client = proxy.client();
  await give(proxy, client, post("/v1/x", "b".repeat(1_000)));
  const [upstream] = proxy.upstreams;
  t.equal(upstream?.sends.length, 1, "the request");
  t.match(readRequest(upstream?.text ?? ""), { kind: "whole", message: { body: "b".repeat(1_000) }, rest: "" });
  await give(proxy, upstream, `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${"a".repeat(1_000)}`);
  t.equal(client.sends.length, 1, "the answer");
  await give(proxy, client, get());
  await give(proxy, upstream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
  t.equal(client.sends.length, 2, "the head of an answer in pieces goes with the first of them");
  await give(proxy, upstream, "2\r\nok\r\n0\r\n\r\n");
  t.equal(proxy.upstreams.length, 1);
  t.ok(client.text.endsWith("\r\n\r\n2\r\nok\r\n2\r\nok\r\n0\r\n\r\n"));
});

t.test("a head waits for nobody: it leaves without its body when that has not come", async (t) => {
  const proxy = await startQuiet(t);
  const client = proxy.client();
  await give(proxy, client, get());
  await give(proxy, proxy.upstreams[0], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
});

t.test("of the idle connections the last used is used first", async (t) => {
  const proxy = await startQuiet(t);
  const { upstreams } = proxy;
  const clients = [proxy.client(), proxy.client(), proxy.client()];
  for (const client of clients) await give(proxy, client, get());
  for (const at of [1, 2, 0]) await give(proxy, upstreams[at], OK);
  t.equal(upstreams.length, 3);
  await give(proxy, clients[0], get());
  t.same(
    upstreams.map((peer) => peer.sends.length),
    [2, 1, 1],
  );
  await give(proxy, clients[1], get());
  t.same(
    upstreams.map((peer) => peer.sends.length),
    [2, 1, 2],
  );
});

t.test("an endpoint that says how long it keeps connections is believed", async (t) => {
  const proxy = await startQuiet(t);
  const { upstreams } = proxy;
  const clients = [proxy.client(), proxy.client()];
  for (const client of clients) await give(proxy, client, get());
  await give(proxy, upstreams[0], OK);
  await give(proxy, upstreams[1], OK.replace("\r\n\r\n", "\r\nKeep-Alive: max=9, timeout=1\r\n\r\n"));
  // One second, less the second in which a request could meet it closing.
  await upstreams[1]?.gone;
  t.notOk(upstreams[0]?.closed, "the other is kept");
});

t.test("a connection whose framing is in doubt serves nobody else", async (t) => {
  const doubtful: readonly (readonly [string, string])[] = [
    ["bytes behind the answer", `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`],
    ["bytes behind the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx"],
    ["bytes behind an answer without a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nno"],
    ["Connection: close", OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")],
    ["HTTP/1.0", OK.replace("HTTP/1.1", "HTTP/1.0")],
    ["no framing", "HTTP/1.1 200 OK\r\n\r\nok"],
  ];
  for (const [name, answer] of doubtful) {
    const proxy = await startQuiet(t);
    const client = proxy.client();
    await give(proxy, client, get());
    await give(proxy, proxy.upstreams[0], answer);
    if (name === "no framing") proxy.upstreams[0]?.end();
    await proxy.sockets.settle();
    t.ok(proxy.upstreams[0]?.closed, name);
    await give(proxy, client, get());
    t.equal(proxy.upstreams.length, 2, `${name}: another takes its place`);
    await give(proxy, proxy.upstreams[1], OK);
    t.equal(client.text.match(/HTTP\/1\.1 2\d\d/g)?.length, 2);
    t.notMatch(client.text, /stolen/);
  }
});

t.test("bytes that come to an idle connection are an answer to nothing: it is closed", async (t) => {
  const proxy = await startQuiet(t);
  const client = proxy.client();
  await give(proxy, client, get());
  await give(proxy, proxy.upstreams[0], OK);
  await give(proxy, proxy.upstreams[0], OK);
  t.ok(proxy.upstreams[0]?.closed);
});

t.test("a request that meets its connection closing is sent again on a new one, if it may be", async (t) => {
  for (const [target, again] of [
    ["/v1/x", true],
    ["/plain", false],
  ] as const) {
    const proxy = await startQuiet(t);
    const { upstreams } = proxy;
    const client = proxy.client();
    await give(proxy, client, get(target));
    await give(proxy, upstreams[0], OK);
    await give(proxy, client, get(target));
    upstreams[0]?.end();
    await proxy.sockets.settle();
    t.equal(upstreams.length, again ? 2 : 1, target);
    await give(proxy, upstreams[1], OK);
    t.same(client.text.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200", again ? "HTTP/1.1 200" : "HTTP/1.1 502"]);
  }
});

t.test("requests beyond max_connections wait in line, and leave it with their clients", async (t) => {
  const proxy = await startQuiet(t, { yaml: withV1("max_connections: 1") });
  const { upstreams } = proxy;
  const clients = [1, 2, 3, 4].map(() => proxy.client());
  for (const [i, client] of clients.entries()) await give(proxy, client, get(`/v1/${i}`));
  clients[1]?.break(undefined);
  await proxy.sockets.settle();
  for (let i = 0; i < 3; i++) await give(proxy, upstreams[0], OK);
  t.equal(upstreams.length, 1);
  t.same(upstreams[0]?.text.match(/GET \/v1\/\d/g), ["GET /v1/0", "GET /v1/2", "GET /v1/3"]);
  t.same(
    clients.map((client) => client.text.startsWith("HTTP/1.1 200")),
    [true, false, true, true],
  );
});

t.test("draining: the last answer of a connection says so, and then the connection is closed", async (t) => {
  const proxy = await startQuiet(t);
  const [busy, idle] = [proxy.client(), proxy.client()];
  await give(proxy, idle, get());
  await give(proxy, proxy.upstreams[0], OK);
  await give(proxy, busy, get());
  const drained = proxy.transport.drain(1);
  await idle.gone;
  await give(proxy, proxy.upstreams[0], OK);
  t.match(busy.text, /\r\nConnection: close\r\n/);
  t.ok(busy.closed);
  await drained;
  t.equal(proxy.transport.load.connections, 0);
  t.ok(proxy.upstreams[0]?.closed);
});

t.test("a client that still sends when it is refused gets its answer, and is not reset", async (t) => {
  const sink = await startBackend(t, (_req, res) => res.end());
  const yaml = splitYaml({ stable: sink.url, candidate: sink.url }, { extra: "limits: { body_bytes: 1MiB }" });
  const { port } = await startProxy(t, createWireTransport, yaml);
  const socket = connect({ port, host: "127.0.0.1" });
  await once(socket, "connect");
  socket.write("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n");
  for (let i = 0; i < 20; i++) socket.write(Buffer.alloc(100_000));
  let text = "";
  socket.on("data", (part: Buffer) => (text += part.toString("latin1")));
  await once(socket, "close");
  t.match(text, /^HTTP\/1\.1 413 [^]*"body-too-large"/, "all of it, although two million bytes were not read as a body");
});

t.test("an interim answer in the same read as the answer, and thousands of them", async (t) => {
  const early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
  const proxy = await startQuiet(t);
  const client = proxy.client();
  await give(proxy, client, get());
  await give(proxy, proxy.upstreams[0], early + OK);
  t.match(client.text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  const many = "HTTP/1.1 199\r\n\r\n".repeat(20_000);
  await give(proxy, client, get());
  await give(proxy, proxy.upstreams[0], many + OK);
  t.equal(client.text.match(/HTTP\/1\.1 200/g)?.length, 2);
  const upgrading = proxy.client();
  await give(proxy, upgrading, get("/v1/x", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  await give(proxy, proxy.upstreams[1], many + OK);
  t.match(upgrading.text, /^HTTP\/1\.1 200/, "also for a request to change protocols");
});

t.test("an answer before the body was sent: the client gets it, and neither connection goes on", async (t) => {
  const proxy = await startQuiet(t);
  const client = proxy.client();
  await give(proxy, client, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nstart");
  await give(proxy, proxy.upstreams[0], "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
  t.match(client.text, /^HTTP\/1\.1 403 No\r\n[^]*\r\nConnection: close\r\n[^]*\r\n\r\nno$/);
  t.ok(proxy.upstreams[0]?.closed, "part of a request is still on its way there");
  t.ok(client.finished);
  t.notOk(client.closed, "what the client sends is still read");
  await give(proxy, client, "more");
  client.end();
  await proxy.sockets.settle();
  t.ok(client.closed);
});

t.test("what either end of a tunnel said last is delivered", async (t) => {
  const openTunnel = async (): Promise<readonly [QuietProxy, FakePeer, FakePeer]> => {
    const proxy = await startQuiet(t);
    const client = proxy.client();
    await give(proxy, client, get("/v1/x", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    const [upstream] = proxy.upstreams;
    await give(proxy, upstream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    if (upstream === undefined) throw new Error("no connection was made");
    return [proxy, client, upstream];
  };
  for (const side of ["client", "endpoint"] as const) {
    const [proxy, client, upstream] = await openTunnel();
    const [from, to] = side === "client" ? [client, upstream] : [upstream, client];
    to.take(false);
    await give(proxy, from, "last words");
    from.break(undefined);
    await proxy.sockets.settle();
    t.ok(to.finished, `the ${side} has ended`);
    t.notOk(to.closed, "its words have not arrived yet");
    to.take(true);
    await proxy.sockets.settle();
    t.ok(to.closed, "now they have");
  }
});

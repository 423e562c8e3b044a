import t from "tap";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { performance } from "node:perf_hooks";
import { get, give, OK, post, startQuiet, V1, V2, type QuietProxy } from "./support/fake-proxy.ts";
import { splitYaml, startProxy } from "./support/proxy.ts";
import { FakeSockets, type FakePeer } from "./support/fake-sockets.ts";
import { createWireTransport } from "../src/transport/wire/engine.ts";

const YAML = splitYaml({ stable: V1, candidate: V2 });

/** A client, and an upstream connection that has served it and rests. */
async function startResting(t: Parameters<typeof startQuiet>[0], yaml = YAML): Promise<readonly [QuietProxy, FakePeer, FakePeer]> {
  const proxy = await startQuiet(t, { yaml });
  const client = proxy.client();
  await give(proxy, client, get());
  const [upstream] = proxy.upstreams;
  if (upstream === undefined) throw new Error("no connection was made");
  await give(proxy, upstream, OK);
  return [proxy, client, upstream];
}

t.test("a body that is malformed in the same read as its head leaves no connection behind that waits for an answer", async (t) => {
  const [proxy, client, upstream] = await startResting(t);
  const sent = upstream.sends.length;
  await give(proxy, client, "POST /plain HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n");
  t.match(client.text, /HTTP\/1\.1 400 /);
  t.ok(upstream.sends.length > sent, "it has seen the head");
  t.ok(upstream.closed, "and is not used, nor counted, any more");
});

t.test("an answer of trailers only ends once", async (t) => {
  const [proxy, client, upstream] = await startResting(t);
  await give(proxy, client, get());
  await give(proxy, upstream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n");
  t.match(client.text, /Transfer-Encoding: chunked\r\n(?:[^\r]+\r\n)*\r\n0\r\nX-Sum: 1\r\n\r\n$/);
});

t.test("a status line without words, behind an interim answer, gets the usual words", async (t) => {
  const [proxy, client, upstream] = await startResting(t);
  await give(proxy, client, get());
  await give(proxy, upstream, "HTTP/1.1 199\r\n\r\nHTTP/1.1 404\r\nContent-Length: 5\r\n\r\nab");
  t.match(client.text, /\r\n\r\nokHTTP\/1\.1 404 Not Found\r\n/);
});

t.test("a connection on which a request is still on its way serves nobody else, though it was answered", async (t) => {
  const [proxy, client, upstream] = await startResting(t);
  upstream.take(false);
  await give(proxy, client, post("/plain", "x".repeat(20_000)));
  await give(proxy, upstream, "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
  t.match(client.text, /HTTP\/1\.1 413 No/);
  t.ok(upstream.closed);
});

t.test("an upstream that does not take a body is late, and its client not to blame", async (t) => {
  const yaml = splitYaml({ stable: V1, candidate: V2 }, { timeout: "300ms", extra: "limits: { body_timeout: 100ms }" });
  const [proxy, client, upstream] = await startResting(t, yaml);
  upstream.take(false);
  await give(proxy, client, `POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${"x".repeat(100_000)}`);
  t.notOk(client.wanted, "it is held back");
  await proxy.recorder.until(() => proxy.recorder.requests.length === 2);
  t.match(proxy.recorder.requests[1], { status: 504, outcome: "timeout" });
});

t.test("a client whose whole body has been read is heard when it leaves, though the upstream has yet to take some of it", async (t) => {
  const [proxy, client, upstream] = await startResting(t);
  await give(proxy, client, "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
  upstream.take(false);
  await give(proxy, client, "x".repeat(200_000));
  client.end();
  await proxy.sockets.settle();
  t.ok(client.closed);
  t.ok(upstream.closed);
});

t.test("who wants a new connection gets the place of one that rests", async (t) => {
  const yaml = YAML.replace(`["${V1}"]`, `["${V1}", "http://127.0.0.1:3"], max_connections: 1`);
  const [proxy, client] = await startResting(t, yaml);
  const { upstreams } = proxy;
  await give(proxy, client, get());
  await give(proxy, upstreams[1], OK);
  // Both endpoints have all the connections they may have. One of them closes as it is used again.
  await give(proxy, client, get());
  upstreams.find((peer) => peer.sends.length === 2)?.end();
  await proxy.sockets.settle();
  t.equal(upstreams.length, 3);
  await give(proxy, upstreams[2], OK);
  t.equal(client.text.match(/HTTP\/1\.1 200/g)?.length, 3);
});

t.test("a connection rests hardly longer than it may, however long it was in use", async (t) => {
  const [proxy, client, upstream] = await startResting(t, YAML.replace("v1: {", "v1: { keep_alive: 40ms,"));
  const start = performance.now();
  while (performance.now() - start < 25) {
    await give(proxy, client, get());
    await give(proxy, upstream, OK);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const last = performance.now();
  await upstream.gone;
  const rested = performance.now() - last;
  t.ok(rested < 500, `${rested} ms`);
});

t.test("a client that is refused and takes nothing is waited for, and then for its end", async (t) => {
  const sockets = new FakeSockets();
  t.teardown(() => sockets.settle());
  const yaml = splitYaml({ stable: V1, candidate: V2 }, { extra: "limits: { body_timeout: 100ms }" });
  await startProxy(t, (config) => createWireTransport(config, undefined, sockets), yaml);
  const [patient, silent] = [sockets.client(), sockets.client()];
  for (const client of [patient, silent]) client?.take(false).give("no request\r\n\r\n");
  await sockets.settle();
  patient?.take(true);
  await sockets.settle();
  await silent?.gone;
  t.notOk(patient?.closed, "what it may still be sending is read");
  patient?.end();
  await sockets.settle();
  t.ok(patient?.closed);
});

t.test("a client that knows the end of an answer by that of the connection sees that it was cut", async (t) => {
  const server = createServer((request, answer) => {
    answer.write("part");
    if (request.url === "/v1/cut") answer.socket?.end();
    else answer.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { port } = await startProxy(t, createWireTransport, splitYaml({ stable: url, candidate: url }));
  const ask = async (target: string): Promise<string> => {
    const client = connect(port, "127.0.0.1", () => client.write(`GET ${target} HTTP/1.0\r\n\r\n`));
    let end = "orderly";
    client.on("error", (error: NodeJS.ErrnoException) => (end = error.code ?? ""));
    client.resume();
    await once(client, "close").catch(() => {});
    return end;
  };
  t.equal(await ask("/v1/whole"), "orderly");
  t.equal(await ask("/v1/cut"), "ECONNRESET");
});

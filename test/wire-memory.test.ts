import t from "tap";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { sendRaw } from "./support/client.ts";
import { get, give, OK, post, startQuiet, V1, V2 } from "./support/fake-proxy.ts";
import type { FakePeer } from "./support/fake-sockets.ts";
import { memoryInUse } from "./support/memory.ts";
import { splitYaml, startProxy } from "./support/proxy.ts";
import { startBackend } from "./support/upstreams.ts";
import { DONE } from "../src/http/raw-head.ts";
import { RawRequest } from "../src/http/raw-request.ts";
import { createWireTransport } from "../src/transport/wire/engine.ts";

t.test("what was not sent before its client was answered is never sent: its memory is another's by then", async (t) => {
  const yaml = splitYaml({ stable: V1, candidate: V2 }, { responseTime: "20ms" }).replace("v2: {", "v2: { max_connections: 1,");
  const proxy = await startQuiet(t, { yaml });
  const { upstreams } = proxy;
  const [first, second, third] = [proxy.client(), proxy.client(), proxy.client()];
  // The only connection to the candidate is busy; the second waits for it until it is too late, and the stable arm answers.
  await give(proxy, first, post("/api/match", "first-", "X-User-ID: u\r\n"));
  await give(proxy, second, post("/api/match", "second", "X-User-ID: u\r\n"));
  await proxy.recorder.until(() => proxy.recorder.fallbacks.length === 2);
  await proxy.sockets.settle();
  const [candidate, ...stable] = upstreams;
  for (const peer of stable) peer.give(OK);
  await proxy.sockets.settle();
  t.match(second.text, /^HTTP\/1\.1 200/);
  await give(proxy, third, post("/v1/x", "secret"));
  await give(proxy, candidate, OK);
  t.equal(candidate?.sends.length, 1, "the candidate sees the first only");
  t.notMatch(candidate?.text, /secret/);
});

t.test("an endpoint that declines an upgrade at length is held back by a client that does not read", async (t) => {
  const proxy = await startQuiet(t, { yaml: splitYaml({ stable: V1, candidate: V2 }, { extra: "limits: { body_timeout: 200ms }" }) });
  const ask = async (): Promise<readonly [FakePeer, FakePeer | undefined]> => {
    const client = proxy.client();
    await give(proxy, client, get("/v1/x", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    const upstream = proxy.upstreams.at(-1);
    client.take(false);
    await give(proxy, upstream, "HTTP/1.1 403 No\r\nContent-Length: 300000\r\n\r\n");
    for (let i = 0; i < 3; i++) await give(proxy, upstream, "x".repeat(100_000));
    return [client, upstream];
  };
  const [client, upstream] = await ask();
  t.notOk(upstream?.wanted, "nothing more is read");
  t.ok(client.text.length < 200_000, `${client.text.length} bytes were taken over`);
  client.take(true);
  await proxy.sockets.settle();
  t.ok(client.text.endsWith("x".repeat(300_000)), "then all of it comes");
  const [silent, declining] = await ask();
  await Promise.all([silent.gone, declining?.gone]);
  t.pass("one that never reads is given up");
});

t.test("an idle connection has no memory for a request; what was taken is used again", async (t) => {
  const proxy = await startQuiet(t);
  const clients = Array.from({ length: 1_000 }, () => proxy.client());
  const before = memoryInUse().buffers;
  for (const client of clients) {
    await give(proxy, client, post("/v1/x", "b".repeat(100)));
    await give(proxy, proxy.upstreams[0], OK);
    // What a test keeps of it is not what is measured.
    client.sends.length = 0;
  }
  proxy.upstreams[0]?.sends.splice(0);
  const idle = (memoryInUse().buffers - before) / clients.length;
  t.ok(idle < 500, `${idle} bytes each`);
  for (const client of clients) await give(proxy, client, "POST /v1/x");
  const begun = (memoryInUse().buffers - before) / clients.length;
  t.ok(begun > 4_000, `${begun} bytes each when a request has begun, so that the figure above means something`);
  t.equal(proxy.upstreams.length, 1);
});

t.test("a head that waits for its next request does not hold what a large one lay in", async (t) => {
  const heads = Array.from({ length: 200 }, () => new RawRequest());
  const request = Buffer.from(post("/v1/x", "b".repeat(60_000)));
  const before = memoryInUse().buffers;
  for (const head of heads) {
    const bytes = Buffer.allocUnsafeSlow(request.length);
    request.copy(bytes);
    t.equal(head.read(bytes, 0, bytes.length, 16_384), DONE);
    head.reset();
  }
  const held = (memoryInUse().buffers - before) / heads.length;
  t.ok(held < 6_000, `${held} bytes each`);
});

t.test("slow readers of different answers get their own bytes, all of them, whatever else is sent meanwhile", async (t) => {
  const size = 16_000_000;
  const readers = 10;
  const part = 50_000;
  /** No two answers have the same bytes at the same place. */
  const patternOf = (i: number): Buffer => Buffer.alloc(part * 2, `<${i}:${"x".repeat(i)}>`);
  const periodOf = (i: number): number => `<${i}:${"x".repeat(i)}>`.length;
  const sent = Array.from({ length: readers }, () => 0);
  const source = await startBackend(t, async (req, res) => {
    const i = Number(req.url?.split("/").at(-1));
    if (Number.isNaN(i)) return void res.end("z".repeat(2_000));
    if (i % 2 === 0) res.setHeader("content-length", size);
    const pattern = patternOf(i);
    for (let at = 0; at < size; at += part) {
      sent[i] = at;
      const from = at % periodOf(i);
      if (!res.write(pattern.subarray(from, from + part)) && !res.closed) await Promise.race([once(res, "drain"), once(res, "close")]);
    }
    res.end();
  });
  const { port, url } = await startProxy(t, createWireTransport, splitYaml({ stable: source.url, candidate: source.url }));
  const open = Array.from({ length: readers }, async (_, i) => {
    const req = request(`${url}/v1/${i}`, { agent: false });
    req.end();
    const [res] = (await once(req, "response")) as [IncomingMessage];
    return res;
  });
  const answers = await Promise.all(open);
  for (let i = 0; i < 300; i++) t.equal((await sendRaw(port, get("/v1/small", "Connection: close\r\n"))).length > 2_000, true);
  t.ok(
    sent.every((bytes) => bytes < size - part),
    `all of them are held back: ${sent.join()}`,
  );
  const wrong = await Promise.all(
    answers.map(async (res, i) => {
      const pattern = patternOf(i);
      let at = 0;
      let bad = 0;
      for await (const chunk of res as AsyncIterable<Buffer>) {
        for (let done = 0; done < chunk.length; done += part) {
          const piece = chunk.subarray(done, done + part);
          const from = (at + done) % periodOf(i);
          if (!piece.equals(pattern.subarray(from, from + piece.length))) bad++;
        }
        at += chunk.length;
      }
      return bad > 0 || at !== size ? `${i}: ${bad} pieces wrong, ${at} bytes` : "";
    }),
  );
  t.same(
    wrong.filter((text) => text !== ""),
    [],
  );
});

t.test("an unread body is not read in advance: its client is held back", async (t) => {
  const proxy = await startQuiet(t);
  const client = proxy.client();
  await give(proxy, client, "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  const [upstream] = proxy.upstreams;
  upstream?.take(false);
  for (let i = 0; i < 9; i++) await give(proxy, client, "x".repeat(100_000));
  t.notOk(client.wanted);
  t.ok((upstream?.text.length ?? 0) < 200_000, `${upstream?.text.length} bytes were taken over`);
  upstream?.take(true);
  await proxy.sockets.settle();
  t.ok((upstream?.text.length ?? 0) > 900_000);
});

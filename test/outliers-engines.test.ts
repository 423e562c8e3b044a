import t, { type Test } from "tap";
import { createServer } from "node:net";
import { once } from "node:events";
import { request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Config } from "../src/config/config.ts";
import { boardLength, HEALTHY, ownBoard, UNHEALTHY } from "../src/transport/endpoints.ts";
import type { Call, CallFailure, CreateTransport, Downstream } from "../src/transport/transport.ts";
import { ask, type Answer } from "./support/client.ts";
import { ENGINES, configOf, startProxy, type TestProxy } from "./support/proxy.ts";
import { startBackend, startRawBackend } from "./support/upstreams.ts";

function yamlOf(urls: readonly string[], outliers: string): string {
  return `
listeners: [{ name: public, address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
store: memory
upstreams: { all: { endpoints: [${urls.map((url) => `"${url}"`).join(", ")}], outliers: ${outliers} } }
identity: [address]
routes:
  - { name: safe, match: { path: /safe }, upstream: all, idempotent: true, timeout: 20s }
  - { name: all, match: { path: /** }, upstream: all, timeout: 20s }
`;
}

interface Watched extends TestProxy {
  readonly board: Int32Array;
  /** What `count` requests, one after the other, were answered: the name of the endpoint, or a status. */
  ask(count: number, path?: string): Promise<string[]>;
  /** How often each endpoint was ejected. */
  readonly ejections: number[];
}

async function startWatched(t: Test, create: CreateTransport, urls: readonly string[], outliers: string): Promise<Watched> {
  const yaml = yamlOf(urls, outliers);
  const board = ownBoard(configOf(yaml));
  const proxy = await startProxy(t, (config) => create(config, board), yaml);
  return {
    ...proxy,
    board,
    async ask(count, path = "/x") {
      const got: string[] = [];
      for (let i = 0; i < count; i++) got.push(nameOf(await ask(proxy.url + path)));
      return got;
    },
    get ejections() {
      return [...board.subarray(board.length / 2)];
    },
  };
}

function nameOf(answer: Answer): string {
  return answer.status === 200 ? answer.body.toString() : String(answer.status);
}

function say(name: string): (req: unknown, res: ServerResponse) => void {
  return (_req, res) => void res.end(name);
}

function fail(_req: unknown, res: ServerResponse): void {
  res.writeHead(500).end("broken");
}

/** Two that are well, and their addresses around that of a third. */
async function around(t: Test, third: string): Promise<string[]> {
  const [a, b] = [await startBackend(t, say("a")), await startBackend(t, say("b"))];
  return [a.url, third, b.url];
}

async function closedPort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

function count(all: readonly string[], one: string): number {
  return all.filter((each) => each === one).length;
}

/** Asks for a tunnel; resolves with the status of the answer, or 101 when it stood, once it is closed. */
function upgrade(url: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const req = request(url, { headers: { connection: "Upgrade", upgrade: "websocket" }, agent: false });
  req.on("upgrade", (_answer, socket) =>
    socket
      .on("close", () => resolve(101))
      .on("error", () => {})
      .end(),
  );
  req.on("response", (answer) => answer.on("end", () => resolve(answer.statusCode ?? 0)).resume());
  req.on("error", reject);
  req.end();
  return promise;
}

interface Relay {
  readonly url: string;
  /** Time is up for all that have no answer yet. */
  late(): void;
}

/** Passes every request of a listener on, and gives up on those that are late, as an exchange does. */
async function startRelay(t: Test, create: CreateTransport, config: Config, board: Int32Array): Promise<Relay> {
  const transport = create(config, board);
  t.teardown(() => transport.destroy());
  const [upstreamConfig] = config.upstreams;
  if (upstreamConfig === undefined) throw new Error("no upstream");
  const upstream = transport.upstream(upstreamConfig);
  const open = new Set<() => void>();
  const edits = { drop: new Set<string>(), dropPrefix: "x-none-", set: "" };
  const answer = (downstream: Downstream, status: number, body: Uint8Array): void =>
    downstream.respond({ status, reason: "", from: undefined, edits }, body, []);
  const port = await transport.listen(
    { name: "relay", host: "127.0.0.1", port: 0, reusePort: false, tls: undefined },
    {
      malformed: () => {
        throw new Error("no request of this test is malformed");
      },
      request(downstream) {
        let call: Call | undefined;
        let status = 0;
        const chunks: Uint8Array[] = [];
        const done = (given: number): void => {
          open.delete(giveUp);
          answer(downstream, given, Buffer.concat(chunks));
        };
        const giveUp = (): void => {
          call?.blame?.();
          call?.cancel();
          done(504);
        };
        const begin = (): void => {
          open.add(giveUp);
          const { method, target } = downstream.head;
          call = upstream.send(
            { method, target, from: downstream.head, edits, body: { kind: "none" }, downstream, fresh: false },
            {
              onSent() {},
              onInformation() {},
              onWhole(head, body) {
                chunks.push(Buffer.from(body));
                done(head.status);
              },
              onHead: (head) => void (status = head.status),
              onData: (chunk) => void chunks.push(Buffer.from(chunk)),
              onEnd: () => done(status),
              onFailure: ({ kind }: CallFailure) => done(kind === "connect-failed" ? 503 : 502),
            },
          );
        };
        return { onBegin: begin, onBody() {}, onBodyFailed() {}, onGone() {}, onDrain() {}, onAnswered() {} };
      },
    },
  );
  return { url: `http://127.0.0.1:${port}`, late: () => open.forEach((giveUp) => giveUp()) };
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, { jobs: 4 }, async (t) => {
    t.test("one of three that answers 500 costs as many requests as it takes to know, and no more", async (t) => {
      const bad = await startBackend(t, fail);
      const proxy = await startWatched(t, create, await around(t, bad.url), "{ consecutive: 3, ejected_for: 1h }");
      const got = await proxy.ask(30);
      t.same([count(got, "500"), bad.requests.length], [3, 3]);
      t.ok(count(got, "a") > 10 && count(got, "b") > 10, "the others share the rest");
      t.same(proxy.ejections, [0, 1, 0]);
    });

    t.test("one that breaks connections off, the same", async (t) => {
      const bad = await startRawBackend(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
      const proxy = await startWatched(t, create, await around(t, bad.url), "{ consecutive: 3, ejected_for: 1h }");
      const got = await proxy.ask(30);
      t.equal(count(got, "502"), 3);
      t.same(proxy.ejections, [0, 1, 0]);
    });

    t.test("one that begins each answer well and breaks it off, the same", async (t) => {
      const bad = await startRawBackend(t, (socket) =>
        socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", () => socket.resetAndDestroy())),
      );
      const proxy = await startWatched(t, create, await around(t, bad.url), "{ consecutive: 3, ejected_for: 1h }");
      let cut = 0;
      for (let i = 0; i < 30; i++) await ask(`${proxy.url}/x`).catch(() => cut++);
      t.equal(cut, 3);
      t.same(proxy.ejections, [0, 1, 0]);
    });

    t.test("an answer that breaks off counts on a connection that served before too", async (t) => {
      const bad = await startRawBackend(t, (socket) => {
        let requests = 0;
        socket.on("data", () => {
          if (++requests === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell");
          else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", () => socket.resetAndDestroy());
        });
      });
      const proxy = await startWatched(t, create, await around(t, bad.url), "{ consecutive: 1, ejected_for: 1h }");
      let cut = 0;
      for (let i = 0; i < 12; i++) await ask(`${proxy.url}/x`).catch(() => cut++);
      t.equal(cut, 1);
      t.same(proxy.ejections, [0, 1, 0]);
    });

    t.test("one that speaks no HTTP, the same", async (t) => {
      const bad = await startRawBackend(t, (socket) => socket.once("data", () => socket.end("220 mail.example ESMTP\r\n")));
      const proxy = await startWatched(t, create, await around(t, bad.url), "{ consecutive: 3, ejected_for: 1h }");
      t.equal(count(await proxy.ask(30), "502"), 3);
      t.same(proxy.ejections, [0, 1, 0]);
    });

    t.test("one that refuses connections costs no request at all", async (t) => {
      const proxy = await startWatched(t, create, await around(t, await closedPort()), "{ consecutive: 1, ejected_for: 1h }");
      const got = await proxy.ask(30);
      t.equal(count(got, "a") + count(got, "b"), 30);
      t.same(proxy.ejections, [0, 1, 0]);
      t.equal(proxy.recorder.attempts.filter((attempt) => attempt.outcome === "connect-failed").length, 1);
    });

    t.test("one that hangs costs as many as were too late for it, when it is blamed for them", async (t) => {
      let late = (): void => {};
      const bad = await startRawBackend(t, (socket) => socket.on("data", () => late()));
      const config = configOf(yamlOf(await around(t, bad.url), "{ consecutive: 3, ejected_for: 1h }"));
      const board = ownBoard(config);
      const relay = await startRelay(t, create, config, board);
      late = relay.late;
      const got: string[] = [];
      for (let i = 0; i < 30; i++) got.push(nameOf(await ask(`${relay.url}/x`)));
      t.equal(count(got, "504"), 3);
      t.equal(board[boardLength(config) / 2 + 1], 1);
    });

    t.test("requests that fail at the same time eject once", async (t) => {
      const waiting: ServerResponse[] = [];
      const bad = await startBackend(t, (req, res) => {
        waiting.push(res);
        if (waiting.length === 5) for (const each of waiting) fail(req, each);
      });
      const config = configOf(yamlOf([bad.url, await closedPort()], "{ consecutive: 2, ejected_for: 1h }"));
      const board = ownBoard(config);
      board[1] = UNHEALTHY;
      const { url } = await startRelay(t, create, config, board);
      const got = await Promise.all(Array.from({ length: 5 }, () => ask(`${url}/x`)));
      t.equal(count(got.map(nameOf), "500"), 5);
      t.same([...board.subarray(2)], [1, 0]);
    });

    t.test("when all have failed all are asked, and the first that is well again gets everything", async (t) => {
      const backends = [await startBackend(t, fail), await startBackend(t, fail)];
      const urls = backends.map(({ url }) => url);
      const proxy = await startWatched(t, create, urls, "{ consecutive: 2, ejected_for: 1h, most: 100% }");
      await proxy.ask(4);
      t.same(proxy.ejections, [1, 1]);
      await proxy.ask(4);
      t.same(
        backends.map(({ requests }) => requests.length),
        [4, 4],
      );
      for (const backend of backends.slice(1)) backend.answer = say("well");
      const got = await proxy.ask(12);
      t.ok(count(got, "500") <= 1, `${count(got, "500")} more failed`);
      t.same(proxy.ejections, [1, 1], "nobody is ejected twice for it");
    });

    t.test("no more than the given share is ejected", async (t) => {
      const backends = [await startBackend(t, fail), await startBackend(t, fail), await startBackend(t, say("c"))];
      const urls = backends.map(({ url }) => url);
      const proxy = await startWatched(t, create, urls, "{ consecutive: 2, ejected_for: 1h, most: 50% }");
      const got = await proxy.ask(40);
      t.equal(
        proxy.ejections.reduce((sum, one) => sum + one),
        1,
        "one of three",
      );
      t.ok(count(got, "500") > 10);
    });

    t.test("after its time one request finds out whether it is well; until it has, no other is sent", async (t) => {
      let finish: (() => void) | undefined;
      const bad = await startBackend(t, fail);
      const proxy = await startWatched(t, create, await around(t, bad.url), "{ consecutive: 1, ejected_for: 100ms }");
      await proxy.ask(3);
      t.equal(bad.requests.length, 1);
      const asked = new Promise<void>((resolve) => {
        bad.answer = (_req, res) => {
          finish = () => res.end("well");
          resolve();
        };
      });
      // One after the other, as fast as they are answered, until one is not.
      const got: Promise<string>[] = [];
      let tried = false;
      void asked.then(() => (tried = true));
      while (!tried) {
        const answer = ask(`${proxy.url}/x`).then(nameOf);
        got.push(answer);
        await Promise.race([answer, asked]);
      }
      t.equal(count(await proxy.ask(10), "well"), 0);
      t.equal(bad.requests.length, 2);
      bad.answer = say("well");
      finish?.();
      t.equal(count(await Promise.all(got), "well"), 1);
      t.ok(count(await proxy.ask(9), "well") >= 2, "it shares the load again");
      t.equal(proxy.ejections[1], 1);
    });

    t.test("clients that leave do not count, whether they still send or wait for the answer", async (t) => {
      const heard: (() => void)[] = [];
      const slow = await startBackend(t, () => heard.shift()?.());
      const well = await startBackend(t, say("well"));
      const proxy = await startWatched(t, create, [slow.url, well.url], "{ consecutive: 1, ejected_for: 1h }");
      proxy.board[1] = UNHEALTHY;
      for (const body of [undefined, "part"]) {
        for (let i = 0; i < 5; i++) {
          const headers = body === undefined ? {} : { "content-length": "2000000" };
          const req = request(`${proxy.url}/x`, { method: body === undefined ? "GET" : "POST", headers });
          req.on("error", () => {});
          const arrived = new Promise<void>((resolve) => heard.push(resolve));
          if (body === undefined) req.end();
          else req.write("a".repeat(1_500_000));
          await arrived;
          const before = proxy.recorder.log.length;
          req.destroy();
          await proxy.recorder.until(() => proxy.recorder.log.length > before);
        }
      }
      t.same(proxy.ejections, [0, 0]);
    });

    t.test("an idle connection that closes just as it is used again is no failure", async (t) => {
      const race = await startRawBackend(t, (socket) => {
        let requests = 0;
        socket.on("data", () => {
          if (++requests === 2) socket.destroy();
          else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nrace");
        });
      });
      const well = await startBackend(t, say("well"));
      const proxy = await startWatched(t, create, [race.url, well.url], "{ consecutive: 1, ejected_for: 1h }");
      const got = await proxy.ask(20, "/safe");
      t.equal(count(got, "race") + count(got, "well"), 20);
      t.ok(
        proxy.recorder.attempts.some(({ outcome }) => outcome === "reset"),
        "it did close",
      );
      t.same(proxy.ejections, [0, 0]);
    });

    t.test("of tunnels the same is learned, and one that is closed is no failure", async (t) => {
      const bad = await startRawBackend(t, (socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")),
      );
      const well = await startRawBackend(t, (socket) =>
        socket.once("data", () => {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
          socket.once("end", () => socket.destroy());
        }),
      );
      const proxy = await startWatched(t, create, [bad.url, well.url], "{ consecutive: 3, ejected_for: 1h }");
      const got: string[] = [];
      for (let i = 0; i < 12; i++) got.push(String(await upgrade(`${proxy.url}/x`)));
      t.same([count(got, "503"), count(got, "101")], [3, 9]);
      t.same(proxy.ejections, [1, 0]);
    });

    t.test("what the checks say counts from the next request on", async (t) => {
      const [a, b] = [await startBackend(t, say("a")), await startBackend(t, say("b"))];
      const proxy = await startWatched(t, create, [a.url, b.url], "{ consecutive: 0 }");
      t.same(new Set(await proxy.ask(4)), new Set(["a", "b"]));
      proxy.board[0] = UNHEALTHY;
      t.same(new Set(await proxy.ask(4)), new Set(["b"]));
      proxy.board[1] = UNHEALTHY;
      t.same(new Set(await proxy.ask(4)), new Set(["a", "b"]), "with nobody well, everybody is asked");
      proxy.board[0] = HEALTHY;
      t.same(new Set(await proxy.ask(4)), new Set(["a"]));
    });
  });
}

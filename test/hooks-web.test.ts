import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import t, { type Test } from "tap";
import type { WebhookHook } from "../src/config/config.ts";
import { askWebhook, type HookPayload, runHook } from "../src/controller/hooks.ts";
import { until } from "./support/backend.ts";

const PAYLOAD: HookPayload = { event: "rollback", flag: "v2_migration", rollout: "fast-1a2b", step: 2, reason: "p95" };
const REAL = { drill: false };

function hook(url: string, change: Partial<WebhookHook> = {}): WebhookHook {
  return { kind: "webhook", name: "notify", url, headers: {}, secret: undefined, timeoutMs: 10_000, drill: false, ...change };
}

interface Seen {
  readonly request: IncomingMessage;
  readonly body: string;
}

interface Receiver {
  readonly url: string;
  readonly seen: readonly Seen[];
  readonly sockets: ReadonlySet<Socket>;
}

/** Reads each request to its end, then lets `answer` answer it. */
async function receive(t: Test, answer: RequestListener): Promise<Receiver> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      seen.push({ request, body });
      answer(request, response);
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  return { url: await listen(t, server), seen, sockets };
}

async function listen(t: Test, server: ReturnType<typeof createTcpServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    if ("closeAllConnections" in server && typeof server.closeAllConnections === "function") server.closeAllConnections();
    await closed;
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/services/SECRETPATH`;
}

/** A peer that says these bytes to whatever it is sent, and then does `end`. */
async function raw(t: Test, bytes: string, end: (socket: Socket) => void = () => undefined): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    t.teardown(() => socket.destroy());
    socket.once("data", () => {
      socket.write(bytes);
      end(socket);
    });
  });
  return listen(t, server);
}

const answering =
  (status: number, body = "", headers: Record<string, string> = {}) =>
  (_: IncomingMessage, response: ServerResponse): void =>
    void response.writeHead(status, headers).end(body);

t.test("a webhook is sent the JSON, with its headers and a signature over the very bytes", async (t) => {
  const { url, seen, sockets } = await receive(t, answering(204));
  const signed = hook(url, { secret: "correct-horse", headers: { authorization: "Bearer abc", accept: "text/plain" } });
  t.match(await runHook(signed, PAYLOAD, { drill: true }), { status: "done", detail: "HTTP 204" });
  const [first] = seen;
  if (first === undefined) throw new Error("there was no request");
  const { request, body } = first;
  t.equal(request.method, "POST");
  t.match(request.headers, {
    "content-type": "application/json",
    authorization: "Bearer abc",
    accept: "text/plain",
    "user-agent": "crossfade",
  });
  const digest = createHmac("sha256", "correct-horse").update(body).digest("hex");
  t.equal(request.headers["x-crossfade-signature"], `sha256=${digest}`);
  t.match(JSON.parse(body), { hook: "notify", ...PAYLOAD, drill: true, at: /^\d{4}-/ });
  await until("no connection is left open", () => sockets.size === 0);
  await runHook(hook(url), PAYLOAD, REAL);
  t.equal(seen[1]?.request.headers["x-crossfade-signature"], undefined, "no secret, no signature");
});

t.test("a status that is not 2xx is a failure, told with what the receiver says", async (t) => {
  const { url } = await receive(t, answering(500, "the pager\u001b[2J is down\n"));
  t.match(await runHook(hook(url), PAYLOAD, REAL), { status: "failed", detail: "HTTP 500: the pager[2J is down" });
});

t.test("redirects are not followed", async (t) => {
  const target = await receive(t, answering(200));
  for (const status of [301, 302, 303, 307, 308]) {
    const { url } = await receive(t, answering(status, "", { location: target.url }));
    t.match(await runHook(hook(url), PAYLOAD, REAL), { status: "failed", detail: /redirects are not followed/ });
  }
  t.equal(target.seen.length, 0);
});

t.test("the limit is for all of it", async (t) => {
  const head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
  const drip = (socket: Socket): void => {
    const timer = setInterval(() => socket.write("x"), 20);
    socket.on("close", () => clearInterval(timer));
  };
  const silent = await raw(t, "");
  const slowHead = await raw(t, "HTTP/1.1 200 OK\r\nx: ", drip);
  const slowBody = await raw(t, head, drip);
  const stopped = await raw(t, `${head}abc`);
  for (const [name, url] of Object.entries({ silent, slowHead, slowBody, stopped })) {
    const { status, ms, detail } = await runHook(hook(url, { timeoutMs: 300 }), PAYLOAD, REAL);
    t.equal(status, "timed-out", `${name}: ${detail}`);
    t.ok(ms >= 290 && ms < 3_000, `${name}: ${ms} ms`);
  }
});

t.test("a connection that fails says how, and tells no secret", async (t) => {
  const reset = await raw(t, "", (socket) => socket.resetAndDestroy());
  const cut = await raw(t, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc", (socket) => socket.end());
  const garbage = await raw(t, "SSH-2.0-OpenSSH\r\n\r\n", (socket) => socket.end());
  const gone = await new Promise<string>((resolve) => {
    const server = createTcpServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/SECRETPATH`));
    });
  });
  const secrets = { headers: { authorization: "Bearer SECRETVALUE" }, secret: "SECRETKEY" };
  const expected = {
    reset: [reset, /broke off/],
    cut: [cut, /broke off/],
    garbage: [garbage, /no answer in HTTP/],
    gone: [gone, /nobody takes connections/],
  } as const;
  for (const [name, [url, words]] of Object.entries(expected)) {
    const { status, detail } = await runHook(hook(url, secrets), PAYLOAD, REAL);
    t.equal(status, "failed", name);
    t.match(detail, words, name);
    t.notMatch(detail, /SECRET/, name);
  }
  const nowhere = await runHook(hook("http://no-such-host.invalid/"), PAYLOAD, REAL);
  t.match(nowhere, { status: "failed" });
});

t.test("an answer without end is read so far and no further", async (t) => {
  const { url, sockets } = await receive(t, (_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  });
  const result = await runHook(hook(url), PAYLOAD, REAL);
  t.match(result, { status: "done", detail: /^HTTP 200: x{500}$/ });
  t.match(await askWebhook(hook(url), PAYLOAD), { verdict: "inconclusive" });
  await until("the connections are closed", () => sockets.size === 0);
});

t.test("a webhook can be called off", async (t) => {
  const off = new AbortController();
  const { url } = await receive(t, () => off.abort());
  t.match(await runHook(hook(url), PAYLOAD, { ...REAL, signal: off.signal }), { status: "failed", detail: "called off before its end" });
});

t.test("a gate is what the webhook says, and anything else lets no step be left", async (t) => {
  const rows: readonly (readonly [number, string, string, RegExp])[] = [
    [200, '{"verdict":"pass","why":"all 12 checks are green"}', "pass", /^all 12 checks are green$/],
    [200, '{"verdict":"fail","why":"2 of 12\\u001b[31m are red"}', "fail", /^2 of 12\[31m are red$/],
    [200, '{"verdict":"no-data"}', "no-data", /^it says no-data$/],
    [200, '{"verdict":"inconclusive","why":5}', "inconclusive", /^it says inconclusive$/],
    [200, '{"verdict":"PASS"}', "inconclusive", /expected \{"verdict": "pass"\}/],
    [200, '{"verdict":true}', "inconclusive", /expected/],
    [200, '"pass"', "inconclusive", /expected/],
    [200, "null", "inconclusive", /expected/],
    [200, '["pass"]', "inconclusive", /expected/],
    [200, '{"verdict":"pass"', "inconclusive", /expected/],
    [200, `{"verdict":"pass"}${" ".repeat(70_000)}`, "inconclusive", /expected/],
    [200, "", "inconclusive", /^HTTP 200; expected/],
    [204, "", "inconclusive", /HTTP 204/],
    [201, '{"verdict":"pass"}', "inconclusive", /HTTP 201/],
    [404, '{"verdict":"pass"}', "inconclusive", /HTTP 404/],
    [302, '{"verdict":"pass"}', "inconclusive", /redirects are not followed/],
    [500, '{"verdict":"pass"}', "no-data", /HTTP 500/],
    [503, "", "no-data", /HTTP 503/],
  ];
  let row = rows[0];
  const { url, seen } = await receive(t, (_, response) => void response.writeHead(row?.[0] ?? 0).end(row?.[1]));
  for (row of rows) {
    const [status, body, verdict, why] = row;
    t.match(await askWebhook(hook(url), { ...PAYLOAD, event: "gate" }), { verdict, why }, `${status} ${body}`);
  }
  t.match(JSON.parse(seen[0]?.body ?? ""), { event: "gate", drill: false });
  const reset = await raw(t, "", (socket) => socket.resetAndDestroy());
  t.match(await askWebhook(hook(reset), PAYLOAD), { verdict: "no-data", why: /broke off/ });
  const silent = await raw(t, "");
  t.match(await askWebhook(hook(silent, { timeoutMs: 200 }), PAYLOAD), { verdict: "no-data", why: /within 200 ms/ });
  const off = AbortSignal.abort();
  t.match(await askWebhook(hook(url), PAYLOAD, off), { verdict: "no-data", why: /called off/ });
  const command = { kind: "command", name: "x", command: ["true"], folder: "/", timeoutMs: 1_000, drill: false } as const;
  t.match(await askWebhook(command, PAYLOAD), { verdict: "inconclusive", why: /only a webhook can be asked/ });
});

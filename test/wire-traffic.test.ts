import t from "tap";
import { startFakeProxy } from "./support/fake-proxy.ts";
import type { FakePeer } from "./support/fake-sockets.ts";
import { fieldOf, readAnswers, readRequest, statusOf, type Message } from "./support/messages.ts";
import { splitYaml } from "./support/proxy.ts";

/** A failure names the seed of its traffic, which is all there is to know of it. */
const SEEDS = Number(process.env["TRAFFIC_RUNS"] ?? 60);
const FIRST = Number(process.env["TRAFFIC_SEED"] ?? 1);
const YAML = splitYaml(
  { stable: "http://127.0.0.1:1", candidate: "http://127.0.0.1:2" },
  { extra: "limits: { replay_bytes: 20KiB, answer_bytes: 30KiB }" },
).replace("v1: {", "v1: { max_connections: 2,");
/** Around the sizes of our own memory: a request's, a scratch, what goes together with a head, what is kept. */
const SIZES = [0, 1, 100, 3_000, 8_100, 9_000, 21_000, 40_000, 70_000, 90_000];

type Random = (below: number) => number;

/** Numbers that look like chance and are the same for the same seed. */
function createRandom(seed: number): Random {
  let state = (seed * 2_654_435_761) >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

function oneOf<T>(random: Random, values: readonly T[]): T {
  const value = values[random(values.length)];
  if (value === undefined) throw new Error("there is nothing to choose from");
  return value;
}

/** No two bodies have the same bytes anywhere. */
function bodyOf(name: string, size: number): string {
  return `<${name}>`.repeat(Math.ceil(size / (name.length + 2))).slice(0, size);
}

/** A body with its framing, and the fields that announce it. */
function framed(random: Random, body: string): readonly [field: string, bytes: string] {
  if (random(2) === 0) return [`Content-Length: ${body.length}\r\n`, body];
  let chunks = "";
  for (let at = 0; at < body.length;) {
    const length = Math.min(body.length - at, 1 + random(oneOf(random, [10, 5_000, 100_000])));
    chunks += `${length.toString(16)}\r\n${body.slice(at, at + length)}\r\n`;
    at += length;
  }
  return ["Transfer-Encoding: chunked\r\n", `${chunks}0\r\n\r\n`];
}

function cut(random: Random, bytes: string): string[] {
  const pieces: string[] = [];
  const most = oneOf(random, [50, 3_000, 65_536, 65_536]);
  for (let at = 0; at < bytes.length;) {
    const length = Math.min(bytes.length - at, bytes.length > 200 * most ? most : 1 + random(most));
    pieces.push(bytes.slice(at, at + length));
    at += length;
  }
  return pieces;
}

interface Asked {
  readonly name: string;
  readonly method: string;
  readonly answer: string;
}

/** One client: what it sends, and what it must get. */
interface Client {
  readonly peer: FakePeer;
  readonly asked: readonly Asked[];
  readonly pieces: string[];
}

function requestsOf(random: Random, name: string): { asked: Asked[]; bytes: string } {
  const asked: Asked[] = [];
  let bytes = "";
  for (let i = 0; i <= random(4); i++) {
    const method = oneOf(random, ["POST", "POST", "GET"]);
    const own = `${name}${i}`;
    const target = oneOf(random, [`/v1/${own}`, "/api/match", "/plain"]);
    const [field, body] = method === "GET" ? ["", ""] : framed(random, bodyOf(own, oneOf(random, SIZES)));
    bytes += `${method} ${target} HTTP/1.1\r\nHost: a\r\nX-User-ID: ${own}\r\nX-Name: ${own}\r\n${field}\r\n${body}`;
    asked.push({ name: own, method, answer: bodyOf(`answer to ${own}`, oneOf(random, SIZES)) });
  }
  return { asked, bytes };
}

/** Whether it is worth reading: a long body that comes in many parts would be read as many times. */
function seemsWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = text.slice(0, end);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) return text.length >= end + 4 + Number(length);
  return !/\r\ntransfer-encoding:/i.test(head) || text.endsWith("0\r\n\r\n");
}

/** Sends the traffic of one seed; returns what went wrong. In every third, connections break now and then. */
async function run(proxy: Awaited<ReturnType<typeof startFakeProxy>>, seed: number): Promise<string[]> {
  const random = createRandom(seed);
  const breaks = seed % 3 === 0;
  const { sockets } = proxy;
  const faults: string[] = [];
  const answers: { peer: FakePeer; pieces: string[] }[] = [];
  const expected = new Map<string, Asked>();
  const clients: Client[] = ["a", "b", "c", "d"].map((name) => {
    const { asked, bytes } = requestsOf(random, `${name}${seed}-`);
    for (const one of asked) expected.set(one.name, one);
    return { peer: proxy.client(), asked, pieces: cut(random, bytes) };
  });
  const peers = clients.map(({ peer }) => peer);
  const answer = (peer: FakePeer, request: Message): void => {
    const name = fieldOf(request, "x-name") ?? "";
    const asked = expected.get(name);
    if (asked === undefined) return void faults.push(`the backend got a request of nobody: ${request.line}`);
    if (request.body !== bodyOf(name, request.body.length)) faults.push(`the backend got another body for ${name}`);
    const [field, body] = framed(random, asked.answer);
    answers.push({ peer, pieces: cut(random, `HTTP/1.1 200 OK\r\nX-Name: ${name}\r\n${field}\r\n${body}`) });
  };
  const serve = (peer: FakePeer): void => {
    if (!peers.includes(peer)) peers.push(peer);
    let unread = "";
    peer.onData = (bytes) => {
      unread += bytes.toString("latin1");
      if (!seemsWhole(unread)) return;
      const reading = readRequest(unread);
      if (reading.kind === "wrong") faults.push(`the backend got what is no request: ${reading.why}`);
      if (reading.kind !== "whole") return;
      unread = reading.rest;
      answer(peer, reading.message);
    };
  };
  sockets.onConnect = serve;
  for (const peer of sockets.upstreams) if (!peer.closed) serve(peer);
  for (;;) {
    const givers = [...clients.filter(({ pieces }) => pieces.length > 0), ...answers.filter(({ pieces }) => pieces.length > 0)];
    if (givers.length === 0) {
      for (const peer of peers) peer.take(true);
      await sockets.settle();
      if (answers.every(({ pieces }) => pieces.length === 0)) break;
      continue;
    }
    const giver = oneOf(random, givers);
    giver.peer.give(giver.pieces.shift() ?? "");
    if (random(4) === 0) oneOf(random, peers).take(random(3) > 0);
    if (breaks && random(30) === 0) oneOf(random, peers).break("ECONNRESET");
    if (random(3) > 0) await sockets.settle();
  }
  for (const { peer, asked } of clients) {
    const got = readAnswers(
      peer.text,
      asked.map(({ method }) => method),
    );
    if (got.wrong !== undefined) faults.push(`a client got what is no answer: ${got.wrong}`);
    for (const [i, { name, answer }] of asked.entries()) {
      const one = got.answers[i];
      if (one === undefined && breaks) break;
      if (one === undefined) faults.push(`${name} was not answered`);
      else if (one.body !== answer && !(breaks && statusOf(one) === 502)) {
        faults.push(`${name} was answered ${one.line} ${fieldOf(one, "x-name")}, ${one.body.length} bytes of ${answer.length}`);
      }
    }
    if (got.cut !== undefined && !breaks) faults.push("an answer was cut");
    peer.break(undefined);
  }
  await sockets.settle();
  const { load } = proxy.transport;
  if (load.connections !== 0 || load.exchanges !== 0) faults.push(`there remain ${JSON.stringify(load)}`);
  return faults;
}

t.test("any traffic, cut anywhere, taken at any speed: everybody gets their own", async (t) => {
  const proxy = await startFakeProxy(t, YAML);
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const faults = await run(proxy, seed);
    if (faults.length > 0) t.fail(`seed ${seed}: ${faults.join("; ")}`);
  }
  t.pass(`${SEEDS} seeds from ${FIRST}`);
});

import t from "tap";
import { ANSWERS, REQUESTS } from "./support/corpus.ts";
import type { RequestOutcome } from "./support/differences.ts";
import { startFakeProxy, type FakeProxy } from "./support/fake-proxy.ts";
import type { FakePeer } from "./support/fake-sockets.ts";
import { readAnswers } from "./support/messages.ts";
import { splitYaml } from "./support/proxy.ts";
import { essence, statusesOf, type Essence } from "./support/recording.ts";

const YAML = splitYaml(
  { stable: "http://127.0.0.1:1", candidate: "http://127.0.0.1:2" },
  { extra: "limits: { header_bytes: 16KiB, body_bytes: 1MiB }" },
);
/** Behind each case, so that it shows whether what follows is still taken for a request. */
const LAST = "GET /v1/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
/** Of long messages the places in the middle are much alike, and every so many-th is enough. */
const EDGE = 200;
const STEP = 97;

interface Cut {
  readonly how: string;
  readonly pieces: readonly string[];
}

/** A text in two, at each byte up to a place; and byte by byte. */
function* cutsOf(text: string, upTo: number): Generator<Cut> {
  for (let at = 1; at <= upTo; at++) {
    if (at > EDGE && at < upTo - EDGE && at % STEP !== 0) continue;
    yield { how: `in front of byte ${at}`, pieces: [text.slice(0, at), text.slice(at)] };
  }
  yield { how: "byte by byte", pieces: text.split("") };
}

async function giveIn(proxy: FakeProxy, peer: FakePeer, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    peer.give(piece);
    await proxy.sockets.settle();
  }
}

interface Outcome extends RequestOutcome {
  readonly open: boolean;
}

/** An error ends the connection if the body has not come by then. */
function isAlike(cut: Outcome, whole: Outcome): boolean {
  if (JSON.stringify(cut) === JSON.stringify(whole)) return true;
  const answers = whole.statuses.slice(0, cut.statuses.length);
  const isClosed = !cut.open && cut.wrong.length === 0 && cut.forwarded.length < whole.forwarded.length;
  return isClosed && cut.statuses.at(-1) === 404 && JSON.stringify(cut.statuses) === JSON.stringify(answers);
}

t.test("a request means the same however it is cut on its way", async (t) => {
  const proxy = await startFakeProxy(t, YAML);
  const outcomeOf = async (pieces: readonly string[]): Promise<Outcome> => {
    proxy.recording.forget();
    const client = proxy.client();
    await giveIn(proxy, client, pieces);
    const open = !client.closed && !client.finished;
    client.break(undefined);
    await proxy.sockets.settle();
    const { requests, wrong } = proxy.recording;
    // 100 Continue is left out where the body has come already.
    const statuses = statusesOf(client.text).filter((status) => status >= 200);
    return { statuses, forwarded: requests.map(essence), wrong: [...wrong], open };
  };
  for (const [name, bytes] of REQUESTS) {
    const whole = await outcomeOf([bytes + LAST]);
    let different: Cut | undefined;
    for (const cut of cutsOf(bytes + LAST, bytes.length + 2)) {
      if (!isAlike(await outcomeOf(cut.pieces), whole)) different ??= cut;
    }
    if (different === undefined) t.pass(name);
    else t.same(await outcomeOf(different.pieces), whole, `${name}, ${different.how}: ${JSON.stringify(bytes)}`);
  }
  t.equal(proxy.transport.load.connections, 0);
  t.equal(proxy.transport.load.exchanges, 0);
});

t.test("an answer means the same however it is cut on its way", async (t) => {
  const proxy = await startFakeProxy(t, YAML);
  /** Undefined: an error, or cut. Which of them depends on how much came at once. */
  const outcomeOf = async (pieces: readonly string[], method: string): Promise<Essence | undefined> => {
    let upstream: FakePeer | undefined;
    proxy.sockets.onConnect = (peer) => (upstream = peer);
    const client = proxy.client();
    const body = method === "POST" ? "Content-Length: 2\r\n\r\nhi" : "\r\n";
    client.give(`${method} /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${body}`);
    await proxy.sockets.settle();
    if (upstream === undefined) throw new Error("the engine did not connect");
    await giveIn(proxy, upstream, pieces);
    upstream.end();
    await proxy.sockets.settle();
    upstream.break(undefined);
    client.break(undefined);
    await proxy.sockets.settle();
    const { answers, wrong } = readAnswers(client.text, [method]);
    if (wrong !== undefined) throw new Error(`the client received what is no answer: ${wrong}`);
    const last = answers.at(-1);
    return last === undefined || last.fields.some(([field]) => field === "Proxy-Status") ? undefined : plain(essence(last));
  };
  for (const [name, bytes, method = "GET"] of ANSWERS) {
    const whole = await outcomeOf([bytes], method);
    let different: Cut | undefined;
    for (const cut of cutsOf(bytes, bytes.length - 1)) {
      if (JSON.stringify(await outcomeOf(cut.pieces, method)) !== JSON.stringify(whole)) different ??= cut;
    }
    if (different === undefined) t.pass(name);
    else t.same(await outcomeOf(different.pieces, method), whole, `${name}, ${different.how}: ${JSON.stringify(bytes)}`);
  }
  t.equal(proxy.transport.load.connections, 0);
});

/** Without what differs from one request to the next. */
function plain({ fields, ...rest }: Essence): Essence {
  return { ...rest, fields: fields.filter((field) => !field.startsWith("server-timing")) };
}

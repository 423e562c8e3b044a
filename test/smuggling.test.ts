import t, { type Test } from "tap";
import type { CreateTransport } from "../src/transport/transport.ts";
import { attacks } from "./support/attacks.ts";
import { readAnswers, readRequest, statusOf, type Message } from "./support/messages.ts";
import { NAIVE_READERS } from "./support/naive.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";
import { say, startRecordingBackend, type Recording } from "./support/recording.ts";

/** Some attacks leave the proxy waiting for a body. Several run side by side. */
const LANES = 12;
const LIMITS = "limits: { header_timeout: 300ms, body_timeout: 300ms }";
/** What a victim sends on the same connection. */
const AFTER = "GET /v1/after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

interface Meant {
  readonly requests: readonly Message[];
  /** Their first lines, and that of one that has only begun. */
  readonly lines: readonly string[];
  /** Behind them comes what is no request. */
  readonly wrong: boolean;
}

/** The requests that the grammar sees in a text. */
function readBy(text: string): Meant {
  const requests: Message[] = [];
  const begun: string[] = [];
  let rest = text;
  let wrong = false;
  while (rest !== "") {
    const reading = readRequest(rest);
    if (reading.kind === "whole") {
      requests.push(reading.message);
      rest = reading.rest;
      continue;
    }
    wrong = reading.kind === "wrong";
    if (reading.kind === "more" && reading.message !== undefined) begun.push(reading.message.line);
    break;
  }
  return { requests, lines: [...requests.map(({ line }) => line), ...begun], wrong };
}

/** Requests as texts that can be compared; the proxy chooses the version itself. */
function withoutVersion(requests: readonly Message[]): string[] {
  return requests.map(({ line, body }) => `${line.split(" ", 2).join(" ")} ${body}`);
}

/** What is wrong with how the proxy took an attack; nothing if all is well. */
function faultsOf(bytes: string, recording: Recording, text: string): string[] {
  const faults: string[] = [];
  const meant = readBy(bytes + AFTER);
  const seen = withoutVersion(meant.requests);
  const forwarded = withoutVersion(recording.requests);
  // What was forwarded is what the grammar sees, in its order; some of it may have been refused.
  const expected = seen.filter((request) => forwarded.includes(request)).slice(0, forwarded.length);
  if (forwarded.join("\0") !== expected.join("\0")) faults.push(`forwarded ${JSON.stringify(forwarded)}, of ${JSON.stringify(seen)}`);
  if (recording.wrong.length > 0) faults.push(`the backend received what is no request: ${recording.wrong.join()}`);
  for (const transcript of recording.transcripts) {
    const strict = readBy(transcript).lines.join();
    for (const { name, linesIn } of NAIVE_READERS) {
      const naive = linesIn(transcript).join();
      if (naive !== strict) faults.push(`a backend that reads ${name} sees ${naive}, not ${strict}`);
    }
  }
  // Every good answer is that of its own request, in their order.
  const methods = seen.map((request) => request.split(" ", 1)[0] ?? "");
  const { answers, wrong } = readAnswers(text, methods);
  if (wrong !== undefined) faults.push(`the client received what is no answer: ${wrong}`);
  const good = answers.filter((answer) => statusOf(answer) === 200 && answer.body !== "").map(({ body }) => body);
  const own = recording.requests.map(({ line }) => line.replace(/ HTTP.*/, "")).filter((line) => !line.startsWith("HEAD"));
  if (good.join() !== own.slice(0, good.length).join()) faults.push(`answered ${good.join()}, forwarded ${own.join()}`);
  const refused = answers.length === 1 && answers.every((answer) => statusOf(answer) >= 400);
  if (meant.requests.length === 0 && meant.wrong && !refused) faults.push(`not refused: ${text}`);
  return faults;
}

async function runAttacks(t: Test, create: CreateTransport): Promise<void> {
  const queue = attacks();
  const runLane = async (): Promise<void> => {
    const { url, recording } = await startRecordingBackend(t);
    const { port } = await startProxy(t, create, splitYaml({ stable: url, candidate: url }, { extra: LIMITS }));
    for (const [name, bytes] of queue) {
      recording.forget();
      const { text } = await say(port, bytes + AFTER);
      t.same(faultsOf(bytes, recording, text), [], `${name}: ${JSON.stringify(bytes)}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, runLane));
}

/** Requests that name more than one host, or try to have it taken away; and the host that the backend must see. Undefined: refused. */
const HOSTS: readonly (readonly [name: string, head: string, host: string | undefined])[] = [
  ["a target with another host", "GET http://b:81/v1/x HTTP/1.1\r\nHost: a\r\n", "b:81"],
  ["a target with another host, in capitals", "GET HTTP://B/v1/x HTTP/1.1\r\nHost: a\r\n", "B"],
  ["a target with another host, and no Host in HTTP/1.0", "GET http://b/v1/x HTTP/1.0\r\n", "b"],
  ["a target with a user before its host", "GET http://a@b/v1/x HTTP/1.1\r\nHost: a\r\n", undefined],
  ["a target with a backslash behind its host", "GET http://a\\@b/v1/x HTTP/1.1\r\nHost: a\r\n", undefined],
  ["two Hosts", "GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n", undefined],
  ["two Hosts in two spellings", "GET /v1/x HTTP/1.1\r\nHost: a\r\nHOST: a\r\n", undefined],
  ["a Host with a blank before its colon", "GET /v1/x HTTP/1.1\r\nHost: a\r\nHost : b\r\n", undefined],
  ["a folded Host", "GET /v1/x HTTP/1.1\r\nHost: a\r\n b\r\n", undefined],
  ["a list of hosts", "GET /v1/x HTTP/1.1\r\nHost: a, b\r\n", undefined],
  ["Connection names Host", "GET /v1/x HTTP/1.1\r\nHost: a\r\nConnection: Host, close\r\n", "a"],
];

async function checkHosts(t: Test, create: CreateTransport): Promise<void> {
  const { url, recording } = await startRecordingBackend(t);
  const { port } = await startProxy(t, create, splitYaml({ stable: url, candidate: url }));
  for (const [name, head, host] of HOSTS) {
    recording.forget();
    const { text } = await say(port, `${head}X-Last: 1\r\n\r\n${AFTER}`);
    const first = recording.requests.find(({ fields }) => fields.some(([field]) => field === "X-Last"));
    const seen = first?.fields.filter(([field]) => field.toLowerCase() === "host").map(([, value]) => value);
    t.same(seen, host === undefined ? undefined : [host], name);
    t.match(text, host === undefined ? /^HTTP\/1\.1 400 / : /^HTTP\/1\.1 200 /, name);
  }
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}: no request is hidden in another`, (t) => runAttacks(t, create));
  t.test(`engine ${engine}: the backend sees one Host, that of the request`, (t) => checkHosts(t, create));
}

import t, { type Test } from "tap";
import { createServer, type IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import type { Socket } from "node:net";
import { ANSWERS, REQUESTS, type Named, type NamedAnswer } from "./support/corpus.ts";
import {
  ANSWER_DIFFERENCES,
  differenceOf,
  REQUEST_DIFFERENCES,
  type AnswerOutcome,
  type Difference,
  type RequestOutcome,
} from "./support/differences.ts";
import { readAnswers } from "./support/messages.ts";
import { mutantsOf, type Mutant } from "./support/mutations.ts";
import { ENGINES, splitYaml, startProxy } from "./support/proxy.ts";
import { essence, say, startRecordingBackend, statusesOf, type Recording } from "./support/recording.ts";
import { startRawBackend } from "./support/upstreams.ts";

/** Printed, so that a failure can be had again; another one finds other things. */
const SEED = Number(process.env["DIFFERENTIAL_SEED"] ?? 20_251);
const REQUEST_MUTANTS = Number(process.env["DIFFERENTIAL_RUNS"] ?? 2_000);
const ANSWER_MUTANTS = REQUEST_MUTANTS / 2;
/** Pairs of proxies that work side by side, since some cases wait for a deadline. */
const LANES = 24;
const LIMITS = "limits: { header_timeout: 600ms, body_timeout: 400ms, header_bytes: 16KiB, body_bytes: 1MiB }";
/** Behind each case: a request that ends the connection if what is in front of it has an end. */
const LAST = "GET /v1/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/** One case on both engines. */
type Ask<Case, Outcome> = (of: Case) => Promise<readonly [wire: Outcome, node: Outcome]>;

/** Runs all cases, and fails for every difference that no rule explains. `check` may ask for more. */
async function compareAll<Case extends Named | NamedAnswer, Outcome>(
  t: Test,
  cases: readonly Case[],
  rules: readonly Difference<Outcome>[],
  openLane: () => Promise<Ask<Case, Outcome>>,
  check: (of: Case, wire: Outcome, rule: string | undefined) => void | Promise<void>,
): Promise<void> {
  const lanes = await Promise.all(Array.from({ length: LANES }, openLane));
  const met = new Map<string, number>();
  let next = 0;
  await Promise.all(
    lanes.map(async (ask) => {
      for (let of = cases[next++]; of !== undefined; of = cases[next++]) {
        const [wire, node] = await ask(of);
        const rule = differenceOf(rules, of[1], wire, node);
        if (rule === undefined) t.same({ wire }, { wire: node }, `${of[0]}: ${JSON.stringify(of[1])}`);
        else met.set(rule, (met.get(rule) ?? 0) + 1);
        await check(of, wire, rule);
      }
    }),
  );
  t.comment(`seed ${SEED}, ${cases.length} cases: ${Array.from(met, ([rule, count]) => `${rule} ${count}`).join(", ")}`);
  t.ok((met.get("equal") ?? 0) > cases.length / 2, "most are equal");
  for (const { name, seldom } of rules) t.ok(met.has(name) || seldom, `the rule is needed: ${name}`);
}

/** What Node's own parser, as strict as it is made, takes for requests in these bytes: method, target and body of each. */
function createThirdOpinion(t: Test): (bytes: string) => Promise<string[]> {
  const server = createServer({ requireHostHeader: false });
  t.teardown(() => server.close());
  server.on("clientError", () => {});
  server.setMaxListeners(0);
  return async (bytes) => {
    const bodies: { req: IncomingMessage; body: string }[] = [];
    const connection = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), final: (done) => done() });
    connection.on("error", () => {});
    const take = (req: IncomingMessage): void => {
      if (req.socket !== connection) return;
      const read = { req, body: "" };
      bodies.push(read);
      req.on("error", () => {});
      req.on("data", (part: Buffer) => (read.body += part.toString("latin1")));
    };
    server.on("request", take);
    server.on("checkContinue", take);
    server.emit("connection", connection);
    connection.push(Buffer.from(bytes, "latin1"));
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    server.off("request", take);
    server.off("checkContinue", take);
    connection.destroy();
    return bodies.map(({ req, body }) => `${req.method} ${req.url} ${body}`);
  };
}

t.test("requests: both engines answer and forward the same, or differ by a rule", async (t) => {
  const readByNode = createThirdOpinion(t);
  const mutants = mutantsOf(REQUESTS, ([, bytes]) => bytes, REQUEST_MUTANTS, SEED);
  const cases = [...REQUESTS, ...mutants.map(({ of, how, bytes }): Named => [`${of[0]}: ${how}`, bytes])];

  const openLane = async (): Promise<Ask<Named, RequestOutcome>> => {
    const sides = await Promise.all(
      ENGINES.map(async ([, create]) => {
        const { url, recording } = await startRecordingBackend(t);
        const { port } = await startProxy(t, create, splitYaml({ stable: url, candidate: url }, { extra: LIMITS }));
        return { port, recording };
      }),
    );
    const outcomeOf = async ({ port, recording }: { port: number; recording: Recording }, bytes: string): Promise<RequestOutcome> => {
      recording.forget();
      const { text } = await say(port, bytes + LAST);
      return { statuses: statusesOf(text), forwarded: recording.requests.map(essence), wrong: [...recording.wrong] };
    };
    return async ([, bytes]) => {
      const [wire, node] = await Promise.all(sides.map((side) => outcomeOf(side, bytes)));
      if (wire === undefined || node === undefined) throw new Error("there are not two engines");
      return [wire, node];
    };
  };

  await compareAll(t, cases, REQUEST_DIFFERENCES, openLane, async ([name, bytes], { forwarded, wrong }, rule) => {
    if (wrong.length > 0) t.fail(`${name}: the backend received what is no request: ${wrong.join()}: ${JSON.stringify(bytes)}`);
    // It closes where it does not know the way, and behind an offer to change protocols.
    if (rule === "a tab behind chunked" || /^upgrade:/im.test(bytes)) return;
    const third = await readByNode(bytes + LAST);
    let at = 0;
    for (const { line, body } of forwarded) {
      const [method = "", target = ""] = line.split(" ");
      // An absolute-form target is forwarded as a path, so it is the end of what came.
      const seen = third.findIndex((said, i) => i >= at && said.startsWith(`${method} `) && endsAlike(said, target, body));
      if (seen < 0)
        t.fail(`${name}: Node's parser sees no ${method} ${target} with this body: ${JSON.stringify(bytes)}: ${JSON.stringify(third)}`);
      at = seen + 1;
    }
  });
});

function mutated({ of: [name, , method], how, bytes }: Mutant<NamedAnswer>): NamedAnswer {
  const told = `${name}: ${how}`;
  return method === undefined ? [told, bytes] : [told, bytes, method];
}

function endsAlike(said: string, target: string, body: string): boolean {
  if (said.endsWith(`${target} ${body}`)) return true;
  const absolute = /^\S+ https?:\/\/[^/?]+/i.exec(said)?.[0];
  return absolute !== undefined && `/${said.slice(absolute.length)}` === `${target} ${body}`;
}

t.test("answers: clients of both engines get the same, or it differs by a rule", async (t) => {
  const mutants = mutantsOf(ANSWERS, ([, bytes]) => bytes, ANSWER_MUTANTS, SEED);
  const cases = [...ANSWERS, ...mutants.map(mutated)];

  const openLane = async (): Promise<Ask<NamedAnswer, AnswerOutcome>> => {
    let answer = "";
    const sides = await Promise.all(
      ENGINES.map(async ([, create]) => {
        const backend = await startRawBackend(t, (socket) => socket.once("data", () => socket.end(answer, "latin1")));
        const { port } = await startProxy(t, create, splitYaml({ stable: backend.url, candidate: backend.url }, { extra: LIMITS }));
        return { port, backend };
      }),
    );
    const outcomeOf = async ({ port, backend }: (typeof sides)[number], method: string): Promise<AnswerOutcome> => {
      const opened = once(backend.server, "connection");
      const fields = method === "POST" ? "Content-Length: 2\r\n\r\nhi" : "\r\n";
      const { text } = await say(port, `${method} /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}`);
      // The next case must not meet this connection while it is closing.
      const [socket] = (await opened) as [Socket];
      if (!socket.destroyed) await once(socket, "close");
      const { answers, wrong } = readAnswers(text, [method]);
      if (wrong !== undefined) throw new Error(`the client received what is no answer: ${wrong}: ${JSON.stringify(text)}`);
      const last = answers.at(-1);
      const own = last === undefined || last.fields.some(([name]) => name.toLowerCase() === "proxy-status");
      return own ? { kind: "failed", begun: last === undefined } : { kind: "passed", answer: essence(last) };
    };
    return async ([, bytes, method = "GET"]) => {
      answer = bytes;
      const [wire, node] = await Promise.all(sides.map((side) => outcomeOf(side, method)));
      if (wire === undefined || node === undefined) throw new Error("there are not two engines");
      return [wire, node];
    };
  };

  await compareAll(t, cases, ANSWER_DIFFERENCES, openLane, () => {});
});

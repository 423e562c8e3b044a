import t, { type Test } from "tap";
import type { Outcome } from "../src/core/words.ts";
import { type Claim, isFinal, type KeptAnswer, type KeyedAnswers } from "../src/proxy/keyed-answers.ts";
import { LARGEST_ANSWER } from "../src/store/keyed-answers.ts";
import type { CreateTransport } from "../src/transport/transport.ts";
import { ask, type Answer } from "./support/client.ts";
import { ANSWER_BYTES, type Column, COLUMNS, good, isArmed, REPLAY_BYTES, type Row, TABLE, type Want } from "./support/fault-rows.ts";
import { type Behaviour, type FaultyUpstream, startFaultyUpstream } from "./support/faulty-upstream.ts";
import { ENGINES, startProxy, type TestProxy } from "./support/proxy.ts";

/**
 * What a client gets and who is asked, for each fault of the candidate (and of the stable arm beside it), each kind of route and each
 * length of body. Every cell has a route and upstreams of its own, so that no cell sees another's connections, figures or breaker.
 */

/** Cells that run at a time: enough to overlap their waiting, few enough that nothing good is late. */
const AT_A_TIME = 32;

interface Cell {
  readonly number: number;
  readonly row: Row;
  readonly column: Column;
  readonly wants: readonly Want[];
  readonly candidate: readonly Behaviour[];
  readonly stable: readonly Behaviour[];
  readonly answers: (Answer | undefined)[];
}

/** What was played, and whom with. */
interface World {
  readonly cells: readonly Cell[];
  readonly proxy: TestProxy;
  readonly upstream: FaultyUpstream;
  readonly keys: Keys;
}

function cellsOf(): readonly Cell[] {
  const all = TABLE.flatMap((row) => COLUMNS.map((column) => ({ row, column })));
  return all.map(({ row, column }, number) => ({
    number,
    row,
    column,
    wants: [isArmed(column) ? row.armed : row.alone].flat(),
    candidate: typeof row.candidate === "string" ? [] : [row.candidate].flat().map((fault) => fault("candidate")),
    stable: row.stable === "refused" ? [] : [(row.stable ?? good)("stable")],
    answers: [],
  }));
}

const SIGNS = `signs:
      enabled: [not-json, success-false, fallback-flag, fallback-algorithm, empty-matches, missing-ids, foreign-ids, equal-scores]
      paths: { success: /success, algorithm: /algorithm_used, fallback_flags: [/metadata/fallback], matches: /matches,
        answer_ids: /matches/*/offer_id, request_ids: /offers/*/id, scores: /matches/*/overall_score, confidences: /matches/*/confidence }`;

function yamlOf(cells: readonly Cell[], served: string): string {
  // No other process will come to listen there, as it may on a port that was free a moment ago.
  const urlOf = (behaviour: Row["candidate"] | undefined): string => (behaviour === "refused" ? "http://127.0.0.1:1" : served);
  const upstream = (name: string, url: string): string => `  ${name}:\n    endpoints: ["${url}"]\n    ${SIGNS}`;
  const flag = (name: string, time: string, breaker: string, percentage = 100): string =>
    `  ${name}: { enabled: true, rollout_percentage: ${percentage}, fallback_system: { enabled: true, breaker: ${breaker}, conditions: { response_time: ${time}, error_rate: 100% } } }`;
  const flags = [
    flag("patient", "20s", "off"),
    flag("late", "300ms", "off"),
    flag("auto", "20s", "auto"),
    flag("open", "20s", "open"),
    flag("closed", "20s", "closed"),
    flag("nobody", "20s", "off", 0),
  ];
  return `
listeners: [{ name: public, address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
store: memory
identity: [header:x-user-id]
limits: { replay_bytes: ${REPLAY_BYTES}, answer_bytes: ${ANSWER_BYTES}, observed_for: 3s, observed_attempts: 1000 }
upstreams:
${cells.flatMap(({ number, row }) => [upstream(`c${number}`, urlOf(row.candidate)), upstream(`s${number}`, urlOf(row.stable))]).join("\n")}
routes:
${cells.map(({ number, row, column, wants }) => `  - { name: r${number}, match: { path: /${number} }, stable: { upstream: s${number}, path: /s${number} }, candidate: { upstream: c${number}, path: /c${number} }, flag: ${row.flag ?? (row.late ? "late" : "patient")}, idempotent: ${column.idempotent}, timeout: ${wants.some((want) => want.timeUp) ? "2s" : "30s"} }`).join("\n")}
flags:
${flags.join("\n")}
`;
}

function requestBody({ bytes }: Column): string {
  const asked = (filler: string): string => JSON.stringify({ offers: [{ id: "o1" }, { id: "o2" }], filler });
  return asked("y".repeat(bytes - asked("").length));
}

/** Each request is one of its own. */
function keyOf({ number }: Cell, request: number): string {
  return `key-${number}-${request}`;
}

/** Remembers what became of each key; nothing is asked for twice here. */
class Keys implements KeyedAnswers {
  readonly settled = new Map<string, readonly (KeptAnswer | undefined)[]>();

  claim(_scope: string, key: string, _fingerprint: string, done: (claim: Claim) => void): void {
    setImmediate(() => done(this.settled.has(key) ? { kind: "mismatch" } : { kind: "new" }));
  }

  settle(_scope: string, key: string, answer: KeptAnswer | undefined): void {
    const kept = answer === undefined ? undefined : { ...answer, body: Buffer.from(answer.body) };
    this.settled.set(key, [...(this.settled.get(key) ?? []), kept]);
  }

  /** What is remembered for a key, in a word; a key that was not settled just once is none of these. */
  wordFor(key: string, answer: Answer | undefined): "kept" | "too long" | "free" | "other" {
    const all = this.settled.get(key) ?? [];
    if (all.length !== 1) return "other";
    const [kept] = all;
    if (kept === undefined) return "free";
    if (kept.body.length > LARGEST_ANSWER) return "too long";
    return answer !== undefined && answer.status === kept.status && answer.body.equals(kept.body) ? "kept" : "other";
  }
}

/** What is to be remembered of an answer: it, if the client has all of it and it is the last word; of one that was passed on unheld, that it was. */
function keptOf({ gets }: Want, answer: Answer | undefined): "kept" | "too long" | "free" {
  if (gets === "cut") return "too long";
  if (answer === undefined || !isFinal(answer.status)) return "free";
  return answer.body.length > ANSWER_BYTES ? "too long" : "kept";
}

/** The requests of a cell, one after the other. */
async function play(cell: Cell, proxy: TestProxy, upstream: FaultyUpstream): Promise<void> {
  const { number, column, wants } = cell;
  upstream.plan(`/c${number}`, cell.candidate);
  upstream.plan(`/s${number}`, cell.stable);
  const headers = { "x-user-id": `user-${number}`, "content-type": "application/json" };
  for (const i of wants.keys()) {
    const key = { "idempotency-key": keyOf(cell, i) };
    // What breaks off has no answer.
    const answer = ask(`${proxy.url}/${number}`, {
      method: "POST",
      body: requestBody(column),
      headers: { ...headers, ...(column.keyed && key) },
    }).catch(() => undefined);
    cell.answers.push(await answer);
  }
}

/** What a client has been given. A whole answer is one only with all its bytes, its status and the fields that say how to read it. */
function gotten(cell: Cell, want: Want, answer: Answer | undefined): string | number {
  if (answer === undefined) return want.gets === "broken" ? "broken" : "cut";
  const is = (each: Behaviour): boolean =>
    each.status === answer.status &&
    each.body.equals(answer.body) &&
    Object.entries(each.fields).every(([name, value]) => answer.headers[name] === value);
  const by = String(answer.headers["x-crossfade-served-by"]);
  if (cell.candidate.some(is) && by === `c${cell.number}`) return "candidate";
  if (cell.stable.some(is) && by === `s${cell.number}`) return "stable";
  if (answer.headers["content-type"] !== "application/problem+json")
    return `${answer.status} with ${answer.body.length} bytes said to be by ${by}`;
  if (answer.status === 502 && want.gets === "broken") return "broken";
  return answer.status === 502 || answer.status === 504 ? answer.status : `problem ${answer.status}`;
}

/** How the request is filed, whose answer was `answer`. */
function filedAs({ gets, candidate, stable = [] }: Want, answer: Answer | undefined): Outcome {
  if (gets === "candidate" || gets === "stable") return (answer?.status ?? 0) >= 500 ? "server-error" : "ok";
  if (gets === 504 || (gets === "cut" && candidate.at(-1) === "timeout")) return "timeout";
  return [...candidate, ...stable].every((each) => each === "connect-failed") ? "connect-failed" : "reset";
}

/** What a cell was to show, and what it shows, in the same form. */
function compare(cell: Cell, { proxy, upstream, keys }: World): { wanted: object; found: object } {
  const { number, row, column, wants, answers } = cell;
  const { attempts, requests, defects } = proxy.recorder;
  const candidates = attempts.filter((attempt) => attempt.upstream === 2 * number);
  const stables = attempts.filter((attempt) => attempt.upstream === 2 * number + 1);
  const sends = { candidate: upstream.seen(`/c${number}`), stable: upstream.seen(`/s${number}`) };
  const text = requestBody(column);

  const outcomes = wants
    .flatMap((want) => want.candidate)
    .map((outcome, i) => {
      if (outcome !== "(degraded)") return outcome;
      return candidates[i]?.outcome === "ok" ? "ok" : "degraded";
    });
  const stableOutcomes = wants.flatMap((want) => want.stable ?? []);
  const reached = (all: readonly Outcome[]): number => all.filter((outcome) => outcome !== "connect-failed").length;
  const lacksFallback = row.flag !== "nobody" && column.idempotent && !isArmed(column);
  const wanted = {
    clients: wants.map(({ gets, fallback }) => ({
      gets,
      fallback: gets === "cut" || gets === "broken" ? undefined : (fallback ?? (lacksFallback ? "unavailable" : undefined)),
    })),
    sends: { candidate: reached(outcomes), stable: reached(stableOutcomes) },
    allWhole: true,
    attempts: { candidate: outcomes, stable: stableOutcomes },
    kinds: wants.flatMap(({ fallback, stable = [] }) =>
      stable.map(() => (fallback === undefined || fallback === "breaker" ? "first" : "fallback")),
    ),
    requests: wants.map((want, i) => ({ assigned: row.flag === "nobody" ? "stable" : "candidate", outcome: filedAs(want, answers[i]) })),
    defects: outcomes
      .filter((outcome) => row.sign !== undefined && (outcome === "degraded" || outcome === "bad-answer"))
      .map(() => row.sign),
  };
  const found = {
    clients: wants.map((want, i) => ({ gets: gotten(cell, want, answers[i]), fallback: answers[i]?.headers["x-crossfade-fallback"] })),
    sends: { candidate: sends.candidate.length, stable: sends.stable.length },
    allWhole: [...sends.candidate, ...sends.stable].every(({ body }) => body.equals(Buffer.from(text))),
    attempts: { candidate: candidates.map(({ outcome }) => outcome), stable: stables.map(({ outcome }) => outcome) },
    kinds: stables.map(({ kind }) => kind),
    requests: requests.filter(({ route }) => route === number).map(({ assigned, outcome }) => ({ assigned, outcome })),
    defects: defects.filter((each) => each.upstream === 2 * number).map(({ defect }) => defect),
  };
  if (!column.keyed || !isArmed(column)) return { wanted, found };
  return {
    wanted: { ...wanted, keys: wants.map((want, i) => keptOf(want, answers[i])) },
    found: { ...found, keys: wants.map((_want, i) => keys.wordFor(keyOf(cell, i), answers[i])) },
  };
}

/** What holds whatever the table says. */
function checkRules(t: Test, { number, row, column, wants }: Cell, upstream: FaultyUpstream): void {
  const candidate = upstream.seen(`/c${number}`);
  const stable = upstream.seen(`/s${number}`);
  if (!isArmed(column)) {
    t.ok(candidate.length === 0 || stable.length === 0, "what may be sent once is not sent to both arms");
    t.ok(candidate.length + stable.length <= wants.length, "nor twice to one");
  }
  t.ok(stable.length <= wants.length, "the stable arm is asked once at most");
  const mayRace = Array.isArray(row.candidate);
  t.ok(candidate.length <= wants.length + (mayRace && isArmed(column) ? 1 : 0), "and so is the candidate, unless a kept connection broke");
}

/** Settles, or gives up: then the comparison says what is missing. */
async function within(ms: number, settled: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([settled, promise]);
  clearTimeout(timer);
}

async function playAll(cells: readonly Cell[], proxy: TestProxy, upstream: FaultyUpstream): Promise<void> {
  const left = cells.values();
  const worker = async (): Promise<void> => {
    for (const cell of left) await play(cell, proxy, upstream);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  const isDone = (): boolean => {
    const counts = new Map<number, number>();
    for (const { upstream } of proxy.recorder.attempts) counts.set(upstream, (counts.get(upstream) ?? 0) + 1);
    return cells.every(({ number, wants }) => {
      const candidate = wants.flatMap((want) => want.candidate);
      const stable = wants.flatMap((want) => want.stable ?? []);
      return (counts.get(2 * number) ?? 0) >= candidate.length && (counts.get(2 * number + 1) ?? 0) >= stable.length;
    });
  };
  // What lost is still observed for a while.
  await within(8_000, proxy.recorder.until(isDone));
}

for (const [engine, create] of ENGINES) {
  t.test(`engine ${engine}`, async (t) => {
    const world = await playTable(t, create);
    const { cells, proxy, upstream } = world;
    for (const row of TABLE) {
      t.test(row.name, async (t) => {
        for (const cell of cells.filter((each) => each.row === row)) {
          const { wanted, found } = compare(cell, world);
          t.same(found, wanted, cell.column.name);
          checkRules(t, cell, upstream);
        }
      });
    }
    t.test("each fallback is counted once, under its reason", async (t) => {
      const reasons = cells.flatMap(({ wants }) => wants.map(({ fallback }) => fallback)).filter((reason) => reason !== undefined);
      t.same(tally(proxy.recorder.fallbacks), tally(reasons));
    });
  });
}

async function playTable(t: Test, create: CreateTransport): Promise<World> {
  const upstream = await startFaultyUpstream(t);
  const cells = cellsOf();
  const keys = new Keys();
  const proxy = await startProxy(t, create, yamlOf(cells, upstream.url), { keyedAnswers: keys });
  await playAll(cells, proxy, upstream);
  return { cells, proxy, upstream, keys };
}

function tally(reasons: readonly string[]): object {
  return Object.fromEntries([...new Set(reasons)].sort().map((reason) => [reason, reasons.filter((each) => each === reason).length]));
}

import fc from "fast-check";
import t, { type Test } from "tap";
import { AnswerDesk, AskedAnswers } from "../src/app/keyed-answers.ts";
import type { KeyQuestion, ToWorker } from "../src/app/protocol.ts";
import { type Claim, fingerprintOf, isFinal, type KeptAnswer, keyOf, scopeOf } from "../src/proxy/keyed-answers.ts";
import { type AnswerStore, LARGEST_ANSWER } from "../src/store/keyed-answers.ts";
import { createMemoryAnswers } from "../src/store/keyed-answers-memory.ts";
import { configOf, configText, startApp } from "./support/app.ts";
import { until } from "./support/redis.ts";
import { recordLog } from "./support/store-watch.ts";

const CLAIMING = new URL("./support/claiming-worker.ts", import.meta.url);

const answerOf = (text: string): KeptAnswer => ({
  status: 201,
  fields: ["Content-Type", "text/plain", "Set-Cookie", "a=\xe9"],
  body: Buffer.from(text),
  servedBy: "old",
});

t.test("a key is what the field means, however it is written", async (t) => {
  t.equal(keyOf('"8e03978e-40d5"'), "8e03978e-40d5", "a structured-field string");
  t.equal(keyOf(String.raw`"a\"b\\c"`), String.raw`a"b\c`, "with its escapes");
  t.equal(keyOf("  tok:en/1 "), "tok:en/1", "a token");
  t.equal(keyOf("8e03978e-40d5"), "8e03978e-40d5", "a bare UUID, which is neither");
  t.equal(keyOf('"half'), '"half', "malformed: as it stands");
  t.equal(keyOf(`"${"x".repeat(255)}"`), "x".repeat(255));
  t.equal(keyOf(`"${"x".repeat(256)}"`), `"${"x".repeat(256)}"`, "too long to be looked into");
  for (const none of ["", "  ", '""']) t.equal(keyOf(none), undefined, JSON.stringify(none));
});

t.test("any key survives being written as a structured-field string", async () => {
  const printable = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 120,
  });
  fc.assert(fc.property(printable, (key) => keyOf(`"${key.replace(/["\\]/g, "\\$&")}"`) === key));
});

t.test("scopes and fingerprints differ when anything in them does", async (t) => {
  const scopes = [
    scopeOf("r", "ann", ""),
    scopeOf("s", "ann", ""),
    scopeOf("r", "bob", ""),
    scopeOf("r", "", "ann"),
    scopeOf("r", "an", "n"),
  ];
  t.equal(new Set(scopes).size, scopes.length);
  const body = Buffer.from("{}");
  const prints = [
    fingerprintOf("POST", "/a", body),
    fingerprintOf("PUT", "/a", body),
    fingerprintOf("POST", "/a?b", body),
    fingerprintOf("POST", "/a", Buffer.from("{} ")),
    fingerprintOf("POST", "/a", undefined),
  ];
  t.equal(new Set(prints).size, prints.length);
  t.equal(fingerprintOf("POST", "/a", body), fingerprintOf("POST", "/a", new Uint8Array(body)));
});

t.test("an answer that asks for another try is not the last word", async (t) => {
  t.same(
    [200, 201, 204, 303, 400, 404, 410, 422, 500].filter((status) => !isFinal(status)),
    [],
  );
  t.same([401, 409, 425, 429, 502, 503, 504].filter(isFinal), []);
});

/** A worker and the control thread without threads: what one says, the other hears at once. */
interface Worker {
  readonly answers: AskedAnswers;
  readonly asker: { send(message: ToWorker): void };
  claim(key: string, fingerprint?: string): Promise<Claim>;
}

function workerAt(desk: AnswerDesk): Worker {
  const asker = { send: (message: ToWorker): void => void (message.kind === "claimed" && answers.claimed(message.id, message.claim)) };
  const answers = new AskedAnswers((question, transfer) => desk.receive(asker, structuredClone(question, { transfer: [...transfer] })));
  const claim = (key: string, fingerprint = "f"): Promise<Claim> =>
    new Promise((resolve) => answers.claim("r\0u", key, fingerprint, resolve));
  return { answers, asker, claim };
}

function memory(
  t: Test,
  options: { bytes?: number; now?: () => number } = {},
): { store: AnswerStore; desk: AnswerDesk; log: ReturnType<typeof recordLog> } {
  const log = recordLog();
  const store = createMemoryAnswers({ ttlMs: 1_000, log, ...options });
  t.teardown(() => store.close());
  return { store, desk: new AnswerDesk(store), log };
}

t.test("whoever repeats a request gets the answer that was served, from every worker", async (t) => {
  const { desk } = memory(t);
  const [one, two] = [workerAt(desk), workerAt(desk)];
  t.same(await one.claim("k"), { kind: "new" });
  t.match(await two.claim("k"), { kind: "busy", detail: /under way/ }, "another worker");
  t.match(await one.claim("k"), { kind: "busy", detail: /under way/ }, "the same worker");
  t.same(await two.claim("k", "other"), { kind: "mismatch" });
  t.same(await one.claim("k", "other"), { kind: "mismatch" });
  t.same(await two.claim("l"), { kind: "new" }, "another key is another matter");

  const body = Buffer.alloc(100, "-");
  body.write("served", 10);
  one.answers.settle("r\0u", "k", { ...answerOf(""), body: body.subarray(10, 16) });
  body.fill("!");
  for (const worker of [one, two, one]) {
    const claim = await worker.claim("k");
    if (claim.kind !== "kept") return t.fail(claim.kind);
    t.equal(Buffer.from(claim.answer.body).toString(), "served", "a copy, of the answer alone");
    t.equal(claim.answer.body.buffer.byteLength, 6);
    t.match(claim.answer, { status: 201, fields: answerOf("").fields, servedBy: "old" });
  }
  t.same(await two.claim("k", "other"), { kind: "mismatch" }, "a kept answer is for the same request alone");
});

t.test("of a hundred requests with one key at a time, one is the first", async (t) => {
  const { desk } = memory(t);
  const workers = Array.from({ length: 4 }, () => workerAt(desk));
  const claims = await Promise.all(workers.flatMap((worker) => Array.from({ length: 25 }, () => worker.claim("k"))));
  t.equal(claims.filter(({ kind }) => kind === "new").length, 1);
  t.equal(claims.filter(({ kind }) => kind === "busy").length, 99);
});

t.test("a key whose request came to nothing is free again", async (t) => {
  const { desk } = memory(t);
  const worker = workerAt(desk);
  t.equal((await worker.claim("k")).kind, "new");
  worker.answers.settle("r\0u", "k", undefined);
  t.equal((await worker.claim("k", "other")).kind, "new");
  worker.answers.settle("r\0u", "never claimed", answerOf("x"));
  t.equal((await worker.claim("never claimed")).kind, "new", "what nobody claimed cannot be settled");
});

t.test("an answer too long to be kept leaves its key used", async (t) => {
  const { desk } = memory(t);
  const worker = workerAt(desk);
  for (const [key, length, kind] of [
    ["fits", LARGEST_ANSWER, "kept"],
    ["too long", LARGEST_ANSWER + 1, "busy"],
  ] as const) {
    await worker.claim(key);
    worker.answers.settle("r\0u", key, { ...answerOf(""), body: new Uint8Array(length) });
    t.equal((await worker.claim(key)).kind, kind);
  }
  t.match(await worker.claim("too long"), { detail: /too long to be kept/ });
  t.same(await worker.claim("too long", "other"), { kind: "mismatch" });
});

t.test("what a dead worker had claimed is free, what it had answered is kept", async (t) => {
  const { desk } = memory(t);
  const [dying, other] = [workerAt(desk), workerAt(desk)];
  await dying.claim("answered");
  dying.answers.settle("r\0u", "answered", answerOf("x"));
  await dying.claim("open");
  await other.claim("of another");
  desk.left(dying.asker);
  const third = workerAt(desk);
  t.equal((await third.claim("open")).kind, "new");
  t.equal((await third.claim("answered")).kind, "kept");
  t.equal((await third.claim("of another")).kind, "busy");
});

t.test("the claims of a worker thread that dies are free for its successor", async (t) => {
  const text = configText({ stable: "http://127.0.0.1:1", candidate: "http://127.0.0.1:1", workers: 1 });
  const app = await startApp(t, configOf(text), { workerModule: CLAIMING });
  const deaths = (): string[] => app.lines.flatMap(({ reason }) => /the key is \w+/.exec(String(reason))?.[0] ?? []);
  await until(() => deaths().length >= 2, "a second worker to die of its claim");
  t.same(new Set(deaths()), new Set(["the key is new"]));
});

t.test("a control thread that does not answer makes nobody wait for long, and hears what was served", async (t) => {
  const said: KeyQuestion[] = [];
  const answers = new AskedAnswers((question) => said.push(question), 20);
  const claims: Claim[] = [];
  await new Promise<void>((resolve) => {
    answers.claim("r\0u", "k", "f", (claim) => {
      claims.push(claim);
      resolve();
    });
  });
  t.same(claims, [{ kind: "unavailable" }]);
  answers.claimed(1, { kind: "new" });
  t.equal(claims.length, 1, "a late word is not told again");
  answers.settle("r\0u", "k", answerOf("x"));
  t.match(said, [
    { kind: "claim", id: 1 },
    { kind: "settle", id: 1, settlement: { kind: "kept" } },
  ]);
});

t.test("a request that is over before its key is known withdraws the question", async (t) => {
  const said: KeyQuestion[] = [];
  const answers = new AskedAnswers((question) => said.push(question));
  answers.claim("r\0u", "k", "f", () => t.fail("nobody waits for it any more"));
  answers.settle("r\0u", "k", undefined);
  answers.claimed(1, { kind: "new" });
  t.same(said.at(-1), { kind: "settle", id: 1, settlement: { kind: "free" } });
});

t.test("kept answers run out", async (t) => {
  let now = 0;
  const { desk } = memory(t, { now: () => now });
  const worker = workerAt(desk);
  await worker.claim("k");
  worker.answers.settle("r\0u", "k", answerOf("x"));
  now = 999;
  t.equal((await worker.claim("k")).kind, "kept");
  now = 1_000;
  t.equal((await worker.claim("k", "other")).kind, "new", "nor is it known what for they were");
});

t.test("answers in memory are bounded by bytes: those not asked for longest make room", async (t) => {
  let now = 0;
  const { desk, log } = memory(t, { bytes: 32_768, now: () => now });
  const worker = workerAt(desk);
  const keep = async (key: string): Promise<void> => {
    await worker.claim(key);
    worker.answers.settle("r\0u", key, { ...answerOf(""), body: new Uint8Array(2_048) });
  };
  await worker.claim("under way");
  for (let i = 0; i < 8; i++) await keep(`k${i}`);
  t.equal((await worker.claim("k0")).kind, "kept", "asked for: the newest now");
  for (let i = 8; i < 16; i++) await keep(`k${i}`);
  t.equal((await worker.claim("k0")).kind, "kept");
  t.equal((await worker.claim("k15")).kind, "kept");
  t.equal((await worker.claim("k1")).kind, "new", "forgotten");
  t.equal((await workerAt(desk).claim("under way")).kind, "busy", "a claim is not forgotten");
  t.equal(log.lines.length, 1, "said once a second");
  now = 1_000;
  for (let i = 20; i < 24; i++) await keep(`k${i}`);
  t.equal(log.lines.length, 1, "what has run out makes room first");
  for (let i = 24; i < 44; i++) await keep(`k${i}`);
  t.equal(log.lines.length, 2);
  t.match(log.lines[1]?.details, { omitted: 3 }, "with how many were not said");
});

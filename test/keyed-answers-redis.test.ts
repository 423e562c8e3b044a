import { createHash, randomUUID } from "node:crypto";
import t, { type Test } from "tap";
import { createAnswerStore } from "../src/store/create.ts";
import { type AnswerStore, type Claim, type KeptAnswer, LARGEST_ANSWER } from "../src/store/keyed-answers.ts";
import { createRedisAnswers } from "../src/store/keyed-answers-redis.ts";
import { answerKey } from "../src/store/keys.ts";
import { configOf, configText } from "./support/app.ts";
import { type RedisServer, startRedis, startSentinel, until } from "./support/redis.ts";
import { recordLog, type RecordedLog } from "./support/store-watch.ts";

const LEASE_MS = 60_000;
const TTL_MS = 3_600_000;
const SCOPE = "order\0somebody";

const answerOf = (body: Uint8Array | string): KeptAnswer => ({
  status: 201,
  fields: ["Content-Type", "application/octet-stream", "X-Latin", "\xe9\xff"],
  body: Buffer.from(body),
  servedBy: "old",
});

async function server(t: Test, options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  t.teardown(() => redis.stop());
  return redis;
}

interface Instance {
  readonly store: AnswerStore;
  readonly log: RecordedLog;
  claim(key: string, fingerprint?: string, token?: string): Promise<Claim>;
  /** Claims what nobody has used, and settles it. */
  serve(key: string, answer: KeptAnswer): Promise<void>;
}

interface Options {
  readonly prefix: string;
  readonly ttlMs?: number;
  readonly leaseMs?: number;
}

/** An instance that has reached its server. */
async function instance(t: Test, url: string, options: Options): Promise<Instance> {
  const opened = open(t, { kind: "redis", url }, options);
  await reached(opened);
  return opened;
}

function open(t: Test, store: Parameters<typeof createRedisAnswers>[0]["store"], options: Options): Instance {
  const log = recordLog();
  const answers = createRedisAnswers({ store, instance: "tested", log, ttlMs: TTL_MS, leaseMs: LEASE_MS, ...options });
  t.teardown(() => answers.close());
  const claim = (key: string, fingerprint = "f", token: string = randomUUID()): Promise<Claim> =>
    answers.claim({ token, scope: SCOPE, key, fingerprint });
  return {
    store: answers,
    log,
    claim,
    async serve(key, answer) {
      const token = randomUUID();
      t.equal((await claim(key, "f", token)).kind, "new");
      answers.settle(token, { kind: "kept", answer });
    },
  };
}

async function reached({ store, claim }: Instance, withinMs?: number): Promise<void> {
  const reaches = async (): Promise<boolean> => {
    const token = randomUUID();
    const { kind } = await claim(`probe ${token}`, "f", token);
    store.settle(token, { kind: "free" });
    return kind === "new";
  };
  await until(reaches, "the store to be reached", withinMs);
}

const nameOf = (prefix: string, key: string): string =>
  answerKey(prefix, "order", createHash("sha256").update(`${SCOPE}\0${key}`).digest("hex"));

async function keptBody(claim: Claim): Promise<string> {
  return claim.kind === "kept" ? Buffer.from(claim.answer.body).toString() : claim.kind;
}

t.test("keys and answers in one Redis", async (t) => {
  const redis = await server(t);
  const two = async (t: Test, options: Omit<Options, "prefix"> = {}): Promise<{ a: Instance; b: Instance; prefix: string }> => {
    const prefix = `test-${randomUUID()}:`;
    return { a: await instance(t, redis.url, { prefix, ...options }), b: await instance(t, redis.url, { prefix, ...options }), prefix };
  };

  await t.test("an answer that one instance served is given again by another, byte for byte", async (t) => {
    const { a, b } = await two(t);
    const body = Uint8Array.from({ length: 300 }, (_, i) => i % 256);
    const token = randomUUID();
    t.same(await a.claim("k", "f", token), { kind: "new" });
    t.match(await b.claim("k"), { kind: "busy", detail: /under way/ });
    t.same(await b.claim("k", "other"), { kind: "mismatch" });
    a.store.settle(token, { kind: "kept", answer: answerOf(body) });
    await until(async () => (await b.claim("k")).kind === "kept", "the answer to be kept");
    const claim = await b.claim("k");
    if (claim.kind !== "kept") return t.fail(claim.kind);
    t.same(Buffer.from(claim.answer.body), Buffer.from(body));
    t.equal(claim.answer.body.buffer.byteLength, body.length, "in memory of its own");
    t.match({ ...claim.answer, body: undefined }, { ...answerOf(""), body: undefined });
    t.same(await b.claim("k", "other"), { kind: "mismatch" });
  });

  await t.test("an answer without a body and one as long as may be are kept; a longer one leaves its key used", async (t) => {
    const { a, b } = await two(t);
    await a.serve("empty", answerOf(""));
    await a.serve("long", answerOf(new Uint8Array(LARGEST_ANSWER).fill(0xff)));
    const token = randomUUID();
    await a.claim("longer", "f", token);
    a.store.settle(token, { kind: "unkept" });
    await until(async () => /too long/.test(JSON.stringify(await b.claim("longer"))), "the key to be marked");
    t.equal(await keptBody(await b.claim("empty")), "");
    const long = await b.claim("long");
    t.ok(long.kind === "kept" && long.answer.body.length === LARGEST_ANSWER && long.answer.body.every((byte) => byte === 0xff));
  });

  await t.test("of a hundred claims of one key at a time, over two instances, one is new", async (t) => {
    const { a, b } = await two(t);
    const claims = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? a : b).claim("k")));
    t.equal(claims.filter(({ kind }) => kind === "new").length, 1);
    t.equal(claims.filter(({ kind }) => kind === "busy").length, 99);
  });

  await t.test("a claim holds for its lease and an answer for its time, and nothing stays for ever", async (t) => {
    const { a, prefix } = await two(t);
    const token = randomUUID();
    await a.claim("k", "f", token);
    const ttl = async (): Promise<number> => Number(await redis.cli("PTTL", nameOf(prefix, "k")));
    const lease = await ttl();
    t.ok(lease > LEASE_MS - 10_000 && lease <= LEASE_MS, `${lease} ms`);
    a.store.settle(token, { kind: "kept", answer: answerOf("x") });
    await until(async () => (await a.claim("k")).kind === "kept", "the answer to be kept");
    const kept = await ttl();
    t.ok(kept > TTL_MS - 10_000 && kept <= TTL_MS, `${kept} ms`);
    await redis.cli("PEXPIRE", nameOf(prefix, "k"), 1);
    await until(async () => (await a.claim("k", "other")).kind === "new", "the answer to run out");
  });

  await t.test("a claim lasts as long as its request, and no longer than its lease when the instance is gone", async (t) => {
    const { a, b, prefix } = await two(t, { leaseMs: 300 });
    await a.claim("k");
    await redis.cli("PEXPIRE", nameOf(prefix, "k"), 100_000);
    await until(async () => Number(await redis.cli("PTTL", nameOf(prefix, "k"))) <= 300, "the claim to be renewed");
    t.equal((await b.claim("k")).kind, "busy");
    await a.store.close();
    await until(async () => (await b.claim("k")).kind === "new", "the lease to run out");
  });

  await t.test("a claim whose key was lost is made again; one that somebody else has made is left alone", async (t) => {
    const { a, b, prefix } = await two(t, { leaseMs: 300 });
    await a.claim("lost");
    await redis.cli("DEL", nameOf(prefix, "lost"));
    await until(async () => (await redis.cli("EXISTS", nameOf(prefix, "lost"))) === "1", "the claim to be made again");
    t.equal((await b.claim("lost")).kind, "busy");

    const [first, second] = [randomUUID(), randomUUID()];
    await a.claim("taken", "f", first);
    await redis.cli("HSET", nameOf(prefix, "taken"), "token", second);
    a.store.settle(first, { kind: "free" });
    await reached(a);
    t.equal((await b.claim("taken")).kind, "busy", "not freed by whom it no longer belongs to");
    const third = randomUUID();
    await a.claim("taken later", "f", third);
    await redis.cli("HSET", nameOf(prefix, "taken later"), "token", second);
    a.store.settle(third, { kind: "kept", answer: answerOf("late") });
    await reached(a);
    t.equal((await b.claim("taken later")).kind, "busy", "nor answered");
  });

  await t.test("a key that is freed can be used again, also for another request", async (t) => {
    const { a, b } = await two(t);
    const token = randomUUID();
    await a.claim("k", "f", token);
    a.store.settle(token, { kind: "free" });
    a.store.settle(token, { kind: "kept", answer: answerOf("settled twice") });
    await reached(a);
    t.equal((await b.claim("k", "other")).kind, "new");
  });

  await t.test("a key that holds something else is nobody's, and says so once a second at most", async (t) => {
    const { a, prefix } = await two(t);
    await redis.cli("SET", nameOf(prefix, "k"), "mine");
    const began = performance.now();
    const before = a.log.lines.length;
    let refused = 0;
    await until(async () => {
      const token = randomUUID();
      if ((await a.claim("k", "f", token)).kind === "unavailable") refused++;
      a.store.settle(token, { kind: "kept", answer: answerOf("x") });
      return /has been overwritten/.test(a.log.lines.at(-1)?.message ?? "") && refused >= 20;
    }, "the log to say what is wrong");
    t.equal(await redis.cli("GET", nameOf(prefix, "k")), "mine");
    const lines = a.log.lines.length - before;
    t.ok(lines <= 1 + (performance.now() - began) / 1_000, `${lines} lines for ${refused} refusals`);
  });

  await t.test("an answer that is on its way when the program ends is kept", async (t) => {
    const { a, b } = await two(t);
    await a.serve("k", answerOf("last"));
    await a.store.close();
    t.equal(await keptBody(await b.claim("k")), "last");
  });
});

t.test("a server that is killed stops nobody, and has the answers when it is back", async (t) => {
  const redis = await server(t);
  const a = await instance(t, redis.url, { prefix: "test:" });
  const [before, during] = [randomUUID(), randomUUID()];
  t.equal((await a.claim("before", "f", before)).kind, "new");
  t.equal((await a.claim("under way")).kind, "new");
  await redis.kill();
  const began = performance.now();
  await until(async () => (await a.claim("during", "f", during)).kind === "unavailable", "the loss to be noticed");
  for (let i = 0; i < 50; i++) t.equal((await a.claim(`refused ${i}`)).kind, "unavailable");
  t.ok(performance.now() - began < 2_000, "at once: with patience it would be 12 seconds");
  a.store.settle(before, { kind: "kept", answer: answerOf("before") });
  a.store.settle(during, { kind: "kept", answer: answerOf("during") });
  await redis.restart({ empty: true });
  await reached(a);
  const b = await instance(t, redis.url, { prefix: "test:" });
  for (const key of ["before", "during"]) t.equal(await keptBody(await b.claim(key)), key, `served ${key} it was lost`);
  t.equal((await b.claim("under way")).kind, "busy", "what goes on was claimed anew");
  t.ok(a.log.lines.length <= 2 + (performance.now() - began) / 1_000, `${a.log.lines.length} lines in the log`);
});

t.test("a server that hangs is not asked twice, and its answers are written when it goes on", async (t) => {
  const redis = await server(t);
  const a = await instance(t, redis.url, { prefix: "test:" });
  redis.pause();
  t.teardown(() => redis.resume());
  const token = randomUUID();
  const hanging = a.claim("k", "f", token);
  await until(async () => {
    const began = performance.now();
    const later = await Promise.race([a.claim(randomUUID()), new Promise((resolve) => setImmediate(resolve, "waits"))]);
    return later !== "waits" && performance.now() - began < 100;
  }, "claims to be refused at once");
  a.store.settle(token, { kind: "kept", answer: answerOf("x") });
  redis.resume();
  await hanging;
  await reached(a);
  t.equal(await keptBody(await (await instance(t, redis.url, { prefix: "test:" })).claim("k")), "x");
});

t.test("a server that hangs for good is given up, and found again", async (t) => {
  const redis = await server(t);
  const a = await instance(t, redis.url, { prefix: "test:" });
  redis.pause();
  t.teardown(() => redis.resume());
  t.equal((await a.claim("k")).kind, "unavailable", "after the time that a connection may be silent");
  redis.resume();
  await reached(a);
  t.pass("without being told");
});

t.test("without a server there are no keys, and the program ends all the same", async (t) => {
  const redis = await server(t);
  await redis.kill();
  const a = open(t, { kind: "redis", url: redis.url }, { prefix: "test:" });
  const token = randomUUID();
  t.equal((await a.claim("k", "f", token)).kind, "unavailable");
  a.store.settle(token, { kind: "kept", answer: answerOf("x") });
  await a.store.close();
});

t.test("a user with a password, and a failover by Sentinel", async (t) => {
  const guarded = await server(t, { password: "p@ss:w/rd" });
  const a = await instance(t, guarded.url, { prefix: "test:" });
  t.equal((await a.claim("k")).kind, "new");

  const setup = await startSentinel();
  t.teardown(() => setup.stop());
  const { name, sentinels, master } = setup;
  const none = { username: undefined, password: undefined, sentinelPassword: undefined };
  const b = open(t, { kind: "sentinel", sentinels, master: name, ...none, db: 0 }, { prefix: "test:" });
  await reached(b);
  await master.kill();
  await until(async () => (await b.claim("lost")).kind === "unavailable", "the loss to be noticed");
  await reached(b, 25_000);
  t.pass("the new master is found");
});

t.test("where no route has a use for keys, no connection is held", async (t) => {
  const redis = await server(t);
  const text = configText({ stable: "http://127.0.0.1:1", candidate: "http://127.0.0.1:1", store: redis.url });
  const claim = async (file: string, ttlMs: number): Promise<string> => {
    const store = createAnswerStore({ config: configOf(file), ttlMs, instance: "tested", log: recordLog() });
    t.teardown(() => store.close());
    return (await store.claim({ token: randomUUID(), scope: SCOPE, key: "k", fingerprint: "f" })).kind;
  };
  const used = text.replace("idempotent: true", "idempotent: false");
  t.equal(await claim(text, TTL_MS), "new", "held in memory, if anything");
  t.equal(await claim(used, 0), "new", "answers are not to be remembered");
  t.equal(await claim(used, TTL_MS), "unavailable", "not yet connected");
});

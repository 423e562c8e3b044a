import { deepEqual } from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import t from "tap";
import fc from "fast-check";
import { findRequest, ledgerBytes, RequestLedger, userDigest } from "../src/telemetry/request-ledger.ts";

const NOW = 1_780_000_000_123;

function ledgerOf(entries: number): { readonly buffer: SharedArrayBuffer; readonly ledger: RequestLedger } {
  const buffer = new SharedArrayBuffer(ledgerBytes(entries));
  return { buffer, ledger: new RequestLedger(buffer) };
}

t.test("a request is found as it was recorded", async () => {
  const arms = fc.constantFrom("none" as const, "stable" as const, "candidate" as const);
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 128, unit: "binary" }),
      fc.integer({ min: 0, max: 4_000_000_000_000 }),
      fc.integer({ min: -1, max: 60_000 }),
      arms,
      arms,
      fc.integer({ min: -1, max: 30_000 }),
      fc.option(fc.string(), { nil: undefined }),
      (id, at, route, assigned, served, segment, user) => {
        // Of its own each time: of two records of one id the one of the later instant counts.
        const { buffer, ledger } = ledgerOf(64);
        ledger.record(id, at, route, assigned, served, segment, user);
        const found = findRequest([buffer], id);
        deepEqual(found, { at, route, assigned, served, segment, user: user === undefined ? undefined : userDigest(user) });
      },
    ),
    { numRuns: 300 },
  );
});

t.test("an unknown request is not found, and an empty ledger knows none", async (t) => {
  const { buffer, ledger } = ledgerOf(8);
  t.equal(findRequest([buffer], "a"), undefined);
  t.equal(findRequest([], "a"), undefined);
  ledger.record("a", NOW, 0, "stable", "stable", -1, "u");
  t.equal(findRequest([buffer], "b"), undefined);
});

t.test("of several requests with one id the last counts, in whichever ledger", async (t) => {
  const first = ledgerOf(64);
  const second = ledgerOf(64);
  first.ledger.record("a", NOW, 1, "stable", "stable", -1, "u");
  first.ledger.record("a", NOW + 1, 2, "candidate", "stable", -1, "u");
  t.equal(findRequest([first.buffer, second.buffer], "a")?.route, 2);
  second.ledger.record("a", NOW + 2, 3, "candidate", "candidate", -1, "u");
  t.equal(findRequest([first.buffer, second.buffer], "a")?.route, 3);
  t.equal(findRequest([second.buffer, first.buffer], "a")?.route, 3);
});

t.test("a full ledger forgets the oldest first: half its size is remembered nearly whole", async (t) => {
  const entries = 4_096;
  const { buffer, ledger } = ledgerOf(entries);
  const ids = Array.from({ length: 4 * entries }, (_, i) => i.toString(16).padStart(32, "0"));
  for (const [i, id] of ids.entries()) ledger.record(id, NOW + i, 0, "stable", "stable", -1, id);
  const known = (list: readonly string[]): number => list.filter((id) => findRequest([buffer], id) !== undefined).length / list.length;
  t.ok(known(ids.slice(-entries / 2)) > 0.93, `of the last half ${known(ids.slice(-entries / 2))}`);
  t.ok(known(ids.slice(-entries / 4)) > 0.99, `of the last quarter ${known(ids.slice(-entries / 4))}`);
  t.ok(known(ids.slice(0, entries)) < 0.02, "of the oldest next to none");
});

t.test("sizes are whole powers of two", async (t) => {
  t.equal(ledgerBytes(65_536), 2 * 1_048_576);
  t.equal(ledgerBytes(65_537), 4 * 1_048_576);
  t.equal(ledgerBytes(1), 8 * 32);
});

t.test("an entry of which a word is wrong is not taken for a request", async (t) => {
  const { buffer, ledger } = ledgerOf(8);
  ledger.record("a", NOW, 3, "stable", "candidate", 2, "u");
  const words = new Int32Array(buffer);
  const start = words.findIndex((word) => word !== 0) & ~7;
  for (let word = 0; word < 8; word++) {
    for (const bit of [0, 7, 31]) {
      words[start + word] = (words[start + word] ?? 0) ^ (1 << bit);
      t.equal(findRequest([buffer], "a"), undefined, `word ${word}, bit ${bit}`);
      words[start + word] = (words[start + word] ?? 0) ^ (1 << bit);
    }
  }
  t.equal(findRequest([buffer], "a")?.route, 3);
});

t.test("who reads while another thread writes finds the whole entry or none", async (t) => {
  const { buffer } = ledgerOf(8);
  const control = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import(workerData.module).then(({ RequestLedger }) => {
       const ledger = new RequestLedger(workerData.buffer);
       for (let i = 0; Atomics.load(workerData.control, 0) === 0; i++) {
         const arm = i % 2 === 1 ? "stable" : "candidate";
         ledger.record("a", ${NOW} + i, i % 1000, arm, arm, i % 100, "u" + (i % 7));
         if (i === 0) parentPort.postMessage("begun");
       }
     });`,
    { eval: true, workerData: { buffer, control, module: new URL("../src/telemetry/request-ledger.ts", import.meta.url).href } },
  );
  const begun = once(worker, "message");
  const gone = once(worker, "exit");
  await begun;
  const users = Array.from({ length: 7 }, (_, i) => userDigest(`u${i}`));
  const seen = new Set<number>();
  let torn = 0;
  // A busy machine may not let the other thread run for a while.
  for (let look = 0; look < 5_000 || seen.size <= 10; look++) {
    const found = findRequest([buffer], "a");
    if (found === undefined) continue;
    const i = found.at - NOW;
    const arm = i % 2 === 1 ? "stable" : "candidate";
    const isWhole =
      found.route === i % 1_000 &&
      found.segment === i % 100 &&
      found.assigned === arm &&
      found.served === arm &&
      found.user === users[i % 7];
    if (isWhole) seen.add(i);
    else torn++;
  }
  Atomics.store(control, 0, 1);
  await gone;
  t.equal(torn, 0);
});

t.test("digests tell users apart", async (t) => {
  const users = Array.from({ length: 200_000 }, (_, i) => `user-${i}`);
  t.equal(new Set(users.map(userDigest)).size, users.length);
  t.match(userDigest("é\ud800"), /^[0-9a-f]{16}$/);
  t.equal(userDigest(""), userDigest(""));
});

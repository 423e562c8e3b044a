import fc from "fast-check";
import t from "tap";
import { readBoard, writeBoard } from "../src/incidents/board-text.ts";
import {
  announceMaintenance,
  cancelMaintenance,
  type Changed,
  EMPTY_BOARD,
  isOpen,
  KEPT_MS,
  lastAt,
  MOST_OPEN,
  openIncident,
  updateIncident,
} from "../src/incidents/board.ts";
import { IncidentDesk, UnknownEntry } from "../src/incidents/desk.ts";
import { AUTOMATIC, followRollback, NEWS_MS } from "../src/incidents/from-rollbacks.ts";
import { type Board, IMPACTS, INCIDENT_STATES, PRIORITIES, stateOf } from "../src/incidents/incident.ts";
import type { Rollback, Rollout } from "../src/controller/rollout.ts";
import { createKeptDocuments } from "../src/store/documents-kept.ts";
import { MemoryDocuments } from "../src/store/documents-memory.ts";
import { DocumentConflict } from "../src/store/rollout-store.ts";
import { MINUTE, startedAt, T0 } from "./support/rollouts.ts";

const OPEN = {
  title: { en: "Slow" },
  text: { en: "Looking", fr: "On regarde" },
  priority: "P2",
  impact: "degraded",
  state: "investigating",
  rollout: undefined,
} as const;

function made<T>(changed: Changed<T>): { readonly board: Board; readonly made: T } {
  if ("refused" in changed) throw new Error(changed.refused);
  return changed;
}

/** Acts in any order, by their numbers. */
const act = fc.oneof(
  fc.record({ kind: fc.constant("open" as const), impact: fc.constantFrom(...IMPACTS), priority: fc.constantFrom(...PRIORITIES) }),
  fc.record({ kind: fc.constant("update" as const), id: fc.integer({ min: 1, max: 30 }), state: fc.constantFrom(...INCIDENT_STATES) }),
  fc.record({ kind: fc.constant("announce" as const), from: fc.integer({ min: -50, max: 50 }), lasts: fc.integer({ min: -5, max: 50 }) }),
  fc.record({ kind: fc.constant("cancel" as const), id: fc.integer({ min: 1, max: 30 }) }),
);
const acts = fc.array(fc.record({ act, after: fc.integer({ min: -MINUTE, max: 20 * 24 * 60 * MINUTE }) }), { maxLength: 60 });

function apply(
  board: Board,
  { act: one, at }: { readonly act: typeof act extends fc.Arbitrary<infer A> ? A : never; readonly at: number },
) {
  const said = { at, by: "alice" };
  switch (one.kind) {
    case "open":
      return openIncident(board, { ...OPEN, impact: one.impact, priority: one.priority }, said);
    case "update":
      return updateIncident(
        board,
        `inc-${one.id}`,
        { state: one.state, text: { en: "more" }, impact: undefined, priority: undefined },
        said,
      );
    case "announce": {
      const from = at + one.from * MINUTE;
      return announceMaintenance(board, { title: { en: "Work" }, text: { fr: "Travaux" }, from, to: from + one.lasts * MINUTE }, said);
    }
    case "cancel":
      return cancelMaintenance(board, `mnt-${one.id}`, said);
  }
}

t.test("whatever is done in whichever order, a board stays in order and survives being written", async (t) => {
  fc.assert(
    fc.property(acts, (given) => {
      let board = EMPTY_BOARD;
      let now = T0;
      const seen = new Set<string>();
      for (const { act: one, after } of given) {
        now += after;
        const changed = apply(board, { act: one, at: now });
        if ("refused" in changed) continue;
        const { board: next } = changed;
        const known = new Set([...board.incidents, ...board.maintenance].map(({ id }) => id));
        for (const { id } of [...next.incidents, ...next.maintenance]) {
          if (!known.has(id) && seen.has(id)) throw new Error(`${id} was used twice`);
          seen.add(id);
        }
        // Nothing that is open is ever forgotten, and what is said is never taken back.
        for (const incident of board.incidents) {
          const later = next.incidents.find(({ id }) => id === incident.id);
          if (later === undefined && (isOpen(incident) || now - lastAt(incident) < KEPT_MS)) throw new Error(`${incident.id} is gone`);
          if (later !== undefined && incident.updates.some((update, i) => later.updates[i] !== update))
            throw new Error("history was changed");
        }
        for (const { updates } of next.incidents) {
          if (updates.some(({ at }, i) => at < (updates[i - 1]?.at ?? 0))) throw new Error("updates out of order");
        }
        for (const { from, to } of next.maintenance) if (to <= from) throw new Error("it ends before it begins");
        if (next.incidents.some((incident) => !isOpen(incident) && now - lastAt(incident) >= KEPT_MS))
          throw new Error("it is kept for too long");
        board = next;
        const read = readBoard(writeBoard(board).text);
        if (JSON.stringify(read) !== JSON.stringify(board)) throw new Error("it was read back differently");
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass("300 histories");
});

t.test("an incident is opened, updated, resolved, and opened again by a later word", async (t) => {
  const opened = made(openIncident(EMPTY_BOARD, OPEN, { at: T0, by: "alice" }));
  t.match(opened.made, { id: "inc-1", openedBy: "alice", openedAt: T0, updates: [{ at: T0, state: "investigating", by: "alice" }] });
  const told = { state: "identified", text: { en: "A disk" }, impact: "outage", priority: "P0" } as const;
  const updated = made(updateIncident(opened.board, "inc-1", told, { at: T0 - MINUTE, by: "bob" }));
  t.match(updated.made, { impact: "outage", priority: "P0" });
  t.equal(updated.made.updates[1]?.at, T0, "a clock that was set back does not turn the order round");
  const over = { state: "resolved", text: { en: "Over" }, impact: undefined, priority: undefined } as const;
  const resolved = made(updateIncident(updated.board, "inc-1", over, { at: T0 + MINUTE, by: "bob" }));
  t.notOk(isOpen(resolved.made));
  t.equal(resolved.made.impact, "outage", "what is not said stays");
  t.ok(isOpen(made(updateIncident(resolved.board, "inc-1", told, { at: T0 + 2 * MINUTE, by: "bob" })).made));
  t.match(updateIncident(opened.board, "inc-9", over, { at: T0, by: "bob" }), { missing: true });
});

t.test("there is an end to everything: open incidents, updates, maintenance", async (t) => {
  let board = EMPTY_BOARD;
  for (let i = 0; i < MOST_OPEN; i++) board = made(openIncident(board, OPEN, { at: T0, by: "a" })).board;
  t.match(openIncident(board, OPEN, { at: T0, by: "a" }), { refused: /resolve some/ });
  const told = { state: "monitoring", text: { en: "x" }, impact: undefined, priority: undefined } as const;
  for (let i = 1; i < 100; i++) board = made(updateIncident(board, "inc-1", told, { at: T0, by: "a" })).board;
  t.match(updateIncident(board, "inc-1", told, { at: T0, by: "a" }), { refused: /100 updates/ });
  const over = made(updateIncident(board, "inc-1", { ...told, state: "resolved" }, { at: T0, by: "a" }));
  t.notOk(isOpen(over.made), "but it can be ended");
  for (const state of ["resolved", "monitoring"] as const) {
    t.match(updateIncident(over.board, "inc-1", { ...told, state }, { at: T0, by: "a" }), { refused: /100 updates/ });
  }
  const window = (from: number, to: number) => announceMaintenance(board, { title: {}, text: {}, from, to }, { at: T0, by: "a" });
  t.match(window(T0 + 2, T0 + 1), { refused: /before it begins/ });
  t.match(window(T0 - 2, T0 - 1), { refused: /over already/ });
  t.match(window(T0, T0 + 31 * 24 * 60 * MINUTE), { refused: /30 days/ });
});

t.test("a board that grows too large forgets what was over first, and nothing that is open", async (t) => {
  let board = EMPTY_BOARD;
  const text = { en: "x".repeat(20_000) };
  for (let i = 0; i < 60; i++) {
    const opened = made(openIncident(board, { ...OPEN, text }, { at: T0 + i, by: "a" }));
    board = opened.board;
    if (i % 2 === 1) continue;
    board = made(
      updateIncident(
        board,
        opened.made.id,
        { state: "resolved", text: {}, impact: undefined, priority: undefined },
        { at: T0 + i, by: "a" },
      ),
    ).board;
  }
  const written = writeBoard(board);
  t.ok(Buffer.byteLength(written.text) <= 900_000);
  t.equal(written.board.incidents.filter(isOpen).length, 30);
  t.ok(written.board.incidents.some((incident) => !isOpen(incident)));
  t.same(readBoard(written.text), JSON.parse(JSON.stringify(written.board)));
});

t.test("a desk decides anew on what somebody else wrote meanwhile", async (t) => {
  const kept = createKeptDocuments({ directory: undefined, prefix: "", log: { info() {}, warn() {} } });
  const documents = new MemoryDocuments({ instance: "a", kept, now: () => T0 });
  const [a, b] = [new IncidentDesk({ documents, now: () => T0 }), new IncidentDesk({ documents, now: () => T0 })];
  const opened = await Promise.all([a.open(OPEN, "alice"), b.open(OPEN, "bob"), a.open(OPEN, "carol"), b.open(OPEN, "dave")]);
  t.same(opened.map(({ id }) => id).sort(), ["inc-1", "inc-2", "inc-3", "inc-4"]);
  t.equal(a.board().incidents.length, 4);
  t.same(a.board(), b.board());
  await t.rejects(a.update("inc-77", { state: "resolved", text: {}, impact: undefined, priority: undefined }, "x"), UnknownEntry);
  await t.rejects(documents.save("incidents", { version: 1, text: "x", lease: undefined }), DocumentConflict);
});

t.test("what a person says who has the program's name is a person's word", async (t) => {
  const kept = createKeptDocuments({ directory: undefined, prefix: "", log: { info() {}, warn() {} } });
  const documents = new MemoryDocuments({ instance: "a", kept, now: () => T0 });
  const desk = new IncidentDesk({ documents, now: () => T0 });
  const board = followRollback(EMPTY_BOARD, rolled("rolling-back"), WORLD) ?? EMPTY_BOARD;
  await documents.save("incidents", { version: 0, text: writeBoard(board).text, lease: undefined });
  await desk.update("inc-1", { state: "identified", text: { en: "A disk" }, impact: undefined, priority: undefined }, AUTOMATIC);
  t.equal(desk.board().incidents[0]?.updates.at(-1)?.by, "crossfade (by hand)");
  t.equal(followRollback(desk.board(), rolled("rolled-back"), WORLD), undefined, "it is left to people");
});

t.test("a board that this version cannot read is told, and what was known before is shown", async (t) => {
  const kept = createKeptDocuments({ directory: undefined, prefix: "", log: { info() {}, warn() {} } });
  const documents = new MemoryDocuments({ instance: "a", kept, now: () => T0 });
  const desk = new IncidentDesk({ documents, now: () => T0 });
  await desk.open(OPEN, "alice");
  for (const [version, text] of [
    [1, '{"version":2,"next":7}'],
    [2, '{"version":1,"next":7,"incidents":[{}],"maintenance":[]}'],
    [3, "half {"],
  ] as const) {
    await documents.save("incidents", { version, text, lease: undefined });
    t.equal(desk.board().incidents.length, 1, text);
    await t.rejects(desk.refresh(), Error);
    await t.rejects(desk.open(OPEN, "alice"), Error, "and nothing is written over it");
  }
  t.equal((await documents.load("incidents"))?.text, "half {");
});

const ROLLBACK: Rollback = {
  step: 1,
  at: T0,
  by: "one",
  why: "errors of v2 at 12 %",
  trigger: "errors",
  shift: [],
  traffic: undefined,
  hooks: [],
  endedAt: undefined,
};

function rolled(status: "rolling-back" | "rolled-back", more: Partial<Rollback> = {}): Rollout {
  return { ...startedAt(), state: { status, rollback: { ...ROLLBACK, ...more } } };
}

const WORLD = { now: T0 + 1_000, resolveAfterMs: 30 * MINUTE, healthySince: undefined, runs: new Set([startedAt().id]) };

t.test("a rollback that a trigger caused opens one incident, however often and wherever it is looked at", async (t) => {
  const opened = followRollback(EMPTY_BOARD, rolled("rolling-back"), WORLD);
  t.match(opened?.incidents, [
    { id: "inc-1", impact: "degraded", priority: "P1", openedAt: T0, openedBy: AUTOMATIC, rollout: rolled("rolling-back").id },
  ]);
  const board = opened ?? EMPTY_BOARD;
  t.equal(followRollback(board, rolled("rolling-back"), WORLD), undefined);
  t.equal(followRollback(readBoard(writeBoard(board).text), rolled("rolling-back"), { ...WORLD, now: T0 + NEWS_MS * 2 }), undefined);
  t.notMatch(
    JSON.stringify(board.incidents.map(({ title, updates }) => ({ title, texts: updates.map(({ text }) => text) }))),
    /v2|12|rollback|errors/i,
  );
  const second = followRollback(board, rolled("rolling-back", { at: T0 + 500 }), WORLD);
  t.equal(second?.incidents.length, 2, "another rollback of the same rollout is another incident");
});

t.test("a person's rollback, none, and one of long ago open nothing", async (t) => {
  t.equal(followRollback(EMPTY_BOARD, rolled("rolling-back", { trigger: undefined }), WORLD), undefined);
  t.equal(followRollback(EMPTY_BOARD, startedAt(), WORLD), undefined);
  t.equal(followRollback(EMPTY_BOARD, undefined, WORLD), undefined);
  t.equal(followRollback(EMPTY_BOARD, rolled("rolled-back"), { ...WORLD, now: T0 + NEWS_MS + 1 }), undefined);
});

t.test("it is told once when the traffic is back, and resolved when all has been well for long enough", async (t) => {
  const board = followRollback(EMPTY_BOARD, rolled("rolling-back"), WORLD) ?? EMPTY_BOARD;
  const shifting = rolled("rolled-back", { shift: [{ percentageBp: 0, at: T0 }] });
  t.equal(followRollback(board, shifting, WORLD), undefined, "not while some are still on the way");
  const watched = followRollback(board, rolled("rolled-back"), { ...WORLD, now: T0 + 5_000 }) ?? EMPTY_BOARD;
  t.match(watched.incidents[0]?.updates, [{ state: "investigating" }, { state: "monitoring", at: T0 + 5_000, by: AUTOMATIC }]);

  const later = (minutes: number, healthySince: number | undefined, resolveAfterMs = 30 * MINUTE): Board | undefined =>
    followRollback(watched, rolled("rolled-back"), { ...WORLD, now: T0 + 5_000 + minutes * MINUTE, healthySince, resolveAfterMs });
  t.equal(later(29, T0), undefined);
  t.equal(later(40, undefined), undefined, "not while it is not well");
  t.equal(later(40, T0 + 20 * MINUTE), undefined, "not before it has been well for so long");
  t.equal(later(10_000, T0, 0), undefined, "not at all where a person does it");
  t.match(later(31, T0)?.incidents[0]?.updates.at(-1), { state: "resolved", by: AUTOMATIC });

  const said = { state: "monitoring", text: { en: "We look into it" }, impact: undefined, priority: undefined } as const;
  const touched = made(updateIncident(watched, "inc-1", said, { at: T0 + MINUTE, by: "alice" })).board;
  t.equal(
    followRollback(touched, rolled("rolled-back"), { ...WORLD, now: T0 + 90 * MINUTE, healthySince: T0 }),
    undefined,
    "who has spoken has the last word",
  );
});

t.test("what a rollback opened is over when all is well, also when another run has taken its place", async (t) => {
  const board = followRollback(EMPTY_BOARD, rolled("rolling-back"), WORLD) ?? EMPTY_BOARD;
  const next = { ...startedAt(), id: "the-next-run" };
  const world = { ...WORLD, now: T0 + MINUTE, healthySince: T0 + MINUTE, runs: new Set([next.id]) };
  t.equal(followRollback(board, next, { ...world, healthySince: undefined }), undefined, "not while it is not well");
  const watched = followRollback(board, next, world) ?? EMPTY_BOARD;
  t.equal(watched.incidents[0] && stateOf(watched.incidents[0]), "monitoring", "gone on before anybody looked");
  for (const rollout of [next, undefined]) {
    t.equal(followRollback(watched, rollout, { ...world, now: T0 + 30 * MINUTE }), undefined);
    const over = followRollback(watched, rollout, { ...world, now: T0 + 31 * MINUTE });
    t.equal(over?.incidents[0] && stateOf(over.incidents[0]), "resolved");
  }
  const elsewhere = { ...world, now: T0 + 31 * MINUTE, runs: new Set([next.id, startedAt().id]) };
  t.equal(followRollback(watched, next, elsewhere), undefined, "its own flag says it while its run is there");
});

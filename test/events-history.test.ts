import { equal } from "node:assert/strict";
import t from "tap";
import fc from "fast-check";
import { attribute, type Surroundings } from "../src/analysis/events/attribute.ts";
import type { UserEvent } from "../src/analysis/events/event.ts";
import { createHistory, type History } from "../src/analysis/events/history.ts";
import { readLabel, writeLabel } from "../src/analysis/events/labels.ts";
import type { Flag } from "../src/config/config.ts";
import { readFields } from "../src/config/settings.ts";
import { buildStringSet } from "../src/core/string-set.ts";
import { decideArm } from "../src/rollout/decide.ts";
import type { FlagState } from "../src/rollout/flag-state.ts";
import { compileRules } from "../src/rollout/rules.ts";
import { createLastGood } from "../src/store/last-good.ts";
import { createMemoryStore } from "../src/store/memory-store.ts";
import type { AuditEntry } from "../src/store/store.ts";
import { type KnownRequest, userDigest } from "../src/telemetry/request-ledger.ts";
import { flagOf, recordLog } from "./support/store-watch.ts";

const FLAG = flagOf("f");
const START = 1_780_000_000_000;
const BY = { who: "ops", reason: "" };

function stateOf(fields: Readonly<Record<string, string>>, revision: number, flag: Flag = FLAG): FlagState {
  return {
    flag: flag.name,
    revision,
    settings: readFields(flag.settings, fields).settings,
    allow: undefined,
    deny: undefined,
    members: {},
  };
}

function entry(revision: number, at: number, changes: AuditEntry["changes"], status: AuditEntry["status"] = "accepted"): AuditEntry {
  return { id: `${at}-0`, at: new Date(at).toISOString(), who: "ops", reason: "", revision, status, changes };
}

function percentageAt(history: History, ms: number): number | undefined {
  return history.at(ms)?.weightBp;
}

const TO_10 = entry(1, START, [{ field: "rollout_percentage", from: null, to: "10" }]);
const TO_25 = entry(2, START + 1_000, [{ field: "rollout_percentage", from: "10", to: "25%" }]);

t.test("settings of any time follow from those of now and the audit", async (t) => {
  const history = createHistory(FLAG, stateOf({ rollout_percentage: "25" }, 2), [TO_25, TO_10]);
  t.equal(percentageAt(history, START - 1), 0, "the file's own");
  t.equal(percentageAt(history, START), 1_000);
  t.equal(percentageAt(history, START + 999), 1_000);
  t.equal(percentageAt(history, START + 1_000), 2_500);
  t.equal(percentageAt(history, Date.UTC(2099, 0)), 2_500);
});

t.test("a file without any change has always been in force", async (t) => {
  const history = createHistory(FLAG, stateOf({}, 0), []);
  t.equal(percentageAt(history, 0), 0);
});

t.test("refused edits and other fields change nothing; kills and segments do", async (t) => {
  const audit = [
    entry(4, START + 4_000, [{ field: "segment.beta", from: null, to: "0" }]),
    entry(3, START + 3_000, [{ field: "kill_switch", from: "true", to: null }]),
    entry(2, START + 2_500, [{ field: "rollout_percentage", from: "10", to: "1000" }], "refused"),
    entry(2, START + 2_000, [
      { field: "kill_switch", from: null, to: "true" },
      { field: "fallback.response_time_ms", from: null, to: "80" },
    ]),
    TO_10,
  ];
  const history = createHistory(
    FLAG,
    stateOf({ rollout_percentage: "10", "segment.beta": "0", "fallback.response_time_ms": "80" }, 4),
    audit,
  );
  const said = (ms: number): unknown[] => {
    const rules = history.at(START + ms);
    return [rules?.killed, rules?.weightBp, rules?.segments[0]?.weightBp];
  };
  t.same(said(4_000), [false, 1_000, 0]);
  t.same(said(3_000), [false, 1_000, 5_000]);
  t.same(said(2_600), [true, 1_000, 5_000]);
  t.same(said(0), [false, 1_000, 5_000]);
  t.same(said(-1), [false, 0, 5_000]);
});

t.test("before what the audit still holds nobody can say", async (t) => {
  const history = createHistory(FLAG, stateOf({ rollout_percentage: "25" }, 2), [TO_25]);
  t.equal(percentageAt(history, START + 1_000), 2_500);
  t.equal(history.at(START + 999), undefined);
  t.equal(createHistory(FLAG, stateOf({}, 7), []).at(START), undefined, "all of it was lost");
  t.equal(percentageAt(createHistory(FLAG, stateOf({}, 7), [], START), START), 0, "but what was seen here is known");
  t.equal(createHistory(FLAG, stateOf({}, 7), [], START).at(START - 1), undefined);
});

t.test("where the audit lacks a change in between, that stretch is unknown and the others are not", async (t) => {
  const state = stateOf({ rollout_percentage: "50" }, 3);
  const history = createHistory(FLAG, state, [TO_25, TO_10], START + 9_000);
  t.equal(history.at(START + 1_000), undefined, "25, and at some time 50");
  t.equal(percentageAt(history, START + 999), 1_000);
  t.equal(percentageAt(history, START + 9_000), 5_000);
});

t.test("a change that this instance has not heard of yet does not confuse what it knows", async (t) => {
  const history = createHistory(FLAG, stateOf({ rollout_percentage: "10" }, 1), [TO_25, TO_10]);
  t.equal(percentageAt(history, START + 500), 1_000);
  t.equal(percentageAt(history, START + 2_000), 1_000, "until it hears of it");
});

t.test("whatever is changed through a store, the history says what was in force then", async () => {
  const value = fc.oneof(fc.nat(100).map(String), fc.constant(null));
  const change = fc.oneof(
    fc.record({ rollout_percentage: value }),
    fc.record({ "segment.beta": value, rollout_percentage: value }),
    fc.constantFrom({ kill_switch: "true" }, { kill_switch: null }, { enabled: "false" }, { enabled: null }, { "fallback.hedge": "true" }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 12 }), async (changes) => {
      let now = START;
      const log = recordLog();
      const lastGood = createLastGood({ directory: undefined, prefix: "p:", log });
      const store = createMemoryStore({ config: { flags: [FLAG] }, instance: "i", lastGood, directory: undefined, log, now: () => now });
      const truth: { readonly at: number; readonly state: FlagState | undefined }[] = [{ at: now - 1, state: store.states[0] }];
      for (const fields of changes) {
        now += 1_000;
        await store.change("f", fields, BY);
        truth.push({ at: now, state: store.states[0] });
      }
      const state = store.states[0];
      if (state === undefined) throw new Error("no state");
      const history = createHistory(FLAG, state, await store.audit("f", 1_000));
      for (const [i, { at, state: then }] of truth.entries()) {
        const end = (truth[i + 1]?.at ?? now + 5_000) - 1;
        for (const ms of [at, end]) {
          const rules = history.at(ms);
          const wanted = then && compileRules(FLAG, then);
          const said = (r: typeof rules): string =>
            JSON.stringify([r?.enabled, r?.killed, r?.weightBp, r?.segments.map((s) => s.weightBp)]);
          equal(said(rules), said(wanted));
        }
      }
      await store.close();
    }),
    { numRuns: 40 },
  );
});

const REQUEST: KnownRequest = {
  at: START + 500,
  route: 1,
  assigned: "candidate",
  served: "stable",
  segment: 0,
  user: userDigest("somebody"),
};

function around(changes: Partial<Surroundings> = {}): Surroundings {
  return {
    flag: "f",
    segments: FLAG.settings.segments.map(({ name }) => name),
    history: createHistory(FLAG, stateOf({ rollout_percentage: "25" }, 2), [TO_25, TO_10]),
    findRequest: (id) => (id === "known" ? REQUEST : id === "unsplit" ? { ...REQUEST, route: 0, assigned: "none" } : undefined),
    routeFlags: [undefined, "f", "g"],
    stepAt: (ms) => (ms < START ? undefined : { rollout: "r1", step: ms < START + 1_000 ? 0 : 1 }),
    now: START + 10_000,
    lateMs: 3_600_000,
    ...changes,
  };
}

function event(changes: Partial<UserEvent> = {}): UserEvent {
  return {
    kind: "user",
    id: "e",
    at: START + 2_000,
    user: "u",
    requestId: undefined,
    segment: undefined,
    served: undefined,
    said: { type: "match", confirmed: true },
    ...changes,
  };
}

function labelsOf(result: ReturnType<typeof attribute>): string[] {
  return result.kind === "counted" ? result.event.adds.map(({ label, y, n }) => `${label} ${y}/${n}`) : [result.kind];
}

/** A user who is on the candidate at 25 % and was not at 10 %. */
function userBetween(): string {
  const at = (percentage: string, key: string): string =>
    decideArm(compileRules(FLAG, stateOf({ rollout_percentage: percentage }, 1)), false, { key, segment: undefined, override: undefined })
      .arm;
  const found = Array.from({ length: 1_000 }, (_, i) => `user-${i}`).find(
    (key) => at("10", key) === "stable" && at("25", key) === "candidate",
  );
  if (found === undefined) throw new Error("nobody");
  return found;
}

t.test("an event counts for the arm that the user had when it happened", async (t) => {
  const user = userBetween();
  t.same(labelsOf(attribute(event({ user, at: START + 500 }), around())), [
    "assigned:stable:none:accuracy:0 1/1",
    "assigned:stable:none:conversion:0 0/1",
    "assigned:stable:none:revenue:0 0/1",
    "overall:stable:none:accuracy 1/1",
    "overall:stable:none:conversion 0/1",
    "overall:stable:none:revenue 0/1",
    "present:stable:none 0/0",
  ]);
  t.same(labelsOf(attribute(event({ user, at: START + 1_500, said: { type: "rating", ratio: 0.8 } }), around())), [
    "assigned:candidate:none:satisfaction:1 0.8/1",
    "overall:candidate:none:satisfaction 0.8/1",
    "present:candidate:none 0/0",
  ]);
});

t.test("an event of a request counts for the arm and the step of the request, and for who answered", async (t) => {
  const result = attribute(event({ user: undefined, requestId: "known", said: { type: "conversion" } }), around());
  t.same(labelsOf(result), [
    "assigned:candidate:beta:conversion:0 1/0",
    "served:stable:beta:conversion:0 1/0",
    "overall:candidate:beta:conversion 1/0",
    "present:candidate:beta 0/0",
  ]);
  t.match(result, { event: { user: userDigest("somebody"), rollout: "r1", minute: Math.floor((START + 2_000) / 60_000) } });
});

t.test("the sets of now and the segment that an event names are heeded", async (t) => {
  const state = { ...stateOf({ rollout_percentage: "25" }, 2), members: { beta_users: buildStringSet(["member"]) } };
  const history = createHistory(FLAG, state, [TO_25, TO_10]);
  t.match(labelsOf(attribute(event({ user: "member" }), around({ history })))[0], "assigned:candidate:beta_users:accuracy:1");
  t.match(labelsOf(attribute(event({ user: "u", segment: "beta_users" }), around()))[0], "assigned:candidate:beta_users:accuracy:1");
});

t.test("events that belong to nobody, to no time or to another flag are told apart", async (t) => {
  const kind = (changes: Partial<UserEvent>, by: Partial<Surroundings> = {}): string => attribute(event(changes), around(by)).kind;
  t.equal(kind({ user: undefined, requestId: "unheard of" }), "unknown-request");
  t.equal(kind({ user: "u", requestId: "unheard of" }), "counted", "the user is known all the same");
  t.equal(kind({ user: undefined, requestId: "unsplit" }), "unattributed");
  t.equal(kind({ user: undefined, requestId: "known" }, { flag: "g" }), "unattributed", "of another flag");
  t.equal(kind({}, { history: { at: () => undefined } }), "unattributed");
  const { now, lateMs } = around();
  t.equal(kind({ at: now - lateMs }), "counted");
  t.equal(kind({ at: now - lateMs - 1 }), "late");
  t.equal(kind({ at: now + 5 * 60_000 }), "counted", "clocks differ");
  t.equal(kind({ at: now + 5 * 60_000 + 1 }), "future");
});

t.test("outside of a rollout only the sums by the minute are kept", async (t) => {
  const result = attribute(event({ at: START - 1_000 }), around());
  t.match(result, { event: { rollout: undefined } });
  t.match(labelsOf(result)[0], "assigned:stable:none:accuracy:-1");
});

t.test("labels are read as they were written, and nothing else is a label", async (t) => {
  for (const text of [
    "assigned:candidate:enterprise:accuracy:2",
    "served:stable:none:revenue:-1",
    "overall:stable:none:accuracy",
    "present:stable:a.b-c",
  ]) {
    const label = readLabel(text);
    t.equal(label && writeLabel(label), text);
  }
  for (const text of [
    "",
    "x",
    "assigned:none:a:accuracy:1",
    "assigned:stable:a:p95:1",
    "assigned:stable:a:accuracy:x",
    "assigned:stable:a:accuracy:1:2",
    "present:stable:a:b",
    "overall:stable:a:accuracy:1",
    "overall:stable:a:p95",
  ]) {
    t.equal(readLabel(text), undefined, text);
  }
});

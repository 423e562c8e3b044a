import t from "tap";
import type { Notifications } from "../src/config/config-told.ts";
import type { Happening } from "../src/notify/notice.ts";
import { planNotices } from "../src/notify/plan-notices.ts";
import {
  acknowledge,
  delivered,
  dueDeliveries,
  MOST_STATE_BYTES,
  NO_NOTICES,
  type NoticeState,
  viewOfNotices,
} from "../src/notify/state.ts";
import { decodeNotices, encodeNotices } from "../src/notify/state-text.ts";
import { BUSINESS, CUSTOMER, FLOW, happeningOf, QUIET, ROUTED, TECHNICAL } from "./support/notices.ts";
import { DAY, HOUR, MINUTE, T0 } from "./support/rollouts.ts";

/** Whoever sends, looking once every ten seconds, with channels that take everything at once. */
class Desk {
  state: NoticeState = NO_NOTICES;
  now = T0;
  /** What was sent: minutes since the beginning, part and index, channel. */
  readonly sent: string[] = [];
  readonly notifications: Notifications;

  constructor(notifications: Notifications) {
    this.notifications = notifications;
  }

  look(...happenings: readonly Happening[]): void {
    this.state = planNotices(this.state, happenings, this.now, this.notifications);
    for (let due = dueDeliveries(this.state, this.now); due.length > 0; due = dueDeliveries(this.state, this.now)) {
      for (const { id, part, index, channel } of due) {
        this.sent.push(`${(this.now - T0) / MINUTE} ${part}${index} ${channel}`);
        this.state = delivered(this.state, id, channel, { ok: true }, this.now);
      }
    }
  }

  /** On to so long after the beginning. */
  until(at: number): void {
    while (this.now < T0 + at) {
      this.now = Math.min(T0 + at, this.now + 10_000);
      this.look();
    }
  }

  acknowledge(id = "ntc-1"): void {
    const done = acknowledge(this.state, id, "bob", "cli", this.now);
    if ("refused" in done) throw new Error(done.refused);
    this.state = done.state;
  }
}

t.test("without channels nothing is sent, and notices are kept all the same", async (t) => {
  const desk = new Desk(QUIET);
  desk.look(happeningOf({ severity: "P0" }));
  desk.until(2 * HOUR);
  t.same(desk.sent, []);
  t.match(viewOfNotices(desk.state, QUIET, "one").notices, [{ id: "ntc-1", severity: "P0", resolvedAt: undefined }]);
});

t.test("a day on which nothing happens makes no delivery and changes nothing", async (t) => {
  const desk = new Desk({
    ...ROUTED,
    escalations: [TECHNICAL, BUSINESS, CUSTOMER],
    rollbackFlow: FLOW,
    reminders: { P0: 1, P1: 1, P2: 1, P3: 1 },
  });
  desk.until(DAY);
  t.equal(desk.state, NO_NOTICES);
});

t.test("each escalation calls its levels by the plan's timers until somebody acknowledges", async (t) => {
  const desk = new Desk({ ...ROUTED, escalations: [TECHNICAL, BUSINESS, CUSTOMER] });
  desk.look(happeningOf({ severity: "P0" }));
  desk.until(2 * HOUR);
  t.same(desk.sent.filter((line) => line.includes("level")).toSorted(byMinute), [
    "0 level1 c1",
    "5 level1 b1",
    "10 level2 c2",
    "15 level1 l1",
    "15 level2 b2",
    "30 level2 l2",
    "30 level3 c3",
    "60 level3 l3",
    "60 level3 b3",
  ]);
});

t.test("after an acknowledgement nobody is called and nothing repeated", async (t) => {
  const desk = new Desk({ ...ROUTED, escalations: [TECHNICAL], reminders: { ...ROUTED.reminders, P1: 5 * MINUTE } });
  desk.look(happeningOf());
  desk.until(16 * MINUTE);
  desk.acknowledge();
  desk.until(2 * HOUR);
  t.same(desk.sent, ["0 first0 ops", "5 again1 ops", "10 again2 ops", "15 level1 l1", "15 again3 ops"]);
  desk.look(happeningOf({ kind: "unkilled", severity: "info", at: desk.now, resolves: true }));
  t.same(desk.sent.slice(5), ["120 end0 ops", "120 end0 l1"], "those who heard of it hear of its end");
});

t.test("a level that still waits for a dead channel is not called after an acknowledgement", async (t) => {
  const notifications = { ...ROUTED, escalations: [TECHNICAL] };
  let state = planNotices(NO_NOTICES, [happeningOf()], T0, notifications);
  state = planNotices(state, [], T0 + 15 * MINUTE, notifications);
  t.ok(state.deliveries.some(({ part }) => part === "level"));
  const done = acknowledge(state, "ntc-1", "bob", "link", T0 + 16 * MINUTE);
  t.ok("state" in done && done.state.deliveries.every(({ part }) => part === "first"));
});

t.test("the end of the trouble ends the escalation", async (t) => {
  const desk = new Desk({ ...ROUTED, escalations: [TECHNICAL] });
  desk.look(happeningOf());
  desk.until(20 * MINUTE);
  desk.look(happeningOf({ kind: "unkilled", severity: "info", at: desk.now, resolves: true }));
  desk.until(2 * HOUR);
  t.same(desk.sent, ["0 first0 ops", "15 level1 l1", "20 end0 ops", "20 end0 l1"]);
});

t.test("who was away sends what is due now, once, and not all that was missed", async (t) => {
  const notifications = { ...ROUTED, escalations: [TECHNICAL], reminders: { ...ROUTED.reminders, P1: 5 * MINUTE }, rollbackFlow: FLOW };
  const rollback = happeningOf({ kind: "rollout-rolling-back", group: "rollback/move/1" });
  const desk = new Desk(notifications);
  desk.look(rollback);
  desk.now = T0 + 61 * MINUTE;
  desk.look();
  t.same(desk.sent.slice(2).toSorted(byPart), ["61 flow3 room", "61 level3 l3", "61 again12 ops"].toSorted(byPart));
  desk.until(64 * MINUTE);
  t.equal(desk.sent.length, 5, "and nothing of what was passed over");

  const late = new Desk(notifications);
  late.now = T0 + 61 * MINUTE;
  late.look(rollback);
  t.same(late.sent.toSorted(byPart), ["61 first0 ops", "61 flow3 room", "61 level3 l3"], "also where it was seen an hour late");
  t.equal(late.state.deliveries.find(({ part }) => part === "level")?.dueAt, T0 + HOUR);
});

t.test("the rollback flow is told at its moments whatever is acknowledged or over", async (t) => {
  const desk = new Desk({ ...ROUTED, rollbackFlow: FLOW });
  desk.look(happeningOf({ kind: "rollout-rolling-back", group: "rollback/move/1" }));
  desk.acknowledge();
  desk.until(20 * MINUTE);
  desk.look(happeningOf({ kind: "rollout-resumed", severity: "info", at: desk.now, group: "rollback/move/1", resolves: true }));
  desk.until(26 * HOUR);
  t.same(
    desk.sent.filter((line) => line.includes("flow")),
    ["0 flow0 room", "5 flow1 room", "15 flow2 room", "30 flow3 room", "120 flow4 room", "1440 flow5 room"],
  );
});

t.test("a newer rollback of the flag takes the place of the flow, one of another flag does not", async (t) => {
  const desk = new Desk({ ...ROUTED, rollbackFlow: FLOW });
  const flow = (): readonly string[] => desk.sent.filter((line) => line.includes("flow"));
  desk.look(happeningOf({ kind: "rollout-rolling-back", group: "rollback/move/1" }));
  desk.until(10 * MINUTE);
  desk.look(happeningOf({ kind: "rollout-rolling-back", flag: "other", at: desk.now, group: "rollback/other/1" }));
  desk.until(12 * MINUTE);
  t.same(flow(), ["0 flow0 room", "5 flow1 room", "10 flow0 room"]);
  desk.look(happeningOf({ kind: "rollout-rolling-back", at: desk.now, group: "rollback/move/2" }));
  desk.until(40 * MINUTE);
  t.same(flow().slice(3), ["12 flow0 room", "15 flow1 room", "17 flow1 room", "25 flow2 room", "27 flow2 room", "40 flow3 room"]);
});

t.test("what repeats itself is told once, and by reminders how often", async (t) => {
  const desk = new Desk({ ...ROUTED, reminders: { ...ROUTED.reminders, P1: 30 * MINUTE } });
  for (let i = 0; i < 5; i++) {
    desk.look(happeningOf({ at: desk.now }));
    desk.until((i + 1) * MINUTE);
  }
  t.same(desk.sent, ["0 first0 ops"]);
  t.equal(desk.state.notices[0]?.count, 5);
  desk.until(31 * MINUTE);
  t.same(desk.sent, ["0 first0 ops", "30 again1 ops"]);
});

t.test("what flaps is told at most once in the time of grouping, and what it is at last", async (t) => {
  const desk = new Desk(ROUTED);
  const group = "breaker/move/match";
  for (let i = 0; i < 20; i++) {
    desk.look(happeningOf({ kind: "breaker-open", severity: "P2", group, at: desk.now }));
    desk.until(i * 20_000 + 10_000);
    desk.look(happeningOf({ kind: "breaker-open", severity: "info", group, at: desk.now, resolves: true }));
    desk.until((i + 1) * 20_000);
  }
  const told = (): readonly string[] => desk.sent.map((line) => line.replace(/\.\d+/, ""));
  t.same(told(), ["0 first0 ops", "0 end0 ops", "5 again16 ops", "5 end0 ops"]);
  desk.look(happeningOf({ kind: "breaker-open", severity: "P2", group, at: desk.now }));
  t.equal(told().length, 4);
  desk.until(30 * MINUTE);
  t.equal(desk.state.notices.length, 1);
  t.same(told().slice(4), ["10 again21 ops"], "it lasts and the time of grouping is over");
  desk.look(happeningOf({ kind: "breaker-open", severity: "info", group, at: desk.now, resolves: true }));
  t.same(told().slice(5), ["30 end0 ops"]);
});

t.test("what began and ended between two looks is told from its beginning to its end", async (t) => {
  const desk = new Desk({ ...ROUTED, escalations: [TECHNICAL] });
  desk.now = T0 + HOUR;
  const incident = { group: "incident/inc-1", flag: undefined } as const;
  desk.look(
    happeningOf({ ...incident, kind: "incident-opened" }),
    happeningOf({ ...incident, kind: "incident-resolved", severity: "info", at: T0 + MINUTE, resolves: true }),
  );
  desk.until(3 * HOUR);
  t.same(desk.sent, ["60 first0 ops", "60 end0 ops"]);
});

t.test("reminders go to those who are responsible, not to those who are only told how it goes on", async (t) => {
  const desk = new Desk({ ...ROUTED, rollbackFlow: FLOW, reminders: { ...ROUTED.reminders, P1: 10 * MINUTE } });
  desk.look(happeningOf({ kind: "rollout-rolling-back", group: "rollback/move/1" }));
  desk.until(21 * MINUTE);
  t.same(desk.sent, ["0 flow0 room", "0 first0 ops", "5 flow1 room", "10 again1 ops", "15 flow2 room", "20 again2 ops"]);
});

t.test("a clock that goes back keeps no message waiting", async (t) => {
  const state = planNotices(NO_NOTICES, [happeningOf()], T0, ROUTED);
  t.equal(dueDeliveries(state, T0 - DAY).length, 1);
});

t.test("something worse of the same group is told anew and calls anew", async (t) => {
  const desk = new Desk({ ...ROUTED, escalations: [TECHNICAL] });
  const sla = { group: "sla/move/errors", kind: "sla-warning", severity: "P3" } as const;
  desk.look(happeningOf(sla));
  desk.acknowledge();
  desk.until(10 * MINUTE);
  desk.look(happeningOf({ ...sla, kind: "sla-breached", severity: "P1", at: desk.now }));
  desk.until(26 * MINUTE);
  t.same(desk.sent, ["0 first0 ops", "10 first0 ops", "25 level1 l1"]);
  t.match(desk.state.notices, [
    { id: "ntc-1", resolvedAt: T0 + 10 * MINUTE },
    { id: "ntc-2", acknowledged: undefined },
  ]);
});

t.test("how a trouble goes on is told, acknowledged or not", async (t) => {
  const desk = new Desk(ROUTED);
  const incident = { group: "incident/inc-1", flag: undefined } as const;
  desk.look(happeningOf({ ...incident, kind: "incident-opened", facts: { text: "a" } }));
  desk.acknowledge();
  desk.until(MINUTE);
  desk.look(happeningOf({ ...incident, kind: "incident-updated", severity: "info", at: desk.now, facts: { text: "b" } }));
  desk.until(2 * MINUTE);
  desk.look(happeningOf({ ...incident, kind: "incident-updated", severity: "info", at: desk.now, facts: { text: "c" } }));
  desk.look(happeningOf({ ...incident, kind: "incident-updated", severity: "info", at: desk.now, facts: { text: "c" } }));
  t.same(desk.sent, ["0 first0 ops", "1 news1 ops", "2 news2 ops"]);
  t.equal(desk.state.notices[0]?.facts["text"], "c");
});

t.test("an end that is told as something of its own is not told twice to a channel", async (t) => {
  const notifications = { ...ROUTED, routes: [...ROUTED.routes, { severities: ["P2"], kinds: [], channels: ["news"] } as const] };
  const desk = new Desk(notifications);
  desk.look(happeningOf({ kind: "rollout-held", severity: "P2", group: "held" }));
  desk.until(MINUTE);
  const resumed = happeningOf({ kind: "rollout-resumed", severity: "info", at: desk.now, group: "resumed" });
  desk.look(resumed, { ...resumed, group: "held", resolves: true });
  t.same(desk.sent.toSorted(), ["0 first0 news", "0 first0 ops", "1 end0 ops", "1 first0 news"]);
});

t.test("a channel hears a thing once, however many routes lead there", async (t) => {
  const routes = [...ROUTED.routes, ...ROUTED.routes, { severities: ["P1"], kinds: ["killed"], channels: ["ops", "l1", "gone"] } as const];
  const desk = new Desk({ ...ROUTED, routes });
  desk.look(happeningOf());
  t.same(desk.sent, ["0 first0 ops", "0 first0 l1"]);
});

t.test("a failed try waits longer each time, up to five minutes, and is given up after a day", async (t) => {
  let state = planNotices(NO_NOTICES, [happeningOf()], T0, ROUTED);
  const pauses: number[] = [];
  let now = T0;
  for (;;) {
    const [due] = dueDeliveries(state, now);
    if (due === undefined) break;
    state = delivered(state, due.id, "ops", { ok: false, detail: "refused" }, now);
    const after = state.deliveries[0];
    if (after?.status !== "waiting") break;
    pauses.push(after.nextAt - now);
    now = after.nextAt;
  }
  t.same(pauses.slice(0, 8), [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  t.match(state.deliveries, [{ status: "failed", detail: "refused", tries: pauses.length + 1 }]);
  t.ok(now - T0 > DAY - 10 * MINUTE && now - T0 <= DAY);
  t.match(viewOfNotices(state, ROUTED, "one").channels[0], { name: "ops", waiting: 0, failingSince: T0, lastError: "refused" });
  const [first] = dueDeliveries(planNotices(NO_NOTICES, [happeningOf()], T0, ROUTED), T0);
  t.ok(first);
});

t.test("a receiver that asks for time is given it", async (t) => {
  const state = planNotices(NO_NOTICES, [happeningOf()], T0, ROUTED);
  const tried = delivered(state, "ntc-1.1", "ops", { ok: false, detail: "429", retryAfterMs: 90_000 }, T0);
  t.equal(tried.deliveries[0]?.nextAt, T0 + 90_000);
});

t.test("a dead channel is told, when it is back, where things are, and keeps no other waiting", async (t) => {
  const routes = [{ severities: ["P1"], kinds: [], channels: ["ops", "l1"] } as const];
  const notifications = { ...ROUTED, routes, reminders: { ...ROUTED.reminders, P1: 10 * MINUTE } };
  let state = planNotices(NO_NOTICES, [happeningOf()], T0, notifications);
  const heard: string[] = [];
  for (let now = T0; now < T0 + 2 * HOUR; now += MINUTE) {
    state = planNotices(state, [], now, notifications);
    for (const { id, channel, part } of dueDeliveries(state, now)) {
      const dead = channel === "ops" && now < T0 + HOUR + MINUTE;
      if (!dead) heard.push(`${channel} ${part}`);
      state = delivered(state, id, channel, dead ? { ok: false, detail: "dead" } : { ok: true }, now);
    }
  }
  t.equal(heard.filter((line) => line === "l1 first").length, 1);
  t.equal(heard.filter((line) => line === "l1 again").length, 11);
  t.equal(heard.filter((line) => line === "ops first").length, 1);
  t.ok(heard.filter((line) => line === "ops again").length <= 6, "not the reminders of the hour that it was away");
});

t.test("messages to a channel that there is no more are dropped", async (t) => {
  const state = planNotices(NO_NOTICES, [happeningOf()], T0, ROUTED);
  t.equal(state.deliveries.length, 1);
  t.same(planNotices(state, [], T0 + 1, QUIET).deliveries, []);
});

t.test("acknowledgements are refused with a reason, and the first one stays", async (t) => {
  const state = planNotices(
    NO_NOTICES,
    [happeningOf(), happeningOf({ kind: "rollout-started", severity: "info", group: "i" })],
    T0,
    ROUTED,
  );
  t.match(acknowledge(state, "ntc-9", "bob", "cli", T0), { refused: /there is no notice "ntc-9"/ });
  t.match(acknowledge(state, "ntc-2", "bob", "cli", T0), { refused: /asks for no acknowledgement/ });
  const first = acknowledge(state, "ntc-1", "bob", "cli", T0);
  t.ok("state" in first);
  if (!("state" in first)) return;
  const second = acknowledge(first.state, "ntc-1", "eve", "link", T0 + 1);
  t.match(second, { notice: { acknowledged: { by: "bob", at: T0, via: "cli" } } });
  const over = planNotices(state, [happeningOf({ kind: "unkilled", severity: "info", resolves: true })], T0 + 1, ROUTED);
  t.match(acknowledge(over, "ntc-1", "bob", "cli", T0 + 2), { refused: /is over since/ });
});

t.test("the state stays within its bounds, and what lasts goes last", async (t) => {
  const long = "é".repeat(5_000);
  let state = planNotices(NO_NOTICES, [happeningOf({ severity: "P0", facts: { reason: "the one that lasts" } })], T0, ROUTED);
  for (let i = 0; i < 300; i++) {
    const facts = Object.fromEntries(Array.from({ length: 40 }, (_, j) => [`fact-${j}`, `${i} ${long}`]));
    state = planNotices(state, [happeningOf({ kind: "rollout-advanced", severity: "info", group: `g${i}`, facts })], T0 + i, ROUTED);
  }
  t.ok(Buffer.byteLength(encodeNotices(state)) <= MOST_STATE_BYTES, `${Buffer.byteLength(encodeNotices(state))} bytes`);
  t.equal(state.notices[0]?.facts["reason"], "the one that lasts");
  t.equal(state.notices.length + state.dropped.notices, 301);
  t.ok(state.dropped.deliveries > 0);
  const waiting = dueDeliveries(state, T0 + 2_000).filter(({ channel }) => channel === "ops");
  t.equal(waiting.length, 1, "a channel whose line is full takes nothing from another's");
});

t.test("what is over is forgotten after a week", async (t) => {
  const desk = new Desk(ROUTED);
  desk.look(happeningOf());
  desk.look(happeningOf({ kind: "unkilled", severity: "info", resolves: true }));
  desk.now = T0 + 8 * DAY;
  desk.look(happeningOf({ group: "another", at: desk.now }));
  t.match(desk.state.notices, [{ id: "ntc-2" }]);
});

t.test("a text is read as it was written, and one that cannot be read is said to be so", async (t) => {
  const desk = new Desk({ ...ROUTED, escalations: [TECHNICAL], rollbackFlow: FLOW });
  desk.look(happeningOf({ kind: "rollout-rolling-back" }), happeningOf({ kind: "rollout-started", severity: "info", group: "x" }));
  desk.acknowledge();
  desk.until(31 * MINUTE);
  t.strictSame(decodeNotices(encodeNotices(desk.state)), { state: desk.state });
  t.strictSame(decodeNotices(encodeNotices(NO_NOTICES)), { state: NO_NOTICES });
  t.match(decodeNotices("{"), { problem: /not JSON/, newer: false });
  t.match(decodeNotices("null"), { problem: /no version/, newer: false });
  t.match(decodeNotices('{"version":2}'), { problem: /newer crossfade/, newer: true });
  t.match(decodeNotices('{"version":1,"next":0}'), { problem: /damaged: next/, newer: false });
});

function byMinute(a: string, b: string): number {
  return Number.parseFloat(a) - Number.parseFloat(b);
}

function byPart(a: string, b: string): number {
  const [one = "", other = ""] = [a, b].map((line) => line.split(" ")[1]);
  return one < other ? -1 : 1;
}

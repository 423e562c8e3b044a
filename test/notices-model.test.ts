import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import t from "tap";
import type { Escalation, Notifications } from "../src/config/config-told.ts";
import { NOTICE_KINDS, type Happening, type NoticeKind, type Severity } from "../src/notify/notice.ts";
import { planNotices } from "../src/notify/plan-notices.ts";
import {
  acknowledge,
  delivered,
  dueDeliveries,
  type KeptDelivery,
  type KeptNotice,
  MOST_STATE_BYTES,
  NO_NOTICES,
  type NoticeState,
} from "../src/notify/state.ts";
import { decodeNotices, encodeNotices } from "../src/notify/state-text.ts";
import { channelOf, QUIET } from "./support/notices.ts";
import { MINUTE, T0 } from "./support/rollouts.ts";

const CHANNELS = ["a", "b", "c", "d"];
const SEVERITIES: readonly Severity[] = ["P0", "P1", "P2", "P3", "info"];

const some = fc.subarray(CHANNELS, { minLength: 1 });
const afterMs = fc.integer({ min: 0, max: 60 }).map((minutes) => minutes * MINUTE);
const rising = fc.uniqueArray(afterMs, { minLength: 1, maxLength: 4 }).map((all) => all.toSorted((x, y) => x - y));
const stages = fc
  .tuple(rising, fc.array(some, { minLength: 4, maxLength: 4 }))
  .map(([all, channels]) => all.map((after, i) => ({ afterMs: after, channels: channels[i] ?? [] })));
const interval = fc.option(
  fc.integer({ min: 1, max: 40 }).map((minutes) => minutes * MINUTE),
  { nil: undefined },
);
const troubles = fc.subarray(["P0", "P1", "P2", "P3"] as const, { minLength: 1 });

const configurations: fc.Arbitrary<Notifications> = fc
  .record({
    routes: fc.array(fc.record({ severities: fc.subarray([...SEVERITIES], { minLength: 1 }), kinds: fc.constant([]), channels: some }), {
      maxLength: 3,
    }),
    levels: fc.array(fc.tuple(troubles, stages), { maxLength: 3 }),
    reminders: fc.record({ P0: interval, P1: interval, P2: interval, P3: interval }),
    rollbackFlow: stages,
    groupForMs: fc.integer({ min: 0, max: 10 }).map((minutes) => minutes * MINUTE),
  })
  .map(({ levels, ...rest }) => ({
    ...QUIET,
    ...rest,
    channels: CHANNELS.map(channelOf),
    escalations: levels.map(([severities, all], i): Escalation => ({ name: `policy-${i}`, severities, levels: all })),
  }));

/** What may be done between two looks, and how long after the last one. */
type Event =
  | {
      readonly do: "happen";
      readonly kind: NoticeKind;
      readonly severity: Severity;
      readonly group: number;
      readonly resolves: boolean;
      readonly agoMs: number;
    }
  | { readonly do: "acknowledge"; readonly notice: number }
  | { readonly do: "nothing" };
type Step = { readonly waitMs: number; readonly events: readonly Event[]; readonly dead: readonly string[] };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    do: fc.constant("happen" as const),
    kind: fc.oneof(fc.constantFrom(...NOTICE_KINDS), fc.constant("rollout-rolling-back" as const)),
    severity: fc.constantFrom(...SEVERITIES),
    group: fc.nat(3),
    resolves: fc.boolean(),
    agoMs: fc.constantFrom(0, 0, 1_000, 90 * MINUTE),
  }),
  fc.record({ do: fc.constant("acknowledge" as const), notice: fc.nat(6) }),
  fc.constant({ do: "nothing" } as const),
);
const scripts: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    waitMs: fc.constantFrom(0, 1_000, 60_000, 5 * MINUTE, 10 * MINUTE, 61 * MINUTE),
    events: fc.array(event, { maxLength: 3 }),
    dead: fc.subarray(CHANNELS),
  }),
  { minLength: 1, maxLength: 30 },
);

interface Looked {
  readonly now: number;
  readonly before: NoticeState;
  /** After the acknowledgements and before the look. */
  readonly asked: NoticeState;
  readonly planned: NoticeState;
}

/** Plays a script; `restart` stands between any two steps. */
function play(
  script: readonly Step[],
  notifications: Notifications,
  restart: (state: NoticeState) => NoticeState,
  onLook: (look: Looked) => void,
): NoticeState {
  let state = NO_NOTICES;
  let now = T0;
  for (const { waitMs, events, dead } of script) {
    now += waitMs;
    const before = state;
    for (const one of events) {
      if (one.do !== "acknowledge") continue;
      const done = acknowledge(state, `ntc-${one.notice}`, "bob", "cli", now);
      if ("state" in done) state = restart(done.state);
    }
    const asked = state;
    const at = now;
    const happenings = events.flatMap((one): readonly Happening[] =>
      one.do !== "happen"
        ? []
        : [
            {
              kind: one.kind,
              severity: one.severity,
              at: at - one.agoMs,
              group: `g${one.group}`,
              flag: `f${one.group % 2}`,
              facts: { n: String(at) },
              resolves: one.resolves,
            },
          ],
    );
    const planned = planNotices(state, happenings, now, notifications);
    onLook({ now, before, asked, planned });
    state = restart(planned);
    for (const { id, channel } of dueDeliveries(state, now)) {
      const outcome = dead.includes(channel) ? ({ ok: false, detail: "dead" } as const) : ({ ok: true } as const);
      state = restart(delivered(state, id, channel, outcome, now));
    }
  }
  return state;
}

function same(state: NoticeState): NoticeState {
  return state;
}

function reread(state: NoticeState): NoticeState {
  const read = decodeNotices(encodeNotices(state));
  if (!("state" in read)) throw new Error(read.problem);
  return read.state;
}

function created({ asked, planned }: Looked): readonly KeptDelivery[] {
  const known = new Set(asked.deliveries.map(({ id }) => id));
  return planned.deliveries.filter(({ id }) => !known.has(id));
}

function noticeOf(state: NoticeState, id: string): KeptNotice | undefined {
  return state.notices.find((notice) => notice.id === id);
}

function levelsDue({ openedAt }: KeptNotice, { levels }: Escalation, now: number): number {
  return levels.filter((level) => openedAt + level.afterMs <= now).length;
}

const runs = { numRuns: 300 };

t.test("no channel is told the same of a notice twice, and one thing at a time", async () => {
  fc.assert(
    fc.property(scripts, configurations, (script, notifications) => {
      const told = new Set<string>();
      const ids = new Set<string>();
      play(script, notifications, same, (look) => {
        const now = new Set<string>();
        for (const { id, notice, channel, part, index, policy, dueAt } of created(look)) {
          if (ids.has(id)) throw new Error(`${id} was given twice`);
          ids.add(id);
          const thing = [notice, channel, part, index, policy, part === "end" ? id : dueAt].join(" ");
          if (told.has(thing)) throw new Error(`told twice: ${thing}`);
          told.add(thing);
          const line = `${notice} ${channel} ${part === "end" ? "end" : ""}`;
          if (now.has(line)) throw new Error(`two at once: ${line}`);
          now.add(line);
        }
      });
    }),
    runs,
  );
});

t.test(
  "every level is called at the first look after its time, only the highest, and none after an acknowledgement or the end",
  async () => {
    fc.assert(
      fc.property(scripts, configurations, (script, notifications) => {
        play(script, notifications, same, (look) => {
          const { asked, planned, now } = look;
          const calls = created(look).filter(({ part }) => part === "level");
          for (const { notice: id, policy, index } of calls) {
            const notice = noticeOf(planned, id);
            const escalation = notifications.escalations.find(({ name }) => name === policy);
            if (notice === undefined || escalation === undefined) throw new Error("a call of nothing");
            if (notice.acknowledged !== undefined || notice.resolvedAt !== undefined) throw new Error(`${id} is looked after or over`);
            if (!escalation.severities.some((one) => one === notice.severity)) throw new Error(`${policy} is not for ${notice.severity}`);
            if (index !== levelsDue(notice, escalation, now)) throw new Error(`level ${index} is not the one that is due`);
          }
          for (const notice of planned.notices) {
            if (notice.severity === "info" || notice.acknowledged !== undefined || notice.resolvedAt !== undefined) continue;
            for (const escalation of notifications.escalations) {
              if (!escalation.severities.some((one) => one === notice.severity)) continue;
              const due = levelsDue(notice, escalation, now);
              const before = noticeOf(asked, notice.id)?.levels[escalation.name] ?? 0;
              if ((notice.levels[escalation.name] ?? 0) !== due) throw new Error(`${notice.id}: ${due} levels are due`);
              if (due <= before) continue;
              const wanted = escalation.levels[due - 1]?.channels ?? [];
              // Two escalations may name the same channel; it is called once.
              const called = new Set(calls.filter((call) => call.notice === notice.id).map(({ channel }) => channel));
              if (!wanted.every((channel) => called.has(channel))) throw new Error(`${notice.id}: level ${due} was not called`);
            }
          }
        });
      }),
      runs,
    );
  },
);

t.test("nothing is repeated or waits to be repeated once somebody looks after it", async () => {
  fc.assert(
    fc.property(scripts, configurations, (script, notifications) => {
      play(script, notifications, same, ({ planned }) => {
        for (const { notice: id, part, status } of planned.deliveries) {
          if (status !== "waiting" || (part !== "again" && part !== "level")) continue;
          const notice = noticeOf(planned, id);
          if (notice?.acknowledged !== undefined && notice.count === 1) throw new Error(`${id} ${part} waits after an acknowledgement`);
          if (notice?.resolvedAt !== undefined) throw new Error(`${id} ${part} waits after the end`);
        }
      });
    }),
    runs,
  );
});

t.test("each moment of the rollback flow is told at the first look after it, of the newest rollback of each flag alone", async () => {
  fc.assert(
    fc.property(scripts, configurations, (script, notifications) => {
      play(script, notifications, same, (look) => {
        const { asked, planned, now } = look;
        const moments = created(look).filter(({ part }) => part === "flow");
        for (const flag of ["f0", "f1"]) {
          const own = planned.notices.filter((one) => one.flag === flag && one.kind === "rollout-rolling-back" && one.severity !== "info");
          const newest = own.toSorted((a, b) => a.openedAt - b.openedAt).at(-1);
          for (const notice of own) {
            const told = moments.filter((one) => one.notice === notice.id);
            if (notice.openedAt !== newest?.openedAt && told.length > 0) throw new Error(`${notice.id} is not the newest`);
            const due = notifications.rollbackFlow.filter(({ afterMs: after }) => notice.openedAt + after <= now).length;
            if (told.some(({ index }) => index !== due - 1)) throw new Error(`${notice.id}: moment ${due - 1} is due`);
            const before = noticeOf(asked, notice.id)?.flow ?? 0;
            const only = own.filter(({ openedAt }) => openedAt === notice.openedAt).length === 1;
            if (notice === newest && only && due > before && notice.flow !== due) throw new Error(`${notice.id}: a moment was left out`);
          }
        }
      });
    }),
    runs,
  );
});

t.test("a restart at any instant changes nothing", async (t) => {
  fc.assert(
    fc.property(scripts, configurations, (script, notifications) => {
      const one = play(script, notifications, same, ignore);
      const other = play(script, notifications, reread, ignore);
      if (!isDeepStrictEqual(one, other)) throw new Error("another state");
      t.ok(Buffer.byteLength(encodeNotices(one)) <= MOST_STATE_BYTES);
    }),
    { numRuns: 100 },
  );
});

t.test("a second look at the same instant makes nothing more", async () => {
  fc.assert(
    fc.property(scripts, configurations, (script, notifications) => {
      play(script, notifications, same, ({ planned, now }) => {
        if (planNotices(planned, [], now, notifications) !== planned) throw new Error("it was not done with");
      });
    }),
    runs,
  );
});

t.test("of one notice one message at a time goes to a channel, in order of their making", async () => {
  fc.assert(
    fc.property(scripts, configurations, (script, notifications) => {
      play(script, notifications, same, ({ planned, now }) => {
        const due = dueDeliveries(planned, now);
        const lines = due.map(({ notice, channel }) => `${notice} ${channel}`);
        if (new Set(lines).size !== lines.length) throw new Error("two at a time");
        for (const one of due) {
          const earlier = planned.deliveries.slice(0, planned.deliveries.indexOf(one));
          if (earlier.some(({ notice, channel, status }) => status === "waiting" && notice === one.notice && channel === one.channel))
            throw new Error("out of order");
        }
      });
    }),
    runs,
  );
});

function ignore(): void {
  // Only the end counts.
}

import type { LiveView } from "../../src/admin/live/view.ts";
import type { HookRun, Rollback, Rollout, RolloutState } from "../../src/controller/rollout.ts";
import { FLAG, liveView } from "./live-world.ts";

/** Views of the dashboard's world in states that a real program is seldom in. */

const MINUTE_MS = 60_000;

function withState(view: LiveView, state: RolloutState, more: Partial<Rollout> = {}): LiveView {
  const { rollout } = view;
  if (rollout?.rollout === undefined) throw new Error("this view has no rollout");
  return { ...view, rollout: { ...rollout, rollout: { ...rollout.rollout, state, ...more } } };
}

function hook(name: string, status: HookRun["status"], more: Partial<HookRun> = {}): HookRun {
  return { name, status, startedAt: undefined, ms: undefined, detail: "", ...more };
}

function rollbackAt(now: number): Rollback {
  return {
    step: 1,
    at: now - MINUTE_MS,
    by: "crossfade",
    why: "trigger errors: errors 12.1 % (at least 10.4) over the limit of 5 %, 4,211 attempts",
    trigger: "errors",
    shift: [],
    traffic: { revision: 42, acknowledged: ["edge-1"], missing: ["edge-2"], ms: 1_000 },
    hooks: [
      hook("restore", "done", { startedAt: now - 50_000, ms: 8_420, detail: "200" }),
      hook("notify", "failed", { startedAt: now - 40_000, ms: 310, detail: "exit code 3: mail is down" }),
      hook("verify", "running", { startedAt: now - 2_000, by: "edge-1" }),
      hook("report", "pending"),
    ],
    endedAt: undefined,
  };
}

/** A trigger has fired, one instance is silent, hooks run; people are told, and one channel is dead. */
export function rollingBackView(now: number): LiveView {
  const view = withState(liveView(now, now), { status: "rolling-back", rollback: rollbackAt(now) });
  return {
    ...view,
    flag: {
      ...view.flag,
      revision: 42,
      instances: [
        { instance: "edge-1", revision: 42, at: new Date(now).toISOString(), alive: true },
        { instance: "edge-2", revision: 41, at: new Date(now - 20_000).toISOString(), alive: true },
        { instance: "edge-3", revision: 12, at: new Date(now - 900_000).toISOString(), alive: false },
      ],
      rejections: [
        {
          flag: FLAG,
          field: "rollout_percentge",
          value: "30",
          kind: "unknown-field",
          message: "rollout_percentge: is not a known field; did you mean rollout_percentage?",
        },
      ],
    },
    notices: {
      sender: "edge-1",
      notices: [
        {
          id: "ntc-7",
          kind: "rollout-rolling-back",
          severity: "P1",
          group: `rollback ${FLAG}`,
          flag: FLAG,
          facts: { trigger: "errors", reason: "errors 12.1 %" },
          openedAt: now - MINUTE_MS,
          lastAt: now,
          count: 3,
          acknowledged: undefined,
          resolvedAt: undefined,
          levels: { technical: 2 },
        },
        {
          id: "ntc-6",
          kind: "store-lost",
          severity: "P2",
          group: "store",
          flag: undefined,
          facts: {},
          openedAt: now - 5 * MINUTE_MS,
          lastAt: now,
          count: 1,
          acknowledged: { by: "amina", at: now - MINUTE_MS, via: "link" },
          resolvedAt: undefined,
          levels: {},
        },
      ],
      channels: [
        { name: "on-call", kind: "slack", language: "fr", waiting: 0, sentAt: now - MINUTE_MS, failingSince: undefined, lastError: "" },
        {
          name: "mail",
          kind: "email",
          language: "en",
          waiting: 4,
          sentAt: undefined,
          failingSince: now - 2 * MINUTE_MS,
          lastError: "connect ECONNREFUSED",
        },
      ],
      deliveries: [],
    },
    sla: {
      flag: FLAG,
      at: now,
      rows: (["met", "warning", "breached", "no-data"] as const).map((state, index) => ({
        promise: (["availability", "response_time", "errors", "accuracy"] as const)[index] ?? "errors",
        version: index === 0 ? "all" : "v2",
        segment: index === 1 ? "enterprise" : "all",
        value: [0.99962, 0.955, 0.021, Number.NaN][index] ?? Number.NaN,
        target: [0.9995, 0.95, 0.01, 0.85][index] ?? 0,
        direction: index === 2 ? "at-most" : "at-least",
        limitMs: index === 1 ? 100 : undefined,
        p95: index === 1 ? 96.4 : undefined,
        windowMs: index === 0 ? 30 * 86_400_000 : 86_400_000,
        coveredMs: index === 0 ? 9 * 86_400_000 : 86_400_000,
        sample: 120_000,
        budgetLeft: [0.24, 0.1, -1.1, Number.NaN][index] ?? Number.NaN,
        state,
        since: now,
      })),
    },
    incidents: [
      {
        id: "inc-1",
        priority: "P1",
        impact: "degraded",
        title: { en: "Slow answers", fr: "Réponses lentes" },
        openedAt: now - MINUTE_MS,
        openedBy: "crossfade",
        rollout: "run",
        updates: [{ at: now - MINUTE_MS, state: "investigating", text: { fr: "Nous cherchons." }, by: "crossfade" }],
      },
    ],
    maintenance: [
      {
        id: "mnt-2",
        title: { en: "Move" },
        text: { en: "Short cuts." },
        from: now + 3_600_000,
        to: now + 7_200_000,
        announcedBy: "amina",
        changedAt: now - MINUTE_MS,
        cancelled: false,
      },
    ],
  };
}

/** On the way back in stages: the stable arm cannot take everybody at once. */
export function shiftingView(now: number): LiveView {
  const shift = [1_000, 500, 0].map((percentageBp, index) => ({ percentageBp, at: now + (index + 1) * 10_000 }));
  return withState(liveView(now, now), {
    status: "rolling-back",
    rollback: { ...rollbackAt(now), trigger: undefined, by: "amina", shift, traffic: undefined },
  });
}

/** Somebody changed the share by hand. */
export function heldView(now: number): LiveView {
  return withState(liveView(now, now), {
    status: "held",
    step: 1,
    since: now - MINUTE_MS,
    cause: "foreign",
    by: "crossfade",
    why: "rollout_percentage is 30 % and not 25 %",
    edited: true,
  });
}

/** The store cannot be asked for anything. */
export function storelessView(now: number): LiveView {
  const view = liveView(now, now);
  return {
    ...view,
    rollout: undefined,
    audit: undefined,
    figures: undefined,
    latencies: undefined,
    flag: { ...view.flag, instances: null },
  };
}
